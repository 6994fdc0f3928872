"""What hyperparameters can be tuned for: a score of them, smaller is better, without sampling.

A score is the logarithm of tau in steps, of the risk, or of the step at which the risk reaches a target. Runs that
have none (unstable, diverged, short of the target) score above all that do, by how far they are from having one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from accelsim import program
from accelsim.errors import InputError
from accelsim.exact import moments, secular
from accelsim.exact.minimal import minimal
from accelsim.exact.rates import constant_system, rate
from accelsim.exact.tables import System
from accelsim.optimizer import Optimizer
from accelsim.problems import Problem, Uncoupled
from accelsim.symbolic.tableau import linear_tableau

Score = Callable[[dict[str, Any]], float]
NONE = 1000.0  # scores above have no value: beyond the logarithm of any float64


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


@dataclass(frozen=True)
class RiskAt:
    """The risk after a number of steps."""

    horizon: int

    def on(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
        """The score on a rule and a problem."""

        def score(values: dict[str, Any]) -> float:
            found = moments.risk(optimizer, problem, self.horizon, **values)
            if found.diverged is not None:
                return NONE + math.log(self.horizon / found.diverged)
            return math.log(found.risk[-1]) if found.risk[-1] > 0 else -NONE

        return score


Goal = Rate | RiskAt


def parse(text: str) -> Goal:
    """What is asked for: ``rate`` or ``risk@T``.

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
    raise InputError(f"the objective must be rate or risk@T with a number of steps T of at least 1, not {text!r}")


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
    if not isinstance(problem, Uncoupled) or tableau.stages != (1,):
        return lambda values: _dense(optimizer, problem, values)

    def exactly(values: dict[str, Any]) -> float:
        return secular.gap(*constant_system(optimizer, **values), problem)

    if len(minimal(tableau, next(tableau.rows(program.exact, **like))).A) < len(tableau.states):
        return exactly
    declared = optimizer.hyperparameters

    def quickly(values: dict[str, Any]) -> float:
        # On the edge of a range a state may stop to matter, and its eigenvalue with it.
        if any(value in (declared[name].low, declared[name].high) for name, value in values.items()):
            return exactly(values)
        system = _scaled(System(*tableau.at(0, others | values), tableau.stages), tableau.translation)
        return secular.gap(system, system.A - np.eye(len(system.A)), problem)

    return quickly


def _scaled(system: System, translation: tuple[int, ...]) -> System:
    """The system in one position, distances of the others from it, and memories, in units of what a gradient adds.

    Positions that a rule keeps apart by large cancelling coefficients would leave no digits to an eigenvalue.
    """
    one, first = np.array(translation, dtype=float), translation.index(1)
    a, b, c, d, f, stages = system
    into = np.eye(len(one))
    into[:, first] -= one
    into[first, first] = 1
    unit = np.abs(into @ b[:, 0])
    unit[first] = 1
    unit[unit == 0] = 1
    back = np.eye(len(one))
    back[:, first] = one
    back *= unit
    into /= unit[:, None]
    moved = into @ a @ back
    if (np.abs(a @ one - one) <= 4 * np.finfo(float).eps * (np.abs(a) @ one + 1)).all():
        moved[:, first] = 0  # a translation stays one: what is there is rounding
        moved[first, first] = 1
    return System(moved, into @ b, c @ back, d, f @ back, stages)


def _dense(optimizer: Optimizer, problem: Problem, values: dict[str, Any]) -> float:
    found = rate(optimizer, problem, **values)
    if not found.stable:
        return found.rho - 1
    return math.expm1(-1 / found.tau) if found.tau > 0 else -1.0
