"""Pairs of rules and their settings, of which it is asked, claimed or refuted that the second is the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from accelsim.errors import unknown
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.system.rule_sequences import recurrences
from accelsim.symbolic.system.specialization import restricted


@dataclass(frozen=True)
class Pair:
    """Two rules and their settings. The question is if b, at some choice of its hyperparameters, is a.

    Attributes
    ----------
    a, b : the rules; switches of `b` are at its defaults.
    set_a, set_b : hyperparameters that are known: numbers, or schedules written in t.
    returned : whether returned points are compared, beside the points where gradients are taken.
    varying : hyperparameters of `a` that are unknown functions of t.
    free : recurrences of either rule that are any functions of t; the others follow their recursions.

    Raises
    ------
    InputError
        Where a name in `free` is no recurrence.
    """

    a: Optimizer
    b: Optimizer
    set_a: Mapping[str, Any] = field(default_factory=dict)
    set_b: Mapping[str, Any] = field(default_factory=dict)
    returned: bool = False
    varying: tuple[str, ...] = ()
    free: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        own = {name: rule for rule in (self.a, self.b) for name in recurrences(rule)}
        for name in self.free:
            if name not in own:
                raise unknown(f"recurrence of {self.a} or {self.b}:", name, own)

    @property
    def functions(self) -> tuple[str, ...]:
        """Rule a's hyperparameters that are functions of t: `varying`, and its recurrences."""
        return (*self.varying, *recurrences(self.a, self.set_a))

    @property
    def anything(self) -> tuple[str, ...]:
        """Rule a's hyperparameters that are arbitrary functions of t."""
        return (*self.varying, *(name for name in recurrences(self.a, self.set_a) if name in self.free))

    @property
    def derived(self) -> tuple[str, ...]:
        """Rule b's hyperparameters that follow a recursion, being neither free nor given."""
        return tuple(recurrences(self.b, {*self.free, *self.set_b}))

    @property
    def replaced(self) -> tuple[str, ...]:
        """Rule b's recurrences that are given, though they are not free."""
        return tuple(name for name in recurrences(self.b, self.free) if name in self.set_b)


@dataclass(frozen=True)
class Relation:
    """Relation of the given sequences of two rules: the second rule's, other formulas, as multiples of the first's.

    Attributes
    ----------
    values : by hyperparameter of the second rule in these formulas, its value (SymPy) in those of the first.
    scales : by given sequence, the second rule's over the first rule's (SymPy).
    nonlinear : by nonlinear state of the second rule, a text in the first rule's.
    recursions : of the functions of t in all these.
    back : by such a function, its value at t - 1 in that at t.
    """

    values: Mapping[str, Any]
    scales: Mapping[str, Any]
    nonlinear: Mapping[str, str]
    recursions: Recursions
    back: Mapping[Any, Any]


@dataclass(frozen=True)
class Question(Pair):
    """Pair as the finder is asked about it.

    Attributes
    ----------
    forced : by hyperparameter of `set_b` that admits no other value, the reason in words.
    relation : of given sequences, to be used; None where there is none.
    """

    forced: Mapping[str, str] = field(default_factory=dict)
    relation: Relation | None = None

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Assumptions of every answer, in words."""
        known = [f"{name} = {value}" for name, value in self.set_a.items()]
        theirs = [f"{k} = {v} in {self.b}{self.forced.get(k, '')}" for k, v in self.set_b.items()]
        own = recurrences(self.a, {*self.set_a, *self.anything})
        freed = recurrences(self.b, {*self.set_b, *self.derived})
        theirs += [f"{name} of {self.b} is any function of t" for name in freed]
        theirs += [f"{k} of {self.b} is {v}" for k, v in recurrences(self.b).items() if k in self.derived]
        points = "the points where gradients are taken"
        compared = f"{points} and what is returned" if self.returned else f"{points} (what is returned is not compared)"
        return (
            *known,
            *theirs,
            *(f"{name} is any function of t" for name in dict.fromkeys(self.anything)),
            *(f"{name} is {value}" for name, value in own.items()),
            f"compared: {compared}",
            "coordinate by coordinate, from the same start, on the same gradients",
        )

    def at(self, first: bool, values: Mapping[str, str]) -> Question:
        """Question with hyperparameters of the first rule, or of the second, replaced by texts in its others."""
        fixed = restricted(self.a if first else self.b, values)
        left = {*recurrences(fixed), *recurrences(self.b if first else self.a)}
        free = tuple(name for name in self.free if name in left)
        if not first:
            return replace(self, b=fixed, free=free)
        varying = tuple(name for name in self.varying if name not in values)
        return replace(self, a=fixed, varying=varying, free=free)
