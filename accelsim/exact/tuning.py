"""The best hyperparameters of a rule on a problem, without sampling, under one budget whatever the rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from accelsim.errors import InputError, unknown
from accelsim.exact import goals
from accelsim.exact.search import Axis, axis, search
from accelsim.optimizer import Optimizer
from accelsim.optimizers import find
from accelsim.problems import Problem
from accelsim.schedules import FAMILIES, Recurrence
from accelsim.spectra import Array, whole

BUDGET = 2000  # evaluations
_LONGEST = 1e6  # scale of a schedule, where the objective names no number of steps


@dataclass(frozen=True)
class Tuned:
    """The best hyperparameters found.

    Attributes
    ----------
    hyperparameters : all that were given or tuned, by name; schedules as text.
    value : tau in steps, or the risk; infinite where nothing stable was found.
    evaluations : how often the objective was computed.
    budget : how often it could have been.
    at_bound : names of those at the edge of what was searched.
    """

    hyperparameters: dict[str, Any]
    value: float
    evaluations: int
    budget: int
    at_bound: tuple[str, ...]


@dataclass(frozen=True)
class _Free:
    """A hyperparameter to tune: its axes, and its value from their values."""

    name: str
    axes: list[Axis]
    value: Callable[..., Any]


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
    """Hyperparameters that minimize an exact quantity. The same call finds the same ones, on any number of cores.

    Parameters
    ----------
    objective : ``rate`` (the time constant tau in steps) or ``risk@T`` (the risk after T steps).
    names : the hyperparameters to tune, over their declared ranges (`search.axis`); without names, all that the rule
        reads and that are not given, save switches and what a recurrence stands for.
    families : name to schedule, see `schedules.FAMILIES`; the others are constants.
    budget : how often the objective may be computed.
    seed : of the points from which the search starts.
    **fixed : the other hyperparameters, as for `Optimizer.resolve`.

    Raises
    ------
    InputError
        For an unknown name, objective or schedule, a budget below 1, where nothing is left to tune, and where the
        objective has no value on this rule and problem.
    """
    budget, goal, families = whole(budget, "budget of evaluations"), goals.parse(objective), families or {}
    fixed = {name: optimizer.value(name, value) for name, value in fixed.items()}
    if seed < 0:
        raise InputError(f"the seed must be a whole number of at least 0, not {seed}")
    chosen = _chosen(optimizer, names, families, fixed)
    scale = float(problem.spectrum.max())
    free = [_freed(optimizer, name, scale, families.get(name, "constant"), goal.horizon) for name in chosen]

    def values(x: Array) -> dict[str, Any]:
        coordinates = iter(x.tolist())
        numbers = {part.name: [a.value(next(coordinates)) for a in part.axes] for part in free}
        return {**fixed, **{part.name: part.value(*numbers[part.name]) for part in free}}

    axes = [a for part in free for a in part.axes]
    score = goal.on(optimizer, problem, values(_inside(axes)))
    found = search(lambda x: score(values(x)), axes, budget, seed)
    owners = [part.name for part in free for _ in part.axes]
    at_bound = tuple(dict.fromkeys(owners[k] for k in found.edges))
    value = math.exp(found.value) if found.value < goals.NONE else math.inf
    best = {k: v if isinstance(v, Real) else str(v) for k, v in values(found.place).items()}
    return Tuned(best, value, found.evaluations, budget, at_bound)


def envelope(problem: Problem, objective: str, /, *, budget: int = BUDGET, seed: int = 0) -> Tuned:
    """The best constant one-memory method: accelerated SGD with all of beta, eta and alpha free."""
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


def _inside(axes: list[Axis]) -> Array:
    """Coordinates away from every bound."""
    return np.array([a.low + (a.high - a.low) / math.e for a in axes])
