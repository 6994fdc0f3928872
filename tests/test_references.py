"""The references are right by routes of their own, the verdicts see what is spoilt, and the tool agrees with both."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from reference import edges, floors, limit, long_runs, moments, radius, search, verdict
from reference.answers import judge
from reference.questions import find, question

import accelsim
from accelsim.exact.stationary import rates
from accelsim.problems import make
from accelsim.rule import optimizer, step, step_size

pytestmark = pytest.mark.numeric

NAMES = ["heavy_ball", "mars_exact_sgd", "extragradient", "ema(sgd)", "decayed", "shrunk_pair"]
VALUES = dict(
    heavy_ball=dict(lr=0.3, beta=0.6),
    mars_exact_sgd=dict(lr=0.3, beta=0.6, gamma=0.5),
    extragradient=dict(lr=0.3, ahead=0.2),
    windowed=dict(lr=0.8, beta=0.7, power=2.0),
    nesterov=dict(lr=0.3, beta=0.6),
    decayed=dict(lr=0.2, beta=0.5, decay=0.7),
    shrunk_pair=dict(lr=0.2, beta=0.3, decay=0.7),
) | {"ema(sgd)": dict(lr=0.3, decay=0.7)}


def mean_over_all(rule, values, start, lam, samples, steps):
    """Mean risk over every sequence of samples (x, label noise, weight), by running the rule itself on each from 0."""
    total, stages = 0.0, 2 if str(rule) in ("extragradient", "shrunk_pair") else 1
    for path in itertools.product(samples, repeat=steps * stages):
        left = iter(path)

        def gradient(*points, left=left):
            x, noise, _ = next(left)
            found = tuple(x * (x @ (point + start) - noise) for point in points)
            return found if len(points) > 1 else found[0]

        state = rule.start(0 * start)
        for t in range(steps):
            state = step(rule, state, t, values, gradient)
        error = state[rule.returns] + start
        total += math.prod(weight for *_, weight in path) * float(error @ (lam * error)) / 2
    return total


@pytest.mark.parametrize("name", NAMES)
def test_risk_is_the_mean_over_every_sequence_of_rows(name, tmp_path):
    rng = np.random.default_rng(5)
    np.save(tmp_path / "table.npy", rng.normal(size=(4, 3)))
    problem: Any = make("dataset", data=str(tmp_path / "table.npy"), target=2)
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
    steps = 1 if name in ("extragradient", "shrunk_pair") else 2
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


def test_floors_known_in_closed_form():
    lam, lr, noise = np.array([1.0, 0.25]), 0.3, 0.2
    apart = make("quadratic", spectrum=lam, grad_noise=noise, noise_shape="I", batch=2)
    expected = (lr * noise / 2 / (2 - lr * lam)).sum() / 2
    assert float(floors.floor(find("sgd"), apart, lr=lr)[0]) == pytest.approx(expected, rel=1e-12)
    # Weight decay moves the mean to w* lam / (lam + decay): without noise that is all.
    quiet, decay = make("quadratic", spectrum=lam, init=np.array([1.0, -2.0])), 0.5
    expected = (lam * (np.array([1.0, -2.0]) * decay / (lam + decay)) ** 2).sum() / 2
    found = floors.floor(find("decayed"), quiet, lr=lr, beta=0.0, decay=decay)[0]
    assert float(found) == pytest.approx(expected, rel=1e-12)
    assert floors.floor(find("sgd"), apart, lr=2.1)[0] is None


@pytest.mark.parametrize("kind", ["linear_regression", "dataset"])
@pytest.mark.parametrize("name", NAMES)
def test_a_floor_is_where_the_risk_ends(name, kind, tmp_path):
    np.save(tmp_path / "table.npy", np.random.default_rng(5).normal(size=(4, 3)))
    options = dict(dataset=dict(data=str(tmp_path / "table.npy"), target=2))
    problem = make(kind, batch=8, **options.get(kind, dict(dim=2, spectrum="geometric:2", label_noise=0.3)))
    values = {**VALUES[name], "lr": 0.2}
    followed = moments.risks(find(name), problem, 400, **values).risk
    found = floors.floor(find(name), problem, **values)[0]
    assert float(followed[-1]) == pytest.approx(float(found), rel=1e-6)
    assert float(followed[10]) != pytest.approx(float(found), rel=1e-3)


def test_edges_are_held_to_the_signs_about_them():
    problem = make("quadratic", dim=2, spectrum="geometric:5")

    def fault(found, lr):
        return edges.fault(find("sgd"), problem, "lr", found, lr=lr)

    assert fault(2.0, 0.3) is fault(2.0, 7.0) is None
    assert "beyond the edge" in fault(2.00001, 0.3)
    assert "beyond the edge" in fault(1.9999, 7.0)
    assert "no edge" in fault(None, 0.3)
    assert "no edge" in fault(None, 1e4)
    assert "out of the range" in fault(-2.0, 0.3)
    assert edges.fault(find("heavy_ball"), problem, "beta", None, lr=0.3, beta=0.5) is None
    with pytest.raises(NotImplementedError):
        fault(2.0, 0.0)


def test_an_edge_is_the_one_next_to_the_value_given():
    """In nu, between 0.673 and 0.941 alone QHM is stable here."""
    problem = make("linear_regression", dim=3)

    def fault(found, nu):
        return edges.fault(find("qhm"), problem, "nu", found, lr=1.5, beta=0.9, nu=nu)

    low, high = (rates.edge(find("qhm"), problem, "nu", lr=1.5, beta=0.9, nu=nu) for nu in (0.1, 0.8))
    assert fault(low, 0.1) is fault(high, 0.8) is fault(high, 0.97) is None
    assert "beyond" in fault(high, 0.1)
    assert "first looked for" in fault(low, 0.8)


@optimizer(positions="w", returns="w", size=step_size())
def folded(s, t, h):
    """SGD whose step size grows, falls to 0 at 3, and grows again: unstable from 0.78 to 1.24, and beyond 3.98."""
    g = yield s.w
    return dict(w=s.w - 0.52 * h.size * (h.size - 3) * (h.size - 3) * g)


def test_an_edge_behind_another_is_not_the_next_one():
    problem = make("quadratic", spectrum=[1.0])
    roots = sorted(np.roots([0.52, -6 * 0.52, 9 * 0.52, -2]).real)

    def fault(found, size):
        return edges.fault(folded, problem, "size", found, size=size)

    assert fault(roots[0], 0.7) is fault(roots[0], 1.1) is fault(roots[2], 20.0) is None
    assert "not the edge next to it" in fault(roots[2], 0.7)
    assert "first looked for" in fault(roots[1], 1.1)


@pytest.mark.parametrize("name", ["heavy_ball", "mars_exact_sgd", "ema(sgd)", "decayed"])
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


def test_a_grid_finds_the_fewest_steps_to_a_target():
    problem = make("quadratic", dim=1, spectrum=[1.0])
    assert search.best(find("sgd"), problem, "steps@1e-3", ["lr"])[0] == 1  # lr = 1 is there at once
    assert search.first_step(find("sgd"), problem, 0.5 * 0.25**3, 10, lr=0.5) == 3
    assert search.first_step(find("sgd"), problem, 0.49 * 0.25**3, 10, lr=0.5) == 4
    assert search.first_step(find("sgd"), problem, 0.49 * 0.25**3, 3, lr=0.5) == math.inf


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


def test_verdicts_on_floors():
    assert verdict.of_floor(0.3, 0.3, -0.25, 1.0)[0] == "right"
    assert verdict.of_floor(0.300001, 0.3, -0.25, 1.0)[0] == "wrong"
    assert verdict.of_floor(1e-30, 0, -0.25, 1.0)[0] == "right"
    assert verdict.of_floor(1e-20, 0, -0.25, 1.0)[0] == "wrong"
    assert verdict.of_floor(-1e-30, 0, -0.25, 1.0)[0] == "wrong"
    assert verdict.of_floor(math.nan, 0.3, -0.25, 1.0)[0] == "wrong"
    assert verdict.of_floor(None, 0.3, -1e-12, 1.0)[0] == "wide"
    assert verdict.of_floor(None, None, 0.1, 1.0)[0] == "right"
    assert verdict.of_floor(0.3, None, 0.1, 1.0)[0] == "wrong"


def test_verdicts_on_steps():
    assert verdict.of_steps(7.0, 7, 7, 7)[0] == verdict.of_steps(8.0, 7, 8, 9)[0] == "right"
    assert verdict.of_steps(7.0, 8, 8, 7)[0] == verdict.of_steps(7.0, 6, 6, 7)[0] == "wrong"
    assert verdict.of_steps(7.0, 7, 7, 6)[0] == verdict.of_steps(math.nan, 7, 7, 7)[0] == "wrong"


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
    rate, risk, floor, edge = accelsim.rate, accelsim.risk, rates.floor, rates.edge

    def spoilt_risk(*arguments, **values):
        found = risk(*arguments, **values)
        return replace(found, risk=found.risk * (1 + 1e-5))

    monkeypatch.setattr(accelsim, "rate", lambda *a, **k: replace(rate(*a, **k), stable=not rate(*a, **k).stable))
    monkeypatch.setattr(accelsim, "risk", spoilt_risk)
    monkeypatch.setattr(rates, "floor", lambda *a, **k: (floor(*a, **k) or 1.0) * (1 + 1e-5))
    monkeypatch.setattr(rates, "edge", lambda *a, **k: (edge(*a, **k) or 1.0) * (1 + 1e-5))
    asked = [question(12, place, tmp_path) for place in range(12)]
    verdicts = [judge(each)[0] for each in asked if each.kind != "tune"]
    assert verdicts.count("wrong") >= 9
