"""What became of the question whether one rule is another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accelsim.optimizer import Optimizer
from accelsim.symbolic.written import assignments

EQUIVALENT, REFUTED, UNDECIDED = "equivalent", "refuted", "undecided"
OUTSIDE = "equivalent outside ranges"
UP_TO = "equivalent up to a sign or preconditioner"
SAME = (EQUIVALENT, OUTSIDE, UP_TO)  # there is a map, which is plainly yes in the first case alone
HEADLINE = {EQUIVALENT: "yes", REFUTED: "no", OUTSIDE: "outside ranges only", UP_TO: "up to a sign or preconditioner only"}
READABLE = 1000  # characters of an identity that is told


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
    free : hyperparameters of `b`, and starts of sequences in the map, that could have been chosen otherwise.
    conditions : what must not be zero, and what is outside its declared range.
    assumptions : what the answer is modulo of.
    special : cases in which rules that are not the same become so: `when`, and the answer there with its conditions
        and assumptions.
    reason : one line.
    counterexample : what refutes, replayable; None where the structure alone does.
    tried : what was tried, where undecided.
    certificate : document that `certificate.verify_certificate` checks, None where undecided.
    """

    a: Optimizer
    b: Optimizer
    status: str
    map: Mapping[str, str] = field(default_factory=dict)
    transform: Mapping[str, str] = field(default_factory=dict)
    direction: str | None = None
    initial: Mapping[str, str] = field(default_factory=dict)
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
            found |= {name: getattr(self, name) for name in ("map", "transform", "direction", "initial", "free")}
        found |= {"conditions": self.conditions, "assumptions": self.assumptions, "reason": self.reason}
        if self.status not in SAME:
            found |= {"special": self.special, "counterexample": self.counterexample}
        if self.status == UNDECIDED:
            found["tried"] = self.tried
        return found | {"certificate": self.certificate}

    def to_text(self) -> dict[str, Any]:
        """The document for a reader: special cases in a line each, the counterexample in words."""
        found = {k: v for k, v in self.to_json().items() if k != "certificate"}
        found["equivalent"] = HEADLINE.get(self.status, self.status)
        if self.special:
            found["special"] = [_case(case, self.assumptions) for case in self.special]
        if self.counterexample:
            found["counterexample"] = _told(self.a, self.b, self.counterexample)
        return found


def _case(case: Mapping[str, Any], known: tuple[str, ...]) -> str:
    """A special case in a line, with what it takes beside what the whole answer does."""
    notes = [note for note in case["assumptions"] if note not in known and not note.startswith("equal: ")]
    notes += [case["status"]] if case["status"] != EQUIVALENT else []
    more = "; ".join([*(f"if {condition}" for condition in case["conditions"]), *notes])
    return f"{case['when']}: {assignments(case['map'])}{f' ({more})' if more else ''}"


def _told(a: Optimizer, b: Optimizer, found: Mapping[str, Any]) -> list[str]:
    """A counterexample in lines that can be followed by hand."""
    plain = {k: v if isinstance(v, str) else f"({', '.join(v[:4])}, ...)" for k, v in found["hyperparameters"].items()}
    if found["kind"] == "itself":
        return [f"{a} at {assignments(plain)}", *_derivation(a, b, found)]
    given = {
        f"{k}(t)" + (f" in coordinate {i}" if len(rows) > 1 else ""): f"({', '.join(row)})"
        for k, rows in found["given"].items()
        for i, row in enumerate(rows)
    }
    lines = [f"{a} at {assignments({**plain, **given})}"]
    if found["kind"] == "scale":
        step = found["answers"][0]["step"]
        for value, length in zip(found["values"], found["lengths"], strict=True):
            lines.append(f"queries {value} at t = {step} after a gradient of {length} at t = 0 alone")
        return [*lines, f"to {b} gradients of either length are the same"]
    for key, value in zip(found["answers"], found["values"], strict=True):
        what = "the start at 1" if key["impulse"] < 0 else f"a gradient of 1 at t = {key['impulse']} alone"
        where = f" in coordinate {key['coordinate']}" if key["coordinate"] else ""
        does = "returns" if key["query"] < 0 else "queries"
        lines.append(f"{does} {value} at t = {key['step']} after {what}{where}")
    whatever = "schedules" if found["unknown"] == "one a step" else "constants"
    if found["kind"] == "minor":
        since = "".join(f", each less that at t = {t}," for t in found["since"])
        other = f"that of {b} is {found['other']}, whatever {whatever} its hyperparameters are"
        lines.append(f"the determinant of these{since} is {found['determinant']}; {other}")
    else:
        lines.append(f"{b} cannot answer so, whatever {whatever} its hyperparameters are: with its answers y,")
        terms = zip(found["cofactors"], found["values"], strict=True)
        total = " + ".join(f"({c})*(y{i} - ({v}))" for i, (c, v) in enumerate(terms))
        short = "the differences of these y from what is queried, times polynomials that --json prints, add up to 1"
        lines.append(f"{total} = 1" if len(total) <= READABLE else short)
    return lines


def _derivation(a: Optimizer, b: Optimizer, found: Mapping[str, Any]) -> list[str]:
    """What a rule, run as it is, queries, and where it leads that another one queries the same, line by line."""
    lines = []
    for i, (key, value) in enumerate(zip(found["answers"], found["values"], strict=True)):
        gradients, length = ", ".join(found["gradients"][key["gradients"]]), found["lengths"][key["length"]]
        times = "" if length == "1" else f"{length} times "
        lines.append(f"y{i}: queries {value} at t = {key['step']} after {times}the gradients {gradients}")
    lines.append(f"were these the queries of {b} too, then, a[] being roots in {a} and b[] in {b},")
    known = len(found["answers"])
    for i, (name, square) in enumerate(found["roots"].items(), start=known):
        lines.append(f"y{i}: {name}**2 = {square}")
    for i, line in enumerate(found["lines"], start=known + len(found["roots"])):
        made = ", ".join(f"y{term['of']}" for term in line["terms"])
        lines.append(f"y{i}: {line['is']} = 0, by {made}")
    return lines
