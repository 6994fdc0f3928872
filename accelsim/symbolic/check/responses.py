"""Counterexamples in responses to impulses: queries after a gradient at one step, and what they contradict."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from accelsim.symbolic.check.counterexample import Counterexample, Numbers, Place, Queries, Run, fraction

RETURNED = -1  # in the place of a query's number: what the rule returns before the step


class Response(NamedTuple):
    """Place of an answer to an impulse.

    The answer is the query after a gradient of 1 at one step alone, of which all queries of a linear rule are
    combinations. For a rule that is not linear it is the odd part in one gradient: half the difference between two
    queries, after this gradient and after its negative, over the gradient. Factors that do not see signs are the same
    in both.

    Attributes
    ----------
    step : number of steps before the query.
    query : its number among those of the step; `RETURNED` for the point returned before the step.
    impulse, gradient : step of the gradient, and its number in the step. At step -1 the impulse is a start at 1.
    coordinate : index into `Impulses.gradients`.
    """

    step: int
    query: int
    impulse: int
    gradient: int
    coordinate: int


@dataclass(frozen=True)
class Impulses(Counterexample):
    """Counterexample in answers to impulses.

    Attributes
    ----------
    gradients : texts, shape (coordinates, steps, gradients a step), whose signs are turned one at a time. Empty where
        each impulse is the only gradient.
    alike : indices of that shape: of each gradient of a step, the first one taken at the same point.
    """

    hyperparameters: Numbers
    gradients: Sequence[Sequence[Sequence[str]]]
    alike: Sequence[Sequence[Sequence[int]]]
    unknown: str
    relaxed: Sequence[str]
    answers: Sequence[Response]

    @property
    def shows_returned(self) -> bool:
        """Whether what the rules return is among the answers."""
        return any(answer.query == RETURNED for answer in self.answers)

    def runs(self, count: int) -> dict[Place, Run]:
        """By place, the run of each impulse alone; or the run on `gradients`, and one for each sign that is turned."""
        places = {place for answer in self.answers for place in self._places(answer)}
        return {place: self._run(place, count) for place in sorted(places)}

    def _places(self, answer: Response) -> list[Place]:
        i, impulse = answer.coordinate, (answer.impulse, answer.gradient)
        return [(i, *impulse)] if answer.impulse < 0 or not self.gradients else [(i,), (i, *impulse)]

    def _run(self, place: Place, count: int) -> Run:
        i, *impulse = place
        if impulse and impulse[0] < 0:
            return Run(Fraction(1), ((Fraction(0),) * count,) * (self.last + 1))
        if not self.gradients:
            rows = tuple(tuple(Fraction([t, g] == impulse) for g in range(count)) for t in range(self.last + 1))
            return Run(Fraction(0), rows)
        given = [tuple(map(fraction, row)) for row in self.gradients[i]]
        if impulse:
            t, g = impulse
            firsts = self.alike[i][t]
            given[t] = tuple(-x if first == g else x for first, x in zip(firsts, given[t], strict=True))
        return Run(Fraction(0), tuple(given))

    def seen_in(self, queries: Queries) -> list[Any]:
        """Answers: queries of an impulse alone, or half a difference of two queries over the gradient."""
        return [self._answer(answer, queries) for answer in self.answers]

    def _answer(self, answer: Response, queries: Queries) -> Any:
        seen = [queries[place][answer.step][answer.query] for place in self._places(answer)]
        if len(seen) == 1:
            return seen[0]
        return (seen[0] - seen[1]) / (2 * fraction(self.gradients[answer.coordinate][answer.impulse][answer.gradient]))

    def _told(self, last: int, value: Fraction) -> str:
        """A sentence on the only number that an answer can be."""
        answer = self.answers[last]
        after = f"a gradient of 1 at t = {answer.impulse} alone" if answer.impulse >= 0 else "a start at 1"
        return f"{value} at t = {answer.step} after {after}, not at {Fraction(self.values[last])}"


@dataclass(frozen=True)
class Scale(Impulses):
    """Counterexample by two lengths of a first gradient: to rule b, which is positively homogeneous, they are the same.

    Attributes
    ----------
    lengths : texts of the first gradient, one for each value.
    """

    kind = "scale"

    lengths: Sequence[str]
    values: Sequence[str]

    @property
    def notes(self) -> Sequence[str]:
        """Facts about rule b that the argument uses, in words."""
        return ("gradients of either length are the same",)

    def runs(self, count: int) -> dict[Place, Run]:
        """By (number of the length,), the run on that one gradient and zeros after it."""
        rest = ((Fraction(0),) * count,) * self.last
        return {(n,): Run(Fraction(0), ((fraction(x),) * count, *rest)) for n, x in enumerate(self.lengths)}

    def seen_in(self, queries: Queries) -> list[Any]:
        """The query after each length."""
        return [shown[self.answers[0].step][0] for shown in queries.values()]


@dataclass(frozen=True)
class Minor(Impulses):
    """Counterexample by a Hankel minor, a determinant of answers, which is zero for a rule of fewer memories than rows.

    Attributes
    ----------
    since : steps, none or one, of queries that are subtracted from all others (moves of a translation-equivariant
        rule).
    determinant, other : texts of rule a's number, and of rule b's polynomial in its unknowns.
    unless : texts of the irreducible factors of `other`.
    """

    kind = "minor"

    values: Sequence[str]
    since: Sequence[int]
    determinant: str
    other: str
    unless: Sequence[str]

    def otherwise(self) -> str | None:
        """The only number, in words, that the last answer can be: the determinant is linear in it."""
        if self.gradients:
            return None
        with suppress(ValueError):  # an answer depends on hyperparameters
            values, other = list(map(Fraction, self.values)), Fraction(self.other)
            now = self._minor(values)
            for last in reversed(range(len(values))):
                slope = self._minor([value + (i == last) for i, value in enumerate(values)]) - now
                if slope and self.answers[last].step not in self.since:
                    return self._told(last, values[last] - (now - other) / slope)
        return None

    def _minor(self, values: Sequence[Fraction]) -> Fraction:
        at = {(answer.step, answer.impulse): value for answer, value in zip(self.answers, values, strict=True)}
        columns = sorted({impulse for _, impulse in at})
        rows = sorted({step for step, _ in at} - {*self.since})
        since = {c: sum(at[t, c] for t in self.since) for c in columns}
        return determinant([[at[row, c] - since[c] for c in columns] for row in rows])


@dataclass(frozen=True)
class Identity(Impulses):
    """Counterexample by a Nullstellensatz certificate: a combination of differences of answers that has no zero.

    Attributes
    ----------
    cofactors : texts, one for each answer, of the factor of rule b's answer less rule a's.
    left : text of the combination: 1, or a polynomial without a zero in the ranges of rule b.
    """

    kind = "identity"

    values: Sequence[str]
    cofactors: Sequence[str]
    left: str

    def otherwise(self) -> str | None:
        """The only number, in words, that the last answer with a cofactor can be, if cofactors are numbers."""
        if self.gradients or self.left != "1":
            return None
        with suppress(ValueError):  # an answer or a cofactor depends on hyperparameters
            values, weights = (list(map(Fraction, texts)) for texts in (self.values, self.cofactors))
            last = max((i for i, weight in enumerate(weights) if weight), key=lambda i: self.answers[i].step)
            return self._told(last, values[last] + 1 / weights[last])
        return None


def determinant(rows: Sequence[Sequence[Fraction]]) -> Fraction:
    """Determinant of a square matrix of fractions, by expansion; 1 for an empty one."""
    if not rows:
        return Fraction(1)
    below = [[(row[:j] + row[j + 1 :]) for row in map(list, rows[1:])] for j in range(len(rows))]
    return sum(((-1) ** j * rows[0][j] * determinant(below[j]) for j in range(len(rows))), Fraction(0))
