"""Many steps at once: powers of the map of second moments, kept so that eigenvalues near 1 keep their digits.

For one system the vector x of all moments evolves as x+ = x + N x + f. A leap of h steps is the pair (N, f) of h
steps; two of them in a row are a leap of 2h with 2 N + N^2 and 2 f + N f. Doubled from one step, what is slow
(eigenvalues of N near 0) keeps its relative precision, which squaring 1 + N does not. What has decayed is kept as a
power instead: it is small, and -1 + small would lose it. Which of the two is decided by eigendirection, whose moments
form a block; between blocks both are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from typing import Any

import numpy as np

from accelsim.exact.moments import with_gradients
from accelsim.exact.tables import Moments, System, mapped_pair
from accelsim.problems import Problem, Uncoupled
from accelsim.problems.dataset import Dataset
from accelsim.spectra import Array

_DECAYED = 0.5  # spectral radius of a block from which on its power is kept itself
_SMALL = 32  # size of blocks whose spectral radius is cheap; of larger ones the norm bounds it
Product = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Leap:
    """The map of the moments over a number of steps.

    Attributes
    ----------
    change : (b, p, p) diagonal blocks of N.
    power : (b, p, p) those of 1 + N.
    across : (b p, b p) the rest of N, zero in the diagonal blocks.
    source : (b p,) f.
    """

    change: Array
    power: Array
    across: Array
    source: Array

    @classmethod
    def of(cls, change: Array, across: Array, source: Array) -> Leap:
        """One step, from N: its part in blocks, and a matrix that may have more in the diagonal blocks."""
        across = across.copy()
        own = _diagonal(across, len(change))
        change = change + own
        own[:] = 0
        return cls(change, np.eye(change.shape[1]) + change, across, source)

    def doubled(self, times: Product = np.matmul) -> Leap:
        """The leap of twice as many steps."""
        source = self.source + self(self.source[:, None], 0.0, times)[:, 0]
        one = np.eye(self.change.shape[1])
        if len(self.change) == 1:  # one of the two products is enough
            if _radius(self.power)[0] < _DECAYED:
                power = times(self.power, self.power)
                return Leap(power - one, power, self.across, source)
            change = 2 * self.change + times(self.change, self.change)
            return Leap(change, one + change, self.across, source)
        across = times(self.across, self.across)
        own = _diagonal(across, len(self.change))
        change = 2 * self.change + times(self.change, self.change) + own
        power = times(self.power, self.power) + own
        own[:] = 0
        ahead, behind = self.power, self.power.transpose(0, 2, 1)
        across += _rows(ahead, self.across, times) + _rows(behind, self.across.T, times).T
        decayed = (_radius(power) < _DECAYED)[:, None, None]
        return Leap(np.where(decayed, power - one, change), np.where(decayed, power, one + change), across, source)

    def __call__(self, x: Array, constant: Any, times: Product = np.matmul) -> Array:
        """Moments (b p, columns) after the leap; `constant` (columns,) weighs the source."""
        moved = _rows(self.power, x, times)
        return (moved + times(self.across, x) if len(self.change) > 1 else moved) + self.source[:, None] * constant


def _diagonal(matrix: Array, blocks: int) -> Array:
    """The diagonal blocks as a view."""
    size = len(matrix) // blocks
    return np.einsum("bibj->bij", matrix.reshape(blocks, size, blocks, size))


def _rows(blocks: Array, matrix: Array, times: Product) -> Array:
    """A block diagonal matrix times a matrix."""
    return times(blocks, matrix.reshape(len(blocks), blocks.shape[1], -1)).reshape(matrix.shape)


def _radius(blocks: Array) -> Array:
    if not np.isfinite(blocks).all():
        return np.full(len(blocks), np.inf)
    if blocks.shape[1] > _SMALL:
        return np.linalg.norm(blocks, axis=(1, 2))
    return np.abs(np.linalg.eigvals(blocks)).max(axis=1)


def leapt(leap: Leap, x: Array, constant: Array, steps: Any, times: Product = np.matmul) -> Array:
    """Moments after several numbers of steps.

    Parameters
    ----------
    x : (b p, runs) moments before.
    constant : (runs,) weight of the source in each run.
    steps : (n,) whole numbers.
    times : multiplies matrices.

    Returns
    -------
    Array (n, b p, runs).
    """
    found = np.repeat(x[None], len(steps), axis=0)
    left = np.array(steps, dtype=np.int64)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        while True:
            odd = left % 2 == 1
            if odd.any():
                columns = np.concatenate(list(found[odd]), axis=1)
                columns = leap(columns, np.tile(constant, odd.sum()), times)
                found[odd] = columns.reshape(len(x), odd.sum(), -1).transpose(1, 0, 2)
            left = left // 2
            if not left.any():
                return found
            leap = leap.doubled(times)


class Layout:
    """Order of the moments in one vector: by eigendirection where these are uncoupled, all together otherwise.

    Coupled problems carry the mean state too, which their noise depends on.
    """

    def __init__(self, problem: Problem, states: int) -> None:
        self.problem, self.states, self.modes = problem, states, problem.spectrum.size
        self.coupled = problem.coupled
        count = states * self.modes if self.coupled else states
        self.pairs = np.array(list(combinations_with_replacement(range(count), 2))).T
        self.blocks = 1 if self.coupled else self.modes
        self.size = unknowns(problem, states)

    def vector(self, moments: Moments) -> Array:
        """Moments as a vector (size,)."""
        a, b = self.pairs
        if not self.coupled:
            return moments.second[a, b].T.ravel()
        flat = moments.second.transpose(0, 2, 1, 3).reshape(len(moments.mean) * self.modes, -1)
        return np.concatenate([flat[a, b], moments.mean.ravel()])

    def moments(self, vector: Array) -> Moments:
        """The moments of a vector."""
        n, m = self.states, self.modes
        a, b = self.pairs
        if not self.coupled:
            second = np.empty((n, n, m))
            second[a, b] = second[b, a] = vector.reshape(m, -1).T
            return Moments(second, np.zeros((n, m)))
        flat = np.empty((n * m, n * m))
        flat[a, b] = flat[b, a] = vector[: len(a)]
        return Moments(flat.reshape(n, m, n, m).transpose(0, 2, 1, 3), vector[len(a) :].reshape(n, m))

    def risk(self, row: Array) -> Array:
        """The risk of a point, a row (states,) of the states, as weights (size,) of the moments."""
        a, b = self.pairs
        if not self.coupled:
            pairs = np.where(a == b, 1, 2) * row[a] * row[b]
            return np.outer(self.problem.spectrum / 2, pairs).ravel()
        m = self.modes
        same = np.where(a == b, 1, 2) * (a % m == b % m)
        pairs = same * row[a // m] * row[b // m] * self.problem.spectrum[a % m] / 2
        return np.concatenate([pairs, np.zeros(self.states * m)])

    def leap(self, system: System, change: Array) -> Leap:
        """One step as a leap; `change` is A - 1 with its digits."""
        wide = np.hstack([change, system.B])
        kept = np.eye(*wide.shape)

        def increment(problem: Any, moments: Moments, noisy: bool) -> Array:
            z = with_gradients(problem, system, moments, noisy)
            once = mapped_pair(wide, z.second, kept)
            back = mapped_pair(kept, z.second, wide)
            return self.vector(Moments(once + back + mapped_pair(wide, z.second, wide), wide @ z.mean))

        if isinstance(self.problem, Uncoupled):
            return self._uncoupled(self.problem, system, increment)
        if isinstance(self.problem, Dataset) and len(system.stages) == 1:
            return self._on_rows(self.problem, system, change)
        columns = np.empty((self.size, self.size))
        source = increment(self.problem, self.moments(np.zeros(self.size)), True)
        for place, unit in enumerate(np.eye(self.size)):
            of_mean = place >= self.pairs.shape[1]  # which acts on second moments through lasting noise alone
            columns[:, place] = increment(self.problem, self.moments(unit), of_mean) - of_mean * source
        return Leap.of(columns[None], np.zeros_like(columns), source)

    def _on_rows(self, problem: Dataset, system: System, change: Array) -> Leap:
        """One step of a rule that takes its gradients on one batch of rows, in closed form.

        With M = A x 1 + B C x Lambda on states and modes, P+ = M P M^T + sum of b_i b_j^T x Cov(c_i P c_j^T), of which
        the covariance of sampling reads the symmetric part alone.
        """
        m, batch, (i, j) = self.modes, problem.batch, self.pairs
        seen = np.kron(system.C, np.eye(m)).reshape(len(system.C), m, -1)  # (q, m, states m)
        moved = np.kron(system.B @ system.C, np.diag(problem.spectrum))
        step, one = np.kron(change, np.eye(m)) + moved, np.eye(self.states * m)
        second = self._sandwiched(step, one + step) + self._sandwiched(one, step)
        second -= self._sandwiched(moved, moved) / batch
        u, v = np.triu_indices(m)
        place = np.zeros((m, m), dtype=int)
        place[u, v] = place[v, u] = np.arange(len(u))
        place = place[i % m, j % m]
        of_mean, source = np.zeros((len(i), step.shape[1])), np.zeros(len(i))
        fourth = problem.fourth_moments * (1 + (u != v)) / batch
        for a, b in product(range(len(seen)), repeat=2):
            weight = system.B[i // m, a] * system.B[j // m, b]
            query = self._sandwiched(seen[a], seen[b], (u, v))
            if a != b:
                query = (query + self._sandwiched(seen[b], seen[a], (u, v))) / 2
            second += weight[:, None] * (fourth @ query)[place]
            of_mean -= weight[:, None] * (problem.third_moments @ (seen[a] + seen[b]) / batch)[place]
            source += weight * (problem.residual_moments / batch)[place]
        below = np.zeros((len(step), len(i)))
        columns = np.block([[second, of_mean], [below, step]])
        return Leap.of(columns[None], np.zeros_like(columns), np.concatenate([source, np.zeros(len(step))]))

    def _sandwiched(self, left: Any, right: Any, rows: Any = None) -> Array:
        """The map P -> left P right^T of symmetric P, at rows (i, j) of it, as a matrix on the pairs of P."""
        (i, j), (a, b), width = rows or self.pairs, self.pairs, left.shape[1]
        left, right = left.ravel(), right.ravel()  # a single index takes half the time of two
        ia, ib, ja, jb = (k[:, None] * width + c for k in (i, j) for c in (a, b))
        return np.asarray(left[ia] * right[jb] + (a != b) * (left[ib] * right[ja]))

    def _uncoupled(self, problem: Uncoupled, system: System, increment: Callable[..., Array]) -> Leap:
        """Blocks, and what the sums that couple them add: each sum is the response s of all directions to all."""
        m, per = self.modes, self.pairs.shape[1]
        sums = [(stage, a, b) for stage, q in enumerate(system.stages) for a in range(q) for b in range(a, q)]
        still = Moments(np.zeros((self.states, self.states, m)), np.zeros((self.states, m)))

        def response(moments: Moments, given: int | None, noisy: bool) -> tuple[Array, Array]:
            open_ = _Open(problem, None if given is None else sums[given])
            moved = increment(open_, moments, noisy).reshape(m, per)
            return moved, np.array([open_.seen[stage][a, b] for stage, a, b in sums]) * problem.right

        blocks, reads = np.empty((m, per, per)), np.empty((len(sums), m, per))
        for place in range(per):
            blocks[:, :, place], reads[:, :, place] = response(
                self.moments(np.tile(np.eye(per)[place], m)), None, False
            )
        source, level = response(still, None, True)
        drives = [response(still, given, False) for given in range(len(sums))]
        writes = np.array([moved.ravel() for moved, _ in drives]).T
        among = np.eye(len(sums)) - np.array([seen.sum(axis=1) for _, seen in drives]).T
        across = writes @ np.linalg.solve(among, reads.reshape(len(sums), -1))
        return Leap.of(blocks, across, source.ravel() + writes @ np.linalg.solve(among, level.sum(axis=1)))


def unknowns(problem: Problem, states: int) -> int:
    """Length of the vector of moments."""
    if problem.coupled:
        count = states * problem.spectrum.size
        return count * (count + 1) // 2 + count
    return states * (states + 1) // 2 * problem.spectrum.size


class _Open:
    """An uncoupled problem whose shared sums are given from outside, zero but for one, and those of its own seen."""

    coupled = False

    def __init__(self, problem: Uncoupled, given: tuple[int, int, int] | None) -> None:
        self.problem, self.given, self.spectrum = problem, given, problem.spectrum
        self.seen: list[Array] = []

    def noise(self, second: Array, mean: Array, noisy: bool) -> Array:
        sums = np.zeros(second.shape[:2])
        if self.given and self.given[0] == len(self.seen):
            _, a, b = self.given
            sums[a, b] = sums[b, a] = 1
        self.seen.append(second)
        floor = self.problem.floor if noisy else 0.0
        return self.problem.own * second + self.problem.left * sums[..., None] + floor
