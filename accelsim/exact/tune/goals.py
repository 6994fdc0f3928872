"""Objectives of tuning: a score of hyperparameters, smaller is better, without sampling.

A score is the logarithm of tau in steps, of the risk, or of the step at which the risk reaches a target. Runs without
such a value score above all that have one, in bands of `NONE` by the kind of failure, and inside a band by how far they
are from a value.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from numbers import Real
from typing import Any

import numpy as np

from accelsim import program
from accelsim.errors import InputError
from accelsim.exact.kernel import OVERFLOW
from accelsim.exact.long_runs import thresholds, travel
from accelsim.exact.long_runs.leaps import Layout, leapt, unknowns
from accelsim.exact.minimal import minimal, pruned_tableau
from accelsim.exact.moments import starts
from accelsim.exact.risk import MOST, risk
from accelsim.exact.stationary import rates, secular
from accelsim.exact.tables import Moments, System, Tables, mapped
from accelsim.problems import Problem, Uncoupled
from accelsim.rule import Optimizer
from accelsim.spectra import Array
from accelsim.symbolic.system.tableau import Numeric, Tableau

Score = Callable[[dict[str, Any]], float]
NONE = 1000.0  # scores above have no value: beyond the logarithm of any float64
SHORT, DIVERGED, LOST, NOT_COMPUTABLE = NONE, 2 * NONE, 3 * NONE, 4 * NONE  # begins of the bands
_KINDS = {
    NOT_COMPUTABLE: "not computable",
    LOST: "digits lost",
    DIVERGED: "diverged",
    SHORT: "short of the target",
}
_FIRST = 1024  # steps within which a target is looked for first
_STEPPED, _MODE_STEPS = 10_000, 1_000_000  # and last, where steps are taken one by one, of any size and together
_WITHIN = 1e-3  # of a step: from the whole ones
_AGREED = 1e-6  # relative difference of what is computed in two ways
_DIGITS = 1e-9  # relative difference of what is computed from numbers that differ in their last digits
_SMALL = 500  # unknowns of tables on which leaps take milliseconds
_CONFIRMED = 1.0  # seconds of a run in extended precision, about; longer ones are held against another route


def kind(score: float) -> str | None:
    """Kind of failure that a score stands for; None where it is a value."""
    return next((name for begin, name in _KINDS.items() if score >= begin), None)


@dataclass(frozen=True)
class Rate:
    """The time constant tau."""

    horizon: None = None

    def on(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
        """The score on a rule and a problem, of hyperparameters like those given."""
        return _rated(optimizer, problem, like)

    def again(self, optimizer: Optimizer, problem: Problem, values: dict[str, Any], score: float) -> float:
        """The score by a second route: the rate itself, from fractions."""
        return _of_rate(rates.rate(optimizer, problem, **values))


def _of_rate(found: rates.Rate) -> float:
    """The logarithm of tau; how fast what is not stable grows."""
    return LOST if found.stable is None else _of_gap(-found.one_minus_rho)


def _of_gap(gap: float) -> float:
    """Logarithm of tau from rho - 1; above `DIVERGED` where that is not negative."""
    if gap >= 0:
        return DIVERGED + math.log1p(min(gap, sys.float_info.max))
    return max(-math.log(-math.log1p(gap)), -NONE) if gap > -1 else -NONE


@dataclass(frozen=True)
class RiskAt:
    """The risk after a number of steps."""

    horizon: int

    def on(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
        """The score on a rule and a problem."""
        tableau = pruned_tableau(optimizer, **like)
        near = isinstance(problem, Uncoupled) and self.horizon * problem.spectrum.size <= _MODE_STEPS
        quickly, leaping = _quick(problem, tableau, like), _leaping(problem, tableau, like)

        def score(values: dict[str, Any]) -> float:
            if not near:
                end = leaping(values, self.horizon)
                return self._scored(end) if end else self._far(optimizer, problem, values)
            found = quickly(values, -1.0, self.horizon)
            return self._scored(found or thresholds.risk_after(problem, tableau, values, self.horizon))

        return score

    def _far(self, optimizer: Optimizer, problem: Problem, values: dict[str, Any]) -> float:
        found = risk(optimizer, problem, self.horizon, **values)
        last = float(found.risk[-1])
        lost = not found.error[-1] <= thresholds.KEPT * last
        return self._scored(thresholds.Arrival(None, math.inf, last, found.diverged, lost))

    def _scored(self, found: thresholds.Arrival) -> float:
        if found.diverged is not None:
            return DIVERGED + math.log(self.horizon / max(found.diverged, 1))
        return LOST if found.lost else math.log(max(found.risk, sys.float_info.min))

    def again(self, optimizer: Optimizer, problem: Problem, values: dict[str, Any], score: float) -> float:
        """The score by a second route: in extended precision, or by another recursion where that would take long."""
        tableau = pruned_tableau(optimizer, **values)
        found = thresholds.confirmed_risk(problem, tableau, values, self.horizon, _CONFIRMED)
        return self._far(optimizer, problem, values) if found is None else self._scored(found)


@dataclass(frozen=True)
class StepsTo:
    """The first step at which the risk is at most a target, among the first `limit` steps."""

    target: float
    limit: int = 0
    horizon: None = None

    def limits(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> list[int]:
        """Numbers of steps within which to look for it, one after the other, with hyperparameters like those given."""
        tableau = pruned_tableau(optimizer, **like)
        if thresholds.unstepped(problem, Tables(tableau, dict(like))):
            most = 2**thresholds.DOUBLINGS
        elif problem.coupled or tableau.gradients > 1:
            most = _STEPPED
        else:
            most = max(_STEPPED, _MODE_STEPS // problem.spectrum.size)
        return [limit for limit in (_FIRST * 8**k for k in range(10)) if limit < most] + [most]

    def on(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
        """The score on a rule and a problem: the logarithm of a step between whole ones, where risks would cross it."""
        tableau = pruned_tableau(optimizer, **like)
        quickly = _quick(problem, tableau, like)

        def score(values: dict[str, Any]) -> float:
            found = quickly(values, self.target, self.limit) or thresholds.arrival(
                problem, tableau, values, self.target, self.limit
            )
            if found.steps is not None:
                part = math.log(found.before / self.target) / math.log(
                    found.before / max(found.risk, sys.float_info.min)
                )
                return math.log(found.steps - 1 + min(max(part, _WITHIN), 1 - _WITHIN))
            if found.lost:
                return LOST
            if found.diverged is not None:
                return DIVERGED + math.log(self.limit / max(found.diverged, 1))
            return SHORT + math.log(found.risk / self.target)

        return score

    def again(self, optimizer: Optimizer, problem: Problem, values: dict[str, Any], score: float) -> float:
        """The score, where a second route finds the risk at the target after that many steps; else `LOST`."""
        steps, tableau = math.ceil(math.exp(score)), pruned_tableau(optimizer, **values)
        near = self.target * (1 + _AGREED)
        other = thresholds.confirmed(problem, tableau, values, near, steps, _CONFIRMED)
        if other is None:
            found = risk(optimizer, problem, steps, **values)
            holds = found.diverged is None and 0 <= found.risk[-1] <= near
        else:
            holds = not other.lost and other.steps is not None and (other.steps == steps or other.risk > self.target)
        return score if holds else LOST


@dataclass(frozen=True)
class Floor:
    """The risk that noise leaves in the end."""

    horizon: None = None

    def on(self, optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
        """The score on a rule and a problem."""

        def score(values: dict[str, Any]) -> float:
            found = rates.floor(optimizer, problem, **values)
            return DIVERGED if found is None else math.log(max(found, sys.float_info.min))

        return score

    def again(self, optimizer: Optimizer, problem: Problem, values: dict[str, Any], score: float) -> float:
        """The score itself: a floor is checked by its own equation where it is found."""
        return score


Goal = Rate | RiskAt | StepsTo | Floor


def parse(text: str) -> Goal:
    """Objective from its text: ``rate``, ``risk@T`` or ``steps@TARGET``.

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
    if kind == "risk" and value > MOST:
        raise InputError(f"{number} steps are more than can be counted exactly: take at most {MOST:.3g}")
    if kind == "risk" and value >= 1 and value.is_integer():
        return RiskAt(int(value))
    if kind == "steps" and 0 < value < math.inf:
        return StepsTo(value)
    raise InputError(
        f"the objective must be rate, risk@T with a number of steps T of at least 1, or steps@TARGET with a risk above "
        f"0, not {text!r}"
    )


def _quick(
    problem: Problem, tableau: Tableau, like: Mapping[str, Any]
) -> Callable[[dict[str, Any], float, int], thresholds.Arrival | None]:
    """Arrivals without stepping and from coefficients in floats, which most points in a search need no more than.

    None for rules and problems that need steps, and for points at which a run of hyperparameters that differ in their
    last digits gives another risk.
    """
    free = False
    with suppress(ValueError, ArithmeticError):  # what cannot be computed is for every point to say of itself
        free = thresholds.unstepped(problem, Tables(tableau, dict(like)))
    if not (free and isinstance(problem, Uncoupled)):
        return lambda *_: None
    others, coordinates = tableau.optimizer.resolve(**like), _Coordinates(tableau)
    squared = thresholds.Squared(problem, tableau)

    def run(values: dict[str, Any], target: float, limit: int) -> thresholds.Arrival:
        return squared.run(Numeric(*coordinates.seen(tableau.at(0, values))[0][:5]), target, limit)

    def quickly(values: dict[str, Any], target: float, limit: int) -> thresholds.Arrival | None:
        found = run(others | values, target, limit)
        other = run(_nudged(others | values), -1.0, found.steps or limit)
        good = other.diverged is None and thresholds.alike(found.risk, other.risk, _DIGITS)
        return found if good else None

    return quickly


def _nudged(values: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters that differ in their last digits."""
    moved = (1 - sys.float_info.epsilon * (1 + place % 3) for place in count())
    return {k: v * part if isinstance(v, float) else v for (k, v), part in zip(values.items(), moved, strict=False)}


def _leaping(
    problem: Problem, tableau: Tableau, like: Mapping[str, Any]
) -> Callable[[dict[str, Any], int], thresholds.Arrival | None]:
    """Risks on small tables by leaps, where coefficients are constant; None elsewhere, and as in `_quick`."""
    if not (problem.coupled and tableau.constant(**like) and unknowns(problem, len(tableau.states) + 1) <= _SMALL):
        return lambda *_: None
    others, ends = tableau.optimizer.resolve(**like), None
    with suppress(ValueError, ArithmeticError):
        ends = None if Tables(tableau, dict(like)).take(0).drives else _Ends(problem, tableau)

    def leaping(values: dict[str, Any], steps: int) -> thresholds.Arrival | None:
        if ends:
            quick = ends.arrival(others | values, steps)
            if quick.diverged is not None:
                return quick
            if thresholds.alike(quick.risk, ends.arrival(_nudged(others | values), steps).risk, _DIGITS):
                return quick
        found, diverged = travel.end_of(problem, Tables(tableau, values), steps)
        if diverged is not None:
            return thresholds.Arrival(None, math.inf, found, diverged)
        other, _ = travel.end_of(problem, Tables(tableau, _nudged(values)), steps)
        return thresholds.Arrival(None, math.inf, found) if thresholds.alike(found, other, _DIGITS) else None

    return leaping


class _Ends:
    """Risks after many steps by leaps, from coefficients in floats, of rules that w* does not drive."""

    def __init__(self, problem: Problem, tableau: Tableau) -> None:
        self.tableau, self.coordinates = tableau, _Coordinates(tableau)
        self.layout = Layout(problem, len(tableau.states))
        second, mean = starts(tableau, problem, False)
        self.start = self.layout.vector(mapped(self.coordinates.into, Moments(second[:-1, :-1], mean[:-1])))[:, None]

    def arrival(self, values: dict[str, Any], steps: int) -> thresholds.Arrival:
        """The risk then, or when moments left the range of float64."""
        system, change = self.coordinates.seen(self.tableau.at(0, values))
        one, noise = self.layout.leap(system, change), np.ones(1)
        end = leapt(one, self.start, noise, [steps])[0]
        if not _inside(end):
            outside = travel.first_outside(one, self.start, noise, _inside)
            return thresholds.Arrival(None, math.inf, sys.float_info.max, outside)
        return thresholds.Arrival(None, math.inf, float(self.layout.risk(system.F[0]) @ end[:, 0]))


def _inside(moments: Array) -> bool:
    return bool(np.abs(moments).max() < OVERFLOW)


def _rated(optimizer: Optimizer, problem: Problem, like: Mapping[str, Any]) -> Score:
    """The score of a rate, by the secular equation in floats where it holds."""
    tableau, others = pruned_tableau(optimizer, **like), optimizer.resolve(**like)
    if not tableau.constant(**like):
        varying = (
            ", ".join(name for name in optimizer.program(like).reads if not isinstance(others[name], Real))
            or "its steps"
        )
        raise InputError(
            f"the coefficients of {optimizer} vary in time here, so it has no one rate: tune for risk@T instead, "
            f"or set or tune what varies ({varying})"
        )

    if not isinstance(problem, Uncoupled):  # there a solver alone is not to be trusted
        return lambda values: _of_rate(rates.rate(optimizer, problem, **values))

    def exactly(values: dict[str, Any]) -> float:
        return _of_gap(rates.guess(optimizer, problem, **values))

    if tableau.stages != (1,):
        return exactly
    declared, coordinates = optimizer.hyperparameters, _Coordinates(tableau)

    @cache
    def whole(ends: tuple[tuple[str, float], ...]) -> bool:
        """Whether every state matters where some hyperparameters are at ends of their ranges."""
        numeric = next(tableau.rows(program.exact, **{**like, **dict(ends)}))
        return len(minimal(tableau, numeric).A) == len(tableau.states)

    def quickly(values: dict[str, Any]) -> float:
        # the eigenvalue of a state that does not matter is none of the rate
        ends = ((name, value) for name, value in values.items() if value in (declared[name].low, declared[name].high))
        if not whole(tuple(ends)):
            return exactly(values)
        system, step = coordinates.seen(tableau.at(0, others | values))
        return _of_gap(secular.gap(system, step, problem))

    return quickly


class _Coordinates:
    """A rule's states as one position, the distances of the others from it, and memories.

    Positions that large cancelling coefficients keep together would leave no digits to an eigenvalue.
    """

    def __init__(self, tableau: Tableau) -> None:
        self.stages, self.one = tableau.stages, np.array(tableau.translation, dtype=float)
        self.first, self.apart = tableau.translation.index(1), tableau.translation.count(1) > 1
        self.rest = np.eye(len(self.one))
        self.into, self.back = np.eye(len(self.one)), np.eye(len(self.one))
        self.into[:, self.first] = -self.one
        self.into[self.first, self.first] = 1
        self.back[:, self.first] = self.one

    def seen(self, numeric: Numeric) -> tuple[System, Array]:
        """A step there, and the same minus the identity."""
        a, b, c, d, f = numeric
        rounding = 4 * np.finfo(float).eps * (np.abs(a) @ self.one + 1)
        moved = self.into @ a @ self.back if self.apart else a
        if (np.abs(a @ self.one - self.one) <= rounding).all():
            moved[:, self.first] = self.rest[self.first]  # a translation stays one: what differs is rounding
        if self.apart:
            b, c, f = self.into @ b, c @ self.back, f @ self.back
        return System(moved, b, c, d, f, self.stages), moved - self.rest
