"""Search for the least value of a function of hyperparameters: many starts, one budget, the same from one seed.

Points of a Halton sequence are screened; simplex searches (Nelder and Mead) run from the best that lie apart, and the
better half of them goes on, round by round, until one is left with what remains of the budget.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim.errors import InputError, unknown
from accelsim.optimizer import Optimizer
from accelsim.spectra import Array

SMALLEST, LARGEST = 1e-8, 1e6  # of positive hyperparameters, in units of 1 and of 1/lam_max, whichever is further
NEAREST = 1e-8  # to an open bound
_SCREENED = 0.2  # of the budget
_STARTS = 8  # at most, fewer where each would get less than
_LEAST = 15  # evaluations an axis in a round
_ROUNDS = 6  # parts of what is left, of which a round takes one while there are several runs
_SIZES = 1.0, 0.5, 0.2, 0.1, 0.03, 0.01  # of the simplex of each round, in decades; the last goes on
_APART = 0.1  # of the box: starts closer than this are one
_NOTHING = 1e-12  # gained in a round: enough
_EDGE = 1e-3  # of the search, in decades

Objective = Callable[[Array], float]


@dataclass(frozen=True)
class Axis:
    """A hyperparameter in the coordinate in which the search moves.

    Attributes
    ----------
    value : the hyperparameter at a coordinate.
    low, high : the coordinate's bounds.
    closed : the bounds among them at which the hyperparameter has a bound that its declared range holds.
    """

    value: Callable[[float], float]
    low: float
    high: float
    closed: tuple[float, ...] = ()


def axis(optimizer: Optimizer, name: str, scale: float) -> Axis:
    """How a hyperparameter is searched, from its declared range.

    Between two bounds in the logarithm of the distance from the nearer one (from the open one where only one is
    open), above or below one bound in the logarithm of the distance from it, else in the logarithm of either sign.

    Parameters
    ----------
    scale : largest eigenvalue of the Hessian, in whose inverse step sizes are measured.

    Raises
    ------
    InputError
        If there is no such hyperparameter, or if it is a switch.
    """
    if name not in optimizer.hyperparameters:
        raise unknown(f"hyperparameter of {optimizer}:", name, optimizer.hyperparameters)
    declared = optimizer.hyperparameters[name]
    if declared.switch:
        raise InputError(f"{name} of {optimizer} is a whole number, which is not tuned: set it instead")
    low, high = declared.low, declared.high
    near, far = math.log10(SMALLEST * min(1, 1 / scale)), math.log10(LARGEST * max(1, 1 / scale))
    if math.isfinite(low) and math.isfinite(high):
        return _between(low, high, declared.open_low, declared.open_high)
    if math.isfinite(low):
        closed = () if declared.open_low else (near,)
        return Axis(lambda x: low + _length(x, near) if closed else low + 10**x, near, far, closed)
    if math.isfinite(high):
        closed = () if declared.open_high else (near,)
        return Axis(lambda x: high - _length(x, near) if closed else high - 10**x, near, far, closed)
    reach = far - near
    return Axis(lambda x: math.copysign(10 ** (abs(x) + near), x) if x else 0.0, -reach, reach)


def _length(x: float, near: float) -> float:
    """The distance from a closed bound: zero at the end of the coordinate."""
    return 10**x if x > near else 0.0


def _between(low: float, high: float, open_low: bool, open_high: bool) -> Axis:
    width, near = high - low, math.log10(NEAREST)
    if open_low != open_high:
        start, sign = (high, -width) if open_high else (low, width)
        return Axis(lambda x: start + sign * 10**x, near, 0, (0,))
    closed = () if open_low else (near, -near)

    def value(x: float) -> float:
        if x in closed:
            return low if x < 0 else high
        return low + width / (1 + 10**-x)

    return Axis(value, near, -near, closed)


@dataclass(frozen=True)
class Found:
    """The least value found, where, after how many evaluations, and the axes at whose ends that is."""

    place: Array
    value: float
    evaluations: int
    edges: tuple[int, ...]


class _Run:
    """A place to go on from, with what it took to get there."""

    def __init__(self, place: Array, value: float) -> None:
        self.place, self.value, self.spent = place, value, 0

    def descend(self, objective: Objective, box: Array, size: float, budget: int) -> _Run:
        """Go on with a new simplex of a size."""
        from scipy.optimize import Bounds, minimize

        inward = np.where(self.place + size > box[:, 1], -size, size)
        simplex = np.vstack([self.place, self.place + np.diag(inward)])
        options: Any = dict(initial_simplex=simplex, maxfev=budget, xatol=1e-6 * size, fatol=1e-12)
        found = minimize(objective, self.place, method="Nelder-Mead", bounds=Bounds(*box.T), options=options)
        new = _Run(found.x, float(found.fun)) if found.fun < self.value else _Run(self.place, self.value)
        new.spent = found.nfev
        return new


def search(objective: Objective, axes: Sequence[Axis], budget: int, seed: int) -> Found:
    """The least value of a function on the axes' coordinates.

    Parameters
    ----------
    objective : may be called from several threads at once; smaller is better, never NaN.
    budget : evaluations, at least 1; never exceeded.
    seed : of the sequence of points.
    """
    box = np.array([(a.low, a.high) for a in axes])
    closings = [(k, end) for k, a in enumerate(axes) for end in a.closed]
    left = max(1, budget - len(closings))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        points = _screen(len(axes), max(1, int(_SCREENED * left)), box, seed)
        runs = _apart([_Run(p, v) for p, v in zip(points, pool.map(objective, points), strict=True)], box)
        left -= len(points)
        least = _LEAST * len(axes)
        runs = runs[: max(1, left // (2 * least))]
        for turn in itertools.count():
            size = _SIZES[min(turn, len(_SIZES) - 1)]
            share = max(least, left // _ROUNDS // len(runs)) if len(runs) > 1 else math.ceil(left / 2)
            if share <= len(axes) + 1:
                break
            before = runs[0].value
            jobs = [pool.submit(run.descend, objective, box, size, share) for run in runs]
            runs = sorted((job.result() for job in jobs), key=lambda run: run.value)
            left -= sum(run.spent for run in runs)
            if size == _SIZES[-1] and before - runs[0].value <= _NOTHING:
                break
            runs = runs[: math.ceil(len(runs) / 2)]
    spent = max(1, budget - len(closings)) - left
    return _closed(objective, runs[0], box, closings[: budget - spent], spent)


def _screen(dimension: int, count: int, box: Array, seed: int) -> Array:
    from scipy.stats import qmc

    return qmc.scale(qmc.Halton(dimension, rng=np.random.default_rng(seed)).random(count), *box.T)


def _apart(runs: list[_Run], box: Array) -> list[_Run]:
    """The best runs of which no two are close, best first."""
    chosen: list[_Run] = []
    for run in sorted(runs, key=lambda run: run.value):
        if all(np.abs((run.place - other.place) / (box[:, 1] - box[:, 0])).max() > _APART for other in chosen):
            chosen.append(run)
        if len(chosen) == _STARTS:
            break
    return chosen


def _closed(objective: Objective, run: _Run, box: Array, closings: list[tuple[int, float]], spent: int) -> Found:
    """Moved onto the bounds where that costs nothing: what does not pull away from its bound sits on it."""
    place, least = run.place, run.value
    for k, end in closings:
        there = place.copy()
        there[k] = end
        value = objective(there)
        if value <= least + _NOTHING:
            place, least = there, value
    return Found(place, least, spent + len(closings), _at_edges(place, box))


def _at_edges(place: Array, box: Array) -> tuple[int, ...]:
    return tuple(int(k) for k in np.flatnonzero(np.abs(box - place[:, None]).min(axis=1) < _EDGE))


def confirmed(
    found: Found, tried: Sequence[tuple[float, Array]], axes: Sequence[Axis], holds: Callable[[Array, float], bool]
) -> Found | None:
    """What was found if it holds, else the best of what was tried that does; None where that is none.

    The values tried are taken as if from some place on, in order, all of them held: by doubling, then by halving.
    """
    if holds(found.place, found.value):
        return found
    ordered = sorted(tried, key=lambda one: (one[0], one[1].tolist()))
    last, step = -1, 0
    while step < len(ordered) and not holds(ordered[step][1], ordered[step][0]):
        last, step = step, 2 * step + 1
    if step >= len(ordered):
        return None
    while step - last > 1:
        middle = (step + last) // 2
        last, step = (last, middle) if holds(ordered[middle][1], ordered[middle][0]) else (middle, step)
    value, place = ordered[step]
    box = np.array([(a.low, a.high) for a in axes])
    return Found(place, value, found.evaluations, _at_edges(place, box))
