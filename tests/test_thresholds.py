"""The first step at which a risk reaches a target, found without stepping, is the one that stepping finds."""

import numpy as np
import pytest
from conftest import seed_of

import accelsim
from accelsim import problems
from accelsim.errors import InputError
from accelsim.exact.long_runs import doubling, thresholds
from accelsim.exact.long_runs.thresholds import Fastest, fastest
from accelsim.exact.tables import Tables
from accelsim.optimizers import find
from accelsim.symbolic.system.tableau import linear_tableau

pytestmark = pytest.mark.numeric


def noisy(batch=1, dim=12, **options):
    return problems.make("quadratic", spectrum=1 / np.arange(1, dim + 1), grad_noise=1.0, batch=batch, **options)


def grid(name, draw, count):
    """Step sizes and memories over all that matters, over- and underdamped, some unstable."""
    rows = []
    for _ in range(count):
        values = {"lr": 10 ** draw.uniform(-3, 0.6), "beta": 1 - 10 ** draw.uniform(-3, 0)}
        if name == "ema(sgd)":
            values["decay"] = values.pop("beta")
        if name == "accelerated_sgd":
            values = {"eta": values["lr"], "alpha": 10 ** draw.uniform(-2, 0), "beta": values["beta"]}
        rows.append(values if name != "sgd" else {"lr": values["lr"]})
    return rows


def stepped(name, values, problem, target, limit):
    """The first step at which the risk is at most a target, one by one."""
    system = next(linear_tableau(find(name), **values).rows(**values))
    lam, a, b, c, f = problem.spectrum, *(m.astype(float) for m in (system.A, system.B, system.C, system.F))
    second = np.array([np.outer(u, u) for u in np.outer(problem.start, linear_tableau(find(name)).translation)])
    maps = a + lam[:, None, None] * (b @ c)
    for step in range(limit + 1):
        if lam @ (f @ second @ f.T)[:, 0, 0] / 2 <= target:
            return step
        second = maps @ second @ maps.transpose(0, 2, 1) + problem.floor[:, None, None] * (b @ b.T)
        if not second.max() < 1e100:
            return None
    return None


@pytest.mark.parametrize("name", ["sgd", "heavy_ball", "nesterov", "accelerated_sgd", "ema(sgd)"])
def test_each_first_step_is_the_one_that_stepping_finds(name):
    """Forty rules each, at two batch sizes; at least ten reach the target, and at least five do not."""
    draw = np.random.default_rng(seed_of(name))
    tableau = linear_tableau(find(name))
    rows = grid(name, draw, 40)
    for batch, target in ((4, 0.1), (1000, 0.005)):
        limit = 1500
        expected = [stepped(name, values, noisy(batch), target, limit) for values in rows]
        assert sum(step is not None for step in expected) >= 10
        assert sum(step is None for step in expected) >= 5
        for values, step in zip(rows, expected, strict=True):
            (found,) = fastest(noisy(), [tableau.at(0, values)], tableau.translation, target, [batch])
            assert (found.steps == step) if step is not None else (found.steps or np.inf) > limit
        best = fastest(noisy(), [tableau.at(0, v) for v in rows], tableau.translation, target, [batch])[0]
        assert best.steps == min(step for step in expected if step is not None)
        assert expected[best.place] == best.steps


def test_a_risk_that_dips_below_a_target_crosses_it_there():
    """An underdamped run dips once and comes back; between powers of two nobody would see it."""
    values, target = dict(lr=0.0171, beta=0.995), 0.02
    tableau = linear_tableau(find("heavy_ball"), **values)
    (found,) = fastest(noisy(dim=1), [tableau.at(0, values)], tableau.translation, target, [1000])

    def risk(step):
        return accelsim.risk(find("heavy_ball"), noisy(batch=1000, dim=1), step, **values).risk[-1]

    assert 8 < found.steps < 16
    assert risk(found.steps) <= target < risk(found.steps - 1)
    assert min(risk(8), risk(16)) > 2 * target


def test_bounds_of_the_bias_hold_between_their_ends_and_are_not_empty():
    draw = np.random.default_rng(seed_of("bounds"))
    problem, tight = noisy(), 0
    lam, weight = problem.spectrum, problem.spectrum / 2
    for values in grid("heavy_ball", draw, 100):
        tableau = linear_tableau(find("heavy_ball"))
        rule = thresholds._numbers(tableau.at(0, values), tableau.translation)
        z, angle = np.zeros((7, 12)), np.empty(12)
        power, errors = np.zeros((7, 12)), np.empty((40, 12))
        doubling.first_power(lam, problem.floor, rule, z)
        doubling.turning(z, angle)
        power[0] = power[3] = 1
        for t in range(40):
            doubling.errors(power, rule, errors[t])
            after = np.empty((7, 12))
            doubling.product(power, z, after)
            power = after
        for start, count in ((3, 2), (10, 5), (7, 30)):
            between = (weight * errors[start : start + count + 1] ** 2).sum(axis=1)
            bound = doubling.least(weight, angle, errors[start], errors[start + count], float(count))
            assert bound <= between.min() * (1 + 1e-12)
            tight += bound > between.min() / 2
    assert tight > 50


def test_a_target_met_at_the_start_takes_no_step_and_one_out_of_reach_none_at_all():
    tableau = linear_tableau(find("sgd"))
    rule = tableau.at(0, dict(lr=0.1))
    assert fastest(noisy(), [rule], (1,), 10.0, [1]) == [Fastest(0, 0)]
    assert fastest(noisy(), [rule], (1,), 1e-9, [1]) == [Fastest(None, None)]
    assert fastest(noisy(), [tableau.at(0, dict(lr=3.0))], (1,), 1e-9, [1]) == [Fastest(None, None)]


@pytest.mark.parametrize(
    ("kind", "noise"),
    [
        ("linear_regression", {"label_noise": 0.1}),
        ("quadratic", {"grad_noise": 0.1}),
        ("independent", {"kurtosis": 5.0}),
    ],
)
def test_stepping_in_compiled_code_is_stepping(kind, noise):
    """Schedules, recurrences and memories of three states; NumPy's moments are the reference."""
    problem = problems.make(kind, dim=3, spectrum="geometric:5", batch=2, **noise)
    for name, values in (
        ("sgd", {"lr": "0.4/(1+t/20)"}),
        ("schedule_free", {"lr": 0.3}),
        ("ademamix_sgd", {"lr": 0.1, "beta1": 0.5, "beta3": 0.9, "alpha": 1.0}),
    ):
        rule = find(name)
        tableau = linear_tableau(rule, **values)
        for target in (0.3, 0.05):
            found = thresholds.arrival(problem, tableau, rule.resolve(**values), target, 3000)
            slow = thresholds._stepped_by_reference(problem, Tables(tableau, values), target, 3000, lambda s: s)
            assert found.steps == slow.steps >= 2
            assert (found.before, found.risk) == pytest.approx((slow.before, slow.risk), rel=1e-10)


def test_what_needs_stepping_is_refused():
    rule = linear_tableau(find("sgd")).at(0, dict(lr=0.1))
    with pytest.raises(InputError, match="does not depend on the state"):
        fastest(problems.make("linear_regression"), [rule], (1,), 0.1, [1])
    three = linear_tableau(find("ademamix_sgd")).at(0, dict(lr=0.1, beta1=0.5, beta3=0.9, alpha=1.0))
    with pytest.raises(InputError, match="at most two states"):
        fastest(noisy(), [three], (1, 0, 0), 0.1, [1])
