"""Exact moments equal what enumeration, other recursions and closed forms say."""

import itertools
import os
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim import optimizer, problems
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.program import exact
from accelsim.rule import real, step, step_size

pytestmark = pytest.mark.numeric

# A table already standardized, in rational numbers: two correlated features, a target with residuals, third moments.
TABLE = [("5/3", 1, "-1/3"), ("-1/3", -1, "5/3"), ("-1/3", 1, "-1"), ("-1", -1, "-1/3")]
X = np.array([[Fraction(x) for x in row[:2]] for row in TABLE])
Y = np.array([Fraction(row[2]) for row in TABLE])


@optimizer(positions="w", returns="w", lr=step_size())
def extragradient(s, t, h):
    """Two queries a step, the second at a point that the first moved to."""
    g = yield s.w
    g = yield s.w - h.lr * g
    return dict(w=s.w - h.lr * g)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), decay=real())
def decayed(s, t, h):
    """Momentum with weight decay: not translation-equivariant."""
    g = yield s.w
    m = s.m / 2 + g
    return dict(w=s.w - h.lr * (m + h.decay * s.w), m=m)


@optimizer(positions="w", memories=dict(m=1), returns="w", lr=step_size())
def preloaded(s, t, h):
    """A memory that does not start at zero."""
    g = yield s.w
    m = s.m / 2 + g
    return dict(w=s.w - h.lr * m, m=m)


CASES = {
    "sgd": (find("sgd"), dict(lr=0.4)),
    "accelerated_sgd": (find("accelerated_sgd"), dict(eta=0.1, alpha=0.2, beta=0.5)),
    "varying": (find("accelerated_sgd"), dict(eta="0.1/(t+1)", alpha=0.2, beta="t/(t+2)")),
    "schedule_free": (find("schedule_free"), dict(lr=0.5, beta=0.75)),
    "mars_sgd": (find("mars_sgd"), dict(lr=0.25, beta=0.5, gamma=0.125)),
    "mars_exact_sgd": (find("mars_exact_sgd"), dict(lr=0.25, beta=0.5, gamma=0.5)),
    "extragradient": (extragradient, dict(lr=0.5)),
    "decayed": (decayed, dict(lr=0.25, decay=0.5)),
    "preloaded": (preloaded, dict(lr=0.25)),
}


def enumerated(rule, values, batch, steps, solution, labels, start):
    """Mean risk over all sequences of rows, in fractions: the rule itself, run on weights from `start`."""
    h = X.T @ X / len(X)
    stages = len(rule.program(values).queries)
    batches = list(itertools.product(range(len(X)), repeat=batch))
    risks = []
    for sequence in itertools.product(batches, repeat=steps * stages):
        samples = iter(sequence)

        def gradient(*points):
            rows = list(next(samples))  # noqa: B023
            taken = tuple(X[rows].T @ (X[rows] @ w - labels[rows]) / batch for w in points)
            return taken if len(points) > 1 else taken[0]

        state = rule.start(start)
        for _, (t, row) in zip(range(steps), rule.rows(exact, **values), strict=False):
            state = step(rule, state, t, row, gradient)
        e = state[rule.returns] - solution
        risks.append(e @ h @ e / 2)
    return float(sum(risks) / len(risks))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "table.csv"
    path.write_text("".join(",".join(str(float(Fraction(v))) for v in row) + "\n" for row in TABLE))
    return str(path)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("batch", "steps"), [(1, 3), (2, 2)])
def test_moments_on_a_table_equal_the_mean_over_all_sequences_of_rows(table, case, batch, steps):
    rule, values = CASES[case]
    if case == "extragradient":
        steps -= 1
    found = accelsim.risk(rule, problems.make("dataset", data=table, target=2, batch=batch), steps, **values)
    gram = X.T @ X
    moment = X.T @ Y
    determinant = gram[0, 0] * gram[1, 1] - gram[0, 1] ** 2
    adjugate = np.array([[gram[1, 1], -gram[0, 1]], [-gram[1, 0], gram[0, 0]]])
    solution, zero = adjugate @ moment / determinant, np.array([Fraction(0)] * 2)
    assert (X.T @ (Y - X @ solution) == 0).all()
    assert any(Y - X @ solution)
    full = enumerated(rule, values, batch, steps, solution, Y, zero)
    assert found.risk[-1] == pytest.approx(full, rel=1e-12)
    bias = enumerated(rule, values, batch, steps, solution, X @ solution, zero)
    assert found.bias[-1] == pytest.approx(bias, rel=1e-12)
    assert found.risk == pytest.approx(found.bias + found.variance + found.cross, rel=1e-12)
    if case not in ("decayed", "preloaded"):  # theirs has no pull to the origin and no memory to lose
        variance = enumerated(rule, values, batch, steps, solution, Y, solution)
        assert found.variance[-1] == pytest.approx(variance, rel=1e-12)
    assert abs(found.cross[-1]) > 1e-3 * full  # left out, the agreement above would fail


def atoms(problem, batch):
    """Outcomes of a batch of a discrete design, Gaussian in its moments up to the fifth: inputs, noise, chance."""
    third, sixth = Fraction(2, 3), Fraction(1, 6)
    one = [(0.0, third), (3**0.5, sixth), (-(3**0.5), sixth)]
    rows = []
    for inputs, sign in itertools.product(itertools.product(one, repeat=problem.dim), (-1, 1)):
        x = [v for v, _ in inputs] * np.sqrt(problem.spectrum)
        rows.append((x, sign * problem.label_noise**0.5, float(np.prod([p for _, p in inputs])) / 2))
    for batch_rows in itertools.product(rows, repeat=batch):
        yield np.array([r[0] for r in batch_rows]), [r[1] for r in batch_rows], np.prod([r[2] for r in batch_rows])


def expected_risk(rule, values, problem, steps):
    """Risk of the rule over all outcomes, a replica each, for errors of the discrete design."""
    outcomes = list(atoms(problem, problem.batch))
    inputs = np.array([o[0] for o in outcomes])
    noise = np.array([o[1] for o in outcomes])
    chances = np.array([o[2] for o in outcomes])
    chance, state = np.ones(1), rule.start(np.tile(problem.start, (1, 1)))
    for _, (t, row) in zip(range(steps), rule.rows(**values), strict=False):
        fold = len(chance)

        def gradient(*points):
            taken = tuple(
                np.einsum("obi,ob->oi", x, np.einsum("obi,oi->ob", x, p) + n) / problem.batch  # noqa: B023
                for p in points
            )
            return taken if len(points) > 1 else taken[0]

        state = {name: np.repeat(value, len(outcomes), axis=0) for name, value in state.items()}
        x, n = np.tile(inputs, (fold, 1, 1)), np.tile(noise, (fold, 1))
        chance = np.repeat(chance, len(outcomes)) * np.tile(chances, fold)
        state = step(rule, state, t, row, gradient)
    return float(chance @ problem.risk(state[rule.returns]))


@pytest.mark.parametrize("case", ["sgd", "accelerated_sgd", "varying", "schedule_free", "mars_sgd", "mars_exact_sgd"])
@pytest.mark.parametrize(("batch", "steps"), [(1, 3), (2, 2)])
def test_regression_moments_equal_those_of_a_design_with_gaussian_moments(case, batch, steps):
    rule, values = CASES[case]
    problem = problems.make("linear_regression", spectrum=[1.0, 0.3], batch=batch, label_noise=0.5, init=[1.0, -2.0])
    found = accelsim.risk(rule, problem, steps, **values)
    truth = expected_risk(rule, values, problem, steps)
    assert found.risk[-1] == pytest.approx(truth, rel=1e-12)
    additive = problems.make("quadratic", spectrum=[1.0, 0.3], grad_noise=0.5, batch=batch, init=[1.0, -2.0])
    assert accelsim.risk(rule, additive, steps, **values).risk[-1] != pytest.approx(truth, rel=1e-2)


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_canonical_moments_follow_the_recursion_in_three_numbers(batch):
    problem: Any = problems.make("linear_regression", dim=5, spectrum="power:1", batch=batch, label_noise=0.2)
    lam, eta, alpha, beta = problem.spectrum, 0.02, 0.05, 0.9
    u, v, w = problem.start**2, 0 * lam, 0 * lam
    c, q = eta + alpha, eta * beta
    risks = [lam @ u / 2]
    for _ in range(300):
        g = (1 + 1 / batch) * lam**2 * u + lam / batch * (lam @ u + problem.label_noise)
        u, v, w = (
            u - 2 * c * lam * u - 2 * q * v + 2 * q * c * lam * v + q**2 * w + c**2 * g,
            beta * v + lam * u - c * beta * lam * v - q * lam * v - q * beta * w - c * g,
            beta**2 * w + 2 * beta * lam * v + g,
        )
        risks.append(lam @ u / 2)
    found = accelsim.risk(find("accelerated_sgd"), problem, 300, eta=eta, alpha=alpha, beta=beta)
    np.testing.assert_allclose(found.risk, np.array(risks)[found.steps], rtol=1e-10)


def test_additive_noise_leaves_the_closed_form_floor():
    problem = problems.make("quadratic", spectrum=[1.0, 0.5], grad_noise=0.3, noise_shape=[1.0, 2.0], batch=3)
    found = accelsim.risk(find("sgd"), problem, 2000, lr=0.2)
    shrink = 1 - 0.2 * problem.spectrum
    floor = problem.spectrum * 0.04 * 0.1 * np.array([1, 2]) / (1 - shrink**2) / 2
    assert found.risk[-1] == pytest.approx(floor.sum(), rel=1e-12)
    t = found.steps[:, None]
    np.testing.assert_allclose(found.variance, (floor * (1 - shrink ** (2 * t))).sum(axis=1), rtol=1e-10)
    assert found.cross is None


def test_small_risks_keep_their_digits():
    """Errors are carried, not weights: a risk of 1e-170 is as exact as one of 1."""
    problem = problems.make("quadratic", spectrum=[1.0, 0.9], init=[3.0, 5.0])
    for rule, values in ((find("sgd"), dict(lr=0.1)), (find("schedule_free"), dict(lr=0.1, beta=0.9, c=1.0))):
        found = accelsim.risk(rule, problem, 2000, **values)
        shrink = 1 - 0.1 * problem.spectrum
        truth = (problem.spectrum * problem.start**2 * shrink ** (2.0 * found.steps[:, None])).sum(axis=1) / 2
        np.testing.assert_allclose(found.risk, truth, rtol=1e-11)
        assert truth[-1] < 1e-150


def test_weight_decay_pulls_the_bias_to_its_own_limit():
    problem = problems.make("quadratic", spectrum=[1.0, 0.1], init=[3.0, 5.0])
    found = accelsim.risk(decayed, problem, 3000, lr=0.1, decay=0.05)
    lam = problem.spectrum
    limit = -problem.start * lam / (lam + 0.05 * 0.5) + problem.start  # 2 lam (w - w*) + decay w = 0, as error
    assert found.bias[-1] == pytest.approx(lam @ limit**2 / 2, rel=1e-10)
    assert found.variance[-1] == 0
    assert accelsim.risk(decayed, problem, 3000, lr=0.1, decay=0.0).bias[-1] < 1e-20


def test_divergence_ends_the_record_at_its_step():
    problem = problems.make("linear_regression", dim=2, label_noise=0.1)
    found = accelsim.risk(find("sgd"), problem, 5000, lr=5.0)
    assert found.diverged is not None
    assert 50 < found.diverged < 5000
    assert found.steps[-1] < found.diverged
    assert np.isfinite(found.risk).all()
    assert len(found.steps) == len(found.risk) == len(found.bias) == len(found.variance)
    assert accelsim.risk(find("sgd"), problem, 5000, lr=1e200).diverged == 1
    assert accelsim.risk(find("sgd"), problem, 5000, lr=0.1).diverged is None


def test_no_steps_leave_the_initial_risk():
    found = accelsim.risk(
        find("sgd"), problems.make("linear_regression", spectrum=[1, 0.5], init=[2.0, 1.0]), 0, lr=0.1
    )
    assert (found.steps.tolist(), found.risk.tolist()) == ([0], [2.25])


@pytest.mark.parametrize("steps", [-1, 1.5, float("nan"), float("inf")])
def test_steps_that_are_no_count_are_refused(steps):
    with pytest.raises(InputError, match="whole number of at least 0"):
        accelsim.risk(find("sgd"), problems.make("linear_regression"), steps, lr=0.1)


def test_steps_beyond_what_floats_count_are_refused():
    with pytest.raises(InputError, match=r"1e\+18 steps are more than can be counted exactly"):
        accelsim.risk(find("sgd"), problems.make("linear_regression"), 10**18, lr=0.1)


def test_moments_beyond_memory_are_refused_with_their_size(monkeypatch, table):
    problem = problems.make("dataset", data=table, target=2)
    assert accelsim.risk(find("sgd"), problem, 1, lr=0.1).way
    monkeypatch.setattr(os, "sysconf", lambda name: 10)
    with pytest.raises(
        InputError, match=r"second moments of 3 quantities in 2 coupled eigendirections: they take .* GB"
    ):
        accelsim.risk(find("sgd"), problem, 1, lr=0.1)


def test_nonlinear_rules_are_refused_with_the_reason():
    with pytest.raises(InputError, match="not linear"):
        accelsim.risk(find("adamw"), problems.make("linear_regression"), 10, lr=0.1)
