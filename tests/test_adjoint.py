"""Risks by rows propagated backwards are those of the moments, and keep digits that moments lose."""

import numpy as np
import pytest
from conftest import seed_of
from kernel_rules import extragradient

import accelsim
from accelsim import optimizer, problems
from accelsim.exact import adjoint, rational
from accelsim.exact.long_runs import thresholds
from accelsim.exact.tables import Tables
from accelsim.optimizers import find
from accelsim.rule import Hyperparameter, step_size, weight
from accelsim.symbolic.system.tableau import linear_tableau

pytestmark = pytest.mark.numeric

SWOLLEN = dict(lr=16.689440964822328, beta=0.8885372407684698, q=0.7569444423137064)


@optimizer(positions="x z u", returns="u", lr=step_size(), beta=weight(), q=Hyperparameter(low=0, high=100))
def window(s, t, h):
    """Schedule-Free's iterates; returned are the points of its gradients, averaged with weights s^q."""
    g = yield h.beta * s.x + (1 - h.beta) * s.z
    z = s.z - h.lr * g
    x = s.x + (z - s.x) / (t + 1)
    point = h.beta * x + (1 - h.beta) * z
    return dict(z=z, x=x, u=s.u + (h.q + 1) / (t + 1 + h.q) * (point - s.u))


@optimizer(positions="w v", memories={"m": 0.5}, returns="v", lr=step_size())
def pulled(s, t, h):
    """Two points on one sample, then one on the next where they lead; weight decay, a memory that starts at 1/2."""
    a, b = yield s.w, s.v
    c = yield s.w - h.lr * (a - b / 2)
    m = s.m / 2 + c + 0.1 * s.w
    return dict(w=s.w - h.lr * m, v=s.v + (s.w - s.v) / 3 - h.lr * b, m=m)


CASES = {
    "schedules": (find("sgd"), dict(lr="0.4/(1+t/20)")),
    "a recurrence": (find("schedule_free"), dict(lr=0.3)),
    "three states": (find("ademamix_sgd"), dict(lr=0.1, beta1=0.5, beta3=0.9, alpha=1.0)),
    "two points on one sample": (find("mars_exact_sgd"), dict(lr=0.2, gamma=0.3, beta=0.5)),
    "two queries": (extragradient, dict(lr=0.3)),
    "pairs of queries, a pull to the origin": (pulled, dict(lr=0.2)),
}


def quadratic(batch=2, dim=4):
    return problems.make("quadratic", dim=dim, spectrum="power:1", grad_noise=1.0, batch=batch)


def systems(tableau, values, steps):
    return thresholds._seen(Tables(tableau, values).take(steps), tableau)


@pytest.mark.parametrize("case", CASES)
def test_risks_are_those_of_the_moments(case):
    """Bias and variance by direction, compiled and by NumPy in float64 and beyond, after 0, 1 and many steps."""
    (rule, values), problem = CASES[case], quadratic()
    tableau = linear_tableau(rule, **values)
    for steps in (0, 1, 37):
        expected = accelsim.risk(rule, problem, steps, **values)
        mean = thresholds._start(problem, tableau, np.float64).mean
        for precision in (np.float64, np.longdouble):
            found = adjoint.swept(problem, systems(tableau, values, steps), mean.astype(precision), steps)
            assert found.overflow is None
            assert found.bias == pytest.approx(expected.by_direction["bias"], rel=1e-11, abs=1e-15)
            assert found.variance == pytest.approx(expected.by_direction["variance"], rel=1e-11, abs=1e-15)


def test_random_runs_have_the_risks_of_fractions():
    """Eight runs of the window rule, calm and swelling; 1e-9 of the risk is right in all of them."""
    draw, problem = np.random.default_rng(seed_of("fractions")), quadratic(dim=1, batch=64)
    for _ in range(8):
        values = {"lr": 10 ** draw.uniform(-1, 1.2), "beta": draw.uniform(), "q": 10 ** draw.uniform(-1, 1)}
        exact = float(sum(rational.bias_and_variance(window, problem, 12, **{k: repr(v) for k, v in values.items()})))
        found = thresholds.risk_after(problem, linear_tableau(window), values, 12)
        assert found.risk == pytest.approx(exact, rel=1e-9)


def test_a_run_that_swells_keeps_its_digits_where_second_moments_lose_them_all():
    """The risk is 5.00249858e-4 in 60 digits; second moments, which reach 3e13 on the way, say a tenth of it."""
    problem, tableau = quadratic(batch=256, dim=60), linear_tableau(window)
    assert thresholds.risk_after(problem, tableau, SWOLLEN, 300).risk == pytest.approx(5.0024985814e-4, rel=1e-7)
    found = thresholds.confirmed_risk(problem, tableau, SWOLLEN, 300, 10.0)
    assert found.risk == pytest.approx(5.0024985814e-4, rel=1e-9)
    in_moments = thresholds._arrival(problem, tableau, SWOLLEN, -1.0, 300, lambda systems: systems)
    assert not in_moments.lost
    assert in_moments.risk != pytest.approx(5.0024985814e-4, rel=0.1)
    kept = thresholds._kept(
        in_moments, lambda: thresholds._arrival(problem, tableau, SWOLLEN, -1.0, 300, thresholds.rounded)
    )
    assert kept.lost


def test_a_step_that_rounding_makes_of_a_target_is_not_said():
    """The moments' noise reaches it at some step, at which the risk is another; a calm run is not called lost."""
    problem, tableau = quadratic(batch=256, dim=60), linear_tableau(window)
    target = 1.01 * thresholds._arrival(problem, tableau, SWOLLEN, -1.0, 300, lambda systems: systems).risk
    noisy = thresholds._arrival(problem, tableau, SWOLLEN, target, 300, lambda systems: systems)
    assert noisy.steps is not None
    assert thresholds.risk_after(problem, tableau, SWOLLEN, noisy.steps).risk != pytest.approx(noisy.risk, rel=0.1)
    found = thresholds.arrival(problem, tableau, SWOLLEN, target, 300)
    assert (found.steps, found.lost) == (None, True)
    calm = dict(lr=3.214, beta=0.39, q=0.64)
    assert thresholds.arrival(problem, tableau, calm, target, 300).steps is not None


def test_rows_beyond_the_range_of_floats_are_said_to_be():
    problem, tableau = quadratic(), linear_tableau(find("sgd"))
    found = thresholds.risk_after(problem, tableau, {"lr": 1e3}, 5000)
    assert 0 < found.diverged < 5000
    assert thresholds.risk_after(problem, tableau, {"lr": 0.5}, 5000).diverged is None
