"""SymPy's rings of polynomials and fields of rational functions, whose operations count as work of a search."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sympy import QQ
from sympy.polys.domains import FractionField
from sympy.polys.fields import FracElement, FracField
from sympy.polys.orderings import lex
from sympy.polys.rings import PolyElement, PolyRing

from accelsim.symbolic.algebra import gcd
from accelsim.symbolic.algebra.budget import charge, of_number

EACH = 10  # operations that anything done with a polynomial takes, beside those with its terms


class Polynomial(PolyElement):
    """An element of a `Ring`."""

    def __mul__(self, other: Any) -> Any:
        size = len(self) * (len(other) if isinstance(other, PolyElement) else 1)
        charge(EACH + (2 + _of_numbers(self)) * size)
        return super().__mul__(other)

    def __pow__(self, power: int) -> Any:
        value = super().__pow__(power)
        charge(EACH + 2 * len(value))
        return value

    def __add__(self, other: Any) -> Any:
        charge(EACH + len(self))
        return super().__add__(other)

    def __sub__(self, other: Any) -> Any:
        charge(EACH + len(self))
        return super().__sub__(other)

    def mul_ground(self, x: Any) -> Any:
        """The polynomial times a number."""
        charge(EACH + len(self))
        return super().mul_ground(x)

    def evaluate(self, x: Any, a: Any = None) -> Any:
        """The polynomial at numbers in place of one generator or of several."""
        charge(EACH + len(self))
        return super().evaluate(x, a)

    def div(self, fv: Any) -> Any:
        """Quotients and remainder of a division by one polynomial or several."""
        charge(EACH + len(self))
        quotients, rest = super().div(fv)
        pairs = [(quotients, fv)] if isinstance(fv, PolyElement) else zip(quotients, fv, strict=True)
        charge(2 * sum(len(quotient) * len(divisor) for quotient, divisor in pairs))
        return quotients, rest

    def cofactors(self, g: Any) -> Any:
        """Greatest common divisor g of two polynomials, and both over g."""
        charge(5 * EACH + (2 + _of_numbers(self) + _of_numbers(g)) * (len(self) + len(g)))
        return super().cofactors(g) if min(len(self), len(g)) <= 1 else gcd.cofactors(self, g)


def _of_numbers(polynomial: Any) -> int:
    """Operations for the size of the coefficients, of which one is looked at."""
    return of_number(next(iter(polynomial.values()), 0))


class Ring(PolyRing):
    """Polynomial ring of SymPy, whose elements count their work."""

    def __new__(cls, symbols: Any, domain: Any, order: Any = lex) -> Ring:
        """A polynomial ring, in the arithmetic of this module."""
        ring: Ring = super().__new__(cls, symbols, domain, order)
        ring.dtype = Polynomial(ring, ()).new
        ring.gens = ring._gens()
        ring._gens_set = set(ring.gens)
        return ring


class Fractions(FracField):
    """Field of quotients of such polynomials."""

    def __new__(cls, symbols: Any, domain: Any, order: Any = lex) -> Fractions:
        """A field of rational functions, in the arithmetic of this module."""
        field: Fractions = super().__new__(cls, symbols, domain, order)
        field.ring = Ring(symbols, domain, order)
        field.dtype = FracElement(field, field.ring.zero).raw_new
        field.zero, field.one = field.dtype(field.ring.zero), field.dtype(field.ring.one)
        field.gens = field._gens()
        return field

    def to_ring(self) -> Ring:
        """The ring of numerators and denominators."""
        return self.ring


def rational_functions(symbols: Iterable[Any]) -> FractionField:
    """Domain of rational functions in some symbols over the rationals."""
    return FractionField(Fractions(tuple(symbols), QQ))
