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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from os import cpu_count
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.exact.adjoint import swept
from accelsim.exact.moments import Reference, starts
from accelsim.exact.tables import Moments, System, Tables
from accelsim.problems import Problem, Uncoupled
from accelsim.spectra import Array
from accelsim.symbolic.system.tableau import Numeric, Tableau

DOUBLINGS = 26  # of the longest run: 67 million steps
LOST = 1e-12  # of the moments that a risk is computed from: below is rounding
_CALM = 1e6  # times the risk: moments on the way below that leave it more digits than are asked for
KEPT = 1e-3  # relative difference of two runs of unlike rounding, from which on no digit is to be trusted
_SWEPT = 1 << 14  # steps by the adjoint where there is a way without any
_CHUNK = 1024  # steps of a schedule at once
_CALLS, _ENTRY = 2e-4, 1e-7  # seconds of a step in extended precision: by calls, and by entry of the moments


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
    """First rule of a grid to reach a target risk, for each batch size.

    Parameters
    ----------
    problem : with additive noise, of the variance of a batch of one sample.
    rules : matrices of one query and at most two states, constant in time.
    moved : 1 for each state that is a position, 0 for memories, which start at zero.
    target : risk of the returned point.
    batches : batch sizes.

    Returns
    -------
    One entry for each batch size: the number of steps, and the place of the rule in the grid.

    Raises
    ------
    InputError
        For a problem whose noise depends on the state.
    """
    from accelsim.exact.long_runs import doubling

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
    """First step at which the risk of a run is at most a target.

    Attributes
    ----------
    steps : the first step at which the risk is at most the target; None where there is none up to the limit.
    before, risk : the risk a step earlier, and then; at the limit where the target is not reached.
    diverged : the step at which moments left the range of float64, None where they did not.
    lost : whether rounding leaves no digit of a risk that would be the answer.
    swollen : largest moments on the way, of what is returned term by term and of the positions, over the risk; infinite
        where that is not looked at.
    """

    steps: int | None
    before: float
    risk: float
    diverged: int | None = None
    lost: bool = False
    swollen: float = math.inf


def arrival(problem: Problem, tableau: Tableau, values: dict[str, Any], target: float, limit: int) -> Arrival:
    """The first step, at most limit, at which the risk of what is returned is at most a target.

    It is lost in rounding where coefficients that are each off by their rounding give another risk at that step, which
    is looked at where moments were far larger on the way.

    Parameters
    ----------
    tableau : of a linear rule.
    values : its hyperparameters.
    """
    found = _arrival(problem, tableau, values, target, limit, _same)
    if not found.steps:
        return found
    return _kept(found, lambda: _arrival(problem, tableau, values, -1.0, found.steps or 0, rounded))


def risk_after(problem: Problem, tableau: Tableau, values: dict[str, Any], steps: int) -> Arrival:
    """The risk after a number of steps, lost or not as in `arrival`.

    Under additive noise it comes from the adjoint, which keeps digits that second moments lose; there `diverged` counts
    from the last step.
    """
    tables = Tables(tableau, values) if _additive(problem) else None
    if tables and (steps <= _SWEPT or not unstepped(problem, tables)):
        systems, mean = _seen(tables.take(steps), tableau), _start(problem, tableau, np.float64).mean
        return _kept(_swept(problem, systems, mean, steps), lambda: _swept(problem, rounded(systems), mean, steps))
    found = _arrival(problem, tableau, values, -1.0, steps, _same)
    return _kept(found, lambda: _arrival(problem, tableau, values, -1.0, steps, rounded))


def _kept(found: Arrival, again: Callable[[], Arrival]) -> Arrival:
    """An arrival, marked as lost where another order of rounding gives a different one."""
    if found.diverged is not None or found.lost or found.swollen < _CALM:
        return found
    other = again()
    kept = other.diverged is None and not other.lost and alike(found.risk, other.risk)
    return found if kept else Arrival(None, found.before, math.inf, lost=True)


def _additive(problem: Problem) -> bool:
    return isinstance(problem, Uncoupled) and not problem.multiplicative


Change = Callable[[System], System]


def _same(systems: System) -> System:
    return systems


def rounded(systems: System) -> System:
    """Systems whose entries are each off by their rounding, up or down by chance."""
    factors = iter(_chance(tuple(matrix.shape for matrix in systems[:5])))
    return systems.each(lambda matrix: matrix * next(factors))


@lru_cache(maxsize=8)
def _chance(shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    chance = np.random.default_rng(0)
    return [1 + np.finfo(float).eps * chance.choice([-1, 1], shape) for shape in shapes]


def alike(one: float, other: float, part: float = KEPT) -> bool:
    """Whether two risks of unlike rounding are the same but for a part, and neither is one that no risk can be."""
    return min(one, other) >= 0 and abs(one - other) <= part * max(one, other)


def _swept(problem: Any, systems: System, mean: Array, steps: int) -> Arrival:
    found = swept(problem, systems, mean, steps)
    return Arrival(None, math.inf, found.risk, found.overflow)


def _arrival(
    problem: Problem, tableau: Tableau, values: dict[str, Any], target: float, limit: int, change: Change
) -> Arrival:
    """As `arrival`, of systems changed, in one run."""
    tables = Tables(tableau, values)
    if not isinstance(problem, Uncoupled) or tableau.gradients > 1:
        return _stepped_by_reference(problem, tables, target, limit, change)
    if unstepped(problem, tables):
        return _without_stepping(problem, tables, target, limit, change)
    return _stepped(problem, tables, target, limit, change)


def unstepped(problem: Problem, tables: Tables) -> bool:
    """Whether an arrival takes no steps one by one, so that long runs cost as little as short ones."""
    tableau = tables.tableau
    small = len(tableau.states) <= 2 and tableau.gradients == 1 and not any(tableau.start)
    return small and _additive(problem) and tables.constant and not tables.take(0).drives


def confirmed(
    problem: Problem, tableau: Tableau, values: dict[str, Any], target: float, limit: int, seconds: float
) -> Arrival | None:
    """As `arrival`, in extended precision by NumPy; None where that takes longer than some seconds, about."""
    if _reference_seconds(starts(tableau, problem, False).second, limit) > seconds:
        return None
    return _by_reference(problem, tableau, _extended(tableau, values, limit).at, target, limit, np.longdouble)


def confirmed_risk(
    problem: Problem, tableau: Tableau, values: dict[str, Any], steps: int, seconds: float
) -> Arrival | None:
    """As `risk_after`, in extended precision by NumPy; None where that takes longer than some seconds, about."""
    if not _additive(problem):
        return confirmed(problem, tableau, values, -1.0, steps, seconds)
    mean = _start(problem, tableau, np.longdouble).mean
    if _reference_seconds(mean, steps) > seconds:
        return None
    return _swept(problem, _extended(tableau, values, steps), mean, steps)


def _reference_seconds(carried: Array, steps: int) -> float:
    return steps * (_CALLS + carried.size * _ENTRY)


def _extended(tableau: Tableau, values: dict[str, Any], limit: int) -> System:
    """Systems of all steps as `_seen` sees them, in extended precision but for recurrences."""
    tables = Tables(tableau, values)
    first, count = tables.take(0), 1 if tables.constant else max(limit, 1)
    if tables.recurrent:
        systems = tables.take(count)
    else:
        systems = tables.at(np.arange(1, count + 1, dtype=np.longdouble))
        systems = systems if tables.constant else first.each(lambda *both: np.concatenate(both), systems)
    return _seen(systems, tableau)


def _without_stepping(problem: Uncoupled, tables: Tables, target: float, limit: int, change: Change) -> Arrival:
    a, b, c, d, f, _ = change(_seen(tables.take(0), tables.tableau)).at(0)
    seen = Numeric(a[:-1, :-1], b[:-1], c[:, :-1], d, f[:, :-1])
    return Squared(problem, tables.tableau).run(seen, target, limit)


class Squared:
    """Runs, without stepping, of rules that `unstepped` holds for."""

    def __init__(self, problem: Uncoupled, tableau: Tableau) -> None:
        self.problem, self.moved = problem, np.eye(len(tableau.states))[tableau.translation.index(1)]
        self.weight = problem.spectrum * problem.modes(problem.start) ** 2 / 2

    def run(self, seen: Numeric, target: float, limit: int) -> Arrival:
        """The first step at which the risk is at most a target, from a step in the coordinates of `_seen`."""
        from accelsim.exact.long_runs import doubling

        rule, doublings = _numbers(seen, self.moved), min(DOUBLINGS, limit.bit_length())
        problem = self.problem
        step, before, risk = doubling.walk(problem.spectrum, self.weight, problem.floor, rule, target, limit, doublings)
        if not math.isfinite(risk):
            return Arrival(None, before, math.inf, limit)
        return Arrival(step if step >= 0 else None, before, risk, lost=risk < 0)


def _stepped(
    problem: Uncoupled, tables: Tables, target: float, limit: int, change: Change, carries_origin: bool = False
) -> Arrival:
    from accelsim.exact.long_runs import doubling

    tableau = tables.tableau
    kept = slice(None if carries_origin else -1)
    second = doubling.filled(_start(problem, tableau, np.float64).second[kept, kept])
    noise = doubling.filled(np.array([problem.spectrum, problem.own, problem.left, problem.right, problem.floor]))
    places = np.array([*tableau.translation, 0.0])[kept]
    done, before, largest = 0, math.inf, 0.0
    while True:
        count = limit - done if tables.constant else min(_CHUNK, limit - done)
        systems = change(_seen(tables.take(count), tableau))
        if systems.drives and not carries_origin:
            return _stepped(problem, Tables(tableau, tables.values), target, limit, change, True)
        a, b, c, _, f, _ = systems
        a, b, c, f = map(np.ascontiguousarray, (a[:, kept, kept], b[:, kept, 0], c[:, 0, kept], f[:, 0, kept]))
        step, earlier, risk, terms = doubling.step_until(second, a, b, c, f, places, noise, target, count, LOST)
        before, largest = before if step == 0 else earlier, max(largest, terms)
        swollen = largest / risk if risk > 0 else math.inf
        if step == -2:
            return Arrival(None, before, math.inf, done + int(risk))
        if step == -3:
            return Arrival(None, before, math.inf, lost=True)
        if step >= 0:
            return Arrival(done + step, before, risk, swollen=swollen)
        done, before = done + count, earlier
        if done == limit:
            return Arrival(None, before, risk, swollen=swollen)


def _stepped_by_reference(problem: Problem, tables: Tables, target: float, limit: int, change: Change) -> Arrival:
    """By NumPy, for rules of several queries and problems that couple directions."""
    begin, systems = 0, change(_seen(tables.take(0), tables.tableau))
    fixed = systems.at(0) if tables.constant else None

    def at(step: int) -> System:
        nonlocal begin, systems
        if not fixed and step >= begin + len(systems.A):
            begin = tables.step
            systems = change(_seen(tables.take(min(_CHUNK, limit - begin)), tables.tableau))
        return fixed or systems.at(step - begin)

    return _by_reference(problem, tables.tableau, at, target, limit, np.float64)


def _by_reference(
    problem: Problem, tableau: Tableau, at: Callable[[int], System], target: float, limit: int, precision: type
) -> Arrival:
    """From the systems of all steps as `_seen` sees them."""
    run, before = Reference(problem, _start(problem, tableau, precision), True), math.inf
    for step in range(limit + 1):
        system = at(step)
        risk = float(problem.spectrum @ run.directions(system.F[0]) / 2)
        if risk <= target or step == limit:
            if risk < LOST * _terms(problem, tableau, run, system.F[0]):
                return Arrival(None, before, math.inf, lost=True)
            return Arrival(step if risk <= target else None, before, risk)
        before = risk
        if run.advance(system.each(lambda matrix: matrix[None]), 1) is not None:
            return Arrival(None, before, math.inf, step + 1)
    raise AssertionError("the last step returns")


def _terms(problem: Problem, tableau: Tableau, run: Reference, row: Array) -> float:
    """Size of the terms that a risk is a sum of: moments of the terms of the returned point, and of the positions."""
    weights = row**2 + [*tableau.translation, 0]
    each = zip(weights, np.eye(len(row)), strict=True)
    return float(sum(weight * (problem.spectrum @ run.directions(one)) / 2 for weight, one in each))


def _start(problem: Problem, tableau: Tableau, precision: type) -> Moments:
    """Moments before the first step of what `_seen` sees."""
    mean = _turned(tableau)[0] @ starts(tableau, problem, False).mean.astype(precision)
    second = mean[:, None, :, None] * mean[None, :, None, :] if problem.coupled else mean[:, None] * mean[None]
    return Moments(second, mean)


def _seen(systems: System, tableau: Tableau) -> System:
    """Systems seen from the first position: it, the others' distances from it, memories and w*.

    Positions that are far from w* together leave no digits to differences of their moments.
    """
    into, back = _turned(tableau)
    first = tableau.translation.index(1)
    a, b, c, d, f, stages = systems
    drive = a[..., -1] * [*[1] * len(tableau.states), 0]
    moved = into @ a @ back, c @ back, f @ back
    # what these columns are but for rounding
    moved[0][..., first] = np.eye(len(into))[first] + drive @ into.T
    moved[1][..., first], moved[2][..., first] = 1 + c[..., -1], 1 + f[..., -1]
    return System(moved[0], into @ b, moved[1], d, moved[2], stages)


def _turned(tableau: Tableau) -> tuple[Array, Array]:
    """The change to the coordinates of `_seen`, and back."""
    one, first = np.array([*tableau.translation, 0.0]), tableau.translation.index(1)
    into, back = np.eye(len(one)), np.eye(len(one))
    into[:, first] = -one
    into[first, first], back[:, first] = 1, one
    return into, back


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
