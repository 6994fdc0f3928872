"""What a rule remembers: the weights of past gradients in the move of its query point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.exact.linear import linear_tableau
from accelsim.notebook import Tabular
from accelsim.optimizers import find
from accelsim.rule import Optimizer
from accelsim.spectra import Array

MOST = 10**6  # steps


@dataclass(frozen=True)
class Response(Tabular):
    """Weights of gradients in a move of the query point w: ``w(t+1) - w(t) = - sum over k of weights[k] g(t-k)``.

    Attributes
    ----------
    optimizer : the rule.
    step : the step t, from 0.
    weights : (step + 1,), by the age k of a gradient in steps.
    """

    optimizer: str
    step: int
    weights: Array

    @property
    def total(self) -> float:
        """Sum of the weights: the step along a gradient that stays the same."""
        return float(self.weights.sum())

    @property
    def mean_age(self) -> float:
        """Mean age of a gradient by weight, in steps; NaN where the weights add up to zero."""
        return float(np.arange(len(self.weights)) @ self.weights / self.total) if self.total else math.nan

    @property
    def effective_sample_size(self) -> float:
        """(Sum of weights)^2 / sum of squares: of how many gradients a plain mean has as much independent noise."""
        squares = float(self.weights @ self.weights)
        return self.total**2 / squares if squares else math.nan

    def _statement(self) -> dict[str, Any]:
        names = ("optimizer", "step", "total", "mean_age", "effective_sample_size")
        return {name: getattr(self, name) for name in names}

    def _columns(self) -> dict[str, Any]:
        return {"age": np.arange(len(self.weights)), self.optimizer: self.weights}

    def _drawing(self) -> tuple[Any, ...]:
        return "shares", self.step, {self.optimizer: self.weights}


def response(optimizer: Optimizer | str, step: int = 1000, /, **hyperparameters: Any) -> Response:
    """The weights that past gradients have in a step of a linear rule.

    Parameters
    ----------
    optimizer : a linear rule of one gradient a step, or its name.
    step : the step, from 0; gradients are from 0 to `step` steps old.
    **hyperparameters : numbers, schedules or text, see `Optimizer.resolve`.

    Raises
    ------
    InputError
        If the rule is not linear, takes several gradients a step, or a hyperparameter cannot be used.

    Examples
    --------
    >>> found = response("heavy_ball", 1000, lr=0.1, beta=0.9)
    >>> round(found.total, 9), round(found.mean_age, 9), round(found.effective_sample_size, 9)
    (1.0, 9.0, 19.0)
    """
    if not 0 <= step <= MOST or not float(step).is_integer():
        raise InputError(f"the step must be a whole number from 0 to {MOST:.0e}, not {step}")
    step, rule = int(step), find(optimizer)
    tableau = linear_tableau(rule, **hyperparameters)
    if tableau.gradients != 1:
        raise InputError(f"{rule} takes {tableau.gradients} gradients a step: an age has no weight of its own")
    rows = list(islice(tableau.rows(**hyperparameters), step + 2))
    weights, reads = np.empty(step + 1), rows[-1].C[0]
    for age, row in enumerate(reversed(rows[:-1])):
        weights[age] = 0 - reads @ row.B[:, 0]
        reads = reads @ row.A - (0 if age else row.C[0])  # how the move of the query point reads the states before
    if not np.isfinite(weights).all():
        raise InputError(f"the weights of {rule} are beyond the range of float64 at step {step}: take an earlier one")
    return Response(rule.name, step, weights)
