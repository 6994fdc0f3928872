"""Rules as people write them go through every command as they are, to numbers that plain NumPy makes of them."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import seed_of

from accelsim import discovery, optimizers, problems, risk
from accelsim.rule import Optimizer
from accelsim.simulation import driver
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.find.answer import EQUIVALENT, REFUTED, UP_TO
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.system.tableau import is_linear

FILES = sorted((Path(__file__).parent / "own_rules").glob("*.py"))
PLACES = {name: path for path in FILES for name in discovery.members(discovery.load(str(path)), Optimizer)}
RULES = {name: optimizers.find(f"{path}:{name}") for name, path in PLACES.items()}
LINEAR = [name for name, rule in RULES.items() if is_linear(rule)]
ONE_GRADIENT = [name for name, rule in RULES.items() if rule.program().gradients == 1]

VALUES = dict(lr=0.05, beta=0.8, c=0.3, a=0.3, mu=0.8, alpha=0.05, dampening=0.3, weight_decay=0.1, lambd=0.1)
STEPS, WIDTH, REPLICAS = 20, 3, 4000
PROBLEM = dict(dim=WIDTH, spectrum="geometric:10", batch=2)
TYPED = ("--dim", WIDTH, "--spectrum", "geometric:10", "--batch", 2)
NOISE = 0.1


def values_of(rule):
    """Numbers for all hyperparameters of a rule."""
    return {name: VALUES.get(name, declared.default) for name, declared in rule.hyperparameters.items()}


def run(rule, shape, gradient, optimum):
    """Errors of what a rule returns after each step, by the function that was written and nothing else.

    Parameters
    ----------
    shape : of every state.
    gradient : called with the step, the number of the query in it, and the points.
    """
    h = SimpleNamespace(**values_of(rule))
    state = {name: np.zeros(shape) for name in rule.positions}
    state |= {name: np.full(shape, float(value)) for name, value in rule.memories.items()}
    errors = [state[rule.returns] - optimum]
    for t in range(STEPS):
        stepping, query = rule.rule(SimpleNamespace(**state), t, h), 0
        points = next(stepping)
        try:
            while True:
                points = stepping.send(gradient(t, query, points))
                query += 1
        except StopIteration as stop:
            state = stop.value
        errors.append(state[rule.returns] - optimum)
    return np.array(errors)


def at_each(points, of):
    """Gradients at one point, or at several on the same sample."""
    return tuple(map(of, points)) if isinstance(points, tuple) else of(points)


def typed(rule):
    """The same numbers as options."""
    return [part for name, value in values_of(rule).items() for part in ("--set", f"{name}={value}")]


def place(name):
    """The name of a rule with its file, as it is typed."""
    return f"{PLACES[name]}:{name}"


def test_there_are_rules_of_all_kinds():
    assert len(RULES) >= 20
    assert 10 <= len(LINEAR) < len(RULES)


@pytest.mark.parametrize("name", LINEAR)
def test_the_exact_risk_under_additive_noise_is_that_of_impulses(name):
    """A linear rule's error is that without noise plus its answers to the noise of each query."""
    rule, problem = RULES[name], problems.make("quadratic", grad_noise=NOISE, noise_shape="I", **PROBLEM)
    queries = len(rule.program().queries)
    impulses = np.zeros((STEPS, queries, 1 + STEPS * queries, 1))
    impulses.reshape(STEPS * queries, -1)[:, 1:] = np.eye(STEPS * queries)
    optimum = -np.ones(WIDTH)

    def gradient(t, query, points):
        return at_each(points, lambda w: problem.spectrum * (w - optimum) + impulses[t, query])

    error = run(rule, (1 + STEPS * queries, WIDTH), gradient, optimum)
    answers = ((error[:, 1:] - error[:, :1]) ** 2).sum(axis=1) * NOISE / PROBLEM["batch"]
    expected = (problem.spectrum * (error[:, 0] ** 2 + answers)).sum(axis=-1) / 2
    found = risk(rule, problem, STEPS, **values_of(rule))
    np.testing.assert_allclose(found.risk, expected[found.steps], rtol=1e-10)


@pytest.mark.parametrize("name", LINEAR)
def test_the_exact_risk_on_samples_is_that_of_plain_replicas(name):
    rule, problem = RULES[name], problems.make("linear_regression", label_noise=NOISE, **PROBLEM)
    random, optimum = np.random.default_rng(seed_of(name)), -np.ones(WIDTH)

    def gradient(t, query, points):
        x = random.standard_normal((REPLICAS, PROBLEM["batch"], WIDTH)) * np.sqrt(problem.spectrum)
        noise = random.standard_normal((REPLICAS, PROBLEM["batch"])) * np.sqrt(NOISE)
        return at_each(
            points, lambda w: np.einsum("rbi,rb->ri", x, np.einsum("rbi,ri->rb", x, w - optimum) - noise) / 2
        )

    error = run(rule, (REPLICAS, WIDTH), gradient, optimum)
    risks = (problem.spectrum * error**2).sum(axis=-1) / 2
    found = risk(rule, problem, STEPS, **values_of(rule))
    later = found.steps[found.steps > 0]
    spread = risks[later].std(axis=1) / np.sqrt(REPLICAS)
    assert np.abs((risks[later].mean(axis=1) - found.risk[1:]) / spread).max() < 4.5


@pytest.mark.parametrize("name", RULES)
def test_a_simulation_ends_where_the_function_that_was_written_does(name, accelsim):
    """Without noise there is one path."""
    rule, optimum = RULES[name], -np.ones(WIDTH)
    spectrum = problems.make("quadratic", **PROBLEM).spectrum
    error = run(rule, (1, WIDTH), lambda t, query, points: at_each(points, lambda w: spectrum * (w - optimum)), optimum)
    command = ("simulate", place(name), "--problem", "quadratic", *TYPED, "--steps", STEPS, "--seeds", 2)
    code, out, _ = accelsim(*command, *typed(rule), "--backend", "numpy", "--quiet")
    assert code == 0
    last = next(line.split() for line in out.splitlines() if line.startswith(f"{STEPS} "))
    assert float(last[1]) == pytest.approx(float(spectrum @ error[-1, 0] ** 2 / 2), rel=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_every_command_takes_it_or_says_in_a_line_why_not(name, accelsim):
    rule, linear = RULES[name], name in LINEAR
    problem = ("--problem", "quadratic", *TYPED)
    code, out, err = accelsim("canonical", place(name))
    assert (code, err.count("\n")) == ((0, 0) if out else (2, 1))
    assert bool(out) == (name in ONE_GRADIENT and name != "value_clipped")
    for command in (
        ("risk", place(name), *problem, "--steps", 10),
        ("simulate", place(name), *problem, "--steps", 10, "--seeds", 2, "--exact", "--quiet", "--backend", "numpy"),
        ("compare", place(name), *problem, "--objective", "risk@10"),
    ):
        code, _, err = accelsim(*command, *typed(rule))
        assert (code, err.count("\n")) == ((0, 0) if linear else (2, 1))
        assert linear or "is not linear" in err or "has no linear part" in err


def test_that_there_is_no_exact_risk_is_said_before_anything_is_run(accelsim, monkeypatch):
    monkeypatch.setattr(driver, "simulate", None)
    command = ("simulate", place("torch_adam"), "--problem", "quadratic", "--steps", 10, "--exact")
    code, _, err = accelsim(*command)
    assert code == 2
    assert "is not linear" in err


def test_a_sum_of_weights_in_a_normal_form_is_defined_there(accelsim):
    document = json.loads(accelsim("canonical", place("normalised_average"), "--json")[1])
    assert document["eta"] == "lr/(beta*weight(t) + 1)"
    assert document["sequences"] == ["weight(0) = 0, weight(t + 1) = beta*weight(t) + 1"]
    assert json.loads(accelsim("canonical", place("difference"), "--json")[1])["sequences"] == []


EASY = [
    ("torch_sgd", "heavy_ball", dict(dampening=0, weight_decay=0, nesterov=0), EQUIVALENT),
    ("keras_nesterov", "nesterov", {}, EQUIVALENT),
    ("keras_nesterov", "heavy_ball", {}, REFUTED),
    ("torch_adam", "adamw", {}, EQUIVALENT),
    ("torch_adamax", "adamw", {}, REFUTED),
    ("released_schedule_free", "heavy_ball", {}, REFUTED),
    ("torch_asgd", "sgd", dict(lambd=0), EQUIVALENT),
    ("torch_asgd", "sgd", {}, REFUTED),
    ("difference", "heavy_ball", {}, EQUIVALENT),
    ("difference", "nesterov", {}, REFUTED),
    ("two_sequences", "nesterov", {}, EQUIVALENT),
    ("two_sequences", "heavy_ball", {}, REFUTED),
    ("dual_averaged", "nesterov", {}, REFUTED),
    ("optimistic", "accelerated_sgd", {}, REFUTED),
    ("normalised_average", "heavy_ball", {}, EQUIVALENT),
    ("normalised_average", "sgd", {}, REFUTED),
    ("warmed_then_cosine", "heavy_ball", {}, EQUIVALENT),
    ("shadowed", "ema(sgd)", {}, EQUIVALENT),
    ("recursive_momentum", "storm", {}, EQUIVALENT),
    ("variance_reduced", "heavy_ball", {}, REFUTED),
    ("sign_momentum", "signum", {}, EQUIVALENT),
    ("lion_inplace", "lion", {}, EQUIVALENT),
    ("lion_inplace", "signum", {}, REFUTED),
    ("norm_clipped", "heavy_ball", {}, UP_TO),
    ("value_clipped", "sgd", {}, REFUTED),
    ("torch_adagrad", "adagrad", {}, EQUIVALENT),
    ("normalised", "signum", {}, REFUTED),
]
HARD = [
    ("released_schedule_free", "schedule_free", dict(warmup_steps=10), EQUIVALENT),
    ("torch_sgd", "nesterov", dict(dampening=0, weight_decay=0), EQUIVALENT),
    ("torch_sgd", "heavy_ball", dict(dampening=0, weight_decay=0), REFUTED),
    ("torch_nadam", "adamw", {}, REFUTED),
    ("released_schedule_free", "accelerated_sgd", {}, EQUIVALENT),
    ("torch_centered_rmsprop", "rmsprop", {}, REFUTED),
    ("fista", "heavy_ball", {}, REFUTED),
    ("dual_averaged", "heavy_ball", {}, EQUIVALENT),
    ("cautious_lion", "lion", {}, REFUTED),
    ("adabelief", "adamw", {}, REFUTED),
]


@pytest.mark.parametrize(
    ("a", "b", "given", "expected"), [*EASY, *(pytest.param(*case, marks=pytest.mark.long) for case in HARD)]
)
def test_it_is_the_shipped_rule_that_it_should_be_and_no_near_miss(a, b, given, expected):
    source, target = RULES[a], optimizers.find(b)
    switches = {name: value for name, value in given.items() if name == "warmup_steps"}
    answer = equivalent(source, target, {name: str(value) for name, value in given.items()}, switches)
    assert answer.status == expected
    held = {source.name: source, target.name: target}
    assert verify_certificate(answer.certificate, held.__getitem__).holds
