"""The weights of past gradients are those that single gradients have when the rule itself is run."""

import csv
import json
import math

import numpy as np
import pytest
from conftest import seed_of

import accelsim as package
from accelsim.errors import InputError
from accelsim.optimizers import find, shipped
from accelsim.rule import optimizer, step
from accelsim.symbolic.system.tableau import is_linear, tableau

STEP = 12
LINEAR = [name for name, rule in shipped().items() if is_linear(rule) and tableau(rule).gradients == 1]


def drawn(name):
    """Hyperparameters by chance, the first step size a schedule."""
    draw, rule = np.random.default_rng(seed_of(name)), find(name)
    values = {}
    for key, declared in rule.hyperparameters.items():
        if declared.default is None:
            low, high = max(declared.low, 0.0), min(declared.high, 2.0)
            values[key] = low + (high - low) * draw.uniform(0.1, 0.9)
    return values | ({"lr": "0.3/(1 + t/5)"} if "lr" in rule.hyperparameters else {})


def moved(rule, values, impulse):
    """How far the query point moves in the step, where the gradient of one step is 1 and all others are 0."""
    state, points = rule.start(0.0), []
    rows = rule.rows(**values)
    for t in range(STEP + 2):
        now, h = next(rows)

        def gradient(point, t=t):
            points.append(point)
            return float(t == impulse)

        state = step(rule, state, now, h, gradient)
    return points[STEP + 1] - points[STEP]


@pytest.mark.parametrize("name", [*LINEAR, "lookahead(heavy_ball)", "ema(nesterov)"])
def test_weights_are_those_of_single_gradients(name):
    rule = find(name)
    values = drawn(name)
    found = package.response(rule, STEP, **values)
    still = moved(rule, values, None)
    expected = np.array([still - moved(rule, values, STEP - age) for age in range(STEP + 1)])
    np.testing.assert_allclose(found.weights, expected, rtol=1e-11, atol=1e-14)
    earlier = package.response(rule, STEP - 1, **values)
    assert len(earlier.weights) == STEP
    late = package.response(rule, STEP, **values | ({"lr": 0.3} if "lr" in values else {}))
    assert "lr" not in values or np.abs(late.weights - expected).max() > 1e-3 * np.abs(expected).max()


def test_what_heavy_ball_and_nesterov_remember():
    ball, nesterov = (package.response(name, 3000, lr=0.1, beta=0.99) for name in ("heavy_ball", "nesterov"))
    assert ball.total == pytest.approx(10)
    assert ball.mean_age == pytest.approx(99)
    assert ball.effective_sample_size == pytest.approx(199)
    assert nesterov.weights[:3] == pytest.approx([0.1 * 1.99, 0.1 * 0.99**2, 0.1 * 0.99**3])
    assert nesterov.mean_age < ball.mean_age


@optimizer(positions="w", memories="m", returns="w", lr=0.1)
def along_the_mean(s, t, h):
    g = yield s.w
    m = s.m + g
    return dict(w=s.w - h.lr * m / (t + 1), m=m)


def test_a_plain_mean_counts_every_gradient_once():
    first = package.response(along_the_mean, 0)
    assert (first.total, first.mean_age, first.effective_sample_size) == (0.1, 0, 1)
    later = package.response(along_the_mean, 40)
    assert later.weights == pytest.approx(0.1 / 41)
    assert later.mean_age == pytest.approx(20)
    assert later.effective_sample_size == pytest.approx(41)


@pytest.mark.parametrize(
    ("name", "steps", "values", "reason"),
    [
        ("mars_exact_sgd", 5, {}, "takes 2 gradients a step"),
        ("adamw", 5, {}, "adamw is not linear"),
        ("sgd", -1, {"lr": 0.1}, "whole number from 0"),
        ("sgd", 2.5, {"lr": 0.1}, "whole number from 0"),
        ("sgd", 10**9, {"lr": 0.1}, "whole number from 0"),
        ("sgd", 5, {}, "sgd needs lr"),
        ("accelerated_sgd", 2000, {"eta": 1, "alpha": 0, "beta": "2"}, "range"),
    ],
)
def test_what_has_no_weights_is_refused_with_the_reason(name, steps, values, reason):
    with pytest.raises(InputError, match=reason):
        package.response(name, steps, **values)


def test_weights_that_add_up_to_nothing_have_no_mean_age():
    found = package.response("sgd", 4, lr=0)
    assert found.total == 0
    assert math.isnan(found.mean_age)
    assert math.isnan(found.effective_sample_size)


COMMAND = ("show", "heavy_ball", "--response", "--set", "lr=0.1", "--set", "beta=0.9")


def test_rules_are_shown_beside_one_another_as_table_and_figure(accelsim, tmp_path):
    more = ("--with", "nesterov", "--with", "sgd", "--set", "nesterov.beta=0.5")
    table, figure = tmp_path / "weights.csv", tmp_path / "new" / "weights.pdf"
    code, out, _ = accelsim(*COMMAND, *more, "--out", table, "--json")
    document = json.loads(out)
    assert (code, document["step"], document["written"]) == (0, 1000, [str(table)])
    named = {rule["optimizer"]: rule for rule in document["rules"]}
    assert [named[name]["mean_age"] for name in ("heavy_ball", "sgd")] == [pytest.approx(9), 0]
    assert named["nesterov"]["hyperparameters"] == {"lr": 0.1, "beta": 0.5}
    rows = list(csv.DictReader(table.read_text().splitlines()[1:]))
    assert len(rows) == 1001
    assert [float(rows[2][name]) for name in named] == pytest.approx([0.081, 0.0125, 0])
    code, out, _ = accelsim(*COMMAND, "--out", figure)
    assert (code, figure.read_bytes()[:4]) == (0, b"%PDF")
    assert "effective sample size" in out
    code, out, _ = accelsim(*COMMAND, "--steps", 50, "--out", tmp_path)
    assert {path.name for path in tmp_path.glob("*response*")} == {
        f"heavy_ball_response.{form}" for form in ("svg", "png")
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--plot",), "each show something else"),
        (("--with", "nestrov"), "did you mean"),
        (("--with", "heavy_ball"), "a rule is shown once"),
        (("--with", "sgd", "--with", "sgd"), "a rule is shown once"),
        (("--set", "nesterov.beta=0.5"), "rule in --set nesterov.beta"),
        (("--set", "gamma=0.5"), "hyperparameter of heavy_ball"),
        (("--out", "weights.txt"), "is no table or figure"),
        (("--steps", "0"), "--steps"),
    ],
)
def test_what_cannot_be_shown_is_told(accelsim, monkeypatch, tmp_path, arguments, reason):
    monkeypatch.chdir(tmp_path)
    code, _, err = accelsim(*COMMAND, *arguments)
    assert (code, reason in err) == (2, True), err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["svg", "pdf", "csv"])
def test_coefficients_are_written_where_and_as_they_are_asked_for(accelsim, tmp_path, form):
    file = tmp_path / f"drawn.{form}"
    code, out, _ = accelsim("show", "sgd", "--set", "lr=0.5", "--plot", "--steps", 9, "--out", file, "--json")
    assert (code, json.loads(out)["drawn"], list(tmp_path.iterdir())) == (0, [str(file)], [file])
    if form == "csv":
        rows = list(csv.DictReader(file.read_text().splitlines()[1:]))
        assert [float(row["alpha"]) for row in rows] == [0.5] * 9


def test_options_that_would_do_nothing_are_refused(accelsim, tmp_path):
    for arguments in (("--with", "nesterov"), ("--out", tmp_path)):
        code, _, err = accelsim("show", "heavy_ball", *arguments)
        assert (code, arguments[0] in err) == (2, True)
