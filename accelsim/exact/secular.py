"""The rate as the root of a scalar equation, for one query a step on problems without coupling.

Moments in direction i evolve as P -> T_i P T_i^T + B N_i B^T with T_i = A + lam_i B C and sampling noise
N_i = own_i Y_i + left_i sum_j right_j Y_j, Y_i = C P_i C^T. With h_i(z) = (C (x) C) (z - T_i (x) T_i)^{-1} vec(B B^T)
an eigenvector satisfies Y_i = h_i(z) N_i, so rho is the largest root z of

    sum_i right_i left_i h_i / (1 - own_i h_i) = 1,

or max rho(T_i)^2 where there is no larger one. The left side falls from infinity to zero above its last pole.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

from accelsim.exact.moments import System
from accelsim.exact.rates import mean_gap, too_large
from accelsim.problems import Uncoupled
from accelsim.spectra import Array

_RELATIVE = 1e-10  # a root closer than this to the rate of the mean is that rate


def gap(system: System, step: Array, problem: Uncoupled) -> float:
    """rho - 1 of a rule with one query.

    Parameters
    ----------
    system : minimal realisation, constant in time.
    step : A - I.
    """
    from scipy.optimize import brentq

    least = mean_gap(system, step, problem.spectrum)
    if not problem.multiplicative:
        return least
    equation = _Equation(system, step, problem)
    low = least + _RELATIVE * abs(least)
    if equation(low) >= 0:
        return least
    high = 0.0
    while high <= low or equation(high) < 0:
        high = max(2 * high, 2 * low, 1.0)
        if not np.isfinite(high):
            raise too_large()
    return float(brentq(equation, low, high, xtol=1e-30, rtol=1e-13, maxiter=1000))


class _Equation:
    """1 / (left side) - 1 as a function of mu = z - 1: rising, and -1 up to the last pole."""

    def __init__(self, system: System, step: Array, problem: Uncoupled) -> None:
        k = len(step)
        fold, spread = _symmetric(k)
        e = step + problem.spectrum[:, None, None] * (system.B @ system.C)
        one = np.eye(k)
        # T (x) T - I without cancellation: E (x) I + T (x) E
        change = np.einsum("iab,cd->iacbd", e, one) + np.einsum("iab,icd->iacbd", e + one, e)
        self.maps = fold @ change.reshape(-1, k * k, k * k) @ spread
        self.into = fold @ np.outer(system.B, system.B).ravel()
        self.out = np.outer(system.C, system.C).ravel() @ spread
        self.weight, self.own, self.one = problem.right * problem.left, problem.own, np.eye(len(fold))

    def __call__(self, mu: float) -> float:
        try:
            h = np.linalg.solve(mu * self.one - self.maps, self.into[:, None])[..., 0] @ self.out
        except np.linalg.LinAlgError:
            return -1.0
        rest = 1 - self.own * h
        if (rest <= 0).any() or (h < 0).any():
            return -1.0
        left = float((self.weight * h / rest).sum())
        return 1 / left - 1 if left > 0 else np.inf


@cache
def _symmetric(k: int) -> tuple[Array, Array]:
    """Maps between (k, k) arrays, flattened, and the entries on and above the diagonal of symmetric ones."""
    pairs = list(itertools.combinations_with_replacement(range(k), 2))
    fold, spread = np.zeros((len(pairs), k * k)), np.zeros((k * k, len(pairs)))
    for row, (a, b) in enumerate(pairs):
        fold[row, a * k + b] = 1
        spread[a * k + b, row] = spread[b * k + a, row] = 1
    return fold, spread
