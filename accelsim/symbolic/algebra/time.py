"""The step t as proofs know it, and substitution in expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from accelsim.symbolic.algebra.budget import charge

PART = 10  # operations that building a part of an expression takes
_KEPT = 1 << 14  # minima and maxima that are remembered


@lru_cache(maxsize=1)
def time() -> Any:
    """The SymPy symbol of the step."""
    import sympy

    return sympy.Symbol("t", integer=True, nonnegative=True)


def replaced(expression: Any, values: Mapping[Any, Any]) -> Any:
    """An expression or matrix with some parts replaced, each distinct part built once.

    It is what SymPy's `xreplace` gives, or `subs` of a symbol, but sooner: of a choice by cases only those left are
    built, and minima and maxima, whose construction compares all arguments, are remembered.
    """
    import sympy

    if not values:
        return expression
    done = dict(values)

    def put(e: Any) -> Any:
        if not e.args:
            return done.get(e, e)
        if e not in done:
            charge(PART)
            done[e] = _chosen(e, put) if isinstance(e, sympy.Piecewise) else rebuilt(e, [put(arg) for arg in e.args])
        return done[e]

    return expression.applyfunc(put) if isinstance(expression, sympy.MatrixBase) else put(expression)


def rebuilt(e: Any, arguments: list[Any]) -> Any:
    """An expression with other arguments; itself where these are its own."""
    import sympy

    if all(new is old for new, old in zip(arguments, e.args, strict=True)):
        return e
    return _choice(e.func, *arguments) if isinstance(e, sympy.Min | sympy.Max) else e.func(*arguments)


@lru_cache(maxsize=_KEPT)
def _choice(kind: Any, *arguments: Any) -> Any:
    return kind(*arguments)


def _chosen(e: Any, put: Callable[[Any], Any]) -> Any:
    """A choice by cases, without those whose conditions are false."""
    import sympy

    cases = []
    for value, condition in e.args:
        if (when := put(condition)) != sympy.false:
            cases.append((put(value), when))
        if when == sympy.true:
            break
    return sympy.Piecewise(*cases)
