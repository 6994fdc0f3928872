"""Expressions to and from the language in which claims are written: text and traced nodes to SymPy, SymPy to text."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
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
    """Exact SymPy number that a number was written as; `elementary.pi` is the number pi."""
    import sympy

    if isinstance(value, float) and value == pi:
        return sympy.pi
    fraction = exact(value)
    return sympy.Rational(fraction.numerator, fraction.denominator)


def sympy_functions() -> dict[str, Any]:
    """Elementary functions of SymPy, by their names in rules."""
    import sympy

    return {
        "sqrt": sympy.sqrt,
        "exp": _exponential,
        "log": sympy.log,
        "cos": sympy.cos,
        "sign": sympy.sign,
        "abs": sympy.Abs,
        "minimum": sympy.Min,
        "maximum": sympy.Max,
        "first": lambda t: sympy.Eq(t, 0),
        "where": lambda condition, a, b: sympy.Piecewise((a, condition), (b, True)),
    }


def _exponential(exponent: Any) -> Any:
    """Exponential of a SymPy expression; that of x log(b) is the power b**x."""
    import sympy

    if isinstance(exponent, sympy.Mul):
        logarithm = next((factor for factor in exponent.args if isinstance(factor, sympy.log)), None)
        if logarithm is not None:
            return logarithm.args[0] ** (exponent / logarithm)
    return sympy.exp(exponent)


def to_sympy(node: Node, values: list[Any]) -> Any:
    """Value of a node's operation on SymPy expressions; the node depends on t and hyperparameters alone."""
    functions = sympy_functions()
    return functions[node.op](*values) if node.op in functions else operate(node, values)


def expression(text: str, names: Mapping[str, Any]) -> Any:
    """SymPy expression of a text.

    Parameters
    ----------
    names : by name in the text, a symbol, expression, or function.

    Raises
    ------
    InputError
        If the text cannot be read, or has no value whatever its names are.
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
    """Divisors in a text before any cancellation, as SymPy expressions; arguments as those of `expression`."""
    return language.operands(text, names, number, to_sympy, divisors_of)


def rooted(text: str, names: Mapping[str, Any]) -> Iterator[Any]:
    """Expressions (SymPy) that must not be negative for a text to have a value; arguments as those of `expression`."""
    return language.operands(text, names, number, to_sympy, radicands_of)


def divisors_of(node: Node, exponent: Callable[[Node], Any]) -> tuple[Node, ...]:
    """Operands of a node that must not be zero: of a quotient, a power that may be negative, a logarithm.

    Parameters
    ----------
    exponent : function from a power's second operand to its expression (SymPy).
    """
    if node.op == "div":
        return node.args[1:]
    if node.op == "log" or (node.op == "pow" and not exponent(node.args[1]).is_nonnegative):
        return node.args[:1]
    return ()


def radicands_of(node: Node, exponent: Callable[[Node], Any]) -> tuple[Node, ...]:
    """Operands of a node that must not be negative: of a root, a power that is not whole, a logarithm."""
    if node.op in ("sqrt", "log") or (node.op == "pow" and not exponent(node.args[1]).is_integer):
        return node.args[:1]
    return ()


def put_in(text: str, given: Mapping[str, Any]) -> str:
    """A text with what is given for hyperparameters in it in place of these: numbers, or texts in t."""
    import sympy

    inside = language.names(text) - {"t"}, language.called(text)
    if not given.keys() & inside[0].union(*inside[1:]):
        return text
    known: dict[str, Any] = {name: sympy.Symbol(name, real=True) for name in inside[0]}
    known |= {name: sympy.Function(name, real=True) for name in inside[1]}
    for name, value in given.items():
        value = given_value(value)
        known[name] = (lambda at, value=value: value.subs(time(), at)) if name in inside[1] else value
    return text_of(expression(text, {**known, "t": time()}))


def given_value(value: Any) -> Any:
    """SymPy expression of a number, or of a text in t, that is given for a hyperparameter.

    Raises
    ------
    InputError
        If the text cannot be read.
    """
    if isinstance(value, str):
        return expression(value, {"t": time()})
    if not isinstance(value, Real):
        raise InputError(f"a hyperparameter must be given as a number or as text in t, not as {value!r}")
    return number(value)


def entered(rule: Optimizer, name: str, value: Any) -> Any:
    """Exact number, or text, that a user's value for a hyperparameter is in a proof.

    Raises
    ------
    InputError
        If it is no value of the hyperparameter.
    """
    if isinstance(value, Real) and not isinstance(value, int | float | Fraction):
        value = int(value) if isinstance(value, Integral) else float(value)
    value_as_written(rule, name, value)
    return as_given(value) if isinstance(value, str) else value


def value_as_written(rule: Optimizer, name: str, value: Any) -> Any:
    """A hyperparameter's value as `Optimizer.value` gives it, but a text that is a rational number is not rounded.

    Raises
    ------
    InputError
        If it is no value of the hyperparameter.
    """
    if isinstance(value, str):
        with suppress(InputError, ArithmeticError, TypeError, ValueError):
            value = language.evaluated(value, {})
    return rule.value(name, value)


def as_given(text: str) -> Any:
    """Value that a text gives for a hyperparameter: a number if it is one, otherwise the text."""
    for kind in (int, float):
        with suppress(ValueError):
            if str(kind(text)) == text:
                return kind(text)
    return text


def text_of(expression: Any) -> str:
    """Text of a SymPy expression in the language of claims.

    Raises
    ------
    InputError
        If a number in it has more digits than are read.
    """
    import sympy
    from sympy.printing.precedence import PRECEDENCE
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

        def _print_Mod(self, e: Any) -> str:
            of, period = (self.parenthesize(arg, PRECEDENCE["Atom"]) for arg in e.args)
            return f"({of} % {period})"

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
    """Values by name in one line, as ``lr = 1, beta = 1/2``."""
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def from_first(text: str, start: Any) -> str:
    """Text of a value that is `start` at step 0 and the text at all others; for None the text itself."""
    return text if start is None else f"where(first(t), {text_of(start)}, {text})"


def _minus(term: Any) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def combination(row: Any, states: Iterable[str], first: Any) -> str:
    """Text of a linear combination of states.

    Parameters
    ----------
    row : coefficients (SymPy), one a state.
    first : coefficients at step 0; None where the row holds there too.
    """
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


def state_text(end: str, state: str, taken: Container[str]) -> str:
    """What a transform from the states of a rule (`end`: ``a`` or ``b``) calls one: ``b[m]`` where `m` is taken."""
    return f"{end}[{state}]" if state in taken else state


def states_read(end: str, states: Iterable[str], taken: Container[str]) -> dict[str, str]:
    """States of a rule by what a transform's texts may call them: ``b[m]`` always, ``m`` where it is not taken."""
    return {name: state for state in states for name in {f"{end}[{state}]", state_text(end, state, taken)}}


def _term(coefficient: Any, state: str) -> str:
    """Text of a state times its coefficient, with the sign before it, as ``" - a*m/(1 - b)"``."""
    import sympy

    above, below = sympy.fraction(coefficient)
    (sign, above), (other, below) = _up_to_sign(above), _up_to_sign(below)
    text = state if above == 1 else f"({text_of(above)})*{state}" if above.is_Add else f"{text_of(above)}*{state}"
    if below != 1:
        text += f"/({text_of(below)})" if below.is_Add or below.is_Mul else f"/{text_of(below)}"
    return f" {'+' if sign == other else '-'} {text}"


def _up_to_sign(product: Any) -> tuple[int, Any]:
    """Sign and rest of a product, in the form that reads best: 1 - beta for beta - 1, a + b for -a - b."""
    import sympy

    sign, parts = 1, []
    for part in sympy.Mul.make_args(product):
        number = part.as_coeff_Add()[0] if part.is_Add else part.as_coeff_Mul()[0]
        negated = number.is_negative or (part.is_Add and all(map(_minus, part.args)))
        sign = -sign if negated else sign
        parts.append(-part if negated else part)
    return sign, sympy.Mul(*parts)
