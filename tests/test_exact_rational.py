"""Floating point keeps its digits: moments equal those computed in fractions."""

from fractions import Fraction

import pytest

import accelsim
from accelsim import problems
from accelsim.exact.rational import bias_and_variance
from accelsim.optimizers import find

pytestmark = pytest.mark.numeric

PROBLEM = problems.make("linear_regression", spectrum=[1.0, 1e-3], batch=2, label_noise=0.1, init=[1.0, -2.0])
CASES = {
    "sgd": dict(lr=0.3),
    "accelerated_sgd": dict(eta="0.01/(t+1)", alpha=0.05, beta="t/(t+3)"),
    "tail_average(schedule_free)": dict(lr=0.3, beta=0.9, start=3),
    "mars_exact_sgd": dict(lr=0.1),
}


@pytest.mark.parametrize("name", CASES)
def test_moments_are_those_in_fractions(name):
    bias, variance = bias_and_variance(find(name), PROBLEM, 8, **CASES[name])
    assert isinstance(bias, Fraction)
    found = accelsim.risk(find(name), PROBLEM, 8, **CASES[name])
    assert found.bias[-1] == pytest.approx(float(bias), rel=1e-14)
    assert found.variance[-1] == pytest.approx(float(variance), rel=1e-14)


def test_fractions_are_exact():
    """One step of SGD by hand; rounding would show."""
    bias, variance = bias_and_variance(find("sgd"), problems.make("quadratic", spectrum=[0.1], grad_noise=1), 1, lr=0.1)
    lam, lr = Fraction(0.1), Fraction(1, 10)
    assert bias == lam * (1 - lr * lam) ** 2 / 2
    assert bias != Fraction(float(bias))
    assert variance == pytest.approx(float(lam * lr**2 * lam / 2))
