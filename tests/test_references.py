"""The references are right by routes of their own, the verdicts see what is spoilt, and the tool agrees with both."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from reference import limit, long_runs, moments, radius, search, verdict
from reference.answers import judge
from reference.questions import find, question

import accelsim
from accelsim.problems import make
from accelsim.rule import step

pytestmark = pytest.mark.numeric

NAMES = ["heavy_ball", "mars_exact_sgd", "extragradient", "ema(sgd)"]
VALUES = dict(
    heavy_ball=dict(lr=0.3, beta=0.6),
    mars_exact_sgd=dict(lr=0.3, beta=0.6, gamma=0.5),
    extragradient=dict(lr=0.3, ahead=0.2),
    windowed=dict(lr=0.8, beta=0.7, power=2.0),
    nesterov=dict(lr=0.3, beta=0.6),
) | {"ema(sgd)": dict(lr=0.3, decay=0.7)}


def mean_over_all(rule, values, start, lam, samples, steps):
    """Mean risk over every sequence of samples (x, label noise, weight), by running the rule itself on each."""
    total, stages = 0.0, 2 if str(rule) == "extragradient" else 1
    for path in itertools.product(samples, repeat=steps * stages):
        left = iter(path)

        def gradient(*points, left=left):
            x, noise, _ = next(left)
            found = tuple(x * (x @ point - noise) for point in points)
            return found if len(points) > 1 else found[0]

        state = rule.start(start)
        for t in range(steps):
            state = step(rule, state, t, values, gradient)
        error = state[rule.returns]
        total += math.prod(weight for *_, weight in path) * float(error @ (lam * error)) / 2
    return total


@pytest.mark.parametrize("name", NAMES)
def test_risk_is_the_mean_over_every_sequence_of_rows(name, tmp_path):
    rng = np.random.default_rng(5)
    np.save(tmp_path / "table.npy", rng.normal(size=(4, 3)))
    problem = make("dataset", data=str(tmp_path / "table.npy"), target=2)
    samples = [(x, r, 1 / 4) for x, r in zip(problem.features @ problem.basis, problem.residuals, strict=True)]
    start = problem.basis.T @ problem.start
    found = moments.risks(find(name), problem, 2, **VALUES[name]).risk[-1]
    assert float(found) == pytest.approx(
        mean_over_all(find(name), VALUES[name], start, problem.spectrum, samples, 2), rel=1e-12
    )


@pytest.mark.parametrize("kind", ["linear_regression", "independent", "one_hot"])
@pytest.mark.parametrize("name", NAMES)
def test_risk_is_the_mean_over_every_sequence_of_inputs(name, kind):
    lam, start = np.array([1.0, 0.25]), np.array([1.0, -2.0])
    options = dict(independent=dict(kurtosis=2.0), one_hot=dict(kurtosis=6.0)).get(kind, {})
    problem = make(kind, spectrum=lam, init=start, label_noise=0.49, **options)
    kurtosis = options.get("kurtosis", 3.0)  # three values have Gaussian fourth moments
    if kind == "one_hot":
        axes = [(i, sign * math.sqrt(kurtosis * lam[i]), 1 / kurtosis / 2) for i in (0, 1) for sign in (-1, 1)]
        inputs = [(value * np.eye(2)[i], weight) for i, value, weight in axes]
        inputs.append((np.zeros(2), 1 - 2 / kurtosis))
    else:
        law = [(-math.sqrt(kurtosis), 0.5 / kurtosis), (0.0, 1 - 1 / kurtosis), (math.sqrt(kurtosis), 0.5 / kurtosis)]
        inputs = [(np.sqrt(lam) * [a, b], p * q) for (a, p), (b, q) in itertools.product(law, law)]
    samples = [(x, noise, weight / 2) for x, weight in inputs for noise in (-0.7, 0.7)]
    steps = 1 if name == "extragradient" else 2
    found = moments.risks(find(name), problem, steps, **VALUES[name]).risk[-1]
    assert float(found) == pytest.approx(mean_over_all(find(name), VALUES[name], start, lam, samples, steps), rel=1e-12)
    # Control: another fourth moment is another risk, past the first step.
    other = moments.risks(find(name), make("independent", spectrum=lam, init=start, kurtosis=9.0), 2, **VALUES[name])
    assert float(other.risk[-1]) != pytest.approx(float(found), rel=1e-3)


def test_rates_known_in_closed_form():
    one = make("quadratic", spectrum=[1.0])
    assert float(radius.gap(find("sgd"), one, lr=0.5)) == pytest.approx(-0.75, rel=1e-9)
    # A double root at beta^(1/2), where an eigenvalue solver has half the digits.
    assert float(radius.gap(find("heavy_ball"), one, lr=0.25, beta=0.25)) == pytest.approx(-0.75, rel=1e-9)
    # Gaussian inputs, d = 1: (1 - lr)^2 + 2 lr^2 / B.
    noisy = make("linear_regression", spectrum=[1.0], batch=4)
    assert float(radius.gap(find("sgd"), noisy, lr=0.5)) == pytest.approx(0.25 + 0.5 * 0.25 - 1, rel=1e-9)
    assert radius.gap(find("sgd"), one, lr=1.0) == -1
    assert float(radius.gap(find("sgd"), one, lr=1e-13)) == pytest.approx(-2e-13, rel=1e-9)


def test_powers_go_on_until_directions_are_felt_that_couple_little():
    # SGD in two directions alike: the map is [[u + v, v], [v, u + v]], whose powers begin like those of u + v.
    lam, lr, kurtosis = 5e-5, 0.27, 1.0
    problem = make("independent", spectrum=[lam, lam], batch=3, kurtosis=kurtosis)
    x = lr * lam
    expected = -2 * x + x**2 * (1 - 1 / 3) + x**2 * (kurtosis + 1) / 3
    assert float(radius.gap(find("sgd"), problem, lr=lr)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["with_dead_memory", "with_idle_states"])
def test_states_that_nobody_sees_or_reaches_invent_no_rate(name):
    problem = make("linear_regression", dim=2, batch=2)
    seen = radius.gap(find(name), problem, lr=0.5, beta=0.99999)
    assert float(seen) == pytest.approx(float(radius.gap(find("sgd"), problem, lr=0.5)), rel=1e-9)


def test_a_rate_is_the_growth_of_the_risk():
    problem = make("linear_regression", dim=2, spectrum="geometric:5", batch=2)
    followed = moments.risks(find("nesterov"), problem, 300, lr=0.3, beta=0.6).risk
    growth = (followed[-1] / followed[-101]) ** 0.01 - 1
    assert float(growth) == pytest.approx(float(radius.gap(find("nesterov"), problem, lr=0.3, beta=0.6)), rel=1e-3)


@pytest.mark.parametrize("name", ["heavy_ball", "mars_exact_sgd", "ema(sgd)"])
def test_a_long_run_is_many_steps(name):
    problem = make("linear_regression", dim=2, batch=3, label_noise=0.3)
    followed = moments.risks(find(name), problem, 77, **VALUES[name])
    risk, bias, variance = long_runs.risk_at(find(name), problem, 77, **VALUES[name])
    assert float(risk / followed.risk[-1] - 1) == pytest.approx(0, abs=1e-30)
    assert float(bias / followed.bias[-1] - 1) == pytest.approx(0, abs=1e-30)
    assert float(variance / followed.variance[-1] - 1) == pytest.approx(0, abs=1e-30)


def test_a_long_run_with_an_event_is_many_steps():
    problem = make("linear_regression", dim=2, batch=3, label_noise=0.3)
    values = dict(lr="0.1+0.7*exp(-(t-70)**2)", beta=0.6)
    followed = moments.risks(find("heavy_ball"), problem, 77, **values)
    risk = long_runs.risk_at(find("heavy_ball"), problem, 77, (50, 77), **values)[0]
    assert float(risk / followed.risk[-1] - 1) == pytest.approx(0, abs=1e-30)
    unseen = long_runs.risk_at(find("heavy_ball"), problem, 77, (50, 60), **values)[0]
    assert abs(float(unseen / followed.risk[-1] - 1)) > 1e-3


def test_the_limit_is_a_direct_minimum_for_one_and_two_gradients():
    lam, start, noise = np.array([1.0, 0.3, 0.1]), np.array([1.0, -2.0, 3.0]), 0.2
    problem = make("quadratic", spectrum=lam, init=start, grad_noise=noise, noise_shape="I")
    root = np.sqrt(lam)
    signal = root * start

    def least(columns):  # responses (1 or lam) of the answer to each gradient: the bias, then each one's noise
        rows = [signal * lam * column for _, column in columns]
        blocks = [np.array(rows).T]
        for which in {k for k, _ in columns}:
            blocks.append(np.array([root * math.sqrt(noise) * c * (k == which) for k, c in columns]).T)
        matrix, right = np.vstack(blocks), np.concatenate([-signal, np.zeros(lam.size * (len(blocks) - 1))])
        solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
        return np.sum((matrix @ solution - right) ** 2) / 2

    ones = np.ones(3)
    assert float(limit.least_risk(problem, 1)) == pytest.approx(least([(0, ones)]), rel=1e-12)
    assert float(limit.least_risk(problem, 2)) == pytest.approx(least([(0, ones), (0, lam), (1, ones)]), rel=1e-12)
    assert limit.least_risk(problem, 2) < limit.least_risk(problem, 1)


@pytest.mark.parametrize("name", ["heavy_ball", "ema(sgd)", "windowed", "nesterov"])
def test_no_risk_is_below_the_limit(name):
    problem = make("quadratic", dim=4, spectrum="power:1", grad_noise=0.1, batch=2)
    risk = moments.risks(find(name), problem, 12, **VALUES[name]).risk
    assert all(risk[t] >= limit.least_risk(problem, t) for t in range(1, 13))


def test_a_grid_finds_the_best_step_size():
    problem = make("quadratic", dim=2, spectrum="geometric:10")
    value, found = search.best(find("sgd"), problem, "rate", ["lr"])
    best = 2 / 1.1  # both ends contract alike
    assert float(value) == pytest.approx(-1 / (2 * math.log(1 - 0.1 * best)), rel=1e-2)
    assert found["lr"] == pytest.approx(best, rel=1e-2)


RATE = dict(rho=0.75, tau=-1 / math.log(0.75), stable=True)
SPOILT_RATES = [
    (dict(tau=-1.0001 / math.log(0.75)), "wrong"),
    (dict(stable=False), "wrong"),
    (dict(stable=None), "wrong"),
    (dict(rho_low=0.7499999, rho_high=0.7500001), "right"),
    (dict(rho_low=0.75000001, rho_high=0.7500001), "wrong"),
    (dict(rho_low=0.7, rho_high=0.8), "wide"),
    (dict(rho_low=0.7, rho_high=0.8, tau=-1.0001 / math.log(0.75)), "wide"),
    (dict(rho_low=0.7, rho_high=1.1, stable=None), "wide"),
]


@pytest.mark.parametrize(("change", "expected"), [({}, "right"), *SPOILT_RATES])
def test_verdicts_on_rates(change, expected):
    assert verdict.of_rate(SimpleNamespace(**{**RATE, **change}), -0.25)[0] == expected


RISK = dict(steps=[0, 1], risk=[1.0, 0.3], bias=[1.0, 0.1], variance=[0.0, 0.2], error=None)
SPOILT_RISKS = [
    (dict(risk=[1.0, 0.300001]), "wrong"),
    (dict(risk=[1.0, 0.300001], error=[0.0, 2e-6]), "right"),
    (dict(risk=[1.0, 0.300001], error=[0.0, 1e-7]), "wrong"),
    (dict(risk=[1.0, 0.4], error=[0.0, 0.2]), "wide"),
    (dict(bias=[1.0, -1e-30]), "wrong"),
    (dict(variance=[0.0, math.nan]), "wrong"),
    (dict(risk=[1.0, math.inf]), "wrong"),
]


@pytest.mark.parametrize(("change", "expected"), [({}, "right"), *SPOILT_RISKS])
def test_verdicts_on_risks(change, expected):
    true = moments.Risks(*map(np.array, ([1.0, 0.3], [1.0, 0.1], [0.0, 0.2])))
    assert verdict.of_risk(SimpleNamespace(**{**RISK, **change}), true)[0] == expected


def test_verdicts_on_tuned_values():
    assert verdict.of_tuned(SimpleNamespace(value=2.0), 2.0, 1.99, 1.9)[0] == "right"
    assert verdict.of_tuned(SimpleNamespace(value=2.0), 2.001, 1.99)[0] == "wrong"
    assert verdict.of_tuned(SimpleNamespace(value=2.0), 2.0, 1.9)[0] == "wrong"
    assert verdict.of_tuned(SimpleNamespace(value=2.0), 2.0, 2.0, 2.01)[0] == "wrong"


@pytest.mark.parametrize("place", range(60))
def test_the_tool_is_never_confidently_wrong(place, tmp_path):
    asked = question(11, place, tmp_path)
    if asked.kind == "tune":
        pytest.skip("tuning takes seconds: make fuzz asks it")
    found, why = judge(asked)
    assert found != "wrong", f"{asked}\n{why}"


def test_a_spoilt_tool_is_seen(monkeypatch, tmp_path):
    rate, risk = accelsim.rate, accelsim.risk

    def spoilt_risk(*arguments, **values):
        found = risk(*arguments, **values)
        return replace(found, risk=found.risk * (1 + 1e-5))

    monkeypatch.setattr(accelsim, "rate", lambda *a, **k: replace(rate(*a, **k), stable=not rate(*a, **k).stable))
    monkeypatch.setattr(accelsim, "risk", spoilt_risk)
    asked = [question(12, place, tmp_path) for place in range(12)]
    verdicts = [judge(each)[0] for each in asked if each.kind != "tune"]
    assert verdicts.count("wrong") >= 9
