"""Counterexamples: gradients on which no hyperparameters of a rule b make it query what a rule a queries.

A counterexample is plain data, as refutations make it and verifiers read it: numbers and expressions are texts. It has
rule a's hyperparameters, sequences of gradients, what rule a answers on them, and the algebra by which rule b cannot
answer so (see `responses` and `contradictions` for its kinds). Beside it stands what both rules were seen to do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.symbolic.algebra.language import assignments

CONSTANT, SCHEDULED = "constant", "one a step"  # what is supposed of rule b's unknowns
MOST = 10  # steps of a run that are told
Numbers = Mapping[str, Any]  # texts by hyperparameter, or lists of one text a step
Place = tuple[Any, ...]  # of a run among those of a counterexample
Queries = Mapping[Place, Sequence[tuple[Any, ...]]]  # by run and step, the points queried, and last what is returned


class Run(NamedTuple):
    """One coordinate of a run: its starting point, and the gradients by step, shape (steps, gradients a step)."""

    start: Fraction
    gradients: tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class ShownRun:
    """Queries of two rules, run as they are on the same gradients.

    Attributes
    ----------
    start : text of the starting point.
    gradients : texts of the gradients, shape (steps, gradients a step).
    a, b : by step, texts of the points that each rule queries, and last of the one that it returns before the step;
        fractions, or decimals where they are irrational.
    """

    start: str
    gradients: Sequence[Sequence[str]]
    a: Sequence[Sequence[str]]
    b: Sequence[Sequence[str]]

    @property
    def told(self) -> str:
        """The gradients of the run in words."""
        rows = self.gradients[:-1]
        given = [(t, g) for t, row in enumerate(rows) for g in row if Fraction(g)]
        if not given:
            return f"from {self.start} on without gradients"
        if len(given) == 1 == len(rows[0]):
            return f"after a gradient of {given[0][1]} at t = {given[0][0]} alone"
        if any(len(row) > 1 for row in rows):
            return f"on the gradients {'; '.join(', '.join(row) for row in rows)}"
        return f"on the gradients {', '.join(g for (g,) in rows)}"


@dataclass(frozen=True)
class Shown:
    """Runs of both rules of a counterexample.

    Attributes
    ----------
    hyperparameters : texts by name, rule b's: those at which it comes nearest to rule a of what was tried.
    runs : one for each run of the counterexample.
    """

    hyperparameters: Mapping[str, str]
    runs: Sequence[ShownRun]

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Shown:
        """Runs from a document, whose shape is checked already (see `certify.schema.validate`)."""
        return cls(document["hyperparameters"], [ShownRun(**run) for run in document["runs"]])

    def document(self) -> dict[str, Any]:
        """The runs as a document of JSON."""
        return documented(self)


class Counterexample(ABC):
    """Base of all counterexamples: a claim that no hyperparameters of rule b make it answer as rule a.

    Attributes
    ----------
    kind : name of the kind in documents.
    hyperparameters : rule a's by name: a text, or a list of one text a step.
    unknown : what rule b's hyperparameters are supposed to be, `CONSTANT` or `SCHEDULED`.
    relaxed : rule b's recurrences whose recursions are not used, so that they may be any functions of t (in documents
        they are ``loose``).
    answers : places of queries, in a type of the kind.
    values : texts of rule a's answers, one for each place.
    unless : texts of factors one of which is zero wherever rule b does answer as rule a; empty where it never does.
    """

    kind: ClassVar[str]
    hyperparameters: Numbers
    unknown: str
    relaxed: Sequence[str]
    answers: Sequence[Any]
    values: Sequence[str]
    unless: Sequence[str] = ()

    @property
    def scheduled(self) -> bool:
        """Whether rule b's hyperparameters are one unknown a step rather than constants."""
        return self.unknown == SCHEDULED

    @property
    def last(self) -> int:
        """The latest step of an answer."""
        return int(max(answer.step for answer in self.answers))

    @property
    def shows_returned(self) -> bool:
        """Whether some answer is a returned point rather than a query."""
        return False

    @property
    def notes(self) -> Sequence[str]:
        """Facts about rule b that the argument needs, in words."""
        return ()

    @abstractmethod
    def runs(self, count: int) -> dict[Place, Run]:
        """Runs that the answers are read from, by place; gradients after the last answer are left out.

        Parameters
        ----------
        count : gradients a step.

        Raises
        ------
        InputError
            If the parts of the counterexample do not fit together.
        """

    @abstractmethod
    def seen_in(self, queries: Queries) -> list[Any]:
        """Answers, in the order of `answers`, from the queries of a rule in the runs of `runs`."""

    def otherwise(self) -> str | None:
        """The only number that rule b's last answer can be if all others are rule a's, in words; None where unknown."""
        return None

    def document(self) -> dict[str, Any]:
        """The counterexample as a document of JSON."""
        return {"kind": self.kind, **documented(self)}

    def told(self, a: Any, b: Any, shown: Shown) -> list[str]:
        """Queries of both rules on the gradients, as lines that a reader can check by hand.

        Parameters
        ----------
        a, b : the rules.
        shown : what both were seen to do.
        """
        returned = self.shows_returned
        does = "returns" if returned else "queries"
        whatever = "schedules" if self.scheduled else "constants"
        lines = [f"{a} at {assignments(_plain(self.hyperparameters)) or 'nothing'}"]
        lines.append(f"{b} at {assignments(shown.hyperparameters) or 'nothing'}, which come nearest of what was tried")
        for run in shown.runs:
            mine, theirs = (_points(points, returned) for points in (run.a, run.b))
            lines.append(f"{run.told}, {a} {does} {mine}, {b} {theirs}")
        if only := self.otherwise():
            lines.append(f"{b}, where it {does} the same otherwise, can only be at {only}")
        lines += [f"to {b} {note}" for note in self.notes]
        factors = [text for text in self.unless if "[" not in text]  # what is given is not zero
        unless = f", unless {' or '.join(factors)} is zero" if factors else ""
        why = f"whatever {whatever} its hyperparameters are{unless}: the algebra is in --json"
        return [*lines, f"{b} cannot answer so, {why}"]


def _plain(values: Numbers) -> dict[str, str]:
    return {k: v if isinstance(v, str) else f"({', '.join(v[:4])}, ...)" for k, v in values.items()}


def _points(shown: Sequence[Sequence[str]], returned: bool) -> str:
    """Points queried step by step, or returned, in one line; of more than `MOST` steps the last ones."""
    before = "..., " if len(shown) > MOST else ""
    return before + ", ".join(row[-1] if returned else " and ".join(row[:-1]) for row in shown[-MOST:])


def fraction(text: str) -> Fraction:
    """Value of a text as a rational number.

    Raises
    ------
    InputError
        If the text is no rational number.
    """
    with suppress(ZeroDivisionError):
        if isinstance(value := evaluated(text, {}), Fraction):
            return value
    raise InputError(f"{text!r} is no rational number")


_CALLED = {"equals": "is", "sign": "is", "relaxed": "loose"}  # in documents, by attribute


def documented(value: Any) -> Any:
    """Dataclasses, named tuples and lists of these as dicts and lists of JSON, attributes named as in documents."""
    if is_dataclass(value):
        return {_CALLED.get(f.name, f.name): documented(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, list | tuple):
        return list(map(documented, value))
    return dict(value) if isinstance(value, Mapping) else value
