"""Hyperparameters over time: constants, functions of the step, and recurrences with memory of their own.

All are evaluated on the host, one row a step (`rows`). Steps count from t = 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Real
from types import SimpleNamespace
from typing import Any, NamedTuple

from accelsim import language
from accelsim.errors import InputError, UserCode
from accelsim.language import cosine as cosine
from accelsim.language import linear as linear
from accelsim.language import warmup as warmup
from accelsim.program import Node, Reader, Tape, evaluate, exact, names_read, operate


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
            with UserCode(str(self), f" at step {t}", (ArithmeticError, TypeError, ValueError, AttributeError)):
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

    A proof reads it as a start and a recursion (`formula`), unless it is freed: then it is any function of t.
    """

    update: Callable[[Any, Any, Any], tuple[Any, dict[str, Any]]]
    start: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.update.__name__

    def following(self, memory: Mapping[str, Any], t: Any, h: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Its value at a step and its memory after it, in numbers.

        Raises
        ------
        InputError
            Where the update gives something else. What it raises is passed on.
        """
        given = self.update(SimpleNamespace(**memory), t, SimpleNamespace(**h))
        if not (isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping)):
            raise InputError("a recurrence must return its value and a dict of its memory")
        value, after = given
        if set(after) != set(self.start):
            raise InputError(f"a recurrence must return the memory it began with: {', '.join(self.start) or 'none'}")
        for number in (value, *after.values()):
            if not isinstance(number, Real):
                raise InputError(f"a recurrence computes with numbers, not with a {type(number).__name__}")
        return value, dict(after)

    def formula(self, switches: Mapping[str, Any]) -> Formula | None:
        """The update as nodes; None where it asks what nodes do not answer, as how large t or its memory is."""
        tape = Tape()
        memory = SimpleNamespace(**{name: tape.node("state", value=name, kind="uniform") for name in self.start})
        reader = Reader(tape, switches)
        try:
            with UserCode(str(self)):
                value, new = self.update(memory, tape.node("step", kind="uniform"), reader)
                following = {name: tape.lift(new[name]) for name in self.start}
                return Formula(tape.lift(value), following, names_read(reader))
        except InputError:
            return None


class Formula(NamedTuple):
    """A recurrence's value at a step and its memory after that, as nodes; and the hyperparameters that these read."""

    value: Node
    following: Mapping[str, Node]
    reads: tuple[str, ...]


def ratio(part: Any, whole: Any) -> Any:
    """A part over a whole, 0 where the whole is 0: a share of nothing."""
    return part / whole if isinstance(whole, Node) or whole else 0 * part


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
    function = language.function(text)
    if "t" in language.names(text):
        return Schedule(function, text.strip())
    try:
        return function(None)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise InputError(f"cannot evaluate {language.shown(text)!r}: {error}") from None


def rows(
    values: Mapping[str, Value],
    number: Callable[[Any], Any] = float,
    check: Callable[[str, Any, int], None] = lambda name, value, t: None,
    begin: int = 0,
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Hyperparameters step by step, without end.

    Parameters
    ----------
    values : what each hyperparameter is; recurrences see the others' values of the same step.
    number : `float`, or `program.exact` for rational runs (then t is a `Fraction` too).
    check : called with (name, value, t) for everything that varies; may raise.
    begin : the first step wanted; recurrences are followed up to it.

    Yields
    ------
    t, and the values of that step by name.

    Raises
    ------
    InputError
        Where a schedule or a recurrence has no value at a step.
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
            with UserCode(f"{name} = {recursion}", f" at step {step}"):
                h[name], memories[name] = recursion.following(memories[name], t, h)
            check(name, h[name], step)
        if step >= begin:
            yield t, h
