"""Several rules on one problem over batch sizes, by one exact quantity: at given hyperparameters, or each one tuned."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from accelsim.errors import InputError, unknown
from accelsim.exact.limit import of_rule
from accelsim.exact.minimal import pruned_tableau
from accelsim.exact.tune import goals
from accelsim.exact.tune.tuning import BUDGET, POINT, check_start, free, tune, value_of
from accelsim.notebook import Tabular
from accelsim.optimizers import find
from accelsim.problems import Problem
from accelsim.rule import Optimizer, spelled
from accelsim.spectra import whole
from accelsim.threads import single_threaded

_AGREED = 1e-6  # relative difference of a value and of what a second route makes of it


@dataclass(frozen=True)
class Cell:
    """One rule at one batch size.

    Attributes
    ----------
    optimizer, batch : which.
    value : tau in steps, the risk, or a number of steps; infinite where there is none.
    hyperparameters : those that it is the value at, by name; schedules as text.
    failed : why there is no value, as ``diverged``; None where there is one.
    agreement, at_bound : of a tuned one, see `Tuned`.
    limit : of a risk after a number of steps, the least that any linear method can have, see `Tuned`.
    """

    optimizer: str
    batch: int
    value: float
    hyperparameters: dict[str, Any]
    failed: str | None = None
    agreement: float | None = None
    at_bound: tuple[str, ...] = ()
    limit: float | None = None

    @property
    def over_limit(self) -> float | None:
        """The risk over the least one of any linear method; None where there is no value, or no such limit."""
        return self.value / self.limit if self.limit and not self.failed else None


@dataclass(frozen=True)
class Comparison(Tabular):
    """Values of rules by batch size.

    Attributes
    ----------
    objective : what is compared.
    optimizers, batches : the rules' names, and the batch sizes.
    cells : for each rule, by batch size; fewer where it was interrupted.
    """

    objective: str
    optimizers: tuple[str, ...]
    batches: tuple[int, ...]
    cells: tuple[Cell, ...] = field(default=())

    def at(self, optimizer: str, batch: int) -> Cell | None:
        """The cell of a rule at a batch size, if it was computed."""
        return next((cell for cell in self.cells if (cell.optimizer, cell.batch) == (optimizer, batch)), None)

    def _statement(self) -> dict[str, Any]:
        return {"compared": self.objective}

    def _columns(self) -> dict[str, Any]:
        columns, found = rows(self)
        return {name: [row[place] for row in found] for place, name in enumerate(columns)}

    def _drawing(self) -> tuple[Any, ...]:
        computed = [cell for cell in self.cells if not cell.failed]
        pairs = {name: [(c.batch, c.value) for c in computed if c.optimizer == name] for name in self.optimizers}
        return "by_batch", self.objective, pairs


class Interrupted(KeyboardInterrupt):
    """An interrupt of a comparison, with the cells that were done."""

    def __init__(self, found: Comparison) -> None:
        super().__init__()
        self.found = found


@single_threaded
def compare(
    optimizers: Iterable[Optimizer | str] | Optimizer | str,
    problem: Problem,
    /,
    objective: str = "rate",
    *,
    batches: Iterable[int] | None = None,
    tuned: bool = False,
    budget: int = BUDGET,
    seed: int = 0,
    seconds: float = math.inf,
    values: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Callable[[int, str], None] = lambda done, cell: None,
) -> Comparison:
    """Values of several rules on a problem, by batch size.

    Parameters
    ----------
    optimizers : linear rules, or their names; each name once.
    problem : where they run; of each batch size in turn.
    objective : ``rate`` (the time constant tau in steps), ``risk@T`` or ``steps@TARGET``, see `tune`.
    batches : batch sizes in samples; by default the problem's.
    tuned : whether all hyperparameters without a value are tuned, at each batch size anew.
    budget, seed, seconds : of each search, as for `tune`.
    values : by name of a rule, its hyperparameters by name: numbers, schedules or text.
    progress : called with the number of cells done and the name of the next one.

    Raises
    ------
    InputError
        For a rule that is named twice or not linear, an unknown or missing hyperparameter, an unknown objective, and
        where no cell can be computed.
    Interrupted
        If it is interrupted, with the cells that were done.
    """
    rules = [find(rule) for rule in ([optimizers] if isinstance(optimizers, str | Optimizer) else optimizers)]
    names = tuple(rule.name for rule in rules)
    if not rules:
        raise InputError("there is nothing to compare: name at least one rule")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} is named twice: a rule is compared once")
    sizes = tuple(dict.fromkeys(whole(size, "batch size") for size in (batches or [problem.batch])))
    problems = [problem if size == problem.batch else replace(problem, batch=size) for size in sizes]
    goal, given = goals.parse(objective), values or {}
    for name in given:
        if name not in names:
            raise unknown("rule that is compared:", name, names)
    settings = [{name: rule.value(name, value) for name, value in given.get(rule.name, {}).items()} for rule in rules]
    searched = [tuned and bool(free(rule, own)) for rule, own in zip(rules, settings, strict=True)]
    for rule, own, search in zip(rules, settings, searched, strict=True):
        pruned_tableau(rule, **(own if search else rule.resolve(**own)))
    options: dict[str, Any] = dict(budget=budget, seed=seed, seconds=seconds)
    found = Comparison(objective, names, sizes)
    errors: list[Exception] = []
    for rule, own, search in zip(rules, settings, searched, strict=True):
        for at in problems:
            progress(len(found.cells), f"{rule.name}, batch {at.batch}")
            try:
                cell = _tuned(rule, at, objective, own, options) if search else _given(rule, at, goal, own)
            except KeyboardInterrupt:
                raise Interrupted(found) from None
            except POINT as error:  # which is no reason to withhold the others
                errors.append(error)
                cell = Cell(rule.name, at.batch, math.inf, spelled(own), failed=str(error))
            found = replace(found, cells=(*found.cells, cell))
    if len(errors) == len(found.cells):
        first = errors[0]
        raise first if isinstance(first, InputError) else InputError(f"nothing can be computed: {first}")
    return found


def _tuned(rule: Optimizer, problem: Problem, objective: str, own: dict[str, Any], options: dict[str, Any]) -> Cell:
    """A rule at its best hyperparameters."""
    found = tune(rule, problem, objective, **options, **own)
    failed = "no point tried has a value" if found.value == math.inf else None
    about = found.agreement, found.at_bound, found.limit
    return Cell(rule.name, problem.batch, found.value, found.hyperparameters, failed, *about)


def _given(rule: Optimizer, problem: Problem, goal: goals.Goal, own: dict[str, Any]) -> Cell:
    """A rule at given hyperparameters, its value held against a second route."""
    score = _score(rule, problem, goal, own)
    failed = goals.kind(score)
    if failed is None:
        other = goal.again(rule, problem, own, score)
        failed = goals.kind(other) or (None if abs(other - score) <= _AGREED else goals.kind(goals.LOST))
    if failed == goals.kind(goals.DIVERGED) and isinstance(goal, goals.Rate):
        failed = "not stable"
    value = math.inf if failed else value_of(score)
    if isinstance(goal, goals.StepsTo) and value < math.inf:
        value = math.ceil(value)
    bound = of_rule(rule, problem, goal.horizon, **own) if goal.horizon else None
    least = bound.limit_low if bound else None
    return Cell(rule.name, problem.batch, value, spelled(rule.resolve(**own)), failed, limit=least)


def _score(rule: Optimizer, problem: Problem, goal: goals.Goal, own: dict[str, Any]) -> float:
    if not isinstance(goal, goals.StepsTo):
        return goal.on(rule, problem, own)(own)
    check_start(goal, problem)
    score = goals.SHORT
    for limit in goal.limits(rule, problem, own):
        score = replace(goal, limit=limit).on(rule, problem, own)(own)
        if goals.kind(score) != goals.kind(goals.SHORT):
            break
    return score


def rows(found: Comparison) -> tuple[Sequence[str], list[list[Any]]]:
    """A comparison as the columns and rows of a table: one row a cell, every hyperparameter in a column of its own."""
    names = list(dict.fromkeys(name for cell in found.cells for name in cell.hyperparameters))
    over = ["over_limit"] * any(cell.limit for cell in found.cells)
    columns = ["optimizer", "batch", found.objective, *over, "failed", *names]
    return columns, [
        [
            *(cell.optimizer, cell.batch, cell.value),
            *([cell.over_limit] * len(over)),
            *(cell.failed, *map(cell.hyperparameters.get, names)),
        ]
        for cell in found.cells
    ]
