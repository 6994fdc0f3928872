"""Searches: a larger budget continues a smaller one, two of them agree or say so, and no point ends one."""

import json
import math
import sys
from collections import Counter

import numpy as np
import pytest
from test_adjoint import window

from accelsim import cli, optimizer, problems
from accelsim.errors import InputError
from accelsim.exact.tune import goals, search
from accelsim.exact.tune.tuning import tune
from accelsim.optimizers import find
from accelsim.rule import momentum, step_size

SQUARE = [search.Axis(float, -4, 4), search.Axis(float, -4, 4, closed=(-4,))]


def valley(x):
    """Narrow, bent, without a gradient at its bottom."""
    return 10 * abs(x[1] - x[0] ** 2 / 2) + abs(x[0] - 1)


def recorded(function, budget, seed=0):
    """The search's answer and the points it tried."""
    seen = []

    def objective(x):
        seen.append(tuple(x))
        return function(x)

    return search.search(objective, SQUARE, budget, seed), seen


def test_what_a_smaller_budget_tries_a_larger_one_tries_and_none_is_worse():
    """But for the last evaluations, which move onto a bound what may sit there and look for no better value."""
    values, before = [], None
    for budget in (1, 2, 3, 20, 60, 150, 333, 700, 1500):
        found, seen = recorded(valley, budget)
        assert len(seen) == found.evaluations == budget
        assert found.value == min(map(valley, seen[: budget - 1] if budget > 1 else seen))
        values.append(found.value)
        if before is not None:
            assert not Counter(before[:-1] if len(before) > 1 else before) - Counter(seen)
        before = seen
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1e-3
    assert recorded(valley, 150, seed=1)[1] != recorded(valley, 150)[1]


def test_two_searches_that_find_different_minima_are_said_to_and_two_that_find_one_agree():
    """Pits of random depth, too small and too many for the budget; a bowl."""
    depth = np.random.default_rng(0).uniform(0, 4, (64, 64))

    def pits(x):
        i, j = (min(int((c + 4) * 8), 63) for c in x)
        return float(-depth[i, j] + ((x - np.floor(x * 8) / 8 - 1 / 16) ** 2).sum() * 100)

    assert np.ptp(recorded(pits, 300)[0].alone) > 0.01
    assert np.ptp(recorded(lambda x: float(((x - 1) ** 2).sum()), 300)[0].alone) < 1e-3


def test_two_searches_do_not_agree_before_each_has_started_anew():
    """With 340 evaluations both end in one place, where the risk is 2.6% above the least."""
    problem, rule = quadratic(dim=60, batch=256), find("accelerated_sgd")
    few, many = (tune(rule, problem, "risk@300", budget=budget) for budget in (340, 1500))
    assert few.value > 1.02 * many.value
    assert few.agreement == math.inf
    assert many.agreement < 1e-3
    assert [recorded(lambda x: float((x**2).sum()), budget)[0].turns for budget in (1, 200, 600, 1500)] == [0, 0, 1, 2]


def quadratic(**options):
    return problems.make("quadratic", **{"dim": 6, "spectrum": "power:1", "grad_noise": 1.0, "batch": 64, **options})


def test_tuning_a_run_that_swells_is_no_worse_with_more_budget_and_the_same_from_two_seeds():
    """Digits that second moments lose made the best values of a larger budget false, and worse when they were dropped.

    No value is below the least risk of linear methods, 3.9310e-4, by the oracle of least squares over polynomials.
    """
    problem = quadratic(dim=60, batch=256)
    found = [
        tune(window, problem, "risk@300", budget=budget, seed=seed) for budget, seed in ((300, 0), (600, 0), (600, 1))
    ]
    values = [tuned.value for tuned in found]
    assert values[0] >= values[1] > 3.9310e-4
    assert values[2] == pytest.approx(values[1], rel=0.02)
    assert all(value < 1.06 * 3.9310e-4 for value in values[1:])


@pytest.mark.parametrize(
    ("whole", "part", "names"),
    [
        (window, "schedule_free", ["lr", "beta"]),
        ("qhm", "sgd", None),
        ("jain", "heavy_ball", None),
        ("ademamix_sgd", "heavy_ball", None),
    ],
    ids=str,
)
def test_a_rule_tunes_no_worse_than_one_that_it_contains(whole, part, names):
    problem = quadratic()
    rule = find(whole) if isinstance(whole, str) else whole
    best = tune(find(part), problem, "risk@30", names, budget=300).value
    assert tune(rule, problem, "risk@30", budget=1000).value <= best * (1 + 1e-4)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum())
def broken(s, t, h):
    """Heavy ball that has no value at beta = 1/2, and overflows at a large step size."""
    g = yield s.w
    m = h.beta * s.m + g / (h.beta - 0.5)
    return dict(w=s.w - h.lr**200 * m, m=m)


def test_points_that_cannot_be_computed_are_counted_and_the_search_goes_on(monkeypatch):
    """A schedule at its ends, a singular matrix, an overflow; the other points are compared as ever."""
    found = tune(find("schedule_free"), quadratic(), "risk@30", ["lr", "beta", "r"], budget=150)
    assert found.failed["not computable"] > 0
    assert math.isfinite(found.value)
    exact = goals.RiskAt.on

    def sometimes(self, *arguments):
        score = exact(self, *arguments)

        def failing(values):
            for low, error in (
                (10, np.linalg.LinAlgError("Singular matrix")),
                (1, OverflowError()),
                (0.5, InputError("")),
            ):
                if values["lr"] > low:
                    raise error
            return math.nan if values["lr"] < 1e-6 else score(values)

        return failing

    for objective in ("risk@30", "rate"):
        with pytest.raises(InputError, match="none of the 20 points tried can be computed"):
            tune(broken, quadratic(), objective, ["lr"], beta=0.5, budget=20)
    clean = tune(find("sgd"), quadratic(), "risk@30", budget=100)
    monkeypatch.setattr(goals.RiskAt, "on", sometimes)
    found = tune(find("sgd"), quadratic(), "risk@30", budget=100)
    assert found.failed["not computable"] > 20
    assert found.value == pytest.approx(clean.value, rel=1e-3)
    assert clean.failed.keys() <= {"diverged"}


def test_an_error_that_every_point_raises_is_raised_with_its_own_words(monkeypatch):
    def raising(error):
        def fail(values):
            raise error(values) if callable(error) else error

        monkeypatch.setattr(goals.RiskAt, "on", lambda *_: fail)

    raising(InputError("this question has no answer"))
    with pytest.raises(InputError, match=r"^this question has no answer$"):
        tune(find("sgd"), quadratic(), "risk@30", budget=20)
    raising(lambda values: ValueError(f"bad lr {values['lr']}"))
    with pytest.raises(InputError, match=r"none of the 20 points tried can be computed; at lr=.*: bad lr"):
        tune(find("sgd"), quadratic(), "risk@30", budget=20)


def test_the_command_says_where_two_searches_do_not_agree(monkeypatch, capsys):
    def printed(*more):
        arguments = [
            "tune",
            "accelerated_sgd",
            "--problem",
            "linear_regression",
            "--dim",
            "3",
            "--objective",
            "rate",
            *more,
        ]
        monkeypatch.setattr(sys, "argv", ["accelsim", *arguments, "--json"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 0
        return json.loads(capsys.readouterr().out)

    assert "accelerated_sgd: the budget is too small for two searches" in printed("--budget", "2")["notices"][0]
    unstable = printed("--budget", "2", "--set", "eta=1e5")["notices"][0]
    assert unstable == "accelerated_sgd: no point of 2 tried has a value: a larger budget tries more"
    few, many = printed("--budget", "30"), printed("--budget", "1500")
    assert few["agreement"] > 0.01 > many["agreement"]
    assert any("accelerated_sgd: the best values of two searches differ by a factor of" in n for n in few["notices"])
    assert not any("searches" in notice for notice in many["notices"])
    assert set(many["failed"]) <= {"diverged", "digits lost", "not computable"}
    assert many["failed"]["diverged"] > 0


def test_an_interrupt_ends_both_searches():
    """The other one went on until its budget was used up."""
    calls = []

    def interrupted(place):
        calls.append(place)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return float((place**2).sum())

    axes = [search.Axis(float, -1.0, 1.0)] * 2
    with pytest.raises(KeyboardInterrupt):
        search.search(interrupted, axes, 10**6, 0)
    assert len(calls) < 10**5
