"""Rates by scalar equations, by small matrices, by dense eigenvalues, closed forms and long runs are the same rates."""

import json
import math
import sys

import numpy as np
import pytest
from conftest import seed_of
from hypothesis import given, settings
from hypothesis import strategies as st

import accelsim
from accelsim import cli, optimizer, optimizers, problems
from accelsim.errors import InputError
from accelsim.exact.stationary import dense, rates, secular, structured
from accelsim.exact.stationary.cone import ABOVE, BELOW
from accelsim.exact.stationary.coupling import Coupling
from accelsim.exact.stationary.rates import constant_system, edge, floor, gap, rate
from accelsim.exact.stationary.secular import Secular
from accelsim.exact.tables import System
from accelsim.optimizers import find
from accelsim.rule import momentum, step_size
from accelsim.symbolic.system.tableau import linear_tableau

pytestmark = pytest.mark.numeric


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


@optimizer(positions="w", memories="m", returns="w", lr=step_size())
def paired(s, t, h):
    """Two queries on one sample, a third on another one."""
    a, b = yield s.w, s.w - 0.3 * s.m
    c = yield s.w - h.lr * a + 0.1 * b
    m = s.m / 2 + b + c / 3
    return dict(w=s.w - h.lr * (m + a), m=m)


RULES = {
    "sgd": dict(lr=0.1),
    "heavy_ball": dict(lr=0.02, beta=0.8),
    "nesterov": dict(lr=0.02, beta=0.8),
    "accelerated_sgd": dict(eta=0.01, alpha=0.1, beta=0.95),
    "accsgd": dict(lr=0.1, kappa=30, xi=4),
    "acsa": dict(lr=0.1, beta=3),
    "ademamix_sgd": dict(lr=0.05, beta1=0.5, beta3=0.95, alpha=2.0),
    "aggmo": dict(lr=0.02, beta1=0.5, beta2=0.9),
    "agnes": dict(lr=0.05, alpha=0.1, rho=0.8),
    "dana": dict(g1=1.0, g2=0.05, g3=0.01, delta=1e300),
    "ema_mixture_sgd": dict(lr=0.03, beta1=0.5, beta2=0.9, beta3=0.95, alpha2=1.0, alpha3=1.0, nu=0.8),
    "nesterov_velocity": dict(lr=0.03, mu=0.7),
    "nesterov_sequences": dict(lr=0.02, mu=0.9),
    "ema_nesterov": dict(lr=0.05, beta=0.6, gamma=0.8),
    "gpa": dict(lr=0.3, mu_x=0.9, mu_y=0.8),
    "grokfast": dict(lr=0.03, alpha=0.9, lamb=2.0),
    "overshoot": dict(lr=0.01, beta=0.8, gamma=3.0),
    "refined_schedule_free": dict(lr=0.3, beta=0.9, c=0.05),
    "storm": dict(lr=0.1, a=0.2),
    "jain": dict(alpha=0.9, beta=0.2, gamma=0.3, delta=0.1),
    "mars_sgd": dict(lr=0.1, beta=0.8, gamma=0.05),
    "mars_exact_sgd": dict(lr=0.1, beta=0.8, gamma=0.05),
    "mass": dict(eta1=0.1, eta2=0.02, gamma=0.8),
    "qhm": dict(lr=0.2, beta=0.9, nu=0.7),
    "schedule_free": dict(lr=0.3, beta=0.9, c=0.05),
    "simplified_ademamix_sgd": dict(lr=0.005, beta=0.9, alpha=10.0),
    "triple_momentum": dict(alpha=0.1, beta=0.5, gamma=0.3, delta=0.2),
    "ema(sgd)": dict(lr=0.1, decay=0.9),
    "lookahead(sgd)": dict(lr=0.1),
    "paired": dict(lr=0.05),
    "extragradient": dict(lr=0.2),
    "decayed": dict(lr=0.1, decay=0.3),
}
OWN = {"paired": paired, "extragradient": extragradient, "decayed": decayed}
PROBLEMS = {
    "quadratic": dict(grad_noise=0.5),
    "linear_regression": dict(label_noise=0.5),
    "signs": dict(kurtosis=1, label_noise=0.5),
    "independent": dict(kurtosis=8, label_noise=0.5),
    "one_hot": dict(label_noise=0.5),
    "plrf": dict(spectrum=None, data_exponent=0.8, target_exponent=0.3, features_seed=1),
}


def rule(name):
    return OWN[name] if name in OWN else find(name)


def regression(**options):
    return problems.make("linear_regression", **{"dim": 6, "spectrum": "geometric:100", **options})


def made(name, **options):
    shared = {"dim": 6, "spectrum": "geometric:30", "batch": 3}
    kind = "independent" if name == "signs" else name
    return problems.make(kind, **{**shared, **PROBLEMS[name], **options})


def has_a_rate(name):
    try:
        constant_system(rule(name), **RULES[name])
    except InputError:
        return False
    return True


CONSTANT = [name for name in RULES if has_a_rate(name)]


def test_every_linear_rule_with_constant_coefficients_is_among_the_cases():
    def linear(rule):
        try:
            return linear_tableau(rule)
        except InputError:
            return None

    assert {name for name, rule in optimizers.shipped().items() if linear(rule)} <= set(RULES)
    assert set(RULES) - set(CONSTANT) == {"dana", "lookahead(sgd)", "storm"}  # theirs vary in time at any constants


@pytest.mark.parametrize("place", PROBLEMS)
def test_all_ways_to_a_rate_agree(place):
    problem, other = made(place), made(place, dim=7) if place == "plrf" else made(place, spectrum="geometric:31")
    for name in CONSTANT:
        system, step = constant_system(rule(name), **RULES[name])
        truth = dense.Dense(system, step, problem).gap()
        found = {"rate": gap(rule(name), problem, **RULES[name]), "matrix": Coupling(system, step, problem).gap()}
        if system.stages == (1,):
            found["floats"] = Secular(system, step, problem).gap()
        for way, value in found.items():
            assert value == pytest.approx(truth, rel=1e-9, abs=1e-13), (name, way)
        if name != "acsa":
            assert gap(rule(name), other, **RULES[name]) != pytest.approx(truth, rel=1e-4), name


@pytest.mark.parametrize("place", PROBLEMS)
def test_a_hundred_dimensions_agree_with_dense_eigenvalues(place):
    spectrum = {} if place == "plrf" else {"spectrum": "power:1"}
    problem, other = (made(place, dim=dim, batch=20, **spectrum) for dim in (100, 99))
    for name in CONSTANT:
        truth = dense.Dense(*constant_system(rule(name), **RULES[name]), problem).gap()
        found = gap(rule(name), problem, **RULES[name])
        assert 1 + found == pytest.approx(1 + truth, rel=1e-14), name
        assert found == pytest.approx(truth, rel=1e-10), name
        assert name == "acsa" or gap(rule(name), other, **RULES[name]) != pytest.approx(truth, rel=1e-6), name


@pytest.mark.parametrize("batch", [1, 64, 4096])
@pytest.mark.parametrize("scale", [1.0, 4.0, 30.0])
def test_stable_and_unstable_rates_agree_with_dense_eigenvalues(batch, scale):
    """Across the edge of stability, where the root passes z = 1, and far beyond."""
    problem = regression(batch=batch)
    for name in ("sgd", "heavy_ball", "accelerated_sgd", "ademamix_sgd", "paired"):
        values = {k: v * scale if k in ("lr", "eta", "alpha") else v for k, v in RULES[name].items()}
        system, step = constant_system(rule(name), **values)
        truth = dense.Dense(system, step, problem).gap()
        assert gap(rule(name), problem, **values) == pytest.approx(truth, rel=1e-9)
        assert rates.stable(rule(name), problem, **values) == (truth < 0)


@pytest.mark.parametrize("size", [1000, 100_000])
def test_many_directions_agree_with_the_equation_written_out_for_sgd(size):
    """At the root, the sum over directions of lr^2 lam^2 / (B (z - (1 - lr lam)^2) - lr^2 lam^2) is 1."""
    problem = made("linear_regression", dim=size, spectrum="power:0.7", batch=10)
    lr = 0.5 * edge(find("sgd"), problem, "lr", lr=0.01)
    x = lr * problem.spectrum

    def written(mu):
        return (x**2 / (10 * (mu + x * (2 - x)) - x**2)).sum()

    found = gap(find("sgd"), problem, lr=lr)
    assert written(found) == pytest.approx(1, rel=1e-7)
    assert written(found * (1 - 1e-4)) != pytest.approx(1, rel=1e-7)
    assert found > -2 * x.min()  # not the rate of the mean


def slope(run, start):
    """Mean slope of the logarithm of the bias from a step on."""
    first = np.searchsorted(run.steps, start)
    return np.log(run.bias[-1] / run.bias[first]) / (run.steps[-1] - run.steps[first])


@pytest.mark.parametrize("name", [name for name in CONSTANT if name != "decayed"])  # its bias ends elsewhere than at 0
def test_the_risk_of_a_long_run_falls_at_the_rate(name):
    values = RULES[name]
    problem = regression(batch=4, spectrum="geometric:5", dim=3)
    found = rate(rule(name), problem, **values)
    run = accelsim.risk(rule(name), problem, int(300 * found.tau), **values)
    assert slope(run, 150 * found.tau) == pytest.approx(-1 / found.tau, rel=1e-3)
    assert slope(run, 0) != pytest.approx(-1 / rate(rule(name), regression(), **values).tau, rel=1e-2)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "table.npy"
    np.save(path, np.random.default_rng(seed_of("table")).standard_exponential((40, 7)))
    return lambda **options: problems.make("dataset", **{"data": str(path), "target": 6, "batch": 2, **options})


@pytest.mark.parametrize("name", ["sgd", "nesterov", "ademamix_sgd", "ema(sgd)", "decayed"])
def test_rates_on_a_table_agree_with_dense_eigenvalues(table, name):
    """On both sides of the number of unknowns from which the noise's map is no longer written out."""
    for options in ({}, dict(batch=50), dict(batch=1)):
        problem, values = table(**options), {**RULES[name], "lr": 0.03}
        system, step = constant_system(rule(name), **values)
        truth = dense.Dense(system, step, problem).gap()
        assert gap(rule(name), problem, **values) == pytest.approx(truth, rel=1e-9)
        assert rates.stable(rule(name), problem, **values) == (truth < 0)
        gaussian = regression(dim=6, spectrum=problem.spectrum, batch=problem.batch)
        assert gap(rule(name), gaussian, **values) != pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("lr", [0.0, 1e-300, 1e60, 1e300])
def test_step_sizes_at_the_ends_of_float64_are_no_surprise(table, lr):
    for problem in (table(), regression(), problems.make("one_hot")):
        for name in ("sgd", "extragradient"):
            if lr < 1e100:
                found = rate(rule(name), problem, lr=lr)
                assert found.stable == (lr == 1e-300)
                assert found.rho == 1 if lr < 1 else found.rho > lr
            else:
                found = rate(rule(name), problem, lr=lr)
                assert (found.rho, found.tau, found.stable, found.rho_high) == (math.inf, math.inf, False, math.inf)
                assert found.rho_low >= 1
                assert floor(rule(name), problem, lr=lr) is None


def test_an_edge_is_found_from_where_the_rate_overflows():
    problem = regression()
    assert edge(find("sgd"), problem, "lr", lr=1e300) == pytest.approx(edge(find("sgd"), problem, "lr", lr=0.1))


def test_an_edge_is_told_only_where_it_is_certain():
    """Where it was not certain that a run is stable, that was taken for the edge: 1.8e-4 for 4."""
    problem = problems.make("quadratic", dim=2, spectrum="power:1")
    for beta in (0.99999, 1 - 1e-10):
        found = edge(find("heavy_ball"), problem, "lr", lr=0.1, beta=beta)
        assert found == pytest.approx(2 * (1 + beta), rel=1e-6)
    with pytest.raises(InputError, match=r"between .* and .*, where rounding"):
        edge(find("heavy_ball"), problem, "lr", lr=0.1, beta=1 - 1e-15)
    with pytest.raises(InputError, match="not certain: take another value"):
        edge(find("ema(sgd)"), regression(dim=3), "lr", lr=1e-300, decay=1 - 1e-16)


def test_an_edge_is_found_from_anywhere_in_a_bounded_range():
    problem = regression(dim=3, batch=8)
    values = dict(lr=5.0, beta=0.75)
    found = edge(find("schedule_free"), problem, "c", c=0.55, **values)
    for c in (0.3, 0.5, 0.6):  # from some of them it was said that there is none
        assert edge(find("schedule_free"), problem, "c", c=c, **values) == pytest.approx(found, rel=1e-9)
    assert edge(find("sgd"), problems.make("quadratic"), "lr", lr=1e308) == pytest.approx(2.0)


def test_an_overflow_alone_is_no_proof_of_growth(monkeypatch):
    def overflow(*_):
        raise secular.too_large()

    monkeypatch.setattr(rates, "_solver", overflow)
    for ask in (rate, rates.stable, floor):
        with pytest.raises(InputError, match="smaller step sizes"):
            ask(find("nesterov"), regression(), lr=0.1, beta=0.5)
    assert not rate(find("nesterov"), regression(), lr=1e9, beta=0.5).stable


def test_the_edge_is_that_of_a_step_size_that_has_one(capsys, monkeypatch):
    command = ["accelsim", "rate", "accelerated_sgd", "--problem", "linear_regression", "--json"]
    for alpha, beta, name in (("3", "0.9", "alpha"), ("0.1", "0.5", "eta")):
        chosen = [f"--set={k}={v}" for k, v in (("eta", "0.01"), ("alpha", alpha), ("beta", beta))]
        monkeypatch.setattr(sys, "argv", [*command, *chosen])
        with pytest.raises(SystemExit):
            cli.main()
        found = json.loads(capsys.readouterr().out)["edge"]
        assert list(found) == [name]
        assert found[name] > 0


def test_the_map_that_is_not_written_out_has_the_same_largest_eigenvalue(table, monkeypatch):
    problem = table()
    found = gap(find("nesterov"), problem, **RULES["nesterov"])
    monkeypatch.setattr(structured, "_WRITTEN", 4)
    assert gap(find("nesterov"), problem, **RULES["nesterov"]) == pytest.approx(found, rel=1e-10)


def test_a_shift_at_an_eigenvalue_is_told_and_warns_of_nothing(table):
    solver = structured.Structured(*constant_system(find("sgd"), lr=0.1), table())
    size = len(solver.pairs[0])
    solver.__dict__["_noise_map"] = np.eye(size)
    with pytest.raises(np.linalg.LinAlgError, match="eigenvalue"):
        solver._noise_solver(np.ones(size))


@pytest.mark.parametrize("name", ["sgd", "mars_exact_sgd"])
def test_the_risk_on_a_table_falls_at_its_rate(table, name):
    problem, values = table(), RULES[name]
    found = rate(find(name), problem, **values)
    run = accelsim.risk(find(name), problem, int(40 * found.tau), **values)
    assert slope(run, 20 * found.tau) == pytest.approx(-1 / found.tau, rel=1e-2)


@pytest.mark.parametrize("place", PROBLEMS)
def test_floors_are_where_long_runs_end(place):
    problem = made(place, batch=8) if place == "plrf" else made(place, batch=8, spectrum="geometric:5")
    for name in ("accelerated_sgd", "mars_exact_sgd", "ema(sgd)", "paired", "decayed"):
        values = RULES[name]
        tau = rate(rule(name), problem, **values).tau
        run = accelsim.risk(rule(name), problem, int(40 * tau), **values)
        found = floor(rule(name), problem, **values)
        assert found == pytest.approx(run.risk[-1], rel=1e-6), name
        assert found > 1e-4
    assert floor(find("sgd"), problem, lr=1e3) is None


@pytest.mark.parametrize("name", ["nesterov", "ema(sgd)", "decayed", "mars_exact_sgd", "paired"])
def test_floors_on_a_table_are_where_long_runs_end(table, name):
    problem, values = table(batch=20 if name == "paired" else 2), {**RULES[name], "lr": 0.02}
    run = accelsim.risk(rule(name), problem, int(40 * rate(rule(name), problem, **values).tau), **values)
    found = floor(rule(name), problem, **values)
    assert found == pytest.approx(run.risk[-1], rel=1e-7)
    assert floor(rule(name), table(batch=40), **values) < 0.9 * found or name == "decayed"


def test_the_floor_of_sgd_is_the_closed_form():
    problem = problems.make("quadratic", spectrum=[1.0, 0.5], grad_noise=0.3, noise_shape=[1.0, 2.0], batch=3)
    variances = 0.04 * 0.1 * np.array([1, 2]) / (1 - (1 - 0.2 * problem.spectrum) ** 2)
    assert floor(find("sgd"), problem, lr=0.2) == pytest.approx(problem.spectrum @ variances / 2, rel=1e-13)
    assert floor(find("sgd"), problems.make("quadratic"), lr=0.2) == 0


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


def stable_design(lam, batch, lr, kurtosis):
    """For SGD on independent coordinates: with kurtosis 3 the condition of `stable_sgd`."""
    x = lr * lam
    below = batch * (2 - x) - (kurtosis - 2) * x
    return (x < 2).all() and (below > 0).all() and (x / below).sum() < 1


def random_problems(draw, batch):
    """With a largest eigenvalue of 1; kurtosis 1 in some coordinates, Gaussian inputs beside."""
    for _ in range(10):
        dim = int(draw.integers(1, 8))
        lam = 10 ** draw.uniform(-3, 0, dim)
        lam /= lam.max()
        kurtosis = 1 + draw.exponential(3, dim) * draw.integers(0, 2, dim)
        shared = dict(spectrum=lam, batch=batch)
        yield problems.make("linear_regression", **shared), problems.make("independent", kurtosis=kurtosis, **shared)


def test_stability_is_where_closed_forms_say():
    """Wang, Huang, Li and Wu 2026, for three rules; for SGD on other designs too. 2000 points each, of both kinds."""
    draw = np.random.default_rng(seed_of("closed-form stability"))
    verdicts = {"sgd": [], "heavy_ball": [], "nesterov": [], "design": []}
    for _ in range(200):
        batch, r = int(draw.choice([1, 2, 5, 30, 1000])), 1 - 10 ** draw.uniform(-3, 0)
        lr = 10 ** draw.uniform(-1.5, 0.5) * min(1, 3 * batch * (1 - r))
        plain = constant_system(find("sgd"), lr=10 * lr)
        momentum = {name: constant_system(find(name), lr=lr, beta=r) for name in ("heavy_ball", "nesterov")}
        for gaussian, design in random_problems(draw, batch):
            lam = gaussian.spectrum
            expected = {
                "sgd": (stable_sgd(lam, batch, 10 * lr), plain, gaussian),
                "heavy_ball": (stable_heavy_ball(lam, batch, lr, r), momentum["heavy_ball"], gaussian),
                "nesterov": (stable_nesterov(lam, batch, lr, r), momentum["nesterov"], gaussian),
                "design": (stable_design(lam, batch, 10 * lr, design.kurtosis), plain, design),
            }
            for name, (stable, system, problem) in expected.items():
                solver = Secular(*system, problem)
                assert solver.judge(0.0)[0] == (ABOVE if stable else BELOW)
                assert (solver.gap() < 0) == stable
                verdicts[name].append(stable)
    for seen in verdicts.values():
        assert len(seen) == 2000
        assert 200 < sum(seen) < 1800


def test_one_direction_is_unstable_at_a_kurtosis_that_others_stand():
    """One-hot: lr < 2B / (lam (B + c - 1)) in each direction by itself."""
    problem = problems.make("one_hot", spectrum=[1.0, 0.2], kurtosis=[2.0, 60.0], batch=2)
    assert edge(find("sgd"), problem, "lr", lr=0.01) == pytest.approx(4 / (0.2 * 61), rel=1e-9)
    other = problems.make("one_hot", spectrum=[1.0, 0.2], kurtosis=[2.0, 2.0], batch=2)
    assert edge(find("sgd"), other, "lr", lr=0.01) == pytest.approx(4 / 3, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "values", "key", "expected"),
    [
        ("sgd", dict(lr=0.1), "lr", 2.0),
        ("sgd", dict(lr=50.0), "lr", 2.0),
        ("sgd", dict(lr=1e90), "lr", 2.0),
        ("sgd", dict(lr=1e-90), "lr", 2.0),
        ("sgd", dict(lr=0.0), "lr", 2.0),
        ("heavy_ball", dict(lr=0.1, beta=0.5), "lr", 3.0),
        ("heavy_ball", dict(lr=3.0, beta=0.2), "beta", 0.5),  # lr < 2 (1 + beta): momentum stabilises
        ("heavy_ball", dict(lr=3.0, beta=0.99), "beta", 0.5),
        ("heavy_ball", dict(lr=1.0, beta=0.5), "beta", None),
        ("nesterov", dict(lr=1.5, beta=0.1), "beta", 0.5),  # lr (1 + 2 beta) < 2 (1 + beta)
        ("qhm", dict(lr=3.0, beta=0.5, nu=1.0), "nu", 0.5),
        ("accelerated_sgd", dict(eta=0.1, alpha=0.5, beta=0.5), "eta", 2.25),
    ],
)
def test_edges_without_noise_are_the_closed_forms(name, values, key, expected):
    found = edge(find(name), problems.make("quadratic", spectrum=[1.0]), key, **values)
    assert found == (expected if expected is None else pytest.approx(expected, rel=1e-9))


def test_edges_say_what_they_are_not_for():
    problem = regression()
    with pytest.raises(InputError, match="did you mean 'lr'"):
        edge(find("sgd"), problem, "lrr", lr=0.1)
    with pytest.raises(InputError, match="whole number"):
        edge(find("schedule_free"), problem, "warmup_steps", lr=0.1, c=0.1)
    with pytest.raises(InputError, match="varies in time"):
        edge(find("schedule_free"), problem, "c", lr=0.1)


def test_a_dead_memory_brings_no_rate_of_its_own():
    problem = regression(batch=8)
    slow = dict(lr=0.5, beta=1 - 1e-6)
    assert rate(idle, problem, **slow) == rate(find("sgd"), problem, lr=0.5)
    assert rate(idle, problem, **slow).rho < slow["beta"] ** 2
    assert len(constant_system(find("mars_sgd"), **RULES["mars_sgd"])[0].A) == 2  # the stored gradient adds nothing
    assert len(constant_system(find("ademamix_sgd"), **{**RULES["ademamix_sgd"], "beta3": 0.5})[0].A) == 2


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), weight=step_size(1.0))
def differences(s, t, h):
    """A memory of differences of gradients on one sample, beside a gradient on another one."""
    a, b = yield s.w, s.w - s.m
    g = yield s.w
    m = s.m / 2 + h.lr * h.weight * (a - b) + h.lr * g
    return dict(w=s.w - h.lr * g - m / 8, m=m)


def test_queries_that_act_as_one_are_one():
    """Exact MARS feels one combination of its two gradients, `paired` both of its first two."""
    stages = {name: constant_system(rule(name), **RULES[name])[0].stages for name in ("mars_exact_sgd", "paired")}
    assert stages == {"mars_exact_sgd": (1,), "paired": (2, 1)}
    assert constant_system(differences, lr=0.2)[0].stages == (1, 1)
    assert rates.exact_system(differences, lr=0.2).lasting == (False, True)
    problem = regression(batch=8, spectrum="geometric:5", label_noise=1.0)
    for values in (dict(lr=0.2), dict(lr=0.2, weight=0.0)):  # where nothing is felt of a yield, too
        run = accelsim.risk(differences, problem, 3000, **values)
        assert floor(differences, problem, **values) == pytest.approx(run.risk[-1], rel=1e-8)
        assert slope(run, 40) == pytest.approx(gap(differences, problem, **values), rel=0.1)


def test_the_merged_rate_is_that_of_all_queries():
    """Dense eigenvalues of exact MARS in position and last step, with both of its queries."""
    lr, beta, gamma = RULES["mars_exact_sgd"].values()
    c = gamma / (1 - beta)
    a = np.array([[1.0, beta], [0.0, beta]])  # m = beta m + (1 - beta) (g + c beta (g - g'))
    b = -lr * (1 - beta) * np.array([[1 + c * beta, -c * beta]] * 2)
    system = System(a, b, np.array([[1.0, 0], [1, -1]]), np.zeros((2, 2)), np.array([[1.0, 0]]), (2,))
    for place in PROBLEMS:
        truth = dense.Dense(system, a - np.eye(2), made(place)).gap()
        assert gap(find("mars_exact_sgd"), made(place), **RULES["mars_exact_sgd"]) == pytest.approx(truth, rel=1e-9)


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
    expected = -2 * lr + lr**2 * (1 + 2 / batch)
    problem = regression(dim=1, spectrum=[1.0], batch=batch)
    assert rate(find("sgd"), problem, lr=lr).tau == pytest.approx(-1 / math.log1p(expected), rel=1e-12)
    assert gap(find("sgd"), problem, lr=lr) == pytest.approx(expected, rel=1e-12)


def test_ill_conditioned_rates_keep_their_digits():
    """Against the equation written out in rational arithmetic: slow modes of 1e-8 beside a momentum near 1."""
    from fractions import Fraction

    problem = regression(dim=3, spectrum=[1.0, 2**-13, 2**-27], batch=4)
    eta, alpha, beta = Fraction(1, 1024), Fraction(1, 4), 1 - Fraction(1, 2**20)
    found = gap(find("accelerated_sgd"), problem, eta=float(eta), alpha=float(alpha), beta=float(beta))

    def excess(mu):
        """Of the sum over directions, each h by Gauss elimination on its three moments, over 1."""
        total = Fraction(0)
        for lam in map(Fraction, problem.spectrum.tolist()):
            e = [[-(eta + alpha) * lam, -eta * beta], [lam, beta - 1]]
            b = [-(eta + alpha), Fraction(1)]
            t = [[1 + e[0][0], e[0][1]], [e[1][0], 1 + e[1][1]]]
            rows = [
                [mu - 2 * e[0][0] - e[0][0] ** 2, -2 * t[0][0] * t[0][1], -(t[0][1] ** 2), b[0] ** 2],
                [-t[0][0] * t[1][0], 1 + mu - t[0][0] * t[1][1] - t[0][1] * t[1][0], -t[0][1] * t[1][1], b[0] * b[1]],
                [-(t[1][0] ** 2), -2 * t[1][0] * t[1][1], mu - 2 * e[1][1] - e[1][1] ** 2, b[1] ** 2],
            ]
            for column in (2, 1):
                for row in range(column):
                    factor = rows[row][column] / rows[column][column]
                    rows[row] = [x - factor * y for x, y in zip(rows[row], rows[column], strict=True)]
            h = rows[0][3] / rows[0][0]
            total += lam**2 * h / (4 - lam**2 * h)
        return total - 1

    assert excess(Fraction(found * (1 - 1e-9))) * excess(Fraction(found * (1 + 1e-9))) < 0
    assert excess(Fraction(found * (1 - 1e-9))) * excess(Fraction(found * (1 - 1e-8))) > 0
    assert abs(found) < 1e-6


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
    still = rate(find("sgd"), regression(), lr=0.0)
    assert (still.rho, still.tau, still.stable) == (1.0, math.inf, False)
    instant = rate(find("sgd"), problems.make("quadratic", spectrum=[1.0]), lr=1.0)
    assert (instant.rho, instant.tau, instant.stable, instant.rho_low) == (0.0, 0.0, True, 0.0)
    assert instant.rho_high < 1e-6


def test_what_has_no_rate_is_refused_with_what_would_work(monkeypatch):
    with pytest.raises(InputError, match=r"vary in time here.*use risk"):
        rate(find("schedule_free"), regression(), lr=0.1)
    with pytest.raises(InputError, match=r"vary in time here.*use risk"):
        rate(find("sgd"), regression(), lr="0.1/(t+1)")
    with pytest.raises(InputError, match="not linear"):
        rate(find("signum"), regression(), lr=0.1)
    monkeypatch.setattr(dense, "LARGEST", 100)
    with pytest.raises(InputError, match=r"210 x 210 matrix, more than 100"):
        rate(paired, problems.make("dataset", data="diabetes"), lr=0.01)
    monkeypatch.setattr(structured, "LARGEST", 1e3)
    with pytest.raises(InputError, match=r"442 rows with 10 eigendirections.*more than 1000: take fewer"):
        rate(find("nesterov"), problems.make("dataset", data="diabetes"), **RULES["nesterov"])
