"""An experiment's verdict depends on its theory: with a wrong one, each claim fails at the same size."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import seed_of

from accelsim import experiment, problems
from accelsim.exact.stationary import rates
from accelsim.experiment import known
from accelsim.optimizers import find


def first_condition(lam, eta, alpha, beta):
    """Li et al. 2024 as printed."""
    return alpha * lam < 1 - beta


def by_trace(problem, lr):
    """The onset without each direction's own noise."""
    return 2 * problem.batch / lr / problem.spectrum.sum()


def small_steps(problem, lr):
    """The limit of small steps, at any step."""
    return problem.batch > (problem.dim + 1) / 2


def heavy_balls_floor(rule, spectrum, batch, effective):
    """Linear in lr / (1-r) for Nesterov too."""
    return effective * spectrum.sum() / (4 * batch)


def with_the_trace(name, power, spectrum, batch):
    """Critical lr / (1-r) of heavy ball without each direction's own noise."""
    return 2 * batch / spectrum.sum() if name == "heavy_ball" else (4 * batch / np.pi) ** 2


def unpreconditioned(power, dim, batch):
    """The noisy quadratic model, whatever the preconditioner."""
    h = 1 / np.arange(1, dim + 1)
    return problems.make("quadratic", spectrum=h, grad_noise=1.0, batch=batch)


WRONG = {
    "bias_variance_by_direction, one condition": ("faster", first_condition),
    "bias_variance_by_direction, other variance": ("excess", lambda lam, eta, alpha, beta: eta / alpha),
    "averaging_against_minimax, all windows alike": ("window", lambda b: 1.0),
    "averaging_against_minimax, label noise alone": ("settled", lambda *_: 1.0),
    "critical_learning_rates, by the trace": ("small", with_the_trace),
    "noise_floors, both linear": ("predicted_floor", heavy_balls_floor),
    "noisy_quadratic_model, no preconditioner": ("noisy_quadratic", unpreconditioned),
    "noisy_quadratic_model, noise up to the knee and beyond": ("BELOW", 16),
    "critical_learning_rates, no caps": ("CAPS", {"heavy_ball": 40.0, "nesterov": 40 / 3}),
    "critical_learning_rates, Nesterov's cap as heavy ball's": ("CAPS", {"heavy_ball": 4.0, "nesterov": 4.0}),
    "data_exponents, Nesterov as heavy ball": ("exponent", lambda rule, b, s, beta: min(s / (s + 1), 2 * s * (1 - b))),
    "gradient_weight_against_batch, 1/B throughout": ("RECORDED", {1: 10.2, 4096: 10.2}),
    "kurtosis_exponents, whatever the kurtosis": ("limit", lambda name, c: 1.0 if name == "heavy_ball" else 0.5),
    "dana_exponents, no gain": ("exponent", lambda rule, a, b: 0.8),
    "dana_exponents, a loss where 2a < 1": ("gain", lambda a: 2 - 1 / (2 * a)),
    "two_directions_table, momenta up to 0.999": ("GRID", np.append(1 - 0.5 ** np.arange(11), 1.0)),
    "delayed_instability, by the trace": ("onset", by_trace),
    "delayed_instability, small steps": ("bounded", small_steps),
}

SMALLER = {  # than tiny, at which reproducing everything has the right theories hold
    "data_exponents": dict(shares=(0.46,), evaluations=8),
    "gradient_weight_against_batch": dict(dims=(12,), batches=(1, 4096)),
    "averaging_against_minimax": dict(samples=(512, 2048, 2**15)),
}


def holds(name, monkeypatch):
    module = known()[name]
    monkeypatch.setattr(module, "TINY", replace(module.TINY, **SMALLER.get(name, {})))
    return experiment.run(name, "tiny").holds


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_theory_is_caught(case, monkeypatch):
    name = case.partition(",")[0]
    monkeypatch.setattr(known()[name], *WRONG[case])
    assert not holds(name, monkeypatch)


@pytest.mark.parametrize("name", SMALLER)
def test_the_right_theory_holds_where_the_control_is_smaller(name, monkeypatch):
    assert holds(name, monkeypatch)


def test_the_bias_decays_faster_exactly_where_claimed():
    """Random stable hyperparameters, many of them near the edge of stability."""
    faster = known()["bias_variance_by_direction"].faster
    draw = np.random.default_rng(seed_of("bias by direction"))
    seen = []
    for _ in range(200):
        alpha, beta = draw.uniform(0, 1, 2)
        eta = (1 + beta) * (2 - alpha) * (1 - 10 ** draw.uniform(-3, 0))
        problem = problems.make("quadratic", spectrum=[1.0])
        accelerated = rates.rate(find("accelerated_sgd"), problem, eta=eta, alpha=alpha, beta=beta)
        seen.append((accelerated.tau < rates.rate(find("sgd"), problem, lr=alpha).tau, alpha < 1 - beta))
        assert accelerated.stable
        assert seen[-1][0] == faster(1.0, eta, alpha, beta)
    gains, alone = np.array(seen).T
    assert 20 < gains.sum() < 180
    assert (alone & ~gains).sum() > 5  # what the first condition alone gets wrong
    assert not (gains & ~alone).any()


def test_a_negative_weight_of_the_momentum_lowers_the_variance():
    """The excess variance has the sign of eta: the claim needs it positive."""
    measure = known()["bias_variance_by_direction"].measure
    excess = known()["bias_variance_by_direction"].excess
    values = dict(lam=0.5, eta=-0.1, alpha=0.5, beta=0.3)
    _, found = measure(**values, lengths=30.0)
    assert found == pytest.approx(excess(**values), rel=1e-6)
    assert found < -0.1


@pytest.mark.parametrize(("largest", "exponent"), [(0.8, 0.93), (8 / 9, 0.81)])
def test_nesterovs_exponent_on_a_grid_hangs_on_its_largest_momentum(largest, exponent):
    """The discrete design of Kidambi et al. 2018; the best of all momenta has 0.47."""
    problem = known()["two_directions_table"].problem
    kappas = 2.0 ** np.array([4, 6, 8, 10, 12])
    points = [(lr, beta) for lr in np.linspace(0, 1, 10)[1:] for beta in np.linspace(0, largest, 9)]
    taus = [
        min(rates.rate(find("nesterov"), problem("discrete", kappa), lr=lr, beta=beta).tau for lr, beta in points)
        for kappa in kappas
    ]
    assert np.polyfit(np.log(kappas), np.log(taus), 1)[0] == pytest.approx(exponent, abs=0.006)
