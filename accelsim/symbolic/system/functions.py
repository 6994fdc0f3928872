"""Elementary functions in normal form, so that what differs by positive factors inside them is seen to be one.

Expressions are rational functions of symbols: hyperparameters, states, gradients, and *atoms*, a symbol for each
function of them that is none. All that is not smooth is written in signs,

    |u| = u sign(u),    max(u, v) = (u + v + |u - v|)/2,

a sign takes one irreducible polynomial, a root what is not seen to be a product of squares and of nonnegative factors,
a sum over coordinates one monomial. Positive factors, proved from ranges (see `intervals`), come out of all three:
sign(c u) = sign(u), sqrt(c u) = sqrt(c) sqrt(u), total(c u) = c total(u). `vanishes` then decides whether an
expression is zero, case by case in the signs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from accelsim.program import Node, operate
from accelsim.symbolic.algebra.budget import charge, kept
from accelsim.symbolic.algebra.factor import factors
from accelsim.symbolic.algebra.field import PART, Field
from accelsim.symbolic.algebra.intervals import Interval, definite, enclosed
from accelsim.symbolic.algebra.language import sympy_functions

_KEPT = 1 << 12  # polynomials whose factors are remembered
MOST_TERMS = 4000  # of a polynomial: what is larger is not looked at


class Beyond(Exception):
    """An expression that is too large for the normal form, or that does not exist."""


@dataclass(frozen=True)
class Atom:
    """Symbol of the normal form for a function that is not rational.

    Attributes
    ----------
    function : its name.
    arguments : expressions in normal form.
    moves : whether it differs from coordinate to coordinate.
    """

    function: str
    arguments: tuple[Any, ...]
    moves: bool


class _Generators(Field):
    """Field whose generators (powers of rates, unknown functions of t) keep their symbols for good."""

    def __init__(self) -> None:
        super().__init__([])

    def plain(self, expression: Any) -> Any:
        """A SymPy expression as a rational function of symbols."""
        return self._rational(expression)

    def _rational(self, expression: Any) -> Any:
        """An expression in the field; rates to the power t - 1 are those to the power t over the rate."""
        import sympy

        e = sympy.sympify(expression)
        if e.is_Pow and e.exp.is_Add and (early := e.exp.as_coeff_Add()[0]).is_Integer and early < 0:
            return self._rational(e.base ** (e.exp - early)) * self._rational(e.base) ** early
        return super()._rational(e)

    def named(self, symbol: Any) -> Any:
        """Meaning of a symbol; None for one that stands for itself."""
        return next((e for e, dummy in self._opaque.items() if dummy == symbol), None)


_OF_SIGN = {
    1: Interval(Fraction(0)),
    0: Interval(Fraction(0), Fraction(0), False, False),
    -1: Interval(-math.inf, Fraction(0)),
}


class Functions:
    """Arithmetic of expressions in normal form.

    Parameters
    ----------
    moving : symbols that differ from coordinate to coordinate: states and gradients.
    leaf : function from a hyperparameter, a value of a function of t, or t (SymPy) to its interval.
    assumed : by polynomial, the sign 1, 0 or -1 that it has in the case that is looked at.
    """

    def __init__(
        self,
        moving: Iterable[Any],
        leaf: Callable[[Any], Interval],
        assumed: Mapping[Any, int] = MappingProxyType({}),
    ) -> None:
        self.moving, self.leaf, self.assumed = set(moving), leaf, assumed
        self.atoms: dict[Any, Atom] = {}
        self._generators = _Generators()
        self._symbols: dict[tuple[Any, ...], Any] = {}
        self._place: dict[Any, int] = {}
        self._intervals: dict[Any, Interval] = {}

    # -- expressions --

    def plain(self, expression: Any) -> Any:
        """A SymPy expression without roots and signs, as a rational function of symbols."""
        return self._generators.plain(expression)

    def written(self, expression: Any) -> Any:
        """The SymPy expression that one in normal form stands for, its symbols replaced by what they mean."""
        while True:
            found = {}
            for symbol in expression.free_symbols:
                if symbol in self.atoms:
                    found[symbol] = self._as_function(self.atoms[symbol])
                elif (meaning := self._generators.named(symbol)) is not None:
                    found[symbol] = meaning
            if not found:
                return expression
            expression = expression.xreplace(found)

    def _as_function(self, atom: Atom) -> Any:
        import sympy

        known = {**sympy_functions(), "pow": sympy.Pow}
        if atom.function in known:
            return known[atom.function](*atom.arguments)
        return sympy.Function(atom.function, real=True)(*atom.arguments)

    def moves(self, expression: Any) -> bool:
        """Dependence of an expression on the coordinate: whether there is any."""
        return any(x in self.moving or (x in self.atoms and self.atoms[x].moves) for x in expression.free_symbols)

    def of_state(self, expression: Any) -> bool:
        """Dependence of an expression on states or gradients, even if only through sums over coordinates."""
        return any(
            x in self.moving or (x in self.atoms and any(map(self.of_state, self.atoms[x].arguments)))
            for x in expression.free_symbols
        )

    def fraction(self, expression: Any) -> tuple[Any, Any]:
        """Numerator and denominator, coprime, with powers of roots and signs reduced.

        Raises
        ------
        Beyond
            If the expression is too large, or divides by zero.
        """
        import sympy

        if expression.has(sympy.zoo, sympy.nan, sympy.oo):
            raise Beyond
        field = Field([expression])
        element = field.element(expression)
        if field.domain.is_QQ:
            number = sympy.Rational(str(element))
            return sympy.Integer(number.p), sympy.Integer(number.q)
        if len(element.numer) + len(element.denom) > MOST_TERMS:
            raise Beyond
        above, below = (self._reduced(field.back(part)) for part in (element.numer, element.denom))
        if below == 0:
            raise Beyond
        return above, below

    def normal(self, expression: Any) -> Any:
        """An expression in normal form."""
        above, below = self.fraction(expression)
        return above / below

    def _reduced(self, polynomial: Any) -> Any:
        """A polynomial where root(u)**2 = u, sign(u)**3 = sign(u) and u sign(u)**2 = u are used, newest atoms first."""
        import sympy

        for atom in sorted(polynomial.free_symbols & self.atoms.keys(), key=self._place.__getitem__, reverse=True):
            kind, inside = self.atoms[atom].function, self.atoms[atom].arguments[0]
            parts = _coefficients(polynomial, atom) if kind in ("sqrt", "sign") else {}
            if max(parts, default=0) < 2:
                continue
            if kind == "sqrt":
                terms = (c * inside ** (k // 2) * atom ** (k % 2) for k, c in parts.items())
            else:
                powers = ((c, k if k < 2 else 2 - k % 2) for k, c in parts.items())
                terms = (_unsigned(c, inside, atom) if k == 2 else c * atom**k for c, k in powers)
            polynomial = sympy.expand(sympy.Add(*terms))
        return polynomial

    def factors(self, expression: Any) -> tuple[Any, list[tuple[Any, int]]]:
        """Factorization of an expression: a number, and irreducible polynomials with their powers."""
        import sympy

        above, below = self.fraction(expression)
        number, found = sympy.Integer(1), []
        for part, sign in ((above, 1), (below, -1)):
            if part.is_Rational:
                number *= part**sign
                continue
            content, several = _factor_list(part)
            number *= content**sign
            found += [(factor, power * sign) for factor, power in several]
        return number, found

    def interval(self, expression: Any) -> Interval:
        """Interval that holds all values of an expression.

        Raises
        ------
        Beyond
            If the expression does not exist.
        """
        for sign in (1, -1):
            if (known := self.assumed.get(sign * expression)) is not None:
                return _OF_SIGN[sign * known]

        def leaf(symbol: Any) -> Interval:
            if symbol not in self._intervals:
                self._intervals[symbol] = self._leaf(symbol)
            return self._intervals[symbol]

        found = enclosed(expression, leaf)
        if found.low < 0 < found.high and expression.is_Add and expression.is_polynomial():
            found = definite(expression, leaf) or found
        return found

    def _leaf(self, symbol: Any) -> Interval:
        if symbol in self.moving:
            return Interval()
        if symbol in self.atoms:
            return self._of_atom(self.atoms[symbol])
        meaning = self._generators.named(symbol)
        return self.leaf(symbol) if meaning is None else enclosed(meaning, self._known)

    def _known(self, expression: Any) -> Interval:
        if expression.is_Symbol:
            return self._leaf(expression)
        return self.leaf(expression)

    def _of_atom(self, atom: Atom) -> Interval:
        if atom.function == "sqrt":
            return self.interval(atom.arguments[0]).root()
        if atom.function == "sign":
            return Interval(-1, 1, False, False)
        if atom.function == "exp":
            return Interval(0)
        if atom.function == "total" and atom.arguments[0] == 1:
            return Interval(Fraction(1), math.inf, False)
        if atom.function == "total":  # of one monomial: where that is at least 0 the sum is
            return Interval(0, open_low=False) if self.interval(atom.arguments[0]).nonnegative else Interval()
        return Interval()

    # -- functions --

    def apply(self, node: Node, values: list[Any]) -> Any:
        """Value of a node's operation on expressions in normal form."""
        if node.op == "where":
            return values[1] if values[0] else values[2]
        if node.op in ("add", "sub", "mul", "neg"):
            return operate(node, values)
        return getattr(self, node.op)(*values)

    def div(self, above: Any, below: Any) -> Any:
        """Quotient of two expressions.

        Raises
        ------
        Beyond
            If the divisor is zero.
        """
        if below == 0 or (below.free_symbols and self.fraction(below)[0] == 0):
            raise Beyond
        return above / below

    def pow(self, base: Any, exponent: Any) -> Any:
        """Power: of whole or half-integer exponent for any base, of other exponents for a base that does not move."""
        import sympy

        exponent = self.normal(exponent)
        if exponent.is_Integer:
            return base**exponent if exponent >= 0 else self.div(sympy.Integer(1), base**-exponent)
        if exponent.is_Rational and exponent.q == 2:
            root = self.sqrt(base)
            return root**exponent.p if exponent > 0 else self.div(sympy.Integer(1), root**-exponent.p)
        if self.of_state(base) or self.of_state(exponent):
            return self._atom("pow", (self.normal(base), exponent))
        return self.plain(self.normal(base) ** exponent)

    def sign(self, u: Any) -> Any:
        """The sign, as a product of signs of irreducible polynomials."""
        import sympy

        if self.fraction(u)[0] == 0:
            return sympy.Integer(0)
        number, factors = self.factors(u)
        value = sympy.sign(number)
        for factor, power in factors:
            within = self.interval(factor)
            if within.negative:
                value *= (-1) ** (power % 2)
            elif (within.low, within.high) == (0, 0):
                return sympy.Integer(0)
            elif not within.positive:
                is_one = factor in self.atoms and self.atoms[factor].function == "sign"
                value *= (factor if is_one else self._atom("sign", (factor,))) ** (2 - power % 2)
        return value

    def orthogonalize(self, u: Any, rows: Any, steps: Any) -> Any:
        """The matrix sign, without what multiplies all coordinates but for its sign."""
        import sympy

        if self.fraction(u)[0] == 0:
            return sympy.Integer(0)
        number, factors = self.factors(u)
        value, inside = sympy.sign(number), sympy.Integer(1)
        for factor, power in factors:
            if self.moves(factor):
                inside *= factor**power
            else:
                value *= self.sign(factor) ** (2 - power % 2)
        if inside == 1 or value == 0:  # the same in all coordinates, or nothing
            return value * self._atom("orthogonalize", (inside, rows, steps))
        if inside.could_extract_minus_sign():
            value, inside = -value, sympy.expand(-inside)
        return value * self._atom("orthogonalize", (inside, rows, steps))

    def abs(self, u: Any) -> Any:
        """The absolute value."""
        return u * self.sign(u)

    def maximum(self, u: Any, v: Any) -> Any:
        """Maximum, as (u + v + |u - v|)/2."""
        sign = self.sign(u - v)
        return u if sign == 0 else (u + v + (u - v) * sign) / 2

    def minimum(self, u: Any, v: Any) -> Any:
        """Minimum, as (u + v - |u - v|)/2."""
        return -self.maximum(-u, -v)

    def sqrt(self, u: Any) -> Any:
        """Square root, positive factors and squares taken out.

        Raises
        ------
        Beyond
            If the radicand is negative.
        """
        import sympy

        if self.fraction(u)[0] == 0:
            return sympy.Integer(0)
        number, factors = self.factors(u)
        value, inside = sympy.Integer(1), sympy.sign(number)
        for factor, power in factors:
            within = self.interval(factor)
            if within.negative:
                factor, inside = -factor, inside * (-1) ** (power % 2)
            size = factor if within.nonnegative or within.negative else self.abs(factor)
            value *= size ** (power // 2)
            if power % 2 and (within.nonnegative or within.negative):
                value *= self._atom("sqrt", (factor,))
            elif power % 2:
                inside *= factor
        number = abs(number)
        whole, primes = _square_part(int(number.p) * int(number.q))
        value *= sympy.Rational(whole, int(number.q))
        for prime in primes:
            value *= self._atom("sqrt", (sympy.Integer(prime),))
        if inside.is_number and inside < 0:
            raise Beyond
        return value if inside == 1 else value * self._atom("sqrt", (sympy.expand(inside),))

    def total(self, u: Any) -> Any:
        """The sum over coordinates, as sums of monomials."""
        import sympy

        above, below = self.fraction(u)
        if self.moves(below):
            number, factors = self.factors(u)
            outside = [(f, k) for f, k in factors if not self.moves(f)]
            inside = sympy.Mul(*(f**k for f, k in factors if self.moves(f)))
            return number * sympy.Mul(*(f**k for f, k in outside)) * self._atom("total", (inside,))
        over = sorted((x for x in above.free_symbols if self.moves(x)), key=str)
        if not over:  # so many times as there are coordinates
            return u * self._atom("total", (sympy.Integer(1),))
        terms = sympy.Poly(above, *over).terms()
        found = (
            c * self._atom("total", (sympy.Mul(*(x**k for x, k in zip(over, powers, strict=True))),))
            for powers, c in terms
        )
        return sum(found) / below

    def exp(self, u: Any) -> Any:
        """The exponential function."""
        return self._smooth("exp", u)

    def log(self, u: Any) -> Any:
        """The natural logarithm."""
        return self._smooth("log", u)

    def cos(self, u: Any) -> Any:
        """The cosine."""
        return self._smooth("cos", u)

    def mod(self, u: Any, period: Any) -> Any:
        """The remainder of what does not move."""
        import sympy

        return self.plain(sympy.Mod(self.normal(u), self.normal(period)))

    def _smooth(self, name: str, u: Any) -> Any:
        u = self.normal(u)
        if self.of_state(u):
            return self._atom(name, (u,))
        return self.plain(sympy_functions()[name](u))

    def _atom(self, function: str, arguments: tuple[Any, ...]) -> Any:
        import sympy

        key = (function, *arguments)
        if key not in self._symbols:
            symbol = sympy.Symbol(f"{function}[{len(self.atoms)}]", real=True)
            moves = function != "total" and any(map(self.moves, arguments))
            self._symbols[key], self._place[symbol] = symbol, len(self.atoms)
            self.atoms[symbol] = Atom(function, arguments, moves)
        return self._symbols[key]

    # -- what is zero --

    def vanishes(self, expression: Any) -> bool:
        """Proof that an expression is zero wherever it has a value; False means that none was found."""
        above, below = self.fraction(expression)
        return self._zero(above, below)

    def _zero(self, above: Any, below: Any) -> bool:
        """Proof that a polynomial is zero wherever another one is not."""
        import sympy

        above = self._reduced(sympy.expand(above))
        if above == 0:
            return True
        atoms = sorted(above.free_symbols & self.atoms.keys(), key=self._place.__getitem__)
        if not atoms:
            return False
        newest = atoms[-1]
        atom = self.atoms[newest]
        if atom.function != "sign":
            return all(self._zero(c, below) for c in sympy.Poly(above, newest).coeffs())
        for value in (1, -1):
            there = below.subs(newest, value)
            if sympy.expand(there) != 0 and not self._zero(above.subs(newest, value), there):
                return False
        return self._zero_at(atom.arguments[0], above.subs(newest, 0), below.subs(newest, 0))

    def _zero_at(self, root: Any, above: Any, below: Any) -> bool:
        """Proof that a polynomial is zero wherever a second one is zero and a third one is not."""
        import sympy

        above, below = sympy.expand(above), sympy.expand(below)
        if above == 0 or below == 0:
            return True
        for x in sorted(root.free_symbols & self.moving, key=str):
            slope = sympy.diff(root, x)
            if slope.has(x):
                continue
            place = -root.subs(x, 0) / slope
            below = self.fraction(below.subs(x, place))[0]
            return bool(below == 0) or self._zero(self.fraction(above.subs(x, place))[0], below)
        gens = sorted(root.free_symbols | above.free_symbols, key=str)
        return bool(sympy.rem(sympy.Poly(above, *gens), sympy.Poly(root, *gens)) == 0)


def _coefficients(polynomial: Any, symbol: Any) -> dict[int, Any]:
    """The coefficients of the powers of a symbol in an expanded polynomial."""
    import sympy

    found: dict[int, list[Any]] = {}
    for term in sympy.Add.make_args(polynomial):
        charge(PART)
        parts = [part.as_base_exp() for part in sympy.Mul.make_args(term)]
        power = next((int(exponent) for base, exponent in parts if base == symbol), 0)
        found.setdefault(power, []).append(term / symbol**power)
    return {power: sympy.Add(*terms) for power, terms in found.items()}


def _unsigned(coefficient: Any, inside: Any, sign: Any) -> Any:
    """A multiple of sign(u)**2, without it in what is a multiple of u."""
    import sympy

    gens = sorted(coefficient.free_symbols | inside.free_symbols, key=str)
    if not gens:
        return coefficient * sign**2
    quotient, rest = sympy.div(sympy.Poly(coefficient, *gens), sympy.Poly(inside, *gens))
    return quotient.as_expr() * inside + rest.as_expr() * sign**2


@kept(_KEPT)
def _factor_list(polynomial: Any) -> Any:
    field = Field([polynomial])
    element = field.element(polynomial)
    number, found = factors(element.numer)
    number = field.domain.domain.to_sympy(number / element.denom.LC)
    return number, [(field.back(factor), power) for factor, power in found]


def _square_part(number: int) -> tuple[int, list[int]]:
    """A whole number and primes, such that a number is the square of the first times the others."""
    import sympy

    powers = sympy.factorint(number).items()
    return math.prod(prime ** (times // 2) for prime, times in powers), [prime for prime, times in powers if times % 2]
