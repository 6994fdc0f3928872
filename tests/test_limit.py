"""The least risk of all linear methods: against direct minimization, sixty digits, and every rule."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conftest import seed_of
from reference.limit import least_risk
from scipy import optimize
from typer.testing import CliRunner

from accelsim import compare, optimizer, problems, risk, step_size, tune, weight
from accelsim.cli._common import app
from accelsim.elementary import where
from accelsim.errors import InputError
from accelsim.exact import limit as module
from accelsim.exact.limit import limit, of_rule

pytestmark = pytest.mark.numeric


def drawn(name: str) -> tuple[Any, int]:
    """A noisy quadratic of a random spectrum, start, noise and batch, and a number of steps."""
    chance = np.random.default_rng(seed_of(name))
    dim = int(chance.integers(1, 25))
    lam = np.exp(chance.uniform(-chance.uniform(0, 9), 0, dim))
    if dim > 3 and chance.random() < 0.3:
        lam[1:3] = lam[0]  # eigenvalues that are one
    shape = ["H", "I", np.exp(chance.uniform(-3, 3, dim))][chance.integers(3)]
    start = chance.standard_normal(dim) * (chance.random(dim) < 0.9)
    start[0] = 1.0
    noise, batch = float(np.exp(chance.uniform(-6, 3))), int(2 ** chance.integers(0, 12))
    options: dict[str, Any] = dict(spectrum=lam, init=start, noise_shape=shape, grad_noise=noise, batch=batch)
    return problems.make("quadratic", **options), int(chance.integers(1, 60))


@pytest.mark.parametrize("place", range(40))
def test_it_is_that_of_sixty_digits_between_its_bounds(place: int) -> None:
    problem, steps = drawn(f"limit {place}")
    found, true = limit(problem, steps), float(least_risk(problem, steps))
    assert found.limit_low <= true * (1 + 1e-14)
    assert true <= found.limit * (1 + 1e-14)
    assert found.limit - found.limit_low <= 1e-8 * true
    assert found.exact


@pytest.mark.parametrize("place", range(60))
def test_its_bounds_hold_where_eigenvalues_nearly_agree_and_noises_do_not(place: int) -> None:
    chance = np.random.default_rng(seed_of(f"close {place}"))
    dim, gap = int(chance.integers(2, 9)), 10.0 ** -chance.integers(8, 17)
    lam = np.exp(chance.uniform(-6, 0, dim))[chance.integers(0, max(1, dim // 3), dim)]
    lam = lam * (1 + gap * chance.integers(-9, 10, dim))
    v = np.exp(chance.uniform(-3, 3, dim)) if place % 2 else 10.0 ** chance.uniform(-18, 0, dim)
    noise = 10.0 ** chance.uniform(-3, 1) if place % 3 else 10.0 ** chance.uniform(-30, 20)
    start = chance.standard_normal(dim) * (chance.random(dim) < 0.8) * 10.0 ** chance.integers(0, 5, dim)
    problem = problems.make("quadratic", spectrum=lam, init=start, noise_shape=v, grad_noise=noise)
    steps = int(chance.integers(1, 12))
    found, true = limit(problem, steps), float(least_risk(problem, steps))
    assert found.limit_low <= true * (1 + 1e-14)
    assert true <= found.limit * (1 + 1e-14)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("place", range(3))
def test_direct_minimization_over_all_coefficients_finds_it(steps: int, place: int) -> None:
    chance = np.random.default_rng(seed_of(f"direct {steps} {place}"))
    lam, e, v = chance.uniform(0.2, 1.0, 4), chance.standard_normal(4), chance.uniform(0.1, 1.0, 4)
    below = np.tril_indices(steps, -1)

    def by_steps(x: np.ndarray) -> float:
        asked = np.zeros((steps, steps))
        asked[below] = x[: len(below[0])]
        returned = x[len(below[0]) :]
        bias, noise = np.zeros(4), np.zeros((steps, 4))  # responses of the point returned to the start and each noise
        for i in range(4):
            inputs = np.column_stack([np.full(steps, lam[i]), np.eye(steps)])
            shown = returned @ np.linalg.solve(np.eye(steps) - lam[i] * asked, inputs)
            bias[i], noise[:, i] = 1 + shown[0], shown[1:]
        return float(lam @ (e**2 * bias**2 + v * (noise**2).sum(axis=0)) / 2)

    size = len(below[0]) + steps
    starts = [chance.standard_normal(size) for _ in range(20)]
    best = min(optimize.minimize(by_steps, start, method="BFGS", options=dict(gtol=1e-10)).fun for start in starts)
    problem = problems.make("quadratic", spectrum=lam, init=e, noise_shape=v, grad_noise=1.0)
    found = limit(problem, steps)
    assert best == pytest.approx(found.limit, rel=1e-4)
    assert best >= found.limit_low * (1 - 1e-9)


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
def test_the_method_written_down_has_that_risk_and_those_weights(steps: int) -> None:
    problem = problems.make("quadratic", dim=12, spectrum="power:1", grad_noise=1.0, batch=16)
    found = limit(problem, steps)
    method = found.method()
    assert risk(method, problem, steps).risk[-1] == pytest.approx(found.limit, rel=1e-9)
    assert risk(method, problem, steps).risk[0] > found.limit
    asked, returned = found._shares.coefficients()
    np.testing.assert_allclose(-returned, found.weights, rtol=1e-6)
    assert not np.triu(asked).any()
    with pytest.raises(InputError, match="are too many"):
        limit(problem, 13).method()


def test_weights_that_are_lost_to_rounding_are_not_told() -> None:
    problem = problems.make("quadratic", dim=40, spectrum="power:1", grad_noise=1.0)
    found = limit(problem, 60)
    assert found.weights is None  # of digits of their own, the first is 7247.31
    with pytest.raises(InputError, match="lost to rounding"):
        found.table()
    assert limit(problem, 8).weights is not None
    alike = problems.make("quadratic", spectrum=np.array([0.5, np.nextafter(0.5, 1)]), grad_noise=1.0)
    assert limit(alike, 3).limit_low > 0


def test_without_noise_it_is_what_conjugate_gradients_leave() -> None:
    lam = np.linspace(0.1, 1, 9)
    problem = problems.make("quadratic", spectrum=lam)
    for steps in (1, 2, 4):
        powers = lam[:, None] ** np.arange(1, steps + 1)
        weights = np.sqrt(lam)
        left = np.linalg.lstsq(weights[:, None] * powers, -weights, rcond=None)[0]
        best = float(lam @ (1 + powers @ left) ** 2 / 2)
        found = limit(problem, steps)
        assert found.limit_low <= best * (1 + 1e-9)
        assert best * (1 - 1e-9) <= found.limit
        assert found.limit == pytest.approx(best, rel=1e-8)
    assert limit(problem, 9).limit == 0


def test_of_one_eigenvalue_it_is_wieners_filter() -> None:
    for steps in (1, 7, 1000):
        alike: dict[str, Any] = dict(spectrum=np.full(3, 0.7), init=np.array([1.0, 2.0, 0.5]))
        problem = problems.make("quadratic", **alike, grad_noise=2.0, noise_shape="I")
        energy, noise = 5.25, 3 * 2.0
        best = 0.7 / 2 * energy * noise / steps / (0.7**2 * energy + noise / steps)
        found = limit(problem, steps)
        assert found.limit == pytest.approx(best, rel=1e-12)
        np.testing.assert_allclose(found.weights, found.weights[0])


@pytest.mark.parametrize("steps", [60, 300, 10_000])
def test_few_polynomials_bound_it_from_both_sides(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problems.make("quadratic", dim=250, spectrum="power:1.5", grad_noise=1.0, batch=1024)
    true = limit(problem, steps)
    monkeypatch.setattr(module, "_SMALL", 0)
    monkeypatch.setattr(module, "_WORK", 0)
    monkeypatch.setattr(module, "_BEGUN", 8)
    rough = limit(problem, steps)
    assert rough.limit_low < true.limit_low
    assert true.limit < rough.limit
    assert rough.limit_low > 0


def test_large_problems_take_few_polynomials() -> None:
    problem = problems.make("quadratic", dim=4000, spectrum="power:1", grad_noise=1.0, batch=64)
    found = limit(problem, 4000)
    assert found.limit - found.limit_low <= 1e-9 * found.limit


RULES: dict[str, dict[str, Any]] = {
    "sgd": dict(lr=0.3),
    "heavy_ball": dict(lr=0.05, beta=0.8),
    "schedule_free": dict(lr=2.0, beta=0.5),
    "tail_average(sgd)": dict(lr=0.8),
    "accelerated_sgd": dict(eta=0.02, alpha=0.2, beta=0.9),
    "nesterov": dict(lr="0.3*linear(t,40)", beta=0.7),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", ["quadratic", "linear_regression"])
def test_no_linear_rule_is_below_it(name: str, kind: str) -> None:
    noise = dict(grad_noise=0.5) if kind == "quadratic" else dict(label_noise=0.5)
    problem = problems.make(kind, dim=15, spectrum="power:1", batch=8, **noise)
    bound = of_rule(name, problem, 40, **RULES[name])
    assert bound is not None
    assert bound.exact == (kind == "quadratic")
    assert risk(name, problem, 40, **RULES[name]).risk[-1] >= bound.limit


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("adamw", {}),
        ("mars_exact_sgd", dict(lr=0.1, beta=0.9, gamma=0.5)),
        ("signum", {}),
    ],
)
def test_rules_that_it_is_not_about_have_none(name: str, values: dict[str, Any]) -> None:
    problem = problems.make("quadratic", dim=5, grad_noise=1.0)
    assert of_rule(name, problem, 10, **values) is None


def test_weight_decay_takes_a_rule_out_of_its_scope() -> None:
    @optimizer(positions="w", returns="w", lr=step_size(0.1), decay=weight(0.0))
    def decayed(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        return dict(w=(1 - h.decay) * s.w - h.lr * g)

    problem = problems.make("quadratic", dim=5, grad_noise=1.0)
    assert of_rule(decayed, problem, 10) is not None
    assert of_rule(decayed, problem, 10, decay=0.01) is None
    assert of_rule(decayed, problem, 10, decay=1e-10) is None
    assert of_rule(decayed, problem, 5500, lr="0.1/(t+1)") is not None
    assert of_rule(decayed, problem, 5500, lr="0.1/(t+1)", decay="0.01*max(0, t-5000)/5000") is None
    assert of_rule(decayed, problem, 10, decay="0.01*min(1, t/5)") is None


def test_a_memory_that_does_not_start_at_zero_takes_a_rule_out_of_its_scope() -> None:
    @optimizer(positions="w", memories={"m": -1.0}, returns="w", lr=step_size(0.001))
    def kicked(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        return dict(w=s.w + s.m - h.lr * g, m=0 * g)

    problem = problems.make("quadratic", dim=5, grad_noise=1.0, batch=16)
    assert risk(kicked, problem, 3).risk[-1] < limit(problem, 3).limit_low  # as the start is 1 everywhere
    assert of_rule(kicked, problem, 3) is None


def test_later_steps_than_are_looked_at_are_proved_to_move_along() -> None:
    @optimizer(positions="w", returns="w", lr=step_size(0.1))
    def late(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        return dict(w=where(t < 5000, 1.0, 0.5) * s.w - h.lr * g)

    problem = problems.make("quadratic", dim=5, grad_noise=1.0)
    assert of_rule(late, problem, 4000) is not None
    assert of_rule(late, problem, 5500) is None
    for name, values in RULES.items():
        assert of_rule(name, problem, 5500, **values) is not None
    assert of_rule("lookahead(sgd)", problem, 5500, lr="0.3*cosine(t,5500)") is not None


def test_what_it_is_not_known_for_is_told_so(tmp_path: Any) -> None:
    np.save(tmp_path / "t.npy", np.random.default_rng(1).standard_normal((30, 3)))
    table = problems.make("dataset", data=str(tmp_path / "t.npy"), target=0)
    with pytest.raises(InputError, match="is not known on dataset"):
        limit(table, 5)
    partly = problems.make("quadratic", dim=3, grad_noise=1.0, noise_shape=np.array([1.0, 0.0, 1.0]))
    with pytest.raises(InputError, match="all directions are noisy, or none"):
        limit(partly, 5)
    with pytest.raises(InputError, match="number of steps"):
        limit(partly, 0)
    with pytest.raises(InputError, match="too small beside the start"):
        limit(problems.make("quadratic", dim=3, spectrum="power:1", grad_noise=1e-310), 5)


def test_tuned_and_compared_risks_are_told_over_it() -> None:
    problem = problems.make("quadratic", dim=20, spectrum="power:1", grad_noise=1.0, batch=16)
    found = tune("sgd", problem, "risk@50", budget=60)
    assert found.limit == pytest.approx(limit(problem, 50).limit, rel=1e-9)
    assert found.over_limit == pytest.approx(found.value / found.limit)
    assert found.over_limit > 1
    assert tune("sgd", problem, "rate", budget=60).over_limit is None
    both = compare(
        ["sgd", "schedule_free"],
        problem,
        "risk@50",
        batches=[1, 16],
        values=dict(sgd=dict(lr=0.2), schedule_free=dict(lr=1.0)),
    )
    ratios = [cell.over_limit for cell in both.cells]
    assert all(ratio is not None and ratio > 1 for ratio in ratios)
    assert "over_limit" in both._columns()
    assert "over_limit" not in compare(["sgd"], problem, "rate", values=dict(sgd=dict(lr=0.2)))._columns()


def test_the_command_tells_limit_bounds_and_weights(tmp_path: Any) -> None:
    out = tmp_path / "weights.csv"
    asked = ["limit", "--problem", "quadratic", "--dim", "5", "--grad-noise", "1", "--steps", "7"]
    done = CliRunner().invoke(app, [*asked, "--json", "--out", str(out), "--out", str(tmp_path / "w.svg")])
    document = json.loads(done.stdout)
    found = limit(problems.make("quadratic", dim=5, grad_noise=1.0), 7)
    assert (document["limit"], document["limit_low"], document["exact"]) == (found.limit, found.limit_low, True)
    assert document["weights"] == found.weights.tolist()
    assert document["inputs"]["steps"] == 7
    assert len(out.read_text().splitlines()) == 9
    assert (tmp_path / "w.svg").stat().st_size > 1000
    noiseless = CliRunner().invoke(app, ["limit", "--problem", "quadratic", "--steps", "3", "--out", str(out)])
    assert "without noise many methods are best" in str(noiseless.exception)
