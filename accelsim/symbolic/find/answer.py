"""What became of the question whether one rule is another one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.language import assignments
from accelsim.symbolic.system.gradients import RETURNED

EQUIVALENT, REFUTED, UNDECIDED = "equivalent", "refuted", "undecided"
OUTSIDE = "equivalent outside ranges"
UP_TO = "equivalent up to a sign or preconditioner"
MOST = 10  # steps of a run that are told
SAME = (EQUIVALENT, OUTSIDE, UP_TO)  # there is a map, which is plainly yes in the first case alone
HEADLINE = {
    EQUIVALENT: "yes",
    REFUTED: "no",
    OUTSIDE: "outside ranges only",
    UP_TO: "up to a sign or preconditioner only",
}


@dataclass(frozen=True)
class Answer:
    """Whether rule `a` is rule `b`.

    Attributes
    ----------
    status : `EQUIVALENT`, `OUTSIDE` (some hyperparameter of `b` is, or may be, out of its range), `UP_TO` (`a` has a
        sign or a preconditioner that `b` has not: their linear parts are the same), `REFUTED` or `UNDECIDED`.
    map : each hyperparameter of `b`, in t and the hyperparameters of `a`.
    transform : each state of one rule, in the states of the other; `direction` says which.
    initial : what each of these states starts at, ``w0`` being the initial point.
    schedules : by name, step sizes of `a` that the map has constant, with what holds where they vary: a map, empty
        where none was found. What is not there may vary.
    free : hyperparameters of `b`, and starts of sequences in the map, that could have been chosen otherwise.
    conditions : what must not be zero, and what is outside its declared range.
    assumptions : what the answer is modulo of.
    special : cases in which rules that are not the same become so: `when`, and the answer there with its conditions
        and assumptions.
    reason : one line.
    counterexample : what refutes, replayable; None where the structure alone does.
    tried : what was tried, where undecided.
    certificate : document that `verifier.verify_certificate` checks, None where undecided.
    """

    a: Optimizer
    b: Optimizer
    status: str
    map: Mapping[str, str] = field(default_factory=dict)
    transform: Mapping[str, str] = field(default_factory=dict)
    direction: str | None = None
    initial: Mapping[str, str] = field(default_factory=dict)
    schedules: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    special: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""
    counterexample: Mapping[str, Any] | None = None
    tried: tuple[str, ...] = ()
    certificate: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer as a document; `equivalent` is None where it is neither plainly yes nor no."""
        found: dict[str, Any] = {
            "a": str(self.a),
            "b": str(self.b),
            "equivalent": {EQUIVALENT: True, REFUTED: False}.get(self.status),
            "status": self.status,
        }
        if self.status in SAME:
            names = ("map", "schedules", "transform", "direction", "initial", "free")
            found |= {name: getattr(self, name) for name in names}
        found |= {"conditions": self.conditions, "assumptions": self.assumptions, "reason": self.reason}
        if self.status not in SAME:
            found |= {"special": self.special, "counterexample": self.counterexample}
        if self.status == UNDECIDED:
            found["tried"] = self.tried
        return found | {"certificate": self.certificate}

    def to_text(self) -> dict[str, Any]:
        """The document for a reader: special cases in a line each, the counterexample in words."""
        found = {k: v for k, v in self.to_json().items() if k != "certificate"}
        found["equivalent"] = HEADLINE.get(self.status, self.status) + "".join(map(self._told, self.schedules.items()))
        found.pop("schedules", None)
        if self.special:
            found["special"] = [_case(case, self.assumptions) for case in self.special]
        if self.counterexample:
            found["counterexample"] = _counterexample(self.a, self.b, self.counterexample)
        return found

    def _told(self, schedule: tuple[str, Mapping[str, str]]) -> str:
        """What holds where a step size varies, in words."""
        name, values = schedule
        other = {k: v for k, v in values.items() if v != varied(self.map[k], name)}
        return f", for constant {name}; under a schedule {assignments(other) if other else 'no map was found'}"


def varied(text: str, name: str) -> str:
    """A text in which a number is a function of t."""
    return re.sub(rf"\b{re.escape(name)}\b(?!\()", f"{name}(t)", text)


def _case(case: Mapping[str, Any], known: tuple[str, ...]) -> str:
    """A special case in a line, with what it takes beside what the whole answer does."""
    notes = [note for note in case["assumptions"] if note not in known and not note.startswith("equal: ")]
    notes += [case["status"]] if case["status"] != EQUIVALENT else []
    more = "; ".join([*(f"if {condition}" for condition in case["conditions"]), *notes])
    return f"{case['when']}: {assignments(case['map'])}{f' ({more})' if more else ''}"


def _counterexample(a: Optimizer, b: Optimizer, found: Mapping[str, Any]) -> list[str]:
    """What both rules, run as they are, query on a counterexample's gradients, in lines that can be checked by hand."""
    shown, returned = found["shown"], any(key.get("query") == RETURNED for key in found["answers"])
    plain = {k: v if isinstance(v, str) else f"({', '.join(v[:4])}, ...)" for k, v in found["hyperparameters"].items()}
    whatever = "schedules" if found["unknown"] == "one a step" else "constants"
    lines = [f"{a} at {assignments(plain) or 'nothing'}"]
    lines.append(f"{b} at {assignments(shown['hyperparameters']) or 'nothing'}, which come nearest of what was tried")
    does = "returns" if returned else "queries"
    for run in shown["runs"]:
        mine, theirs = (_points(run[end], returned) for end in ("a", "b"))
        lines.append(f"{_gradients(run)}, {a} {does} {mine}, {b} {theirs}")
    if only := _only(found):
        lines.append(f"{b}, where it {does} the same otherwise, can only be at {only}")
    factors = [text for text in found.get("unless", ()) if "[" not in text]  # what is given is not zero
    unless = f", unless {' or '.join(factors)} is zero" if factors else ""
    lines += [f"to {b} gradients of either length are the same"] * (found["kind"] == "scale")
    why = f"whatever {whatever} its hyperparameters are{unless}: the algebra is in --json"
    return [*lines, f"{b} cannot answer so, {why}"]


def _gradients(run: Mapping[str, Any]) -> str:
    """On which gradients a run is."""
    rows = run["gradients"][:-1]
    given = [(t, g) for t, row in enumerate(rows) for g in row if Fraction(g)]
    if not given:
        return f"from {run['start']} on without gradients"
    if len(given) == 1 == len(rows[0]):
        return f"after a gradient of {given[0][1]} at t = {given[0][0]} alone"
    told = (
        "; ".join(", ".join(row) for row in rows)
        if any(len(row) > 1 for row in rows)
        else ", ".join(g for (g,) in rows)
    )
    return f"on the gradients {told}"


def _points(shown: Sequence[Sequence[str]], returned: bool) -> str:
    """What is queried step by step, or returned; of many steps the last ones."""
    before = "..., " if len(shown) > MOST else ""
    return before + ", ".join(row[-1] if returned else " and ".join(row[:-1]) for row in shown[-MOST:])


def _only(found: Mapping[str, Any]) -> str | None:
    """Where the second rule is in the last answer if all others are the first one's, where that is one number."""
    if found["kind"] not in ("minor", "identity") or found["gradients"] or found.get("left", "1") != "1":
        return None
    try:
        values = list(map(Fraction, found["values"]))
        if found["kind"] == "identity":
            weights = {i: Fraction(text) for i, text in enumerate(found["cofactors"])}
            last = max((i for i in weights if weights[i]), key=lambda i: found["answers"][i]["step"])
            value = values[last] + 1 / weights[last]
        else:
            last, value = _last_of_minor(found, values)
    except ValueError:  # it depends on hyperparameters
        return None
    key = found["answers"][last]
    after = f"a gradient of 1 at t = {key['impulse']} alone" if key["impulse"] >= 0 else "a start at 1"
    return f"{value} at t = {key['step']} after {after}, not at {values[last]}"


def _last_of_minor(found: Mapping[str, Any], values: Sequence[Fraction]) -> tuple[int, Fraction]:
    """An answer of a minor, and what it is where the determinant is the other rule's."""

    def minor(values: Sequence[Fraction]) -> Fraction:
        at = {(key["step"], key["impulse"]): value for key, value in zip(found["answers"], values, strict=True)}
        columns = sorted({impulse for _, impulse in at})
        rows = sorted({step for step, _ in at} - {*found["since"]})
        since = {c: sum(at[t, c] for t in found["since"]) for c in columns}
        return determinant([[at[row, c] - since[c] for c in columns] for row in rows])

    now, other = minor(values), Fraction(found["other"])
    for last in reversed(range(len(values))):
        slope = minor([value + (i == last) for i, value in enumerate(values)]) - now
        if slope and found["answers"][last]["step"] not in found["since"]:
            return last, values[last] - (now - other) / slope
    raise ValueError


def determinant(rows: Sequence[Sequence[Fraction]]) -> Fraction:
    """The determinant of a matrix of fractions, by expansion."""
    if not rows:
        return Fraction(1)
    below = [[(row[:j] + row[j + 1 :]) for row in map(list, rows[1:])] for j in range(len(rows))]
    return sum(((-1) ** j * rows[0][j] * determinant(below[j]) for j in range(len(rows))), Fraction(0))
