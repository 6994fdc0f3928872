"""Two rules of one memory: differences in beta and alpha as combinations of differences of their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from accelsim.symbolic.algebra.cofactors import Member, bare, combination, without_units
from accelsim.symbolic.algebra.field import Field
from accelsim.symbolic.check.responses import Response


def one_memory(
    one: Mapping[Response, Any], other: Mapping[Response, Any], last: int, coordinate: int, apart: Sequence[Any]
) -> Iterator[Member]:
    """Differences of moves, and of beta and alpha, of two rules of one memory, at each step that is seen.

    With q the move at an impulse, m the one after it, and r the one after that, m' being the later of two moves that
    two impulses share,

        beta = r/m',    eta = -m/beta,    alpha = -q - eta,

    these are combinations of differences of answers: where A is the one rule's, B the other's and d their difference,

        m'_A (beta_B - beta_A) = dr - beta_A dm' - (beta_B - beta_A) dm',
        r_A (alpha_A - alpha_B) = r_B dq - m_B dm' - m'_A dm + (q_A + alpha_A) dr - (alpha_A - alpha_B) dr.

    Parameters
    ----------
    one, other : answers of the rules by response.
    last : the last step.
    apart : irreducible factors that are not zero.

    Returns
    -------
    Members of the ideal of differences: polynomials with their weights.
    """

    def move(step: int, impulse: int) -> tuple[Any, Any, Member]:
        places = [Response(t, 0, impulse, 0, coordinate) for t in (step + 1, step)]
        at = dict(zip(places, (1, -1), strict=True))
        mine, theirs = (sum(w * run[key] for key, w in at.items()) for run in (one, other))
        return mine, theirs, combination((1, Member(theirs - mine, at)))

    moves = [bare(move(s + lag, s)[2], apart) for lag in (0, 1) for s in range(last - lag)]
    moves = [m for m in moves if m.polynomial != 0]
    yield from moves
    for s in range(last - 2):
        (r_one, r_other, late), (q_one, _, newest) = move(s + 2, s), move(s + 1, s + 1)
        (m_one, m_other, after), (m_next, m_shared, following) = move(s + 1, s), move(s + 2, s + 1)
        if m_next == 0:
            continue
        decay = combination((1, late), (-r_one / m_next, following))
        found = [*_freed(decay, m_shared, m_next, following)]
        if r_one:
            alpha = m_one * m_next / r_one - q_one
            parts = ((r_other, newest), (-m_other, following), (-m_next, after), (q_one + alpha, late))
            found += _freed(combination(*parts), r_other, r_one, late)
        yield from (without_units(bare(m, apart), moves, apart) for m in found if m.polynomial != 0)


def _freed(member: Member, factor: Any, number: Any, difference: Member) -> Iterator[Member]:
    """Numerator n of a member that is n/d times a factor, whose value is a number up to a difference of answers.

    There is none where the factor is zero: the difference is a number then, and a contradiction by itself.
    """
    import sympy

    field = Field([member.polynomial, factor])
    below = field.element(factor)
    if below:
        n, d = sympy.fraction(field.expression(field.element(member.polynomial) / below))
        yield combination((d / number, member), (-n / number, difference))
