"""Square roots of second moments, step by step: nothing cancels but what cancels in the states themselves.

The moments of an eigendirection are P = S S^T. A step maps the rows of S, appends a column for each source of noise,
whose scales are roots of sums of squares, and folds the columns together by an orthogonal transformation. Moments
are sums of squares at every step, and rounding is as if the states were rounded: of a risk 1e-20 of the largest
moment on the way half the digits are left, where the moments themselves would have none.

References
----------
Kailath, Sayed and Hassibi 2000, Linear Estimation, chapter 12 (array algorithms).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from accelsim.exact.tables import System
from accelsim.problems import Uncoupled
from accelsim.spectra import Array


class Roots:
    """Square roots S (m, n, n) of the moments of one run of an uncoupled problem without negative noise.

    Parameters
    ----------
    mean : (n, m) states and w* before the first step, which are certain.
    limit : sum of second moments from which on the run counts as diverged.
    """

    def __init__(self, problem: Uncoupled, mean: Array, noisy: bool, limit: float) -> None:
        self.limit = limit
        self.root = np.zeros((mean.shape[1], len(mean), len(mean)))
        self.root[:, :, 0] = mean.T
        rows = [problem.own, problem.left, problem.right, problem.floor * noisy]
        self._noise = np.array([problem.spectrum, *(np.sqrt(row) for row in rows)])

    @staticmethod
    def takes(problem: Uncoupled) -> bool:
        """Whether all of a problem's noise is a sum of squares."""
        return bool(min(problem.own.min(), problem.left.min(), problem.right.min()) >= 0)

    def advance(self, systems: System, steps: int) -> int | None:
        """Take steps; see `kernel.Kernel.advance`."""
        update = np.concatenate([systems.A, systems.B], axis=-1)
        queries = np.concatenate([systems.C, systems.D], axis=-1)
        end = _advance(self.root, update, queries, np.array(systems.stages), self._noise, steps, self.limit)
        return None if end < 0 else end

    def directions(self, row: Array) -> Array:
        """(m,) second moment of a row (n,) of states and w*, by eigendirection."""
        return np.asarray(((row @ self.root) ** 2).sum(axis=1))


@njit(nogil=True, cache=True, error_model="numpy")
def fold(root: Array) -> None:
    """Make a root (rows, columns) lower triangular in place, by Householder reflections of its columns."""
    rows, columns = root.shape
    for i in range(min(rows, columns)):
        largest = 0.0  # in units of which squares stay within the range of floats
        for j in range(i, columns):
            largest = max(largest, abs(root[i, j]))
        if largest == 0.0:
            continue
        tail = 0.0
        for j in range(i, columns):
            root[i, j] /= largest
            if j > i:
                tail += root[i, j] ** 2
        end = -np.copysign(np.sqrt(root[i, i] ** 2 + tail), root[i, i])
        if tail > 0.0:
            root[i, i] -= end
            size = root[i, i] ** 2 + tail
            for k in range(i + 1, rows):
                along = 0.0
                for j in range(i, columns):
                    along += root[i, j] * root[k, j]
                along *= 2 / size
                for j in range(i, columns):
                    root[k, j] -= along * root[i, j]
            root[i, i] = end
        root[i, i] *= largest
        root[i, i + 1 :] = 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def _advance(root: Array, update: Array, queries: Array, stages: Array, noise: Array, steps: int, limit: float) -> int:
    """Step roots in place: after how many steps the moments reached a limit, -1 where they did not.

    Parameters
    ----------
    update, queries : (steps, n, n + G) and (steps, G, n + G); the last ones stand for all after them.
    noise : lam, and roots of own, left, right and floor of `problems.Uncoupled`, (5, m).
    """
    m, n = root.shape[0], root.shape[1]
    lam, own, left, right, floor = noise[0], noise[1], noise[2], noise[3], noise[4]
    wide = n + queries.shape[1]
    both, new = np.zeros((m, wide, wide)), np.empty((n, wide))
    for step in range(steps):
        t = min(step, len(update) - 1)
        both[:, :n, :n] = root
        both[:, n:] = 0.0
        known = n
        for count in stages:
            after = known + count
            shared = np.zeros((count, count + known))
            for i in range(m):
                for a in range(known, after):
                    for k in range(known):
                        for j in range(known):
                            both[i, a, j] += queries[t, a - n, k] * both[i, k, j]
                if left.any():
                    shared[:, count:] = right[i] * both[i, known:after, :known]
                    fold(shared)
            drawn = np.empty((count, known + count + 1))
            for i in range(m):
                drawn[:, :known] = own[i] * both[i, known:after, :known]
                drawn[:, known:-1] = left[i] * shared[:, :count]
                drawn[:, -1] = floor[i]
                fold(drawn)
                both[i, known:after, :known] *= lam[i]
                both[i, known:after, known:after] = drawn[:, :count]
            known = after
        total = 0.0
        for i in range(m):
            for a in range(n):
                for j in range(wide):
                    new[a, j] = 0.0
                for k in range(wide):
                    for j in range(wide):
                        new[a, j] += update[t, a, k] * both[i, k, j]
            fold(new)
            root[i] = new[:, :n]
            for a in range(n - 1):
                for j in range(n):
                    total += root[i, a, j] ** 2
        if not total < limit:
            return step + 1
    return -1
