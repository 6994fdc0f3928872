"""What a user is told when something given cannot be used: one line, what was wrong and what would be right."""

from __future__ import annotations

import difflib
import os
import sys
import threading
from collections.abc import Iterable
from types import TracebackType


class InputError(ValueError):
    """Bad input. The command line prints the message alone and exits with code 2."""


def reason(error: BaseException) -> str:
    """The type and message of an exception, in one line.

    >>> reason(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    try:
        message = str(error)
    except Exception:  # of a user's own class
        message = ""
    return " ".join(f"{type(error).__name__}: {message}".split()).rstrip(": ")


class _Stdout:
    """Stdout, turned to stderr while any thread runs a user's code."""

    def __init__(self) -> None:
        self._lock, self._inside, self._own = threading.Lock(), 0, sys.stdout

    def turn(self) -> None:
        with self._lock:
            if not self._inside:
                self._own, sys.stdout = sys.stdout, sys.stderr
            self._inside += 1

    def turn_back(self) -> None:
        with self._lock:
            self._inside = max(self._inside - 1, 0)  # a forked child leaves contexts that it never entered
            if not self._inside:
                sys.stdout = self._own

    def alone(self) -> None:
        """In a forked child, where other threads are gone and their contexts with them."""
        if self._inside:
            sys.stdout = self._own
        self._lock, self._inside = threading.Lock(), 0


_stdout = _Stdout()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stdout.alone)


class UserCode:
    """Context in which a user's code runs: what it raises is an `InputError` in its name, and it prints to stderr.

    Stdout may be the one JSON document; it is that again once no thread is in such a context. Too little memory and
    Ctrl-C pass.

    Parameters
    ----------
    whose : begins the message.
    when : a step, where there is one.
    passing : exceptions that pass, too.
    """

    def __init__(self, whose: str, when: str = "", passing: tuple[type[BaseException], ...] = ()) -> None:
        self._whose, self._when = whose, when
        self._passing: tuple[type[BaseException], ...] = (KeyboardInterrupt, MemoryError, *passing)

    def __enter__(self) -> None:
        _stdout.turn()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stdout.turn_back()
        if isinstance(error, InputError):
            raise InputError(f"{self._whose}: {error}") from None
        if error is not None and not isinstance(error, self._passing):
            name, colon, message = reason(error).partition(": ")
            raise InputError(f"{self._whose} raised {name}{self._when}{colon}{message}") from None


def unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    """An `InputError` for a name nobody knows, with the nearest name that exists.

    >>> str(unknown("optimizer", "nesterow", ["sgd", "nesterov"]))
    "unknown optimizer 'nesterow'; did you mean 'nesterov'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(names)
    return InputError(f"unknown {what} {name!r}; {hint}")
