"""Exact risk: second moments of all states of a linear rule, step by step, without sampling.

The states' moments P have axes (n, n, m), one matrix an eigendirection, or (n, n, m, m) where the problem couples
eigendirections. A yield appends its gradients to the states, whose moments follow from H (a factor on the
coordinate axes) and from the problem's sampling noise; the step then maps states and gradients to the new states.
Positions are carried as errors w - w*, so that risks far below |w*|^2 keep their digits. A constant row w* carries
what a rule that is not translation-equivariant (weight decay) feels of the origin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from accelsim.errors import InputError
from accelsim.optimizer import Optimizer
from accelsim.problems import Problem
from accelsim.spectra import Array
from accelsim.stats import log_spaced
from accelsim.symbolic.tableau import Numeric, Tableau, linear_tableau

_OVERFLOW = 1e200  # beyond this a run counts as diverged: the next products could leave float64


@dataclass(frozen=True)
class Risk:
    """Exact excess risk of the returned iterate.

    Attributes
    ----------
    steps : numbers of gradient steps taken, log-spaced, from 0.
    risk : the risk after that many steps.
    bias : of the run without label noise, residuals and additive noise.
    variance : of the run started at w* with them.
    cross : risk - bias - variance on problems where the two do not add up, else None.
    diverged : the step at which moments left the range of float64, which ends the record; None where they did not.
    """

    steps: np.ndarray
    risk: Array
    bias: Array
    variance: Array
    cross: Array | None
    diverged: int | None


class Moments(NamedTuple):
    """Second moments (n, n, m) or (n, n, m, m) and means (n, m) of n quantities."""

    second: Array
    mean: Array


class System(NamedTuple):
    """A step in numbers: matrices as in `Numeric`, with the number of gradients of each yield."""

    A: Array
    B: Array
    C: Array
    D: Array
    F: Array
    stages: tuple[int, ...]


def mapped(matrix: Array, moments: Moments) -> Moments:
    """Moments of matrix times the quantities."""
    return Moments(mapped_pair(matrix, moments.second, matrix), matrix @ moments.mean)


def mapped_pair(left: Array, second: Array, right: Array) -> Array:
    """Second moments of left times the quantities with right times them."""
    return _left(left, _right(second, right))


def _left(matrix: Array, second: Array) -> Array:
    """The matrix applied to the first axis."""
    return (matrix @ second.reshape(len(second), -1)).reshape(len(matrix), *second.shape[1:])


def _right(second: Array, matrix: Array) -> Array:
    """The matrix applied to the second axis."""
    rows, columns, *rest = second.shape
    return (matrix @ second.reshape(rows, columns, -1)).reshape(rows, len(matrix), *rest)


def with_gradients(problem: Problem, system: System, moments: Moments, noisy: bool) -> Moments:
    """Moments of the states and this step's gradients together, each yield on a fresh sample."""
    taken = 0
    for count in system.stages:
        rows = np.hstack([system.C[taken : taken + count], system.D[taken : taken + count, :taken]])
        moments = _append(problem, rows, moments, noisy)
        taken += count
    return moments


def _append(problem: Problem, rows: Array, moments: Moments, noisy: bool) -> Moments:
    """Append the gradients at the query errors `rows` times the quantities."""
    spectrum = problem.spectrum
    cross = _right(moments.second, rows)
    queries, mean = _left(rows, cross), rows @ moments.mean
    gradients = queries * spectrum * (spectrum[:, None] if problem.coupled else spectrum)
    gradients = gradients + problem.noise(queries, mean, noisy)
    cross = cross * spectrum
    above = np.concatenate([moments.second, cross], axis=1)
    below = np.concatenate([_transposed(cross), gradients], axis=1)
    return Moments(np.concatenate([above, below]), np.concatenate([moments.mean, mean * spectrum]))


def advance(problem: Problem, system: System, moments: Moments, noisy: bool) -> Moments:
    """Moments of the states after one more step."""
    second, mean = mapped(np.hstack([system.A, system.B]), with_gradients(problem, system, moments, noisy))
    # Left alone, what rounding makes asymmetric grows by itself where the moments themselves decay.
    return Moments((second + _transposed(second)) / 2, mean)


def _transposed(second: Array) -> Array:
    return second.transpose(1, 0, 3, 2) if second.ndim == 4 else second.transpose(1, 0, 2)


def _anchored(tableau: Tableau, numeric: Numeric) -> System:
    """The step on errors, with a last row for w*: 0 drive where the rule is translation-equivariant."""
    one = np.array(tableau.translation, dtype=float)

    def drive(matrix: Array, image: Array) -> Array:
        # differences that rounding of the coefficients explains are zero: they would be noise of relative size |w*|
        difference = matrix @ one - image
        rounding = 4 * np.finfo(float).eps * (np.abs(matrix) @ one + 1)
        return np.where(np.abs(difference) > rounding, difference, 0)[:, None]

    a, b, c, d, f = numeric
    constant = np.append(np.zeros(len(a)), 1)[None, :]
    return System(
        np.vstack([np.hstack([a, drive(a, one)]), constant]),
        np.vstack([b, np.zeros((1, b.shape[1]))]),
        np.hstack([c, drive(c, np.ones(len(c)))]),
        d,
        np.hstack([f, drive(f, np.ones(1))]),
        tableau.stages,
    )


def _systems(tableau: Tableau, hyperparameters: dict[str, Any]) -> Iterator[System]:
    previous = system = None
    for numeric in tableau.rows(**hyperparameters):
        if system is None or numeric is not previous:
            previous, system = numeric, _anchored(tableau, numeric)
        yield system


def _starts(tableau: Tableau, problem: Problem, at_optimum: bool) -> Moments:
    """Moments of (states, w*) before the first step; they are certain."""
    error = problem.modes(problem.start)
    ones = problem.modes(np.ones(problem.dim))
    rows = np.outer(tableau.translation, error) + np.outer(tableau.start, ones)
    mean = np.vstack([rows, -error]) * (not at_optimum)
    second = mean[:, None, :, None] * mean[None, :, None, :] if problem.coupled else mean[:, None] * mean[None]
    return Moments(second, mean)


def _returned_risk(problem: Problem, system: System, moments: Moments) -> float:
    second = mapped(system.F, moments).second[0, 0]
    return float((np.diagonal(second) if problem.coupled else second) @ problem.spectrum / 2)


def risk(optimizer: Optimizer, problem: Problem, steps: int, /, **hyperparameters: Any) -> Risk:
    """Exact excess risk of the returned iterate of a linear rule.

    Parameters
    ----------
    optimizer : a linear rule; its coefficients may vary in time.
    problem : where it runs.
    steps : how many.
    **hyperparameters : numbers, schedules or text, see `Optimizer.resolve`.

    Returns
    -------
    Risk
        At log-spaced steps. A memory that does not start at zero and the pull of weight decay towards the origin belong
        to the bias.

    Raises
    ------
    InputError
        If the rule is not linear, or a hyperparameter cannot be used.

    References
    ----------
    For Gaussian inputs E[x x^T M x x^T] = 2 H M H + tr(H M) H (Isserlis); for data sets the mean over rows.
    """
    if not float(steps).is_integer() or steps < 0:
        raise InputError(f"the number of steps must be a whole number of at least 0, not {steps}")
    tableau = linear_tableau(optimizer, **hyperparameters)
    runs = {"bias": (False, _starts(tableau, problem, False)), "variance": (True, _starts(tableau, problem, True))}
    if problem.coupled:
        runs["risk"] = (True, _starts(tableau, problem, False))
    wanted = log_spaced(int(steps)).tolist()
    kept: dict[str, list[float]] = {name: [] for name in runs}
    diverged = None
    with np.errstate(over="ignore", invalid="ignore"):
        for t, system in enumerate(_systems(tableau, hyperparameters)):
            if t == wanted[len(kept["bias"])]:
                for name, (_, moments) in runs.items():
                    kept[name].append(_returned_risk(problem, system, moments))
            if t == steps:
                break
            runs = {name: (noisy, advance(problem, system, m, noisy)) for name, (noisy, m) in runs.items()}
            if not all(np.abs(moments.second).max() < _OVERFLOW for _, moments in runs.values()):
                diverged = t + 1
                break
    bias, variance = np.array(kept["bias"]), np.array(kept["variance"])
    total = np.array(kept["risk"]) if problem.coupled else bias + variance
    cross = total - bias - variance if problem.coupled else None
    return Risk(np.array(wanted[: len(bias)]), total, bias, variance, cross, diverged)
