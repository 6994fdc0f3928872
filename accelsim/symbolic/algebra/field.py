"""Algebra shared by proofs: rational functions in whatever a rule is made of, shifts in time, written expressions."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from functools import cached_property, partial, reduce
from typing import Any

from accelsim import elementary
from accelsim.errors import InputError, unknown
from accelsim.program import exact
from accelsim.symbolic.system.tableau import time


class Field:
    """The field of rational functions over the rationals in all that some expressions are made of.

    Symbols, values of unknown functions at each shift of t, and every other function (a root, a minimum, a power
    that is no whole number) are independent generators. What is zero here is zero; relations between generators,
    such as sqrt(t)**2 = t, are only those that SymPy applies by itself.
    """

    def __init__(self, expressions: Iterable[Any]) -> None:
        import sympy

        self._opaque: dict[Any, Any] = {}
        found = set().union(*(self._rational(e).free_symbols for e in expressions))
        generators = sorted(found, key=str)
        self.domain = sympy.QQ.frac_field(*generators) if generators else sympy.QQ

    def _rational(self, expression: Any) -> Any:
        import sympy

        e = sympy.sympify(expression)
        if e.is_Rational or e.is_Symbol:
            return e
        if e.is_Add or e.is_Mul:
            return e.func(*map(self._rational, e.args))
        if e.is_Pow:
            if e.exp.is_Integer:
                return self._rational(e.base) ** e.exp
            split = sympy.expand_power_exp(sympy.expand(e, deep=False))
            if not split.is_Pow:
                return self._rational(split)
            if e.exp.could_extract_minus_sign():
                return 1 / self._rational(1 / e)
        return self._opaque.setdefault(e, sympy.Dummy(f"f{len(self._opaque)}"))

    def element(self, expression: Any) -> Any:
        """The expression in the field."""
        import sympy

        rational = self._rational(expression)
        if self.domain == sympy.QQ:
            return self.domain.from_sympy(rational)
        try:  # one quotient of polynomials is cancelled once, not after each of its terms
            above, below = map(self.domain.field.ring.from_expr, sympy.fraction(rational))
        except ValueError:
            return self.domain.from_sympy(rational)
        return self.domain.field.new(above, below)

    def matrix(self, matrix: Any) -> Any:
        """A SymPy matrix as a `DomainMatrix` over the field."""
        from sympy.polys.matrices import DomainMatrix

        rows = [[self.element(entry) for entry in matrix.row(i)] for i in range(matrix.rows)]
        return DomainMatrix(rows, matrix.shape, self.domain)

    def expression(self, element: Any) -> Any:
        """An element, factored, as a SymPy expression."""
        import sympy

        if self.domain == sympy.QQ:
            return self.domain.to_sympy(element)
        above, below = map(self._factored, (element.numer, element.denom))
        back = (above / below).xreplace(self._back)
        return sympy.powsimp(upright(back), deep=True, combine="exp")

    def _factored(self, polynomial: Any) -> Any:
        import sympy

        number, factors = polynomial.factor_list()
        powers = (factor.as_expr() ** power for factor, power in factors)
        return sympy.Mul(self.domain.domain.to_sympy(number), *powers)

    def factors(self, element: Any) -> list[Any]:
        """The irreducible factors of an element's numerator that are no numbers; zero has none, so ask first."""
        if self.domain.is_QQ:
            return []
        return [self.back(factor) for factor, _ in element.numer.factor_list()[1]]

    def back(self, polynomial: Any) -> Any:
        """A polynomial of the field's ring as a SymPy expression."""
        return polynomial.as_expr().xreplace(self._back)

    def plain(self, element: Any) -> Any:
        """An element as a SymPy expression, as it is."""
        return self.domain.to_sympy(element).xreplace(self._back)

    @cached_property
    def _back(self) -> dict[Any, Any]:
        return {dummy: e for e, dummy in self._opaque.items()}


def infinite(value: Any) -> bool:
    """Whether an expression or matrix divides by zero."""
    import sympy

    return bool(value.has(sympy.zoo, sympy.nan, sympy.oo))


def number_of(element: Any) -> Fraction | None:
    """What an element of a field of rational functions is, if it is a number."""
    if not (element.numer.is_ground and element.denom.is_ground):
        return None
    number = element.numer.LC / element.denom.LC if element.numer else 0
    return Fraction(int(number.numerator), int(number.denominator))


def rational_root(number: Fraction) -> Fraction | None:
    """The square root of a number, None where it is no rational number."""
    with suppress(InputError):
        return elementary.sqrt(number)
    return None


def determinant(matrix: Any) -> Any:
    """The determinant of a SymPy matrix, factored, with what its rows and columns share taken out before."""
    import sympy
    from sympy.polys.matrices import DomainMatrix

    field = Field(matrix)
    if field.domain == sympy.QQ:
        return field.expression(field.matrix(matrix).det())
    ring, shared = field.domain.field.ring, field.domain.one
    rows = [[field.element(entry) for entry in matrix.row(i)] for i in range(matrix.rows)]
    for i, row in enumerate(rows):
        below = reduce(lambda x, y: x.lcm(y), (entry.denom for entry in row), ring.one)
        whole = [entry * below for entry in row]  # but for numbers, of which a field's multiples know nothing
        rows[i] = [entry.numer.quo_ground(entry.denom.LC) for entry in whole]
        shared /= below
    for _ in range(2):
        for i, row in enumerate(rows):
            common = reduce(lambda x, y: x.gcd(y), row)
            if common:
                rows[i] = [entry.exquo(common) for entry in row]
                shared *= common
        rows = [list(column) for column in zip(*rows, strict=True)]
    return field.expression(shared * DomainMatrix(rows, matrix.shape, ring.to_domain()).det())


def basis(columns: Any) -> Any:
    """The simplest columns that span the same, of a `DomainMatrix`."""
    echelon, pivots = columns.transpose().rref(method="CD")
    return echelon[: len(pivots), :].transpose()


def stacked(rows: list[Any]) -> Any:
    """Rows of a `DomainMatrix`, one under the other; None of none."""
    from sympy.polys.matrices import DomainMatrix

    return DomainMatrix.vstack(*rows) if rows else None


def upright(product: Any) -> Any:
    """A factored expression with 1 - beta rather than -(beta - 1), where that costs no leading minus."""
    import sympy

    sign, flipped, parts = 1, [], []
    for part in sympy.Mul.make_args(product):
        base, power = part.as_base_exp() if part.is_Pow else (part, sympy.Integer(1))
        if part == -1:
            sign = -sign
        elif base.is_Add and base.as_coeff_Add()[0].is_negative and power.is_Integer and power % 2:
            sign = -sign
            flipped.append((-base) ** power)
        else:
            parts.append(part)
    free = [i for i, part in enumerate(parts) if part.is_Add and part.as_coeff_Add()[0] == 0]
    if sign < 0 and free:
        parts[free[0]], sign = -parts[free[0]], 1
    elif sign < 0 and flipped:
        flipped[0], sign = -flipped[0], 1
    return sympy.Mul(sign, *parts, *flipped)


def reduced(expression: Any) -> Any:
    """An expression after cancellation, factored; zero where it is zero as a rational function."""
    field = Field([expression])
    return field.expression(field.element(expression))


def shifted(expression: Any, steps: Any) -> Any:
    """An expression or matrix with t moved by a number of steps."""
    return expression.subs(time(), time() + steps) if steps else expression


def at_first(expression: Any, first: bool) -> Any:
    """An expression or matrix with the condition first(t) decided."""
    import sympy

    return expression.xreplace({sympy.Eq(time(), 0): sympy.true if first else sympy.false})


def special_steps(expression: Any) -> list[int]:
    """The steps that an expression or matrix treats differently, as first(t-1) does step 1."""
    import sympy

    return sorted({int(time() - condition.lhs + condition.rhs) for condition in expression.atoms(sympy.Eq)})


def elsewhere(expression: Any) -> Any:
    """An expression or matrix at all steps but the special ones."""
    import sympy

    return expression.xreplace(dict.fromkeys(expression.atoms(sympy.Eq), sympy.false))


def divisors(expression: Any) -> list[Any]:
    """What a factored expression divides by and what could be zero."""
    import sympy

    found = []
    for part in sympy.Mul.make_args(sympy.fraction(expression)[1]):
        bare = part.base if part.is_Pow and part.exp.is_Integer else part
        if not bare.is_number and not bare.is_positive and bare not in found:
            found.append(bare)
    return found


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def evaluated(text: str, names: Mapping[str, Any], number: Callable[[Any], Any] = exact) -> Any:
    """A written expression in any arithmetic.

    Parameters
    ----------
    text : such as ``"lr(t)*(beta(t) - beta(t+1)*(1 - c(t)))"``.
    names : values of the names in it, which may be subscripted, as ``"lr[3]"``; functions of t are called.
    number : converts the numbers in it, by default to fractions.

    Raises
    ------
    InputError
        For a name that is not known, or what is no arithmetic.

    Examples
    --------
    >>> evaluated("(1 - 0.9)*lr(t+1)", {"t": 2, "lr": lambda t: t})
    Fraction(3, 10)
    """
    known = {**elementary.FUNCTIONS, **names}

    def value(node: ast.AST) -> Any:
        if isinstance(node, ast.Expression):
            return value(node.body)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return number(node.value)
        if isinstance(node, ast.Name | ast.Subscript):  # lr[3] is a name as well, which nothing else can have
            name = ast.unparse(node)
            if name not in known:
                raise unknown(f"name in {text!r}:", name, known)
            return known[name]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.operand))
        if isinstance(node, ast.Call) and not node.keywords:
            called, args = value(node.func), node.args
            if called is elementary.where and isinstance(condition := value(args[0]), bool):
                return value(args[1] if condition else args[2])  # the other branch may divide by zero
            return called(*map(value, args))
        raise InputError(f"cannot read {text!r} as an expression: use + - * / **, numbers, names and calls")

    try:
        return value(ast.parse(text.strip(), mode="eval"))
    except SyntaxError:
        raise InputError(f"cannot read {text!r} as an expression: use + - * / **, numbers, names and calls") from None
    except TypeError as error:  # a number that is called, a function that is not
        raise InputError(f"cannot read {text!r}: {error}") from None
    except RecursionError:
        raise InputError(f"cannot read {text[:40]!r}...: it is too long") from None


def divided_by(text: str, names: Mapping[str, Any], number: Callable[[Any], Any]) -> Iterator[Any]:
    """What a written expression divides by in SymPy, as it is written; arguments as those of `evaluated`.

    What is divided by in one branch of ``where`` alone is 1 in the other.
    """

    def value(node: ast.expr) -> Any:
        return evaluated(ast.unparse(node), names, number)

    def below(node: ast.expr) -> Iterator[Any]:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "where":
            condition, yes, no = node.args
            where = partial(names["where"], value(condition))
            yield from (where(divisor, 1) for divisor in below(yes))
            yield from (where(1, divisor) for divisor in below(no))
            return
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield value(node.right)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not value(node.right).is_nonnegative:
            yield value(node.left)
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                yield from below(part)

    yield from below(ast.parse(text.strip(), mode="eval").body)
