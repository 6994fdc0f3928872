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
from accelsim.exact.rates import rate
from accelsim.optimizer import Hyperparameter, Optimizer
from accelsim.problems import Problem, Uncoupled
from accelsim.spectra import Array
from accelsim.symbolic.tableau import linear_tableau

_STARTS = 3  # local searches
_SAMPLE = 64  # points looked at first, for each hyperparameter
_SIZES = 0.5, 0.05  # of the simplex a local search starts from, and starts again from
_UNSTABLE = 100.0  # above the logarithm of any tau that float64 can tell from infinity


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


def _axis(declared: Hyperparameter, scale: float) -> _Axis:
    if declared.low == 0 and declared.high == 1 and declared.open_high:
        return _Axis(lambda x: 1 - 10**x, -8, 0)
    if math.isfinite(declared.low) and math.isfinite(declared.high):
        low, width = declared.low, declared.high - declared.low
        return _Axis(lambda x: low + width / (1 + 10**-x), -8, 8)
    return _Axis(lambda x: 10**x / scale, -8, 4)


def tune_tau(optimizer: Optimizer, problem: Problem, names: Sequence[str], /, **fixed: Any) -> Tuned:
    """Constants that minimize tau.

    Parameters
    ----------
    names : the hyperparameters to tune. Momenta in [0, 1) are searched in log(1 - beta), weights in a closed interval
        in their logit, all others over positive values in the logarithm, 1e-8 to 1e4 in units of 1/lam_max.
    **fixed : the others.

    Raises
    ------
    InputError
        For an unknown name or a switch among the names, and wherever `rate` does.
    """
    from scipy.optimize import minimize
    from scipy.stats import qmc

    for name in names:
        if name not in optimizer.hyperparameters:
            raise unknown(f"hyperparameter of {optimizer}:", name, optimizer.hyperparameters)
        if optimizer.hyperparameters[name].switch:
            raise InputError(f"{name} of {optimizer} is a whole number, which is not tuned: set it instead")
    axes = [_axis(optimizer.hyperparameters[name], float(problem.spectrum.max())) for name in names]
    low, high = np.array([axis.low for axis in axes]), np.array([axis.high for axis in axes])
    evaluations = 0

    def values(x: Array) -> dict[str, float]:
        return {name: axis.value(float(v)) for name, axis, v in zip(names, axes, x, strict=True)}

    compute = _gap(optimizer, problem, {**fixed, **values((low + high) / np.e)})

    def objective(x: Array) -> float:
        nonlocal evaluations
        evaluations += 1
        gap = compute({**fixed, **values(np.clip(x, low, high))})
        if gap >= 0:
            return _UNSTABLE + math.log1p(gap)
        return -math.log(-math.log1p(gap)) if gap > -1 else -math.inf

    sample = qmc.scale(qmc.Halton(len(names), scramble=False).random(_SAMPLE * len(names)), low, high)
    best = sorted(sample, key=objective)[:_STARTS]
    found = []
    for x in best:
        for size in _SIZES:
            simplex = np.vstack([x, x + size * np.eye(len(names))])
            options: Any = {"initial_simplex": simplex, "xatol": 1e-5, "fatol": 1e-10, "maxfev": 400 * len(names)}
            result = minimize(objective, x, method="Nelder-Mead", options=options)
            x = result.x
        found.append((float(result.fun), tuple(np.clip(x, low, high))))
    least, place = min(found)
    at_bound = tuple(n for n, x, a, b in zip(names, place, low, high, strict=True) if min(x - a, b - x) < 1e-3)
    tau = math.exp(least) if least < _UNSTABLE else math.inf
    return Tuned({**fixed, **values(np.array(place))}, tau, evaluations, at_bound)


def _gap(optimizer: Optimizer, problem: Problem, generic: dict[str, Any]) -> Callable[[dict[str, Any]], float]:
    """The function from hyperparameters to rho - 1, by the secular equation where it holds."""
    tableau = linear_tableau(optimizer, **generic)
    if not tableau.constant(**generic):
        raise InputError(f"the coefficients of {optimizer} vary in time here, so it has no one rate: nothing to tune")
    exact = minimal(tableau, next(tableau.rows(program.exact, **generic)))
    if not isinstance(problem, Uncoupled) or tableau.stages != (1,) or len(exact.A) < len(tableau.states):
        return lambda values: _dense(optimizer, problem, values)

    def quick(values: dict[str, Any]) -> float:
        system = System(*next(tableau.rows(**values)), tableau.stages)
        return secular.gap(system, system.A - np.eye(len(system.A)), problem)

    return quick


def _dense(optimizer: Optimizer, problem: Problem, values: dict[str, Any]) -> float:
    found = rate(optimizer, problem, **values)
    if not found.stable:
        return found.rho - 1
    return math.expm1(-1 / found.tau) if found.tau > 0 else -1.0
