"""Written expressions and traced nodes as SymPy expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from accelsim import language
from accelsim.elementary import pi
from accelsim.errors import InputError
from accelsim.program import Node, exact, operate


def number(value: Any) -> Any:
    """A number as the SymPy rational it was written as; what `elementary.pi` is as the number pi."""
    import sympy

    if isinstance(value, float) and value == pi:
        return sympy.pi
    fraction = exact(value)
    return sympy.Rational(fraction.numerator, fraction.denominator)


def to_sympy(node: Node, values: list[Any]) -> Any:
    """Apply the operation of a node that is made of t and hyperparameters alone to SymPy expressions."""
    import sympy

    functions = {
        "sqrt": sympy.sqrt,
        "exp": sympy.exp,
        "log": sympy.log,
        "cos": sympy.cos,
        "sign": sympy.sign,
        "abs": sympy.Abs,
        "minimum": sympy.Min,
        "maximum": sympy.Max,
        "first": lambda t: sympy.Eq(t, 0),
        "where": lambda condition, a, b: sympy.Piecewise((a, condition), (b, True)),
    }
    return functions[node.op](*values) if node.op in functions else operate(node, values)


def expression(text: str, names: Mapping[str, Any]) -> Any:
    """A written expression in SymPy; `names` are those of symbols and functions in it.

    Raises
    ------
    InputError
        Where it cannot be read, or has no value whatever its names stand for.
    """
    import sympy

    try:
        value = language.evaluated(text, names, number, to_sympy)
    except InputError:
        raise
    except (ArithmeticError, ValueError) as error:
        raise InputError(f"cannot read {language.shown(text)!r}: {error}") from None
    if not isinstance(value, sympy.Basic):
        shown = language.shown(text)
        raise InputError(f"cannot read {shown!r}: what varies in time is written as a function, as {shown}(t)")
    return value


def divided_by(text: str, names: Mapping[str, Any]) -> Iterator[Any]:
    """What a written expression divides by, as it is written; arguments as those of `expression`."""
    return language.divided_by(text, names, number, to_sympy)
