"""Compiled moments equal those of the recursion in NumPy."""

import numpy as np
import pytest

import accelsim
from accelsim import optimizer, problems
from accelsim.exact import kernel, moments
from accelsim.optimizers import find, shipped
from accelsim.rule import real, step_size
from accelsim.symbolic.system.tableau import tableau

pytestmark = pytest.mark.numeric

LINEAR = [name for name, rule in shipped().items() if tableau(rule).nonlinearity is None]
AVERAGED = ["tail_average(schedule_free)", "ema(heavy_ball)", "lookahead(accelerated_sgd)"]
PROBLEMS = {
    "regression": problems.make("linear_regression", dim=5, batch=3, label_noise=0.3, init="power:1"),
    "wide": problems.make("linear_regression", dim=kernel.WIDTH + 1, spectrum="power:1.3"),
    "noise like H": problems.make("quadratic", dim=5, grad_noise=0.3),
    "isotropic": problems.make("quadratic", dim=5, grad_noise=0.3, noise_shape="I"),
    "independent": problems.make("independent", dim=5, kurtosis=[1, 2, 3, 4, 5], batch=2, label_noise=0.3),
    "one-hot": problems.make("one_hot", dim=5, label_noise=0.3),
    "power-law": problems.make("plrf", dim=5, features_seed=0, data_exponent=1.0, target_exponent=0.3),
    "given variances": problems.make("quadratic", dim=5, grad_noise=0.3, noise_shape=[1, 0.5, 0.3, 0, 0.2]),
}
SCHEDULED = {"lr": "0.1*cosine(t, 20)", "eta": "0.02/(t+1)", "beta": "t/(t+2)", "beta3": "t/(t+2)"}


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), decay=real())
def two_stages(s, t, h):
    """Two queries on one sample, a third on another, momentum, and weight decay."""
    g, before = yield s.w - h.lr * s.m, s.w
    ahead = yield s.w - h.lr * g + before / 10
    m = s.m / 2 + ahead
    return dict(w=s.w - h.lr * (m + h.decay * s.w), m=m)


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    """The source as Python runs it, unless a test compiles it: its meaning, without seconds of compiling a rule."""

    def run(text):
        names = {}
        exec(text, names)
        return names["kernel"]

    monkeypatch.setattr(kernel, "compiled", run)


def both(monkeypatch, rule, problem, steps, of="returned", **values):
    """Risks by NumPy and by the kernel."""
    monkeypatch.setattr(moments, "_COMPILING", np.inf)
    reference = accelsim.risk(rule, problem, steps, of, **values)
    monkeypatch.setattr(moments, "_COMPILING", 0)
    return reference, accelsim.risk(rule, problem, steps, of, **values)


def assert_same(reference, found, rtol=1e-12):
    assert reference.diverged == found.diverged
    np.testing.assert_array_equal(found.steps, reference.steps)
    for part in moments.PARTS:
        np.testing.assert_allclose(getattr(found, part), getattr(reference, part), rtol=rtol)
        np.testing.assert_allclose(found.by_direction[part], reference.by_direction[part], rtol=rtol)


def hyperparameters(rule):
    """A value for each that has no default: small steps, half of everything else."""
    return {
        name: 0.5 if declared.high == 1 else 0.03
        for name, declared in rule.hyperparameters.items()
        if declared.default is None
    }


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", [*LINEAR, *AVERAGED])
def test_kernel_and_reference_agree_on_every_linear_rule_and_problem(monkeypatch, name, problem):
    rule = find(name)
    reference, found = both(monkeypatch, rule, PROBLEMS[problem], 12, **hyperparameters(rule))
    assert_same(reference, found)
    assert found.variance.any() == (problem != "wide")


@pytest.mark.parametrize("name", LINEAR)
def test_kernel_and_reference_agree_on_schedules_and_at_the_query(monkeypatch, name):
    rule = find(name)
    varying = {k: v for k, v in SCHEDULED.items() if k in rule.hyperparameters and rule.hyperparameters[k].holds(0)}
    values = hyperparameters(rule) | varying
    assert_same(*both(monkeypatch, rule, PROBLEMS["regression"], 25, "query", **values))


@pytest.mark.parametrize("decay", [0.0, 0.3, "max(0, t - 5)/100"])
def test_kernel_takes_several_queries_and_weight_decay_that_begins_late(monkeypatch, decay):
    reference, found = both(monkeypatch, two_stages, PROBLEMS["regression"], 25, lr=0.1, decay=decay)
    assert_same(reference, found)
    other = accelsim.risk(two_stages, PROBLEMS["regression"], 25, lr=0.1, decay=0.31)
    assert np.abs(other.risk / found.risk - 1).max() > 1e-3


def test_a_kernel_of_another_rule_or_problem_disagrees(monkeypatch):
    """A relative difference of 1e-9 in one coefficient shows."""
    values = dict(eta=0.02, alpha=0.05, beta=0.9)
    _, found = both(monkeypatch, find("accelerated_sgd"), PROBLEMS["regression"], 25, **values)
    for name, value in values.items():
        changed = values | {name: value * (1 + 1e-9)}
        reference, _ = both(monkeypatch, find("accelerated_sgd"), PROBLEMS["regression"], 25, **changed)
        with pytest.raises(AssertionError):
            assert_same(reference, found)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("heavy_ball", dict(lr=3.0, beta=0.9)),
        ("jain", dict(alpha=0.1, beta=0.1, gamma=3.0, delta=5.0)),  # whose kernel sees its states from the query
        ("schedule_free", dict(lr=50.0, beta=0.9)),
    ],
)
def test_kernel_diverges_at_the_same_step(monkeypatch, name, values):
    reference, found = both(monkeypatch, find(name), PROBLEMS["regression"], 500, **values)
    assert_same(reference, found)
    assert 10 < found.diverged < 500


def test_compiled_code_agrees_over_many_steps(monkeypatch):
    monkeypatch.undo()
    problem = problems.make("linear_regression", dim=100, batch=2, label_noise=0.1)
    for values in (dict(eta=0.002, alpha=0.01, beta=0.9), dict(eta="0.01/(t+1)", alpha=0.01, beta="t/(t+3)")):
        assert_same(*both(monkeypatch, find("accelerated_sgd"), problem, 3000, **values), rtol=1e-11)
