"""What the finder is asked, and what every answer to it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.check.equivalence import Equivalence
from accelsim.symbolic.system.rule_sequences import recurrences
from accelsim.symbolic.system.specialization import specialized


@dataclass(frozen=True)
class Relation:
    """What makes given sequences of the second rule multiples of the first one's, though other formulas (SymPy).

    Attributes
    ----------
    values : hyperparameters of the second rule, in those of the first.
    scales : by name, each sequence of the second rule over the first one's.
    nonlinear : states of the second rule that are not linear in those of the first, as a claim writes them.
    recursions : of functions in all that.
    back : what each of these functions was a step before, in its value at t.
    """

    values: Mapping[str, Any]
    scales: Mapping[str, Any]
    nonlinear: Mapping[str, str]
    recursions: Recursions
    back: Mapping[Any, Any]


@dataclass(frozen=True)
class Question:
    """What `equivalent` is asked; switches of `b` are its defaults.

    Attributes
    ----------
    forced : hyperparameters among `set_b` that have no other choice, and why.
    relation : of given sequences, where there is one that is to be used.
    free : recurrences of either rule that are any functions of t.
    """

    a: Optimizer
    b: Optimizer
    set_a: Mapping[str, Any]
    set_b: Mapping[str, Any]
    returned: bool
    varying: tuple[str, ...]
    forced: Mapping[str, str] = field(default_factory=dict)
    relation: Relation | None = None
    free: tuple[str, ...] = ()

    @property
    def claim(self) -> Equivalence:
        """A claim without a map and a transform, which knows what is free and what follows a recurrence."""
        claim = Equivalence(self.a, self.b, {}, {}, varying=self.varying, given=self.set_a, free=self.free)
        return replace(claim, replaced=tuple(name for name in claim.derived if name in self.set_b))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What every answer is about."""
        known = [f"{name} = {value}" for name, value in self.set_a.items()]
        theirs = [f"{k} = {v} in {self.b}{self.forced.get(k, '')}" for k, v in self.set_b.items()]
        claim = self.claim
        own = recurrences(self.a, {*self.set_a, *claim.anything})
        freed = recurrences(self.b, {*self.set_b, *claim.derived})
        theirs += [f"{name} of {self.b} is any function of t" for name in freed]
        theirs += [f"{k} of {self.b} is {v}" for k, v in recurrences(self.b).items() if k in claim.derived]
        points = "the points where gradients are taken"
        compared = f"{points} and what is returned" if self.returned else f"{points} (what is returned is not compared)"
        return (
            *known,
            *theirs,
            *(f"{name} is any function of t" for name in dict.fromkeys(claim.anything)),
            *(f"{name} is {value}" for name, value in own.items()),
            f"compared: {compared}",
            "coordinate by coordinate, from the same start, on the same gradients",
        )

    def at(self, first: bool, values: Mapping[str, str]) -> Question:
        """The question with hyperparameters of the first or the second rule written in its others."""
        fixed = specialized(self.a if first else self.b, values)
        left = {*recurrences(fixed), *recurrences(self.b if first else self.a)}
        free = tuple(name for name in self.free if name in left)
        if not first:
            return replace(self, b=fixed, free=free)
        varying = tuple(name for name in self.varying if name not in values)
        return replace(self, a=fixed, varying=varying, free=free)
