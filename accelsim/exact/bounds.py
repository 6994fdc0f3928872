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
_LEAST = 1e-300
_WIDER = 4  # factor from one width to the next where a side is not certain
_PART = 1 / 16  # of the unit of rounding: that of a rotated row, in parts of its length
_TURNS = 100  # guesses
_FARTHEST = 1e300


class Enclosure(NamedTuple):
    """rho - 1 and numbers that are certified not to be above and not below it."""

    gap: float
    low: float
    high: float


def enclosed(judge: Judge, guess: float) -> Enclosure:
    """The narrowest enclosure of rho - 1 that a judge certifies around the place that a guess leads to.

    Its width is 4e-7 of rho - 1 where rounding allows, else at most four times the least at which both sides are certified.
    `high` is infinite where nothing is certified to be above.
    """
    low, high = -1.0, math.inf
    poles: dict[float, float] = {}
    guess = max(guess, -1.0)
    stuck = 0
    for _ in range(_TURNS):
        width, up, down = _NEAR * max(abs(guess), _LEAST), False, False
        before = high - low
        while not (up and down):
            for sign, known in ((1, up), (-1, down)):
                mu = guess + sign * width
                if known or not low < mu < high:
                    up, down = up or sign > 0, down or sign < 0
                    continue
                side, poles[mu] = judge(mu)
                if side == ABOVE:
                    high = mu
                elif side == BELOW:
                    low = mu
                up, down = up or (sign > 0 and side == ABOVE), down or (sign < 0 and side == BELOW)
                if side == -sign:
                    break
            else:
                width *= _WIDER
                if width < _FARTHEST:
                    continue
            break
        else:
            return Enclosure(guess, low, high)
        if width >= _FARTHEST:
            return Enclosure(guess, low, high)
        stuck = stuck + 1 if high - low > before / 2 else 0
        guess = _next(low, high, poles, stuck > 1)
    return Enclosure(min(max(guess, low), high), low, high)


def _next(low: float, high: float, poles: dict[float, float], halve: bool) -> float:
    """A guess between two numbers: where the pole is if it is a simple one, or halfway."""
    if high == math.inf:
        return low + 8 * max(abs(low), 1e-3)
    a, b = poles.get(low, math.nan), poles.get(high, math.nan)
    if not halve and a < 0 < b:
        return low + (high - low) * (1 / a) / (1 / a - 1 / b)
    if low < 0 < high:
        return 0.0 if low < -1e-18 and high > 1e-18 and -low / high not in (1,) and 0.0 not in poles else (low + high) / 2
    if max(abs(low), abs(high)) > 4 * max(min(abs(low), abs(high)), 1e-18):
        return math.copysign(math.sqrt(max(abs(low), 1e-18) * max(abs(high), 1e-18)), low + high)
    return (low + high) / 2


def judge_uncoupled(system: System, step: Array, problem: Uncoupled) -> Judge:
    """The judge of a constant system on a problem without coupling; `step` is A - I."""
    try:
        matrices = [np.ascontiguousarray(a, dtype=float) for a in (step, *system[1:4])]
    except OverflowError:  # of fractions
        return lambda mu: (UNKNOWN, math.nan)
    arrays = [np.ascontiguousarray(a, dtype=float) for a in (problem.spectrum, problem.own, problem.left, problem.right)]
    ends = np.cumsum(system.stages)
    coupled = bool((problem.left * problem.right).any())
    return lambda mu: cone.judged(mu, *arrays, *matrices, ends, coupled)


class CoupledJudge:
    """The judge of a constant system on a table, whose rows couple all eigendirections.

    Parameters
    ----------
    system, step : in floats; step is A - I.
    solve : from mu and moments (k, k, m, m) a solution X of (1 + mu) X - L(X) = moments, as good as it gets.
    """

    def __init__(self, system: System, step: Array, problem: Dataset, solve: Callable[[float, Array], Array]) -> None:
        self.system, self.step, self.problem, self.solve = system, step, problem, solve
        k, lam = len(step), problem.spectrum
        _, b, c, d, _, _ = system
        self.scale = np.ones((k, lam.size))
        for i, one in enumerate(lam):
            units = np.empty(k)
            cone.scales(one, step, b, c, units)
            self.scale[:, i] = units
        self.bars = System(*(np.abs(matrix) for matrix in system[:5]), system.stages)
        rows = len(problem.features)
        self.unit = 2.0**-53 * (16 * (k + len(c) + 4) + 2 * lam.size + rows / 4)

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
        sizes = increment(_Majorant(self.problem), self.bars, np.abs(self.step), np.abs(witness))
        x, rest = self._flat(witness), self._flat(mu * witness - moved)
        error = self.unit * self._flat(abs(mu) * np.abs(witness) + sizes).sum(axis=1).max()
        if not (np.isfinite(x).all() and np.isfinite(rest).all() and math.isfinite(error)):
            return UNKNOWN, math.nan
        trace, n = float(np.trace(x)), len(x)
        if not np.linalg.eigvalsh(rest)[0] > error + 4 * n * 2.0**-53 * np.abs(rest).max() * n:
            return UNKNOWN, trace
        least, margin = np.linalg.eigvalsh(x)[0], 4 * n * 2.0**-53 * np.abs(x).sum(axis=1).max()
        return (ABOVE if least > margin else BELOW if least < -margin else UNKNOWN), trace

    def _flat(self, second: Array) -> Array:
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
