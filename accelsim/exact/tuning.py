"""The best hyperparameters of a rule on a problem, without sampling, under one budget whatever the rule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np

from accelsim.errors import InputError, unknown
from accelsim.exact import goals
from accelsim.exact.goals import Goal, StepsTo
from accelsim.exact.search import Axis, Found, axis, confirmed, search
from accelsim.optimizers import find
from accelsim.problems import Problem
from accelsim.rule import Optimizer
from accelsim.schedules import FAMILIES, Recurrence
from accelsim.spectra import Array, whole
from accelsim.threads import single_threaded

BUDGET = 2000  # evaluations
_LOOK = 64  # evaluations that look whether a number of steps is enough to reach a target
_FLOORS = 400  # evaluations that look for the lowest noise floor
_POINT = ValueError, ArithmeticError, RuntimeError  # errors of a point: input, singular matrices, overflow, no root
_LONGEST = 1e6  # scale of a schedule, where the objective names no number of steps


@dataclass(frozen=True)
class Tuned:
    """The best hyperparameters found.

    Attributes
    ----------
    hyperparameters : all that were given or tuned, by name; schedules as text.
    value : tau in steps, the risk, or a number of steps; infinite where nothing stable was found.
    evaluations : how often the objective was computed.
    budget : how often it could have been.
    at_bound : names of those at the edge of what was searched.
    agreement : relative difference of the best values of two independent searches with half of the budget each, of
        which the better one is taken; infinite where one of them found no value.
    failed : number of points without a value, by kind: ``diverged`` (or not stable), ``not computable`` (an error),
        ``digits lost`` (rounding leaves fewer than three) and, for a number of steps, ``short of the target``.
    """

    hyperparameters: dict[str, Any]
    value: float
    evaluations: int
    budget: int
    at_bound: tuple[str, ...]
    agreement: float
    failed: dict[str, int]


@dataclass(frozen=True)
class _Free:
    """A hyperparameter to tune: its axes, and its value from their values."""

    name: str
    axes: list[Axis]
    value: Callable[..., Any]


@single_threaded
def tune(
    optimizer: Optimizer,
    problem: Problem,
    objective: str = "rate",
    names: Iterable[str] | None = None,
    /,
    *,
    families: Mapping[str, str] | None = None,
    budget: int = BUDGET,
    seed: int = 0,
    **fixed: Any,
) -> Tuned:
    """Hyperparameters that minimize an exact quantity.

    The same call finds the same ones, on any number of cores, and a larger budget none that are worse. Where a point
    has no value (a run that diverges, an error, lost digits), that is counted and the search goes on.

    Parameters
    ----------
    objective : ``rate`` (the time constant tau in steps), ``risk@T`` (the risk after T steps) or ``steps@TARGET`` (the
        first step at which the risk is at most TARGET).
    names : the hyperparameters to tune, over their declared ranges (`search.axis`); without names, all that the rule
        reads and that are not given, save switches and what a recurrence stands for.
    families : name to schedule, see `schedules.FAMILIES`; the others are constants.
    budget : how often the objective may be computed.
    seed : of the points from which the search starts.
    **fixed : the other hyperparameters, as for `Optimizer.resolve`.

    Raises
    ------
    InputError
        For an unknown name, objective or schedule, a budget below 1, where nothing is left to tune, where no point
        tried can be computed, and where no run found reaches the target.
    """
    budget, goal, families = whole(budget, "budget of evaluations"), goals.parse(objective), families or {}
    fixed = {name: optimizer.value(name, value) for name, value in fixed.items()}
    if seed < 0:
        raise InputError(f"the seed must be a whole number of at least 0, not {seed}")
    chosen = _chosen(optimizer, names, families, fixed)
    scale = float(problem.spectrum.max())
    free = [_freed(optimizer, name, scale, families.get(name, "constant"), goal.horizon) for name in chosen]
    space = _Space(optimizer, problem, fixed, free, seed)
    if isinstance(goal, StepsTo):
        best, evaluations = _reached(goal, space, budget)
        value: float = math.ceil(math.exp(best.value))
    else:
        best = space.search(goal, budget)
        evaluations = best.evaluations
        value = math.exp(best.value) if best.value < goals.NONE else math.inf
    owners = [part.name for part in free for _ in part.axes]
    at_bound = tuple(dict.fromkeys(owners[k] for k in best.edges))
    values = {k: v if isinstance(v, Real) else str(v) for k, v in space.values(best.place).items()}
    return Tuned(values, value, evaluations, budget, at_bound, _apart(*best.alone), space.failed)


def _apart(one: float, other: float) -> float:
    """The relative difference of the values of two scores."""
    return math.expm1(abs(one - other)) if max(one, other) < goals.NONE else math.inf


@dataclass(frozen=True)
class _Space:
    """Hyperparameters of a rule on a problem, some fixed, some free; points tried that had no value, by kind."""

    optimizer: Optimizer
    problem: Problem
    fixed: Mapping[str, Any]
    free: list[_Free]
    seed: int
    failed: dict[str, int] = field(default_factory=dict)

    def values(self, x: Array) -> dict[str, Any]:
        """The hyperparameters at coordinates."""
        coordinates = iter(x.tolist())
        numbers = {part.name: [a.value(next(coordinates)) for a in part.axes] for part in self.free}
        return {**self.fixed, **{part.name: part.value(*numbers[part.name]) for part in self.free}}

    @property
    def axes(self) -> list[Axis]:
        return [a for part in self.free for a in part.axes]

    @property
    def inside(self) -> dict[str, Any]:
        """Some that are on no bound."""
        return self.values(np.array([a.low + (a.high - a.low) / math.e for a in self.axes]))

    def search(self, goal: Goal, count: int, known: Found | None = None) -> Found:
        """The best ones found within a number of evaluations, and from what is known of the same goal.

        Raises
        ------
        InputError
            Where no point tried can be computed.
        """
        score = goal.on(self.optimizer, self.problem, self.inside)
        tried: list[tuple[float, Array]] = []
        errors: list[tuple[Array, Exception]] = []

        def computed(x: Array, score: Callable[[dict[str, Any]], float]) -> float:
            try:
                with np.errstate(all="ignore"):
                    value = score(self.values(x))
            except _POINT as error:
                errors.append((x.copy(), error))
                return goals.NOT_COMPUTABLE
            return goals.NOT_COMPUTABLE if math.isnan(value) else value

        def objective(x: Array) -> float:
            value = computed(x, score)
            tried.append((value, x.copy()))
            return value

        def again(x: Array, value: float) -> float:
            return computed(x, lambda values: goal.again(self.optimizer, self.problem, values, value))

        found = search(objective, self.axes, count, self.seed, known)
        if len(errors) == len(tried):
            raise self._none(errors)
        self.failed.update(Counter(filter(None, (goals.kind(value) for value, _ in tried))) + Counter(self.failed))
        return confirmed(found, tried, self.axes, again) if found.value < goals.NONE else found

    def _none(self, errors: list[tuple[Array, Exception]]) -> InputError:
        """The complaint that every point raises; where they raise unlike ones, one of them and its point."""
        x, error = min(errors, key=lambda one: one[0].tolist())
        if isinstance(error, InputError) and len({str(error) for _, error in errors}) == 1:
            return error
        where = _listed(self.values(x))
        return InputError(f"none of the {len(errors)} points tried can be computed; at {where}: {error}")


def _reached(goal: StepsTo, space: _Space, budget: int) -> tuple[Found, int]:
    """Looks among short runs first, then longer ones, until one reaches the target; then a search among such runs."""
    start = float(space.problem.risk(space.problem.start[None])[0])
    if start <= goal.target:
        raise InputError(f"the risk is {start:.6g} at the start: take a target below it")
    spent, limits = 0, goal.limits(space.optimizer, space.problem, space.inside)
    for limit in limits:
        long, left = replace(goal, limit=limit), budget - spent
        look = space.search(long, left if limit == limits[-1] else min(left, _LOOK))
        spent += look.evaluations
        if look.value < goals.NONE or spent == budget:
            break
        if limit == limits[0]:
            _check_floor(goal.target, space)
    if look.value >= goals.NONE:
        raise _unreached(long, space, look)
    if spent == budget or limit == limits[-1]:
        return look, spent
    found = space.search(long, budget - spent, look)
    return found, spent + found.evaluations


def _check_floor(target: float, space: _Space) -> None:
    """Raise if no noise floor found is below the target; floors take no steps and so no part of the budget."""
    try:
        lowest = replace(space, failed={}).search(goals.Floor(), _FLOORS)
    except InputError:  # there is none where coefficients vary in time, and none is computed on large tables
        return
    if math.log(target) < lowest.value < goals.NONE:
        where = _listed(space.values(lowest.place))
        raise InputError(
            f"unreachable, it seems: no noise floor below {math.exp(lowest.value):.6g} found in {lowest.evaluations} "
            f"trials, that one at {where}"
        )


def _unreached(goal: StepsTo, space: _Space, found: Found) -> InputError:
    """What to say where no run reaches the target in time."""
    if found.value >= goals.DIVERGED:
        if space.failed.keys() == {goals.kind(goals.DIVERGED)}:
            return InputError(f"unreachable: every run tried diverges within {goal.limit} steps")
        kinds = ", ".join(f"{count} {kind}" for kind, count in space.failed.items())
        return InputError(f"unreachable: no run tried has a risk within {goal.limit} steps ({kinds})")
    least, where = goal.target * math.exp(found.value - goals.NONE), _listed(space.values(found.place))
    return InputError(
        f"not reached within {goal.limit} steps in the runs tried, of which the least risk then is {least:.6g}, at "
        f"{where}: a larger budget tries more"
    )


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:.6g}" if isinstance(value, Real) else f"{name}={value}" for name, value in values.items()
    )


@single_threaded
def envelope(problem: Problem, objective: str, /, *, budget: int = BUDGET, seed: int = 0) -> Tuned:
    """The best constant one-memory method that returns its query point: accelerated SGD, beta, eta and alpha free.

    Methods that return another point than they query may reach a lower risk with the same steps.
    """
    return tune(find("accelerated_sgd"), problem, objective, budget=budget, seed=seed)


def _chosen(
    optimizer: Optimizer, names: Iterable[str] | None, families: Mapping[str, str], fixed: Mapping[str, Any]
) -> list[str]:
    """The hyperparameters to tune."""
    declared = optimizer.hyperparameters
    if names is None:
        read = optimizer.program(fixed).reads
        usual = [
            n
            for n in declared
            if n in read and not declared[n].switch and not isinstance(declared[n].default, Recurrence)
        ]
        chosen = [*dict.fromkeys([n for n in usual if n not in fixed] + list(families))]
    else:
        chosen = list(dict.fromkeys([*names, *families]))
    for name in chosen:
        if name in fixed:
            raise InputError(f"{name} is both set and tuned: drop one of the two")
    if not chosen:
        raise InputError(f"nothing is left to tune: every hyperparameter of {optimizer} is set")
    return chosen


def _freed(optimizer: Optimizer, name: str, scale: float, family: str, horizon: int | None) -> _Free:
    """A hyperparameter as a member of a family of schedules."""
    own = axis(optimizer, name, scale)
    if family not in FAMILIES:
        raise unknown("schedule", family, FAMILIES)
    template = FAMILIES[family]
    if template is None:
        return _Free(name, [own], float)
    if template.ends and horizon is not None:
        return _Free(name, [own], lambda peak: template.text(peak, horizon))
    length = Axis(lambda x: 10**x, 0, math.log10(horizon or _LONGEST))
    return _Free(name, [own, length], template.text)
