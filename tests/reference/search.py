"""A grid, refined where it is best: an upper bound on what a tuned value may be."""

import itertools

import numpy as np

from reference.inputs import read
from reference.moments import risks, risks_of
from reference.numbers import Double, Fixed, mp
from reference.radius import gap, matrix, minimal, unpulled
from reference.rules import constant_step

ROUNDS = 4
STEPS = 300  # after which a grid does not look for a target any more
POINTS = {1: 25, 2: 9}  # along an axis, by the number of axes


def time_constant(rule, problem, **given):
    """tau = -1 / ln rho in steps, infinite where it is not stable."""
    found = gap(rule, problem, **given)
    return mp.inf if found >= 0 else -1 / mp.log1p(found) if found > -1 else mp.zero


def rough(rule, problem, **given):
    """The spectral radius of the same map in double precision."""
    whole = matrix(unpulled(minimal(constant_step(rule, given))), read(problem), Double)
    return float(max(abs(np.linalg.eigvals(whole))))


def first_step(rule, problem, target, most, numbers=Fixed, **given):
    """The first step at which the risk is at most a target; infinite where that is later than `most`."""
    followed = risks_of(rule, problem, most, numbers=numbers, **given)
    return next((t for t, (risk, _, _) in enumerate(followed) if risk <= target), mp.inf)


def value_of(rule, problem, objective, numbers=Fixed, most=STEPS, **given):
    """A tuning objective, ``rate``, ``risk@T`` or ``steps@TARGET`` (up to `most` steps)."""
    if objective == "rate":
        return time_constant(rule, problem, **given) if numbers is Fixed else rough(rule, problem, **given)
    if objective.startswith("steps@"):
        return first_step(rule, problem, mp.mpf(objective.partition("@")[2]), most, numbers, **given)
    return risks(rule, problem, int(objective.partition("@")[2]), numbers=numbers, **given).risk[-1]


def best(rule, problem, objective, names, fixed=None, most=STEPS):
    """(value, hyperparameters) of the best point of a grid over names, zoomed in on; see `value_of` for `most`.

    Step sizes are spaced evenly in the logarithm, momenta and weights in that of the distance from 1.
    """
    fixed, axes = fixed or {}, [_axis(rule, problem, name) for name in names]
    centre, width = [0.5] * len(axes), 0.5
    found = (np.inf, {})
    for _ in range(ROUNDS):
        places = [np.clip(np.linspace(c - width, c + width, POINTS[len(axes)]), 0, 1) for c in centre]
        for point in itertools.product(*places):
            given = {name: axis(float(u)) for name, axis, u in zip(names, axes, point, strict=True)}
            score = value_of(rule, problem, objective, Double, most, **fixed, **given)
            if score < found[0]:
                most = score if objective.startswith("steps@") else most
                found, centre = (score, given), list(point)
        width *= 3 / POINTS[len(axes)]
    if not found[1]:
        return mp.inf, {}
    return value_of(rule, problem, objective, most=most, **fixed, **found[1]), found[1]


def _axis(rule, problem, name):
    if rule.hyperparameters[name].high == 1:
        return lambda u: 1 - 10 ** (-4 * u)
    scale = 10 / float(max(problem.spectrum))
    return lambda u: scale * 10 ** (-5 * (1 - u))
