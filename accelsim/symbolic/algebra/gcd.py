"""Greatest common divisors of polynomials in several variables, of which a prime shows most.

At numbers in place of all variables but one, a common divisor still divides both polynomials: it has no higher power of
that variable than their greatest common divisor there. Where it has none at all, it divides all coefficients of powers
of that variable, which are smaller. SymPy's heuristic one, whose integers are as long as the product of all degrees, is
left for the rest.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any

from sympy.polys.rings import PolyElement

from accelsim.symbolic.algebra.budget import WORD, charge
from accelsim.symbolic.algebra.division import quotient

PRIME = (1 << 61) - 1
POINT = 7  # bits of a point at which the heuristic evaluates, beside half of those of the coefficients
WORDS = 40  # of two integers, the pairs of words that a single operation takes
Powers = tuple[int, ...]


def cofactors(f: Any, g: Any) -> tuple[Any, Any, Any]:
    """The greatest common divisor h, f/h and g/h, of polynomials over the integers or the rationals, neither zero.

    References
    ----------
    Brown 1971, doi:10.1145/321662.321664 (degrees modulo a prime). Char, Geddes and Gonnet 1989,
    doi:10.1016/S0747-7171(89)80004-5 (the heuristic one).
    """
    domain = f.ring.domain
    (left, f_whole), (right, g_whole) = f.primitive(), g.primitive()
    common = _common(f_whole, g_whole).primitive()[1]
    common = common.monic() if domain.is_Field else common * (domain.gcd(left, right) * (1 if common.LC > 0 else -1))
    return common, quotient(f, common), quotient(g, common)


def _common(f: Any, g: Any) -> Any:
    """The greatest common divisor, but for numbers, of polynomials with integer coefficients."""
    f, g = sorted((f, g), key=len)
    ring, (here, f), (there, g) = f.ring, _without_monomial(f), _without_monomial(g)
    monomial = ring.from_dict({tuple(map(min, here, there)): ring.domain.one})
    degrees, others = f.degrees(), g.degrees()
    bounds = _bounds(f, g)
    if not any(bounds):
        return monomial
    apart = [i for i, bound in enumerate(bounds) if not bound and (degrees[i] or others[i])]
    if apart:
        first, *more = sorted((*_coefficients(f, apart), *_coefficients(g, apart)), key=len)
        for part in more:
            if first.is_ground:
                break
            first = _common(first, part).primitive()[1]
        return monomial * first
    if bounds == degrees and quotient(g, f) is not None:
        return monomial * f
    words = _words(f, g)
    charge((words[0] * words[1] + len(f) * words[0] + len(g) * words[1]) // WORDS)
    return monomial * PolyElement.cofactors(f, g)[0]


def _words(f: Any, g: Any) -> list[int]:
    """Lengths of the integers of which the heuristic takes the divisor: it puts in roots of coefficients in turn."""
    bits = [max(int(c).bit_length() for c in p.coeffs()) for p in (f, g)]
    for degrees in zip(f.degrees(), g.degrees(), strict=True):
        point = min(bits) // 2 + POINT
        bits = [size + n * point for size, n in zip(bits, degrees, strict=True)]
    return [size // WORD + 1 for size in bits]


def _without_monomial(polynomial: Any) -> tuple[Powers, Any]:
    """The powers of variables that all terms share, and the polynomial without them."""
    shared = tuple(map(min, zip(*polynomial, strict=True)))
    if not any(shared):
        return shared, polynomial
    terms = {tuple(n - k for n, k in zip(powers, shared, strict=True)): c for powers, c in polynomial.items()}
    return shared, polynomial.ring.from_dict(terms)


def _coefficients(polynomial: Any, places: list[int]) -> list[Any]:
    """The coefficients of a polynomial in some of its variables."""
    parts: dict[Powers, dict[Powers, Any]] = {}
    for powers, c in polynomial.items():
        rest = list(powers)
        for i in places:
            rest[i] = 0
        parts.setdefault(tuple(powers[i] for i in places), {})[tuple(rest)] = c
    return [polynomial.ring.from_dict(part) for part in parts.values()]


def _bounds(f: Any, g: Any) -> tuple[int, ...]:
    """Highest powers of each variable that a common divisor of polynomials with integer coefficients can have."""
    degrees = f.degrees(), g.degrees()
    bounds = [min(pair) for pair in zip(*degrees, strict=True)]
    places = [i for i, bound in enumerate(bounds) if bound]
    images = [_images(p, places) for p in (f, g)] if places else []
    for i, *pair in zip(places, *images, strict=True):
        # the leading coefficient of a divisor divides those of both, so one that is there suffices
        if any(len(image) == degree[i] + 1 for image, degree in zip(pair, degrees, strict=True)):
            bounds[i] = min(bounds[i], _degree(*pair))
    return tuple(bounds)


def _images(polynomial: Any, places: list[int]) -> list[list[int]]:
    """A polynomial in each of some variables, with numbers for the others, modulo the prime: lists of coefficients."""
    degrees = polynomial.degrees()
    charge(len(polynomial) * (len(places) + 1))
    powers, inverse = ([_powers(_point(i, sign), n) for i, n in enumerate(degrees)] for sign in (1, -1))
    images = [[0] * (degrees[i] + 1) for i in places]
    for monomial, c in polynomial.items():
        value = int(c) % PRIME
        for table, n in zip(powers, monomial, strict=True):
            if n:
                value = value * table[n] % PRIME
        for image, i in zip(images, places, strict=True):
            image[monomial[i]] += value * inverse[i][monomial[i]]
    return [_trimmed([c % PRIME for c in image]) for image in images]


@cache
def _point(place: int, sign: int) -> int:
    """A number for a variable, as good as a random one, or its inverse."""
    return pow(int.from_bytes(sha256(str(place).encode()).digest()[:7], "big"), sign, PRIME)


def _powers(x: int, last: int) -> list[int]:
    found = [1]
    for _ in range(last):
        found.append(found[-1] * x % PRIME)
    return found


def _trimmed(image: list[int]) -> list[int]:
    while image and not image[-1]:
        image.pop()
    return image


def _degree(f: list[int], g: list[int]) -> int:
    """The degree of the greatest common divisor of polynomials in one variable modulo the prime."""
    while g:
        charge(len(f) * len(g))
        inverse = pow(g[-1], -1, PRIME)
        while len(f) >= len(g):
            factor, start = f[-1] * inverse % PRIME, len(f) - len(g)
            f = _trimmed([*f[:start], *((x - factor * y) % PRIME for x, y in zip(f[start:], g, strict=True))])
        f, g = g, f
    return len(f) - 1
