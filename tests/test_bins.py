"""Bins of directions prove on which side of rho a number is, or nothing: against sixty digits and single directions."""

import numpy as np
import pytest
from conftest import seed_of
from mpmath import mp, mpf

from accelsim import problems
from accelsim.exact.stationary import bins, bounds, cone, jury, rates
from accelsim.exact.stationary.bins import Bins
from accelsim.exact.stationary.cone import ABOVE, BELOW, UNKNOWN
from accelsim.optimizers import find

pytestmark = pytest.mark.numeric

MANY = 400  # directions
OFFSETS = [sign * 10.0**power for power in (-12, -9, -7, -5, -3) for sign in (1, -1)]


def exact_side(mu, directions, rule):
    """The side of rho that 1 + mu is on, for one query and at most two states, from the variance of ARMA(2, 1)."""
    step, b, c = (mp.matrix(part.tolist()) for part in rule[:3])
    total = mpf(0)
    with mp.workdps(60):
        z = 1 + mpf(mu)
        for lam, own, left, right in zip(*(values.tolist() for values in directions), strict=True):
            t = mp.eye(len(step)) + step + lam * b * c
            trace = sum(t[i, i] for i in range(len(t)))
            product = t[0, 0] * t[1, 1] - t[0, 1] * t[1, 0] if len(t) == 2 else mpf(0)
            first, second = (c * b)[0], (c * t * b)[0]
            a, p, lead, last = trace / mp.sqrt(z), product / z, first / mp.sqrt(z), (second - trace * first) / z
            if not (abs(p) < 1 and abs(a) < 1 + p):
                return BELOW
            h = ((lead**2 + last**2) * (1 + p) + 2 * a * lead * last) / ((1 - p) * ((1 + p) ** 2 - a**2))
            if own * h >= 1:
                return BELOW
            total += mpf(right) * left * h / (1 - own * h)
        return ABOVE if total < 1 else BELOW


def judge_of(name, problem, **values):
    """A judge that looks at bins however few directions there are, and the solver's rate."""
    exact, stages, _ = rates.exact_system(find(name), **values)
    solver, guess = rates._guessed(exact, stages, problem)
    return solver.judge, guess


def binned(judge):
    return Bins(judge.arrays, judge.rule, judge.shared, judge.least)


def drawn(draw, many=MANY):
    """A random problem and settings of momentum, near critical damping, near an edge of stability, or anywhere."""
    spectrum = np.exp(draw.uniform(-draw.uniform(0.1, 12), 0, many))
    if draw.random() < 0.5:
        spectrum.sort()
    kind = draw.choice(["quadratic", "linear_regression", "independent", "one_hot"])
    options = {"kurtosis": draw.choice([1.0, 1.5, 4.0])} if kind == "independent" else {}
    problem = problems.make(
        kind, spectrum=spectrum, **options, batch=1 if kind == "quadratic" else int(10 ** draw.uniform(1, 6))
    )
    beta = 1 - 10 ** draw.uniform(-3, 0)
    top = problem.spectrum.max()
    lr = {
        "critical": (1 - beta**0.5) ** 2 / draw.choice(problem.spectrum),
        "edge": 2 * (1 + beta) / top * (1 + draw.choice([-1, 1]) * 10 ** draw.uniform(-10, -8)),
        "any": 10 ** draw.uniform(-6, 0) / top,
    }[draw.choice(["critical", "edge", "any"])]
    name = draw.choice(["sgd", "heavy_ball", "nesterov"])
    return problem, name, dict(lr=lr) | ({} if name == "sgd" else dict(beta=beta))


@pytest.mark.long
def test_sides_are_those_of_sixty_digits():
    draw = np.random.default_rng(seed_of("sides of bins"))
    asked = said = 0
    for _ in range(16):
        problem, name, values = drawn(draw)
        judge, guess = judge_of(name, problem, **values)
        for off in [*draw.choice(OFFSETS, 4, replace=False), None]:
            mu = guess * (1 + off) if off else 0.0
            if mu <= -1:
                continue
            asked, side = asked + 1, binned(judge).judged(mu)[0]
            if side != UNKNOWN:
                said += 1
                assert side == exact_side(mu, judge.arrays, judge.rule), (problem, name, values, mu)
    assert asked > 60
    assert said > asked / 3


def test_two_eigenvalues_decide_for_momentum_where_the_mean_does():
    draw = np.random.default_rng(seed_of("momentum by two eigenvalues"))
    asked = said = 0
    while asked < 120:
        problem, name, values = drawn(draw, 40)
        if problem.multiplicative:
            continue
        judge, guess = judge_of(name, problem, **values)
        for off in [*draw.choice(OFFSETS, 5, replace=False), None]:
            mu = guess * (1 + off) if off else 0.0
            asked, side = asked + 1, jury.judged(mu, judge.rule, judge.ends)[0]
            if side != UNKNOWN:
                said += 1
                assert side == exact_side(mu, judge.arrays, judge.rule), (problem.spectrum, name, values, mu)
    assert said > asked * 2 / 3


def test_an_eigenvalue_beyond_the_two_is_not_decided_for():
    """The control, and sides of what grows: by either root, or by their product."""
    for name, top in (("sgd", 2.5), ("heavy_ball", 3.5), ("nesterov", 2.0)):
        beta = {} if name == "sgd" else dict(beta=0.5)
        judge, _ = judge_of(name, problems.make("quadratic", spectrum=[0.5, 1.0, top]), lr=1.0, **beta)
        assert judge.ends == (0.5, top)
        assert jury.judged(0.0, judge.rule, judge.ends)[0] == BELOW
        assert jury.judged(0.0, judge.rule, (0.5, 1.0))[0] == ABOVE
    judge, guess = judge_of("heavy_ball", problems.make("quadratic", dim=5, spectrum="geometric:3"), lr=1.0, beta=0.25)
    assert guess == pytest.approx(-0.75)  # every direction is underdamped: the product of both roots is .25
    assert jury.judged(-0.75 + 1e-12, judge.rule, judge.ends)[0] == ABOVE
    assert jury.judged(-0.75 - 1e-12, judge.rule, judge.ends)[0] == BELOW
    assert jury.judged(-0.75, judge.rule, judge.ends)[0] == UNKNOWN
    assert jury.judged(float("inf"), judge.rule, judge.ends)[0] == UNKNOWN
    assert judge_of("heavy_ball", problems.make("linear_regression", dim=5), lr=0.1, beta=0.5)[0].ends is None


def random_system(draw):
    """Matrices of a stage of one or two queries that move a position, and up to two memories that decay."""
    k, gradients = draw.integers(1, 4), draw.integers(1, 3)
    decay = np.diag(draw.uniform(-0.9, 0.99, k))
    step = np.triu(draw.normal(size=(k, k)), 1) * 0.1 + decay - np.eye(k)
    step[0, 0] = -draw.choice([0.0, 1e-6, 1e-3])
    b = -0.3 * draw.random((k, gradients))
    c = np.eye(gradients, k) + 0.1 * draw.normal(size=(gradients, k))
    return step, b, c, np.zeros((gradients, gradients)), np.array([gradients])


@pytest.mark.long
def test_sides_are_those_of_single_directions_for_random_systems():
    draw = np.random.default_rng(seed_of("bins of random systems"))
    said = {ABOVE: 0, BELOW: 0, UNKNOWN: 0}
    for _ in range(60):
        rule, lam = random_system(draw), np.sort(np.exp(draw.uniform(-draw.uniform(0.1, 9), 0, MANY)))
        noise = draw.choice([0.0, 1e-6, 1e-3])
        own, left, right = noise * draw.uniform(-0.5, 2, MANY) * lam**2, noise * lam, lam * draw.uniform(1, 2, MANY)
        directions, least = (lam, own, left, right), bounds._reach(rule[0])
        every = bounds.enclosed(lambda mu, given=(directions, rule, bool(noise), least): cone.judged(mu, *given), 0.0)
        assert every.high - every.low <= 1e-5 * abs(every.gap)
        for off in (1e-6, 1e-4, 1e-2, 1.0):
            for sign in (1, -1):
                mu = every.gap + sign * off * max(abs(every.gap), 1e-9)
                side = Bins(directions, rule, bool(noise), least).judged(mu)[0] if mu > -1 else UNKNOWN
                assert side in (UNKNOWN, sign)
                said[side] += 1
    assert said[ABOVE] > 100
    assert said[BELOW] > 60


def test_bins_that_leave_something_out_are_seen():
    """The control: without the noise, or with a direction outside its bin, a number below rho is said to be above."""
    problem = problems.make("linear_regression", spectrum=np.geomspace(1, 0.1, MANY), batch=2)
    judge, guess = judge_of("heavy_ball", problem, lr=0.01, beta=0.5)
    mu = guess - 0.05 * abs(guess)
    assert exact_side(mu, judge.arrays, judge.rule) == BELOW
    assert binned(judge).judged(mu)[0] != ABOVE
    spoilt = binned(judge)
    spoilt.values[:] = 0
    assert spoilt.judged(mu)[0] == ABOVE

    outside = binned(judge_of("sgd", problems.make("quadratic", spectrum=np.geomspace(1, 0.1, MANY)), lr=0.5)[0])
    assert outside.judged(-0.01)[0] == ABOVE
    outside.problem[0][MANY // 2 + 3] = 5.0
    assert outside.judged(-0.01)[0] == ABOVE
    assert Bins(outside.problem, *outside.given).judged(-0.01)[0] != ABOVE


def test_negative_weights_are_left_to_single_directions():
    judge, guess = judge_of("sgd", problems.make("linear_regression", spectrum=np.full(MANY, 0.5), batch=99), lr=0.1)
    assert binned(judge).judged(guess + 0.1)[0] == ABOVE
    lam, own, left, right = (values.copy() for values in judge.arrays)
    right[3] = -1e-9
    assert Bins((lam, own, left, right), judge.rule, True, judge.least).judged(guess + 0.1)[0] != ABOVE


def test_rates_of_many_directions_take_few_bins(monkeypatch):
    """Every side of a rate that the mean decides is proved by bins, and by few."""
    monkeypatch.setattr(cone, "judged", None)
    for kind, batch in (("quadratic", 1), ("linear_regression", 2000)):
        problem = problems.make(kind, dim=20000, spectrum="geometric:1e6", batch=batch)
        for name, values in {
            "sgd": dict(lr=0.01),
            "heavy_ball": dict(lr=0.01, beta=0.9),
            "ademamix_sgd": dict(lr=1e-3, beta1=0.5, beta3=0.99, alpha=2.0),
            "mars_exact_sgd": dict(lr=1e-2, beta=0.9, gamma=0.025),
        }.items():
            judge, guess = judge_of(name, problem, **values)
            found = bounds.enclosed(judge, guess)
            assert found.high - found.low <= 4.1e-7 * abs(found.gap)
            assert len(judge.bins.edges) < 500


def test_a_wrong_guess_is_led_to_the_rate_by_bins():
    for kind, name in (("linear_regression", "nesterov"), ("quadratic", "nesterov"), ("quadratic", "ema(sgd)")):
        problem = problems.make(kind, dim=3000, spectrum="power:1.5", batch=8)
        judge, guess = judge_of(name, problem, lr=0.02, **{"beta" if name == "nesterov" else "decay": 0.8})
        for wrong in (guess * (1 + 1e-4), guess / 3, guess * 3, 0.0, 10.0):
            found = bounds.enclosed(judge, wrong)
            assert found.low <= guess <= found.high
            assert found.high - found.low <= 2e-6 * abs(guess)


def test_stages_that_depend_on_one_another_have_no_bins():
    from test_rates import OWN

    problem = problems.make("quadratic", dim=2 * bounds._MANY)
    for rule, together in ((find("sgd"), True), (OWN["extragradient"], False)):
        exact, stages, _ = rates.exact_system(rule, lr=0.1)
        assert (rates._solver(exact, stages, problem).judge.bins is not None) == together
    assert bins._SHARE * bounds._MANY > 2 * bins._FIRST
