"""Systems whose solutions were planted are solved, those without a solution say what stands in the way."""

import random
from fractions import Fraction

import pytest
import sympy
from conftest import seed_of

from accelsim.rule import Hyperparameter, momentum, step_size
from accelsim.symbolic.algebra import draws, rings
from accelsim.symbolic.algebra.budget import Clock, done
from accelsim.symbolic.algebra.elimination import followed, solve
from accelsim.symbolic.algebra.time import time

BUDGET = 60.0
X, Y, Z, A, B = sympy.symbols("x y z a b", real=True)
F, G = (sympy.Function(name, real=True) for name in "fg")
T = time()


def solved(equations, unknowns, **more):
    return solve(equations, unknowns, Clock(BUDGET), **more)


# -- elimination -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", range(6))
def test_a_planted_solution_of_linear_equations_is_the_only_one(case):
    chance = random.Random(seed_of(f"linear {case}"))
    unknowns, plant = (X, Y, Z), [sympy.Rational(chance.randint(-9, 9), chance.randint(1, 5)) for _ in range(3)]
    lower = sympy.Matrix(3, 3, lambda i, j: chance.randint(1, 4) if i == j else chance.randint(-4, 4))
    lower = lower.lower_triangular()
    matrix = lower * lower.T  # which has an inverse
    equations = list(matrix * (sympy.Matrix(unknowns) - sympy.Matrix(plant)))
    outcome = solved(equations, unknowns)
    assert outcome.solutions == [dict(zip(unknowns, plant, strict=True))]
    contradiction = solved([*equations, equations[0] + equations[1] - A], unknowns)
    assert not contradiction.solutions
    assert contradiction.obstructions == [A]
    assert not contradiction.stuck


def test_each_factor_is_a_branch_and_what_must_not_vanish_is_none():
    system = [X * (X - A), Y * X - B]
    every = solved(system, (X, Y))
    assert every.solutions == [{X: A, Y: B / A}]
    assert every.obstructions == [B]  # of the branch where x is zero
    assert solved([X * (X - A)], (X,)).solutions == [{X: 0}, {X: A}]
    assert solved([X * (X - A)], (X,), nonzero=[X]).solutions == [{X: A}]


def test_an_equation_of_constants_holds_at_every_step():
    assert solved([X * T + Y - 2 * T - 3], (X, Y)).solutions == [{X: 2, Y: 3}]
    assert not solved([X + Y * 0 - T], (X,)).solutions  # no constant is t


def test_functions_are_shifted_to_the_step_at_which_they_are_asked_for():
    assert solved([F(T + 2) - T * A], (F(T),)).solutions == [{F(T): (T - 2) * A}]


def test_a_function_that_follows_a_recursion_is_found_where_that_is_allowed():
    equation = F(T + 1) - 2 * F(T) - A
    assert solved([equation], (F(T),)).stuck
    outcome = solved([equation], (F(T),), recursive=True)
    ((name, (onward, back)),) = outcome.following.items()
    assert sympy.expand(onward - (2 * name(T) + A)) == 0
    assert sympy.expand(back - (name(T) - A) / 2) == 0
    assert outcome.solutions == [{F(T): name(T)}]


def test_what_is_linear_in_no_unknown_is_no_statement_that_there_is_nothing():
    outcome = solved([X**5 - X - A], (X,))
    assert not outcome.solutions
    assert outcome.stuck


def test_values_of_a_sequence_are_written_in_the_one_at_t():
    onward, back = F(T) / 2 + T, 2 * (F(T) - T + 1)  # f(t+1) = f(t)/2 + t
    numbers = {0: Fraction(3)}
    for t in range(6):
        numbers[t + 1] = numbers[t] / 2 + t
    written = followed(F(T + 2) - 3 * F(T - 2) + G(T), F, onward, back)
    assert written.atoms(sympy.core.function.AppliedUndef) == {F(T), G(T)}
    value = written.xreplace({F(T): sympy.Rational(numbers[3]), G(T): sympy.Integer(0)}).subs(T, 3)
    assert Fraction(str(value)) == numbers[5] - 3 * numbers[1]
    assert Fraction(str(value)) != numbers[5] - 3 * numbers[2]


# -- rings -------------------------------------------------------------------------------------------------------------


def test_polynomials_whose_work_is_counted_are_those_of_sympy():
    ring, *_ = sympy.ring("x,y", sympy.QQ)
    counted = rings.Ring("x,y", sympy.QQ)
    results = []
    for each in (ring, counted):
        x, y = each.gens
        p, q = (x + 2 * y) ** 3 - x * y / 3, x**2 - 4 * y**2
        quotient, rest = p.div(q)
        common, *_ = (p * q).cofactors(q * (x - y))
        results.append([e.as_expr() for e in (p * q, p - q, quotient, rest, common, p.evaluate(x, 2).set_ring(each))])
    assert results[0] == results[1]
    assert results[0][0] != results[0][1]


@pytest.mark.parametrize("operation", [lambda p: p * p, lambda p: p + p, lambda p: p**3, lambda p: p.div(p)])
def test_work_with_polynomials_is_counted_and_that_with_sympys_is_not(operation):
    def work(ring):
        p = sum(ring.gens, ring.one) ** 4
        before = done()
        operation(p)
        return done() - before

    assert work(rings.Ring("x,y", sympy.QQ)) > 0
    assert work(sympy.ring("x,y", sympy.QQ)[0]) == 0


def test_rational_functions_are_quotients_of_counted_polynomials():
    domain = rings.rational_functions([X, Y])
    value = domain.from_sympy((X**2 - Y**2) / (X - Y))
    assert domain.to_sympy(value) == X + Y
    assert isinstance(value.numer, rings.Polynomial)


# -- draws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [momentum(), step_size(), Hyperparameter(low=-1, high=0.5)])
def test_numbers_that_are_drawn_lie_inside_of_ranges_and_depend_on_the_key_alone(declared):
    numbers = [draws.drawn(declared, f"key {i}", 12) for i in range(40)]
    assert numbers == [draws.drawn(declared, f"key {i}", 12) for i in range(40)]
    assert all(declared.low < x < declared.high and abs(x) <= draws.BEYOND for x in numbers)
    assert len(set(numbers)) > 5


def test_a_whole_number_is_drawn_where_the_range_has_one():
    inside = Hyperparameter(low=0.5, high=2.5)
    assert {draws.drawn_whole(inside, str(i)) for i in range(30)} == {1, 2}
    assert draws.drawn_whole(Hyperparameter(low=0.25, high=0.75), "key") is None
