"""Closed forms of sequences are their values at every step, and what has none gets none."""

import random
from fractions import Fraction

import pytest
import sympy
from conftest import seed_of

from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.algebra.time import time
from accelsim.symbolic.system.closed_forms import closed_forms, merged, proved, related_forms

T = time()
A, B = sympy.symbols("a b", real=True)
X, Y = (sympy.Function(name, real=True) for name in "xy")
STEPS = 9
NUMBERS = {A: sympy.Rational(3, 7), B: sympy.Rational(-5, 2)}
WITH_ONE = {
    "the value of the step before": (A, T**2 + B),
    "a constant": (A, X(T)),
    "a constant that starts elsewhere": (A, B),
    "a sum of polynomials": (A, X(T) + T**3 - B * T),
    "a power": (A, B * X(T)),
    "an approach": (A, X(T) / 3 + B),
}
WITHOUT_ONE = {
    "a square": (A, X(T) ** 2),
    "a factorial": (1, (T + 1) * X(T)),
    "a harmonic number": (0, X(T) + 1 / (T + 1)),
    "an approach that may divide by zero": (A, B * X(T) + 1),
}


def followed(start, onward, steps=STEPS):
    """Values of x(0) = start, x(t+1) = onward in exact numbers."""
    values = [sympy.sympify(start).subs(NUMBERS)]
    for t in range(steps):
        values.append(sympy.sympify(onward).subs({X(T): values[-1]}).subs({T: t, **NUMBERS}))
    return values


@pytest.mark.parametrize("kind", WITH_ONE)
def test_a_closed_form_is_the_sequence_at_every_step(kind):
    start, onward = map(sympy.sympify, WITH_ONE[kind])
    (form,) = closed_forms(Recursions({X: onward}, {X: start})).values()
    assert [form.subs(NUMBERS).subs(T, t) for t in range(STEPS + 1)] == followed(start, onward)
    assert not form.has(X)


@pytest.mark.parametrize("kind", WITHOUT_ONE)
def test_what_has_no_closed_form_of_a_known_kind_keeps_its_recursion(kind):
    start, onward = map(sympy.sympify, WITHOUT_ONE[kind])
    assert closed_forms(Recursions({X: onward}, {X: start})) == {}


@pytest.mark.parametrize("case", range(6))
def test_induction_proves_the_sequence_alone(case):
    chance = random.Random(seed_of(f"induction {case}"))
    p, q, s = (Fraction(chance.randint(-5, 5), chance.randint(1, 4)) for _ in range(3))
    start, onward = sympy.Rational(s), X(T) + sympy.Rational(p) * T + sympy.Rational(q)
    form = start + sympy.Rational(p) * T * (T - 1) / 2 + sympy.Rational(q) * T
    sequences = Recursions({X: onward}, {X: start})
    assert proved(X, form, sequences)
    wrong = [form + 1, form + T * (T - 1) * (T - 2), form + sympy.Piecewise((1, sympy.Eq(T, 3)), (0, True))]
    assert not any(proved(X, each, sequences) for each in wrong)


def test_a_sequence_may_be_a_multiple_of_another_or_of_its_inverse():
    following, start = {X: A * X(T) + 1, Y: A * Y(T) + 3}, {X: sympy.Integer(2), Y: sympy.Integer(6)}
    found = related_forms(Recursions(following, start), [X, Y])
    assert found == {Y: 3 * X(T)}
    inverse = {X: X(T) + T + 1, Y: Y(T) / (1 + (T + 1) * Y(T))}
    assert related_forms(Recursions(inverse, {X: sympy.Integer(2), Y: sympy.Rational(1, 2)}), [Y]) == {Y: 1 / X(T)}
    assert related_forms(Recursions({**following, Y: B * Y(T) + 3}, start), [X, Y]) == {}


def test_a_case_of_the_first_step_is_left_out_where_it_is_none():
    general = A * T + B
    none = sympy.Piecewise((B, sympy.Eq(T, 0)), (general, True))
    other = sympy.Piecewise((B + 1, sympy.Eq(T, 0)), (general, True))
    assert sympy.expand(merged(none) - general) == 0
    assert merged(other) == other
