"""Rate and floor for one query a step on tables, whose rows couple all eigendirections, by a map of m x m matrices.

With N(Y) the sampling noise at second moments Y of the query error, the moments' map has eigenvalue z and an
eigenvector in the cone where Y -> h(z) o N(Y) has eigenvalue 1, o being the product entry by entry and

    h_ij(z) = (C (x) C) (z - T_i (x) T_j)^{-1} vec(B B^T).

That map has no more than m^2 unknowns whatever the rule, its largest eigenvalue falls in z, and it stands far from the
others, which those of the moments near 1 do not: a few dozen applications are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.exact.secular import too_large
from accelsim.exact.tables import System
from accelsim.problems import Problem
from accelsim.problems.dataset import Dataset
from accelsim.spectra import Array

LARGEST = 1e9  # multiplications in an application of the noise's map: about a second each
_RELATIVE = 1e-12  # a root closer than this to the rate of the mean is that rate
_DENSE = 36  # unknowns: below, the map is written out


class Structured:
    """A rule with one query and constant coefficients on a coupled problem.

    Parameters
    ----------
    system : minimal realisation, in floats.
    step : A - I.

    Raises
    ------
    InputError
        If the table is too large.
    """

    def __init__(self, system: System, step: Array, problem: Problem) -> None:
        m = problem.spectrum.size
        rows = len(problem.features) if isinstance(problem, Dataset) else m
        if rows * m**2 > LARGEST:
            raise InputError(
                f"the rate on {rows} rows with {m} eigendirections takes {rows * m**2:.2g} multiplications an "
                f"iteration, more than {LARGEST:g}: take fewer columns or rows, or use risk"
            )
        self.system, self.problem = system, problem
        self.e = step + problem.spectrum[:, None, None] * (system.B @ system.C)
        self._start = np.ones(m * m)

    def gap(self) -> float:
        """rho - 1."""
        from scipy.optimize import brentq

        least = self._mean_gap()
        low = least + _RELATIVE * abs(least)
        if not self.system.B.any() or self._excess(low) >= 0:
            return least
        width = max(abs(low), 1e-3)
        while self._excess(low + width) < 0:
            low, width = low + width, 2 * width
        return float(brentq(self._excess, low, low + width, xtol=1e-30, rtol=1e-12, maxiter=1000))

    def stable(self) -> bool:
        """Whether rho < 1."""
        return self._mean_gap() < 0 and self._excess(0.0) > 0

    def floor(self, noise: Array) -> Array:
        """(m,) second moments of the returned iterate that noise (1, 1, m, m), added at every step, leaves."""
        from scipy.sparse.linalg import gmres

        h = self._norms(0.0, self.system.C)
        settled, failed = gmres(
            self._operator(lambda y: y - h * self._noise(y)), (h * noise[0, 0]).ravel(), rtol=1e-12, restart=100
        )
        if failed:
            raise InputError("the floor was not found: the run is too close to its edge of stability")
        total = self._noise(settled.reshape(h.shape)) + noise[0, 0]
        return np.diagonal(self._norms(0.0, self.system.F) * total)

    def _mean_gap(self) -> float:
        values = np.linalg.eigvals(self.e)
        return float((2 * values.real + np.abs(values) ** 2).max())

    def _norms(self, mu: float, seen: Array) -> Array:
        """h with what is seen in the place of C."""
        k = self.e.shape[-1]
        one = np.eye(k)
        # T_i (x) T_j - 1 without cancellation: E_i (x) 1 + T_i (x) E_j
        first = np.einsum("iab,cd->iacbd", self.e, one)[:, None]
        change = first + np.einsum("iab,jcd->ijacbd", self.e + one, self.e)
        maps = mu * np.eye(k * k) - change.reshape(*change.shape[:2], k * k, k * k)
        into = np.outer(self.system.B, self.system.B).ravel()
        return np.linalg.solve(maps, into[:, None])[..., 0] @ np.outer(seen, seen).ravel()

    def _noise(self, second: Array) -> Array:
        mean = np.zeros((1, len(second)))
        return self.problem.noise(second[None, None], mean, False)[0, 0]

    def _operator(self, apply: Callable[[Array], Array]) -> Any:
        from scipy.sparse.linalg import LinearOperator

        m = len(self.e)
        return LinearOperator((m * m, m * m), lambda y: apply(y.reshape(m, m)).ravel(), dtype=np.float64)

    def _excess(self, mu: float) -> float:
        """1 / (largest eigenvalue) - 1 as a function of mu = z - 1, above the rate of the mean."""
        from scipy.sparse.linalg import ArpackError, eigs

        h = self._norms(mu, self.system.C)
        if not np.isfinite(h).all():
            raise too_large()
        if not h.any():
            return np.inf
        operator = self._operator(lambda y: h * self._noise((y + y.T) / 2))
        if h.size <= _DENSE:
            largest = np.linalg.eigvals(operator @ np.eye(h.size)).real.max()
        else:
            try:
                values, vectors = eigs(operator, k=1, which="LM", v0=self._start, tol=1e-13)
            except ArpackError:
                raise InputError("the rate of this table was not found in float64: use risk") from None
            largest, self._start = values[0].real, vectors[:, 0].real
        return 1 / largest - 1 if largest > 0 else np.inf
