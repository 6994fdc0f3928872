"""Expressions to and from the language in which claims are written: text and traced nodes to SymPy, SymPy to text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

from accelsim import language
from accelsim.elementary import pi
from accelsim.errors import InputError
from accelsim.program import Node, exact, operate
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.time import time


def number(value: Any) -> Any:
    """A number as the SymPy rational it was written as; what `elementary.pi` is as the number pi."""
    import sympy

    if isinstance(value, float) and value == pi:
        return sympy.pi
    fraction = exact(value)
    return sympy.Rational(fraction.numerator, fraction.denominator)


def sympy_functions() -> dict[str, Any]:
    """The elementary functions in SymPy, by name."""
    import sympy

    return {
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


def to_sympy(node: Node, values: list[Any]) -> Any:
    """Apply the operation of a node that is made of t and hyperparameters alone to SymPy expressions."""
    functions = sympy_functions()
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
    if isinstance(value, sympy.Expr):
        return value
    shown = language.shown(text)
    if isinstance(value, sympy.Basic | bool):
        raise InputError(f"cannot read {shown!r}: it is a condition, not a number")
    raise InputError(f"cannot read {shown!r}: what varies in time is written as a function, as {shown}(t)")


def divided_by(text: str, names: Mapping[str, Any]) -> Iterator[Any]:
    """What a written expression divides by, as it is written; arguments as those of `expression`."""
    return language.divided_by(text, names, number, to_sympy)


def given_value(value: Any) -> Any:
    """What was given for a hyperparameter, a number or a text in t, in SymPy."""
    if isinstance(value, str):
        return expression(value, {"t": time()})
    if not isinstance(value, Real):
        raise InputError(f"a hyperparameter must be given as a number or as text in t, not as {value!r}")
    return number(value)


def entered(rule: Optimizer, name: str, value: Any) -> Any:
    """What is given for a hyperparameter as a proof reads it: an exact number or a text.

    Raises
    ------
    InputError
        If it is no value of the hyperparameter.
    """
    if isinstance(value, Real) and not isinstance(value, int | float | Fraction):
        value = int(value) if isinstance(value, Integral) else float(value)
    rule.value(name, value)
    return value


def text_of(expression: Any) -> str:
    """An expression in the language of claims.

    Raises
    ------
    InputError
        If a number in it has more digits than are read.
    """
    import sympy
    from sympy.printing.str import StrPrinter

    class Printer(StrPrinter):
        def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:
            """A term without a minus first, if there is one."""
            terms = list(super()._as_ordered_terms(expr, order=order))
            return sorted(terms, key=lambda x: x is not next((y for y in terms if not _minus(y)), x))

        def _print_Exp1(self, e: Any) -> str:
            return "exp(1)"

        def _print_Min(self, e: Any) -> str:
            return _nested("minimum", [self._print(x) for x in e.args])

        def _print_Max(self, e: Any) -> str:
            return _nested("maximum", [self._print(x) for x in e.args])

        def _print_Piecewise(self, e: Any) -> str:
            *cases, (last, _) = e.args
            text = self._print(last)
            for value, condition in reversed(cases):
                step = sympy.expand(condition.lhs - condition.rhs)
                text = f"where(first({self._print(step)}), {self._print(value)}, {text})"
            return text

    try:
        return str(Printer().doprint(expression))
    except ValueError:
        raise InputError(f"a number has more than {language.DIGITS} digits") from None


def _nested(name: str, texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{name}({texts[0]}, {_nested(name, texts[1:])})"


def assignments(values: Mapping[str, Any]) -> str:
    """Values of names in one line."""
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def from_first(text: str, start: Any) -> str:
    """A text that is another value at the first step, unless that is None."""
    return text if start is None else f"where(first(t), {text_of(start)}, {text})"


def _minus(term: Any) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def combination(row: Any, states: Iterable[str], first: Any) -> str:
    """A row of a transform, in states; `first` is the row at the first step, where it is not what the row is there."""
    terms = []
    for entry, start, state in zip(row, first, states, strict=True):
        if entry == start == 0:
            continue
        if start is not entry and start != entry.subs(time(), 0):
            terms.append(f" + {from_first(text_of(entry), start)}*{state}")
        else:
            terms.append(_term(entry, state))
    text = "".join(terms)
    return f"-{text[3:]}" if text.startswith(" - ") else text.removeprefix(" + ") or "0"


def _term(coefficient: Any, state: str) -> str:
    """A state times its coefficient with the sign between it and the term before, as ``" - a*m/(1 - b)"``."""
    import sympy

    above, below = sympy.fraction(coefficient)
    (sign, above), (other, below) = _turned(above), _turned(below)
    text = state if above == 1 else f"({text_of(above)})*{state}" if above.is_Add else f"{text_of(above)}*{state}"
    if below != 1:
        text += f"/({text_of(below)})" if below.is_Add or below.is_Mul else f"/{text_of(below)}"
    return f" {'+' if sign == other else '-'} {text}"


def _turned(product: Any) -> tuple[int, Any]:
    """A product up to its sign: 1 - beta for beta - 1, a + b for -a - b."""
    import sympy

    sign, parts = 1, []
    for part in sympy.Mul.make_args(product):
        number = part.as_coeff_Add()[0] if part.is_Add else part.as_coeff_Mul()[0]
        turned = number.is_negative or (part.is_Add and all(map(_minus, part.args)))
        sign = -sign if turned else sign
        parts.append(-part if turned else part)
    return sign, sympy.Mul(*parts)
