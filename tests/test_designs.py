"""Designs other than Gaussian ones: what they draw has the moments they declare, by enumeration and by sampling."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from conftest import seed_of

import accelsim
from accelsim import problems, stats
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.rule import step
from accelsim.simulation.driver import simulate
from accelsim.simulation.philox import Draw, Draws

REPLICAS = 40_000
LIMIT, CONTROL = 5.0, 8.0  # standard errors; some 500 comparisons here

CASES = {
    "independent": dict(spectrum=[1.0, 0.3], kurtosis=[1.5, 4.0], label_noise=0.5),
    "signs": dict(spectrum=[1.0, 0.3], kurtosis=1, label_noise=0.5),
    "one_hot": dict(spectrum=[1.0, 0.3], probabilities=[0.75, 0.25], kurtosis=[1.5, 6.0], label_noise=0.5),
    "one_hot signs": dict(spectrum=[1.0, 0.3], label_noise=0.5),
}
RULES = {
    "sgd": dict(lr=0.4),
    "accelerated_sgd": dict(eta=0.1, alpha=0.2, beta=0.5),
    "mars_exact_sgd": dict(lr=0.25, beta=0.5, gamma=0.5),
}
START = [1.0, -2.0]


def made(case, **options):
    name = "independent" if case == "signs" else case.partition(" ")[0]
    return problems.make(name, **{"init": START, **CASES[case], **options})


@dataclass(frozen=True)
class Atoms(Draw):
    """Draws that hand out rows of given words, whole numbers and normals, by stream: (replicas, numbers of a batch)."""

    numbers: tuple = ()

    def made(self, stream, kind, size, *_):
        part = self.numbers[stream][:, self.samples.start * size : self.samples.stop * size]
        return part.reshape(len(part), len(self.samples), size).astype("float64" if kind == ("number",) else "int64")


def atoms(numbers):
    return Atoms(Draws(0, len(numbers[0]), 2), 0, 0, numbers=tuple(numbers))


def outcomes(problem):
    """All outcomes of a batch as numbers for `atoms`, one row each outcome, with their chances.

    A variable of three values needs three numbers, a Gaussian two of the same variance.
    """
    signs = [(1.0, 0.5), (-1.0, 0.5)]

    def three(chance):
        return [(0, chance / 2), (1, chance / 2), (2**32 - 1, 1 - chance)]

    if problem.name == "independent":
        split = [problem.batch * problem.dim]
        inputs = [three(1 / c) for _ in range(problem.batch) for c in problem.kurtosis]
        rows = list(itertools.product(*inputs, *[signs] * problem.batch))
    else:
        split = [problem.batch, 2 * problem.batch]
        begins = np.append(0, np.cumsum(problem.probabilities)[:-1]) * 2**32
        chances = problem.probabilities
        rows = []
        for places in itertools.product(range(problem.dim), repeat=problem.batch):
            chosen = [(begins[i], chances[i]) for i in places]
            inputs = [three(1 / (chances[i] * problem.kurtosis[i])) for i in places]
            rows += [(*chosen, *rest) for rest in itertools.product(*inputs, *[signs] * problem.batch)]
    rows = [row for row in rows if all(chance for _, chance in row)]
    numbers = np.array([[number for number, _ in row] for row in rows], dtype=float)
    chances = np.array([np.prod([chance for _, chance in row]) for row in rows])
    assert chances.sum() == pytest.approx(1)
    return np.split(numbers, split, axis=1), chances


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_the_mean_over_all_outcomes_is_what_is_declared(case, batch):
    problem = made(case, batch=batch)
    numbers, chances = outcomes(problem)
    errors = np.array([[1.0, -2.0], [0.5, 0.7]])
    taken = problem.sample(tuple(np.tile(e, (len(chances), 1)) for e in errors), atoms(numbers))
    h = problem.spectrum
    for gradient, error in zip(taken, errors, strict=True):
        np.testing.assert_allclose(chances @ gradient, h * error, rtol=1e-9)
    second = np.einsum("ai,bi->abi", errors, errors)
    found = np.einsum("r,ari,bri->abi", chances, taken, taken)
    np.testing.assert_allclose(found, h**2 * second + problem.noise(second, errors, True), rtol=1e-9)
    if case != "signs":
        other = made(case, batch=batch, kurtosis=8.0)
        assert not np.allclose(found, h**2 * second + other.noise(second, errors, True), rtol=1e-2)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", CASES)
def test_exact_risk_is_the_mean_over_all_runs(case, rule):
    problem, optimizer = made(case), find(rule)
    numbers, chances = outcomes(problem)
    state, chance = optimizer.start(np.zeros((1, 2))), np.ones(1)
    for t, row in itertools.islice(optimizer.rows(**RULES[rule]), 2):
        fold = len(chance)
        state = {name: np.repeat(value, len(chances), axis=0) for name, value in state.items()}
        chance = np.repeat(chance, len(chances)) * np.tile(chances, fold)
        draw = atoms([np.tile(n, (fold, 1)) for n in numbers])

        def gradient(*points):
            taken = problem.sample(tuple(p + problem.start for p in points), draw)  # noqa: B023
            return taken if len(points) > 1 else taken[0]

        state = step(optimizer, state, t, row, gradient)
    truth = chance @ problem.risk(state[optimizer.returns] + problem.start)
    assert accelsim.risk(optimizer, problem, 2, **RULES[rule]).risk[-1] == pytest.approx(truth, rel=1e-9)
    gaussian = problems.make("linear_regression", spectrum=problem.spectrum, label_noise=0.5, init=START)
    assert accelsim.risk(optimizer, gaussian, 2, **RULES[rule]).risk[-1] != pytest.approx(truth, rel=1e-3)


def test_designs_meet_where_they_are_the_same():
    values = RULES["accelerated_sgd"]
    options = dict(spectrum="power:1", dim=5, batch=3, label_noise=0.1)
    risk = {
        c: accelsim.risk(
            find("accelerated_sgd"), problems.make("independent", kurtosis=c, **options), 50, **values
        ).risk
        for c in (3, 3.1)
    }
    gaussian = accelsim.risk(find("accelerated_sgd"), problems.make("linear_regression", **options), 50, **values).risk
    np.testing.assert_allclose(risk[3], gaussian, rtol=1e-13)
    assert not np.allclose(risk[3.1], gaussian, rtol=1e-4)
    one = dict(dim=1, kurtosis=2.5, batch=2)
    alone, hot = (problems.make(name, **one) for name in ("independent", "one_hot"))
    second = np.ones((1, 1, 1))
    assert alone.noise(second, np.ones((1, 1)), True) == pytest.approx(hot.noise(second, np.ones((1, 1)), True))


def z_scores(values, expected):
    error = values.std(axis=0) / len(values) ** 0.5
    off = values.mean(axis=0) - expected
    return np.where(np.abs(off) < 1e-9, 0, off / np.where(error > 0, error, 1e-300))


DRAWN = {
    **{name: (lambda batch, name=name: made(name, batch=batch)) for name in CASES},
    "plrf": lambda batch: problems.make(
        "plrf", data_exponent=0.7, target_exponent=0.2, dim=3, features_seed=5, batch=batch
    ),
    "plrf proxy": lambda batch: problems.make("plrf", data_exponent=0.7, target_exponent=0.2, dim=3, batch=batch),
}


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("case", DRAWN)
def test_drawn_gradients_have_the_declared_moments(case, batch):
    problem = DRAWN[case](batch)
    errors = [problem.start, 0.5 - problem.start]
    tiled = tuple(np.tile(e, (REPLICAS, 1)) for e in errors)
    taken = [
        problem.modes(g) for g in problem.sample(tiled, Draws(seed_of(f"{case} {batch}"), REPLICAS, problem.dim).at(0))
    ]
    modes = problem.modes(np.array(errors))
    second = np.einsum("ai,bi->abi", modes, modes)
    mean = problem.spectrum**2 * second
    expected = mean + problem.noise(second, modes, True)
    for a, b in itertools.product(range(2), repeat=2):
        assert np.abs(z_scores(taken[a], problem.spectrum * modes[a])).max() < LIMIT
        assert np.abs(z_scores(taken[a] * taken[b], expected[a, b])).max() < LIMIT
    assert np.abs(z_scores(taken[0] ** 2, mean[0, 0])).max() > CONTROL


@pytest.mark.parametrize("case", DRAWN)
def test_the_simulated_risk_is_the_exact_one(case):
    problem, rule, values = DRAWN[case](4), find("nesterov"), dict(lr=0.1, beta=0.6)
    run = simulate(rule, problem, 20, 4000, seed=seed_of(case), **values)
    exact = accelsim.risk(rule, problem, 20, **values).risk
    assert np.abs(stats.z_scores(run, exact)).max() < LIMIT
    assert np.abs(stats.z_scores(run, 1.3 * exact)[-1]) > CONTROL


def test_random_features_leave_as_noise_what_they_do_not_explain():
    """The target less its best features, by a least-squares fit to inputs drawn from the definition."""
    a, b, d, v = 0.6, 0.3, 4, 10
    problem: Any = problems.make("plrf", data_exponent=a, target_exponent=b, dim=d, hidden=v, features_seed=3)
    random, j = np.random.default_rng(seed_of("features")), np.arange(1, v + 1)
    w = np.random.default_rng(3).standard_normal((v, d)) / d**0.5
    x = random.standard_normal((200_000, v)) * j**-a
    features, target = x @ w, x @ j**-b
    coefficients = np.linalg.lstsq(features, target, rcond=None)[0]
    np.testing.assert_allclose(coefficients, -problem.start, atol=0.02)
    residual = target - features @ coefficients
    assert problem.label_noise == pytest.approx((residual**2).mean(), rel=0.02)
    assert problem.label_noise > 0.05
    h = w.T @ np.diag(j ** (-2 * a)) @ w
    np.testing.assert_allclose(problem.basis @ np.diag(problem.spectrum) @ problem.basis.T, h, rtol=1e-10)
    square: Any = problems.make("plrf", data_exponent=a, target_exponent=b, dim=d, hidden=d, features_seed=3)
    assert square.label_noise < 1e-20


def test_the_proxy_has_the_powers_themselves():
    problem: Any = problems.make("plrf", data_exponent=1.0, target_exponent=0.5, dim=3)
    np.testing.assert_allclose(problem.spectrum, [1, 1 / 4, 1 / 9])
    np.testing.assert_allclose(-problem.start, [1, 2**-0.5, 3**-0.5])
    assert (problem.basis, problem.label_noise) == (None, 0.0)


def test_coordinates_are_read_from_files(tmp_path):
    np.save(tmp_path / "c.npy", [2.0, 3.0])
    for text, values in ((f"file:{tmp_path / 'c.npy'}", [2, 3]), ("2.5", [2.5, 2.5])):
        problem: Any = problems.make("independent", dim=2, kurtosis=text)
        assert problem.kurtosis.tolist() == values


POWERS = dict(data_exponent=1.0, target_exponent=0.5, dim=4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("independent", {}, "needs kurtosis: give it with --kurtosis"),
        ("independent", dict(kurtosis=0.9), "kurtosis 0.9 of coordinate 0 is too small: here it is at least 1"),
        ("independent", dict(kurtosis="x"), "must be a finite number or file"),
        ("independent", dict(kurtosis=float("nan")), "NaN"),
        ("independent", dict(kurtosis=[2.0, 3.0, 4.0], dim=2), r"shape \(3,\)"),
        ("one_hot", dict(kurtosis=1.5, dim=2), "at least 2"),
        ("one_hot", dict(probabilities=[0.5, 0.6], dim=2), "sum to 1, not to 1.1"),
        ("one_hot", dict(probabilities=[1.0, 0.0], dim=2), "positive; that of coordinate 1 is 0"),
        ("one_hot", dict(probabilities="nope.npy", dim=2), "probabilities must be uniform, an array or file:p.npy"),
        ("plrf", dict(data_exponent=1.0), "needs target_exponent"),
        ("plrf", {**POWERS, "data_exponent": float("inf")}, "data exponent must be a finite number"),
        ("plrf", {**POWERS, "hidden": 10}, "give their features_seed too"),
        ("plrf", {**POWERS, "features_seed": 1, "hidden": 3}, "hidden must be at least 4"),
        ("plrf", {**POWERS, "features_seed": -1}, "whole number of at least 0"),
        ("plrf", {**POWERS, "data_exponent": 40.0, "features_seed": 1}, "dependent in float64"),
        ("plrf", {**POWERS, "data_exponent": 4000.0}, "range of float64"),
    ],
)
def test_unusable_designs_are_refused_in_one_line(name, options, message):
    with pytest.raises(InputError, match=message) as caught:
        problems.make(name, **options)
    assert "\n" not in str(caught.value)
