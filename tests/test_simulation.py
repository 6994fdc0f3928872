"""The plain engine runs the rule itself; paths depend on seed and replica only; divergence is counted, not averaged."""

import math
import sys
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import seed_of

from accelsim import optimizers, problems, stats
from accelsim.elementary import maximum, sqrt, total
from accelsim.errors import InputError
from accelsim.rule import optimizer, step_size
from accelsim.simulation import backends, driver
from accelsim.simulation.driver import DIVERGED
from accelsim.simulation.philox import Draws
from accelsim.simulation.streaming import ACCURACY, EXACT, Statistics

LIMIT = 4.5  # standard errors
simulate = partial(driver.simulate, backend="numpy")
SGD = optimizers.find("sgd")


class Bowl:
    """A stand-in problem: curvatures by coordinate, additive noise, and a record of what it was asked."""

    name = "bowl"

    def __init__(self, curvature=(1.0, 0.25, 0.0625), start=(1.0, -2.0, 3.0), noise=0.1):
        self.curvature, self.start, self.noise = np.array(curvature), np.array(start), noise
        self.dim = len(self.start)
        self.asked = []

    def sample(self, errors, draw):
        self.asked.append((draw.step, draw.stage, errors))
        noise = self.noise * draw.normal(0)
        return tuple(error * self.curvature.astype(error.dtype) + noise for error in errors)

    def risk(self, errors):
        return (errors * errors * self.curvature.astype(errors.dtype)).sum(axis=-1) / 2


def assert_equal(a, b):
    for field in ("steps", "mean", "standard_error", "diverged"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)
    for level in stats.LEVELS:
        np.testing.assert_array_equal(a.quantiles[level], b.quantiles[level])


# -- the run -----------------------------------------------------------------------------------------------------------


def test_sgd_without_noise_follows_its_closed_form():
    bowl = Bowl(noise=0.0)
    found = simulate(SGD, bowl, 50, 3, lr=0.5)
    errors = bowl.start * (1 - 0.5 * bowl.curvature) ** found.steps[:, None]
    expected = bowl.risk(errors)
    np.testing.assert_allclose(found.mean, expected, rtol=1e-12)
    np.testing.assert_allclose(stats.z_scores(found, expected), 0, atol=1)
    assert abs(stats.z_scores(found, 1.001 * expected)).min() > LIMIT
    assert found.steps[0] == 0
    assert found.steps[-1] == 50


@optimizer(positions="w", memories="m", returns="w", lr=step_size())
def clipped(s, t, h):
    """Momentum with its norm over all coordinates clipped to 1."""
    g = yield s.w
    m = 0.9 * s.m + g
    return dict(w=s.w - h.lr * m / maximum(1, sqrt(total(m * m))), m=m)


@optimizer(positions="w", returns="w", lr=step_size())
def extragradient(s, t, h):
    """Two queries a step, each on a sample of its own."""
    ahead = s.w - h.lr * (yield s.w)
    return dict(w=s.w - h.lr * (yield ahead))


@optimizer(positions="w", returns="w", lr=step_size())
def paired(s, t, h):
    """Two queries on one sample."""
    a, b = yield s.w, 2 * s.w
    return dict(w=s.w - h.lr * (a + b))


def clipped_by_hand(e, m, lr, gradient):
    m = 0.9 * m + gradient(e, 0)
    return e - lr * m / np.maximum(1, np.sqrt((m * m).sum(axis=1, keepdims=True))), m


def extragradient_by_hand(e, m, lr, gradient):
    return e - lr * gradient(e - lr * gradient(e, 0), 1), m


@pytest.mark.parametrize(("rule", "by_hand"), [(clipped, clipped_by_hand), (extragradient, extragradient_by_hand)])
def test_a_run_is_the_rule_on_the_numbers_of_the_contract(rule, by_hand):
    bowl, replicas, steps, lr = Bowl(noise=1.0), 6, 30, 0.4
    draws = Draws(11, replicas, bowl.dim)

    def run(stages):
        e, m, risks = np.tile(bowl.start, (replicas, 1)), np.zeros((replicas, bowl.dim)), []
        for t in range(steps):
            risks.append(bowl.risk(e).mean())
            e, m = by_hand(e, m, lr, lambda e, stage: e * bowl.curvature + draws.at(t, stages[stage]).normal(0))  # noqa: B023
        return np.array([*risks, bowl.risk(e).mean()])

    found = simulate(rule, bowl, steps, replicas, seed=11, lr=lr)
    np.testing.assert_allclose(found.mean, run((0, 1))[found.steps], rtol=1e-11)
    assert not np.allclose(found.mean, run((1, 0))[found.steps], rtol=1e-3)


def test_queries_of_one_yield_share_a_sample_and_each_yield_has_its_own():
    bowl = Bowl()
    simulate(paired, bowl, 2, 3, lr=0.1)
    assert [(step, stage, len(errors)) for step, stage, errors in bowl.asked] == [(0, 0, 2), (1, 0, 2)]
    points = [error - bowl.start for error in bowl.asked[1][2]]
    np.testing.assert_allclose(points[1], 2 * points[0], rtol=1e-12)
    bowl = Bowl()
    simulate(extragradient, bowl, 2, 3, lr=0.1)
    assert [asked[:2] for asked in bowl.asked] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {len(errors) for _, _, errors in bowl.asked} == {1}


CASES = {
    "accelerated_sgd": dict(eta=0.05, alpha=0.1, beta=0.9),
    "schedule_free": dict(lr=0.3, warmup_steps=5),
    "lion": dict(lr="0.01/sqrt(t+1)"),
    "adamw": dict(lr=0.01),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_a_path_does_not_depend_on_how_many_replicas_run_at_once(name, chunk):
    rule, values = optimizers.find(name), CASES[name]
    whole = simulate(rule, Bowl(), 60, 20, seed=3, **values)
    assert_equal(simulate(rule, Bowl(), 60, 20, seed=3, chunk=chunk, **values), whole)
    assert not np.array_equal(simulate(rule, Bowl(), 60, 20, seed=4, chunk=chunk, **values).mean, whole.mean)


def test_a_path_does_not_depend_on_how_many_replicas_there_are():
    alone, both = (simulate(SGD, Bowl(), 40, seeds, lr=0.5) for seeds in (1, 2))
    low, high = both.quantiles[stats.LEVELS[0]], both.quantiles[stats.LEVELS[-1]]
    assert np.all((alone.mean == low) | (alone.mean == high))
    assert np.all(low[1:] < high[1:])


def test_a_longer_run_begins_like_a_shorter_one():
    short, long = (simulate(SGD, Bowl(), steps, 5, lr=0.5) for steps in (100, 300))
    np.testing.assert_array_equal(long.mean[: len(short.mean)], short.mean)


PROBLEMS = {
    "quadratic": dict(dim=5, grad_noise=1.0),
    "linear_regression": dict(dim=5, batch=3, label_noise=1.0),
    "dataset": dict(data="diabetes", batch=3),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_runs_in_parts_and_in_single_precision(name):
    problem = problems.make(name, **PROBLEMS[name])
    rule, values = optimizers.find("accelerated_sgd"), dict(eta=0.001, alpha=0.01, beta=0.9)
    double = simulate(rule, problem, 50, 200, **values)
    parts = simulate(rule, problem, 50, 200, chunk=60, **values)
    np.testing.assert_allclose(parts.mean, double.mean, rtol=1e-10)

    def score(other):
        error = np.hypot(other.standard_error, double.standard_error)[1:]
        return abs((other.mean - double.mean)[1:] / error).max()

    single = simulate(rule, problem, 50, 200, dtype="float32", **values)
    assert single.mean[0] == pytest.approx(double.mean[0], rel=1e-6)
    assert 0 < score(single) < LIMIT
    assert score(simulate(rule, problem, 50, 200, dtype="float32", **{**values, "alpha": 0.02})) > LIMIT


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_arrays_keep_their_precision(name, dtype):
    bowl = Bowl()
    simulate(optimizers.find(name), bowl, 10, 3, dtype=dtype, **CASES[name])
    assert {error.dtype for _, _, errors in bowl.asked for error in errors} == {np.dtype(dtype)}


# -- against exact moments ---------------------------------------------------------------------------------------------


def test_mean_risk_is_the_exact_one_under_additive_noise():
    bowl, lr, replicas = Bowl(noise=1.0), 0.3, 4000
    found = simulate(SGD, bowl, 200, replicas, seed=seed_of("additive"), lr=lr)
    second, exact, without = bowl.start**2, [], []
    bias = second.copy()
    for _ in range(201):
        exact.append(bowl.curvature @ second / 2)
        without.append(bowl.curvature @ bias / 2)
        second = (1 - lr * bowl.curvature) ** 2 * second + lr**2
        bias = (1 - lr * bowl.curvature) ** 2 * bias
    assert abs(stats.z_scores(found, np.array(exact)[found.steps])).max() < LIMIT
    assert abs(stats.z_scores(found, np.array(without)[found.steps])).max() > 10 * LIMIT


@pytest.mark.parametrize("batch", [1, 8])
def test_mean_risk_is_the_exact_one_under_multiplicative_noise(batch):
    problem = problems.make("linear_regression", dim=4, spectrum="geometric:10", batch=batch, label_noise=0.5)
    lam, lr = problem.spectrum, 0.05
    found = simulate(SGD, problem, 60, 4000, seed=seed_of(f"multiplicative {batch}"), lr=lr)
    second, additive, exact, control = problem.start**2, problem.start**2, [], []
    for _ in range(61):
        exact.append(lam @ second / 2)
        control.append(lam @ additive / 2)
        noise = (lam**2 * second + lam * (lam @ second) + 0.5 * lam) / batch
        second = (1 - lr * lam) ** 2 * second + lr**2 * noise
        additive = (1 - lr * lam) ** 2 * additive + lr**2 * 0.5 * lam / batch
    assert abs(stats.z_scores(found, np.array(exact)[found.steps])).max() < LIMIT
    assert abs(stats.z_scores(found, np.array(control)[found.steps])).max() > LIMIT


# -- divergence --------------------------------------------------------------------------------------------------------


class OneExplodes(Bowl):
    """The gradient of one replica of the run is far too large."""

    def __init__(self, victim):
        super().__init__()
        self.victim = victim

    def sample(self, errors, draw):
        gradients = super().sample(errors, draw)
        for gradient in gradients:
            gradient[self.victim] *= 1e9
        return gradients


def test_a_diverged_replica_is_counted_and_harms_no_other():
    calm = simulate(SGD, Bowl(), 400, 9, lr=0.5)
    found = simulate(SGD, OneExplodes(4), 400, 9, lr=0.5)  # overflows to NaN without a warning, warnings being errors
    assert found.diverged[0] == 0
    assert found.diverged[-1] == 1
    assert np.all(np.diff(found.diverged) >= 0)
    gone = found.diverged == 1
    assert np.all(np.isinf(found.mean) == gone)
    assert np.all(np.isinf(found.standard_error) == gone)
    assert np.all(np.isinf(found.quantiles[0.95]) == gone)
    assert np.all(np.isfinite(found.quantiles[0.75]))
    assert np.all(found.quantiles[0.5] >= calm.quantiles[0.5])
    assert np.all(found.quantiles[0.05] >= calm.quantiles[0.05])
    assert calm.diverged.sum() == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_that_diverges_altogether_says_so(dtype):
    problem = problems.make("linear_regression", dim=3, batch=1, label_noise=1.0)
    found = simulate(SGD, problem, 2000, 5, lr=30.0, dtype=dtype)
    assert found.diverged[-1] == 5
    assert all(np.isinf(row[-1]) for row in (found.mean, *found.quantiles.values()))
    assert np.all(stats.z_scores(found, np.where(np.arange(len(found.steps)) == 0, found.mean[0], 1.0))[1:] != 0)


def where_first(value):
    """A step size that is `value` at the first step and 1 after."""
    return lambda t: value if t == 0 else 1.0


def test_a_replica_that_comes_back_stays_diverged():
    far, near = (simulate(SGD, Bowl((1.0,), (1.0,), noise=0.0), 5, 2, lr=where_first(leap)) for leap in (1e20, 1e10))
    assert far.diverged.tolist() == [0, 2, 2, 2, 2, 2]
    assert near.diverged.sum() == 0
    assert 1 < near.mean[1] / near.mean[0] < DIVERGED
    assert near.mean[-1] < near.mean[0]


def test_a_run_from_the_optimum_may_leave_it():
    found = simulate(SGD, Bowl(start=(0.0, 0.0, 0.0)), 20, 4, lr=0.5)
    assert found.mean[0] == 0
    assert np.all(found.mean[1:] > 0)
    assert found.diverged.sum() == 0


# -- statistics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 2, 9, 10, 11, 1000, 12345])
def test_recorded_steps_are_log_spaced_and_end_with_the_last(steps):
    found = stats.log_spaced(steps)
    assert found[0] == 0
    assert found[-1] == steps
    assert np.all(np.diff(found) > 0)
    assert len(found) <= 2 + stats.PER_DECADE * math.log10(max(steps, 1)) + 1
    longer = stats.log_spaced(10 * steps + 1)
    assert set(found[:-1]) <= set(longer)


def statistics(risks, sizes=()):
    """Statistics of risks (n, replicas) that arrive in parts of the given sizes."""
    found = Statistics(*risks.shape)
    for part in np.split(risks, np.cumsum(sizes), axis=1):
        found.add(part)
    found.finish()
    return found


def test_statistics_of_replicas():
    risks = np.array([[1.0, 2.0, 3.0, 6.0], [1.0, 2.0, 3.0, math.inf], [5.0, 5.0, 5.0, 5.0]])
    found = statistics(risks)
    np.testing.assert_allclose(found.mean, [3.0, math.inf, 5.0])
    np.testing.assert_allclose(found.standard_error, [math.sqrt(14 / 3 / 4), math.inf, 0.0])
    np.testing.assert_array_equal(found.diverged, [0, 1, 0])
    quantiles = found.quantiles((0.0, 0.25, 0.5, 0.51, 1.0))
    np.testing.assert_array_equal(quantiles[:, :2].T, [[1, 1, 2, 3, 6], [1, 1, 2, 3, math.inf]])
    assert np.isnan(statistics(risks[:1, :1]).standard_error).all()


SPREAD = {"few": (1000, 0.0), "many": (EXACT + 5000, 300.0), "tiny": (5000, -300.0), "huge": (5000, 306.0)}


@pytest.mark.parametrize("case", SPREAD)
def test_streamed_statistics_are_those_of_all_replicas_whatever_their_size(case):
    replicas, power = SPREAD[case]
    risks = 10.0 ** np.random.default_rng(seed_of(case)).normal([[power - 1], [power]], 0.3, (2, replicas))
    found, scaled = statistics(risks), risks * 10.0**-power
    np.testing.assert_allclose(found.mean, scaled.mean(axis=1) * 10.0**power, rtol=1e-12)
    error = scaled.std(axis=1, ddof=1) / math.sqrt(replicas)
    np.testing.assert_allclose(found.standard_error, error * 10.0**power, rtol=1e-9)
    assert not np.allclose(found.standard_error[::-1], error * 10.0**power, rtol=1e-3, atol=0)
    ranks = [math.ceil(level * replicas) - 1 for level in stats.LEVELS]
    exact = np.sort(risks, axis=1)[:, ranks].T
    assert found.accuracy == (ACCURACY if replicas > EXACT else 0)
    np.testing.assert_allclose(found.quantiles(), exact, rtol=found.accuracy, atol=0)
    assert np.array_equal(found.quantiles(), exact) == (replicas <= EXACT)


@pytest.mark.parametrize("replicas", [EXACT + 9000, 3 * EXACT])
def test_streamed_statistics_do_not_depend_on_how_replicas_arrive(replicas):
    risks = np.random.default_rng(seed_of("arrive")).lognormal(size=(3, replicas))
    risks[2, replicas // 2 :: 7] = math.inf
    whole = statistics(risks).save()
    for sizes in ((1, 1, EXACT - 1), (EXACT,), (replicas - 1,), (100, 8000)):
        parts = statistics(risks, sizes).save()
        assert all(np.array_equal(parts[name], whole[name]) for name in whole)
    assert not np.array_equal(statistics(risks[:, ::-1].copy()).save()["mean"], whole["mean"])


def test_a_sketch_keeps_its_size_and_the_place_of_infinite_and_zero_risks():
    risks = np.random.default_rng(seed_of("sketch")).uniform(1, 2, (1, 8 * EXACT))
    risks[0, : 2 * EXACT], risks[0, -EXACT:] = math.inf, 0.0
    found = statistics(risks)
    assert len(found.save()["values"]) <= 515
    quantiles = found.quantiles((0.12, 0.13, 0.74, 0.76)).ravel()
    assert quantiles[0] == 0
    assert quantiles[3] == math.inf
    np.testing.assert_allclose(quantiles[1:3], [1.0, 2.0], rtol=0.02)


def test_scores_where_a_standard_error_vanishes_or_a_mean_is_infinite():
    found = SimpleNamespace(
        dtype="float64",
        mean=np.array([0.3, 0.3, 0.0, 0.0, 1.5, math.inf, math.inf, 1.0]),
        standard_error=np.array([0.0, 0.0, 0.0, 0.0, 0.1, math.inf, math.inf, 0.1]),
    )
    exact = np.array([0.1 + 0.2, 0.31, 0.0, 0.1, 1.2, 5.0, math.inf, math.inf])
    scores = stats.z_scores(found, exact)
    assert abs(scores[0]) < 1e-2
    assert abs(scores[1]) > 1e6
    assert scores[2] == 0
    assert abs(scores[3]) > 1e6
    np.testing.assert_allclose(scores[4:], [3.0, math.inf, 0.0, -math.inf], rtol=1e-6)
    np.testing.assert_allclose(stats.z_scores(found, exact[:6])[4:], [3.0, math.inf, 0.0, -math.inf], rtol=1e-6)


# -- backends and bad input --------------------------------------------------------------------------------------------


def cupy(devices=1, answers=True):
    """What CuPy looks like to us, computing with NumPy."""
    fake: Any = ModuleType("cupy")
    fake.__getattr__ = lambda name: getattr(np, name)

    def count():
        if devices is None:
            raise RuntimeError("cudaErrorInsufficientDriver: driver too old\nand more")
        return devices

    def zeros(*args, **kwargs):
        if not answers:
            raise RuntimeError("no NVRTC")
        return np.zeros(*args, **kwargs)

    memory = 2**30, 2**31
    fake.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count, memGetInfo=lambda: memory))
    fake.zeros, fake.asnumpy = zeros, np.asarray
    return fake


BROKEN = {
    "import of cupy halted": None,
    "driver too old": cupy(devices=None),
    "no GPU found": cupy(devices=0),
    "no NVRTC": cupy(answers=False),
}


@pytest.mark.parametrize("missing", BROKEN)
@pytest.mark.parametrize("backend", ["cuda", "cupy"])
def test_cupy_that_cannot_run_is_told_in_one_line_and_passed_over_by_auto(missing, backend, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", BROKEN[missing])
    with pytest.raises(InputError, match=missing) as error:
        simulate(SGD, Bowl(), 3, 2, backend=backend, lr=0.1)
    assert len(str(error.value).splitlines()) == 1
    assert "need an NVIDIA GPU and the extra accelsim[gpu-cuda12]" in str(error.value)
    assert backends.find().name == "numba"


def test_the_array_module_can_be_taken_from_arrays_of_cupy(monkeypatch):
    fake = cupy()
    fake.ndarray = type("ndarray", (), {})
    monkeypatch.setitem(sys.modules, "cupy", fake)
    assert not hasattr(fake.ndarray(), "__array_namespace__")
    backends.find("cupy")
    assert fake.ndarray().__array_namespace__() is fake


def test_auto_prefers_a_gpu_and_the_plain_engine_runs_on_its_arrays(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", cupy())
    assert backends.find().name == "cuda"
    found, plain = (simulate(SGD, Bowl(), 20, 5, lr=0.1, backend=backend) for backend in ("cupy", "numpy"))
    assert (found.backend, plain.backend) == ("cupy", "numpy")
    assert_equal(found, plain)


BAD = {
    "negative steps": (dict(steps=-1), "steps must be a whole number of at least 0"),
    "half a step": (dict(steps=1.5), "steps must be a whole number"),
    "no replicas": (dict(seeds=0), "seeds must be a whole number of at least 1"),
    "negative seed": (dict(seed=-1), "seed must be a whole number of at least 0"),
    "seed too large": (dict(seed=2**64), "below 18446744073709551616"),
    "no chunk": (dict(chunk=0), "chunk must be a whole number of at least 1"),
    "unknown dtype": (dict(dtype="float63"), "unknown dtype 'float63'; did you mean 'float64'"),
    "unknown backend": (dict(backend="nunpy"), "unknown backend 'nunpy'; did you mean 'numpy'"),
    "backend not there yet": (dict(backend="opencl"), "known: auto, cuda, cupy, numba, numpy"),
    "unknown hyperparameter": (dict(learning=1), "hyperparameter"),
    "negative step size": (dict(lr=-0.1), "lr = -0.1"),
    "not a number": (dict(lr=math.nan), "lr = nan"),
    "a schedule that leaves its range": (dict(lr="1-t"), "at step 2"),
    "a schedule that cannot be evaluated": (dict(lr="1/(3-t)"), "at step 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_one_line(case):
    changes, message = BAD[case]
    given = {"steps": 5, "seeds": 2, "lr": 0.1, **changes}
    with pytest.raises(InputError) as error:
        simulate(SGD, Bowl(), given.pop("steps"), given.pop("seeds"), **given)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_hyperparameter_is_asked_for():
    with pytest.raises(InputError, match="sgd needs lr"):
        simulate(SGD, Bowl(), 5, 2)


@optimizer(positions="w", returns="w", lr=step_size())
def dividing(s, t, h):
    g = yield s.w
    return dict(w=s.w - h.lr / (t - 3) * g)


def test_a_rule_that_raises_is_told_in_one_line():
    assert simulate(dividing, Bowl(), 3, 2, lr=0.1).steps[-1] == 3
    with pytest.raises(InputError, match="rule 'dividing' raised ZeroDivisionError at step 3"):
        simulate(dividing, Bowl(), 4, 2, lr=0.1)
