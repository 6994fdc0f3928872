"""Rate for several queries a step, on problems without coupling, through one small matrix.

With N_i the covariance of the sampling noise of a step's gradients in direction i, and g = lam_i (C s + D g) + noise,

    P_i -> T_i P_i T_i^T + B K_i N_i K_i^T B^T  and  Y_i = K_i C P_i C^T K_i^T + D K_i N_i K_i^T D^T,

where K_i = (1 - lam_i D)^{-1} and T_i = A + lam_i B K_i C. Of N_i and Y_i only the blocks of queries on one sample
count, r numbers in all, and N_i = own_i Y_i + left_i sum_j right_j Y_j couples the directions through r sums.

Whether z > rho is seen from forcing: exactly then have (z - map) P = (positive definite) a solution in the cone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from accelsim.exact.stationary.bounds import UncoupledJudge
from accelsim.exact.tables import System
from accelsim.problems import Uncoupled
from accelsim.spectra import Array

_BLOCK = 4096  # eigendirections at once: memory does not grow with their number
_RELATIVE = 1e-12  # a root closer than this to the rate of the mean is that rate


class Coupling:
    """A rule with constant coefficients on a problem without coupling.

    Parameters
    ----------
    system : minimal realisation, in floats.
    step : A - I.
    """

    def __init__(self, system: System, step: Array, problem: Uncoupled) -> None:
        self.system, self.step, self.problem = system, step, problem
        self.judge = UncoupledJudge(system, step, problem)
        ends = np.cumsum(system.stages).tolist()
        self.stages = [range(end - count, end) for end, count in zip(ends, system.stages, strict=True)]
        pairs = [pair for stage in self.stages for pair in itertools.combinations_with_replacement(stage, 2)]
        self.pairs = tuple(np.array(pairs).T)

    def gap(self) -> float:
        """rho - 1, bisected."""
        low = self.mean_gap()
        if not self.problem.multiplicative or self._exceeds(low + _RELATIVE * abs(low)):
            return low
        width = max(abs(low), 1e-3)
        while not self._exceeds(low + width):
            low, width = low + width, 2 * width
        high = low + width
        while high - low > max(1e-14 * abs(high), 1e-30):
            middle = (low + high) / 2
            if middle in (low, high):
                break
            low, high = (low, middle) if self._exceeds(middle) else (middle, high)
        return high

    def mean_gap(self) -> float:
        """max rho(T_i)^2 - 1."""
        values = np.concatenate([np.linalg.eigvals(self._mean(lam)[1]) for lam in self._blocks()])
        return float((2 * values.real + np.abs(values) ** 2).max())

    def _exceeds(self, mu: float) -> bool:
        """Whether 1 + mu, beyond every rho(T_i)^2, exceeds rho."""
        a, b = self.pairs
        forcing = np.tile((a == b).astype(float), (self.problem.spectrum.size, 1))
        try:
            settled = self._settled(self._responses(mu), forcing)
            full = np.zeros((len(settled), len(self.system.C), len(self.system.C)))
            full[:, a, b] = full[:, b, a] = settled - forcing / 2
            np.linalg.cholesky(full)
        except np.linalg.LinAlgError:  # singular, or not in the cone
            return False
        return True

    def _settled(self, responses: Array, forcing: Array) -> Array:
        """Noise (m, r) that solves N_i = own_i Y_i + left_i sum_j right_j Y_j + forcing_i, Y_i = responses_i N_i."""
        problem, one = self.problem, np.eye(forcing.shape[1])
        alone = np.linalg.inv(one - problem.own[:, None, None] * responses)
        queries = problem.right[:, None, None] * (responses @ alone)
        coupling = np.einsum("i,iab->ab", problem.left, queries)
        shared = np.linalg.solve(one - coupling, np.einsum("iab,ib->a", queries, forcing))
        return np.einsum("iab,ib->ia", alone, problem.left[:, None] * shared + forcing)

    def _blocks(self) -> Iterator[Array]:
        spectrum = self.problem.spectrum[:, None, None]
        yield from (spectrum[i : i + _BLOCK] for i in range(0, len(spectrum), _BLOCK))

    def _mean(self, lam: Array) -> tuple[Any, Any]:
        """K_i and T_i - 1."""
        one = np.eye(len(self.system.D))
        k = np.linalg.inv(one - lam * self.system.D)
        return k, self.step + lam * (self.system.B @ k @ self.system.C)

    def _responses(self, mu: float) -> Array:
        """Y_i by noise (m, r, r), at z = 1 + mu."""
        return np.concatenate([self._response(mu, lam) for lam in self._blocks()])

    def _response(self, mu: float, lam: Array) -> Any:
        n = len(self.step)
        fold, spread = _symmetric(n)
        k, e = self._mean(lam)
        one = np.eye(n)
        # T (x) T - 1 without cancellation: E (x) 1 + T (x) E
        change = np.einsum("iab,cd->iacbd", e, one) + np.einsum("iab,icd->iacbd", e + one, e)
        maps = mu * np.eye(len(fold)) - fold @ change.reshape(-1, n * n, n * n) @ spread
        moments = spread @ np.linalg.solve(maps, fold @ self._columns(self.system.B @ k))
        late = self._rows(self.system.D @ k) @ self._columns(np.eye(len(self.system.D))[None])
        return self._rows(k @ self.system.C) @ moments + late

    def _rows(self, matrices: Array) -> Array:
        """Second moments of the pairs of rows, (m, r, n * n)."""
        a, b = self.pairs
        return (matrices[:, a, :, None] * matrices[:, b, None, :]).reshape(len(matrices), len(a), -1)

    def _columns(self, matrices: Array) -> Array:
        """What covariances of the pairs of columns give, (m, n * n, r)."""
        a, b = self.pairs
        both = matrices[:, :, None, a] * matrices[:, None, :, b]
        both = np.where(a == b, both, both + both.swapaxes(1, 2))
        return both.reshape(len(matrices), -1, len(a))


@cache
def _symmetric(k: int) -> tuple[Array, Array]:
    """Maps between (k, k) arrays, flattened, and the entries on and above the diagonal of symmetric ones."""
    pairs = list(itertools.combinations_with_replacement(range(k), 2))
    fold, spread = np.zeros((len(pairs), k * k)), np.zeros((k * k, len(pairs)))
    for row, (a, b) in enumerate(pairs):
        fold[row, a * k + b] = 1
        spread[a * k + b, row] = spread[b * k + a, row] = 1
    return fold, spread
