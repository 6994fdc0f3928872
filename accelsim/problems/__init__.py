"""One problem, one file: a sampler of its gradients and the exact map of their second moments. Nothing is listed."""

from __future__ import annotations

from functools import cache
from typing import Any

from accelsim import discovery
from accelsim.errors import InputError, unknown
from accelsim.problems._problem import Problem, Uncoupled
from accelsim.threads import single_threaded

__all__ = ["Problem", "Uncoupled", "find", "known", "make"]


@cache
def known() -> dict[str, type[Problem]]:
    """Every kind of problem by name."""
    kinds = [v for module in discovery.modules(__name__) for v in vars(module).values() if _concrete(v)]
    return {kind.name: kind for kind in sorted(kinds, key=lambda kind: kind.name)}


def _concrete(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Problem) and "name" in vars(value)


def find(name: str) -> type[Problem]:
    """The kind of problem of a name.

    Raises
    ------
    InputError
        With the nearest name that exists.
    """
    if name not in known():
        raise unknown("problem", name, known())
    return known()[name]


@single_threaded
def make(name: str, **options: Any) -> Problem:
    """A problem from its name and options; an option that is None counts as not given.

    Examples
    --------
    >>> make("linear_regression", dim=3, spectrum="geometric:100", batch=4, data=None).spectrum
    array([1.  , 0.1 , 0.01])

    Raises
    ------
    InputError
        For an unknown problem, an option that the problem does not have, or a value it cannot use.
    """
    kind = find(name)
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in kind.options():
            raise InputError(f"problem {name} has no {option}; it has " + ", ".join(kind.options()))
    for option in kind.required():
        if option not in given:
            raise InputError(f"problem {name} needs {option}: give it with --{option.replace('_', '-')}")
    return kind(**given)
