"""The first step at which the risk is at most a target.

Under additive noise it is found without taking the steps one by one. Directions are independent there, and after t
steps the risk is a bias plus a variance that never falls: V_t = sum_{s<t} T^s Q T^s' grows with t. So between the
steps a and b the risk is at least the variance at a plus the least bias between them, which the errors at a and b
bound from below (`doubling.turning`); where that is above the target, the target is not reached between them. What is
left is halved, down to single steps: the step found is the first one.

Powers T^t are taken by squaring; rounding makes the rate of a direction uncertain by 1e-16, its bias after t steps by
t 1e-16 of itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.exact.moments import Reference, starts
from accelsim.exact.tables import Tables
from accelsim.problems import Problem, Uncoupled
from accelsim.spectra import Array
from accelsim.symbolic.tableau import Numeric, Tableau

DOUBLINGS = 26  # of the longest run: 67 million steps
_CHUNK = 1024  # steps of a schedule at once


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


@dataclass(frozen=True)
class Arrival:
    """Where a run reaches a target.

    Attributes
    ----------
    steps : the first step at which the risk is at most the target; None where there is none up to the limit.
    before, risk : the risk a step earlier, and then; at the limit where the target is not reached.
    diverged : the step at which moments left the range of float64, None where they did not.
    """

    steps: int | None
    before: float
    risk: float
    diverged: int | None = None


def arrival(problem: Problem, tableau: Tableau, values: dict[str, Any], target: float, limit: int) -> Arrival:
    """The first step, at most limit, at which the risk of what is returned is at most a target.

    Parameters
    ----------
    tableau : of a linear rule.
    values : its hyperparameters.
    """
    tables = Tables(tableau, values)
    if not isinstance(problem, Uncoupled) or len(tables.take(0).C[0]) > 1:
        return _stepped_by_reference(problem, tables, target, limit)
    small = len(tableau.states) <= 2 and not any(tableau.start) and not tables.take(0).drives
    if small and tables.constant and not problem.multiplicative:
        return _without_stepping(problem, tableau, values, target, limit)
    return _stepped(problem, tables, target, limit)


def _without_stepping(
    problem: Uncoupled, tableau: Tableau, values: dict[str, Any], target: float, limit: int
) -> Arrival:
    from accelsim.exact import doubling

    rule = _numbers(next(tableau.rows(**values)), tableau.translation)
    weight = problem.spectrum * problem.modes(problem.start) ** 2 / 2
    doublings = min(DOUBLINGS, limit.bit_length())
    step, before, risk = doubling.walk(problem.spectrum, weight, problem.floor, rule, target, limit, doublings)
    if not math.isfinite(risk):
        return Arrival(None, before, math.inf, limit)
    return Arrival(step if step >= 0 else None, before, risk)


def _stepped(problem: Uncoupled, tables: Tables, target: float, limit: int) -> Arrival:
    from accelsim.exact import doubling

    second = np.ascontiguousarray(starts(tables.tableau, problem, False).second.transpose(2, 0, 1))
    noise = np.array([problem.spectrum, problem.own, problem.left, problem.right, problem.floor])
    done, before = 0, math.inf
    while True:
        count = limit - done if tables.constant else min(_CHUNK, limit - done)
        a, b, c, _, f, _ = tables.take(count)
        step, earlier, risk = doubling.step_until(second, a, b[:, :, 0], c[:, 0], f[:, 0], noise, target, count)
        before = before if step == 0 else earlier
        if step == -2:
            return Arrival(None, before, math.inf, done + int(risk))
        if step >= 0:
            return Arrival(done + step, before, risk)
        done, before = done + count, earlier
        if done == limit:
            return Arrival(None, before, risk)


def _stepped_by_reference(problem: Problem, tables: Tables, target: float, limit: int) -> Arrival:
    """By NumPy, for rules of several queries and problems that couple directions."""
    run, before = Reference(problem, starts(tables.tableau, problem, False), True), math.inf
    for step in range(limit + 1):
        risk = float(problem.spectrum @ run.directions(tables.take(0).at(0).F[0]) / 2)
        if risk <= target:
            return Arrival(step, before, risk)
        if step == limit:
            break
        before = risk
        if run.advance(tables.take(1), 1) is not None:
            return Arrival(None, before, math.inf, step + 1)
    return Arrival(None, before, risk)


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
