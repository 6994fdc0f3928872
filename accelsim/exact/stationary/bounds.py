"""Two-sided bounds on rates: mu = rho - 1 enclosed between numbers whose side of it is certified.

A judge certifies on which side of rho - 1 a number is (`cone`), or that it cannot tell. A solver's rate is a guess: the
enclosure holds however it was found, and where the guess is wrong the judge leads to the right one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from accelsim.exact import moments
from accelsim.exact.stationary import cone, jury
from accelsim.exact.stationary.bins import Bins
from accelsim.exact.stationary.cone import ABOVE, BELOW, UNKNOWN
from accelsim.exact.tables import Moments, System, mapped_pair
from accelsim.problems import Uncoupled
from accelsim.problems.dataset import Dataset
from accelsim.spectra import Array

Sides = Callable[[float], tuple[int, float]]  # the side that mu is on, and a number that has a pole at rho - 1

_NEAR = 2e-7  # of rho - 1: where it is first looked for beside the guess
_LEAST = 1e-300  # of rho - 1: in its place where the guess is 0
_UNIT = 2.0**-53  # of rounding
_WIDER = 2  # factor from one width to the next where a side is not certain
_PART = 1 / 16  # of the rounding counted: that of rotated rows in their lengths, of singular values in the largest
_TURNS = 100  # guesses
_TINY = 1e-18  # of rho - 1: where halving orders of magnitude ends
_FARTHEST = 1e300
_MANY = 800  # directions from which on bins of them are worth a try
_NOTHING = 1e-30  # of the largest entry, in the units of the states: what an entry that is zero is taken for


class Enclosure(NamedTuple):
    """rho - 1 and numbers that are certified not to be above and not below it."""

    gap: float
    low: float
    high: float


def enclosed(judge: Sides, guess: float) -> Enclosure:
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

    def __init__(self, judge: Sides) -> None:
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


class Judge:
    """What certifies the side of rho - 1 that a number is on, and how far moments are from a fixed point.

    Attributes
    ----------
    system, step : a constant system in floats; step is A - I.
    problem : the problem.
    unit : of the rounding that is counted, relative to sizes.
    solve : from mu and moments, as those of the problem, X with (1 + mu) X - L(X) = moments, as good as it gets.
    """

    unit: float
    solve: Callable[[float, Array], Array]

    def __init__(self, system: System, step: Array, problem: Uncoupled | Dataset) -> None:
        self.system = system.each(lambda matrix: np.ascontiguousarray(matrix, dtype=float))
        self.step = np.ascontiguousarray(step, dtype=float)
        self.problem = problem
        self.sizes = self.system.each(np.abs)
        self.rule = self.step, *self.system[1:4], np.cumsum(system.stages)

    def __call__(self, mu: float) -> tuple[int, float]:
        """Side of rho - 1 on which a number lies (`ABOVE`, `BELOW`, `UNKNOWN`), and a better guess of rho - 1."""
        """The side of rho - 1 that mu is on, and the scaled trace of the witness, which has a pole at rho - 1."""
        raise NotImplementedError

    @cached_property
    def majorant(self) -> Any:
        """The problem with sizes for its numbers, those of its rounding included."""
        raise NotImplementedError

    @cached_property
    def scale(self) -> Array:
        """(k, m), the units S of the states."""
        scale = np.empty((len(self.step), self.problem.spectrum.size))
        cone.scales(self.problem.spectrum, self.rule, scale)
        return scale

    @property
    def units(self) -> Array:
        """S^2 as moments."""
        return self._diagonal(self.scale**2)

    def _diagonal(self, values: Array) -> Array:
        """Moments with values (k, m) on their diagonal."""
        k, m = values.shape
        states, modes = np.ogrid[:k, :m]
        found = np.zeros((k, k, m, m) if self.problem.coupled else (k, k, m))
        found[(states, states, modes, modes)[: found.ndim]] = values
        return found

    def _rest(self, x: Array, forcing: Array) -> tuple[Array, Array]:
        """forcing - (X - L(X)), and the sizes of its entries with their rounding."""
        found = forcing + increment(self.problem, self.system, self.step, x)
        sizes = np.abs(forcing) + increment(self.majorant, self.sizes, np.abs(self.step), np.abs(x))
        return found, np.abs(found) + self.unit * sizes

    def _spread(self, sizes: Array, by: Array) -> Array:
        """Values (k, m) u with -diag(u) <= R <= diag(u) for all symmetric R of such sizes, for any weights by > 0."""
        return by * np.einsum("abij,bj->ai" if self.problem.coupled else "abi,bi->ai", sizes, 1 / by)

    def settled(self, forcing: Array) -> tuple[Array, Array]:
        """X with X - L(X) = forcing, and D with -D <= X - (the exact one) <= D, where rho < 1 is certain.

        With a residual of X between -U and U, and W - L(W) >= U / 2, D = 2 W; U is diagonal, of the size of each
        entry's own rounding.

        Raises
        ------
        numpy.linalg.LinAlgError
            If nothing is found that proves it.
        """
        x = self.solve(0.0, forcing)
        x = x + self.solve(0.0, self._rest(x, forcing)[0])
        sizes = self._rest(x, forcing)[1]
        if not sizes.any():
            return x, 0 * x
        own = moments.diagonal(sizes)
        own = own + _NOTHING * (own / self.scale**2).max() * self.scale**2
        if not own.all():
            raise np.linalg.LinAlgError("units are beyond the range of float64")
        least = np.maximum(self._spread(sizes, np.sqrt(own)), own)
        witness = self.solve(0.0, self._diagonal(least))
        root = np.sqrt(least)
        if not (self._spread(self._rest(witness, self._diagonal(least))[1], root) <= least / 2).all():
            raise np.linalg.LinAlgError("too close to an eigenvalue")
        return x, 2 * witness


class UncoupledJudge(Judge):
    """The judge of a constant system on a problem without coupling: by few directions if they decide, else by all."""

    problem: Uncoupled

    def __init__(self, system: System, step: Array, problem: Uncoupled) -> None:
        super().__init__(system, step, problem)
        lam, own, left, right = (
            np.ascontiguousarray(values, dtype=float)
            for values in (problem.spectrum, problem.own, problem.left, problem.right)
        )
        self.arrays, self.solve = (lam, own, left, right), self._solved
        self.shared = bool(left.any() and right.any())
        k, gradients = self.system.B.shape
        self.unit = _UNIT * (4 * (k + gradients + 4) + lam.size / 4)
        self.least = _reach(self.step)

    @cached_property
    def ends(self) -> tuple[float, float] | None:
        """The least and the greatest eigenvalue, where they decide; see `jury`."""
        lam = self.arrays[0]
        alone = self.system.B.shape in ((1, 1), (2, 1)) and not self.problem.multiplicative
        return (float(lam.min()), float(lam.max())) if alone else None

    @cached_property
    def bins(self) -> Bins | None:
        """Bins of directions, where they are worth a try."""
        worth = len(self.system.stages) == 1 and self.arrays[0].size > _MANY
        return Bins(self.arrays, self.rule, self.shared, self.least) if worth else None

    @cached_property
    def majorant(self) -> _Sizes:
        """The problem with sizes in place of its numbers, which bounds the terms of sums."""
        lam, own, left, right = self.arrays
        return _Sizes(lam, np.abs(own), left, right)

    def __call__(self, mu: float) -> tuple[int, float]:
        """Side of rho - 1 on which a number lies (`ABOVE`, `BELOW`, `UNKNOWN`), and a better guess of rho - 1."""
        if self.ends:
            side, pole = jury.judged(mu, self.rule, self.ends)
            if side != UNKNOWN:
                return side, pole
        if self.bins:
            side, pole = self.bins.judged(mu)
            if side != UNKNOWN:
                return side, pole
        return cone.judged(mu, self.arrays, self.rule, self.shared, self.least)

    def _solved(self, mu: float, forcing: Array) -> Array:
        upper = np.triu_indices(len(forcing))
        found, solution = cone.solved(mu, self.arrays, self.rule, self.shared, forcing[upper])
        if not found:
            raise np.linalg.LinAlgError("at an eigenvalue")
        x = np.empty_like(forcing)
        x[upper] = x[upper[::-1]] = solution
        return x


def _reach(step: Array) -> Array:
    """Units (k,) of the states: by one of each, where H is 0, the first is in the end as far off as by its own.

    Forced by no less, witnesses of slow directions are nearly proportional to one another, so that one serves many.
    """
    try:
        reach = np.linalg.solve(-step[1:, 1:].T, step[0, 1:])
    except np.linalg.LinAlgError:
        return np.zeros(len(step))
    with np.errstate(divide="ignore"):
        units = np.exp2(np.round(-np.log2(np.abs(reach))))
    return np.concatenate([[0.0], np.where(np.isfinite(units), units, 0.0)])


class _Sizes(NamedTuple):
    """A problem without coupling whose numbers are sizes."""

    spectrum: Array
    own: Array
    left: Array
    right: Array
    coupled: bool = False

    def noise(self, second: Array, mean: Array, noisy: bool) -> Array:
        return self.own * second + self.left * (second @ self.right)[..., None]


class CoupledJudge(Judge):
    """The judge of a constant system on a table, whose rows couple all eigendirections; `solve` is given to it."""

    problem: Dataset

    def __init__(self, system: System, step: Array, problem: Dataset, solve: Callable[[float, Array], Array]) -> None:
        super().__init__(system, step, problem)
        self.solve = solve
        k, gradients = self.system.B.shape
        # of sums over states, over eigendirections twice, and over rows, which BLAS adds up in four at least
        self.unit = _UNIT * (4 * (k + gradients + 4) + 2 * problem.spectrum.size + len(problem.features) / 4)

    @cached_property
    def majorant(self) -> _Majorant:
        """The problem with sizes in place of its numbers, which bounds the terms of sums."""
        return _Majorant(self.problem)

    def __call__(self, mu: float) -> tuple[int, float]:
        """Side of rho - 1 on which a number lies (`ABOVE`, `BELOW`, `UNKNOWN`), and a better guess of rho - 1."""
        with np.errstate(all="ignore"):
            try:
                witness = self.solve(mu, self.units)
            except np.linalg.LinAlgError:
                return UNKNOWN, math.nan
            return self.proved(mu, (witness + witness.transpose(1, 0, 3, 2)) / 2)

    def proved(self, mu: float, witness: Array) -> tuple[int, float]:
        """What a witness (k, k, m, m) proves; see `cone`."""
        moved = increment(self.problem, self.system, self.step, witness)
        sizes = increment(self.majorant, self.sizes, np.abs(self.step), np.abs(witness))
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
    """L(X) - X for moments X by one application of the moments' own map, without lasting noise."""
    k, m = second.shape[1:3]
    wide, kept = np.hstack([step, system.B]), np.eye(k, k + system.B.shape[1])
    z = moments.with_gradients(problem, system, Moments(second, np.zeros((k, m))), False).second
    once = mapped_pair(wide, z, kept)
    return once + moments.transposed(once) + mapped_pair(wide, z, wide)


def forced(problem: Uncoupled | Dataset, system: System, noise: Array) -> Array:
    """Moments that lasting noise, covariances (G, G, m) or (G, G, m, m) of a step's gradients, adds in a step."""
    k, m = len(system.A), problem.spectrum.size
    ends = np.cumsum(system.stages)
    blocks = [noise[end - count : end, end - count : end] for end, count in zip(ends, system.stages, strict=True)]
    nothing = Moments(np.zeros((k, k, *noise.shape[2:])), np.zeros((k, m)))
    return moments.advance(_Forced(problem, iter(blocks)), system, nothing, True).second  # type: ignore[arg-type]


class _Forced:
    """A problem whose lasting noise is given, the covariance of each yield."""

    def __init__(self, problem: Uncoupled | Dataset, given: Iterator[Array]) -> None:
        self.problem, self.given = problem, given
        self.spectrum, self.coupled = problem.spectrum, problem.coupled

    def noise(self, second: Array, mean: Array, noisy: bool) -> Array:
        return self.problem.noise(second, mean, False) + next(self.given)


class _Majorant:
    """A table whose numbers are sizes, with the rounding that rotated rows and their singular values have."""

    coupled = True

    def __init__(self, problem: Dataset) -> None:
        self.problem = problem
        self.spectrum = problem.spectrum + _PART * np.sqrt(problem.spectrum * problem.spectrum.max())

    def noise(self, second: Array, mean: Array, noisy: bool) -> Array:
        return self.problem.noise_size(second, _PART)
