"""Why polynomials have no common zero: factors with which they add up to 1, found in exact arithmetic.

The polynomials are differences between what two rules answer; of each it is kept how it is made of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

from accelsim.symbolic.algebra.elimination import Clock
from accelsim.symbolic.algebra.field import Field, reduced

Key = Any  # of a difference


@dataclass(frozen=True)
class Member:
    """A polynomial (or a fraction) that vanishes with the differences of answers: the sum of weights times them."""

    polynomial: Any
    weights: Mapping[Key, Any]


def combination(*terms: tuple[Any, Member]) -> Member:
    """A combination of members."""
    field = Field(x for factor, member in terms for x in (factor, member.polynomial))
    products = (field.element(factor) * field.element(member.polynomial) for factor, member in terms)
    return Member(field.plain(sum(products, field.domain.zero)), _weights(terms))


def bare(member: Member, apart: Sequence[Any]) -> Member:
    """The member as a polynomial, without denominator and without factors that are not zero."""
    field = Field([member.polynomial])
    element = field.element(member.polynomial)
    if field.domain.is_QQ:
        return member
    kept = element * field.domain.field.new(element.denom)
    for factor in (f for f in field.factors(element) if f in apart or -f in apart):
        divisor = field.element(factor)
        while (rest := kept / divisor).denom.is_ground:
            kept = rest
    scale = field.plain(element / kept) if element else 1
    return Member(field.plain(kept), {key: weight / scale for key, weight in member.weights.items()})


def without_units(member: Member, others: Sequence[Member], apart: Sequence[Any]) -> Member:
    """The member without those of its factors f of which another member shows that they are no zero, as f*q + 1 does.

    With f*h in the ideal and u = m - f*q of one of its members m, h*u is h*m - q*(f*h).
    """
    import sympy

    for f, power in sympy.factor_list(member.polynomial)[1]:
        shown = next(_unit(f, others, apart), None)
        if shown is None:
            continue
        unit, quotient, other = shown
        for _ in range(power):
            rest = sympy.cancel(member.polynomial / f)
            member = combination((rest / unit, other), (-quotient / unit, member))
    return bare(member, apart)


def _unit(f: Any, others: Sequence[Member], apart: Sequence[Any]) -> Iterator[tuple[Any, Any, Member]]:
    """What is no zero and equals m - f*q for a member m; q, and m."""
    import sympy

    for other in others:
        symbols = sorted(f.free_symbols | other.polynomial.free_symbols, key=str)
        (quotient,), rest = sympy.reduced(other.polynomial, [f], *symbols, order="grevlex")
        if rest != 0 and all(factor in apart or -factor in apart for factor, _ in sympy.factor_list(rest)[1]):
            yield rest, quotient, other


def spanned(ideal: Sequence[Member], apart: Sequence[Any]) -> dict[Key, Any] | None:
    """Numbers c with sum c (polynomial) = 1, or a product of what is not zero: enough where unknowns enter alike."""
    import sympy
    from sympy.polys.matrices import DomainMatrix

    symbols = sorted(set().union(*(m.polynomial.free_symbols for m in ideal)), key=str)
    if not symbols:
        return None
    wanted = [sympy.Integer(1), *apart, *(f * g for f, g in combinations_with_replacement(apart, 2))]
    wanted = [w for w in wanted if w.free_symbols <= set(symbols)]
    polynomials = [*(m.polynomial for m in ideal), *wanted]
    terms = [sympy.Poly(p, *symbols, domain=sympy.QQ).as_dict(native=True) for p in polynomials]
    rows = [[each.get(power, sympy.QQ.zero) for each in terms] for power in sorted(set().union(*terms))]
    matrix, size = DomainMatrix(rows, (len(rows), len(terms)), sympy.QQ), len(ideal)
    for i, product in enumerate(wanted):
        columns = [*range(size), size + i]
        nothing = matrix.extract(list(range(len(rows))), columns).nullspace().to_Matrix()
        for *weights, scale in nothing.tolist():
            if scale:
                pairs = zip(weights, ideal, strict=True)
                return _factored((-w / (scale * product), member) for w, member in pairs if w)
    return None


def combined(ideal: Sequence[Member], apart: Sequence[Any], clock: Clock) -> dict[Key, Any] | None:
    """Rational functions c with sum c (difference) = 1, dividing by nothing but what the answers divide by."""
    import sympy

    members = [m for m in ideal if m.polynomial != 0]
    plain = next((m for m in members if m.polynomial.is_number), None)
    if plain:
        return _factored([(1 / plain.polynomial, plain)])
    inverses = [sympy.Dummy(f"inverse{i}") for i in range(len(apart))]
    above = [m.polynomial for m in members] + [z * f - 1 for z, f in zip(inverses, apart, strict=True)]
    symbols = sorted(set().union(*(p.free_symbols for p in above)), key=str)
    ring = sympy.QQ.poly_ring(*symbols, order="grevlex").ring
    found = cofactors([ring.from_expr(sympy.expand(p)) for p in above], clock)
    if found is None:
        return None
    back = {z: 1 / f for z, f in zip(inverses, apart, strict=True)}
    return _factored((c.as_expr().xreplace(back), m) for c, m in zip(found[: len(members)], members, strict=True))


def _factored(terms: Iterable[tuple[Any, Member]]) -> dict[Key, Any]:
    """What the differences weigh, as factored fractions."""
    return {key: reduced(weight) for key, weight in _weights(terms).items()}


def _weights(terms: Iterable[tuple[Any, Member]]) -> dict[Key, Any]:
    """What the differences weigh in a combination of members."""
    weights: dict[Key, Any] = {}
    for factor, member in terms:
        for key, weight in member.weights.items():
            weights[key] = weights.get(key, 0) + factor * weight
    return weights


def cofactors(polynomials: Sequence[Any], clock: Clock) -> list[Any] | None:
    """Polynomials c with sum c p = 1, None where there are none.

    Parameters
    ----------
    polynomials : elements of one SymPy ring over the rationals.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
    """
    ring = polynomials[0].ring
    basis: list[tuple[Any, list[Any]]] = []
    pairs: list[tuple[int, int]] = []

    def reduce(polynomial: Any, weights: list[Any]) -> tuple[Any, list[Any]]:
        quotients, rest = polynomial.div([p for p, _ in basis])
        for quotient, (_, other) in zip(quotients, basis, strict=True):
            if quotient:
                weights = [w - quotient * o for w, o in zip(weights, other, strict=True)]
        return rest, weights

    def add(polynomial: Any, weights: list[Any]) -> None:
        lead = polynomial.LC
        pairs.extend((i, len(basis)) for i in range(len(basis)))
        basis.append((polynomial.quo_ground(lead), [w.quo_ground(lead) for w in weights]))

    for i, polynomial in sorted(enumerate(polynomials), key=lambda item: (item[1].degree(), len(item[1]))):
        clock.check()
        unit = [ring.one if j == i else ring.zero for j in range(len(polynomials))]
        rest, weights = reduce(polynomial, unit) if basis else (polynomial, unit)
        if rest:
            add(rest, weights)
            if rest.is_ground:
                return basis[-1][1]
    while pairs:
        clock.check()
        pairs.sort(key=lambda pair: sum(_lcm(basis, *pair)), reverse=True)
        i, j = pairs.pop()
        lcm = _lcm(basis, i, j)
        (one, left), (other, right) = basis[i], basis[j]
        if sum(lcm) == sum(one.LM) + sum(other.LM):
            continue  # coprime leading monomials: their combination reduces to zero
        factors = [ring({tuple(x - y for x, y in zip(lcm, p.LM, strict=True)): ring.domain.one}) for p in (one, other)]
        combined = factors[0] * one - factors[1] * other
        weights = [factors[0] * x - factors[1] * y for x, y in zip(left, right, strict=True)]
        if not combined:
            continue
        rest, weights = reduce(combined, weights)
        if rest:
            add(rest, weights)
            if rest.is_ground:
                return basis[-1][1]
    return None


def _lcm(basis: list[tuple[Any, list[Any]]], i: int, j: int) -> tuple[int, ...]:
    return tuple(map(max, basis[i][0].LM, basis[j][0].LM))
