"""Polynomials are the products of their factors, which do not depend on who finds them."""

import importlib.util

import numpy as np
import pytest
import sympy
from conftest import seed_of
from sympy import QQ, ring

from accelsim.symbolic.algebra import factor

RING = ring("x,y,z,t", QQ)[0]


def random_polynomial(draw):
    total = RING.zero
    for _ in range(int(draw.integers(1, 5))):
        term = RING(QQ(int(draw.integers(-9, 10)), int(draw.integers(1, 7))))
        for generator in RING.gens:
            term *= generator ** int(draw.integers(0, 3) * (draw.random() < 0.4))
        total += term
    return total


def products(name, count):
    draw = np.random.default_rng(seed_of(name))
    for _ in range(count):
        product = RING(QQ(int(draw.integers(1, 9)), -3))
        for _ in range(int(draw.integers(1, 4))):
            product *= random_polynomial(draw) ** int(draw.integers(1, 3))
        yield product


def test_a_polynomial_is_the_product_of_its_factors():
    for polynomial in products("products of factors", 40):
        number, found = factor.factors(polynomial)
        product = RING(number)
        for one, power in found:
            product *= one**power
            assert one.LC > 0
            assert all(c.denominator == 1 for c in one.coeffs())
            assert sympy.factor_list(one.as_expr())[1][0][1] == 1
        assert product == polynomial


def test_factors_are_in_the_order_of_sympy():
    for polynomial in products("order of factors", 40):
        assert list(factor.factors(polynomial)[1]) == polynomial.factor_list()[1]


@pytest.mark.skipif(importlib.util.find_spec("flint") is None, reason="python-flint is not installed")
def test_factors_are_the_same_by_flint_and_by_sympy(monkeypatch):
    for polynomial in [*products("flint and SymPy", 40), RING.zero, RING(QQ(-2, 3))]:
        factor.factors.cache_clear()
        by_flint = factor.factors(polynomial)
        factor.factors.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(factor, "_flint", lambda: None)
            assert factor.factors(polynomial) == by_flint
    factor.factors.cache_clear()
