"""Square roots as independent symbols, in which expressions with roots are compared."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

from accelsim.symbolic.algebra.factor import factors
from accelsim.symbolic.algebra.field import Field, infinite
from accelsim.symbolic.algebra.time import time

LATER = 3  # a step


class Roots:
    """Square roots as products of independent ones, in which expressions with roots are compared.

    The root of a nonnegative product is the product of the roots of its factors' absolute values. The sign of a factor
    matters only where its root is squared: there the factor is taken as positive.

    Attributes
    ----------
    moving : symbols of states and gradients; a product in which they occur is not taken apart.
    positive : factors that were taken as positive.
    """

    def __init__(self, moving: Iterable[Any]) -> None:
        self.moving = set(moving)
        self.positive: list[Any] = []
        self._known: dict[Any, Any] = {}

    def root(self, square: Any) -> Any:
        """Square root of an expression, in independent roots."""
        import sympy

        square = self.plain(square)
        if infinite(square):
            return sympy.nan
        field = Field([square])
        element = field.element(square)
        if element == 0:
            return sympy.Integer(0)
        if field.domain.is_QQ:
            return self._factors(sympy.QQ.to_sympy(element), [])
        (number, above), (divided, below) = factors(element.numer), factors(element.denom)
        powers = [(field.back(f), k) for f, k in above] + [(field.back(f), -k) for f, k in below]
        return self._factors(sympy.QQ.to_sympy(number) / sympy.QQ.to_sympy(divided), powers)

    def _factors(self, number: Any, powers: list[tuple[Any, int]]) -> Any:
        """Square root of a nonnegative product; factors with states in them stay under one root."""
        import sympy

        oriented = [(-f if self._negative(f) else f, k) for f, k in powers]
        odd = sum(k for (f, k), (before, _) in zip(oriented, powers, strict=True) if f != before) % 2
        together = {+1: sympy.Integer(1), -1: sympy.Integer(1)}
        apart = []
        for factor, times in oriented:
            if self.moves(factor):
                together[1 if times > 0 else -1] *= factor ** abs(times)
            else:
                apart.append((factor, times))
        parts = [(value, sign) for sign, value in together.items() if value != 1] + apart
        if bool(odd) != bool(number < 0):  # then one of them is negative
            i = next((i for i, (_, times) in enumerate(parts) if times % 2), None)
            if i is None:
                return sympy.nan
            parts[i] = -parts[i][0], parts[i][1]
        return sympy.Mul(self._number(abs(number)), *(self._of(factor) ** times for factor, times in parts))

    def _negative(self, factor: Any) -> bool:
        """Sign of a factor at a random point with all symbols between 0 and 1: whether it is negative there."""
        value = _sampled(self.written(factor))
        return bool(value.is_number and value.is_negative)

    def plain(self, expression: Any) -> Any:
        """An expression with independent roots in place of those in it."""
        import sympy

        def halves(e: Any) -> bool:
            return bool(e.is_Pow and e.exp.is_Rational and e.exp.q == 2)

        return sympy.sympify(expression).replace(halves, lambda e: self.root(e.base) ** e.exp.p)

    def moves(self, expression: Any) -> bool:
        """Dependence of an expression on states or gradients: whether there is any."""
        backwards = {root: square for square, root in self._known.items()}
        symbols = expression.free_symbols
        return bool(symbols & self.moving) or any(self.moves(backwards[s]) for s in symbols & backwards.keys())

    def left(self, expression: Any) -> Any:
        """An expression with roots squared: zero if that proves it zero, nan if it divides by zero."""
        import sympy

        rational = self.plain(expression)
        if infinite(rational):
            return sympy.nan
        field = Field([rational])
        element = field.element(rational)
        if field.domain.is_QQ:
            return rational
        below, _ = self._squared(field.back(element.denom))
        above, squares = self._squared(field.back(element.numer))
        self.positive += [square for square in squares if square not in self.positive]
        return sympy.nan if below == 0 else self.written(above / below)

    def cancelled(self, expression: Any) -> Any:
        """An expression in independent roots, numerator and denominator coprime."""
        rational = self.plain(expression)
        field = Field([rational])
        return field.plain(field.element(rational))

    def written(self, expression: Any) -> Any:
        """An expression with its independent roots written out."""
        import sympy

        backwards = {root: sympy.sqrt(square) for square, root in self._known.items()}
        while expression.free_symbols & backwards.keys():
            expression = expression.xreplace(backwards)
        return expression

    def _squared(self, polynomial: Any) -> tuple[Any, list[Any]]:
        """A polynomial with every root to the power 0 or 1, and the factors whose roots were squared for it."""
        squares = []
        for square, root in reversed(list(self._known.items())):  # a nested one before what is in it
            field = Field([polynomial])
            if root not in getattr(field.domain, "symbols", ()):
                continue
            over = field.element(polynomial).numer
            place = over.ring.symbols.index(root)
            if over.degree(over.ring.gens[place]) > 1:
                squares += [square] * (not square.is_number)
                polynomial = sum(field.back(part) * _power(square, root, k) for k, part in _by_power(over, place))
        field = Field([polynomial])
        return field.plain(field.element(polynomial)), squares

    def _number(self, value: Any) -> Any:
        import sympy

        found = sympy.Integer(1)
        for part, power in ((value.p, 1), (value.q, -1)):
            for prime, times in sympy.factorint(part).items():
                found *= self._of(sympy.Integer(prime)) ** (times * power)
        return found

    def _of(self, square: Any) -> Any:
        """Symbol of the root of an absolute value."""
        import sympy

        return self._known.setdefault(square, sympy.Dummy(f"root{len(self._known)}"))


def _sampled(expression: Any) -> Any:
    """Value of an expression at one choice of all symbols and values of functions."""
    import sympy
    from sympy.core.function import AppliedUndef

    leaves = expression.atoms(AppliedUndef) or ()
    there = {x: sympy.Float(random.Random(str(x)).random()) for x in (*leaves, *expression.free_symbols - {time()})}
    return expression.xreplace(there).subs(time(), LATER).evalf()


def _power(square: Any, root: Any, times: int) -> Any:
    return square ** (times // 2) * root ** (times % 2)


def _by_power(polynomial: Any, place: int) -> Iterator[tuple[int, Any]]:
    """Coefficients of a polynomial in one generator, by power."""
    found: dict[int, dict[Any, Any]] = {}
    for monomial, coefficient in polynomial.terms():
        rest = (*monomial[:place], 0, *monomial[place + 1 :])
        found.setdefault(monomial[place], {})[rest] = coefficient
    return ((power, polynomial.ring.from_dict(terms)) for power, terms in found.items())
