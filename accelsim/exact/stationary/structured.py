"""Rate for one query a step on tables, whose rows couple all eigendirections.

Moments P_ij (k, k) of a pair of eigendirections evolve as P_ij -> T_i P_ij T_j^T + B B^T N(Y)_ij, Y_ij = C P_ij C^T,
with the sampling noise N of the whole Y. So (z - L) X = Q is solved pair by pair but for the noise n = N(Y):

    X_ij = R_ij (Q_ij + B B^T n_ij),   R_ij = (z - T_i (x) T_j)^{-1},   n = N(C R Q C^T + h o n),

m (m + 1) / 2 equations whatever the rule, with h_ij = (C (x) C) R_ij vec(B B^T). The rate is looked for by inverse
iteration with that; that it is the rate is for `bounds` to say.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.exact.stationary.bounds import CoupledJudge, increment
from accelsim.exact.tables import System
from accelsim.problems.dataset import Dataset
from accelsim.spectra import Array

LARGEST = 1e9  # multiplications in an application of the noise's map: about a second each
_WRITTEN = 400  # pairs of eigendirections up to which the noise's map is written out
_RESIDUAL = 1e-7  # relative, of equations solved by iteration; the witness of a bound is refined once
_ITERATIONS = 40
_ALIKE = 0.1  # two estimates of the way to rho from the first shift
_SETTLED = 1e-8  # of rho - 1


class Structured:
    """A rule with one query and constant coefficients on a table.

    Parameters
    ----------
    system : minimal realisation, in floats.
    step : A - I.

    Raises
    ------
    InputError
        If the table is too large.
    """

    def __init__(self, system: System, step: Array, problem: Dataset) -> None:
        m, rows = problem.spectrum.size, len(problem.features)
        if rows * m**2 > LARGEST:
            raise InputError(
                f"the rate on {rows} rows with {m} eigendirections takes {rows * m**2:.2g} multiplications an "
                f"iteration, more than {LARGEST:g}: take fewer columns or rows, or use risk"
            )
        self.system, self.step, self.problem = system, step, problem
        self.judge = CoupledJudge(system, step, problem, self.solved)
        scale = self.judge.scale.T  # (m, k)
        mean = step + problem.spectrum[:, None, None] * (system.B @ system.C)
        self.e = mean * (scale[:, None, :] / scale[..., None])
        self.b, self.c = system.B[:, 0] / scale, system.C[0] * scale
        self.pairs = np.triu_indices(m)
        self.twice = np.where(self.pairs[0] == self.pairs[1], 1.0, 2.0)

    def gap(self) -> float:
        """rho - 1 by inverse iteration from above, as far as floats tell."""
        mean = self._mean_gap()
        if not (self.system.B.any() and math.isfinite(mean)):
            return mean
        x = np.zeros((len(self.pairs[0]), *self.e.shape[1:]))
        x[self.pairs[0] == self.pairs[1]] = np.eye(self.e.shape[-1])
        mu, width = mean, 0.1 * max(abs(mean), 1e-300)
        with np.errstate(all="ignore"):
            try:
                while not self._inside(first := (solve := self._shifted(mean + width))(x)):
                    width *= 8
                    if width > 1e200:
                        return mean
                mu, x, before = mean + width, first / np.linalg.norm(first), math.inf
                for _ in range(_ITERATIONS):
                    ahead = solve(x)
                    by = float((x * x).sum() / (x * ahead).sum())
                    x = ahead / np.linalg.norm(ahead)
                    if not math.isfinite(by):
                        break
                    if abs(by - before) > _ALIKE * abs(by):  # above rho, the nearest eigenvalue is rho: wait for it
                        before = by
                        continue
                    mu -= by
                    if abs(by) <= _SETTLED * abs(mu):
                        break
                    solve, before = self._shifted(mu), math.nan
            except np.linalg.LinAlgError:  # at an eigenvalue, as far as floats can tell
                pass
            return mu

    def solved(self, mu: float, forcing: Array) -> Array:
        """X (k, k, m, m) with (1 + mu) X - L(X) = forcing, refined once by its residual."""
        solve = self._shifted(mu)
        x = self._moments(solve(self._packed(forcing)))
        return x + self._moments(solve(self._packed(self._rest(mu, x, forcing))))

    def _rest(self, mu: float, x: Array, forcing: Array) -> Array:
        return forcing - (mu * x - increment(self.problem, self.system, self.step, x))

    def _mean_gap(self) -> float:
        if not np.isfinite(self.e).all():
            raise np.linalg.LinAlgError("the step is beyond the range of float64")
        values = np.linalg.eigvals(self.e)
        return float((2 * values.real + np.abs(values) ** 2).max())

    def _packed(self, second: Array) -> Array:
        """Blocks (pairs, k, k), scaled, of moments (k, k, m, m)."""
        i, j = self.pairs
        scale = self.judge.scale.T
        return second[:, :, i, j].transpose(2, 0, 1) / (scale[i][:, :, None] * scale[j][:, None, :])

    def _moments(self, blocks: Array) -> Array:
        """Moments (k, k, m, m) of scaled blocks."""
        i, j = self.pairs
        scale, k, m = self.judge.scale.T, self.e.shape[-1], len(self.e)
        blocks = (blocks * (scale[i][:, :, None] * scale[j][:, None, :])).transpose(1, 2, 0)
        second = np.empty((k, k, m, m))
        second[:, :, j, i] = blocks.transpose(1, 0, 2)
        second[:, :, i, j] = blocks
        return second

    def _inside(self, blocks: Array) -> bool:
        flat = self.judge.flat(self._moments(blocks))
        return bool(np.isfinite(flat).all() and np.linalg.eigvalsh(flat)[0] > 0)

    def _shifted(self, mu: float) -> Any:
        """The solver of (1 + mu) X - L(X) = Q on blocks."""
        i, j = self.pairs
        k = self.e.shape[-1]
        one = np.eye(k)
        # T_i (x) T_j - 1 without cancellation: E_i (x) 1 + T_i (x) E_j
        first = np.einsum("iab,cd->iacbd", self.e, one)[i]
        change = first + np.einsum("iab,icd->iacbd", (self.e + one)[i], self.e[j])
        inverse = np.linalg.inv(mu * np.eye(k * k) - change.reshape(-1, k * k, k * k))
        into = (self.b[i][:, :, None] * self.b[j][:, None, :]).reshape(-1, k * k)
        seen = (self.c[i][:, :, None] * self.c[j][:, None, :]).reshape(-1, k * k)
        response = (inverse @ into[..., None])[..., 0]
        h = (seen * response).sum(axis=1)
        solve_noise = self._noise_solver(h)

        def solve(blocks: Array) -> Array:
            alone = (inverse @ blocks.reshape(-1, k * k, 1))[..., 0]
            noise = solve_noise((seen * alone).sum(axis=1))
            return (alone + response * noise[:, None]).reshape(blocks.shape)

        return solve

    def _noise_solver(self, h: Array) -> Any:
        """From y the n with n = N(y + h o n)."""
        if len(h) <= _WRITTEN:
            from scipy.linalg.lapack import dgetrf, dgetrs

            matrix = self._noise_map
            with np.errstate(all="ignore"):
                if not np.isfinite(h).all():
                    raise np.linalg.LinAlgError("a response is beyond the range of float64")
                factors, pivots, singular = dgetrf(np.eye(len(h)) - matrix * h)
            if singular:
                raise np.linalg.LinAlgError("the shift is an eigenvalue, as far as floats can tell")
            return lambda y: dgetrs(factors, pivots, matrix @ y)[0]

        from scipy.sparse.linalg import LinearOperator, gmres

        root = np.sqrt(self.twice)  # in these units the map of symmetric matrices keeps its inner product
        shape = len(h), len(h)
        operator: Any = LinearOperator(shape, lambda n: n - root * self._noise(h * n / root), dtype=np.float64)

        def iterated(y: Array) -> Array:
            right = root * self._noise(y)
            return gmres(operator, right, rtol=_RESIDUAL, restart=100, maxiter=3)[0] / root

        return iterated

    def _noise(self, y: Array) -> Array:
        m = len(self.e)
        second = np.empty((m, m))
        second[self.pairs[::-1]] = second[self.pairs] = y
        return self.problem.noise(second[None, None], np.zeros((1, m)), False)[0, 0][self.pairs]

    @cached_property
    def _noise_map(self) -> Array:
        """The noise's map on the entries on and above the diagonal (pairs, pairs), for its batch."""
        i, j = self.pairs
        fourth = self.problem.fourth_moments
        return (fourth * self.twice - np.diag(self.problem.spectrum[i] * self.problem.spectrum[j])) / self.problem.batch
