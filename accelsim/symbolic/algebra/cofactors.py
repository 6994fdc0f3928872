"""Members of the ideal that differences between the answers of two rules generate, and their combinations that are 1.

Of each it is kept how it is made of these differences. Where there is a combination, they have no common zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.division import division, quotient
from accelsim.symbolic.algebra.factor import factors
from accelsim.symbolic.algebra.field import Field, reduced
from accelsim.symbolic.algebra.groebner import Elimination, Line, cofactors

Key = Any  # of a difference


@dataclass(frozen=True)
class Member:
    """Member of the ideal of differences between answers.

    Attributes
    ----------
    polynomial : the member, a polynomial or a fraction (SymPy).
    weights : by answer, its factor: the member is the sum of weights times differences.
    """

    polynomial: Any
    weights: Mapping[Key, Any]


def combination(*terms: tuple[Any, Member]) -> Member:
    """Linear combination of members, from pairs (factor, member)."""
    field = Field(x for factor, member in terms for x in (factor, member.polynomial))
    products = (field.element(factor) * field.element(member.polynomial) for factor, member in terms)
    return Member(field.plain(sum(products, field.domain.zero)), _weights(terms))


def bare(member: Member, apart: Sequence[Any]) -> Member:
    """The member as a polynomial: without its denominator, and without factors that are nonzero (`apart`)."""
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
    """The member without its factors f that another member proves to be nonzero, as f*q + 1 does.

    With f*h in the ideal and u = m - f*q for one of its members m, h*u is h*m - q*(f*h).
    """
    polynomials = [m.polynomial for m in (member, *others)]
    ring = _ring([*polynomials, *apart])
    here, *there = map(ring.from_expr, polynomials)
    units = {ring.from_expr(f).monic() for f in apart}
    for f, power in factors(here)[1]:
        shown = next(_unit(f, zip(there, others, strict=True), units), None)
        if shown is None:
            continue
        unit, times, other = shown
        for _ in range(power):
            here = quotient(here, f)
            member = combination((here.as_expr() / unit, other), (-times / unit, member))
    return bare(member, apart)


def _unit(f: Any, others: Iterable[tuple[Any, Member]], units: Set[Any]) -> Iterator[tuple[Any, Any, Member]]:
    """Nonzero expressions m - f*q for members m, with q and m."""
    for polynomial, other in others:
        (times,), rest = division(polynomial, [f])
        if rest and all(factor.monic() in units for factor, _ in factors(rest)[1]):
            yield rest.as_expr(), times.as_expr(), other


def spanned(ideal: Sequence[Member], apart: Sequence[Any]) -> dict[Key, Any] | None:
    """Numbers c with sum c p = 1, or a product of nonzero expressions, for members p: by linear algebra.

    That is enough where unknowns enter all members alike.

    Returns
    -------
    dict by answer, the weight of its difference; None where there are none.
    """
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
    """Rational functions c with sum c d = 1 for differences d of answers: a Nullstellensatz certificate.

    They divide by nothing but divisors of the answers and nonzero expressions (`apart`).

    Returns
    -------
    dict by answer, the weight of its difference; None where none was found.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
    """
    import sympy

    members = [m for m in ideal if m.polynomial != 0]
    plain = next((m for m in members if m.polynomial.is_number), None)
    if plain:
        return _factored([(1 / plain.polynomial, plain)])
    inverses = [sympy.Dummy(f"inverse{i}") for i in range(len(apart))]
    ring = _ring([*(m.polynomial for m in members), *apart], inverses)
    units = list(map(ring.from_expr, apart))
    lines = [Line(ring.from_expr(m.polynomial), name=i) for i, m in enumerate(members)]
    one_over = [Line(z * f - 1) for z, f in zip(ring.gens, units, strict=False)]  # Rabinowitsch 1930
    elimination = Elimination(units, clock)
    last = elimination.contradiction(lines) or elimination.contradiction(one_over)
    if last is None:
        return None
    back = {z: 1 / f for z, f in zip(inverses, apart, strict=True)}
    found = [(i, above.as_expr() / below.as_expr()) for i, (above, below) in cofactors(last).items() if i is not None]
    return _factored((weight.xreplace(back), members[i]) for i, weight in found)


def _ring(polynomials: Iterable[Any], first: Sequence[Any] = ()) -> Any:
    """The ring of some polynomials, and of symbols that come first."""
    import sympy

    from accelsim.symbolic.algebra.rings import Ring

    symbols = sorted(set().union(*(p.free_symbols for p in polynomials)), key=str)
    return Ring((*first, *symbols) or (sympy.Dummy(),), sympy.QQ, sympy.polys.orderings.grevlex)


def _factored(terms: Iterable[tuple[Any, Member]]) -> dict[Key, Any]:
    """Weights of the differences in a combination of members, as factored fractions."""
    return {key: reduced(weight) for key, weight in _weights(terms).items()}


def _weights(terms: Iterable[tuple[Any, Member]]) -> dict[Key, Any]:
    """Weights of the differences in a combination of members."""
    weights: dict[Key, Any] = {}
    for factor, member in terms:
        for key, weight in member.weights.items():
            weights[key] = weights.get(key, 0) + factor * weight
    return weights
