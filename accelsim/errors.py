"""What a user is told when something given cannot be used: one line, what was wrong and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input. The command line prints the message alone and exits with code 2."""


def reason(error: BaseException) -> str:
    """The type and message of an exception, in one line.

    >>> reason(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    """An `InputError` for a name nobody knows, with the nearest name that exists.

    >>> str(unknown("optimizer", "nesterow", ["sgd", "nesterov"]))
    "unknown optimizer 'nesterow'; did you mean 'nesterov'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(names)
    return InputError(f"unknown {what} {name!r}; {hint}")
