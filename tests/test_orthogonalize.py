"""The matrix map of the rule language, and Muon, whose momentum it orthogonalizes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from conftest import seed_of

from accelsim import (
    mean,
    momentum,
    optimizer,
    optimizers,
    orthogonalize,
    problems,
    sign,
    simulate,
    step_size,
    switch,
    total,
)
from accelsim.elementary import NEWTON_SCHULZ
from accelsim.errors import InputError
from accelsim.rule import Optimizer, step
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.find.finder import equivalent

SHAPES = [(1, 5), (5, 1), (3, 4), (4, 3), (6, 6), (2, 9)]


def matrices(rows: int, columns: int, count: int = 4) -> np.ndarray:
    return np.random.default_rng(seed_of(f"{rows} x {columns}")).standard_normal((count, rows * columns))


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_it_is_the_polar_factor(rows: int, columns: int) -> None:
    found = orthogonalize(matrices(rows, columns), rows)
    for one, other in zip(matrices(rows, columns), found, strict=True):
        polar = scipy.linalg.polar(one.reshape(rows, columns))[0]
        np.testing.assert_allclose(other.reshape(rows, columns), polar, atol=1e-12)
        assert not np.allclose(other, np.sign(one))


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
@pytest.mark.parametrize("steps", [0, 5])
def test_it_knows_no_scale_and_is_odd(rows: int, columns: int, steps: int) -> None:
    x = matrices(rows, columns)
    for factor in (1e-30, 0.3, 1e30):
        for way in (1, -1):
            found = way * orthogonalize(way * factor * x, rows, steps)
            np.testing.assert_allclose(found, orthogonalize(x, rows, steps), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("precision", "factors"), [(np.float64, (1e-300, 1e300)), (np.float32, (1e-30, 1e-22, 1e30))])
@pytest.mark.parametrize("steps", [0, 5])
def test_sizes_whose_squares_are_no_floats_are_sizes_like_others(precision: Any, factors: Any, steps: int) -> None:
    x = matrices(3, 4).astype(precision)
    for factor in factors:
        found = orthogonalize(precision(factor) * x, 3, steps)
        assert found.dtype == precision
        np.testing.assert_allclose(found, orthogonalize(x, 3, steps), atol=500 * np.finfo(precision).eps)


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_newton_schulz_steps_are_those_of_matrices(rows: int, columns: int) -> None:
    (x,) = matrices(rows, columns, count=1)
    y = x.reshape(rows, columns) / np.linalg.norm(x)
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        square = y @ y.T
        y = a * y + b * square @ y + c * square @ square @ y
    np.testing.assert_allclose(orthogonalize(x, rows, 5).reshape(rows, columns), y, atol=1e-12)
    assert np.linalg.svd(y, compute_uv=False) == pytest.approx(1, abs=0.45)


def test_singular_values_of_zero_stay_zero() -> None:
    x = np.outer([1.0, -2.0, 3.0], [4.0, 0.0, 3.0, 0.0]).ravel()
    np.testing.assert_allclose(orthogonalize(x, 3), x / np.linalg.norm(x), atol=1e-12)
    assert not orthogonalize(np.zeros((2, 12)), 3).any()
    alone = np.zeros(12)
    alone[7] = -3
    np.testing.assert_allclose(orthogonalize(alone, 3), np.sign(alone), atol=1e-15)


def test_a_run_that_has_diverged_stays_so_alone() -> None:
    x = matrices(3, 4)
    x[1, 2], x[2, 5] = np.inf, np.nan
    found = orthogonalize(x, 3)
    assert np.isnan(found[1:3]).all()
    np.testing.assert_array_equal(found[[0, 3]], orthogonalize(matrices(3, 4), 3)[[0, 3]])


@pytest.mark.parametrize("x", [Fraction(3, 7), Fraction(-2), Fraction(0), 0.25, -4.0])
def test_of_one_coordinate_it_is_the_sign(x: Any) -> None:
    assert orthogonalize(x, 1) == sign(x)
    assert float(orthogonalize(x, 1, 5)) == pytest.approx(
        float(orthogonalize(np.array([float(x)]), 1, 5)[0]), abs=1e-15
    )


def test_muon_is_the_recursion_of_its_authors_with_the_polar_factor() -> None:
    rows, columns, lr, beta = 3, 4, 0.05, 0.9
    w = matrices(rows, columns, count=1)[0]
    state, m = optimizers.find("muon").start(w), np.zeros((rows, columns))
    chance = np.random.default_rng(seed_of("muon"))
    for (t, h), _ in zip(
        optimizers.find("muon").rows(lr=lr, beta=beta, rows=rows, weight_decay=0.1), range(40), strict=False
    ):
        g = chance.standard_normal(rows * columns) + w
        state = step(optimizers.find("muon"), state, t, h, lambda point, g=g: g)
        m += (1 - beta) * (g.reshape(rows, columns) - m)
        direction = scipy.linalg.polar((1 - beta) * g.reshape(rows, columns) + beta * m)[0]
        w = w - lr * direction.ravel() - lr * 0.1 * w
        np.testing.assert_allclose(state["w"], w, atol=1e-11)


def muon_like(name: str, body: Any) -> Optimizer:
    def rule(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        m, direction = body(s.m, g, h.beta)
        return dict(w=s.w - h.lr * orthogonalize(direction, h.rows), m=m)

    rule.__name__ = name
    declared: Any = dict(lr=step_size(0.02), beta=momentum(0.95), rows=switch(2))
    return optimizer(positions="w", memories="m", returns="w", **declared)(rule)


SUM = muon_like("sum_form", lambda m, g, b: (b * m + g, g + b * (b * m + g)))
MEAN = muon_like("mean_form", lambda m, g, b: (b * m + (1 - b) * g, (1 - b) * g + b * (b * m + (1 - b) * g)))
PLAIN = muon_like("plain_form", lambda m, g, b: (b * m + g, b * m + g))


def test_momentum_as_a_sum_and_as_an_average_are_one_inside_it() -> None:
    answer = equivalent(SUM, MEAN)
    assert answer.status == "equivalent"
    assert answer.map == {"lr": "lr", "beta": "beta"}
    known = {"sum_form": SUM, "mean_form": MEAN}
    assert verify_certificate(answer.certificate, known.__getitem__).holds
    assert equivalent(SUM, PLAIN).status != "equivalent"


def test_muon_with_other_rows_is_not_said_to_be_muon() -> None:
    muon = optimizers.find("muon")
    assert equivalent(MEAN, muon, set_b=dict(rows=2)).status == "equivalent"
    assert equivalent(MEAN, muon, set_b=dict(rows=3)).status != "equivalent"
    assert equivalent(MEAN, muon, set_b=dict(rows=2, newton_schulz=5)).status != "equivalent"
    assert equivalent(muon, optimizers.find("signum")).status != "equivalent"


ALIKE_IN_ONE_COORDINATE = [
    (lambda x, g: sign(orthogonalize(x, 2)), lambda x, g: orthogonalize(sign(x), 2)),
    (lambda x, g: orthogonalize(orthogonalize(x, 2, 5), 2, 5), lambda x, g: orthogonalize(x, 2, 5)),
    (lambda x, g: orthogonalize(orthogonalize(x, 2), 3), lambda x, g: orthogonalize(orthogonalize(x, 3), 2)),
    (
        lambda x, g: orthogonalize(x, 2) + orthogonalize(x + g, 3),
        lambda x, g: orthogonalize(x, 3) + orthogonalize(x + g, 2),
    ),
    (lambda x, g: sign(x) + orthogonalize(x + g, 3), lambda x, g: orthogonalize(x, 3) + sign(x + g)),
]


def directed(name: str, body: Any) -> Optimizer:
    def rule(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        m = h.beta * s.m + g
        return dict(w=s.w - h.lr * body(m, g), m=m)

    rule.__name__ = name
    return optimizer(positions="w", memories="m", returns="w", lr=step_size(0.02), beta=momentum(0.95))(rule)


@pytest.mark.parametrize(("one", "other"), ALIKE_IN_ONE_COORDINATE)
def test_rules_that_are_one_in_one_coordinate_alone_are_not_said_to_be_one(one: Any, other: Any) -> None:
    a, b = directed("one", one), directed("other", other)
    assert equivalent(a, b).status == equivalent(b, a).status == "undecided"


def test_matrices_too_large_to_be_run_leave_it_open() -> None:
    a, b = (directed(f"of_{rows}", lambda x, g, rows=rows: orthogonalize(x, rows)) for rows in (1009, 1013))
    assert equivalent(a, b).status == "undecided"


def test_to_orthogonalize_twice_is_to_do_so_once() -> None:
    once = directed("once", lambda x, g: orthogonalize(x, 2))
    twice = directed("twice", lambda x, g: orthogonalize(orthogonalize(x, 2), 2))
    answer = equivalent(twice, once)
    assert answer.status == "equivalent"
    assert verify_certificate(answer.certificate, {"once": once, "twice": twice}.__getitem__).holds


def test_an_average_over_coordinates_is_not_their_sum() -> None:
    average = directed("average", lambda x, g: mean(x * x) * x)
    assert equivalent(average, directed("sum_of_squares", lambda x, g: total(x * x) * x)).status != "equivalent"
    written = directed("written", lambda x, g: total(x * x) / total(x**0) * x)
    assert equivalent(average, written).status == "equivalent"


def test_a_rule_that_orthogonalizes_runs_on_arrays_and_not_in_kernels() -> None:
    problem = problems.make("quadratic", dim=12, grad_noise=1.0)
    assert simulate("muon", problem, 5, 3, rows=4).backend == "numpy"
    with pytest.raises(InputError, match="has no kernel: --backend numpy or cupy, not numba"):
        simulate("muon", problem, 5, 3, rows=4, backend="numba")
    with pytest.raises(InputError, match="12 coordinates are no matrix of 5 rows: set rows"):
        simulate("muon", problem, 5, 3, rows=5)
    assert simulate("signum", problem, 5, 3).backend != "numpy"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (lambda g, h: orthogonalize(g, h.lr), "takes whole numbers of rows"),
        (lambda g, h: orthogonalize(g, 0), "takes whole numbers of rows"),
        (lambda g, h: orthogonalize(h.lr, 2) * g, "takes a vector"),
    ],
)
def test_a_wrong_shape_is_told_so(body: Any, told: str) -> None:
    def rule(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        return dict(w=s.w - body(g, h))

    with pytest.raises(InputError, match=told):
        optimizer(positions="w", returns="w", lr=step_size(0.1))(rule)
