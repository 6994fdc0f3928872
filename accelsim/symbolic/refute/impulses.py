"""Refutations that can be replayed: finitely many sequences of gradients that no choice of hyperparameters follows.

Each sequence is an impulse, gradient 1 at one step and 0 at all others, from the start w = 0; or, where one of the
rules is not linear, one of two that differ in the sign of one gradient (see `check.responses`). What rule `a` itself
answers, at rational hyperparameters, are numbers; what `b` answers are rational functions of its own hyperparameters,
constants or one unknown a step, and of whatever it multiplies by. Three kinds of contradiction are looked for:

* a *minor*: the determinant of some of these answers is one number for `a`, and for `b` another whatever its
  hyperparameters are, as it is zero for every rule of fewer memories;
* an *identity* 1 = sum of cofactors times (b's answer minus a's), cleared of denominators: by linear algebra where
  numbers are cofactors enough, otherwise by Buchberger's algorithm;
* a *scale*: to a rule that applies a sign it is all the same how long gradients are, to one that cuts long gradients
  how long such a first one is; rule `a` itself is run.

One sequence alone never refutes a rule whose step size may vary from step to step: it could follow anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

from accelsim.errors import InputError
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.cofactors import Member, bare, combined, spanned
from accelsim.symbolic.algebra.field import Field, cancelled, determinant, differs, reduced
from accelsim.symbolic.algebra.language import text_of
from accelsim.symbolic.algebra.nonvanishing import turns
from accelsim.symbolic.check.responses import RETURNED, Identity, Minor, Response, Scale
from accelsim.symbolic.refute.answers import (
    COORDINATES,
    LONGEST,
    Realized,
    Refuting,
    answers_of_a,
    answers_of_b,
    in_common,
    numbers,
    realized,
    seen_by_a,
    squares_of,
)
from accelsim.symbolic.refute.one_memory import one_memory
from accelsim.symbolic.system.homogeneity import blind_to_signs
from accelsim.symbolic.system.linear_part import left_behind
from accelsim.symbolic.system.positivity import never_zero
from accelsim.symbolic.system.rule_sequences import recurrences

LATEST = 130  # step at which a minimum or maximum of t may turn to refute something after that
NEAR = 2  # steps about it, and about the first, whose gradients are looked at
CANONICAL = 3  # steps that show a coefficient of each kind, of rules of one memory
LENGTHS = ((Fraction(1), Fraction(2)), (Fraction(1, 64), Fraction(1, 32)))  # the latter are not clipped
SHORT = 4  # terms of a difference that is looked at in ranges


def refute(claim: Refuting, clock: Clock) -> Minor | Identity | None:
    """Search for impulses to which rule b cannot respond as rule a does, whatever its hyperparameters are.

    Returns
    -------
    Minor or Identity
        A Hankel minor, or a combination of differences of responses; None where none was found.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.

    References
    ----------
    Ho, Kalman 1966, doi:10.1524/auto.1966.14.112.545 (the rank of responses). Hilbert 1893, doi:10.1007/BF01444162, and
    Rabinowitsch 1930, doi:10.1007/BF01782361 (identities that divide by nonzero expressions).
    """
    if claim.exogenous and not (claim.still or blind_to_signs(claim.b)):
        return None
    draws = list(realized(claim))
    for attempt, real in product((_minor, _identity, _late), draws):
        with suppress(ValueError, ArithmeticError):  # a root is irrational or does not exist; long answers
            if found := attempt(claim, real, clock):
                return found
    return None


def scaled(claim: Refuting, first_alone: bool = False) -> Scale | None:
    """Search for two lengths of a first gradient after which rule a queries different points.

    They refute where rule b is positively homogeneous of degree 0, to which the length of gradients is all the same.

    Parameters
    ----------
    first_alone : whether rule b is so for a first gradient from 1 on alone; then the second query must show it.

    Returns
    -------
    A counterexample; None where none was found.
    """
    pairs, longest = (LENGTHS[:1], 1) if first_alone else (LENGTHS, LONGEST)
    choices = []
    with suppress(InputError):  # a recurrence is irrational
        choices.append(numbers(claim.rule, claim.pair.set_a, claim.pair.anything, seed=0))
        choices.append(squares_of(claim, choices[0]))
    for values, pair in product(choices, pairs):
        for last in range(1, longest + 1):
            common = in_common(claim, Realized(values, [], []), [Response(last, 0, 0, 0, 0)])
            found = Scale(**common, lengths=list(map(str, pair)), values=[])
            # where a root is irrational nothing is exact any more, and some rules divide by gradients
            with suppress(InputError, ArithmeticError):
                shown = seen_by_a(claim, values, found)
                if shown[0] != shown[1]:
                    return replace(found, values=list(map(str, shown)))
    return None


def _minor(claim: Refuting, real: Realized, clock: Clock) -> Minor | None:
    """Hankel minor of the responses that refutes; None where none does.

    For translation-equivariant rules moves since an earlier query are compared; otherwise the position is one more
    memory.
    """
    import sympy

    counts = [m for m in claim.memories if m is not None]
    if len(counts) < 2 or counts[0] == counts[1] or claim.still:
        return None
    moving = not (left_behind(claim.a) or left_behind(claim.b))
    size = min(counts) + (1 if moving else 2)
    small = len(claim.b.tableau.states) - moving < size  # so b's determinants vanish, whatever varies
    if not small and (claim.scheduled or claim.relaxed):
        return None
    for first in (0, 1) if _has_sequences(claim) else (0,):  # the first step's weight of an average forgets a gradient
        clock.check()
        columns = range(first, first + size)
        rows = range(first + size + moving, first + 2 * size + moving)
        before = [first + size] if moving else []
        one = answers_of_a(claim, real, rows[-1], 1)
        other = {} if small else answers_of_b(claim, real, rows[-1], 1)
        keys = [Response(row, 0, column, 0, 0) for row in (*before, *rows) for column in columns]

        def shown(run: Mapping[Response, Any], at: Sequence[int] = (*before, *rows), columns: range = columns) -> Any:
            """What the past shows: for rules that move, from one query to the next, which is the same determinant."""
            seen = [[run[Response(row, 0, j, 0, 0)] for j in columns] for row in at]
            if moving:
                seen = [[y - x for x, y in zip(*pair, strict=True)] for pair in pairwise(seen)]
            return sympy.Matrix(seen)

        left, right = determinant(shown(one)), sympy.Integer(0) if small else determinant(shown(other))
        if left != 0 if right.free_symbols else not differs(left - right):
            continue
        over = Field([right])
        return Minor(
            **in_common(claim, real, keys),
            values=[text_of(one[key]) for key in keys],
            since=before,
            determinant=text_of(left),
            other=text_of(right),
            unless=list(map(text_of, over.factors(over.element(right)))) if right.free_symbols else [],
        )
    return None


def _has_sequences(claim: Refuting) -> bool:
    """Whether a rule has sequences that follow recursions, so that later steps may differ from first ones."""
    return any(recurrences(part.tableau.optimizer) or part.tableau.uniform for part in (claim.a, claim.b))


def _identity(claim: Refuting, real: Realized, clock: Clock) -> Identity | None:
    longest = min(LONGEST, len(claim.a.tableau.states) + len(claim.b.tableau.states) + 1)
    if _has_sequences(claim):
        longest = LONGEST
    canonical = claim.memories == (1, 1) and not left_behind(claim.a) and not left_behind(claim.b)
    coordinates = COORDINATES if claim.odd_part and (claim.scheduled or claim.exogenous) else 1
    for last in range(1, longest + 1):
        clock.check()
        run = answers_of_a(claim, real, last, coordinates), answers_of_b(claim, real, last, coordinates)
        one, other, numbers = _polynomial(*run)
        ideal = _differences(one, other)
        divided = [*_divided(other.values()), *numbers]
        members = [bare(m, divided) for m in ideal]
        weights, left = _apart(members, numbers), "1"
        if weights is None and (sure := next(_never_zero(claim, ideal), None)):
            weights, left = dict(sure.weights), text_of(sure.polynomial)
        weights = weights or spanned(members, divided)
        if canonical and last >= CANONICAL:
            shown = [m for m in ideal if any(key.query == RETURNED for key in m.weights)]
            ideal = [m for i in range(coordinates) for m in one_memory(one, other, last, i, divided)] + shown
        if ideal and weights is None and (not canonical or last >= CANONICAL):
            weights = combined([bare(m, divided) for m in ideal], divided, clock)
        if weights:
            return _combination(claim, real, one, weights, left)
    return None


def _never_zero(claim: Refuting, ideal: Iterable[Member]) -> Iterator[Member]:
    """Short differences of answers without a zero in rule b's ranges."""
    import sympy

    for member in ideal:
        short = len(sympy.Add.make_args(member.polynomial)) <= SHORT
        if short and never_zero(sympy.fraction(cancelled(member.polynomial))[0], claim.pair.b):
            yield member


def _polynomial(
    one: Mapping[Response, Any], other: Mapping[Response, Any]
) -> tuple[dict[Response, Any], dict[Response, Any], dict[Any, Any]]:
    """Answers with symbols, named by their meaning, for roots, logarithms and the like; by symbol, these numbers."""
    import sympy

    field = Field([*one.values(), *other.values()])
    opaque = {generator: e for generator, e in field.generators().items() if not e.is_Symbol}
    names = {generator: sympy.Symbol(_called(e)) for generator, e in opaque.items()}
    if names:
        one, other = (
            {key: field.domain.to_sympy(field.element(value)).xreplace(names) for key, value in run.items()}
            for run in (one, other)
        )
    return dict(one), dict(other), {names[generator]: e for generator, e in opaque.items() if differs(e)}


def _called(e: Any) -> str:
    """Name of a function that is not rational, usable inside any expression."""
    import sympy

    text = text_of(e)
    return text if isinstance(e, sympy.Function) and not e.is_Piecewise else f"({text})"


def _late(claim: Refuting, real: Realized, clock: Clock) -> Identity | None:
    """Counterexample from first steps and from one at which a minimum or maximum of t turns; None without any."""
    starts = (*claim.a.tableau.start, *claim.b.tableau.start)
    constant = all(isinstance(value, str) for value in real.values.values())
    if claim.still or claim.odd_part or any(starts) or not constant:
        return None
    at = set().union(*(turns(entry) for part in (claim.a, claim.b) for m in part.matrices for entry in m))
    for turn in sorted(at & {*range(LONGEST, LATEST)}):
        clock.check()
        mine: dict[Response, Any] = {}
        theirs: dict[Response, Any] = {}
        for begin in (0, turn - NEAR):
            mine |= answers_of_a(claim, real, begin + 2 * NEAR, 1, begin)
            theirs |= answers_of_b(claim, real, begin + 2 * NEAR, 1, begin)
        one, other, numbers = _polynomial(mine, theirs)
        divided = [*_divided(other.values()), *numbers]
        ideal = [bare(m, divided) for m in _differences(one, other)]
        weights = _apart(ideal, numbers) or spanned(ideal, divided) or (ideal and combined(ideal, divided, clock))
        if weights:
            return _combination(claim, real, one, weights)
    return None


def _apart(ideal: Iterable[Member], numbers: Mapping[Any, Any]) -> dict[Response, Any] | None:
    """Weights of a member that is a nonzero number, proved by its digits if roots are in it; None where none is."""
    for member in ideal:
        if member.polynomial.free_symbols <= numbers.keys() and differs(member.polynomial.xreplace(numbers)):
            return {key: reduced(weight / member.polynomial) for key, weight in member.weights.items()}
    return None


def _differences(one: Mapping[Response, Any], other: Mapping[Response, Any]) -> list[Member]:
    import sympy

    return [Member(other[key] - one[key], {key: sympy.Integer(1)}) for key in one if one[key] != other[key]]


def _combination(
    claim: Refuting, real: Realized, one: Mapping[Response, Any], weights: Mapping[Response, Any], left: str = "1"
) -> Identity:
    """Counterexample by weights of differences, whose combination is 1 or has no zero."""
    chosen = [key for key, weight in weights.items() if weight != 0]
    return Identity(
        **in_common(claim, real, chosen),
        values=[text_of(one[key]) for key in chosen],
        cofactors=[text_of(weights[key]) for key in chosen],
        left=left,
    )


def _divided(values: Collection[Any]) -> list[Any]:
    """Irreducible divisors of some values."""
    field = Field(values)
    elements = [field.element(value) for value in values]
    return list(dict.fromkeys(f for element in elements if element for f in field.factors(1 / element)))
