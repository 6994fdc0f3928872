"""What hyperparameters can be tuned for: a score of them, smaller is better, without sampling.

A score is the logarithm of tau in steps, of the risk, or of the step at which the risk reaches a target. Runs that
have none (unstable, diverged, short of the target) score above all that do, by how far they are from having one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from accelsim import program
from accelsim.errors import InputError
from accelsim.exact import moments, rates, secular, thresholds
from accelsim.exact.minimal import minimal
from accelsim.exact.tables import System, Tables
from accelsim.optimizer import Optimizer
from accelsim.problems import Problem, Uncoupled
from accelsim.spectra import Array
from accelsim.symbolic.tableau import Numeric, Tableau, linear_tableau

Score = Callable[[dict[str, Any]], float]
NONE = 1000.0  # scores above have no value: beyond the logarithm of any float64
_SHORT = 1024  # steps within which a target is looked for first
_STEPPED, _MODE_STEPS = 10_000, 1_000_000  # and last, where steps are taken one by one, of any size and together
_WITHIN = 1e-3  # of a step: from the whole ones
_AGREED = 1e-6  # relative difference of what is computed in two ways
_CONFIRMED = 1.0  # seconds of a run in extended precision, about; longer ones are held against another route


@dataclass(frozen=True)
class Rate:
    """The time constant tau."""

    horizon: None = None

    def on(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
        """The score on a rule and a problem, of hyperparameters like those given."""
        compute = _gap(optimizer, problem, like)

        def score(values: dict[str, Any]) -> float:
            gap = compute(values)
            if gap >= 0:
                return NONE + math.log1p(gap)
            return max(-math.log(-math.log1p(gap)), -NONE) if gap > -1 else -NONE

        return score

    def holds(self, optimizer: Optimizer, problem: Problem, values: dict[str, Any], score: float) -> bool:
        """Whether a score is that of the hyperparameters: rates come from fractions."""
        return True


@dataclass(frozen=True)
class RiskAt:
    """The risk after a number of steps."""

    horizon: int

    def on(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
        """The score on a rule and a problem."""

        tableau = linear_tableau(optimizer, **like)
        if not isinstance(problem, Uncoupled) or self.horizon * problem.spectrum.size > _MODE_STEPS:
            return self._far(optimizer, problem)

        def score(values: dict[str, Any]) -> float:
            found = thresholds.arrival(problem, tableau, values, -1.0, self.horizon)
            return self._scored(found.risk, 1 if found.lost else found.diverged)

        return score

    def _far(self, optimizer: Optimizer, problem: Problem) -> Score:
        def score(values: dict[str, Any]) -> float:
            found = moments.risk(optimizer, problem, self.horizon, **values)
            return self._scored(float(found.risk[-1]), found.diverged)

        return score

    def _scored(self, risk: float, diverged: int | None) -> float:
        if diverged is not None or risk < 0:  # by rounding
            return NONE + math.log(self.horizon / max(diverged or 1, 1))
        return math.log(max(risk, sys.float_info.min))

    def holds(self, optimizer: Optimizer, problem: Problem, values: dict[str, Any], score: float) -> bool:
        """Whether a score is that of the hyperparameters when it is computed in another way."""
        if score >= NONE:
            return True
        tableau = linear_tableau(optimizer, **values)
        other = thresholds.confirmed(problem, tableau, values, -1.0, self.horizon, _CONFIRMED)
        if other is None:
            found = moments.risk(optimizer, problem, self.horizon, **values)
            return found.diverged is None and _same(float(found.risk[-1]), math.exp(score))
        return other.diverged is None and not other.lost and _same(other.risk, math.exp(score))


@dataclass(frozen=True)
class StepsTo:
    """The first step at which the risk is at most a target, among the first `limit` steps."""

    target: float
    limit: int = 0
    horizon: None = None

    def limits(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> list[int]:
        """Numbers of steps within which to look for it, one after the other, with hyperparameters like those given."""
        tableau = linear_tableau(optimizer, **like)
        if thresholds.unstepped(problem, Tables(tableau, dict(like))):
            most = 2**thresholds.DOUBLINGS
        elif problem.coupled or tableau.gradients > 1:
            most = _STEPPED
        else:
            most = max(_STEPPED, _MODE_STEPS // problem.spectrum.size)
        return [limit for limit in (_SHORT * 8**k for k in range(10)) if limit < most] + [most]

    def on(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
        """The score on a rule and a problem: the logarithm of a step between whole ones, where risks would cross it."""
        tableau = linear_tableau(optimizer, **like)

        def score(values: dict[str, Any]) -> float:
            found = thresholds.arrival(problem, tableau, values, self.target, self.limit)
            if found.steps is not None:
                part = math.log(found.before / self.target) / math.log(
                    found.before / max(found.risk, sys.float_info.min)
                )
                return math.log(found.steps - 1 + min(max(part, _WITHIN), 1 - _WITHIN))
            if found.lost:
                return 2 * NONE + math.log(self.limit)
            if found.diverged is not None:
                return 2 * NONE + math.log(self.limit / max(found.diverged, 1))
            return NONE + math.log(found.risk / self.target)

        return score

    def holds(self, optimizer: Optimizer, problem: Problem, values: dict[str, Any], score: float) -> bool:
        """Whether the risk is at the target after that many steps when it is computed in another way."""
        if score >= NONE:
            return True
        steps, tableau = math.ceil(math.exp(score)), linear_tableau(optimizer, **values)
        near = self.target * (1 + _AGREED)
        other = thresholds.confirmed(problem, tableau, values, near, steps, _CONFIRMED)
        if other is None:
            found = moments.risk(optimizer, problem, steps, **values)
            return found.diverged is None and 0 <= found.risk[-1] <= near
        return not other.lost and other.steps is not None and (other.steps == steps or other.risk > self.target)


@dataclass(frozen=True)
class Floor:
    """The risk that noise leaves in the end."""

    horizon: None = None

    def on(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
        """The score on a rule and a problem."""

        def score(values: dict[str, Any]) -> float:
            found = rates.floor(optimizer, problem, **values)
            return NONE if found is None else math.log(max(found, sys.float_info.min))

        return score

    def holds(self, optimizer: Optimizer, problem: Problem, values: dict[str, Any], score: float) -> bool:
        """As for `Rate`."""
        return True


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= _AGREED * abs(one)


Goal = Rate | RiskAt | StepsTo | Floor


def parse(text: str) -> Goal:
    """What is asked for: ``rate``, ``risk@T`` or ``steps@TARGET``.

    Raises
    ------
    InputError
        For anything else.
    """
    kind, _, number = text.partition("@")
    try:
        value = float(number) if number else math.nan
    except ValueError:
        value = math.nan
    if text == "rate":
        return Rate()
    if kind == "risk" and value >= 1 and value.is_integer():
        return RiskAt(int(value))
    if kind == "steps" and 0 < value < math.inf:
        return StepsTo(value)
    raise InputError(
        f"the objective must be rate, risk@T with a number of steps T of at least 1, or steps@TARGET with a risk above "
        f"0, not {text!r}"
    )


def _gap(optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
    """The function from hyperparameters to rho - 1, by the secular equation where it holds."""
    tableau, others = linear_tableau(optimizer, **like), optimizer.resolve(**like)
    if not tableau.constant(**like):
        varying = (
            ", ".join(name for name in optimizer.program(like).reads if not isinstance(others[name], Real))
            or "its steps"
        )
        raise InputError(
            f"the coefficients of {optimizer} vary in time here, so it has no one rate: tune for risk@T instead, "
            f"or set or tune what varies ({varying})"
        )

    def exactly(values: dict[str, Any]) -> float:
        return rates.gap(optimizer, problem, **values)

    if not isinstance(problem, Uncoupled) or tableau.stages != (1,):
        return exactly
    if len(minimal(tableau, next(tableau.rows(program.exact, **like))).A) < len(tableau.states):
        return exactly
    declared = optimizer.hyperparameters
    coordinates = _Coordinates(tableau)

    def quickly(values: dict[str, Any]) -> float:
        # On the edge of a range a state may stop to matter, and its eigenvalue with it.
        if any(value in (declared[name].low, declared[name].high) for name, value in values.items()):
            return exactly(values)
        system, step = coordinates.seen(tableau.at(0, others | values))
        return secular.gap(system, step, problem)

    return quickly


class _Coordinates:
    """A rule's states as one position, the distances of the others from it, and memories.

    Positions that large cancelling coefficients keep together would leave no digits to an eigenvalue.
    """

    def __init__(self, tableau: Tableau) -> None:
        self.stages, self.one = tableau.stages, np.array(tableau.translation, dtype=float)
        self.first = tableau.translation.index(1)
        self.rest = np.eye(len(self.one))
        self.into, self.back = np.eye(len(self.one)), np.eye(len(self.one))
        self.into[:, self.first] = -self.one
        self.into[self.first, self.first] = 1
        self.back[:, self.first] = self.one

    def seen(self, numeric: Numeric) -> tuple[System, Array]:
        """A step there, and the same minus the identity."""
        a, b, c, d, f = numeric
        rounding = 4 * np.finfo(float).eps * (np.abs(a) @ self.one + 1)
        moved = self.into @ a @ self.back
        if (np.abs(a @ self.one - self.one) <= rounding).all():
            moved[:, self.first] = self.rest[self.first]  # a translation stays one: what differs is rounding
        return System(moved, self.into @ b, c @ self.back, d, f @ self.back, self.stages), moved - self.rest
