"""Risk after more steps than one takes: leaps and frozen blocks agree with stepping, and with many more digits."""

import mpmath
import numpy as np
import pytest

import accelsim
from accelsim import optimizer, problems
from accelsim.errors import InputError
from accelsim.exact import moments, risk
from accelsim.exact.long_runs import spans, travel
from accelsim.exact.tables import Moments, Tables
from accelsim.optimizers import find
from accelsim.program import exact
from accelsim.rule import real, step_size
from accelsim.symbolic.system.tableau import linear_tableau

REGRESSION = problems.make("linear_regression", dim=4, batch=3, label_noise=0.3, init="power:1")
ISOTROPIC = problems.make("quadratic", dim=4, grad_noise=0.3, noise_shape="I", init="power:1")
ONE_HOT = problems.make("one_hot", dim=4, kurtosis=12, label_noise=0.3)
POWER_LAW = problems.make("plrf", dim=4, features_seed=0, data_exponent=1.0, target_exponent=0.3)
FAST = dict(eta=1e-3, alpha=0.05, beta=0.9)


@optimizer(positions="w", memories=dict(m=1), returns="w", lr=step_size(), decay=real())
def two_stages(s, t, h):
    """Two queries on one sample, a third on another, weight decay, and a memory that does not start at zero."""
    g, before = yield s.w - h.lr * s.m, s.w
    ahead = yield s.w - h.lr * g + before / 10
    m = s.m / 2 + ahead
    return dict(w=s.w - h.lr * (m + h.decay * s.w), m=m)


CASES = {
    "sgd": ("sgd", dict(lr=0.05)),
    "accelerated_sgd": ("accelerated_sgd", FAST),
    "schedule_free": ("schedule_free", dict(lr=0.05, beta=0.9, c=0.01)),
    "mars_exact_sgd": ("mars_exact_sgd", dict(lr=0.01)),
    "ema": ("ema(aggmo)", dict(lr=0.005, decay=0.99)),
    "two_stages": (two_stages, dict(lr=0.05, decay=0.1)),
}


def rule_of(case):
    name, values = CASES[case]
    return (find(name) if isinstance(name, str) else name), values


def leaps(rule, problem, steps, of="returned", **values):
    return travel.by_leaps(problem, Tables(linear_tableau(rule, **values), values), steps, of)


def blocks(rule, problem, steps, **values):
    return travel.by_blocks(problem, Tables(linear_tableau(rule, **values), values), steps, "returned")


def assert_same(found, reference, rtol):
    assert found.diverged == reference.diverged
    np.testing.assert_array_equal(found.steps, reference.steps)
    for part in moments.PARTS:
        np.testing.assert_allclose(getattr(found, part), getattr(reference, part), rtol=rtol)
        np.testing.assert_allclose(found.by_direction[part], reference.by_direction[part], rtol=rtol)


@pytest.mark.parametrize("problem", [REGRESSION, ISOTROPIC, ONE_HOT, POWER_LAW], ids=lambda problem: problem.name)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("of", risk.POINTS)
def test_leaps_agree_with_stepping(case, problem, of):
    rule, values = rule_of(case)
    reference = accelsim.risk(rule, problem, 3000, of, **values)
    assert reference.way == "step by step"
    found = leaps(rule, problem, 3000, of, **values)
    assert found.way == "leaps"
    assert (found.error <= 1e-9 * found.risk).all()
    assert_same(found, reference, 1e-9)


@pytest.mark.parametrize("case", ["sgd", "accelerated_sgd", "two_stages"])
def test_leaps_agree_with_stepping_on_a_table(tmp_path, case):
    table = np.random.default_rng(3).normal(size=(12, 3)) @ [[1.0, 0.5, 1.0], [0, 0.3, 1.0], [0, 0, 1.0]]
    np.save(tmp_path / "table.npy", table)
    problem = problems.make("dataset", data=str(tmp_path / "table.npy"), target=2, batch=2)
    rule, values = rule_of(case)
    reference = accelsim.risk(rule, problem, 200, **values)
    found = leaps(rule, problem, 200, **values)
    assert_same(found, reference, 1e-9)
    np.testing.assert_allclose(found.cross, reference.cross, atol=1e-12 * reference.risk.max())
    assert np.abs(found.cross).max() > 1e-4 * found.risk.max()


def with_many_digits(rule, problem, steps, **values):
    """Bias and variance by powers of the map of moments, in sixty digits."""
    tableau = linear_tableau(rule, **values)
    numeric = next(tableau.rows(exact, **values))
    a, b, c, f = (
        mpmath.matrix([[mpmath.mpf(x.numerator) / x.denominator for x in row] for row in m])
        for m in (numeric.A, numeric.B, numeric.C, numeric.F)
    )
    n, m = a.rows, problem.spectrum.size
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    lam, own, left, right, floor = (
        [mpmath.mpf(float(x)) for x in values]
        for values in (problem.spectrum, problem.own, problem.left, problem.right, problem.floor)
    )
    size = m * len(pairs)
    into = b * b.T
    big = mpmath.eye(size + 1)
    for i in range(m):
        t = a + lam[i] * b * c
        for column, (x, y) in enumerate(pairs):
            unit = mpmath.matrix(n, n)
            unit[x, y] = unit[y, x] = 1
            query = (c * unit * c.T)[0]
            moved = t * unit * t.T + into * own[i] * query
            for j in range(m):
                for row, pair in enumerate(pairs):
                    value = into[pair] * left[j] * right[i] * query + (moved[pair] if i == j else 0)
                    big[j * len(pairs) + row, i * len(pairs) + column] = value
        for row, pair in enumerate(pairs):
            big[i * len(pairs) + row, size] = into[pair] * floor[i]
    start = mpmath.matrix(size + 1, 1)
    noise = mpmath.matrix(size + 1, 1)
    noise[size] = 1
    e = tableau.translation
    for i in range(m):
        for row, (x, y) in enumerate(pairs):
            start[i * len(pairs) + row] = mpmath.mpf(float(problem.start[i])) ** 2 * e[x] * e[y]
    while steps:
        if steps % 2:
            start, noise = big * start, big * noise
        big, steps = big * big, steps // 2
    weigh = [lam[i] * f[x] * f[y] * (1 if x == y else 2) / 2 for i in range(m) for x, y in pairs]
    return tuple(sum(w * x for w, x in zip(weigh, vector, strict=False)) for vector in (start, noise))


@pytest.mark.parametrize("condition", [1e3, 1e9])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sgd", dict(lr=0.3)),
        ("heavy_ball", dict(lr=1e-7, beta=0.999999)),
        ("schedule_free", dict(lr=0.3, beta=0.9, c=1e-4)),
    ],
)
def test_a_billion_steps_are_as_exact_as_reported(condition, name, values):
    problem = problems.make(
        "linear_regression", dim=2, spectrum=f"geometric:{condition}", batch=3, label_noise=0.3, init=[1.0, 2.0]
    )
    found = accelsim.risk(find(name), problem, 10**9, **values)
    assert found.way == "leaps"
    assert (found.error <= 1e-9 * found.risk).all()
    with mpmath.workdps(60):
        for place in (-1, found.steps.searchsorted(10**6)):
            bias, variance = with_many_digits(find(name), problem, int(found.steps[place]), **values)
            assert abs(found.risk[place] - bias - variance) < found.error[place]
            relative = found.error[place] / found.risk[place]
            for value, truth in ((found.bias[place], bias), (found.variance[place], variance)):
                assert truth < 1e-300 or abs(value / truth - 1) < relative


def test_squaring_alone_loses_the_digits_that_leaps_keep():
    problem = problems.make("quadratic", spectrum=[1.0, 1e-9], init=[0.0, 1.0])
    found = accelsim.risk(find("sgd"), problem, 10**9, lr=0.3)
    truth = 0.5e-9 * np.exp(2e9 * np.log1p(-0.3e-9))
    assert found.risk[-1] == pytest.approx(truth, rel=1e-13, abs=0)
    power = (1 - 0.3e-9) ** 2e9
    assert 0.5e-9 * power != pytest.approx(truth, rel=1e-9, abs=0)


def test_leaps_diverge_at_the_step_at_which_stepping_does():
    values = dict(lr=1.35)
    reference = accelsim.risk(find("sgd"), REGRESSION, 20000, **values)
    assert reference.diverged is not None
    assert_same(leaps(find("sgd"), REGRESSION, 20000, **values), reference, 1e-9)
    slow = leaps(find("sgd"), REGRESSION, 10**9, lr=1.35).diverged
    assert slow == reference.diverged


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sgd", dict(lr="0.3/(1+t)**0.5")),
        ("sgd", dict(lr="0.3*cosine(t, 30000)")),
        ("accelerated_sgd", dict(eta="0.02/(t+1)", alpha=0.05, beta="t/(t+3)")),
    ],
)
def test_frozen_blocks_are_as_exact_as_reported(monkeypatch, name, values):
    monkeypatch.setattr(travel, "FIRST", 1000)
    problem = problems.make("linear_regression", dim=3, batch=3, label_noise=0.3)
    reference = accelsim.risk(find(name), problem, 20000, **values)
    found = blocks(find(name), problem, 20000, **values)
    assert found.way == "frozen blocks"
    np.testing.assert_array_equal(found.steps, reference.steps)
    off = np.abs(found.risk - reference.risk)
    assert (off <= found.error).all()
    assert (found.error < 1e-4 * found.risk).all()
    assert (off / found.risk).max() > 1e-13  # not zero: the blocks were frozen
    other = accelsim.risk(find(name), problem, 20000, **values | {next(iter(values)): 0.1})
    assert (np.abs(found.risk - other.risk)[-10:] > 100 * found.error[-10:]).any()


SCHEDULES = {
    "linear": ("sgd", dict(lr="0.1*linear(t, 15000)")),
    "cosine": ("sgd", dict(lr="0.3*cosine(t, 13000)")),
    "warmup": ("accelerated_sgd", dict(eta="0.01*minimum(1, t/7000)", alpha=0.05, beta=0.9)),
    "tail average": ("tail_average(sgd)", dict(lr=0.1, start=6000)),
}


@pytest.mark.parametrize("case", SCHEDULES)
@pytest.mark.long
def test_frozen_blocks_are_as_exact_as_reported_where_a_schedule_ends(monkeypatch, case):
    monkeypatch.setattr(travel, "FIRST", 1000)
    name, values = SCHEDULES[case]
    problem = problems.make("linear_regression", dim=3, spectrum="geometric:1e6", batch=4, label_noise=1)
    reference = accelsim.risk(find(name), problem, 20000, **values)
    found = blocks(find(name), problem, 20000, **values)
    assert found.way == "frozen blocks"
    off = np.abs(found.risk / reference.risk - 1)
    relative = found.error / found.risk
    assert (off <= relative).all()
    assert 1e-13 < off.max() < relative.max() < 2e-3
    monkeypatch.setattr(travel, "_rough", lambda tables, blocks, level: np.zeros(blocks.shape[1], bool))
    monkeypatch.setattr(spans, "smooth", lambda tables, begins, lengths, degree: np.ones(begins.size, bool))
    monkeypatch.setattr(travel, "_WORST", np.inf)
    careless = blocks(find(name), problem, 20000, **values)
    assert (np.abs(careless.risk / reference.risk - 1) > 4 * off + 1e-9).any()


def test_blocks_that_do_not_get_there_give_way_to_single_steps_or_are_refused(monkeypatch):
    monkeypatch.setattr(travel, "FIRST", 1000)
    values = dict(lr="0.05+0.04*cos(t/2)")  # as many blocks as steps
    found = blocks(find("sgd"), REGRESSION, 20000, **values)
    assert found.way == "step by step"
    assert_same(found, accelsim.risk(find("sgd"), REGRESSION, 20000, **values), 0)
    monkeypatch.setattr(travel, "DAY", 1e-3)
    with pytest.raises(InputError, match=r"too abruptly .* and 2e\+04 steps one by one would take about .* days"):
        blocks(find("sgd"), REGRESSION, 20000, **values)
    monkeypatch.setattr(travel, "_WORST", 0.0)
    with pytest.raises(InputError, match="too abruptly"):
        blocks(find("sgd"), REGRESSION, 20000, lr="0.3/(1+t)**0.5")


def test_an_error_that_is_not_of_second_order_is_reported_as_it_is():
    one, two, three = (np.array([[1 + off]]) for off in (0.16, 0.04, 0.01))
    share, moved = travel._romberg(one, two, three)
    assert share == pytest.approx(1)
    assert moved < 1e-12
    for coarser in (0.02, 0.07, -0.05):
        share, moved = travel._romberg(np.array([[1 + coarser]]), two, three)
        assert share == three
        assert moved >= 0.03
    share, moved = travel._romberg(one - 1.005, two - 1.005, three - 1.005)  # which extrapolates to less than nothing
    assert share == three - 1.005
    assert moved >= 0.03


def test_a_record_ends_at_a_divergence_before_the_first_block_does(monkeypatch):
    monkeypatch.setattr(travel, "FIRST", 1000)
    values = dict(lr="0.1+4*minimum(1, maximum(0, t-1000))")
    reference = accelsim.risk(find("sgd"), REGRESSION, 20000, **values)
    found = blocks(find("sgd"), REGRESSION, 20000, **values)
    assert 1000 < reference.diverged < 1259
    assert found.diverged == pytest.approx(reference.diverged, abs=2)
    np.testing.assert_array_equal(found.steps, reference.steps)
    np.testing.assert_allclose(found.risk, reference.risk, rtol=1e-12)


def test_halvings_that_diverge_at_different_records_are_no_record(monkeypatch):
    monkeypatch.setattr(travel, "FIRST", 1000)
    frozen = travel._frozen

    def overflows_when_coarse(voyage, x, parts, halvings, chance=None):
        found, diverged = frozen(voyage, x, parts, halvings)
        return (found[:3], 2000) if halvings == 0 else (found, diverged)

    monkeypatch.setattr(travel, "_frozen", overflows_when_coarse)
    found = blocks(find("sgd"), REGRESSION, 20000, lr="0.3/(1+t)**0.5")
    assert (found.way, found.steps[-1], found.diverged) == ("step by step", 20000, None)


def test_frozen_blocks_diverge_about_where_stepping_does(monkeypatch):
    monkeypatch.setattr(travel, "FIRST", 1000)
    values = dict(lr="0.02*(t+1)**0.5")
    reference = accelsim.risk(find("sgd"), REGRESSION, 20000, **values)
    found = blocks(find("sgd"), REGRESSION, 20000, **values)
    assert 1000 < reference.diverged < 20000
    assert found.diverged == pytest.approx(reference.diverged, rel=1e-2)
    np.testing.assert_array_equal(found.steps, reference.steps)


def way(name, steps, dim=12, **values):
    problem = problems.make("linear_regression", dim=dim)
    return travel.way(problem, Tables(linear_tableau(find(name), **values), values), steps)


def test_the_way_is_the_quickest():
    assert way("sgd", 1000, lr=0.1) is None
    assert way("accelerated_sgd", 10**9, 300, **FAST) is travel.by_leaps
    assert way("sgd", 10**9, lr="1/(t+10)") is travel.by_blocks
    assert way("sgd", 10**5, lr="1/(t+10)") is None
    assert way("sgd", 10**5, 10**4, lr=1e-3) is None  # too many unknowns to leap, few enough steps to take


def test_what_takes_more_than_a_day_is_refused_with_its_time():
    with pytest.raises(InputError, match=r"1e\+12 steps would take about .* days: averaging weights"):
        way("schedule_free", 10**12, lr=0.1, beta=0.9)
    assert way("schedule_free", 10**12, lr=0.1, beta=0.9, c="1/(t+1)") is travel.by_blocks


@optimizer(positions="w", memories="m", returns="w", lr=step_size())
def two_points(s, t, h):
    """Two queries on one sample, and the difference of their gradients."""
    g, other = yield s.w, s.w - h.lr * s.m
    m = s.m / 2 + g - other / 3
    return dict(w=s.w - h.lr * (m + other / 2), m=m)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    chance = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("tables") / "small.npy"
    np.save(path, chance.standard_normal((9, 4)) @ chance.standard_normal((4, 4)))
    return problems.make("dataset", data=str(path), target=3, batch=2)


@pytest.mark.parametrize("carries_origin", [False, True])
@pytest.mark.parametrize("case", [("heavy_ball", dict(lr=0.03, beta=0.8)), (two_points, dict(lr=0.1))])
def test_a_step_on_a_table_in_closed_form_is_that_of_the_recursion(table, case, carries_origin):
    name, values = case
    rule = find(name) if isinstance(name, str) else name
    voyage = travel.Voyage(table, Tables(linear_tableau(rule, **values), values), "returned", carries_origin)
    (leap,) = voyage.steps([3])
    _, system = voyage._systems([3])
    layout, chance = voyage.layout, np.random.default_rng(1)
    n, m = layout.states, layout.modes
    factor, mean = chance.standard_normal((n * m, n * m)), chance.standard_normal((n, m))
    second = (factor @ factor.T).reshape(n, m, n, m).transpose(0, 2, 1, 3)
    before = Moments(second, mean)
    for noisy in (True, False):
        after = layout.vector(moments.advance(table, system.at(0), before, noisy))
        if noisy:
            np.testing.assert_allclose(leap(layout.vector(before)[:, None], np.ones(1))[:, 0], after, rtol=1e-11)
        else:
            assert np.abs(leap(layout.vector(before)[:, None], np.ones(1))[:, 0] / after - 1).max() > 1e-3
