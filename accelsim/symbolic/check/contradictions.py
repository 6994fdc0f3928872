"""Counterexamples whose algebra derives a contradiction from the queries of both rules as they are, roots included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from accelsim.symbolic.check.counterexample import Counterexample, Numbers, Place, Queries, Run, fraction


class AtLength(NamedTuple):
    """Place of an answer: a query at one step of a sequence of gradients that is multiplied by a length.

    Attributes
    ----------
    step : number of gradients before the query.
    gradients, length : indices into `Itself.gradients` and `Itself.lengths`.
    """

    step: int
    gradients: int
    length: int


class OnSequence(NamedTuple):
    """Place of an answer: a query at one step of a sequence of gradients.

    Attributes
    ----------
    gradients : index of the sequence.
    step : number of gradients before the query.
    """

    gradients: int
    step: int


@dataclass(frozen=True)
class Term:
    """Term of a sum: the polynomial number `of` times the rational function `times` (a text).

    Numbers count the premises first, then the lines of the derivation.
    """

    of: int
    times: str


@dataclass(frozen=True)
class Line:
    """Line of a derivation: the polynomial `equals` (a text), which is the sum of the terms."""

    equals: str
    terms: Sequence[Term]


@dataclass(frozen=True)
class Sign:
    """Sign 1, 0 or -1 of the polynomial `of` (a text) in unknowns and roots."""

    of: str
    sign: int


@dataclass(frozen=True)
class Case:
    """Case of a distinction by signs, with the derivation of 1 from the premises that hold in it."""

    signs: Sequence[Sign]
    lines: Sequence[Line]


@dataclass(frozen=True)
class Itself(Counterexample):
    """Counterexample by a derivation of 1, or of a polynomial without a zero in range, from equal queries of the rules.

    Attributes
    ----------
    gradients : texts, shape (sequences, steps).
    lengths : texts; each sequence is run multiplied by each of them.
    roots : by unknown that stands for a root, the text of its square.
    lines : the derivation. Its premises are the differences of queries, one an answer, then each unknown's square less
        the text in `roots`.
    """

    kind = "itself"

    hyperparameters: Numbers
    unknown: str
    relaxed: Sequence[str]
    gradients: Sequence[Sequence[str]]
    lengths: Sequence[str]
    answers: Sequence[AtLength]
    values: Sequence[str]
    roots: Mapping[str, str]
    lines: Sequence[Line]

    def runs(self, count: int) -> dict[Place, Run]:
        """By (sequence, length), the run of each sequence at each length that an answer is about."""
        rows = [[fraction(text) for text in row] for row in self.gradients]
        lengths = list(map(fraction, self.lengths))
        wanted = {(answer.gradients, answer.length) for answer in self.answers}
        return {
            (i, n): Run(Fraction(0), (*((lengths[n] * g,) for g in rows[i][: self.last]), (Fraction(0),)))
            for i, n in sorted(wanted)
        }

    def seen_in(self, queries: Queries) -> list[Any]:
        """Queries at the places of the answers, in their order."""
        return [queries[answer.gradients, answer.length][answer.step][0] for answer in self.answers]


@dataclass(frozen=True)
class Cases(Counterexample):
    """Counterexample by cases of sign: in each, 1 is derived from equal queries of both rules.

    Attributes
    ----------
    gradients : texts, shape (sequences, steps).
    cases : leaves of a tree in which the sign of one polynomial after the other is decided.
    """

    kind = "cases"

    hyperparameters: Numbers
    unknown: str
    relaxed: Sequence[str]
    gradients: Sequence[Sequence[str]]
    answers: Sequence[OnSequence]
    values: Sequence[str]
    cases: Sequence[Case]

    def runs(self, count: int) -> dict[Place, Run]:
        """By (sequence,), the run of each sequence."""
        rows = [tuple((fraction(text),) for text in row) for row in self.gradients]
        return {(i,): Run(Fraction(0), (*row, (Fraction(0),))) for i, row in enumerate(rows)}

    def seen_in(self, queries: Queries) -> list[Any]:
        """Queries at the places of the answers, in their order."""
        return [queries[(answer.gradients,)][answer.step][0] for answer in self.answers]
