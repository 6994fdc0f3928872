"""Hyperparameters of the least time constant tau, by deterministic search over logarithms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim import program
from accelsim.errors import InputError, unknown
from accelsim.exact import secular
from accelsim.exact.minimal import minimal
from accelsim.exact.moments import System
from accelsim.exact.rates import constant_system, rate
from accelsim.optimizer import Optimizer
from accelsim.problems import Problem, Uncoupled
from accelsim.spectra import Array
from accelsim.symbolic.tableau import linear_tableau

_POPULATION, _GENERATIONS = 10, 60  # of the global search; members for each hyperparameter
_SIZES = 0.3, 0.03  # of the simplex that the local search starts from, and starts again from
_EDGE = 1e-3  # of a bound, in the search's coordinates
_UNSTABLE = 100.0  # above |log tau| of any tau that float64 can tell from 0 and infinity


@dataclass(frozen=True)
class Tuned:
    """The best hyperparameters found.

    Attributes
    ----------
    hyperparameters : all that were given or tuned, by name.
    tau : their time constant in steps; infinite if no stable ones were found.
    evaluations : rates computed.
    at_bound : names of those at the edge of what was searched.
    """

    hyperparameters: dict[str, Any]
    tau: float
    evaluations: int
    at_bound: tuple[str, ...]


@dataclass(frozen=True)
class _Axis:
    """A hyperparameter in the coordinate that the search moves in, with the coordinate's bounds."""

    value: Callable[[float], float]
    low: float
    high: float


def _axis(optimizer: Optimizer, name: str, scale: float) -> _Axis:
    if name not in optimizer.hyperparameters:
        raise unknown(f"hyperparameter of {optimizer}:", name, optimizer.hyperparameters)
    declared = optimizer.hyperparameters[name]
    if declared.switch:
        raise InputError(f"{name} of {optimizer} is a whole number, which is not tuned: set it instead")
    if declared.low == 0 and declared.high == 1 and declared.open_high:
        return _Axis(lambda x: 1 - 10**x, -8, 0)
    if math.isfinite(declared.low) and math.isfinite(declared.high):
        low, width = declared.low, declared.high - declared.low
        return _Axis(lambda x: low + width / (1 + 10**-x), -8, 8)
    return _Axis(lambda x: 10**x / scale, -8, 6)


def tune_tau(optimizer: Optimizer, problem: Problem, names: Sequence[str], /, **fixed: Any) -> Tuned:
    """Constants that minimize tau: differential evolution, then Nelder and Mead's method. Every call finds the same.

    Parameters
    ----------
    names : the hyperparameters to tune. Momenta in [0, 1) are searched in log(1 - beta), weights in a closed interval
        in their logit, all others over positive values in the logarithm, 1e-8 to 1e6 in units of 1/lam_max.
    **fixed : the others.

    Raises
    ------
    InputError
        For an unknown name or a switch among the names, and wherever `rate` does.
    """
    axes = [_axis(optimizer, name, float(problem.spectrum.max())) for name in names]

    def values(x: Array) -> dict[str, Any]:
        return {**fixed, **{name: axis.value(float(v)) for name, axis, v in zip(names, axes, x, strict=True)}}

    bounds = np.array([(axis.low, axis.high) for axis in axes])
    compute = _gap(optimizer, problem, values(bounds.sum(axis=1) / np.e))

    def objective(x: Array) -> float:
        gap = compute(values(x.clip(*bounds.T)))
        if gap >= 0:
            return _UNSTABLE + math.log1p(gap)
        return max(-math.log(-math.log1p(gap)), -_UNSTABLE) if gap > -1 else -_UNSTABLE

    place, least, evaluations = _search(objective, bounds)
    at_bound = np.abs(bounds - place[:, None]).min(axis=1) < _EDGE
    edges = tuple(name for name, at in zip(names, at_bound, strict=True) if at)
    return Tuned(values(place), math.exp(least) if least < _UNSTABLE else math.inf, evaluations, edges)


def _search(objective: Callable[[Array], float], bounds: Array) -> tuple[Array, float, int]:
    """Where a function is least, its value there, and how often it was asked for."""
    from scipy.optimize import Bounds, differential_evolution, minimize

    box = Bounds(*bounds.T)
    options: Any = dict(popsize=_POPULATION, maxiter=_GENERATIONS, tol=1e-3, polish=False, init="halton")
    found: Any = differential_evolution(objective, box, seed=0, **options)
    evaluations = found.nfev
    for size in _SIZES:
        simplex = np.vstack([found.x, found.x + size * np.eye(len(bounds))])
        options = dict(initial_simplex=simplex, xatol=1e-5, fatol=1e-10, maxfev=400 * len(bounds))
        found = minimize(objective, found.x, method="Nelder-Mead", bounds=box, options=options)
        evaluations += found.nfev
    return found.x, float(found.fun), evaluations


def _gap(optimizer: Optimizer, problem: Problem, generic: dict[str, Any]) -> Callable[[dict[str, Any]], float]:
    """The function from hyperparameters to rho - 1, by the secular equation where it holds."""
    tableau = linear_tableau(optimizer, **generic)
    if not tableau.constant(**generic):
        raise InputError(f"the coefficients of {optimizer} vary in time here, so it has no one rate: nothing to tune")
    if not isinstance(problem, Uncoupled) or tableau.stages != (1,):
        return lambda values: _dense(optimizer, problem, values)
    exact = minimal(tableau, next(tableau.rows(program.exact, **generic)))
    if len(exact.A) < len(tableau.states):
        return lambda values: secular.gap(*constant_system(optimizer, **values), problem)

    def quick(values: dict[str, Any]) -> float:
        system = System(*next(tableau.rows(**values)), tableau.stages)
        return secular.gap(system, system.A - np.eye(len(system.A)), problem)

    return quick


def _dense(optimizer: Optimizer, problem: Problem, values: dict[str, Any]) -> float:
    found = rate(optimizer, problem, **values)
    if not found.stable:
        return found.rho - 1
    return math.expm1(-1 / found.tau) if found.tau > 0 else -1.0
