"""Rates by dense eigenvalues, by the secular equation, by closed forms and by long runs are the same rates."""

import math

import numpy as np
import pytest
from conftest import seed_of
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import optimizer, problems
from accelsim.errors import InputError
from accelsim.exact import moments, secular
from accelsim.exact.rates import Rate, constant_system, rate
from accelsim.exact.tuning import tune_tau
from accelsim.optimizer import momentum, step_size
from accelsim.optimizers import find


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum())
def idle(s, t, h):
    """SGD beside a memory that nothing reads."""
    g = yield s.w
    return dict(w=s.w - h.lr * g, m=h.beta * s.m + g)


@optimizer(positions="w", returns="w", lr=step_size())
def extragradient(s, t, h):
    """Two queries a step."""
    g = yield s.w
    g = yield s.w - h.lr * g
    return dict(w=s.w - h.lr * g)


@optimizer(positions="w", returns="w", lr=step_size(), decay=step_size(0.0))
def decayed(s, t, h):
    """SGD with weight decay."""
    g = yield s.w
    return dict(w=s.w - h.lr * (g + h.decay * s.w))


RULES = {
    "sgd": dict(lr=0.1),
    "heavy_ball": dict(lr=0.02, beta=0.8),
    "nesterov": dict(lr=0.02, beta=0.8),
    "accelerated_sgd": dict(eta=0.01, alpha=0.1, beta=0.95),
    "qhm": dict(lr=0.2, beta=0.9, nu=0.7),
    "schedule_free": dict(lr=0.3, beta=0.9, c=0.05),
    "ademamix_sgd": dict(lr=0.05, beta1=0.5, beta3=0.95, alpha=2.0),
    "mars_sgd": dict(lr=0.1, beta=0.8, gamma=0.05),
    "tail_average(sgd)": dict(lr=0.1, start=5),
    "ema(sgd)": dict(lr=0.1, decay=0.9),
}
CONSTANT = [name for name in RULES if not name.startswith("tail")]


def regression(**options):
    return problems.make("linear_regression", **{"dim": 6, "spectrum": "geometric:100", **options})


@pytest.mark.parametrize("name", CONSTANT)
@pytest.mark.parametrize("batch", [1, 64, 4096])
def test_dense_eigenvalues_and_the_secular_equation_agree(name, batch):
    problem = regression(batch=batch)
    system, step = constant_system(find(name), **RULES[name])
    found = rate(find(name), problem, **RULES[name])
    gap = secular.gap(system, step, problem)
    assert Rate.of(gap).tau == pytest.approx(found.tau, rel=1e-8)
    assert gap == pytest.approx(found.rho - 1, rel=1e-8)
    other = regression(batch=batch, spectrum="geometric:101")
    assert secular.gap(system, step, other) != pytest.approx(found.rho - 1, rel=1e-4)


def slope(run, start):
    """Mean slope of the logarithm of the bias from a step on."""
    first = np.searchsorted(run.steps, start)
    return np.log(run.bias[-1] / run.bias[first]) / (run.steps[-1] - run.steps[first])


@pytest.mark.parametrize("name", [*CONSTANT, "mars_exact_sgd"])
def test_the_risk_of_a_long_run_falls_at_the_rate(name):
    values = RULES.get(name, dict(lr=0.1, beta=0.8, gamma=0.05))
    problem = regression(batch=4, spectrum="geometric:5", dim=3)
    found = rate(find(name), problem, **values)
    run = moments.risk(find(name), problem, int(300 * found.tau), **values)
    assert slope(run, 150 * found.tau) == pytest.approx(-1 / found.tau, rel=1e-3)
    assert slope(run, 0) != pytest.approx(-1 / rate(find(name), regression(), **values).tau, rel=1e-2)


@pytest.mark.parametrize("name", ["sgd", "nesterov", "mars_exact_sgd"])
def test_the_risk_on_a_table_falls_at_its_rate(name, tmp_path):
    table = np.random.default_rng(seed_of("table")).standard_exponential((40, 4))
    np.save(tmp_path / "table.npy", table)
    values = RULES.get(name, dict(lr=0.1, beta=0.8, gamma=0.05))
    problem = problems.make("dataset", data=str(tmp_path / "table.npy"), target=3, batch=2)
    found = rate(find(name), problem, **values)
    run = moments.risk(find(name), problem, int(100 * found.tau), **values)
    assert slope(run, 50 * found.tau) == pytest.approx(-1 / found.tau, rel=1e-3)
    gaussian = regression(dim=3, spectrum=problem.spectrum, batch=2)
    assert rate(find(name), gaussian, **values).tau != pytest.approx(found.tau, rel=1e-2)


def stable_sgd(lam, batch, lr):
    x = lr * lam
    return lr < 2 * batch / ((batch + 1) * lam.max()) and (x / (2 * batch - (batch + 1) * x)).sum() < 1


def stable_heavy_ball(lam, batch, lr, r):
    x = lr * lam
    below = 2 * batch * (1 - r**2) - x * (batch * (1 - r) + 1 + r)
    return (below > 0).all() and (x * (1 + r) / below).sum() < 1


def stable_nesterov(lam, batch, lr, r):
    x = lr * lam
    below = 2 * batch * (1 - r**2) + (4 * batch * r**2 + (batch - 1) * r - (batch + 1)) * x
    below = below - (batch + 1) * r * (1 + 2 * r) * x**2
    return below[np.argmax(lam)] > 0 and (x * (1 + r + r * (1 + 2 * r) * x) / below).sum() < 1


def random_case(draw):
    dim = int(draw.integers(1, 8))
    problem = regression(dim=dim, spectrum=10 ** draw.uniform(-2, 1, dim), batch=int(draw.choice([1, 2, 5, 30, 1000])))
    r, scale = 1 - 10 ** draw.uniform(-3, 0), 10 ** draw.uniform(-1.5, 0.5)
    return problem, r, scale / problem.spectrum.max() * min(1, problem.batch * (1 - r) * 3)


def test_stability_is_where_closed_forms_say():
    """Wang, Huang, Li and Wu 2026, for the three rules they cover; 600 points, stable and unstable ones both."""
    draw = np.random.default_rng(seed_of("closed-form stability"))
    verdicts = {"sgd": [], "heavy_ball": [], "nesterov": []}
    for _ in range(200):
        problem, r, lr = random_case(draw)
        lam, batch = problem.spectrum, problem.batch
        expected = {
            "sgd": (stable_sgd(lam, batch, 10 * lr), dict(lr=10 * lr)),
            "heavy_ball": (stable_heavy_ball(lam, batch, lr, r), dict(lr=lr, beta=r)),
            "nesterov": (stable_nesterov(lam, batch, lr, r), dict(lr=lr, beta=r)),
        }
        for name, (stable, values) in expected.items():
            system, step = constant_system(find(name), **values)
            assert rate(find(name), problem, **values).stable == stable
            assert (secular.gap(system, step, problem) < 0) == stable
            verdicts[name].append(stable)
    for seen in verdicts.values():
        assert 20 < sum(seen) < 180


def test_a_dead_memory_brings_no_rate_of_its_own():
    problem = regression(batch=8)
    slow = dict(lr=0.5, beta=1 - 1e-6)
    assert rate(idle, problem, **slow) == rate(find("sgd"), problem, lr=0.5)
    assert rate(idle, problem, **slow).rho < slow["beta"] ** 2
    assert len(constant_system(find("mars_sgd"), **RULES["mars_sgd"])[0].A) == 2  # the stored gradient adds nothing
    assert len(constant_system(find("ademamix_sgd"), **{**RULES["ademamix_sgd"], "beta3": 0.5})[0].A) == 2


def test_additive_noise_leaves_the_rate_of_the_mean():
    problem = problems.make("quadratic", spectrum=[1.0, 0.01], grad_noise=3.0)
    assert rate(find("sgd"), problem, lr=0.5).rho == pytest.approx((1 - 0.5 * 0.01) ** 2, rel=1e-14)
    root = 100**0.5
    optimal = dict(lr=4 / (1 + 0.1) ** 2, beta=((root / 10 - 0.1) / (root / 10 + 0.1)) ** 2)
    # Polyak's optimum is a double root, so half of the digits are left
    assert rate(find("heavy_ball"), problem, **optimal).rho == pytest.approx(optimal["beta"], rel=1e-6)
    nearly = regression(spectrum=[1.0, 0.01], dim=2, batch=10**12)
    assert rate(find("sgd"), nearly, lr=0.5).tau == pytest.approx(rate(find("sgd"), problem, lr=0.5).tau, rel=1e-9)
    single = regression(spectrum=[1.0, 0.01], dim=2)
    assert rate(find("sgd"), single, lr=0.5).tau > rate(find("sgd"), problem, lr=0.5).tau


@given(st.floats(-14, -1), st.integers(1, 100))
def test_long_time_constants_keep_their_digits(exponent, batch):
    lr = 10**exponent
    gap = -2 * lr + lr**2 * (1 + 2 / batch)
    problem = regression(dim=1, spectrum=[1.0], batch=batch)
    assert rate(find("sgd"), problem, lr=lr).tau == pytest.approx(-1 / math.log1p(gap), rel=1e-13)
    system, step = constant_system(find("sgd"), lr=lr)
    assert secular.gap(system, step, problem) == pytest.approx(gap, rel=1e-9)


def test_ill_conditioned_rates_keep_their_digits():
    """The secular equation needs no eigenvalues of a large matrix: it keeps digits where those lose some."""
    problem = regression(dim=12, spectrum="geometric:1e8", batch=4)
    for name, values in (("sgd", dict(lr=0.5)), ("accelerated_sgd", dict(eta=1e-3, alpha=0.3, beta=0.999))):
        system, step = constant_system(find(name), **values)
        gap = secular.gap(system, step, problem)
        assert rate(find(name), problem, **values).tau == pytest.approx(Rate.of(gap).tau, rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 10))
def test_label_noise_never_changes_the_rate(noise):
    assert rate(find("nesterov"), regression(label_noise=noise), **RULES["nesterov"]) == rate(
        find("nesterov"), regression(), **RULES["nesterov"]
    )


def test_two_queries_a_step_have_the_rate_of_their_own_moments():
    problem = problems.make("quadratic", spectrum=[1.0, 0.1])
    shrink = 1 - 0.5 * problem.spectrum * (1 - 0.5 * problem.spectrum)
    assert rate(extragradient, problem, lr=0.5).rho == pytest.approx(shrink.max() ** 2, rel=1e-13)
    lam, batch, lr = 0.7, 3, 0.5
    noisy = regression(dim=1, spectrum=[lam], batch=batch)
    a2 = lam**2 * (1 + 2 / batch)  # E of the squared batch Hessian; two independent ones, a and b: w -> (1 - b + b a) w
    x, x2 = lr * lam, lr**2 * a2
    rho = 1 - 2 * x + 2 * x**2 + x2 - 2 * x2 * x + x2**2
    assert rate(extragradient, noisy, lr=lr).rho == pytest.approx(rho, rel=1e-13)


def test_weight_decay_speeds_the_rate_up():
    problem = problems.make("quadratic", spectrum=[1.0, 0.1])
    assert rate(decayed, problem, lr=0.5, decay=0.2).rho == pytest.approx((1 - 0.5 * 0.3) ** 2, rel=1e-13)


def test_unstable_runs_have_no_time_constant():
    found = rate(find("sgd"), regression(), lr=3.0)
    assert (found.stable, found.tau) == (False, math.inf)
    assert found.rho > 1
    assert rate(find("sgd"), regression(), lr=0.0) == Rate(1.0, math.inf, False)
    instant = rate(find("sgd"), problems.make("quadratic", spectrum=[1.0]), lr=1.0)
    assert instant == Rate(0.0, 0.0, True)


def test_what_has_no_rate_is_refused_with_what_would_work():
    with pytest.raises(InputError, match=r"vary in time here.*use risk"):
        rate(find("schedule_free"), regression(), lr=0.1)
    with pytest.raises(InputError, match=r"vary in time here.*use risk"):
        rate(find("sgd"), regression(), lr="0.1/(t+1)")
    with pytest.raises(InputError, match="not linear"):
        rate(find("signum"), regression(), lr=0.1)
    with pytest.raises(InputError, match=r"3000 x 3000 matrix, more than 2000"):
        rate(find("nesterov"), regression(dim=1000), **RULES["nesterov"])
    with pytest.raises(InputError, match=r"7503 x 7503 matrix"):
        rate(find("nesterov"), problems.make("dataset", data="digits"), **RULES["nesterov"])


TUNED = {
    "sgd": ["lr"],
    "heavy_ball": ["lr", "beta"],
    "nesterov": ["lr", "beta"],
    "accelerated_sgd": ["eta", "alpha", "beta"],
}


@pytest.mark.parametrize(
    ("batch", "published"),
    [
        (1, {"sgd": 937, "heavy_ball": 752, "nesterov": 466, "accelerated_sgd": 117}),
        (4096, {"sgd": 250, "heavy_ball": 9.0, "nesterov": 13.5, "accelerated_sgd": 8.2}),
    ],
)
def test_tuned_time_constants_are_optimal(batch, published):
    """A search that shares nothing with the tuner, from elsewhere, finds nothing better; nor do steps away."""
    from scipy.optimize import minimize

    problem = regression(dim=12, spectrum="geometric:1e3", batch=batch)
    for name, names in TUNED.items():
        found = tune_tau(find(name), problem, names)
        assert found.tau == pytest.approx(published[name], rel=0.01)
        assert found.at_bound == ()
        best = found.hyperparameters
        assert rate(find(name), problem, **best).tau == pytest.approx(found.tau, rel=1e-7)
        for key in names:
            for factor in (0.9, 1.1):
                value = 1 - (1 - best[key]) * factor if key == "beta" else best[key] * factor
                assert rate(find(name), problem, **{**best, key: value}).tau > found.tau * 1.0001

        def gap(x, name=name, names=names):
            values = {k: 1 - math.exp(v) if k == "beta" else math.exp(v) for k, v in zip(names, x, strict=True)}
            if values.get("beta", 0) < 0:
                return 1e3
            system, step = constant_system(find(name), **values)
            return math.log1p(max(secular.gap(system, step, problem), -0.99)) * 100

        start = [math.log(0.1 * (1 - best[k]) if k == "beta" else best[k] / 2) for k in names]
        other = minimize(gap, start, method="Powell", options={"maxfev": 400, "xtol": 1e-3, "ftol": 1e-8})
        assert -100 / other.fun > found.tau * (1 - 1e-6)


@pytest.mark.parametrize(
    ("name", "names", "fixed"),
    [
        ("qhm", ["lr", "beta", "nu"], {}),
        ("accsgd", ["lr", "kappa", "xi"], {}),
        ("ademamix_sgd", ["lr", "beta3", "alpha"], {"beta1": 0.0}),
        ("schedule_free", ["lr", "beta", "c"], {}),
    ],
)
def test_rules_of_one_form_have_one_best_time_constant(name, names, fixed):
    """Their maps to the canonical form are one to one, so the search must end at one tau from unlike coordinates."""
    problem = regression(dim=3, spectrum="geometric:50", batch=2)
    canonical = tune_tau(find("accelerated_sgd"), problem, TUNED["accelerated_sgd"])
    assert tune_tau(find(name), problem, names, **fixed).tau == pytest.approx(canonical.tau, rel=1e-6)
    assert tune_tau(find("nesterov"), problem, TUNED["nesterov"]).tau > canonical.tau * 1.05


def test_a_rule_with_two_queries_is_tuned_by_dense_eigenvalues():
    problem = regression(dim=2, spectrum=[1.0, 0.2], batch=8)
    found = tune_tau(extragradient, problem, ["lr"])
    taus = [rate(extragradient, problem, lr=lr).tau for lr in np.linspace(0.01, 1.5, 300)]
    assert min(taus) * 0.99 < found.tau <= min(taus)


def test_tuning_says_what_it_cannot_tune():
    problem = regression()
    with pytest.raises(InputError, match="did you mean 'beta'"):
        tune_tau(find("nesterov"), problem, ["lr", "bet"])
    with pytest.raises(InputError, match="vary in time"):
        tune_tau(find("schedule_free"), problem, ["lr"], beta=0.9)
    with pytest.raises(InputError, match="not tuned"):
        tune_tau(find("schedule_free"), problem, ["warmup_steps"], c=0.1)
    assert tune_tau(find("nesterov"), problem, ["lr"], beta=0.5).hyperparameters["beta"] == 0.5
