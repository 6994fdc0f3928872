"""Kernels of every rule, and of rules whose queries and totals are intertwined on every problem, in both layouts."""

import kernel_rules
import numpy as np
import pytest
from conftest import seed_of
from test_kernels import ROUNDINGS, apart, paths

from accelsim import optimizers, problems
from accelsim.simulation.expressions import compiles
from accelsim.simulation.layout import ACROSS

DIMS = {"across": 5, "along": ACROSS + 44}
MORE = 4 * ROUNDINGS  # where one sample's gradients are long, and divided by what they add up to
DTYPES = ["float64", "float32"]


def values_of(rule):
    """A value for each hyperparameter that must be given, inside its range."""
    needed = {name: h for name, h in rule.hyperparameters.items() if h.default is None}
    return {name: 0.02 if h.high > 1 else 0.9 for name, h in needed.items()}


def couples(rule):
    """Whether a rule adds up over coordinates itself."""
    return any(node.op == "total" for node in rule.program().nodes)


def checked(rule, problem, values, dtype, free):
    (plain, risks), (fast, fast_risks) = paths(rule, problem, values, dtype)
    assert np.isfinite(plain).all()
    if free:
        np.testing.assert_array_equal(fast, plain)
    assert apart(plain, fast) < MORE
    np.testing.assert_allclose(fast_risks, risks, rtol=MORE * np.finfo(dtype).eps)
    (plain, _), (fast, _) = paths(rule, problem, values, dtype, dict(seed=1))
    assert apart(plain, fast) > 8 * MORE


@pytest.mark.parametrize("layout", DIMS)
@pytest.mark.parametrize("name", optimizers.shipped())
def test_every_rule_that_kernels_know_runs_in_them(name, layout):
    rule, dtype = optimizers.find(name), DTYPES[layout == "along"]
    known = all(map(compiles, rule.program().nodes))
    assert known == (name != "muon")
    if not known:
        return  # on arrays alone, as tests/test_orthogonalize.py holds
    problem = problems.make("quadratic", dim=DIMS[layout], grad_noise=1.0)
    checked(rule, problem, values_of(rule), dtype, free=not couples(rule))


PROBLEMS = {
    "quadratic": dict(grad_noise=1.0, noise_shape="covariance.npy"),
    "linear_regression": dict(label_noise=0.5),
    "linear_regression, direct": dict(label_noise=0.5, direct=True),
    "independent": dict(kurtosis=5.0, label_noise=0.5),
    "one_hot": dict(label_noise=0.5),
    "plrf": dict(features_seed=1, data_exponent=0.5, target_exponent=0.7),
    "plrf, direct": dict(features_seed=1, data_exponent=0.5, target_exponent=0.7, direct=True),
    "dataset": dict(data="table.npy", target=0),
}


@pytest.mark.parametrize("layout", DIMS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("rule", [kernel_rules.intertwined, kernel_rules.coupled], ids=str)
@pytest.mark.parametrize("case", PROBLEMS)
def test_every_sampler_runs_in_kernels(case, rule, batch, layout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dim, numbers = DIMS[layout], np.random.default_rng(seed_of(case))
    np.save("covariance.npy", np.eye(dim) + 1 / 2)
    np.save("table.npy", numbers.standard_normal((40, dim + 1)))
    name = case.partition(",")[0]
    size = {} if name == "dataset" else {"dim": dim}
    problem = problems.make(name, batch=batch, **PROBLEMS[case], **size)
    stable = {"lr": 1 / dim**1.5}  # rows of a table are about dim^(1/2) long: longer steps than 1/dim multiply rounding
    checked(rule, problem, stable if name == "dataset" else {}, DTYPES[(batch == 1) == (layout == "along")], free=False)


def test_no_problem_is_left_out():
    assert {case.partition(",")[0] for case in PROBLEMS} == set(problems.known())
