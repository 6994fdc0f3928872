"""The risk of the returned iterate in the end: the fixed point of the moments, by elimination in extended numbers."""

import numpy as np

from reference.inputs import Apart, read
from reference.moments import ApartMap, TableMap
from reference.numbers import Fixed, extended, mp
from reference.radius import gap_of, lower, matrix, minimal
from reference.rules import constant_step


def floor(rule, problem, **given):
    """(floor, rho - 1): None for a floor where second moments do not settle; rho - 1 says so.

    A constant state (see `rules.Step`) has the known moment w* w*^T, and its moments with others and their means are
    part of what is solved for.
    """
    step = constant_step(rule, given)
    if step is None:
        raise NotImplementedError("coefficients that vary in time")
    step, law = minimal(step), read(problem)
    gap = gap_of(step, law)
    if gap >= 0:
        return None, gap
    return (_apart if isinstance(law, Apart) else _table)(step, law), gap


def _solved(matrix, known, right):
    """x with x = matrix x + right, where some entries of x are known: place to number."""
    free = [k for k in range(len(matrix)) if k not in known]
    out = np.array([known.get(k, mp.zero) for k in range(len(matrix))], dtype=object)
    right = np.array(right, dtype=object)[free] + (matrix @ out)[free]
    if free:
        rest = np.eye(len(free), dtype=int).astype(object) - matrix[np.ix_(free, free)]
        out[free] = list(mp.lu_solve(mp.matrix(rest.tolist()), mp.matrix(right.tolist())))
    return out


def _numbers(array):
    return np.array([extended(x) for x in array.reshape(-1)], dtype=object).reshape(array.shape)


def _apart(step, law):
    n, d = step.states, law.lam.size
    pairs = lower(d, n)
    drift = ApartMap(law, [True]).step(np.zeros((1, d, n, n), dtype=int).astype(object), step)[0]
    known = {}
    if step.pulled:
        known = {k: law.start[i] ** 2 for k, (i, j, m) in enumerate(pairs) if j == m == n - 1}
    moments = _solved(_numbers(matrix(step, law)), known, [extended(drift[place]) for place in pairs])
    seen = np.zeros((d, n, n), dtype=int).astype(object)
    for (i, j, k), value in zip(pairs, moments, strict=True):
        seen[i, j, k] = seen[i, k, j] = value
    answer = step.answer[0]
    return mp.fsum(lam * (answer @ each @ answer) for lam, each in zip(law.lam, seen, strict=True)) / 2


def _table(step, law):
    n, d = step.states, law.lam.size
    carry, size = TableMap(law, [True], Fixed), n * d
    nothing = np.zeros((1, size, size), dtype=int).astype(object)
    mean = np.zeros(size, dtype=int).astype(object) * mp.one
    known = {}
    if step.pulled:
        along = []
        for unit in Fixed.of(np.eye(size)):
            along.append(carry.step(nothing, unit[None], step)[1][0])
        mean = _solved(_numbers(np.array(along)).T, dict(zip(range(size - d, size), -law.start, strict=True)), mean)
        first = size - d
        known = {(0, first + i, first + j): law.start[i] * law.start[j] for i in range(d) for j in range(i + 1)}
    drift = carry.step(nothing, Fixed.of(mean)[None], step)[0][0]
    pairs = lower(1, size)
    known = {k: known[place] for k, place in enumerate(pairs) if place in known}
    moments = _solved(_numbers(matrix(step, law)), known, [extended(drift[j, k]) for _, j, k in pairs])
    seen = np.zeros((size, size), dtype=int).astype(object)
    for (_, j, k), value in zip(pairs, moments, strict=True):
        seen[j, k] = seen[k, j] = value
    shown = np.kron(step.answer, np.eye(d, dtype=int).astype(object))
    second = shown @ seen @ shown.T
    return mp.fsum(lam * second[i, i] for i, lam in enumerate(law.lam)) / 2
