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

from accelsim.exact.tables import System
from accelsim.problems import Uncoupled
from accelsim.spectra import Array


class Roots:
    """Square roots (m, n, columns) of the moments of one run of an uncoupled problem without negative noise.

    Parameters
    ----------
    mean : (n, m) states and w* before the first step, which are certain.
    limit : sum of second moments from which on the run counts as diverged.
    """

    def __init__(self, problem: Uncoupled, mean: Array, noisy: bool, limit: float) -> None:
        self.problem, self.limit = problem, limit
        self.root = mean.T[:, :, None].copy()
        self._own, self._left, self._right = (np.sqrt(x) for x in (problem.own, problem.left, problem.right))
        self._floor = np.sqrt(problem.floor) * noisy

    @staticmethod
    def takes(problem: Uncoupled) -> bool:
        """Whether all of a problem's noise is a sum of squares."""
        return bool(min(problem.own.min(), problem.left.min(), problem.right.min()) >= 0)

    def advance(self, systems: System, steps: int) -> int | None:
        """Take steps; see `Kernel.advance`."""
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(steps):
                self.root = folded(self._stepped(systems.at(step)))
                if not (self.root[:, :-1] ** 2).sum() < self.limit:
                    return step + 1
        return None

    def _stepped(self, system: System) -> Array:
        both, taken = self.root, 0
        for count in system.stages:
            rows = np.hstack([system.C[taken : taken + count], system.D[taken : taken + count, :taken]])
            queries = rows @ both
            gradients = self.problem.spectrum[:, None, None] * queries
            noise = self._noise(queries)
            above = np.concatenate([both, np.zeros((*both.shape[:2], noise.shape[2]))], axis=2)
            both = np.concatenate([above, np.concatenate([gradients, noise], axis=2)], axis=1)
            taken += count
        return np.hstack([system.A, system.B]) @ both

    def _noise(self, queries: Array) -> Array:
        """A root (m, q, columns) of the noise of gradients on one sample, from one of the query errors' moments."""
        m, q, _ = queries.shape
        weighed = (self._right[:, None, None] * queries).transpose(1, 0, 2).reshape(1, q, -1)
        shared = folded(weighed) * self._left[:, None, None]
        floor = np.broadcast_to(self._floor[:, None, None], (m, q, 1))
        return folded(np.concatenate([self._own[:, None, None] * queries, shared, floor], axis=2))

    def directions(self, row: Array) -> Array:
        """(m,) second moment of a row (n,) of states and w*, by eigendirection."""
        return ((row @ self.root) ** 2).sum(axis=1)


def folded(root: Array) -> Array:
    """A root (m, n, at most n) of the same moments, lower triangular."""
    if root.shape[1] == 1:
        largest = np.abs(root).max(axis=2, keepdims=True)
        scale = np.where(largest > 0, largest, 1)
        return np.asarray(scale * np.sqrt(((root / scale) ** 2).sum(axis=2, keepdims=True)))
    if not np.isfinite(root).all():
        return np.full((*root.shape[:2], 1), np.inf)
    return np.linalg.qr(root.transpose(0, 2, 1), mode="r").transpose(0, 2, 1)
