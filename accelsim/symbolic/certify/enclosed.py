"""Numbers of the verifier: fractions, and intervals that hold irrational ones."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

from accelsim.elementary import orthogonalize, pi
from accelsim.errors import InputError
from accelsim.program import exact
from accelsim.symbolic.algebra.field import rational_root

DIGITS = 60  # of intervals
LARGEST = 10_000  # of a whole power


@cache
def _intervals() -> Any:
    """Interval arithmetic of its own precision."""
    from mpmath.ctx_iv import MPIntervalContext

    context = MPIntervalContext()
    context.dps = DIGITS
    return context


@cache
def _interval_type() -> Any:
    return type(_intervals().mpf(0))


class Enclosed:
    """Real number: a fraction, or an interval that holds it.

    Fractions stay fractions under arithmetic and rational roots; all else is an interval of sixty digits, rounded
    outwards.

    Parameters
    ----------
    value : a number, an interval, or another enclosed number.
    """

    __array_ufunc__ = None

    def __init__(self, value: Any) -> None:
        if isinstance(value, Enclosed):
            value = value.value
        if isinstance(value, float) and value == pi:
            value = _intervals().pi + 0
        self.value: Any = value if isinstance(value, _interval_type()) else exact(value)

    @property
    def fraction(self) -> Fraction | None:
        """The number as a fraction; None where it is not known to be rational."""
        return self.value if isinstance(self.value, Fraction) else None

    @property
    def interval(self) -> Any:
        """An interval that holds the number."""
        if not isinstance(self.value, Fraction):
            return self.value
        iv = _intervals()
        return iv.mpf(self.value.numerator) / iv.mpf(self.value.denominator)

    def _with(self, other: Any, operation: Callable[[Any, Any], Any], swap: bool = False) -> Enclosed:
        one, other = self, Enclosed(other)
        if swap:
            one, other = other, one
        if one.fraction is not None and other.fraction is not None:
            return Enclosed(operation(one.fraction, other.fraction))
        return Enclosed(operation(one.interval, other.interval))

    def __add__(self, other: Any) -> Enclosed:
        return self._with(other, lambda x, y: x + y)

    def __sub__(self, other: Any) -> Enclosed:
        return self._with(other, lambda x, y: x - y)

    def __rsub__(self, other: Any) -> Enclosed:
        return self._with(other, lambda x, y: x - y, swap=True)

    def __mul__(self, other: Any) -> Enclosed:
        return self._with(other, lambda x, y: x * y)

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other: Any) -> Enclosed:
        return self._divided(self, Enclosed(other))

    def __rtruediv__(self, other: Any) -> Enclosed:
        return self._divided(Enclosed(other), self)

    def _divided(self, above: Enclosed, below: Enclosed) -> Enclosed:
        if below.fraction is None and 0 in below.interval:
            raise InputError("what a rule divides by is too near zero to tell")
        return above._with(below, lambda x, y: x / y)

    def __mod__(self, other: Any) -> Enclosed:
        period = Enclosed(other)
        if self.fraction is None or not period.fraction:
            raise InputError("a remainder is taken of a number that is not known exactly, or by 0")
        return Enclosed(self.fraction % period.fraction)

    def __rmod__(self, other: Any) -> Enclosed:
        return Enclosed(other) % self

    def __neg__(self) -> Enclosed:
        return Enclosed(-self.value)

    def __abs__(self) -> Enclosed:
        return Enclosed(abs(self.value))

    def __pow__(self, other: Any) -> Enclosed:
        power = Enclosed(other)
        exponent = power.fraction
        if exponent is not None and exponent.denominator == 1:
            if abs(exponent) > LARGEST:
                raise InputError(f"a power of more than {LARGEST} is not taken")
            whole = Enclosed(self.value ** abs(int(exponent)))
            return whole if exponent >= 0 else 1 / whole
        return self.traced_call("exp", power * self.traced_call("log", self))

    def __rpow__(self, other: Any) -> Enclosed:
        return Enclosed(other) ** self

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Enclosed) and self.fraction is not None and self.fraction == other.fraction

    __hash__ = None  # type: ignore[assignment]

    def sign(self) -> int:
        """Sign, -1, 0 or 1.

        Raises
        ------
        InputError
            Where the interval holds 0.
        """
        if self.fraction is not None:
            return (self.fraction > 0) - (self.fraction < 0)
        if 0 in self.interval:
            raise InputError("a number is too near zero for its sign to be told")
        return 1 if self.interval.a > 0 else -1

    def apart(self, other: Enclosed) -> bool:
        """Proof that two numbers differ."""
        try:
            return (self - other).sign() != 0
        except InputError:
            return False

    def traced_call(self, name: str, *values: Any) -> Any:
        """Value of one of the elementary functions that a rule may call.

        Raises
        ------
        InputError
            Where an interval leaves it open, or there is none.
        """
        one = Enclosed(values[0]) if name not in ("where", "first") else values[0]
        if name == "where":
            return values[1] if values[0] else values[2]
        if name == "first":
            return one.fraction == 0
        if name == "total":  # over one coordinate
            return one
        if name == "sign":
            return Enclosed(one.sign())
        if name == "orthogonalize":  # over one coordinate
            return one.sign() * Enclosed(orthogonalize(Fraction(1), 1, int(Enclosed(values[2]).fraction or 0)))
        if name in ("minimum", "maximum"):
            other = Enclosed(values[1])
            first = (one - other).sign() <= 0
            return one if first == (name == "minimum") else other
        if name == "sqrt":
            return self._root(one)
        if name == "log" and one.sign() <= 0:
            raise InputError("a logarithm is taken of what is not above 0")
        return Enclosed(getattr(_intervals(), name)(one.interval))

    def _root(self, square: Enclosed) -> Enclosed:
        if square.fraction is not None:
            root = rational_root(square.fraction)
            if root is not None:
                return Enclosed(root)
        if square.sign() < 0:
            raise InputError("a root is taken of a negative number")
        return Enclosed(_intervals().sqrt(square.interval))
