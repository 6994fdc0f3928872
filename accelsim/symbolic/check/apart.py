"""Counterexamples of one run: for a rule b without a hyperparameter left to choose, queries that differ suffice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from accelsim.errors import InputError
from accelsim.symbolic.check.contradictions import OnSequence
from accelsim.symbolic.check.counterexample import Counterexample, Numbers, Place, Queries, Run, Shown, fraction
from accelsim.symbolic.system.pair import Pair
from accelsim.symbolic.system.rule_sequences import independent


@dataclass(frozen=True)
class Apart(Counterexample):
    """Gradients after which the queries of two rules differ, rule b having no hyperparameter left to choose.

    Attributes
    ----------
    gradients : texts of numbers, shape (1, steps): the one sequence of gradients.
    """

    kind = "apart"

    hyperparameters: Numbers
    unknown: str
    relaxed: Sequence[str]
    gradients: Sequence[Sequence[str]]
    answers: Sequence[OnSequence]
    values: Sequence[str] = ()

    def runs(self, count: int) -> dict[Place, Run]:
        """The one run, from w = 0 (see `Counterexample.runs`)."""
        if len(self.gradients) != 1:
            raise InputError(f"there must be one sequence of gradients, not {len(self.gradients)}")
        (row,) = self.gradients
        return {(0,): Run(Fraction(0), (*((fraction(text),) * count for text in row), (Fraction(0),) * count))}

    def seen_in(self, queries: Queries) -> list[Any]:
        """The query after the last gradient, in a list of one (see `Counterexample.seen_in`)."""
        return [queries[0,][answer.step][0] for answer in self.answers]

    def told(self, a: Any, b: Any, shown: Shown) -> list[str]:
        """Sentences that tell the queries of both rules on the gradients, in numbers."""
        *lines, _ = super().told(a, b, shown)
        return [line.replace(", which come nearest of what was tried", "") for line in lines]


def left_to_choose(pair: Pair) -> list[str]:
    """Names still unknown of rule b: hyperparameters that are not given, and its recurrences that are free."""
    return [name for name in independent(pair.b, {*pair.set_b, *pair.free}) if name not in pair.set_b]
