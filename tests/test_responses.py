"""What queries show of gradients does not depend on how a rule is written, and tells other rules apart."""

import random

import pytest
import sympy
from conftest import seed_of
from heavy_balls import last_step, summed

from accelsim.optimizers import find
from accelsim.rule import optimizer
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.field import reduced
from accelsim.symbolic.system.linear_part import linear_part
from accelsim.symbolic.system.markov import current, invariants, minors, side_of, silent, step_sizes, window

BUDGET = 60.0


def clock():
    return Clock(BUDGET)


def test_windows_of_one_method_are_one_and_of_another_are_not():
    assert not any(map(reduced, window(linear_part(summed), linear_part(last_step), clock())))
    assert any(map(reduced, window(linear_part(summed), linear_part(find("nesterov")), clock())))
    one, other = (linear_part(each, varying=["lr"]) for each in (summed, last_step))
    assert any(map(reduced, window(one, other, clock())))  # under a schedule of step sizes they are two methods


def test_invariants_are_the_coefficients_of_the_normal_form():
    lr, beta = (sympy.Symbol(name, real=True) for name in ("lr", "beta"))
    found = [invariants(side_of(linear_part(each)), False, clock()) for each in (summed, last_step)]
    assert [list(map(reduced, each)) for each in found] == [list(map(sympy.sympify, (-lr, -lr * beta, beta)))] * 2
    assert current(side_of(linear_part(summed)).block) == 0
    jain = side_of(linear_part(find("accelerated_sgd"))).block
    assert current(jain) == sympy.Symbol("alpha", real=True)


def test_a_rule_without_steps_is_silent():
    @optimizer(positions="w", memories="m", returns="w")
    def standing(s, t, h):
        """Gradients are summed and never used."""
        g = yield s.w
        return dict(w=s.w, m=s.m + g)

    assert silent(linear_part(standing), clock())
    assert not silent(linear_part(find("heavy_ball")), clock())


def test_step_sizes_are_what_all_responses_are_proportional_to():
    assert step_sizes(linear_part(find("heavy_ball")), clock()) == ["lr"]
    assert step_sizes(linear_part(find("accelerated_sgd")), clock()) == []  # to eta and alpha together


@pytest.mark.parametrize("name", ["heavy_ball", "nesterov", "ademamix_sgd"])
def test_memories_are_lost_only_where_a_minor_vanishes(name):
    """At random numbers no minor is zero, and the impulse response has the rank of the memories."""
    part = linear_part(find(name))
    block = side_of(part).block
    chance = random.Random(seed_of(f"minors {name}"))
    symbols = sorted(set().union(*(m.free_symbols for m in block)), key=str)
    values = {x: sympy.Rational(chance.randint(1, 9), 10) for x in symbols}
    assert all(factor.subs(values) != 0 for factor in minors(block))
    a, b, p, _ = (m.subs(values) for m in block)
    size = a.rows
    hankel = sympy.Matrix(size + 1, size + 1, lambda i, j: (p * a ** (i + j) * b)[0])
    assert hankel.rank() == size
    lost = {x: (0 if x.name.startswith("lr") else v) for x, v in values.items()}
    assert any(factor.subs(lost) == 0 for factor in minors(block))  # a step size of zero loses them all
