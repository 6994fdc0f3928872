"""Exact risks know their digits: errors cover what many digits say; none lies below the limit of linear rules."""

import zlib
from dataclasses import replace
from itertools import islice
from typing import Any

import mpmath
import numpy as np
import pytest

import accelsim
from accelsim import optimizer, problems, program, schedules
from accelsim.errors import InputError
from accelsim.exact import moments, rounding
from accelsim.exact.long_runs import spans, travel
from accelsim.exact.roots import Roots
from accelsim.exact.tables import Tables
from accelsim.exact.tune.tuning import tune
from accelsim.optimizers import find
from accelsim.program import exact
from accelsim.rule import real, step_size, weight
from accelsim.symbolic.system.tableau import linear_tableau

pytestmark = pytest.mark.numeric


@optimizer(positions="x z u", returns="u", lr=step_size(), beta=weight(0.9), q=real(1.0))
def window(s, t, h):
    """Schedule-Free's iterates, returned with an averaging window of their own."""
    g = yield h.beta * s.x + (1 - h.beta) * s.z
    z = s.z - h.lr * g
    x = s.x + (z - s.x) / (t + 1)
    point = h.beta * x + (1 - h.beta) * z
    return dict(z=z, x=x, u=s.u + (h.q + 1) / (t + 1 + h.q) * (point - s.u))


@optimizer(positions="w v", memories="m", returns="v", lr=step_size(), b=real(), c=real(), d=real(), e=real())
def anything(s, t, h):
    """Two positions and a memory, mixed by any numbers."""
    g = yield (1 - h.d) * s.w + h.d * s.v + h.e * s.m
    m = h.b * s.m + g
    w = s.w - h.lr * m + h.e * (s.v - s.w)
    return dict(w=w, v=s.v + h.c * (w - s.v), m=m)


def chance(*case):
    return np.random.default_rng(zlib.crc32(repr(case).encode()))


def many(value):
    return mpmath.mpf(value.numerator) / value.denominator if hasattr(value, "numerator") else mpmath.mpf(value)


def with_many_digits(rule, problem, steps, **values):
    """Bias and variance of a rule of one query, step by step in sixty digits."""
    tableau = linear_tableau(rule, **values)
    matrices = [
        [mpmath.matrix([[many(x) for x in row] for row in m]) for m in numeric]
        for numeric in islice(tableau.rows(exact, **values), steps + 1)
    ]
    if len(matrices) == 1:
        matrices *= steps + 1
    rows = [
        [mpmath.mpf(float(x)) for x in np.broadcast_to(row, problem.spectrum.shape)]
        for row in (problem.spectrum, problem.own, problem.left, problem.right, problem.floor, problem.start)
    ]
    found = []
    for noisy in (False, True):
        e = mpmath.matrix(tableau.translation)
        second = [(not noisy) * start**2 * e * e.T for start in rows[5]]
        for a, b, c, _, _ in matrices[:steps]:
            queries = [(c * p * c.T)[0] for p in second]
            shared = sum(right * y for right, y in zip(rows[3], queries, strict=True))
            second = [
                (a + lam * b * c) * p * (a + lam * b * c).T + (own * y + left * shared + noisy * floor) * b * b.T
                for lam, own, left, floor, p, y in zip(*rows[:3], rows[4], second, queries, strict=True)
            ]
        f = matrices[steps][4]
        found.append(sum(lam * (f * p * f.T)[0] / 2 for lam, p in zip(rows[0], second, strict=True)))
    return found


def assert_covered(found, bias, variance):
    """The risk and its parts within the error of what many digits say."""
    error = found.error[-1]
    assert abs(found.risk[-1] - bias - variance) <= error
    assert abs(found.bias[-1] - bias) <= error
    assert abs(found.variance[-1] - variance) <= error
    assert min(found.bias[-1], found.variance[-1], found.risk[-1]) >= 0


SWOLLEN = {
    "noisy quadratic": problems.make("quadratic", dim=6, spectrum="power:1", batch=256, grad_noise=1.0),
    "regression": problems.make("linear_regression", dim=4, spectrum="power:1", batch=10**15, label_noise=1.0),
}


@pytest.mark.parametrize("problem", SWOLLEN)
@pytest.mark.long
def test_a_run_that_swells_on_the_way_keeps_digits_and_says_how_many(monkeypatch, problem):
    values = dict(lr=16.0, beta=0.888537, q=0.757)
    found = accelsim.risk(window, SWOLLEN[problem], 300, **values)
    with mpmath.workdps(60):
        bias, variance = with_many_digits(window, SWOLLEN[problem], 300, **values)
        assert_covered(found, bias, variance)
        assert max(found.risk) > 1e8
        assert found.error[-1] < 1e-3 * found.risk[-1]
        assert abs(found.risk[-1] / (bias + variance) - 1) < 1e-6
    monkeypatch.setattr(Roots, "takes", lambda problem: False)
    tables = Tables(linear_tableau(window, **values), values)
    lost, _, sure = moments.stepped(SWOLLEN[problem], tables, 300, "returned", False)
    assert not sure
    assert lost.error[-1] > 1e3 * found.error[-1]


@pytest.mark.parametrize("kind", ["quadratic", "linear_regression"])
@pytest.mark.parametrize("case", range(6))
def test_errors_cover_what_many_digits_say_of_random_rules(kind, case):
    draw = chance(kind, case)
    values = dict(lr=10 ** draw.uniform(-2, 0.5), b=draw.uniform(-0.9, 1.0), c=draw.uniform(0, 1.5))
    values |= dict(d=draw.uniform(-1, 2), e=draw.uniform(-0.3, 0.3))
    noise = {"label_noise" if kind[0] == "l" else "grad_noise": 0.1}
    problem = problems.make(
        kind, spectrum=[1.0, 10 ** draw.uniform(-4, 0)], batch=int(10 ** draw.uniform(0, 6)), **noise
    )
    found = accelsim.risk(anything, problem, 60, **values)
    if found.diverged is None:
        with mpmath.workdps(60):
            bias, variance = with_many_digits(anything, problem, 60, **values)
            assert_covered(found, bias, variance)
            assert found.error[-1] < 1e-4 * (bias + variance)


@pytest.mark.parametrize("name", ["sgd", "heavy_ball", "schedule_free", "tail_average(nesterov)", "mars_exact_sgd"])
def test_roots_are_the_moments(monkeypatch, name):
    rule = find(name)
    values = {k: 0.5 if h.high == 1 else 0.03 for k, h in rule.hyperparameters.items() if h.default is None}
    problem = problems.make("linear_regression", dim=5, batch=3, label_noise=0.3, init="power:1")
    tables = Tables(linear_tableau(rule, **values), values)
    found, _, _ = moments.stepped(problem, tables, 40, "returned", True, moments.rooted(problem, tables, 40))
    reference = accelsim.risk(rule, problem, 40, **values)
    for part in moments.PARTS:
        np.testing.assert_allclose(getattr(found, part), getattr(reference, part), rtol=1e-12)


@pytest.mark.parametrize("batch", [1, 10**9])
def test_the_variance_of_an_average_has_its_digits(batch):
    """The variance of the average is 1e-13 of that of what it averages."""
    problem = problems.make("quadratic", dim=1, spectrum="power:1", batch=batch, grad_noise=1.0)
    values = dict(lr=0.1, decay=0.99999999)
    found = accelsim.risk(find("ema(sgd)"), problem, 10000, **values)
    with mpmath.workdps(50):
        w, a, both = mpmath.mpf(0), mpmath.mpf(0), mpmath.mpf(0)
        decay, shrink, floor = mpmath.mpf("0.99999999"), 1 - mpmath.mpf("0.1"), mpmath.mpf("0.01") / batch
        for _ in range(10000):
            w, both = shrink**2 * w + floor, shrink * both
            a = decay**2 * a + 2 * decay * (1 - decay) * both + (1 - decay) ** 2 * w
            both = decay * both + (1 - decay) * w
        assert float(found.variance[-1] / (a / 2) - 1) == pytest.approx(0, abs=1e-9)


LEAPS = {
    "average": ("ema(sgd)", dict(lr=0.92, decay=0.99999999), 533617, 10**9),
    "average that forgets": ("ema(sgd)", dict(lr=0.00011559978, decay=0.9999999959998868), 793956814, 10**9),
    "near a zero": ("accelerated_sgd", dict(eta=8.10965e-6, alpha=7.842607e-4, beta=0.999904458), 514, 10**9),
    "heavy": ("heavy_ball", dict(lr=1e-5, beta=0.99999), 10**8, 16),
}


@pytest.mark.parametrize("case", LEAPS)
def test_errors_of_leaps_cover_what_many_digits_say(case):
    from test_exact_travel import with_many_digits as by_powers

    name, values, steps, batch = LEAPS[case]
    problem = problems.make("quadratic", spectrum=[1.0, 1e-4], batch=batch, grad_noise=1.0)
    found = travel.by_leaps(problem, Tables(linear_tableau(find(name), **values), values), steps, "returned")
    with mpmath.workdps(60):
        bias, variance = by_powers(find(name), problem, steps, **values)
        assert_covered(found, bias, variance)
        assert abs(found.variance[-1] / variance - 1) < 1e-6
    assert found.error[-1] < 1e-6 * found.risk[-1]


def event(lam, noise, before, steps):
    """Bias and variance of SGD at .01, but for an event of some thousand steps, from sums in extended precision."""
    lam, noise, lr = np.longdouble(lam), np.longdouble(noise), np.longdouble("0.01")
    t = np.arange(before - 20000, before + 20000).astype(np.longdouble)

    def constant(z, v, count):
        shrunk = np.exp(2 * count * np.log1p(-lr * lam))
        return z * np.sqrt(shrunk), shrunk * v + lr**2 * noise * (1 - shrunk) / -np.expm1(2 * np.log1p(-lr * lam))

    z, v = constant(np.longdouble(1), np.longdouble(0), before - 20000)
    for rate in lr + 3 * np.exp(-(((t - before) / 10) ** 2)):
        z, v = (1 - rate * lam) * z, (1 - rate * lam) ** 2 * v + rate**2 * noise
    z, v = constant(z, v, steps - before - 20000)
    return lam * z**2 / 2, lam * v / 2


def test_a_short_event_of_a_schedule_is_not_missed(monkeypatch):
    monkeypatch.setattr(travel, "FIRST", 10**5)
    lam, before, steps = 1e-4, 210_000, 300_000
    problem: Any = problems.make("quadratic", spectrum=[lam], grad_noise=1e-3)
    values = dict(lr="0.01+3*exp(-((t-210000)/10)**2)")

    def blocks():
        return travel.by_blocks(problem, Tables(linear_tableau(find("sgd"), **values), values), steps, "returned")

    found = blocks()
    bias, variance = event(lam, problem.floor[0], before, steps)
    assert found.way == "frozen blocks"
    assert abs(found.risk[-1] - bias - variance) <= found.error[-1] < 1e-4 * found.risk[-1]
    assert found.variance[-1] == pytest.approx(float(variance), rel=1e-4)
    monkeypatch.setattr(spans, "smooth", lambda tables, begins, lengths, degree: np.ones(begins.size, bool))
    assert blocks().variance[-1] < 0.999 * variance  # nodes alone do not see it


@pytest.mark.parametrize(
    ("lr", "begin", "length", "smooth"),
    [
        ("1/(t+10)", 1e6, 2e5, True),
        ("1/(t+10)", 1.0, 1e6, False),
        ("0.1*cosine(t, 1e9)", 1e8, 2e7, True),
        ("0.1*cosine(t, 1e9)", 9.9e8, 2e7, False),  # over its end
        ("0.1*cosine(t, 1e9)", 1.1e9, 2e8, True),
        ("0.1*(1+0.5*cos(t))", 1e6, 100.0, False),
        ("0.1+exp(-((t-7e8)/1000)**2)", 6e8, 1e8 + 2, False),
        ("0.1+exp(-((t-7e8)/1000)**2)", 6e8, 9e7, True),
        ("0.1+0.1*max(t-7e8,7e8-t)/1e9", 6e8, 2e8, False),
        ("0.1+((t-7e8)/1e9)**2", 6e8, 2e8, True),
        ("0.1+((t-7e8)/1e9)**20*1e5", 6e8, 2e8, False),
        ("0.1+sqrt(t)/1e9", 6e8, 2e8, True),
        ("0.9999999**t", 1e8, 1e6, True),
        ("0.9999999**t", 1e8, 9e7, False),
        ("0.1+(t%1e6)/1e7", 3.1e6, 8e5, True),
        ("0.1+(t%1e6)/1e7", 3.1e6, 9e5 + 1, False),
        ("0.1+0.1*min(1, t%1e6)", 3.1e6, 8e5, True),
        ("0.1+0.1*min(1, t%1e6)", 3.9e6, 2e5, False),
    ],
)
def test_blocks_are_smooth_where_an_expression_provably_is(lr, begin, length, smooth):
    tables = Tables(linear_tableau(find("sgd"), lr=lr), dict(lr=lr))
    assert spans.smooth(tables, np.array([begin]), np.array([length]), 16).tolist() == [smooth]


@pytest.mark.parametrize(
    "text",
    [
        "cos(t/7)*(t-3)**2",
        "minimum(t, 12)/(2+cos(t))",
        "exp(-((t-9)/4)**2)-sqrt(t)",
        "t**-0.5*max(t-8, 8-t)",
        "(2*t%5)*(t-7)",
    ],
)
def test_ranges_hold_every_value(text):
    schedule = schedules.parse(text)
    begins = np.arange(1.0, 20.0)
    node = schedule.node()
    whole = np.ones(begins.size, bool)
    step = spans.Span(begins, begins + 3, whole, 1)

    def leaf(node):
        value = None if node.op == "step" else np.full(begins.size, float(node.value))
        return step if value is None else spans.Span(value, value, whole, 0)

    found = program.evaluate(node, leaf, spans._applied, {})
    for ahead in np.linspace(0, 3, 31):
        value = np.array([schedule.at(t) for t in begins + ahead])
        assert (found.low <= value + 1e-12).all()
        assert (value <= found.high + 1e-12).all()


def test_a_schedule_that_nothing_is_known_of_is_not_frozen(monkeypatch):
    monkeypatch.setattr(travel, "FIRST", 1000)
    values = dict(lr=lambda t: 0.3 if t == 7001 else 0.01)
    problem = problems.make("quadratic", spectrum=[1.0], grad_noise=0.1)
    found = travel.by_blocks(problem, Tables(linear_tableau(find("sgd"), **values), values), 10000, "returned")
    assert found.way == "step by step"


def least(lam, start, noise, steps):
    """Least risk of any linear method on a noisy quadratic after some gradients, by least squares.

    The method's response to the gradient noise of step s is a polynomial of degree less than steps - s in H, and its
    bias 1 + H times their sum.
    """
    count = min(steps, lam.size)
    basis = np.linalg.qr(np.sqrt(lam * noise)[:, None] * np.vander(lam, count, increasing=True))[0]
    bias = (np.sqrt(lam * start) * lam / np.sqrt(lam * noise))[:, None] * basis
    matrix = np.vstack([bias, np.diag(1 / np.sqrt(steps - np.arange(count)))])
    right = np.concatenate([-np.sqrt(lam * start), np.zeros(count)])
    return 0.5 * float(np.sum((matrix @ np.linalg.lstsq(matrix, right, rcond=None)[0] - right) ** 2))


@pytest.mark.parametrize("case", range(60))
def test_no_risk_of_a_linear_rule_lies_below_the_limit(case):
    draw = chance("limit", case)
    lam = np.sort(draw.uniform(0.05, 1, draw.integers(1, 7)))[::-1]
    problem: Any = problems.make(
        "quadratic", spectrum=lam, grad_noise=10 ** draw.uniform(-6, 1), init=draw.normal(size=lam.size)
    )
    steps = int(draw.integers(1, 120))
    if case % 2:
        rule, values = window, dict(lr=draw.uniform(1, 25), beta=draw.uniform(0.5, 0.95), q=10 ** draw.uniform(-1, 1))
    else:
        rule, values = anything, dict(lr=10 ** draw.uniform(-2, 1), b=draw.uniform(-1.1, 1.1), c=draw.uniform(-1, 2))
        values |= dict(d=draw.uniform(-2, 3), e=draw.uniform(-1, 1))
    limit = least(lam, problem.start**2, problem.floor, steps)
    found = accelsim.risk(rule, problem, steps, **values)
    if found.diverged is None:
        assert found.risk[-1] + found.error[-1] >= limit * (1 - 1e-9)
        assert found.risk[-1] >= limit * (1 - 1e-6)


def test_the_limit_is_reached_where_it_can_be():
    """By one step of SGD of the best size in one dimension, and by no other size."""
    problem: Any = problems.make("quadratic", spectrum=[0.5], grad_noise=0.3, init=[2.0])
    limit = least(problem.spectrum, problem.start**2, problem.floor, 1)
    best = 4 * 0.5 / (4 * 0.25 + problem.floor[0])
    risks = [accelsim.risk(find("sgd"), problem, 1, lr=lr).risk[-1] for lr in (best, 0.9 * best, 1.1 * best)]
    assert risks[0] == pytest.approx(limit, rel=1e-12)
    assert min(risks[1:]) > limit * (1 + 1e-4)


def test_many_directions_are_grouped_without_losing_the_error():
    problem = problems.make("quadratic", dim=700, spectrum="power:1", grad_noise=1.0, batch=16)
    few = accelsim.risk(find("nesterov"), problem, 300, lr=0.5, beta=0.9)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(rounding, "_MANY", 10**6)
    each = accelsim.risk(find("nesterov"), problem, 300, lr=0.5, beta=0.9)
    monkey.undo()
    np.testing.assert_allclose(few.error[1:], each.error[1:], rtol=0.3)


def test_what_has_no_digit_left_is_refused(monkeypatch):
    monkeypatch.setattr(Roots, "takes", lambda problem: False)
    problem = problems.make("quadratic", dim=4, spectrum="power:1", batch=256, grad_noise=1e-8)
    values = [dict(lr=lr, beta=0.89, q=0.757) for lr in np.linspace(16, 18, 9)]
    negative = 0
    for chosen in values:
        tables = Tables(linear_tableau(window, **chosen), chosen)
        found, _, _ = moments.stepped(problem, tables, 300, "returned", False)
        if (np.minimum(found.risk, found.variance) < 0).any():
            negative += 1
            with pytest.raises(InputError, match="rounding leaves no digit of the risk after"):
                accelsim.risk(window, problem, 300, **chosen)
    assert negative


def test_risks_below_the_range_of_floats_are_zero():
    """They got stuck at subnormal numbers of either sign, which no rounding bound knew."""
    problem = problems.make("quadratic", dim=2, spectrum="power:1.1262383100873645", batch=64)
    found = accelsim.risk(find("heavy_ball"), problem, 1403702, lr=1.0096584999429328, beta=0.8939510511876351)
    assert (found.risk >= 0).all()
    assert found.risk[-1] <= found.error[-1] <= 1e-299


@optimizer(positions="w", memories="felt unfelt unreached", returns="w", lr=step_size())
def burdened(s, t, h):
    """SGD, with a state that grows and that nothing feels, and one that only another one moves, which is zero."""
    g = yield s.w + s.felt
    return dict(w=s.w - h.lr * g, felt=s.unreached, unfelt=2 * s.unfelt + g, unreached=3 * s.unreached)


def test_states_that_play_no_part_end_no_run():
    """The run was said to diverge after 333 steps, when such a state left the range of float64."""
    problem = problems.make("linear_regression", dim=5, batch=4)
    for lr in (0.01, "0.01/(1+t/100)"):
        found = accelsim.risk(burdened, problem, 3000, lr=lr)
        plain = accelsim.risk(find("sgd"), problem, 3000, lr=lr)
        assert found.diverged is None
        np.testing.assert_allclose(found.risk, plain.risk, rtol=1e-12)
    tuned, other = (tune(rule, problem, "risk@3000", budget=60) for rule in (burdened, find("sgd")))
    assert tuned.value == pytest.approx(other.value, rel=1e-9)
    assert not tuned.failed.get("diverged", 0) > other.failed.get("diverged", 0)
    reached = replace(burdened, memories={**burdened.memories, "unreached": 1e-3})
    assert accelsim.risk(reached, problem, 3000, lr=0.01).diverged is not None


@optimizer(positions="w twin", memories="idle", returns="w", lr=step_size())
def beside_itself(s, t, h):
    """SGD twice, and a memory that doubles and stays at zero as the two never differ."""
    g = yield (s.w + s.twin) / 2 + s.idle
    return dict(w=s.w - h.lr * g, twin=s.twin - h.lr * g, idle=2 * s.idle + s.w - s.twin)


def test_leaps_do_not_let_rounding_feed_a_state_that_no_run_reaches():
    """The risk was 0 after 32 steps and said to be exact."""
    problem = problems.make("linear_regression", dim=1, batch=4096, spectrum=[4e-4])
    with pytest.raises(InputError, match="no run reaches"):
        accelsim.risk(beside_itself, problem, 10**8, lr=1.3e3)
    assert accelsim.risk(find("mars_sgd"), problem, 10**8, lr=1.3, beta=0.9).way == "leaps"  # not minimal, but calm
