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
    try:
        a, b, c, d, f = (matrix.astype(float) for matrix in exact)
    except OverflowError:
        raise too_large() from None
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
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            if problem.multiplicative:
                gap = float(np.linalg.eigvals(_increments(problem, system, step)).real.max())
            else:
                gap = mean_gap(system, step, problem.spectrum)
    except np.linalg.LinAlgError:  # what eigenvalues make of infinity
        raise too_large() from None
    if not math.isfinite(gap):
        raise too_large()
    return Rate.of(gap)


def edge(optimizer: Optimizer, problem: Problem, name: str, /, **hyperparameters: Any) -> float:
    """The value of a hyperparameter at which the rule turns unstable, the others as they are.

    Looked for by doubling or halving from the value given, then bisected to nine digits: the edge next to it, if there
    are several.

    Raises
    ------
    InputError
        As `rate` does, and if no edge is found within a factor of 2^100.
    """

    def stable(value: float) -> bool:
        return rate(optimizer, problem, **{**hyperparameters, name: value}).stable

    low = high = float(optimizer.resolve(**hyperparameters)[name]) or 1.0
    inside = stable(low)
    for _ in range(100):
        if stable(high if inside else low) != inside:
            break
        low, high = (high, 2 * high) if inside else (low / 2, low)
    else:
        raise InputError(f"no edge of stability found in {name} of {optimizer} within a factor of 2^100")
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if stable(middle) else (low, middle)
    return low


def too_large() -> InputError:
    """What to say where a rate overflows."""
    return InputError("the rate is beyond the range of float64: take smaller step sizes")


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
