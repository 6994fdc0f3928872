"""Search for the least value of a function of hyperparameters: many starts, one budget, the same from one seed.

A turn screens points of a Halton sequence; simplex searches (Nelder and Mead) run from the best that lie apart, and the
better half of them goes on, round by round, until one is left; the best place of all turns is then polished. Turns
start anew, and grow. Two such searches, which know nothing of each other, show how far the answer may be
trusted. `benchmarks/searches.py` compares turns with other methods.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from accelsim.errors import InputError, unknown
from accelsim.rule import Optimizer
from accelsim.spectra import Array

SMALLEST, LARGEST = 1e-8, 1e6  # of positive hyperparameters, in units of 1 and of 1/lam_max, whichever is further
NEAREST = 1e-8  # to an open bound
_ROUNDED, _POLISHED = (50, 133), (50, 100)  # evaluations of the first turn, of the second, which doubles after
_SEVERAL = 3  # times as many where there are several axes
_USUAL = 3.0  # decades from 1, from 1/lam_max or from a bound, where best values mostly are
_SCREENED = 0.2  # of a turn's rounds
_ENDS = 3  # of that many points screened, one is moved onto an end, and one is anywhere, the others where it is usual
_STARTS = 8  # at most, fewer where each would get less than
_LEAST = 15  # evaluations an axis in a round
_ROUNDS = 6  # parts of what is left, of which a round takes one while there are several starts
_SIZES = 1.0, 0.5, 0.2, 0.1, 0.03, 0.01  # of the simplex of each round, in decades
_FINE = 0.5, 0.2, 0.1, 0.05, 0.02, 0.01  # and of those that polish
_EACH, _FEWEST = 25, 40  # evaluations an axis in each of these, and in all
_APART = 0.1  # of the box: starts closer than this are one
_NOTHING = 1e-12  # no difference
_HOLDS = 1e-6  # of a value: what a second route may add to it
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
    usual : intervals of the coordinate where best values mostly are.
    """

    value: Callable[[float], float]
    low: float
    high: float
    closed: tuple[float, ...] = ()
    usual: tuple[tuple[float, float], ...] = ()

    def drawn(self, share: float, usual: bool) -> float:
        """The coordinate at a share, in [0, 1], of the length of the usual intervals, or of all."""
        intervals = (usual and self.usual) or ((self.low, self.high),)
        length = share * sum(high - low for low, high in intervals)
        for low, high in intervals:
            if length <= high - low:
                break
            length -= high - low
        return min(low + length, high)


def axis(optimizer: Optimizer, name: str, scale: float) -> Axis:
    """Coordinate in which a hyperparameter is searched, from its declared range.

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
    least, most = math.log10(min(1, 1 / scale)), math.log10(max(1, 1 / scale))
    near, far = math.log10(SMALLEST) + least, math.log10(LARGEST) + most
    usual = least - _USUAL, most + _USUAL / 2
    if math.isfinite(low) and math.isfinite(high):
        return _between(low, high, declared.open_low, declared.open_high)
    if math.isfinite(low):
        closed = () if declared.open_low else (near,)
        return Axis(lambda x: low + _length(x, near) if closed else low + 10**x, near, far, closed, (usual,))
    if math.isfinite(high):
        closed = () if declared.open_high else (near,)
        return Axis(lambda x: high - _length(x, near) if closed else high - 10**x, near, far, closed, (usual,))
    reach, (least, most) = far - near, (end - near for end in usual)
    signed = (-most, -least), (least, most)
    return Axis(lambda x: math.copysign(10 ** (abs(x) + near), x) if x else 0.0, -reach, reach, (), signed)


def _length(x: float, near: float) -> float:
    """The distance from a closed bound: zero at the end of the coordinate."""
    return 10**x if x > near else 0.0


def _between(low: float, high: float, open_low: bool, open_high: bool) -> Axis:
    width, near = high - low, math.log10(NEAREST)
    if open_low != open_high:
        start, sign = (high, -width) if open_high else (low, width)
        return Axis(lambda x: start + sign * 10**x, near, 0, (0,), ((-_USUAL, 0),))
    closed = () if open_low else (near, -near)

    def value(x: float) -> float:
        if x in closed:
            return low if x < 0 else high
        return low + width / (1 + 10**-x)

    return Axis(value, near, -near, closed, ((-_USUAL, _USUAL),))


@dataclass(frozen=True)
class Found:
    """The least value found.

    Attributes
    ----------
    place : where.
    value : there.
    evaluations : how many were made.
    edges : the axes at whose ends the place is.
    alone : the least values that two searches found, each by itself; infinite without an evaluation.
    turns : how often both, at least, searched from new starts.
    """

    place: Array
    value: float
    evaluations: int
    edges: tuple[int, ...]
    alone: tuple[float, float]
    turns: int = 0


class Interrupted(KeyboardInterrupt):
    """An interrupt of a search, with the least value found until then."""

    def __init__(self, found: Found) -> None:
        super().__init__()
        self.found = found


class Ended(Exception):
    """Raised by an objective that is not to be asked again: the search ends with what it has found."""


class _Spent(Exception):
    """A budget is used up."""


class _Run:
    """A search with a budget of evaluations, and the best place it has seen."""

    def __init__(self, objective: Objective, axes: Sequence[Axis], budget: int) -> None:
        self.objective, self.axes, self.left = objective, axes, budget
        self.box = np.array([(a.low, a.high) for a in axes])
        self.place, self.value, self.turns, self.spent = np.empty(0), math.inf, 0, 0

    def __call__(self, place: Array) -> float:
        if not self.left:
            raise _Spent
        self.left -= 1
        value = self.objective(place)
        self.spent += 1
        if value < self.value or not self.place.size:
            self.place, self.value = place.copy(), value
        return value

    def cut(self, seed: list[int]) -> None:
        """Explore until the budget is used up, or the objective ends it."""
        with suppress(_Spent, Ended):
            self.explore(seed)

    def explore(self, seed: list[int]) -> None:
        """Turn after turn."""
        for turn in itertools.count():
            growth, which = (_SEVERAL if len(self.axes) > 1 else 1) * 2 ** max(turn - 1, 0), min(turn, 1)
            self.rounds(_ROUNDED[which] * growth, [*seed, turn])
            self.turns += 1
            self.polish(_POLISHED[which] * growth)

    def rounds(self, left: int, seed: list[int]) -> None:
        """Rounds of simplex searches from many starts, within a number of evaluations, about."""
        points = _points(int(_SCREENED * left), self.axes, seed)
        starts = _apart([(self(point), point) for point in points], self.box)
        left, least = left - len(points), _LEAST * len(self.box)
        starts = starts[: max(1, left // (2 * least))]
        for turn in itertools.count():
            share = max(least, left // _ROUNDS // len(starts)) if len(starts) > 1 else math.ceil(left / 2)
            if share <= len(self.box) + 1:
                break
            after = []
            for start in starts:
                value, place, spent = self.descend(*start, _SIZES[min(turn, len(_SIZES) - 1)], share)
                after.append((value, place))
                left -= spent
            starts = sorted(after, key=lambda one: one[0])[: math.ceil(len(starts) / 2)]

    def polish(self, left: int) -> None:
        """Simplex searches from the best place, of many sizes: where a function has edges, one alone gets stuck."""
        for size in itertools.cycle(_FINE):
            share = min(max(_EACH * len(self.box), _FEWEST), left)
            if share <= len(self.box) + 1:
                break
            left -= self.descend(self.value, self.place, size, share)[-1]

    def descend(self, value: float, place: Array, size: float, budget: int) -> tuple[float, Array, int]:
        """The best value and place of a simplex search from a place, with a new simplex, and its evaluations."""
        from scipy.optimize import Bounds, minimize

        inward = np.where(place + size > self.box[:, 1], -size, size)
        simplex = np.vstack([place, place + np.diag(inward)])
        options: Any = dict(initial_simplex=simplex, maxfev=budget, xatol=1e-6 * size, fatol=1e-12)
        found = minimize(self, place, method="Nelder-Mead", bounds=Bounds(*self.box.T), options=options)
        return (float(found.fun), found.x, found.nfev) if found.fun < value else (value, place, found.nfev)


def search(objective: Objective, axes: Sequence[Axis], budget: int, seed: int, known: Found | None = None) -> Found:
    """The least value of a function on the axes' coordinates, of two searches with half of the budget each.

    What is evaluated next depends on the values before, never on the budget, which only cuts: a larger one finds
    nothing worse.

    Parameters
    ----------
    objective : may be called from two threads at once; smaller is better, never NaN.
    budget : evaluations, at least 1; never exceeded.
    seed : of the points that are drawn.
    known : where the first of the two searches starts from, too.

    Returns
    -------
    Found
        The better of the two ends.

    Raises
    ------
    Interrupted
        With what was found, where there is something; else a plain KeyboardInterrupt.
    InputError
        If the objective ended the search before anything was evaluated.
    """
    closings = _ends(axes)[: budget - 1]
    left = budget - len(closings)
    runs = _Run(objective, axes, left - left // 2), _Run(objective, axes, left // 2)
    if known:
        runs[0].place, runs[0].value = known.place, known.value
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(run.cut, [seed, which]) for which, run in enumerate(runs)]
        interrupted = False
        try:
            wait(jobs, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            for run in runs:  # an interrupt, or an error in one, ends both
                run.left = 0
    for error in filter(None, (job.exception() for job in jobs)):
        if not isinstance(error, KeyboardInterrupt):
            raise error
        interrupted = True
    best, evaluations = min(runs, key=lambda run: run.value), sum(run.spent for run in runs)
    if not best.place.size:
        raise KeyboardInterrupt if interrupted else InputError("nothing was computed in the time given: give it more")
    whole = evaluations == left
    place = _closed(best, closings) if whole else best.place
    alone, turns = (runs[0].value, runs[1].value), min(run.turns for run in runs)
    evaluations += len(closings) if whole else 0
    found = Found(place, best.value, evaluations, _at_edges(place, best.box), alone, turns)
    if interrupted:
        raise Interrupted(found)
    return found


def _points(count: int, axes: Sequence[Axis], seed: list[int]) -> Array:
    """Points of a Halton sequence, some of them moved onto ends.

    The first search draws most of them in the usual intervals, the second, as `seed` numbers them, all anywhere.
    """
    from scipy.stats import qmc

    shares = qmc.Halton(len(axes), rng=np.random.default_rng(seed)).random(count).tolist()
    points = np.array(
        [
            [a.drawn(share, seed[1] == 0 and place % _ENDS > 0) for a, share in zip(axes, row, strict=True)]
            for place, row in enumerate(shares)
        ]
    )
    for point, (k, end) in zip(points[1::_ENDS], itertools.cycle(_ends(axes)), strict=False):
        point[k] = end
    return points


def _ends(axes: Sequence[Axis]) -> list[tuple[int, float]]:
    return [(k, end) for k, a in enumerate(axes) for end in a.closed]


def _apart(starts: list[tuple[float, Array]], box: Array) -> list[tuple[float, Array]]:
    """The best values and places of which no two are close, best first."""
    chosen: list[tuple[float, Array]] = []
    for value, place in sorted(starts, key=lambda one: one[0]):
        width = np.maximum(box[:, 1] - box[:, 0], sys.float_info.min)  # an axis may be a single place
        if all(np.abs((place - other) / width).max() > _APART for _, other in chosen):
            chosen.append((value, place))
        if len(chosen) == _STARTS:
            break
    return chosen


def _closed(run: _Run, closings: list[tuple[int, float]]) -> Array:
    """The best place, moved onto the ends where that changes nothing: what does not pull away from one sits on it.

    A better value there is not taken, which a larger budget, without these evaluations, might not find.
    """
    place, value = run.place, run.value
    with suppress(Ended):
        for k, end in closings:
            there = place.copy()
            there[k] = end
            if abs(run.objective(there) - value) <= _NOTHING:
                place = there
    return place


def _at_edges(place: Array, box: Array) -> tuple[int, ...]:
    return tuple(int(k) for k in np.flatnonzero(np.abs(box - place[:, None]).min(axis=1) < _EDGE))


def confirmed(
    found: Found, tried: Sequence[tuple[float, Array]], axes: Sequence[Axis], again: Callable[[Array, float], float]
) -> Found:
    """The best of what was tried when it is computed by a second route.

    What was found holds if its value by the second route is no larger. Otherwise the values tried are taken as if from
    some place on, in order, all of them held (by doubling, then by halving), unless one that was computed again is
    better still.
    """
    if again(found.place, found.value) <= found.value + _HOLDS:
        return found
    ordered = sorted(tried, key=lambda one: (one[0], one[1].tolist()))
    true: dict[int, float] = {}

    def holds(index: int) -> bool:
        value, place = ordered[index]
        true[index] = again(place, value)
        return true[index] <= value + _HOLDS

    last, step = -1, 0
    while step < len(ordered) and not holds(step):
        if min(true.values()) <= ordered[min(step + 1, len(ordered) - 1)][0]:
            break
        last, step = step, 2 * step + 1
    while step - last > 1 and step < len(ordered):
        middle = (step + last) // 2
        last, step = (last, middle) if holds(middle) else (middle, step)
    best = min(true, key=lambda index: (true[index], index))
    place = ordered[best][1]
    box = np.array([(a.low, a.high) for a in axes])
    return replace(found, place=place, value=true[best], edges=_at_edges(place, box))
