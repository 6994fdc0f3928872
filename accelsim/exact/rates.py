"""The rate of a rule with constant coefficients: spectral radius per step of the map of second moments.

The map preserves the cone of positive semidefinite moments, so its spectral radius rho is an eigenvalue (Krein and
Rutman), and the one of largest real part. Computed is mu = rho - 1 itself, from the increments of the moments: near
rho = 1 that keeps the digits of the time constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim import program
from accelsim.errors import InputError
from accelsim.exact import moments
from accelsim.exact.minimal import minimal
from accelsim.exact.moments import Moments, System
from accelsim.optimizer import Optimizer
from accelsim.problems import Problem
from accelsim.spectra import Array
from accelsim.symbolic.tableau import linear_tableau

LARGEST = 2000  # unknowns: dense eigenvalues of that many take about half a minute


@dataclass(frozen=True)
class Rate:
    """How fast the risk falls to its floor, or grows.

    Attributes
    ----------
    rho : spectral radius per step of the second moments.
    tau : -1 / ln rho, in steps; infinite where the run does not settle.
    stable : rho < 1.
    """

    rho: float
    tau: float
    stable: bool

    @classmethod
    def of(cls, gap: float) -> Rate:
        """From rho - 1."""
        if gap >= 0:
            return cls(1 + gap, math.inf, False)
        return cls(max(1 + gap, 0.0), -1 / math.log1p(gap) if gap > -1 else 0.0, True)


def constant_system(optimizer: Optimizer, /, **hyperparameters: Any) -> tuple[System, Array]:
    """The minimal realisation of a linear rule with constant coefficients, and A - I with the digits of fractions.

    Raises
    ------
    InputError
        If the rule is not linear, or if its coefficients vary in time.
    """
    tableau = linear_tableau(optimizer, **hyperparameters)
    if not tableau.constant(**hyperparameters):
        raise InputError(f"the coefficients of {optimizer} vary in time here, so it has no one rate: use risk instead")
    exact = minimal(tableau, next(tableau.rows(program.exact, **hyperparameters)))
    a, b, c, d, f = (matrix.astype(float) for matrix in exact)
    return System(a, b, c, d, f, tableau.stages), (exact.A - np.eye(len(a), dtype=int)).astype(float)


def rate(optimizer: Optimizer, problem: Problem, /, **hyperparameters: Any) -> Rate:
    """Spectral radius per step of a linear rule's second moments, by dense eigenvalues.

    Label noise, residuals and additive noise set the floor, never the rate; so does the pull of weight decay.

    Raises
    ------
    InputError
        If the rule is not linear, its coefficients vary in time, or the problem is too large for dense eigenvalues.

    References
    ----------
    Krein and Rutman 1948: a linear map that preserves a cone has its spectral radius as an eigenvalue.
    """
    system, step = constant_system(optimizer, **hyperparameters)
    if problem.multiplicative:
        return Rate.of(float(np.linalg.eigvals(_increments(problem, system, step)).real.max()))
    return Rate.of(mean_gap(system, step, problem.spectrum))


def mean_gap(system: System, step: Array, spectrum: Array) -> float:
    """max rho(T_i)^2 - 1 over the maps T_i of the mean state, by eigendirection.

    Parameters
    ----------
    step : A - I.
    """
    count = len(system.C)
    solved = np.eye(count) - spectrum[:, None, None] * system.D  # gradients = lam (C s + D gradients)
    feedback = np.linalg.solve(solved, spectrum[:, None, None] * system.C)
    values = np.linalg.eigvals(step + system.B @ feedback)
    return float((2 * values.real + np.abs(values) ** 2).max())


def _increments(problem: Problem, system: System, step: Array) -> Array:
    """The map of symmetric second moments to their change in a step, (unknowns, unknowns), without lasting noise."""
    k, m = len(step), problem.spectrum.size
    unknowns = k * m * (k * m + 1) // 2 if problem.coupled else k * (k + 1) // 2 * m
    if unknowns > LARGEST:
        raise InputError(
            f"the rate here needs eigenvalues of a {unknowns} x {unknowns} matrix, more than {LARGEST}: "
            "take a problem of smaller dimension, or use risk"
        )
    places = list(_places(k, m, problem.coupled))
    shape = (k, k, m, m) if problem.coupled else (k, k, m)
    rows = tuple(np.array([place for place, _ in places]).T)
    columns = np.empty((len(places), len(places)))
    selected = np.eye(k, k + system.B.shape[1])
    change = np.hstack([step, system.B])
    for column, pair in enumerate(places):
        second = np.zeros(shape)
        for place in pair:
            second[place] = 1
        z = moments.with_gradients(problem, system, Moments(second, np.zeros((k, m))), False)
        once = moments.mapped_pair(change, z.second, selected)
        back = moments.mapped_pair(selected, z.second, change)
        columns[:, column] = (once + back + moments.mapped_pair(change, z.second, change))[rows]
    return columns


def _places(k: int, m: int, coupled: bool) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The places of a symmetric array of moments that hold its unknowns, each with its mirror image."""
    if not coupled:
        yield from (((a, b, i), (b, a, i)) for a in range(k) for b in range(a, k) for i in range(m))
        return
    for one in range(k * m):
        for other in range(one, k * m):
            a, i, b, j = *divmod(one, m), *divmod(other, m)
            yield (a, b, i, j), (b, a, j, i)
