"""Substitution, quotients and products of powers are SymPy's own, found with less work."""

import random

import pytest
import sympy
from conftest import seed_of

from accelsim.symbolic.algebra.field import Field, _gathered, reduced, shifted
from accelsim.symbolic.algebra.time import replaced, time

T = time()
B, C = sympy.symbols("b c", real=True)
N = sympy.Symbol("n", positive=True)
F = sympy.Function("f", real=True)
FIRST = sympy.Piecewise((B, sympy.Eq(T, 0)), (C / T, True))
PARTS = [B, C, N, T, F(T), F(T - 1), 1 - B, B + C, FIRST, sympy.Min(1, (T + 1) / 10), sympy.Max(F(T), F(T + 2), N)]
POWERS = [1, 2, -1, T, T + 1, N]


def expressions(name, count, parts=PARTS, powers=POWERS):
    chance = random.Random(seed_of(name))
    for _ in range(count):
        products = (sympy.Mul(*(chance.choice(parts) ** chance.choice(powers) for _ in range(3))) for _ in range(2))
        e = sympy.Add(*products)
        yield sympy.Max(e, 1 - C) * chance.choice(parts) if chance.random() < 0.3 else e


def test_a_shift_is_the_substitution_of_t():
    for e in expressions("shifts", 30):
        for steps in (-1, 1, 3):
            assert shifted(e, steps) == e.subs(T, T + steps)


def test_what_stands_for_a_function_is_put_in_its_place_and_left_as_it_is():
    values = {F(T): F(T) + F(T - 1), F(T - 1): B * F(T)}
    for e in expressions("functions", 30):
        assert replaced(e, values) == e.xreplace(values)
    assert replaced(F(T), values) != replaced(F(T - 1), values)


def test_entries_of_a_matrix_are_replaced_one_by_one():
    matrix = sympy.Matrix([[B, F(T)], [FIRST, T]])
    assert replaced(matrix, {T: T + 1}) == sympy.Matrix([[B, F(T + 1)], [C / (T + 1), T + 1]])


def test_a_case_that_does_not_occur_is_not_looked_at():
    never = sympy.Piecewise((1 / (T - 1), sympy.Eq(T, 0)), (T, True))
    assert replaced(never, {T: sympy.Integer(1)}) == 1
    assert replaced(FIRST, {T: sympy.Integer(0)}) == B


@pytest.mark.parametrize("powers", [[1, 2, -1], POWERS], ids=["rational", "in exponents"])
def test_products_of_powers_are_gathered_as_sympy_does(powers):
    parts = [part for part in PARTS if part is not FIRST] + [sympy.Integer(2), sympy.Rational(1, 3)]
    for e in expressions(f"powers {powers}", 60, parts, powers):
        assert _gathered(e) == sympy.powsimp(e, deep=True, combine="exp")


def test_elements_are_those_that_sympy_finds_by_cancelling_after_each_step():
    x, y, z = sympy.symbols("x y z")
    for e in expressions("elements", 40, [x, y, z, x + y, 1 - z, x * y - 1, sympy.Rational(2, 3)], [1, 2, -1, -2]):
        e = e.replace(sympy.Max, sympy.Add)  # which is no rational function
        field = Field([e, x, y, z, C])
        assert sympy.cancel(field.plain(field.element(e)) - e) == 0
        assert field.element(e) == field.domain.field.from_expr(e)  # term by term
        assert field.element(e) != field.element(e + x)


def test_a_quotient_by_zero_is_no_element():
    x = sympy.Symbol("x")
    with pytest.raises(ZeroDivisionError):
        Field([x]).element(1 / sympy.Add(x, -x, evaluate=False))


def test_what_is_reduced_is_reduced_once():
    x, y = sympy.symbols("x y")
    assert reduced((x**2 - y**2) / (x + y) + (y - x)) == 0
    assert reduced((x**2 - y**2) / (x + y) + (y + x)) == 2 * x
