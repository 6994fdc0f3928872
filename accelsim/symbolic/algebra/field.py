"""Rational functions in all that a rule is made of, and shifts in time: the arithmetic of proofs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from functools import cached_property, reduce
from operator import mul
from typing import Any

from accelsim import elementary
from accelsim.errors import InputError
from accelsim.symbolic.algebra.budget import charge, kept
from accelsim.symbolic.algebra.factor import factors
from accelsim.symbolic.algebra.time import rebuilt, replaced, time

DIGITS = 30  # that tell a number from zero
_KEPT = 1 << 12  # expressions of which what they are reduced to is remembered
PART = 15  # operations that building a part of an expression takes
POWERS = 3000  # those that SymPy takes to simplify a product of powers
LARGE = 64  # powers above this are not multiplied out


class Field:
    """Field of rational functions over the rationals in all that some expressions are made of.

    Symbols, values of unknown functions at each shift of t, and every other function (a root, a minimum, a power that
    is no whole number) are independent generators. What is zero in the field is zero; `vanishes` knows relations
    between generators too, such as sqrt(t)**2 = t or minimum(a, b) = (a + b - abs(a - b))/2.

    Parameters
    ----------
    expressions : SymPy expressions.
    """

    def __init__(self, expressions: Iterable[Any]) -> None:
        import sympy

        from accelsim.symbolic.algebra.rings import rational_functions

        expressions = [sympy.sympify(e) for e in expressions]
        self._opaque: dict[Any, Any] = {}
        self._known: dict[Any, Any] = {}  # expressions in the generators
        self._multiples: dict[Any, Any] = {}
        self._least: dict[Any, int] = {}  # of several large powers, by base
        self._units: dict[tuple[Any, Any], Any] = {}  # of several exponents, by base and rest
        found = self._symbols(expressions)
        if self._alike():
            found = self._symbols(expressions)
        generators = sorted(found, key=str)
        self.domain = rational_functions(generators) if generators else sympy.QQ

    def _symbols(self, expressions: Iterable[Any]) -> set[Any]:
        self._opaque.clear()
        self._known.clear()
        return set().union(*(self._rational(e).free_symbols for e in expressions))

    def _alike(self) -> bool:
        """Existence of relations between generators: multiples of one minimum, powers of one power."""
        import sympy

        self._multiples = _multiples(self._opaque)
        large: dict[Any, list[int]] = {}
        roots: dict[tuple[Any, Any], list[Any]] = {}
        for e in self._opaque:
            base, exponent = e.as_base_exp()
            times, rest = exponent.as_coeff_Mul()
            if e.is_Pow and exponent.is_Integer and base != sympy.E:
                large.setdefault(base, []).append(int(exponent))
            else:
                roots.setdefault((base, rest), []).append(times)
        self._least = {base: min(found) for base, found in large.items() if len(found) > 1}
        self._units = {place: reduce(sympy.gcd, found) for place, found in roots.items() if len(found) > 1}
        return bool(self._multiples or self._least or self._units)

    def _rational(self, expression: Any) -> Any:
        import sympy

        e = sympy.sympify(expression)
        if e.is_Rational or e.is_Symbol:
            return e
        if e not in self._known:
            charge(PART)
            self._known[e] = self._in_generators(e)
        return self._known[e]

    def _in_generators(self, e: Any) -> Any:
        import sympy

        if e in self._multiples:
            return self._rational(self._multiples[e])
        if isinstance(e, sympy.exp):
            terms = sympy.Add.make_args(sympy.expand(e.exp))
            if len(terms) > 1:
                return sympy.Mul(*(self._rational(sympy.exp(term)) for term in terms))
            if e.exp.could_extract_minus_sign():
                return 1 / self._rational(sympy.exp(-e.exp))
        elif e.is_Add or e.is_Mul:
            return rebuilt(e, [self._rational(arg) for arg in e.args])
        elif e.is_Pow:
            if e.exp.is_Integer:
                return self._power(e.base, int(e.exp))
            split = sympy.expand_power_exp(sympy.expand(e, deep=False))
            if not split.is_Pow:
                return self._rational(split)
            if e.exp.could_extract_minus_sign():
                return 1 / self._rational(1 / e)
            content, rest = sympy.expand(e.base).as_content_primitive()
            if e.exp.is_Rational and not rest.is_number and content != 1:  # which is positive
                return self._rational(content**e.exp) * self._rational(rest**e.exp)
        base, exponent = e.as_base_exp()
        times, rest = exponent.as_coeff_Mul()
        if unit := self._units.get((base, rest)):
            return self._generator(base ** (unit * rest)) ** (times / unit)
        return self._generator(e.xreplace(self._multiples))

    def _generator(self, e: Any) -> Any:
        import sympy

        return self._opaque.setdefault(e, sympy.Dummy(f"f{len(self._opaque)}"))

    def _power(self, base: Any, power: int) -> Any:
        """A power; a large one is a generator, of which others of this base are powers up to small factors."""
        if abs(power) <= LARGE or base.is_number:
            return self._rational(base) ** power
        if power < 0:
            return 1 / self._power(base, -power)
        unit = self._least.get(base, power)
        times = round(power / unit)
        if abs(power - times * unit) > LARGE:
            return self._generator(base**power)
        return self._generator(base**unit) ** times * self._rational(base) ** (power - times * unit)

    def element(self, expression: Any) -> Any:
        """Element of the field that a SymPy expression is.

        Raises
        ------
        ZeroDivisionError
            If the expression divides by zero.
        """
        import sympy

        rational = self._rational(expression)
        if self.domain == sympy.QQ:
            return self.domain.from_sympy(rational)
        return self.domain.field.new(*self._quotient(rational))  # cancelled once, not after each operation

    def _quotient(self, rational: Any) -> tuple[Any, Any]:
        """Numerator and denominator of an expression in the generators, not cancelled."""
        ring = self.domain.field.ring
        if rational.is_Symbol:
            return ring.gens[self._places[rational]], ring.one
        if rational.is_Rational:
            return ring.ground_new(ring.domain.from_sympy(rational)), ring.one
        if rational.is_Add:
            return added(map(self._quotient, rational.args))
        if rational.is_Mul:
            parts = [self._quotient(arg) for arg in rational.args]
            return tuple(reduce(mul, side) for side in zip(*parts, strict=True))
        if rational.is_Pow and rational.exp.is_Integer:
            above, below = self._quotient(rational.base)
            power = int(rational.exp)
            if power < 0:
                above, below = below, above
            if not below:
                raise ZeroDivisionError
            return above ** abs(power), below ** abs(power)
        raise ValueError(f"{rational} is not rational")

    @cached_property
    def _places(self) -> dict[Any, int]:
        return {symbol: i for i, symbol in enumerate(self.domain.symbols)}

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
        return _gathered(upright(above / below))

    def _factored(self, polynomial: Any) -> Any:
        import sympy

        number, found = factors(polynomial)
        powers = (self.back(factor) ** power for factor, power in found)
        return sympy.Mul(self.domain.domain.to_sympy(number), *powers)

    def factors(self, element: Any) -> list[Any]:
        """Irreducible factors of the numerator of a nonzero element, numbers left out."""
        if self.domain.is_QQ:
            return []
        return [self.back(factor) for factor, _ in factors(element.numer)[1]]

    def vanishes(self, element: Any) -> bool:
        """Proof that an element is zero, squares of roots and absolute values being multiplied out."""
        import sympy

        if element == 0 or self.domain.is_QQ:
            return bool(element == 0)
        degrees = dict(zip(self.domain.symbols, element.numer.degrees(), strict=True))
        bits = [i for i, symbol in enumerate(degrees) if degrees[symbol] > 1 and _bit(self._back.get(symbol, symbol))]
        if bits:
            return self.vanishes(self.domain(_idempotent(element.numer, bits)))
        used = {self._back[symbol]: degree for symbol, degree in degrees.items() if degree and symbol in self._back}
        choices = {e: _size(e) for e in used if isinstance(e, sympy.Min | sympy.Max | sympy.Abs)}
        roots = [e for e in used if e.is_Pow and e.exp.is_Rational]
        sharing = len({size for *_, size in choices.values()}) < len(choices)
        if not sharing and not any(used[e] > 1 for e in (*choices, *roots)):
            return False
        sizes = {e: whole + part * size for e, (whole, part, size) in choices.items()}
        multiplied = sympy.expand(self.back(element.numer).xreplace(sizes))
        return bool(sympy.expand(multiplied) == 0)  # squares of sizes were left as squares

    def back(self, polynomial: Any) -> Any:
        """A polynomial of the field's ring as a SymPy expression."""
        charge(PART * len(polynomial))
        return polynomial.as_expr(*self.generators().values())

    def plain(self, element: Any) -> Any:
        """SymPy expression of an element, not factored."""
        return self.named(self.domain.to_sympy(element))

    def named(self, expression: Any) -> Any:
        """An expression in the generators with their meanings in their places."""
        return replaced(expression, self._back)

    def generators(self) -> dict[Any, Any]:
        """Meaning of each generator: itself, or a function."""
        return {symbol: self._back.get(symbol, symbol) for symbol in getattr(self.domain, "symbols", ())}

    @cached_property
    def _back(self) -> dict[Any, Any]:
        return {dummy: e for e, dummy in self._opaque.items()}


def _bit(choice: Any) -> bool:
    """Proof that an expression is 0 or 1 at every step, as the minimum of 1 and a whole number of at least 0 is."""
    import sympy

    if not isinstance(choice, sympy.Min) or sympy.Integer(1) not in choice.args:
        return False
    return all(arg.is_integer and arg.is_nonnegative for arg in choice.args)


def _idempotent(polynomial: Any, places: Iterable[int]) -> Any:
    """A polynomial with the powers of some generators, which are 0 or 1, replaced by these."""
    found = polynomial.ring.zero
    for powers, coefficient in polynomial.terms():
        least = tuple(min(power, 1) if i in places else power for i, power in enumerate(powers))
        found += polynomial.ring({least: coefficient})
    return found


def _size(choice: Any) -> tuple[Any, Any, Any]:
    """A minimum, maximum or absolute value as whole + part*size: whole, part, and the absolute value size."""
    import sympy

    if isinstance(choice, sympy.Abs):
        (apart,), whole, half = choice.args, sympy.Integer(0), sympy.Integer(1)
    else:
        one, other = choice.args[0], choice.func(*choice.args[1:])
        apart, whole, half = one - other, (one + other) / 2, sympy.Rational(1 if choice.func == sympy.Max else -1, 2)
    content, rest = sympy.expand(apart).as_content_primitive()
    return whole, half * content, sympy.Abs(-rest if rest.could_extract_minus_sign() else rest)


def _multiples(expressions: Iterable[Any]) -> dict[Any, Any]:
    """Minima and maxima in expressions that are multiples of others in them, by these."""
    import sympy

    found: dict[Any, Any] = {}
    first: dict[Any, tuple[Any, Any]] = {}
    for choice in sorted(set().union(*(e.atoms(sympy.Min, sympy.Max) for e in expressions)), key=str):
        content = reduce(sympy.gcd, (sympy.expand(arg).as_content_primitive()[0] for arg in choice.args))
        kind = choice.func(*(sympy.expand(arg / content) for arg in choice.args))
        other, size = first.setdefault(kind, (choice, content))
        if other != choice:
            found[choice] = content / size * other
    return found


@kept(_KEPT)
def _gathered(expression: Any) -> Any:
    """An expression with one power of each base in every product."""
    import sympy

    charge(PART)
    e = rebuilt(expression, [_gathered(arg) for arg in expression.args])
    parts = sympy.Mul.make_args(e) if e.is_Mul or e.is_Pow else ()
    bases = [part.as_base_exp()[0] for part in parts]
    alike = len(set(bases)) < len(bases) or any(-base in bases for base in bases if base.is_Add)
    special = any(base.is_Number or base.is_Mul or base.is_Pow for base in bases if base not in (1, -1))
    whole = all(part.exp.is_Integer for part in parts if part.is_Pow or isinstance(part, sympy.exp))
    if alike or (special and not whole):
        charge(POWERS)
        with suppress(TypeError):  # of which exponents SymPy cannot tell the smaller one
            return sympy.powsimp(e, combine="exp")
    return e


def infinite(value: Any) -> bool:
    """Whether an expression or matrix divides by zero, as far as SymPy shows (zoo, nan)."""
    import sympy

    return bool(value.has(sympy.zoo, sympy.nan, sympy.oo))


def added(quotients: Iterable[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Numerator and denominator of a sum of quotients of polynomials: the least common multiple of denominators."""
    over: dict[Any, Any] = {}
    for above, below in quotients:
        over[below] = over[below] + above if below in over else above
    (below, above), *others = sorted(over.items(), key=lambda pair: len(pair[0]))
    for other, more in others:
        common = below.gcd(other)
        here, there = other.exquo(common), below.exquo(common)
        above, below = above * here + more * there, below * here
    return above, below


def number_of(element: Any) -> Fraction | None:
    """Value of an element of a field of rational functions, if it is a number; None otherwise."""
    if not (element.numer.is_ground and element.denom.is_ground):
        return None
    number = element.numer.LC / element.denom.LC if element.numer else 0
    return Fraction(int(number.numerator), int(number.denominator))


def rational_root(number: Fraction) -> Fraction | None:
    """Square root of a fraction, None where it is irrational."""
    with suppress(InputError):
        return elementary.sqrt(number)
    return None


def determinant(matrix: Any) -> Any:
    """Determinant (SymPy, factored) of a SymPy matrix, common factors of rows and columns taken out first."""
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
    """Basis of the column space of a `DomainMatrix`, made of its simplest columns."""
    echelon, pivots = columns.transpose().rref(method="CD")
    return echelon[: len(pivots), :].transpose()


def stacked(rows: list[Any]) -> Any:
    """Rows of `DomainMatrix` one under the other; None for an empty list."""
    from sympy.polys.matrices import DomainMatrix

    return DomainMatrix.vstack(*rows) if rows else None


def upright(product: Any) -> Any:
    """A factored expression in the form that reads best: 1 - beta rather than -(beta - 1)."""
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


@kept(_KEPT)
def reduced(expression: Any) -> Any:
    """An expression after cancellation, factored; zero where it is proved to be."""
    import sympy

    field = Field([expression])
    element = field.element(expression)
    return sympy.Integer(0) if field.vanishes(element) else field.expression(element)


def cancelled(expression: Any) -> Any:
    """An expression after cancellation, not factored."""
    field = Field([expression])
    return field.plain(field.element(expression))


def vanishes(expression: Any) -> bool:
    """Proof that an expression is zero; False means that none was found."""
    field = Field([expression])
    return field.vanishes(field.element(expression))


def differs(number: Any) -> bool:
    """Proof that a number is nonzero: it is a nonzero fraction, or its first digits show it."""
    if number.is_Rational:
        return bool(number != 0)
    size = abs(number.evalf(DIGITS, maxn=10 * DIGITS)) if number.is_number else None
    return bool(size is not None and size.is_finite and size > 10**-DIGITS)


def shifted(expression: Any, steps: Any) -> Any:
    """An expression or matrix with t moved by a number of steps."""
    return replaced(expression, {time(): time() + steps}) if steps else expression


def at_first(expression: Any, first: bool) -> Any:
    """An expression or matrix with the condition first(t) decided."""
    import sympy

    return replaced(expression, {sympy.Eq(time(), 0): sympy.true if first else sympy.false})


def special_steps(expression: Any) -> list[int]:
    """Steps that an expression or matrix treats as cases of their own, as first(t-1) does step 1."""
    import sympy

    return sorted({int(time() - condition.lhs + condition.rhs) for condition in expression.atoms(sympy.Eq)})


def elsewhere(expression: Any) -> Any:
    """An expression or matrix at all steps but the special ones."""
    import sympy

    return replaced(expression, dict.fromkeys(expression.atoms(sympy.Eq), sympy.false))


def divisors(expression: Any) -> list[Any]:
    """Irreducible divisors of a factored expression, numbers left out."""
    import sympy

    found = []
    for part in sympy.Mul.make_args(sympy.fraction(expression)[1]):
        bare = part.base if part.is_Pow and part.exp.is_Integer else part
        if not bare.is_number and not bare.is_positive and bare not in found:
            found.append(bare)
    return found
