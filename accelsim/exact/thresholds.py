"""The first step at which the risk is at most a target, under additive noise, without taking the steps one by one.

Directions are independent there, and after t steps the risk is a bias plus a variance that never falls: V_t =
sum_{s<t} T^s Q T^s' grows with t. So between the steps a and b the risk is at least the variance at a plus the least
bias between them, which the errors at a and b bound from below (`doubling.turning`); where that is above the target,
the target is not reached between them. What is left is halved, down to single steps: the step found is the first one.

Powers T^t are taken by squaring; rounding makes the rate of a direction uncertain by 1e-16, its bias after t steps by
t 1e-16 of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np

from accelsim.errors import InputError
from accelsim.problems import Uncoupled
from accelsim.spectra import Array
from accelsim.symbolic.tableau import Numeric

DOUBLINGS = 26  # of the longest run: 67 million steps


@dataclass(frozen=True)
class Fastest:
    """The rule of a grid that reaches a target first.

    Attributes
    ----------
    steps : that it takes; None where none reaches the target within 2^DOUBLINGS steps.
    place : its place in the grid.
    """

    steps: int | None
    place: int | None


def fastest(
    problem: Uncoupled, rules: Sequence[Numeric], moved: Sequence[int], target: float, batches: Sequence[int]
) -> list[Fastest]:
    """For each batch size, which rule of a grid reaches a target first, and when.

    Parameters
    ----------
    problem : with additive noise, of the variance that a batch of one sample has.
    rules : matrices of one query and at most two states, constant in time.
    moved : 1 for each state that is a position, 0 for memories, which start at zero.
    target : of the risk of what is returned.
    """
    from accelsim.exact import doubling

    if problem.multiplicative:
        raise InputError("crossings without stepping need noise that does not depend on the state: take a quadratic")
    lam, floor = problem.spectrum, problem.floor
    weight = lam * problem.modes(problem.start) ** 2 / 2
    grid = [_numbers(rule, moved) for rule in rules]
    with ThreadPoolExecutor(cpu_count()) as pool:
        curves = np.array(list(pool.map(lambda rule: doubling.curve(lam, weight, floor, rule, DOUBLINGS), grid)))

        def best(batch: int) -> Fastest:
            found = _Race(curves[:, 0], curves[:, 1], curves[:, 2] / batch, target)
            for place in found.order():
                if found.begins[place] < found.limit:
                    rest = lam, weight, floor / batch, grid[place], target, found.limit - 1, DOUBLINGS
                    found.finish(place, doubling.walk(*rest)[0])
            return found.winner()

        return list(pool.map(best, batches))


def _numbers(rule: Numeric, moved: Sequence[int]) -> Array:
    """A by rows, B, C, F and what a translation moves, for two states: a second one of zeros where there is one."""
    k = len(rule.A)
    if k > 2 or len(rule.C) > 1:
        raise InputError("crossings without stepping need rules of one query and at most two states")
    a, vectors = np.zeros((2, 2)), np.zeros((4, 2))
    a[:k, :k] = rule.A
    vectors[:, :k] = rule.B[:, 0], rule.C[0], rule.F[0], np.array(moved)
    return np.concatenate([a.ravel(), vectors.ravel()])


class _Race:
    """Which rules may still be first, from their risks after 1, 2, 4, ... steps, (rules, doublings + 1) each."""

    def __init__(self, bias: Array, least: Array, variance: Array, target: float) -> None:
        self.never = 2 ** bias.shape[1]
        with np.errstate(invalid="ignore"):
            total = bias + variance
            reached = total <= target
            opened = least + variance <= target
        ends = np.where(reached.any(axis=1), 2 ** reached.argmax(axis=1), self.never)
        self.begins = np.where(opened.any(axis=1), 2 ** opened.argmax(axis=1), self.never)
        self.begins[reached[:, 0]] = 0  # perhaps at the start
        self.limit, self.place = int(ends.min()) + 1, -1
        self._lowest = np.nanmin(np.where(np.isnan(total), np.inf, total), axis=1)

    def order(self) -> list[int]:
        """Rules, the most promising ones first."""
        return np.lexsort((self._lowest, self.begins)).tolist()

    def finish(self, place: int, step: int) -> None:
        """Note the step at which a rule reached the target, below the limit, or -1."""
        if step >= 0:
            self.limit, self.place = step, place

    def winner(self) -> Fastest:
        return Fastest(self.limit, self.place) if self.place >= 0 else Fastest(None, None)
