"""Budgets of a search in counted work, so that a question has one answer on every machine, be it busy or not.

What is counted is what a search does with polynomials and expressions: pairs of terms that are multiplied, parts of an
expression that are built, polynomials that are factored by their size. One unit of a budget is as many of these as
a slow core does in about a second. What is remembered from earlier questions counts as it did when it was found. Where
counting is far off, as with numbers of thousands of digits, computing time ends a search, at five times what was meant;
of what is less than a unit as if it were one, as a slow machine may take longer, and loads libraries.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, update_wrapper
from typing import Any

UNIT = 700_000  # operations
SECONDS = 5.0  # of a thread's computing for a unit, and for less, beyond which a search ends however little was counted
LOOKED = 14  # bits of a count below which the time is not looked at
WORD = 64  # bits


class OutOfTime(BaseException):
    """The budget of a search is spent."""


class _Work(threading.local):
    """Work that a thread has counted, and the count at which it stops."""

    done = 0
    limit: float = math.inf
    until: float = math.inf


_work = _Work()


def charge(operations: int) -> None:
    """Count work that is done.

    Raises
    ------
    OutOfTime
        If the budget that is enforced is spent by it.
    """
    before, _work.done = _work.done, _work.done + operations
    if _work.done >= _work.limit:
        _work.done = max(before, int(_work.limit))  # however much the last piece of work was
        raise OutOfTime
    if before >> LOOKED != _work.done >> LOOKED and time.thread_time() > _work.until:
        raise OutOfTime


def of_number(x: Any) -> int:
    """Extra operations of a product with a long number, or of a sum, beyond those with a short one."""
    words = (int(getattr(x, "numerator", 0)).bit_length() + int(getattr(x, "denominator", 1)).bit_length()) // WORD
    return words * words // 6


def done() -> int:
    """The operations that this thread has counted."""
    return _work.done


class Clock:
    """Budget in units of work, from its construction on."""

    def __init__(self, units: float) -> None:
        self.end = _work.done + round(units * UNIT)

    @property
    def left(self) -> float:
        """Units that are left of it."""
        return (self.end - _work.done) / UNIT

    def at_most(self, units: float) -> Clock:
        """Budget of some units, or of all that is left of this one."""
        return Clock(min(units, self.left))

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Raise `OutOfTime` as soon as more is done."""
        outer = _work.limit, _work.until
        _work.limit = min(_work.limit, self.end)
        _work.until = min(_work.until, time.thread_time() + SECONDS * max(self.left, 1.0))
        try:
            yield
        finally:
            _work.limit, _work.until = outer

    def check(self) -> None:
        """Compare the work done with the budget.

        Raises
        ------
        OutOfTime
            Past its end.
        """
        if _work.done >= self.end:
            raise OutOfTime


class Kept:
    """Function whose last values are remembered; each counts the work that it took, at every call."""

    def __init__(self, function: Callable[..., Any], size: int) -> None:
        update_wrapper(self, function)

        @lru_cache(maxsize=size, typed=True)
        def counted(*args: Any, **options: Any) -> tuple[Any, int]:
            before = _work.done
            value = function(*args, **options)
            return value, _work.done - before

        self._counted, self.cache_clear = counted, counted.cache_clear

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The function's value."""
        before = _work.done
        value, work = self._counted(*args, **options)
        charge(before + work - _work.done)
        return value


def kept(size: int) -> Callable[[Callable[..., Any]], Kept]:
    """Decorator that remembers some number of values of a function (see `Kept`)."""
    return lambda function: Kept(function, size)
