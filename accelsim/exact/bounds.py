"""Two-sided bounds on rates: mu = rho - 1 enclosed between numbers whose side of it is certified.

A judge certifies on which side of rho - 1 a number is (`cone`), or that it cannot tell. A solver's rate is a guess: the
enclosure holds however it was found, and where the guess is wrong the judge leads to the right one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from accelsim.exact import cone, moments
from accelsim.exact.cone import ABOVE, BELOW, UNKNOWN
from accelsim.exact.moments import Moments
from accelsim.exact.tables import System
from accelsim.problems import Uncoupled
from accelsim.problems.dataset import Dataset
from accelsim.spectra import Array

Judge = Callable[[float], tuple[int, float]]  # the side that mu is on, and a number that has a pole at rho - 1

_NEAR = 2e-7  # of rho - 1: where it is first looked for beside the guess
_LEAST = 1e-300  # of rho - 1: in its place where the guess is 0
_UNIT = 2.0**-53  # of rounding
_WIDER = 2  # factor from one width to the next where a side is not certain
_PART = 1 / 16  # of the rounding counted: that of rotated rows in their lengths, of singular values in the largest
_TURNS = 100  # guesses
_TINY = 1e-18  # of rho - 1: where halving orders of magnitude ends
_FARTHEST = 1e300


class Enclosure(NamedTuple):
    """rho - 1 and numbers that are certified not to be above and not below it."""

    gap: float
    low: float
    high: float


def enclosed(judge: Judge, guess: float) -> Enclosure:
    """The narrowest enclosure of rho - 1 that a judge certifies around the place that a guess leads to.

    Its width is 4e-7 of rho - 1 where rounding allows, else at most twice the least at which both sides are
    certified. `high` is infinite where nothing is certified to be above.
    """
    search = _Search(judge)
    mu, idle = max(guess, -1.0), 0
    for _ in range(_TURNS):
        before = search.high - search.low
        if search.around(mu):
            break
        idle = idle + 1 if search.high - search.low > before / 2 else 0
        mu = search.next(halve=idle > 1)
    search.decide()
    return Enclosure(min(max(mu, search.low), search.high), search.low, search.high)


class _Search:
    """What is certified so far: rho - 1 lies from `low` to `high`."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.low, self.high = judge, -1.0, math.inf
        self.poles: dict[float, float] = {}

    def around(self, guess: float) -> bool:
        """Look on both sides, closely first, until both are certified; False if rho - 1 is seen to be elsewhere."""
        width, known = _NEAR * max(abs(guess), _LEAST), {ABOVE: False, BELOW: False}
        while not all(known.values()) and width < _FARTHEST:
            for side in (ABOVE, BELOW):
                mu = guess + side * width
                if known[side] or not self.low < mu < self.high:
                    known[side] = True
                    continue
                seen = self._looked(mu)
                if seen == -side:
                    return False
                known[side] = seen == side
            width *= _WIDER
        return True

    def decide(self) -> None:
        """Look at rho = 1 itself where it is not decided."""
        if self.low < 0 < self.high:
            self._looked(0.0)

    def _looked(self, mu: float) -> int:
        side, self.poles[mu] = self.judge(mu)
        if side == ABOVE:
            self.high = mu
        elif side == BELOW:
            self.low = mu
        return side

    def next(self, halve: bool) -> float:
        """A guess between the two: where the judge's number has a pole if it is a simple one, or halfway."""
        low, high = self.low, self.high
        if high == math.inf:
            return low + 8 * max(abs(low), 1e-3)
        below, above = self.poles.get(low, math.nan), self.poles.get(high, math.nan)
        if not halve and below < 0 < above:
            return low + (high - low) * (1 / below) / (1 / below - 1 / above)
        if low < 0 < high:
            return 0.0 if 0.0 not in self.poles else (low + high) / 2
        near, far = sorted((max(abs(low), _TINY), max(abs(high), _TINY)))
        return math.copysign(math.sqrt(near * far), low + high) if far > 4 * near else (low + high) / 2


def judge_uncoupled(system: System, step: Array, problem: Uncoupled) -> Judge:
    """The judge of a constant system on a problem without coupling; `step` is A - I."""
    try:
        rule = _numbers(system, step)
    except OverflowError:  # of fractions
        return lambda mu: (UNKNOWN, math.nan)
    directions = problem.spectrum, problem.own, problem.left, problem.right
    arrays = tuple(np.ascontiguousarray(values, dtype=float) for values in directions)
    coupled = bool((problem.left * problem.right).any())
    return lambda mu: cone.judged(mu, arrays, rule, coupled)  # type: ignore[arg-type]


def _numbers(system: System, step: Array) -> cone.Rule:
    a, b, c, d = (np.ascontiguousarray(matrix, dtype=float) for matrix in (step, system.B, system.C, system.D))
    return a, b, c, d, np.cumsum(system.stages)


class CoupledJudge:
    """The judge of a constant system on a table, whose rows couple all eigendirections.

    Parameters
    ----------
    system, step : in floats; step is A - I.
    solve : from mu and moments (k, k, m, m) a solution X of (1 + mu) X - L(X) = moments, as good as it gets.
    """

    def __init__(self, system: System, step: Array, problem: Dataset, solve: Callable[[float, Array], Array]) -> None:
        self.system, self.step, self.problem, self.solve = system, step, problem, solve
        k, m = len(step), problem.spectrum.size
        self.scale = np.empty((k, m))
        cone.scales(problem.spectrum, _numbers(system, step), self.scale)
        self.sizes = system.each(np.abs)
        # of sums over states, over eigendirections twice, and over rows, which BLAS adds up in four at least
        self.unit = _UNIT * (4 * (k + system.B.shape[1] + 4) + 2 * m + len(problem.features) / 4)

    @property
    def units(self) -> Array:
        """S^2 as moments (k, k, m, m)."""
        k, m = self.scale.shape
        found = np.zeros((k, k, m, m))
        states, modes = np.ogrid[:k, :m]
        found[states, states, modes, modes] = self.scale**2
        return found

    def __call__(self, mu: float) -> tuple[int, float]:
        """The side of rho - 1 that mu is on, and the scaled trace of the witness."""
        with np.errstate(all="ignore"):
            try:
                witness = self.solve(mu, self.units)
            except np.linalg.LinAlgError:
                return UNKNOWN, math.nan
            return self.proved(mu, (witness + witness.transpose(1, 0, 3, 2)) / 2)

    def proved(self, mu: float, witness: Array) -> tuple[int, float]:
        """What a witness (k, k, m, m) proves; see `cone`."""
        moved = increment(self.problem, self.system, self.step, witness)
        sizes = increment(_Majorant(self.problem), self.sizes, np.abs(self.step), np.abs(witness))
        x, rest = self.flat(witness), self.flat(mu * witness - moved)
        error = self.unit * self.flat(abs(mu) * np.abs(witness) + sizes).sum(axis=1).max()
        if not (np.isfinite(x).all() and np.isfinite(rest).all() and math.isfinite(error)):
            return UNKNOWN, math.nan
        trace, n = float(np.trace(x)), len(x)
        if not np.linalg.eigvalsh(rest)[0] > error + 4 * n**2 * _UNIT * np.abs(rest).max():
            return UNKNOWN, trace
        least, margin = np.linalg.eigvalsh(x)[0], 4 * n * _UNIT * np.abs(x).sum(axis=1).max()
        return (ABOVE if least > margin else BELOW if least < -margin else UNKNOWN), trace

    def flat(self, second: Array) -> Array:
        """Scaled moments as a matrix (k m, k m)."""
        scaled = second / (self.scale[:, None, :, None] * self.scale[None, :, None, :])
        size = self.scale.size
        return scaled.transpose(0, 2, 1, 3).reshape(size, size)


def increment(problem: Any, system: System, step: Array, second: Array) -> Array:
    """L(X) - X for moments X (k, k, m, m) by one application of the moments' own map, without lasting noise."""
    k, m = second.shape[1:3]
    wide, kept = np.hstack([step, system.B]), np.eye(k, k + system.B.shape[1])
    z = moments.with_gradients(problem, system, Moments(second, np.zeros((k, m))), False).second
    once = moments.mapped_pair(wide, z, kept)
    return once + once.transpose(1, 0, 3, 2) + moments.mapped_pair(wide, z, wide)


class _Majorant:
    """A table whose numbers are sizes, with the rounding that rotated rows and their singular values have."""

    coupled = True

    def __init__(self, problem: Dataset) -> None:
        self.problem = problem
        self.spectrum = problem.spectrum + _PART * np.sqrt(problem.spectrum * problem.spectrum.max())

    def noise(self, second: Array, mean: Array, noisy: bool) -> Array:
        return self.problem.noise_size(second, _PART)
