"""What the tuner finds is the best there is: against grids, other searches, other coordinates and other cores."""

import itertools
import json
import math
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import accelsim
from accelsim import cli, optimizer, problems
from accelsim.errors import InputError
from accelsim.exact import rational
from accelsim.exact.long_runs import thresholds
from accelsim.exact.stationary import secular
from accelsim.exact.stationary.rates import constant_system, floor, rate
from accelsim.exact.tune import goals, search, tuning
from accelsim.exact.tune.tuning import Unfinished, envelope, tune
from accelsim.optimizers import find
from accelsim.rule import Hyperparameter, momentum, positive, real, step_size, weight
from accelsim.symbolic.system.tableau import linear_tableau


def regression(**options):
    return problems.make("linear_regression", **{"dim": 6, "spectrum": "geometric:100", **options})


@optimizer(positions="w", returns="w", lr=step_size())
def extragradient(s, t, h):
    """Two queries a step."""
    g = yield s.w
    g = yield s.w - h.lr * g
    return dict(w=s.w - h.lr * g)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(), spare=weight(0.5))
def ranged(s, t, h):
    """Heavy ball with a hyperparameter of every kind of range, most of them idle."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w")
def free(s, t, h):
    """The canonical form without ranges."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.eta * m - h.alpha * g, m=m)


TUNED = ("sgd", "heavy_ball", "nesterov", "accelerated_sgd")
RECORDED = {1: (937.3, 752.4, 466.2, 116.8), 4096: (250.1, 9.00, 13.50, 8.15)}


@pytest.mark.parametrize("batch", RECORDED)
def test_tuned_time_constants_are_optimal(batch):
    """A search that shares nothing with the tuner, from elsewhere, finds nothing better; nor do steps away."""
    from scipy.optimize import minimize

    problem = regression(dim=12, spectrum="geometric:1e3", batch=batch)
    for name, recorded in zip(TUNED, RECORDED[batch], strict=True):
        found = tune(find(name), problem)
        assert found.value == pytest.approx(recorded, rel=6e-4)
        assert found.at_bound == ()
        assert found.evaluations <= found.budget
        best = found.hyperparameters
        assert rate(find(name), problem, **best).tau == pytest.approx(found.value, rel=1e-7)
        for key, factor in itertools.product(best, (0.9, 1.1)):
            value = 1 - (1 - best[key]) * factor if key == "beta" else best[key] * factor
            assert rate(find(name), problem, **{**best, key: value}).tau > found.value * 1.0001

        def gap(x, name=name, names=tuple(best)):
            values = {k: 1 - math.exp(v) if k == "beta" else math.exp(v) for k, v in zip(names, x, strict=True)}
            if values.get("beta", 0) < 0:
                return 1e3
            system, step = constant_system(find(name), **values)
            return math.log1p(max(secular.gap(system, step, problem), -0.99)) * 100

        start = [math.log(0.1 * (1 - v) if k == "beta" else v / 2) for k, v in best.items()]
        other = minimize(gap, start, method="Powell", options={"maxfev": 150, "xtol": 1e-3, "ftol": 1e-8})
        assert -100 / other.fun > found.value * (1 - 1e-6)


@pytest.mark.parametrize(("batch", "seed"), [(1, 0), (64, 1)])
def test_no_point_of_a_grid_is_better(batch, seed):
    problem = regression(dim=3, spectrum="geometric:50", batch=batch)
    rule = find("accelerated_sgd")
    grids = [10.0 ** np.linspace(-4, 1, 8), 10.0 ** np.linspace(-3, 0.5, 8), 1 - 10.0 ** np.linspace(-3, -0.05, 8)]
    taus = [rate(rule, problem, eta=e, alpha=a, beta=b).tau for e, a, b in itertools.product(*grids)]
    found = tune(rule, problem, seed=seed)
    assert min(taus) * 0.5 < found.value <= min(taus)


@pytest.fixture(scope="module")
def canonical():
    """The best time constant of the canonical form on one problem."""
    problem = regression(dim=3, spectrum="geometric:50", batch=1)
    return problem, envelope(problem, "rate").value


@pytest.mark.parametrize(
    ("name", "names", "fixed"),
    [
        ("qhm", None, {}),
        ("accsgd", ["lr", "kappa", "xi"], {}),
        ("ademamix_sgd", None, {"beta1": 0.0}),
        ("simplified_ademamix_sgd", None, {}),
        ("schedule_free", ["lr", "beta", "c"], {}),
        ("agnes", None, {}),
        ("jain", None, {}),
    ],
)
def test_rules_of_one_form_have_one_best_time_constant(name, names, fixed, canonical):
    """Their maps to the canonical form cover its best point, so the search must end there from unlike coordinates."""
    problem, best = canonical
    found = tune(find(name), problem, "rate", names, **fixed)
    assert found.value == pytest.approx(best, rel=1e-6)
    assert rate(find(name), problem, **found.hyperparameters).tau == pytest.approx(best, rel=1e-6)


def test_rules_of_less_than_the_canonical_form_are_slower(canonical):
    problem, best = canonical
    for name in ("sgd", "heavy_ball", "nesterov"):
        assert tune(find(name), problem).value > 1.05 * best


def test_positions_apart_by_cancelling_coefficients_keep_their_digits():
    """AccSGD with a short step much shorter than its long one, against the canonical form of the same point."""
    problem, e, kappa, xi, lr = regression(dim=3, batch=1), 0.7, 4e-8, 8.9, 7e-6
    score = goals.Rate().on(find("accsgd"), problem, dict(lr=0.1, kappa=2.0, xi=3.0, e=e))
    values = dict(
        beta=(kappa - e**2 * xi) / (kappa + e * xi), alpha=lr, eta=lr * e * xi * (e * xi - 1) / (kappa + e * xi)
    )
    assert values["beta"] < 0
    assert math.exp(score(dict(lr=lr, kappa=kappa, xi=xi, e=e))) == pytest.approx(
        rate(free, problem, **values).tau, rel=1e-6
    )
    assert math.exp(score(dict(lr=lr, kappa=kappa, xi=2 * xi, e=e))) != pytest.approx(
        rate(free, problem, **values).tau, rel=0.1
    )


def test_cores_and_second_runs_change_nothing(monkeypatch):
    problem = regression(batch=2)
    once = tune(find("nesterov"), problem, budget=300, seed=3)
    monkeypatch.setattr(search, "ThreadPoolExecutor", lambda workers: ThreadPoolExecutor(1))
    assert tune(find("nesterov"), problem, budget=300, seed=3) == once
    assert tune(find("nesterov"), problem, budget=300, seed=4) != once


@pytest.mark.parametrize("budget", [1, 2, 7, 40, 133, 1000])
def test_no_budget_is_exceeded_and_none_is_wasted(budget):
    problem = regression(dim=2, spectrum="geometric:7", batch=3)
    found = tune(find("accelerated_sgd"), problem, budget=budget)
    assert found.evaluations <= budget == found.budget
    assert found.evaluations > 0.5 * budget or budget < 100


def test_larger_budgets_find_no_worse():
    problem = regression(batch=1)
    taus = [tune(find("accelerated_sgd"), problem, budget=budget).value for budget in (30, 300, 1500)]
    assert taus[0] > taus[1] > taus[2] * (1 - 1e-9)


def test_an_optimum_on_a_bound_is_put_there_and_said():
    """Where one eigenvalue is all, momentum only slows down; beside two it helps."""
    single = problems.make("quadratic", spectrum=[1.0])
    found = tune(find("heavy_ball"), problems.make("linear_regression", spectrum=[1.0], batch=1), "rate")
    assert (found.hyperparameters["beta"], found.at_bound) == (0.0, ("beta",))
    assert found.hyperparameters["lr"] == pytest.approx(1 / 3, rel=1e-3)  # E (1 - lr x^2)^2 is least there
    assert tune(find("heavy_ball"), regression()).at_bound == ()
    assert tune(find("sgd"), single).value < 0.1


@pytest.mark.parametrize(
    "declared",
    [
        step_size(),
        positive(),
        momentum(),
        weight(),
        real(),
        Hyperparameter(low=-3, high=5, open_low=True, open_high=True),
        Hyperparameter(low=2),
        Hyperparameter(high=-1),
        Hyperparameter(low=0, high=1, open_low=True),
    ],
    ids=lambda h: h.range,
)
def test_searched_values_lie_in_the_declared_range_and_reach_its_closed_ends(declared):
    made = optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(), spare=declared)(
        ranged.rule
    )
    axis = search.axis(made, "spare", 1.0)
    values = [axis.value(float(x)) for x in np.linspace(axis.low, axis.high, 1001)]
    assert all(map(declared.holds, values))
    assert all(np.diff(values) >= 0) or all(np.diff(values) <= 0)
    for end, is_open in ((declared.low, declared.open_low), (declared.high, declared.open_high)):
        if math.isfinite(end):
            assert (end in values) == (not is_open)
            assert min(abs(value - end) for value in values) <= 1e-7 * abs(declared.high - declared.low)
    assert sorted(axis.value(end) for end in axis.closed) == sorted(
        end
        for end, is_open in ((declared.low, declared.open_low), (declared.high, declared.open_high))
        if math.isfinite(end) and not is_open
    )


def test_a_rule_with_two_queries_is_tuned_by_dense_eigenvalues():
    problem = regression(dim=2, spectrum=[1.0, 0.2], batch=8)
    found = tune(extragradient, problem, budget=120)
    taus = [rate(extragradient, problem, lr=lr).tau for lr in np.linspace(0.01, 1.5, 60)]
    assert min(taus) * 0.98 < found.value <= min(taus)


@pytest.mark.parametrize("name", ["accsgd", "mars_exact_sgd"])
@pytest.mark.parametrize("objective", ["risk@12", "steps@0.3"])
def test_what_rounding_leaves_of_cancelling_moments_is_no_best_value(name, objective):
    """Against fractions; both rules have hyperparameters that leave floats no digit of a risk."""
    problem = regression(dim=2, spectrum="geometric:20", label_noise=0.5, batch=4)
    found = tune(find(name), problem, objective, budget=400)
    values = {k: repr(v) for k, v in found.hyperparameters.items()}
    if objective == "risk@12":
        exact = float(sum(rational.bias_and_variance(find(name), problem, 12, **values)))
        assert found.value == pytest.approx(exact, rel=1e-6)
    else:
        steps = int(found.value)
        risks = [float(sum(rational.bias_and_variance(find(name), problem, n, **values))) for n in (steps - 1, steps)]
        assert risks[1] <= 0.3 < risks[0]


def test_a_risk_lost_in_rounding_is_said_to_be_lost_and_one_that_is_wrong_is_not_confirmed():
    problem = regression(dim=5, spectrum="geometric:50", label_noise=0.5, batch=4)
    rule, far = find("mars_exact_sgd"), {"beta": 0.9999999856186821, "lr": 157.3, "gamma": 203714.1}
    arrival = thresholds.arrival(problem, linear_tableau(rule), far, 1e-3, 50)
    assert arrival.steps is None
    near = far | {"lr": 0.1, "gamma": 0.5, "beta": 0.5}
    kept = thresholds.arrival(problem, linear_tableau(rule), near, 1e-3, 50)
    assert not kept.lost
    goal = goals.parse("risk@50")
    assert goal.again(rule, problem, near, 0.0) == pytest.approx(math.log(kept.risk), abs=1e-9)
    assert goal.again(rule, problem, far, math.log(sys.float_info.min)) > goals.NONE
    step = thresholds.arrival(problem, linear_tableau(rule), near, 0.2, 50).steps
    for score, holds in ((math.log(step - 0.5), True), (math.log(step - 1.5), False)):
        assert goals.kind(goals.StepsTo(0.2).again(rule, problem, near, score)) == (None if holds else "digits lost")


def test_where_a_best_value_does_not_hold_the_best_one_by_the_second_route_is_taken():
    axes, tried = [search.Axis(float, 0, 10)], [(float(x), np.array([x / 10])) for x in range(100)]
    best = search.Found(tried[0][1], 0.0, 100, (0,), (0.0, 0.0))
    for first in (0, 1, 2, 7, 55):
        taken = search.confirmed(best, tried[::-1], axes, lambda _, v, first=first: v if v >= first else 1e3)
        assert (taken.value, taken.evaluations, taken.edges) == (first, 100, (0,) if first == 0 else ())
    # what the second route makes a little worse is still the best: it is not dropped, and has its right value
    taken = search.confirmed(best, tried, axes, lambda _, v: v + 0.5)
    assert (taken.value, taken.place.tolist()) == (0.5, [0.0])
    assert search.confirmed(best, tried, axes, lambda *_: 1e3).value == 1e3


def test_the_best_risk_at_a_step_is_no_worse_than_any_on_a_grid():
    problem = regression(dim=2, label_noise=0.3, batch=2)
    risks = [accelsim.risk(find("sgd"), problem, 30, lr=lr).risk[-1] for lr in 10.0 ** np.linspace(-3, 0, 40)]
    found = tune(find("sgd"), problem, "risk@30", budget=80)
    assert min(risks) * 0.97 < found.value <= min(risks)
    rerun = accelsim.risk(find("sgd"), problem, 30, **found.hyperparameters)
    assert rerun.risk[-1] == pytest.approx(found.value, rel=1e-10)


def test_families_of_schedules_hold_the_constants():
    """A warm-up of one step is a constant, so the best is no worse; decay helps where labels are noisy."""
    problem = regression(dim=2, label_noise=0.3, batch=2)
    run = dict(budget=160)  # of which each of two searches has half
    constant = tune(find("sgd"), problem, "risk@30", **run).value
    found = {
        family: tune(find("sgd"), problem, "risk@30", families={"lr": family}, **run)
        for family in ("1/t", "cosine", "linear", "warmup")
    }
    assert found["warmup"].value <= constant * (1 + 1e-4)
    for family in ("1/t", "cosine", "linear"):
        assert found[family].value < constant * 0.99
    text = found["cosine"].hyperparameters["lr"]
    assert text.endswith("*cosine(t,30)")
    rerun = accelsim.risk(find("sgd"), problem, 30, lr=text)
    assert rerun.risk[-1] == pytest.approx(found["cosine"].value, rel=1e-10)


def test_tuning_says_what_it_cannot_tune():
    problem = regression()
    for complaint, rule, arguments, options in (
        ("did you mean 'beta'", "nesterov", ["rate", ["lr", "bet"]], {}),
        ("vary in time.*risk@T instead, or set or tune what varies .c.", "schedule_free", ["rate", ["lr"]], {}),
        ("whole number, which is not tuned", "schedule_free", ["rate", ["warmup_steps"]], {"c": 0.1}),
        ("both set and tuned", "sgd", ["rate", ["lr"]], {"lr": 0.1}),
        ("nothing is left to tune", "sgd", ["rate"], {"lr": 0.1}),
        ("needs beta", "nesterov", ["rate", ["lr"]], {}),
        ("did you mean 'cosine'", "sgd", ["risk@9"], {"families": {"lr": "cosin"}}),
        ("vary in time", "sgd", ["rate"], {"families": {"lr": "cosine"}}),
        ("budget of evaluations must be a whole number of at least 1, not 0", "sgd", ["rate"], {"budget": 0}),
        ("seed must be", "sgd", ["rate"], {"seed": -1}),
        ("rate, risk@T with", "sgd", ["rates"], {}),
        ("rate, risk@T with", "sgd", ["risk@0"], {}),
        ("rate, risk@T with", "sgd", ["risk@x"], {}),
        ("a risk above 0", "sgd", ["steps@0"], {}),
        ("the risk is .* at the start: take a target below it", "sgd", ["steps@100"], {}),
        ("not linear", "lion", ["rate"], {}),
    ):
        with pytest.raises(InputError, match=complaint):
            tune(find(rule), problem, *arguments, **options)
    assert tune(find("nesterov"), problem, budget=50, beta=0.5).hyperparameters["beta"] == 0.5


@pytest.mark.parametrize("kind", ["linear_regression", "quadratic"])
def test_the_fewest_steps_to_a_target_are_no_more_than_any_on_a_grid(kind):
    noise = {"label_noise": 0.5} if kind == "linear_regression" else {"grad_noise": 0.5}
    problem, rule, target = problems.make(kind, dim=4, spectrum="geometric:20", batch=2, **noise), find("sgd"), 0.05
    found = tune(rule, problem, f"steps@{target}", budget=150)
    steps = []
    for lr in 10.0 ** np.linspace(-2.5, 0, 30):
        steps += [thresholds.arrival(problem, linear_tableau(rule), {"lr": lr}, target, 4000).steps or math.inf]
    assert min(steps) * 0.9 < found.value <= min(steps)
    last, before = (
        accelsim.risk(rule, problem, int(found.value) - k, **found.hyperparameters).risk[-1] for k in (0, 1)
    )
    assert last <= target < before


def test_a_run_that_diverges_never_counts_as_having_reached_a_target():
    """Every run short of divergence is longer than the ones that diverge, which end earlier."""
    problem = regression(dim=2, label_noise=0.5, batch=2)
    arrival = thresholds.arrival(problem, linear_tableau(find("sgd")), {"lr": 5.0}, 1e-3, 5000)
    assert arrival.steps is None
    assert 0 < arrival.diverged < 5000
    with pytest.raises(InputError, match="unreachable: every run tried diverges"):
        tune(find("heavy_ball"), problem, "steps@0.1", ["beta"], lr=50.0, budget=40)
    additive = problems.make("quadratic", dim=2, grad_noise=1.0)  # without stepping: the step is not known there
    with pytest.raises(InputError, match="unreachable: every run tried diverges"):
        tune(find("heavy_ball"), additive, "steps@0.01", ["beta"], lr=50.0, budget=40)


def test_a_target_below_the_floor_is_said_to_be_unreachable_with_the_floor():
    problem = regression(dim=2, label_noise=0.5, batch=2)
    with pytest.raises(
        InputError, match=r"no noise floor below (\S+) found in \d+ trials, that one at lr=0.3, beta=(\S+)"
    ) as told:
        tune(find("heavy_ball"), problem, "steps@0.001", ["beta"], lr=0.3, budget=160)
    said = float(str(told.value).split("below ")[1].split()[0])
    floors = [floor(find("heavy_ball"), problem, lr=0.3, beta=beta) for beta in np.linspace(0, 0.9, 10)]
    assert said == pytest.approx(min(filter(None, floors)), rel=1e-3)
    reached = tune(find("heavy_ball"), problem, f"steps@{1.5 * said}", ["beta"], lr=0.3, budget=160)
    assert math.isfinite(reached.value)


def test_a_target_that_small_steps_reach_is_not_taken_for_unreachable(capsys, monkeypatch):
    """Whatever the budget; and where the envelope finds nothing, what was found is printed with the reason."""
    problem, rule = problems.make("quadratic", grad_noise=1.0), find("accelerated_sgd")
    target = 0.01
    for budget in (200, 400):
        reached = tune(rule, problem, f"steps@{target}", budget=budget)
        last = accelsim.risk(rule, problem, int(reached.value), **reached.hyperparameters).risk[-1]
        assert last <= target
    arguments = [
        "heavy_ball",
        "--problem",
        "quadratic",
        "--grad-noise",
        "1",
        "--objective",
        "steps@0.01",
        "--json",
        "--envelope",
    ]
    monkeypatch.setattr(sys, "argv", ["accelsim", "tune", *arguments, "--budget", "200"])

    def none(*_, **__):
        raise InputError("for want of luck")

    monkeypatch.setattr("accelsim.exact.tune.tuning.envelope", none)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    found = json.loads(capsys.readouterr().out)
    assert (stop.value.code, found["envelope"]) == (0, None)
    assert found["notices"][-1] == "no envelope: for want of luck"
    assert math.isfinite(found["value"])


def test_long_runs_are_looked_at_only_where_they_cost_as_little_as_short_ones():
    def longest(name, problem, **values):
        return goals.StepsTo(0.2).limits(find(name), problem, values)[-1]

    additive = problems.make("quadratic", grad_noise=1.0, dim=5)
    assert longest("heavy_ball", additive, lr=0.1, beta=0.5) == 2**thresholds.DOUBLINGS
    assert longest("schedule_free", additive, lr=0.1, beta=0.5) <= 1e6
    assert longest("heavy_ball", additive, lr="0.1/(t+1)", beta=0.5) <= 1e6
    assert longest("heavy_ball", regression(), lr=0.1, beta=0.5) <= 1e6
    assert longest("mars_exact_sgd", additive, lr=0.1, beta=0.5, gamma=0.1) <= 1e4


def test_nothing_stable_is_said_as_an_infinite_time_constant():
    found = tune(find("heavy_ball"), regression(), "rate", ["beta"], lr=50.0, budget=60)
    assert found.value == math.inf


def test_the_command_prints_a_document_and_draws(monkeypatch, capsys, tmp_path):
    problem = ("--problem", "linear_regression", "--dim", "3", "--batch", "4")
    place = tmp_path / "new" / "tuned.svg"
    arguments = ["tune", "nesterov", *problem, "--objective", "rate", "--budget", "1000", "--out", str(place), "--json"]
    monkeypatch.setattr(sys, "argv", ["accelsim", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    found = json.loads(capsys.readouterr().out)
    assert stop.value.code == 0
    assert found["budget"] == found["envelope"]["budget"] == 1000
    assert found["value"] > found["envelope"]["value"]
    assert set(found["hyperparameters"]) == {"lr", "beta"}
    assert set(found["envelope"]["hyperparameters"]) == {"eta", "alpha", "beta"}
    assert place.read_bytes().startswith(b"<?xml")
    again = problems.make("linear_regression", dim=3, batch=4)
    assert rate(find("nesterov"), again, **found["hyperparameters"]).tau == pytest.approx(found["value"], rel=1e-7)


@pytest.mark.parametrize("name", ["accelerated_sgd", "heavy_ball", "jain", "accsgd"])
def test_scores_of_a_search_are_those_of_certified_rates_on_edges_of_ranges_too(name):
    """A state that stops to matter on an edge is none of the rate there: it would be the slowest in some."""
    problem, draw, rule = regression(), np.random.default_rng(0), find(name)
    axes = {key: search.axis(rule, key, 1.0) for key, h in rule.hyperparameters.items() if not h.switch}
    score = goals.Rate().on(rule, problem, {key: a.value(a.drawn(1 / math.e, True)) for key, a in axes.items()})
    for place in range(60):
        values = {key: a.value(a.drawn(draw.uniform(), True)) for key, a in axes.items()}
        key = list(axes)[place % len(axes)]
        if axes[key].closed and place % 2:
            values[key] = axes[key].value(axes[key].closed[0])
        found = rate(rule, problem, **values)
        if found.stable:
            assert math.exp(score(values)) == pytest.approx(found.tau, rel=1e-6), values
        else:
            assert goals.kind(score(values)) == "diverged", values


def test_runs_in_floats_are_those_of_exact_coefficients_or_left_to_them():
    """At a point where coefficients cancel to nothing that floats hold, they are left; calm ones are not."""
    problem = problems.make("quadratic", dim=20, spectrum="power:1", grad_noise=1.0, batch=64)
    draw, kept = np.random.default_rng(1), 0
    for name in ("heavy_ball", "accelerated_sgd", "accsgd", "qhm"):
        rule = find(name)
        axes = {key: search.axis(rule, key, 1.0) for key, h in rule.hyperparameters.items() if not h.switch}
        like = {key: a.value(a.drawn(1 / math.e, True)) for key, a in axes.items()}
        tableau = linear_tableau(rule, **like)
        quickly = goals._quick(problem, tableau, like)
        for _ in range(40):
            values = {key: a.value(a.drawn(draw.uniform(), True)) for key, a in axes.items()}
            risk = quickly(values, -1.0, 200)
            if risk is not None:
                kept += 1
                assert risk.risk == pytest.approx(thresholds.risk_after(problem, tableau, values, 200).risk, rel=1e-8)
            reached = quickly(values, 0.05, 5000)
            if reached is not None:
                assert reached.steps == thresholds.arrival(problem, tableau, values, 0.05, 5000).steps
    assert kept > 100
    far = {"lr": 0.1, "kappa": 2.0, "xi": 3.0, "e": 0.7} | {"kappa": 1e14, "xi": 1e14}
    tableau = linear_tableau(find("accsgd"), **far)
    assert goals._quick(problem, tableau, far | {"kappa": 2.0, "xi": 3.0})(far, -1.0, 200) is None


def test_a_power_that_overflows_is_no_risk_of_zero():
    """Not a number is not small: the search for the least risk ended at such a place."""
    problem = problems.make("quadratic", dim=12, spectrum="geometric:1e3")
    tableau = linear_tableau(find("accelerated_sgd"))
    wild = dict(eta=0.005, alpha=15875.0, beta=0.998)
    assert thresholds.Squared(problem, tableau).run(tableau.at(0, wild), -1.0, 1000).diverged
    found = tune(find("accelerated_sgd"), problem, "risk@1000", budget=200)
    assert 0 < found.value < 1e-9


def test_an_interrupt_or_the_time_ends_a_search_with_the_best_so_far(monkeypatch, capsys):
    """And without either the same search goes on."""
    done = []

    def pressed(count, _value):
        done.append(count)
        if count == 50:
            raise KeyboardInterrupt

    problem = regression()
    with pytest.raises(Unfinished) as stopped:
        tune(find("heavy_ball"), problem, "rate", budget=400, progress=pressed)
    best = stopped.value.found
    assert 50 <= best.evaluations <= max(done) < 400
    assert rate(find("heavy_ball"), problem, **best.hyperparameters).tau == pytest.approx(best.value, rel=1e-6)
    short = tune(find("heavy_ball"), problem, "rate", budget=400, seconds=1e-9)
    assert 1 <= short.evaluations <= 2
    assert tune(find("heavy_ball"), problem, "rate", budget=400).evaluations == 400

    arguments = ["tune", "heavy_ball", "--problem", "linear_regression", "--dim", "3", "--objective", "rate", "--json"]
    usual = tuning.tune

    def interrupted(*given, **options):
        return usual(*given, **{**options, "progress": pressed})

    for more, code, said in (([], 130, "interrupted"), (["--max-seconds", "1e-9"], 0, "time was up")):
        monkeypatch.setattr(sys, "argv", ["accelsim", *arguments, *more])
        monkeypatch.setattr(tuning, "tune", interrupted if code else usual)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        found = json.loads(capsys.readouterr().out)
        assert stop.value.code == code
        assert found["evaluations"] < found["budget"]
        assert any(said in notice for notice in found["notices"])

    def stopped_at_once(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "envelope", stopped_at_once)  # with the search for the rule itself at its end
    monkeypatch.setattr(sys, "argv", ["accelsim", *arguments, "--envelope"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    found = json.loads(capsys.readouterr().out)
    assert (stop.value.code, found["evaluations"], found["envelope"]) == (130, found["budget"], None)
    assert "its search was interrupted" in found["notices"][-1]


def test_a_search_of_days_is_refused_with_its_time_unless_it_is_given_one():
    problem = regression()
    with pytest.raises(InputError, match=r"2000 runs of 1e\+09 steps would take about \d+ days.*--max-seconds"):
        tune(find("schedule_free"), problem, "risk@1e9")
    timed = tune(find("schedule_free"), problem, "risk@200", budget=10, seconds=60.0)
    assert math.isfinite(timed.value)


def test_the_best_constant_method_is_no_envelope_of_what_is_better(monkeypatch, capsys):
    arguments = ["--problem", "quadratic", "--grad-noise", "1", "--dim", "1", "--objective", "risk@50", "--json"]
    arguments += ["--budget", "300", "--envelope"]
    found = {}
    for more in (["--schedule", "lr=1/t", "--set", "beta=0"], ["--set", "lr=0.001"]):
        monkeypatch.setattr(sys, "argv", ["accelsim", "tune", "heavy_ball", *arguments, *more])
        with pytest.raises(SystemExit):
            cli.main()
        found[more[1]] = json.loads(capsys.readouterr().out)
    assert found["lr=0.001"]["value"] >= found["lr=0.001"]["envelope"]["value"]
    better = found["lr=1/t"]
    assert better["envelope"] is None
    assert better["value"] < better["best_constant_one_memory"]["value"]


def test_a_rule_that_moves_nothing_has_rate_one_at_once(monkeypatch):
    """A screened point of every search with a closed range: enclosing 1 took half a minute on a large table."""
    monkeypatch.setattr("accelsim.exact.stationary.rates.enclosed", None)
    found = rate(find("heavy_ball"), problems.make("dataset", data="diabetes", batch=4), lr=0.0, beta=0.5)
    assert (found.rho, found.one_minus_rho, found.stable, found.tau) == (1.0, 0.0, False, math.inf)
    assert found.rho_low <= 1 <= found.rho_high


def test_risks_on_small_tables_are_scored_by_leaps_as_they_are_step_by_step(monkeypatch, tmp_path):
    chance = np.random.default_rng(0)
    np.save(tmp_path / "small.npy", chance.standard_normal((30, 4)) @ chance.standard_normal((4, 4)))
    table = problems.make("dataset", data=str(tmp_path / "small.npy"), target=3, batch=2)
    values = dict(lr=0.05, beta=0.5)
    expected = accelsim.risk(find("heavy_ball"), table, 200, **values).risk[-1]
    monkeypatch.setattr(goals, "risk", None)  # no step is taken one by one
    score = goals.parse("risk@200").on(find("heavy_ball"), table, values)
    assert math.exp(score(values)) == pytest.approx(expected, rel=1e-11)
    assert goals.kind(score(dict(lr=1.9, beta=0.5))) == "diverged"


def test_a_risk_after_more_steps_than_can_be_counted_is_refused():
    for text in ("risk@1e30", "risk@1e16"):
        with pytest.raises(InputError, match=r"take at most 1e\+15"):
            goals.parse(text)
    assert goals.parse("risk@1e15").horizon == 10**15
