"""Division by several polynomials is SymPy's, and its work is counted while it goes on."""

import numpy as np
import pytest
from conftest import seed_of
from sympy import QQ, grevlex, lex, ring

from accelsim.symbolic.algebra.budget import Clock, OutOfTime
from accelsim.symbolic.algebra.division import division


def polynomials(over, name, count, terms, degree):
    draw = np.random.default_rng(seed_of(name))
    while count:
        total = over.zero
        for _ in range(terms):
            term = over(QQ(int(draw.integers(-5, 6)), int(draw.integers(1, 5))))
            for generator in over.gens:
                term *= generator ** int(draw.integers(0, degree + 1))
            total += term
        if total:
            count -= 1
            yield total


@pytest.mark.parametrize("order", [lex, grevlex], ids=str)
def test_quotients_and_rest_are_those_of_sympy(order):
    over = ring("x,y,z", QQ, order)[0]
    for i, (large, factor) in enumerate(
        zip(polynomials(over, "large", 20, 12, 3), polynomials(over, "factor", 20, 3, 1), strict=True)
    ):
        divisors = list(polynomials(over, f"divisors {i}", 3, 3, 1))
        for polynomial in (large * factor, large, factor):
            quotients, rest = division(polynomial, divisors)
            assert (quotients, rest) == polynomial.div(divisors)
            assert sum((q * d for q, d in zip(quotients, divisors, strict=True)), rest) == polynomial


def test_nothing_divides_by_no_polynomial():
    over, x, _ = ring("x,y", QQ)
    assert division(x + 1, []) == ([], x + 1)
    with pytest.raises(AssertionError):
        assert division(x + 1, [x]) == ([over.zero], x + 1)


def test_a_long_division_ends_with_its_budget():
    _, x, y = ring("x,y", QQ)
    with pytest.raises(OutOfTime), Clock(0.01).enforced():
        division(x**5000, [x - y - 1])
