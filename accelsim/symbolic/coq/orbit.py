"""Runs in which the hypotheses of a theorem hold: along recursions, a divisor may be zero in all of them.

A theorem about all sequences that are never zero says nothing of one that is. So its hypotheses are evaluated along the
recursions, at random hyperparameters.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from accelsim.language import inexact
from accelsim.program import Node, evaluate, exact
from accelsim.symbolic.check.runs import STEPS, Replay

TRIES = 20  # draws of hyperparameters, one of which has to do


@dataclass(frozen=True)
class Recursion:
    """Recursion of a sequence, or definition of one that only reads others, in nodes at step t.

    Attributes
    ----------
    name : of the sequence.
    start : its value at t = 0; None for a definition.
    value : its value at t + 1 in values at t; for a definition, its value at t.
    form : its closed form at t; None where none is known.
    """

    name: str
    start: Node | None
    value: Node
    form: Node | None = None


class Orbit:
    """Values of sequences in a run: by their recursions, all others as a replay draws them.

    Parameters
    ----------
    recursions : by name.
    """

    def __init__(self, replay: Replay, recursions: Mapping[str, Recursion]) -> None:
        self.replay, self.recursions = replay, recursions
        self._known: dict[tuple[str, int], Any] = {}

    def at(self, node: Node, t: int) -> Any:
        """Value of a node at step t."""

        def leaf(node: Node) -> Any:
            if node.op == "step":
                return Fraction(t)
            if node.op == "first":
                return t + node.value == 0
            if node.op == "sequence":
                name, k = node.value
                return self._value(name, t + k)
            return self._free(node.value, t) if node.op == "hyperparameter" else exact(node.value)

        return evaluate(node, leaf, inexact, {})

    def _free(self, name: str, t: int) -> Any:
        """Value that a replay has drawn; any number for other names."""
        return self.replay.at(name, t) if name in self.replay.names else random.Random(name).randint(2, 99)

    def _value(self, name: str, t: int) -> Any:
        if name not in self.recursions or t < 0:  # before the first step it may be anything
            return self._free(name, t)
        if (name, t) not in self._known:
            each = self.recursions[name]
            if each.start is None:
                self._known[name, t] = self.at(each.value, t)
            else:
                self._known[name, t] = self.at(each.value, t - 1) if t else self.at(each.start, 0)
        return self._known[name, t]


def ever_hold(replays: Iterable[Replay], recursions: Iterable[Recursion], divisors: list[Node]) -> bool:
    """Existence of a run in which no divisor is zero at any of its steps."""
    named = {each.name: each for each in recursions}
    for replay in replays:
        orbit = Orbit(replay, named)
        with suppress(ArithmeticError, ValueError, TypeError):
            if all(orbit.at(node, t) != 0 for node in divisors for t in range(STEPS)):
                return True
    return False
