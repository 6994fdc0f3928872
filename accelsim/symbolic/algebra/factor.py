"""Irreducible factors of polynomials over the rationals, by python-flint where it is installed, else by SymPy.

Both give the same: factors with integer coefficients without a common divisor, the leading one positive, in one order.
Most polynomials of a question come up several times, so what is found is kept.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any

_KEPT = 1 << 12  # polynomials whose factors are remembered


@lru_cache(maxsize=_KEPT)
def factors(polynomial: Any) -> tuple[Any, tuple[tuple[Any, int], ...]]:
    """A number and irreducible factors with their powers, whose product a `PolyElement` over the rationals is.

    References
    ----------
    Musser 1975 and Wang 1978, for several variables.
    """
    number, found = _by_flint(polynomial) if _flint() and polynomial else polynomial.factor_list()
    rescaled = []
    for factor, power in found:
        content = _content(factor)
        number *= content**power
        rescaled.append((factor.quo_ground(content), power))
    return number, tuple(sorted(rescaled, key=_order))


@lru_cache(maxsize=1)
def _flint() -> Any:
    try:
        import flint
    except ImportError:
        return None
    return flint


def _by_flint(polynomial: Any) -> tuple[Any, list[tuple[Any, int]]]:
    flint, ring = _flint(), polynomial.ring
    context = flint.fmpq_mpoly_ctx.get([f"x{i}" for i in range(ring.ngens)], flint.Ordering.lex)
    given = {powers: flint.fmpq(int(c.numerator), int(c.denominator)) for powers, c in polynomial.items()}
    number, found = context.from_dict(given).factor()
    back: list[tuple[Any, int]] = [
        ({tuple(map(int, powers)): ring.domain(int(c.p), int(c.q)) for powers, c in factor.to_dict().items()}, power)
        for factor, power in found
    ]
    return ring.domain(int(number.p), int(number.q)), [(ring.from_dict(terms), int(power)) for terms, power in back]


def _content(factor: Any) -> Any:
    """What a polynomial is divided by to have coprime integer coefficients, the leading one positive."""
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
