"""Irreducible factors of polynomials over the rationals, by python-flint where it is installed, else by SymPy.

Both give the same: factors with integer coefficients without a common divisor, the leading one positive, in one order.
Most polynomials of a question come up several times, by other names: what is found is kept by exponents alone. Without
python-flint, the factors are those of the content in one variable and of the primitive part. That part is irreducible
if it is linear, or if it is so with numbers of the same degree in place of the others (Gauss's lemma), as almost all
numbers show (Hilbert's irreducibility theorem); SymPy's factorization is left for what is not seen to be so.
"""

from __future__ import annotations

from functools import cache, lru_cache, reduce
from math import gcd
from typing import Any

from accelsim.symbolic.algebra.budget import charge, kept

_KEPT = 1 << 12  # polynomials whose factors are remembered
TERM = 100  # operations that a term of a polynomial takes
POINTS = (2, 5, 13)  # the first ones of the numbers that are put in place of variables
Powers = tuple[int, ...]
Terms = frozenset[tuple[Powers, int]]  # of a polynomial with integer coefficients


@kept(_KEPT)
def factors(polynomial: Any) -> tuple[Any, tuple[tuple[Any, int], ...]]:
    """A number and irreducible factors with their powers, whose product a `PolyElement` over the rationals is.

    References
    ----------
    Musser 1975 and Wang 1978, for several variables.
    """
    ring = polynomial.ring
    if polynomial.is_ground:
        return polynomial.LC, ()
    charge(TERM * len(polynomial))
    number = _content(polynomial)
    used = [i for i, degree in enumerate(polynomial.degrees()) if degree]
    whole = polynomial.quo_ground(number)
    terms = frozenset((tuple(powers[i] for i in used), int(c)) for powers, c in whole.items())

    def back(powers: Powers) -> Powers:
        place = dict(zip(used, powers, strict=True))
        return tuple(place.get(i, 0) for i in range(ring.ngens))

    found = []
    for factor, power in _factored(len(used), terms):
        own = ring.from_dict({back(powers): ring.domain(c) for powers, c in factor})
        found.append((own if own.LC > 0 else -own, power))  # as the leading coefficient of their product is
    return number, tuple(sorted(found, key=_order))


@lru_cache(maxsize=_KEPT)
def _factored(count: int, terms: Terms) -> tuple[tuple[Terms, int], ...]:
    """The factors, up to their signs, of a polynomial with coprime coefficients, in so many generators."""
    flint = _flint()
    found = _by_flint(flint, count, terms) if flint else _by_sympy(_ring(count).from_dict(dict(terms)))
    return tuple((_terms(factor), power) for factor, power in found)


def _by_sympy(polynomial: Any) -> list[tuple[Any, int]]:
    if polynomial.is_ground:
        return []
    ring = polynomial.ring
    least = tuple(map(min, zip(*polynomial, strict=True)))
    found = [(dict(generator), power) for generator, power in zip(ring.gens, least, strict=True) if power]
    if found:
        rest = {tuple(n - k for n, k in zip(powers, least, strict=True)): c for powers, c in polynomial.items()}
        return found + _by_sympy(ring.from_dict(rest))
    place = min((degree, i) for i, degree in enumerate(polynomial.degrees()) if degree)[1]
    parts = _by_power(polynomial, place)
    common = reduce(lambda one, other: one.gcd(other), sorted(parts.values(), key=len))
    primitive = polynomial.exquo(common)
    if not common.is_ground:
        return _by_sympy(primitive) + _by_sympy(common)
    if _irreducible(parts):
        return [(dict(primitive), 1)]
    return [(dict(factor), power) for factor, power in primitive.factor_list()[1]]


def _by_power(polynomial: Any, place: int) -> dict[int, Any]:
    """Coefficients of a polynomial in one generator, by power."""
    parts: dict[int, dict[Powers, Any]] = {}
    for powers, c in polynomial.items():
        parts.setdefault(powers[place], {})[(*powers[:place], 0, *powers[place + 1 :])] = c
    return {power: polynomial.ring.from_dict(part) for power, part in parts.items()}


def _irreducible(parts: dict[int, Any]) -> bool:
    """Proof that a primitive polynomial in one generator, with coefficients `parts` by power, is irreducible."""
    degree = max(parts)
    if degree == 1:
        return True
    for first in POINTS:
        values = [(generator, first + i * i) for i, generator in enumerate(parts[degree].ring.gens)]
        there = {(power,): part.evaluate(values) for power, part in parts.items()}
        if there[degree,] and _ring(1).from_dict(there).is_irreducible:
            return True
    return False


@cache
def _ring(count: int) -> Any:
    import sympy

    return sympy.polys.rings.PolyRing([f"x{i}" for i in range(count)], sympy.ZZ)


@lru_cache(maxsize=1)
def _flint() -> Any:
    try:
        import flint
    except ImportError:
        return None
    return flint


def _by_flint(flint: Any, count: int, terms: Terms) -> list[tuple[Any, int]]:
    context = flint.fmpz_mpoly_ctx.get([f"x{i}" for i in range(count)], flint.Ordering.lex)
    return [(factor.to_dict(), int(power)) for factor, power in context.from_dict(dict(terms)).factor()[1]]


def _terms(factor: dict[Any, Any]) -> Terms:
    return frozenset((tuple(map(int, powers)), int(c)) for powers, c in factor.items())


def _content(factor: Any) -> Any:
    """Divisor of a polynomial that leaves coprime integer coefficients, the leading one positive."""
    above, below = 0, 1
    for c in factor.coeffs():
        numerator, denominator = int(c.numerator), int(c.denominator)
        above, below = gcd(above, numerator), below * denominator // gcd(below, denominator)
    return factor.ring.domain(above if factor.LC > 0 else -above, below)


def _order(pair: tuple[Any, int]) -> Any:
    """SymPy's order: by nested lists of coefficients, the first generator outermost."""
    factor, power = pair
    dense = _numbers(factor.to_dense())
    return len(dense), power, dense


def _numbers(dense: Any) -> Any:
    return [_numbers(part) for part in dense] if isinstance(dense, list) else int(dense)
