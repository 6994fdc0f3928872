"""Expressions to and from the language in which claims are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

from accelsim.errors import InputError
from accelsim.program import exact
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import evaluated, shifted
from accelsim.symbolic.system.tableau import sympy_functions, time


def number(value: Any) -> Any:
    """A number as the SymPy rational it was written as."""
    import sympy

    return sympy.Rational(str(exact(value)))


def given_value(value: Any) -> Any:
    """What was given for a hyperparameter, a number or a text in t, in SymPy."""
    import sympy

    if isinstance(value, str):
        return sympy.sympify(evaluated(value, {**sympy_functions(), "t": time()}, number))
    if not isinstance(value, Real):
        raise InputError(f"a hyperparameter must be given as a number or as text in t, not as {value!r}")
    return number(value)


def entered(rule: Optimizer, name: str, value: Any) -> Any:
    """What is given for a hyperparameter as a proof reads it: an exact number or a text; what is irrational is rounded.

    Raises
    ------
    InputError
        If it is no value of the hyperparameter.
    """
    if isinstance(value, Real) and not isinstance(value, int | float | Fraction):
        value = int(value) if isinstance(value, Integral) else float(value)
    found = rule.value(name, value)
    if not isinstance(value, str) or not isinstance(found, Real):
        return value
    with suppress(InputError):  # an irrational root
        if isinstance(evaluated(value, {}), Fraction):
            return value
    return float(found)


def put_functions(matrices: Any, functions: Mapping[Any, Any]) -> Any:
    """Matrices with unknown functions of t replaced by expressions in t."""
    from sympy.core.function import AppliedUndef

    def one(matrix: Any) -> Any:
        called = [f for f in matrix.atoms(AppliedUndef) if f.func in functions]
        return matrix.xreplace({f: shifted(functions[f.func], f.args[0] - time()) for f in called})

    return type(matrices)(*map(one, matrices))


def text_of(expression: Any) -> str:
    """An expression in the language of claims."""
    import sympy
    from sympy.printing.str import StrPrinter

    class Printer(StrPrinter):
        def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:
            """A term without a minus first, if there is one."""
            terms = list(super()._as_ordered_terms(expr, order=order))
            return sorted(terms, key=lambda x: x is not next((y for y in terms if not _minus(y)), x))

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

    return str(Printer().doprint(expression))


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
