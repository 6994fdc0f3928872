"""Hyperparameters over time: constants, functions of the step, and recurrences with memory of their own.

All are evaluated on the host, one row a step (`rows`). Steps count from t = 0.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Real
from types import SimpleNamespace
from typing import Any

from accelsim import elementary
from accelsim.elementary import cos, minimum, pi
from accelsim.errors import InputError, unknown
from accelsim.program import Node, Tape, evaluate, exact, operate


def warmup(t: Any, steps: int) -> Any:
    """Linear warm-up factor, 1/steps at t = 0 and 1 from t = steps - 1 on; no warm-up where steps is 0."""
    return minimum(1, (t + 1) / steps) if steps else 1


def cosine(t: Any, steps: int) -> Any:
    """Cosine decay factor from 1 at t = 0 to 0 at t = steps and after."""
    return (1 + cos(pi * minimum(1, t / steps))) / 2


def linear(t: Any, steps: int) -> Any:
    """Linear decay factor from 1 at t = 0 to 0 at t = steps and after."""
    return 1 - minimum(1, t / steps)


@dataclass(frozen=True)
class Family:
    """Schedules of one form, with a peak and a length in steps.

    Attributes
    ----------
    form : an expression in t, peak and length, as for `parse`.
    ends : whether the length is that of the run: the schedule decays to zero there.
    """

    form: str
    ends: bool = False

    def text(self, peak: float, length: float) -> str:
        """One of them, as for `parse`."""
        return self.form.format(peak=peak, length=length)


FAMILIES: dict[str, Family | None] = {
    "constant": None,
    "1/t": Family("{peak}/(1+t/{length})"),
    "cosine": Family("{peak}*cosine(t,{length})", ends=True),
    "linear": Family("{peak}*linear(t,{length})", ends=True),
    "warmup": Family("{peak}*warmup(t,{length})"),
}

_VOCABULARY: dict[str, Any] = {
    **{f: elementary.FUNCTIONS[f] for f in ("sqrt", "exp", "log", "cos", "minimum", "maximum", "first", "where")},
    "min": elementary.minimum,
    "max": elementary.maximum,
    "warmup": warmup,
    "cosine": cosine,
    "linear": linear,
    "pi": pi,
}
_SYNTAX: tuple[type[ast.AST], ...] = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name)
_SYNTAX += (ast.Load, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd)


@dataclass(frozen=True)
class Schedule:
    """A function of the step, written in the language of rules so that proofs can read it.

    >>> Schedule(lambda t: 1 / (t + 1)).at(3)
    0.25
    """

    function: Callable[[Any], Any]
    label: str = "schedule"

    def __str__(self) -> str:
        return self.label

    def node(self) -> Node:
        """The schedule as a node of its own tape."""
        tape = Tape()
        return tape.lift(self.function(tape.node("step", kind="uniform")))

    def at(self, t: int, number: Callable[[Any], Any] = float) -> Any:
        """Its value at step t, exact where `number` is `program.exact`.

        Raises
        ------
        InputError
            Where it has none, or none that is finite.
        """
        try:
            value = float(self.function(t)) if number is float else self._exactly(t)
        except InputError:
            raise
        except (ArithmeticError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{self} cannot be evaluated at step {t}: {error}") from None
        if not isinstance(value, Fraction) and not math.isfinite(value):
            raise InputError(f"{self} is {value} at step {t}; it must be finite")
        return value

    def _exactly(self, t: int) -> Any:
        known: dict[int, Any] = {}
        return evaluate(self.node(), lambda leaf: exact(t if leaf.op == "step" else leaf.value), operate, known)


@dataclass(frozen=True)
class Recurrence:
    """A hyperparameter that remembers: ``update(memory, t, h) -> value, new memory`` on the host.

    In a proof its values are an unknown function of t.
    """

    update: Callable[[Any, Any, Any], tuple[Any, dict[str, Any]]]
    start: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.update.__name__


Value = Any  # a number, a Schedule or a Recurrence


def recurrence(**start: Any) -> Callable[[Callable[..., Any]], Recurrence]:
    """Decorator: turn an update function into a `Recurrence` whose memory starts as given."""
    return lambda update: Recurrence(update, start)


def parse(text: str) -> Value:
    """A number or a schedule from what a user typed.

    >>> parse("0.9")
    0.9
    >>> parse("1/(t+1)").at(1)
    0.5

    Raises
    ------
    InputError
        If it is no expression in t, or uses a name that does not exist.
    """
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        raise InputError(f"cannot read {shown!r} as a number or an expression in t, such as 0.1 or 1/(t+1)") from None
    names = set()
    for part in ast.walk(tree):
        if isinstance(part, ast.Constant) and isinstance(part.value, int | float):
            part.value = _float(shown, part.value)
        elif not isinstance(part, _SYNTAX):
            raise InputError(f"cannot read {shown!r} as an expression in t: use + - * / **, numbers, t and functions")
        if isinstance(part, ast.Name):
            names.add(part.id)
    for name in names - {"t"}:
        if name in ("nan", "inf"):
            raise InputError(f"{shown!r} is not a finite number")
        if name not in _VOCABULARY:
            raise unknown("name in an expression", name, [*_VOCABULARY, "t"])
    try:
        code = compile(tree, "<expression>", "eval")
    except RecursionError:
        raise InputError(f"cannot read {shown!r}: too deeply nested") from None

    def function(t: Any) -> Any:
        return eval(code, {"__builtins__": {}}, {**_VOCABULARY, "t": t})

    if "t" in names:
        return Schedule(function, text.strip())
    try:
        return function(None)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise InputError(f"cannot evaluate {shown!r}: {error}") from None


def _float(text: str, value: float) -> float:
    # Whole numbers too: 9**9**9 is an overflow at once, not a number of 369 million digits after minutes.
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{text!r} is not a finite number") from None


def rows(
    values: Mapping[str, Value],
    number: Callable[[Any], Any] = float,
    check: Callable[[str, Any, int], None] = lambda name, value, t: None,
    begin: int = 0,
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Step by step, the pair (t, this step's hyperparameters), without end.

    Parameters
    ----------
    values : what each hyperparameter is; recurrences see the others' values of the same step.
    number : `float`, or `program.exact` for rational runs (then t is a `Fraction` too).
    check : called with (name, value, t) for everything that varies; may raise.
    begin : the first step wanted; recurrences are followed up to it.
    """
    constants = {k: number(v) for k, v in values.items() if isinstance(v, Real) and not isinstance(v, bool)}
    schedules = {k: v for k, v in values.items() if isinstance(v, Schedule)}
    recurrences = {k: v for k, v in values.items() if isinstance(v, Recurrence)}
    memories = {k: dict(v.start) for k, v in recurrences.items()}
    for step in itertools.count(0 if recurrences else begin):
        t = step if number is float else number(step)
        h = dict(constants)
        for name, schedule in schedules.items():
            try:
                h[name] = schedule.at(step, number)
            except InputError as error:
                raise InputError(f"{name} = {error}") from None
            check(name, h[name], step)
        for name, recursion in recurrences.items():
            try:
                h[name], memories[name] = recursion.update(SimpleNamespace(**memories[name]), t, SimpleNamespace(**h))
            except ArithmeticError as error:
                raise InputError(f"{name} = {recursion} cannot be computed at step {step}: {error}") from None
            check(name, h[name], step)
        if step >= begin:
            yield t, h
