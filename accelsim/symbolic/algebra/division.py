"""Division of a polynomial by several, as SymPy's, with the leading terms from a heap and every product counted."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from accelsim.symbolic.algebra.budget import charge, of_number

PAIR = 4  # operations that a product of two terms takes
_KEPT = 1 << 12  # polynomials whose leading monomials are remembered


def division(polynomial: Any, divisors: Sequence[Any]) -> tuple[list[Any], Any]:
    """Quotients and rest: the polynomial is the sum of quotients times divisors, and the rest.

    Parameters
    ----------
    polynomial, divisors : elements of one SymPy ring over a field; of divisors whose leading terms divide one of the
        polynomial, the first one does.

    Raises
    ------
    OutOfTime
        Past the budget that is enforced.

    References
    ----------
    Cox, Little and O'Shea 2015, Section 2.3, Theorem 3; the heap as in Johnson 1974.
    """
    found = _divided(polynomial, divisors)
    assert found is not None  # numbers of a field have no rest
    return found


def quotient(polynomial: Any, divisor: Any) -> Any:
    """The quotient of polynomials over the integers or a field, None where there is a rest."""
    if polynomial and polynomial.ring.monomial_div(leading(polynomial), leading(divisor)) is None:
        return None
    found = _divided(polynomial, [divisor], exact=True)
    return found and found[0][0]


@lru_cache(maxsize=_KEPT)
def leading(polynomial: Any) -> tuple[int, ...]:
    """The leading monomial of a polynomial that is not zero."""
    monomial: tuple[int, ...] = max(polynomial, key=polynomial.ring.order)
    return monomial


def _divided(polynomial: Any, divisors: Sequence[Any], exact: bool = False) -> tuple[list[Any], Any] | None:
    """Quotients and rest; None where a number has a rest, or if exact anything."""
    ring = polynomial.ring
    left = dict(polynomial)
    waiting = [(_last_first(ring.order(monomial)), monomial) for monomial in left]
    heapq.heapify(waiting)
    charge(sum(map(len, divisors)))
    leads = [(lead, divisor[lead]) for divisor, lead in zip(divisors, map(leading, divisors), strict=True)]
    quotients: list[dict[Any, Any]] = [{} for _ in divisors]
    rest = {}
    while waiting:
        monomial = heapq.heappop(waiting)[1]
        coefficient = left.pop(monomial, None)
        if coefficient is None:  # it is there twice, or no longer
            continue
        charge(PAIR + len(leads))
        factors = (ring.monomial_div(monomial, lead) for lead, _ in leads)
        i, factor = next(((i, factor) for i, factor in enumerate(factors) if factor is not None), (None, None))
        if i is None:
            if exact:
                return None
            rest[monomial] = coefficient
            continue
        lead, number = leads[i]
        times, over = ring.domain.div(coefficient, number)
        if over:
            return None
        quotients[i][factor] = times
        charge((PAIR + of_number(times)) * len(divisors[i]))
        for other, weight in divisors[i].items():
            if other == lead:
                continue
            place = ring.monomial_mul(other, factor)
            there = left.get(place)
            if there is None:
                left[place] = -times * weight
                heapq.heappush(waiting, (_last_first(ring.order(place)), place))
            elif new := there - times * weight:
                left[place] = new
            else:
                del left[place]
    return [ring.from_dict(quotient) for quotient in quotients], ring.from_dict(rest)


def _last_first(key: Any) -> Any:
    """A key that sorts the other way round."""
    return tuple(map(_last_first, key)) if isinstance(key, tuple) else -key
