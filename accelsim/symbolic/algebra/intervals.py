"""Intervals of expressions whose symbols lie in known intervals: bounds, and with them signs, that are proved.

Arithmetic is exact on rational bounds and says of each bound whether it is attained. Correlations are not seen
(x - x is an interval around 0), so factors are better asked for one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from accelsim.program import Node, evaluate, exact
from accelsim.rule import Hyperparameter

ROOTED = 10**12  # parts of a unit in which roots are rounded
Bound = Fraction | float  # float for infinity alone


@dataclass(frozen=True)
class Interval:
    """Interval of real numbers.

    Attributes
    ----------
    low, high : bounds, fractions or infinities.
    open_low, open_high : whether each bound is not attained.
    """

    low: Bound = -math.inf
    high: Bound = math.inf
    open_low: bool = True
    open_high: bool = True

    @property
    def positive(self) -> bool:
        """Whether all its numbers are above 0."""
        return self.low > 0 or (self.low == 0 and self.open_low)

    @property
    def nonnegative(self) -> bool:
        """Whether all its numbers are at least 0."""
        return self.low >= 0

    @property
    def negative(self) -> bool:
        """Whether all its numbers are below 0."""
        return (-self).positive

    @property
    def nonzero(self) -> bool:
        """Whether 0 is outside of it."""
        return self.positive or self.negative

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low, self.open_high, self.open_low)

    def __add__(self, other: Interval) -> Interval:
        return Interval(
            self.low + other.low,
            self.high + other.high,
            self.open_low or other.open_low,
            self.open_high or other.open_high,
        )

    def __mul__(self, other: Interval) -> Interval:
        ends = [
            (_times(x, y), (x_open or y_open) and not ((x == 0 and not x_open) or (y == 0 and not y_open)))
            for x, x_open in ((self.low, self.open_low), (self.high, self.open_high))
            for y, y_open in ((other.low, other.open_low), (other.high, other.open_high))
        ]
        low, high = min(e[0] for e in ends), max(e[0] for e in ends)
        # a bound is attained where one of the products that make it is
        return Interval(low, high, all(o for e, o in ends if e == low), all(o for e, o in ends if e == high))

    def inverse(self) -> Interval:
        """Interval of 1/x; of all reals where 0 is inside, or a bound of both signs."""
        if self.negative:
            return -(-self).inverse()
        if not self.positive:
            return Interval()
        high = math.inf if self.low == 0 else 1 / self.low
        low = Fraction(0) if self.high == math.inf else 1 / self.high
        return Interval(low, high, self.open_high or self.high == math.inf, self.open_low or self.low == 0)

    def power(self, times: int) -> Interval:
        """Interval of x**times, for an integer exponent."""
        if times < 0:
            return self.power(-times).inverse()
        if times % 2 == 0 and not self.nonnegative:
            if self.high <= 0:
                return (-self).power(times)
            far = max(self, -self, key=lambda side: side.high)
            return Interval(Fraction(0), _raised(far.high, times), False, far.open_high)
        return Interval(_raised(self.low, times), _raised(self.high, times), self.open_low, self.open_high)

    def root(self) -> Interval:
        """Interval of the square roots of its nonnegative numbers."""
        if self.high < 0:
            return Interval()  # of nothing
        low, high = _rooted(max(self.low, Fraction(0)), up=False), _rooted(self.high, up=True)
        whole = low * low == self.low, high * high == self.high  # otherwise the bounds are beyond the roots
        return Interval(low, high, self.positive and (self.open_low or not whole[0]), self.open_high or not whole[1])


def _rooted(x: Bound, up: bool) -> Bound:
    """A square root, rounded up or down where it is not a fraction of a denominator at hand."""
    if x == math.inf:
        return x
    number = Fraction(x)
    scaled = number.numerator * number.denominator * ROOTED**2
    root = math.isqrt(scaled)
    return Fraction(root + (up and root * root != scaled), number.denominator * ROOTED)


def _times(x: Bound, y: Bound) -> Bound:
    return Fraction(0) if x == 0 or y == 0 else x * y


def _raised(x: Bound, times: int) -> Bound:
    return Fraction(1) if times == 0 else x**times


def point(value: Any) -> Interval:
    """The interval of one rational number."""
    number = exact(value)
    return Interval(number, number, False, False)


def declared(hyperparameter: Hyperparameter) -> Interval:
    """The range of a hyperparameter, its bounds being the fractions that they are written as."""
    low, high = (
        edge if math.isinf(edge) else exact(edge) for edge in (float(hyperparameter.low), float(hyperparameter.high))
    )
    return Interval(
        low, high, hyperparameter.open_low or low == -math.inf, hyperparameter.open_high or high == math.inf
    )


def enclosed(expression: Any, leaf: Callable[[Any], Interval]) -> Interval:
    """Interval that holds all values of a SymPy expression.

    Parameters
    ----------
    leaf : function from a symbol, or any other part that is not arithmetic, to its interval.
    """
    import sympy

    if expression.is_Rational:
        return point(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Add or expression.is_Mul:
        first, *rest = (enclosed(arg, leaf) for arg in expression.args)
        for other in rest:
            first = first + other if expression.is_Add else first * other
        return first
    if expression.is_Pow:
        base = enclosed(expression.base, leaf)
        if expression.exp.is_Integer:
            return base.power(int(expression.exp))
        if expression.exp == sympy.Rational(1, 2):
            return base.root()
        return _power(base, enclosed(expression.exp, leaf))
    if isinstance(expression, sympy.exp):
        return Interval(Fraction(0))
    if isinstance(expression, sympy.cos):
        return Interval(Fraction(-1), Fraction(1), False, False)
    if isinstance(expression, sympy.Mod):
        return _remainder(enclosed(expression.args[1], leaf))
    if isinstance(expression, sympy.Min | sympy.Max):
        return _extreme([enclosed(arg, leaf) for arg in expression.args], isinstance(expression, sympy.Min))
    return leaf(expression)


def definite(polynomial: Any, leaf: Callable[[Any], Interval]) -> Interval | None:
    """Interval of one sign that holds all values of a polynomial, by the signs of its coefficients; None where unknown.

    A symbol of an interval from l to h is written (l + h u)/(1 + u), or l + u for h infinite, with u of at least 0.

    Parameters
    ----------
    leaf : function from a symbol to its interval.
    """
    import sympy

    symbols = sorted(polynomial.free_symbols, key=str)
    within = [leaf(x) for x in symbols]
    if not symbols or any(i.low == -math.inf or (i.high < math.inf and not i.open_high) for i in within):
        return None
    for x, i in zip(symbols, within, strict=True):
        low = sympy.Rational(i.low.numerator, i.low.denominator)  # type: ignore[union-attr]
        if i.high == math.inf:
            polynomial = sympy.expand(polynomial.subs(x, low + x))
        else:
            high = sympy.Rational(i.high.numerator, i.high.denominator)  # type: ignore[union-attr]
            terms, degree = sympy.Poly(polynomial, x).terms(), sympy.degree(polynomial, x)
            polynomial = sympy.expand(sum(c * (low + high * x) ** k * (1 + x) ** (degree - k) for (k,), c in terms))
    coefficients = sympy.Poly(polynomial, *symbols).as_dict()
    strict = (0,) * len(symbols) in coefficients or all(i.open_low for i in within)
    if all(c > 0 for c in coefficients.values()):
        return Interval(Fraction(0), math.inf, strict)
    if all(c < 0 for c in coefficients.values()):
        return Interval(-math.inf, Fraction(0), True, strict)
    return None


def _power(base: Interval, exponent: Interval) -> Interval:
    """Interval of x**y for a base of at least 0, as rates to the power t."""
    if not base.nonnegative or not exponent.nonnegative:
        return Interval(Fraction(0)) if base.positive else Interval()
    one = Fraction(1)
    if base.high < 1 or (base.high == 1 and base.open_high):
        # at most 1, and less where the exponent is positive
        return Interval(Fraction(0), one, base.positive, exponent.positive)
    return Interval(Fraction(0), math.inf, base.positive)


def _extreme(parts: list[Interval], smallest: bool) -> Interval:
    choose = min if smallest else max
    low, high = choose(p.low for p in parts), choose(p.high for p in parts)
    # attained only where an interval with this very bound attains it
    return Interval(
        low,
        high,
        all(p.open_low for p in parts if p.low == low),
        all(p.open_high for p in parts if p.high == high),
    )


def of_node(node: Node, hyperparameter: Callable[[str], Interval]) -> Interval:
    """Interval that holds all values of a node of a rule, for all states and gradients.

    Parameters
    ----------
    hyperparameter : function from a name to the hyperparameter's interval.
    """

    def leaf(each: Node) -> Interval:
        if each.op == "hyperparameter":
            return hyperparameter(each.value)
        if each.op == "step":
            return Interval(Fraction(0), math.inf, False)
        return point(each.value) if each.op == "const" else Interval()

    return evaluate(node, leaf, _applied, {})


def _applied(node: Node, values: list[Any]) -> Interval:
    one, *more = values
    if node.op in ("add", "sub"):
        return one + (more[0] if node.op == "add" else -more[0])
    if node.op in ("mul", "div"):
        if node.args[0] is node.args[1]:
            return one.power(2) if node.op == "mul" else point(1)
        return one * (more[0] if node.op == "mul" else more[0].inverse())
    if node.op in ("maximum", "minimum"):
        return _extreme(values, node.op == "minimum")
    if node.op == "pow":
        power = node.args[1].value
        return one.power(int(power)) if isinstance(power, int) else _power(one, more[0])
    if node.op == "mod":
        return _remainder(more[0])
    if node.op == "where":
        return Interval(*_hull(more[0], more[1]))
    if node.op == "total":  # of numbers of at least 0
        return Interval(Fraction(0), math.inf, one.positive) if one.nonnegative else Interval()
    simple = {"neg": lambda: -one, "sqrt": one.root, "abs": one.power(2).root}
    if node.op == "sign":
        return Interval(Fraction(-1), Fraction(1), False, False)
    return simple[node.op]() if node.op in simple else Interval(Fraction(0)) if node.op == "exp" else Interval()


def _remainder(period: Interval) -> Interval:
    return Interval(Fraction(0), period.high, False) if period.positive else Interval()


def _hull(one: Interval, other: Interval) -> tuple[Bound, Bound, bool, bool]:
    low, high = min(one.low, other.low), max(one.high, other.high)
    return (
        low,
        high,
        all(p.open_low for p in (one, other) if p.low == low),
        all(p.open_high for p in (one, other) if p.high == high),
    )
