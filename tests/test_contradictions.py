"""Polynomials without a common zero have cofactors with which they add up to 1; those with one have none."""

import random
from fractions import Fraction

import pytest
import sympy
from conftest import seed_of
from sympy import QQ, ring

from accelsim.symbolic.algebra import groebner
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.cofactors import Member, bare, combined, spanned, without_units
from accelsim.symbolic.check.responses import Response
from accelsim.symbolic.refute.one_memory import one_memory

RING, *GENERATORS = ring("x,y,z", QQ, order="grevlex")
X, Y, Z = sympy.symbols("x y z")
BUDGET = 60.0


def polynomial(chance):
    """A random one of degree at most 2 in few terms."""
    found = RING.zero
    for _ in range(chance.randint(2, 4)):
        term = RING(QQ(chance.randint(-4, 4), chance.randint(1, 3)))
        for _ in range(chance.randint(0, 2)):
            term *= chance.choice(GENERATORS)
        found += term
    return found


def planted(chance, count):
    """Random polynomials that vanish at a random rational point."""
    point = [QQ(chance.randint(-3, 3), chance.randint(1, 3)) for _ in GENERATORS]
    return [
        p - p.evaluate(list(zip(GENERATORS, point, strict=True))) for p in (polynomial(chance) for _ in range(count))
    ]


def inconsistent(chance):
    """Random polynomials some combination of which is 1: p, q and 1 + a p + b q."""
    p, q, a, b = (polynomial(chance) for _ in range(4))
    return [p, q, 1 + a * p + b * q]


CASES = range(12)


@pytest.mark.parametrize("case", CASES)
def test_cofactors_add_up_to_one(case):
    system = inconsistent(random.Random(seed_of(f"cofactors {case}")))
    lines = [groebner.Line(p, name=i) for i, p in enumerate(system)]
    found = groebner.cofactors(groebner.Elimination([], Clock(BUDGET)).contradiction(lines))
    over = RING.to_field()
    assert sum((over(c) / over(d) * over(system[i]) for i, (c, d) in found.items()), over.zero) == over.one


@pytest.mark.parametrize("case", CASES)
def test_polynomials_with_a_common_zero_have_no_cofactors(case):
    system = [p for p in planted(random.Random(seed_of(f"planted {case}")), 3) if p]
    assert groebner.Elimination([], Clock(BUDGET)).contradiction(map(groebner.Line, system)) is None


def value(polynomial, point):
    return Fraction(str(polynomial.evaluate(list(zip(polynomial.ring.gens, point, strict=True)))))


@pytest.mark.parametrize("case", CASES)
def test_every_line_of_a_contradiction_is_made_of_those_before_it(case):
    chance = random.Random(seed_of(f"lines {case}"))
    units = [GENERATORS[0]] if case % 2 else []
    system = inconsistent(chance)
    system[0] *= GENERATORS[0] if units else RING.one  # has a zero where the unit has one, which is none
    last = groebner.Elimination(units, Clock(BUDGET)).contradiction(map(groebner.Line, system))
    assert last.polynomial.is_ground
    given, order = groebner.premises(last)
    assert {line.polynomial for line in given} <= set(system)
    known = set(given)
    for line in order:
        assert {below for below, _ in line.terms} <= known
        point = [QQ(chance.randint(5, 90), 7) for _ in GENERATORS]
        parts = [value(below.polynomial, point) * value(a, point) / value(b, point) for below, (a, b) in line.terms]
        assert sum(parts) == value(line.polynomial, point)
        known.add(line)
    assert order[-1] is last


def members(*polynomials):
    return [Member(sympy.sympify(p), {i: sympy.Integer(1)}) for i, p in enumerate(polynomials)]


@pytest.mark.parametrize(
    ("way", "polynomials", "apart"),
    [
        (spanned, (X - 2 * Y, X - 2 * Y + 3), []),
        (spanned, (X * Y - X, X * Y + X), [X]),
        (combined, (X**2 + 1 - Y, X * Y - 1, X - Y), [Z]),
        (combined, (X * Y, Y - X * Y), [Y]),
        (combined, (X, Y), [X + Y]),
    ],
    ids=["numbers", "numbers and a product", "polynomials", "what is no zero", "a sum that is no zero"],
)
def test_weights_of_differences_add_up_to_one(way, polynomials, apart):
    ideal = members(*polynomials)
    found = way(ideal, apart) if way is spanned else way(ideal, apart, Clock(BUDGET))
    assert sympy.cancel(sum(weight * polynomials[key] for key, weight in found.items())) == 1
    below = [sympy.fraction(sympy.together(weight))[1] for weight in found.values()]
    for divisor in below:
        assert {base for base, _ in sympy.factor_list(divisor)[1]} <= set(apart)


def test_differences_that_vanish_together_have_no_weights():
    ideal = members(X * Y - 1, X - 1)
    assert spanned(ideal, []) is None
    assert combined(ideal, [], Clock(BUDGET)) is None
    assert combined(ideal, [X], Clock(BUDGET)) is None
    assert combined(ideal, [X - 1], Clock(BUDGET)) is not None  # their common zero is where this has one


def test_a_member_without_what_is_no_zero_is_the_same_combination():
    (member,) = members(Y * (X - 1) ** 2 / (Z + 2))
    found = bare(member, [Y])
    assert sympy.expand(found.polynomial - (X - 1) ** 2) == 0
    assert sympy.cancel(found.weights[0] * member.polynomial - found.polynomial) == 0
    assert sympy.rem(bare(member, []).polynomial, Y, Y) == 0  # a negative control: it is only left out where it may be


def test_a_factor_that_another_member_shows_to_be_no_zero_is_left_out():
    ideal = members(X * (Y - 3), X * Z - 1)
    found = without_units(ideal[0], ideal[1:], [])
    assert sympy.cancel(found.polynomial / (Y - 3)).is_number
    total = sum(weight * ideal[key].polynomial for key, weight in found.weights.items())
    assert sympy.cancel(total - found.polynomial) == 0
    alone = without_units(ideal[0], [], [])
    assert sympy.cancel(alone.polynomial / ideal[0].polynomial).is_number


def answers_of(lr, beta, last):
    """Heavy ball's queries after impulses: -lr (1 + beta + ... + beta^(k - 1)) k steps later."""
    return {
        Response(t, 0, s, 0, 0): -lr * sum((beta**i for i in range(t - s)), sympy.Integer(0))
        for s in range(last)
        for t in range(last + 1)
    }


def test_members_for_one_memory_are_combinations_of_differences_of_answers():
    last, half, third = 4, sympy.Rational(1, 2), sympy.Rational(1, 3)
    mine, theirs = answers_of(third, half, last), answers_of(X, Y, last)
    members = list(one_memory(mine, theirs, last, 0, [X]))
    for member in members:
        total = sum(weight * (theirs[key] - mine[key]) for key, weight in member.weights.items())
        assert sympy.cancel(total - member.polynomial) == 0
        assert member.polynomial.subs({X: third, Y: half}) == 0
    assert any(sympy.cancel(m.polynomial / (Y - half)).is_number for m in members)  # beta, by itself
    assert any(sympy.cancel(m.polynomial / (X - third)).is_number for m in members)
    assert not any(sympy.cancel(m.polynomial / (Y - third)).is_number for m in members)
