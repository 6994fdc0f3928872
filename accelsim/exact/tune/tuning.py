"""The best hyperparameters of a rule on a problem, without sampling, under one budget whatever the rule."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from numbers import Real
from time import perf_counter
from typing import Any

import numpy as np

from accelsim.errors import InputError, unknown
from accelsim.exact.limit import of_rule
from accelsim.exact.long_runs import travel
from accelsim.exact.minimal import pruned_tableau
from accelsim.exact.tables import Tables
from accelsim.exact.tune import goals
from accelsim.exact.tune.goals import Goal, StepsTo
from accelsim.exact.tune.search import Axis, Ended, Found, Interrupted, axis, confirmed, search
from accelsim.notebook import Told
from accelsim.optimizers import find
from accelsim.problems import Problem
from accelsim.rule import Optimizer, spelled
from accelsim.schedules import FAMILIES, Recurrence
from accelsim.spectra import Array, whole
from accelsim.threads import single_threaded

BUDGET = 2000  # evaluations
AGREED = 0.01  # relative difference of the best values of two searches that agree
_TURNS = 2  # of each of them, before they can
_LOOK = 64  # evaluations that look whether a number of steps is enough to reach a target
_FLOORS = 400  # evaluations that look for the lowest noise floor
POINT = ValueError, ArithmeticError, RuntimeError  # errors of a point: input, singular matrices, overflow, no root
_LONGEST = 1e6  # scale of a schedule, where the objective names no number of steps
_LEAST = math.log(sys.float_info.min)
_LARGEST = 700.0  # logarithm of a float


@dataclass(frozen=True)
class Tuned(Told):
    """The best hyperparameters found.

    Attributes
    ----------
    hyperparameters : all that were given or tuned, by name; schedules as text.
    value : tau in steps, the risk, or a number of steps; infinite where nothing stable was found.
    evaluations : how often the objective was computed.
    budget : how often it could have been, had time not ended the search.
    at_bound : names of those at the edge of what was searched.
    agreement : relative difference of the best values of two independent searches with half of the budget each, of
        which the better one is taken. Infinite where one of them found no value, and where they are alike before each
        has searched from new starts twice: first ends are often one wrong place. A small one is evidence, no proof:
        both may miss a narrow valley, so another seed or a larger budget can still find better values.
    failed : number of points without a value, by kind: ``diverged`` (or not stable), ``not computable`` (an error),
        ``digits lost`` (rounding leaves fewer than three) and, for a number of steps, ``short of the target``.
    limit : of a risk after a number of steps, the least that any linear method can have, see `limit.Limit`; None where
        the rule is none that it binds, or it is not known.
    """

    hyperparameters: dict[str, Any]
    value: float
    evaluations: int
    budget: int
    at_bound: tuple[str, ...]
    agreement: float
    failed: dict[str, int]
    limit: float | None = None

    @property
    def over_limit(self) -> float | None:
        """The risk over the least one of any linear method."""
        return self.value / self.limit if self.limit and self.value < math.inf else None


class Unfinished(KeyboardInterrupt):
    """An interrupt of a search, with the best hyperparameters found until then."""

    def __init__(self, found: Tuned) -> None:
        super().__init__()
        self.found = found


@dataclass
class _Watch:
    """What a search has done, reported point by point, and when it is to end."""

    report: Callable[[int, float], None]
    until: float
    done: int = 0
    least: float = math.inf

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return perf_counter() > self.until

    def check(self) -> None:
        """Raise `Ended` where the time is up and there is something to tell."""
        if self.done and self.over:
            raise Ended

    def note(self, score: float) -> None:
        """Count a point, and report the best value so far."""
        self.done, self.least = self.done + 1, min(self.least, score)
        self.report(self.done, value_of(self.least))


def value_of(score: float) -> float:
    """Value of a score: infinite where there is none, 0 where it is below what floats hold."""
    return math.inf if score >= goals.NONE else 0.0 if score <= _LEAST else math.exp(score)


@dataclass(frozen=True)
class _Free:
    """A hyperparameter to tune: its axes, and its value from their values."""

    name: str
    axes: list[Axis]
    value: Callable[..., Any]


@single_threaded
def tune(
    optimizer: Optimizer | str,
    problem: Problem,
    /,
    objective: str = "rate",
    names: Iterable[str] | None = None,
    *,
    families: Mapping[str, str] | None = None,
    budget: int = BUDGET,
    seed: int = 0,
    seconds: float = math.inf,
    progress: Callable[[int, float], None] = lambda done, value: None,
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
    seconds : after which no point but the first is begun; a search that they end may find something else another time.
    progress : called with the number of evaluations made and the best value so far, from two threads.
    **fixed : the other hyperparameters, as for `Optimizer.resolve`.

    Returns
    -------
    Tuned
        With the value computed again by a second route, and the agreement of two independent searches.

    Raises
    ------
    InputError
        For an unknown name, objective or schedule, a budget below 1, where nothing is left to tune, where no point
        tried can be computed, where no run found reaches the target, and for a search that would take days unless
        `seconds` ends it.
    Unfinished
        If it is interrupted, with what was found until then.
    """
    optimizer = find(optimizer)
    budget, goal, families = whole(budget, "budget of evaluations"), goals.parse(objective), families or {}
    fixed = {name: optimizer.value(name, value) for name, value in fixed.items()}
    if seed < 0:
        raise InputError(f"the seed must be a whole number of at least 0, not {seed}")
    chosen = _chosen(optimizer, names, families, fixed)
    scale = float(problem.spectrum.max())
    free = [_freed(optimizer, name, scale, families.get(name, "constant"), goal.horizon) for name in chosen]
    watch = _Watch(progress, perf_counter() + seconds)
    space = _Space(optimizer, problem, fixed, free, seed, watch)
    if seconds == math.inf:
        _check_time(goal, space, budget)

    def told(best: Found, evaluations: int) -> Tuned:
        owners = [part.name for part in free for _ in part.axes]
        at_bound = tuple(dict.fromkeys(owners[k] for k in best.edges))
        values = spelled(space.values(best.place))
        value = value_of(best.value)
        if isinstance(goal, StepsTo) and value < math.inf:
            value = math.ceil(value)
        bound = of_rule(optimizer, problem, goal.horizon, **values) if goal.horizon else None
        least = bound.limit_low if bound else None
        return Tuned(values, value, evaluations, budget, at_bound, _agreement(best), space.failed, least)

    try:
        if isinstance(goal, StepsTo):
            return told(*_reached(goal, space, budget))
        best = space.search(goal, budget)
    except Interrupted as stopped:
        raise Unfinished(told(stopped.found, watch.done)) from None
    return told(best, best.evaluations)


def doubt(tuned: Any, others: int = 0) -> str:
    """Sentence on two searches that do not agree, of what was `Tuned`; where others agree better, of these too."""
    if tuned.value == math.inf:
        return f"no point of {tuned.evaluations} tried has a value: a larger budget tries more"
    if tuned.agreement == math.inf:
        return "the budget is too small for two searches to find the same, so a larger one may find better values"
    factor = f"{'up to ' * bool(others)}{1 + tuned.agreement:.3g}"
    return f"the best values of two searches differ by a factor of {factor}, so a larger budget may find better ones"


def _check_time(goal: Goal, space: _Space, budget: int) -> None:
    """Raise if a search for a risk would take days, by what one run takes."""
    if goal.horizon is None:
        return
    seconds = 0.0
    with suppress(*POINT):  # what cannot be computed is for every point to say of itself
        tables = Tables(pruned_tableau(space.optimizer, **space.inside), space.inside)
        seconds = budget * travel.seconds(space.problem, tables, goal.horizon)
    if seconds > travel.DAY:
        raise InputError(
            f"{budget} runs of {goal.horizon:.3g} steps would take about {seconds / travel.DAY:.3g} days: take fewer "
            "steps or a smaller budget, or say after how many seconds to end (--max-seconds)"
        )


def _agreement(found: Found) -> float:
    """See `Tuned`."""
    if max(found.alone) >= goals.NONE:
        return math.inf
    logarithm = abs(found.alone[0] - found.alone[1])  # of any size, where a rate of 0 is found
    apart = math.expm1(logarithm) if logarithm < _LARGEST else math.inf
    return apart if found.turns >= _TURNS or apart > AGREED else math.inf


@dataclass(frozen=True)
class _Space:
    """Hyperparameters of a rule on a problem, some fixed, some free; points tried that had no value, by kind."""

    optimizer: Optimizer
    problem: Problem
    fixed: Mapping[str, Any]
    free: list[_Free]
    seed: int
    watch: _Watch
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
            except POINT as error:
                errors.append((x.copy(), error))
                return goals.NOT_COMPUTABLE
            return goals.NOT_COMPUTABLE if math.isnan(value) else value

        def objective(x: Array) -> float:
            self.watch.check()
            value = computed(x, score)
            tried.append((value, x.copy()))
            self.watch.note(value)
            return value

        def again(x: Array, value: float) -> float:
            return computed(x, lambda values: goal.again(self.optimizer, self.problem, values, value))

        interrupted = False
        try:
            found = search(objective, self.axes, count, self.seed, known)
        except Interrupted as stopped:
            found, interrupted = stopped.found, True
        if len(errors) == len(tried):
            raise KeyboardInterrupt if interrupted else self._none(errors)
        self.failed.update(Counter(filter(None, (goals.kind(value) for value, _ in tried))) + Counter(self.failed))
        if found.value < goals.NONE:
            found = confirmed(found, tried, self.axes, again)
        if interrupted:
            raise Interrupted(found)
        return found

    def _none(self, errors: list[tuple[Array, Exception]]) -> InputError:
        """The complaint that every point raises; where they raise unlike ones, one of them and its point."""
        x, error = min(errors, key=lambda one: one[0].tolist())
        if isinstance(error, InputError) and len({str(error) for _, error in errors}) == 1:
            return error
        where = _listed(self.values(x))
        return InputError(f"none of the {len(errors)} points tried can be computed; at {where}: {error}")


def check_start(goal: StepsTo, problem: Problem) -> None:
    """Raise `InputError` where a run begins at the target."""
    start = float(problem.risk(problem.start[None])[0])
    if start <= goal.target:
        raise InputError(f"the risk is {start:.6g} at the start: take a target below it")


def _reached(goal: StepsTo, space: _Space, budget: int) -> tuple[Found, int]:
    """Looks among short runs first, then longer ones, until one reaches the target; then a search among such runs."""
    check_start(goal, space.problem)
    spent, limits = 0, goal.limits(space.optimizer, space.problem, space.inside)
    for limit in limits:
        long, left = replace(goal, limit=limit), budget - spent
        look = space.search(long, left if limit == limits[-1] else min(left, _LOOK))
        spent += look.evaluations
        if look.value < goals.NONE or spent == budget or space.watch.over:
            break
        if limit == limits[0]:
            _check_floor(goal.target, space)
    if look.value >= goals.NONE:
        raise _unreached(long, space, look)
    if spent == budget or limit == limits[-1] or space.watch.over:
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
    """Error where no run reaches the target in time, with the nearest that was found."""
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


@lru_cache(maxsize=8)
@single_threaded
def envelope(
    problem: Problem, objective: str, /, *, budget: int = BUDGET, seed: int = 0, seconds: float = math.inf
) -> Tuned:
    """The best constant one-memory method that returns its query point: accelerated SGD, beta, eta and alpha free.

    Methods that return another point than they query, and schedules, may reach a lower risk with the same steps. The
    same call is answered from memory.
    """
    return tune(find("accelerated_sgd"), problem, objective, budget=budget, seed=seed, seconds=seconds)


def free(optimizer: Optimizer, fixed: Mapping[str, Any]) -> list[str]:
    """Names that are tuned unless told otherwise: what a rule reads, but switches, recurrences, and what is fixed."""
    read, declared = optimizer.program(fixed).reads, optimizer.hyperparameters
    own = (name for name in declared if name in read and name not in fixed)
    return [name for name in own if not declared[name].switch and not isinstance(declared[name].default, Recurrence)]


def _chosen(
    optimizer: Optimizer, names: Iterable[str] | None, families: Mapping[str, str], fixed: Mapping[str, Any]
) -> list[str]:
    """The hyperparameters to tune."""
    if names is None:
        chosen = list(dict.fromkeys([*free(optimizer, fixed), *families]))
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
