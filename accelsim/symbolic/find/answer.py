"""Answers to the question if one rule is another one, as documents, texts and theorems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from accelsim.notebook import Told
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.language import assignments
from accelsim.symbolic.certify.schema import read
from accelsim.symbolic.check.counterexample import Shown

EQUIVALENT, REFUTED, UNDECIDED = "equivalent", "refuted", "undecided"
OUTSIDE = "equivalent outside ranges"
UP_TO = "equivalent up to a sign or preconditioner"
SAME = (EQUIVALENT, OUTSIDE, UP_TO)  # there is a map, which is plainly yes in the first case alone
HEADLINE = {
    EQUIVALENT: "yes",
    REFUTED: "no",
    OUTSIDE: "outside ranges only",
    UP_TO: "up to a sign or preconditioner only",
}


@dataclass(frozen=True)
class Answer(Told):
    """Answer to the question if rule `a` is rule `b`.

    Attributes
    ----------
    status : `EQUIVALENT`, `OUTSIDE` (some hyperparameter of `b` is, or may be, out of its range), `UP_TO` (`a` has a
        sign or a preconditioner that `b` has not: their linear parts are the same), `REFUTED` or `UNDECIDED`.
    map : by hyperparameter of `b`, a text in t and the hyperparameters of `a`.
    transform : by state of one rule, a text in the states of the other; `direction` says which.
    initial : by such a state, its initial value, ``w0`` being the initial point.
    schedules : by step size of `a` that the map supposes to be constant, a map that holds where it varies; empty where
        none was found. A step size that is not in it may vary.
    free : hyperparameters of `b`, and starts of sequences in the map, that could have been chosen otherwise.
    conditions : texts of what has to be nonzero, and sentences on values outside their declared ranges.
    assumptions : sentences on what the answer takes for granted.
    special : cases in which rules that are not the same become so: `when`, and the answer there with its conditions
        and assumptions.
    reason : why the status is what it is, in one line.
    counterexample : document of a counterexample that can be run again; None where the structure alone refutes.
    tried : what was tried, where undecided.
    certificate : document that `verifier.verify_certificate` checks; None where undecided.
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
        """Document of JSON; `equivalent` is None where the answer is neither plainly yes nor no."""
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

    def to_latex(self, fragment: bool = False) -> str:
        """LaTeX document of the answer: a theorem with its proof, or a counterexample. A fragment has no preamble."""
        from accelsim.symbolic.find import statement

        return statement.fragment(self) if fragment else statement.document(self)

    def _repr_latex_(self) -> str | None:
        from accelsim.symbolic.find import statement

        return statement.formula(self) if self.status in SAME else None

    def to_text(self) -> dict[str, Any]:
        """Document for a reader: names with their rules, special cases and the counterexample in words."""
        found = {k: v for k, v in self.to_json().items() if k != "certificate"}
        found["equivalent"] = HEADLINE.get(self.status, self.status) + "".join(map(self._told, self.schedules))
        found.pop("schedules", None)
        for name in ("map", "transform", "initial"):
            if name in found:
                found[name] = assigned(getattr(self, f"sided_{name}"))
        found["conditions"] = list(map(self._condition, self.conditions))
        if self.special:
            found["special"] = list(map(self._case, self.special))
        if self.counterexample:
            shown = Shown.read(self.counterexample["shown"])
            found["counterexample"] = read(self.counterexample).told(self.a, self.b, shown)
        return found

    _statement = to_text

    # -- whose is what: names of a are told as a.name, those of b as b.name --

    @property
    def sided_map(self) -> dict[str, str]:
        """Map with each hyperparameter behind its rule: ``b.lr``, ``a.lr*a.alpha``."""
        return self._sided(self.map)

    @property
    def sided_transform(self) -> dict[str, str]:
        """Transform with each state and hyperparameter behind its rule."""
        owners = {**dict.fromkeys((self.b if self.backward else self.a).states, "ab"[self.backward]), **self._owners}
        onto = "ba"[self.backward]
        related = ((name if "[" in name else f"{onto}.{name}", text) for name, text in self.transform.items())
        return {sided(name, {}): sided(text, owners) for name, text in related}

    @property
    def sided_initial(self) -> dict[str, str]:
        """Initial values with each state behind its rule."""
        return {f"{'ba'[self.backward]}.{name}": text for name, text in self.initial.items()}

    @property
    def backward(self) -> bool:
        """Direction of the transform: whether it gives states of `a` in those of `b`."""
        return bool((self.certificate or {}).get("backward"))

    @property
    def _owners(self) -> dict[str, str]:
        return dict.fromkeys((*self.a.hyperparameters, *self.a.program(self._given).uniform), "a")

    @property
    def _given(self) -> Mapping[str, Any]:
        return (self.certificate or {}).get("given", {})

    def _sided(self, values: Mapping[str, str]) -> dict[str, str]:
        return {f"b.{name}": sided(text, self._owners) for name, text in values.items()}

    def scheduled(self, name: str) -> dict[str, str]:
        """Entries of the map that change where a step size varies, by hyperparameter; empty where unknown."""
        return {k: v for k, v in self.schedules[name].items() if v != varied(self.map[k], name)}

    def _told(self, name: str) -> str:
        """Sentence on the map where a step size varies."""
        other = self._sided(self.scheduled(name))
        return f", for constant {name}; under a schedule {assignments(other) if other else 'no map was found'}"

    def split(self, condition: str) -> tuple[str, str, str]:
        """Parts of a condition: a hyperparameter of `b`, a formula in those of `a`, and words; empty where it has none.

        Conditions are about values of the map (``beta = 1 - c(t) is in [0, 1)``), formulas (``lr != 0``), or plain
        words.
        """
        for name, text in self.map.items():
            if condition.startswith(start := f"{name} = {text} "):
                return name, text, condition.removeprefix(start)
        formula = re.fullmatch(r"(.*?) ((?:!=|>=|>) 0(?: \((?:but )?at t = [^()]*\))?)", condition)
        return ("", formula[1], formula[2]) if formula else ("", "", condition)

    def _condition(self, condition: str) -> str:
        name, text, words = self.split(condition)
        return f"{f'b.{name} = ' if name else ''}{sided(text, self._owners)} {words}".lstrip()

    def _case(self, case: Mapping[str, Any]) -> str:
        """Special case in one line, with the conditions and assumptions that are its own."""
        notes = [note for note in case["assumptions"] if note not in self.assumptions and note[:7] != "equal: "]
        notes += [case["status"]] if case["status"] != EQUIVALENT else []
        answer = replace(self, map=case["map"], conditions=case["conditions"])
        more = "; ".join([*(f"if {condition}" for condition in map(answer._condition, answer.conditions)), *notes])
        theirs = dict.fromkeys(self.b.hyperparameters, "b")
        values = ((*each, theirs if each[2] else self._owners) for each in self.valued(case["when"]))
        when = ", ".join(f"{'ab'[second]}.{k} = {sided(v, owners)}" for k, v, second, owners in values)
        return f"{when}: {assignments(answer.sided_map)}{f' ({more})' if more else ''}"

    def valued(self, when: str) -> list[tuple[str, str, bool]]:
        """Settings of a special case such as ``lr = 0 in nesterov``: name, value, and whether it is one of `b`."""
        pairs = (text.partition(" = ")[::2] for text in re.split(r", (?=\w+ = )", when))
        theirs = f" in {self.b}"
        return [(name, text.removesuffix(theirs), text.endswith(theirs)) for name, text in pairs]


def sided(text: str, owners: Mapping[str, str]) -> str:
    """Text with each name behind its rule; states of a relation, ``a[m]``, are read as well.

    >>> sided("lr*(1 - beta(t - 1))*a[m]", {"lr": "a", "beta": "a"})
    'a.lr*(1 - a.beta(t - 1))*a.m'
    """

    def told(found: re.Match[str]) -> str:
        name, state = found["name"], found["state"]
        if state:
            return f"{name}.{state}"
        return f"{owners[name]}.{name}" if name in owners else name

    return re.sub(r"(?<![\w.])(?P<name>[^\W\d]\w*)(?:\[(?P<state>\w+)\])?", told, text)


def assigned(values: Mapping[str, str]) -> list[str]:
    """Values by name, one line each."""
    return [assignments({name: value}) for name, value in values.items()]


def varied(text: str, name: str) -> str:
    """Text in which a number becomes a function of t: ``lr(t)`` for ``lr``."""
    return re.sub(rf"\b{re.escape(name)}\b(?!\()", f"{name}(t)", text)
