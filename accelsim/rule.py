"""Optimizers: a rule, written once as its paper prints it, with its states, hyperparameters, ranges and source."""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from numbers import Rational, Real
from types import SimpleNamespace
from typing import Any
from unicodedata import normalize

from accelsim import program
from accelsim.errors import InputError, unknown
from accelsim.language import VOCABULARY
from accelsim.schedules import Recurrence, Schedule, Value, parse, rows

LARGEST = sys.float_info.max
LOOKED_AT = 64  # steps at which a schedule is evaluated when it is given; the others are as a run reaches them
# What functions that take hyperparameters by name call their own arguments.
_RUNS = {"steps", "of", "seeds", "seed", "backend", "dtype", "chunk", "out", "resume", "progress"}
_SEARCHES = {"objective", "names", "families", "budget", "seconds"}
RESERVED = frozenset({"t", "varying"} | _RUNS | _SEARCHES)


@dataclass(frozen=True)
class Hyperparameter:
    """The range and default of a hyperparameter; without a default it must be given.

    A switch is a number known before the rule is traced (as warm-up steps): a rule may branch on it.
    """

    default: Value = None
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    switch: bool = False

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            if not isinstance(end, Real) or math.isnan(end):
                raise InputError(f"a hyperparameter's range must be given by two numbers, not {end!r}")
        if isinstance(self.default, complex):
            raise InputError(
                f"a hyperparameter's default must be a real number, a schedule or a text, not {self.default}"
            )

    def holds(self, value: Any) -> bool:
        """Whether a number lies in the range; a fraction is held against the ends as they are written, 0.1 as 1/10."""
        low: Any = self.low
        high: Any = self.high
        if isinstance(value, Rational):
            low, high = (program.exact(end) if math.isfinite(end) else end for end in (low, high))
        above = value > low if self.open_low else value >= low
        below = value < high if self.open_high else value <= high
        return bool(above and below)

    @property
    def range(self) -> str:
        """The range as a person writes it."""
        if self.switch:
            return "a whole number of at least 0"
        left = "(" if self.open_low or self.low == -math.inf else "["
        right = ")" if self.open_high or self.high == math.inf else "]"
        return f"in {left}{self.low:g}, {self.high:g}{right}"


def step_size(default: Value = None) -> Hyperparameter:
    """At least 0."""
    return Hyperparameter(default, low=0)


def momentum(default: Value = None) -> Hyperparameter:
    """In [0, 1)."""
    return Hyperparameter(default, low=0, high=1, open_high=True)


def weight(default: Value = None) -> Hyperparameter:
    """In [0, 1]."""
    return Hyperparameter(default, low=0, high=1)


def positive(default: Value = None) -> Hyperparameter:
    """Above 0."""
    return Hyperparameter(default, low=0, open_low=True)


def real(default: Value = None) -> Hyperparameter:
    """Any finite number."""
    return Hyperparameter(default)


def switch(default: int = 0) -> Hyperparameter:
    """A whole number, at least 0, on which a rule may branch."""
    return Hyperparameter(default, low=0, switch=True)


@dataclass(frozen=True)
class Optimizer:
    """An optimizer. Made by `optimizer`; traced once when it is made, so that a wrong rule is told so at once.

    Attributes
    ----------
    name : the name of the rule function.
    rule : ``rule(s, t, h)``, a generator function that yields query points and returns the new states.
    positions : states that start at the initial point and move with it.
    memories : the other states and what they start at, the same in every coordinate.
    returns : the state that the user gets.
    source : the paper, with equation or algorithm where it helps.
    hyperparameters : name to `Hyperparameter`; those the rule reads and does not declare may be any number.
    """

    name: str
    rule: program.Rule
    positions: tuple[str, ...]
    memories: Mapping[str, float]
    returns: str
    source: str = ""
    hyperparameters: Mapping[str, Hyperparameter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        twice = set(self.positions) & set(self.memories)
        if twice:
            raise InputError(f"rule {self.name!r} has {twice.pop()!r} both as a position and as a memory")
        for name, value in self.memories.items():
            if not isinstance(value, Real) or not math.isfinite(value):
                raise InputError(f"memory {name!r} of rule {self.name!r} must start at a finite number, not {value!r}")
        if not inspect.isgeneratorfunction(self.rule):
            raise InputError(f"rule {self.name!r} never asks for a gradient: it must `yield` the point it is taken at")
        if self.returns not in self.states:
            raise unknown(f"state returned by rule {self.name!r}:", self.returns, self.states)
        object.__setattr__(self, "hyperparameters", self._complete())
        self._check_names()
        for name in self.states:
            if name in self.hyperparameters:
                raise InputError(f"rule {self.name!r} has {name!r} both as a state and as a hyperparameter")

    def _check_names(self) -> None:
        """Raise `InputError` where a name could not be told from others in a text, or not be read there."""
        numbers = {name for name, declared in self.hyperparameters.items() if not declared.switch}
        functions = {name: (RESERVED | VOCABULARY) if name in numbers else RESERVED for name in self.hyperparameters}
        for name, taken in {**dict.fromkeys(self.states, frozenset({"t", "pi"})), **functions}.items():
            what = "state" if name in self.states else "hyperparameter"
            if name in taken:
                raise InputError(f"rule {self.name!r} cannot have a {what} called {name!r}: the name is taken")
            if not name.isidentifier() or name != normalize("NFKC", name):
                raise InputError(f"rule {self.name!r} cannot have a {what} called {name!r}: use letters, digits and _")

    def __hash__(self) -> int:
        return hash((self.name, self.rule))

    def __str__(self) -> str:
        return self.name

    @property
    def states(self) -> tuple[str, ...]:
        """Positions, then memories."""
        return (*self.positions, *self.memories)

    @property
    def doc(self) -> str:
        """The first line of the rule's docstring."""
        return (inspect.getdoc(self.rule) or "").partition("\n")[0]

    @cached_property
    def _programs(self) -> dict[tuple[Any, ...], program.Program]:
        return {}

    def _complete(self) -> dict[str, Hyperparameter]:
        declared = dict(self.hyperparameters)
        switches = {k: v.default for k, v in declared.items() if v.switch}
        reads = program.trace(self.name, self.rule, self.states, switches).reads
        return {**declared, **{name: real() for name in reads if name not in declared}}

    def _trace(self, switches: Mapping[str, Any]) -> program.Program:
        key = tuple(sorted(switches.items()))
        if key not in self._programs:
            memories = [name for name in self.memories if name != self.returns]
            traced = program.trace(self.name, self.rule, self.states, switches, memories)
            hidden = [name for name in traced.reads if name not in self.hyperparameters]
            if hidden:
                raise InputError(f"rule {self.name!r} reads {hidden[0]} only where a switch is set: declare it")
            self._programs[key] = traced
        return self._programs[key]

    def program(self, values: Mapping[str, Value] | None = None) -> program.Program:
        """The traced rule; `values` matter only through the switches among them."""
        given = values or {}
        declared = self.hyperparameters.items()
        return self._trace({k: self.value(k, given.get(k, v.default)) for k, v in declared if v.switch})

    def resolve(self, /, **given: Any) -> dict[str, Value]:
        """Every hyperparameter's value: those given (numbers, schedules, or text), defaults for the others.

        Raises
        ------
        InputError
            For an unknown name, a missing value, or one that is not finite or outside its range.
        """
        for name, value in given.items():
            self.value(name, value)
        values = {}
        for name, declared in self.hyperparameters.items():
            value = given.get(name, declared.default)
            if value is None:
                raise InputError(f"{self.name} needs {name}, a number {declared.range}: set {name}=...")
            values[name] = self.value(name, value)
        self.program(values)  # a rule may be wrong for these switches only
        return values

    def value(self, name: str, value: Any) -> Value:
        """One hyperparameter's value from what was given for it; raises as `resolve` does."""
        if name not in self.hyperparameters:
            raise unknown(f"hyperparameter of {self.name}:", name, self.hyperparameters)
        declared = self.hyperparameters[name]
        if isinstance(value, str):
            named = declared.default
            value = named if isinstance(named, Recurrence) and value == str(named) else parse(value)
        elif callable(value) and not isinstance(value, Schedule | Recurrence):
            value = Schedule(value, getattr(value, "__name__", "schedule"))
        if isinstance(value, Schedule):
            list(islice(rows({name: value}, check=self.check), LOOKED_AT))
        if isinstance(value, Real) and not isinstance(value, bool):
            self.check(name, value)
            value = int(float(value)) if declared.switch else value
        elif not isinstance(value, Schedule | Recurrence) or declared.switch:
            raise InputError(f"{name} of {self.name} must be {declared.range}, not {value}")
        return value

    def check(self, name: str, value: Any, t: int | None = None) -> None:
        """Raise `InputError` if a hyperparameter's number (at step t, where it varies) is outside its range."""
        declared = self.hyperparameters[name]
        if not abs(value) <= LARGEST or not declared.holds(value) or (declared.switch and value != int(value)):
            when = "" if t is None else f" at step {t}"
            must = declared.range if abs(value) <= LARGEST else f"finite and {declared.range}"
            raise InputError(f"{name} = {value}{when} is out of range for {self.name}: it must be {must}")

    def rows(
        self, number: Callable[[Any], Any] = float, begin: int = 0, /, **given: Any
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Step by step from step `begin`, (t, this step's hyperparameters and uniform states); see `schedules.rows`."""
        values = self.resolve(**given)
        traced = self.program(values)
        if not traced.uniform:
            return rows(values, number, self.check, begin)
        return islice(self._with_uniform(traced, rows(values, number, self.check), number), begin, None)

    def _with_uniform(self, traced: Any, plain: Iterator[Any], number: Any) -> Iterator[Any]:
        """Rows from step 0 on, with what the uniform states are before each step."""
        states = {name: number(self.memories[name]) for name in traced.uniform}
        for t, h in plain:
            row = h | states
            yield t, row
            try:
                states = traced.following(t, row, number)
            except (ArithmeticError, ValueError, TypeError) as error:
                what = f"{type(error).__name__} at step {t}: {error}"
                raise InputError(f"rule {self.name!r} raised {what}") from None

    def start(self, point: Any) -> dict[str, Any]:
        """The states before the first step, from an initial point of any arithmetic."""
        return dict.fromkeys(self.positions, point) | {m: 0 * point + value for m, value in self.memories.items()}


def optimizer(
    positions: str,
    returns: str,
    memories: str | Mapping[str, float] = "",
    source: str = "",
    **hyperparameters: Hyperparameter | float,
) -> Callable[[program.Rule], Optimizer]:
    """Decorator that makes an `Optimizer` of a rule.

    Parameters
    ----------
    positions, memories : names separated by spaces; memories start at 0, or as a mapping says.
    returns : the state that the user gets.
    source : where the rule is printed.
    **hyperparameters : ranges and defaults, from `step_size`, `momentum`, `weight`, `positive`, `real`, `switch`; a
        number is a default alone.

    Examples
    --------
    >>> @optimizer(positions="w", memories="m", returns="w")
    ... def heavy_ball(s, t, h):
    ...     g = yield s.w
    ...     m = h.beta * s.m + g
    ...     return dict(w=s.w - h.lr * m, m=m)
    >>> step(heavy_ball, heavy_ball.start(1.0), 0, dict(lr=0.5, beta=0.9), lambda w: w)
    {'w': 0.5, 'm': 1.0}
    """
    starts: dict[str, float] = dict.fromkeys(memories.split(), 0) if isinstance(memories, str) else dict(memories)

    def make(rule: program.Rule) -> Optimizer:
        name = getattr(rule, "__name__", "rule")
        try:
            declared = {key: _declared(name, key, value) for key, value in hyperparameters.items()}
            return Optimizer(name, rule, tuple(positions.split()), starts, returns, source, declared)
        except InputError as error:
            faults = _faults.get()
            if faults is None:
                raise
            faults[name] = str(error)
            return Faulty(str(error))  # type: ignore[return-value]

    return make


class Faulty:
    """Stands for a rule that could not be made; whatever is asked of it raises the `InputError` that says why."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        raise InputError(self._fault)


_faults: ContextVar[dict[str, str] | None] = ContextVar("faults", default=None)


@contextmanager
def collected_faults() -> Iterator[dict[str, str]]:
    """Context in which a rule that cannot be made is noted, by name and with its fault, and those after it are made."""
    found: dict[str, str] = {}
    token = _faults.set(found)
    try:
        yield found
    finally:
        _faults.reset(token)


def _declared(rule: str, name: str, value: Any) -> Hyperparameter:
    if isinstance(value, Hyperparameter):
        return value
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        return real(float(value))
    raise InputError(f"{name} of rule {rule!r} must be a number or declared, as by step_size(), not {value!r}")


def step(
    rule: Optimizer,
    state: Mapping[str, Any],
    t: Any,
    h: Mapping[str, Any],
    gradient: Callable[..., Any],
) -> dict[str, Any]:
    """One step of the rule itself, untraced, in whatever arithmetic the state has.

    Parameters
    ----------
    state : one value (number, `Fraction`, array) a state.
    t, h : a row of `Optimizer.rows`.
    gradient : called once a `yield` with its points; returns the gradient there (a tuple for several points).

    Returns
    -------
    The states after the step, by name.
    """
    run = rule.rule(SimpleNamespace(**state), t, SimpleNamespace(**h))
    point = next(run)
    try:
        while True:
            if isinstance(point, tuple):
                point = run.send(gradient(*point) if len(point) > 1 else (gradient(*point),))
            else:
                point = run.send(gradient(point))
    except StopIteration as stop:
        return dict(stop.value)


def spelled(values: Mapping[str, Value]) -> dict[str, Any]:
    """Hyperparameters as numbers, schedules and recurrences as text."""
    return {name: value if isinstance(value, Real) else str(value) for name, value in values.items()}


def program_hash(rule: Optimizer, switches: Mapping[str, Any] | None = None) -> str:
    """SHA-256 of a rule's traced program, its states and where they start, its switches, ranges and recurrences."""
    program = rule.program(switches)
    lines = [*program.lines(), f"{rule.positions} {dict(rule.memories)} {rule.returns}"]
    set_to = {name: (switches or {}).get(name, h.default) for name, h in rule.hyperparameters.items() if h.switch}
    lines += [f"{name} {set_to.get(name)} {h.range}" for name, h in sorted(rule.hyperparameters.items())]
    for name, declared in sorted(rule.hyperparameters.items()):
        if isinstance(declared.default, Recurrence):
            formula = declared.default.formula(set_to)
            said = formula and (formula.value, dict(formula.following))
            lines.append(f"{name} {declared.default} {dict(declared.default.start)} {said}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
