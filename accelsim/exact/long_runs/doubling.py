"""Compiled code behind `thresholds`: powers of two-state maps by squaring, all eigendirections at once; single steps.

A power of a step in one direction is seven numbers: T^t by rows, and V_t = sum_{s<t} T^s Q T^s' on and above the
diagonal. A rule is ten: A by rows, B, C and F of `tables.System`, and u, what a translation moves. Arrays are (7, d).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

WIDTH = 8  # directions whose number divides that of all, so that they are summed side by side
_FLUSHED = 1e-150  # entries of T^t below are zero: squaring them would be slow, and changes nothing

Array = np.ndarray[Any, np.dtype[np.float64]]


@njit(nogil=True, cache=True, error_model="numpy")
def first_power(lam: Array, floor: Array, rule: Array, z: Array) -> None:
    """Fill z with one step."""
    for i in range(len(lam)):
        z[0, i] = rule[0] + lam[i] * rule[4] * rule[6]
        z[1, i] = rule[1] + lam[i] * rule[4] * rule[7]
        z[2, i] = rule[2] + lam[i] * rule[5] * rule[6]
        z[3, i] = rule[3] + lam[i] * rule[5] * rule[7]
        z[4, i] = rule[4] * rule[4] * floor[i]
        z[5, i] = rule[4] * rule[5] * floor[i]
        z[6, i] = rule[5] * rule[5] * floor[i]


@njit(nogil=True, cache=True, error_model="numpy")
def turning(z: Array, angle: Array) -> None:
    """By how much a step turns the error of a direction: 0 where it only decays, pi or more where nothing is known.

    The error is R r^t cos(t angle + phase), or a p^t + b q^t with 1 >= p >= q >= 0. While it turns by less than pi it
    is zero at most once, so between two steps at which it has one sign it is never zero. There it is either monotone
    (a and b of one sign) or its logarithm is concave: it is least at one of the two.
    """
    for i in range(z.shape[1]):
        a, b, c, d = z[0, i], z[1, i], z[2, i], z[3, i]
        half, determinant = (a + d) / 2, a * d - b * c
        root = half * half - determinant
        if root < 0:
            angle[i] = np.arctan2(np.sqrt(-root), half)
        else:
            angle[i] = 0.0 if determinant >= 0 and half >= 0 and half + np.sqrt(root) <= 1 else 4.0


@njit(nogil=True, cache=True, error_model="numpy")
def product(x: Array, y: Array, z: Array) -> None:
    """Fill z with the power after x, then y."""
    for i in range(z.shape[1]):
        a, b, c, d = y[0, i], y[1, i], y[2, i], y[3, i]
        x0, x1, x2, x3 = x[0, i], x[1, i], x[2, i], x[3, i]
        u, v, w = x[4, i], x[5, i], x[6, i]
        t0, t1, t2, t3 = a * x0 + b * x2, a * x1 + b * x3, c * x0 + d * x2, c * x1 + d * x3
        z[0, i] = 0.0 if abs(t0) <= _FLUSHED else t0
        z[1, i] = 0.0 if abs(t1) <= _FLUSHED else t1
        z[2, i] = 0.0 if abs(t2) <= _FLUSHED else t2
        z[3, i] = 0.0 if abs(t3) <= _FLUSHED else t3
        au, av = a * u + b * v, a * v + b * w
        cu, cv = c * u + d * v, c * v + d * w
        y4, y5, y6 = y[4, i], y[5, i], y[6, i]
        z[4, i] = y4 + au * a + av * b
        z[5, i] = y5 + au * c + av * d
        z[6, i] = y6 + cu * c + cv * d


@njit(nogil=True, cache=True, error_model="numpy")
def errors(z: Array, rule: Array, e: Array) -> None:
    """Fill e with the returned errors, of those before the first step."""
    f0, f1, u0, u1 = rule[8], rule[9], rule[10], rule[11]
    for i in range(z.shape[1]):
        e[i] = f0 * (z[0, i] * u0 + z[1, i] * u1) + f1 * (z[2, i] * u0 + z[3, i] * u1)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def biased(weight: Array, e: Array) -> float:
    """The bias; weight is lam / 2 times the squared error before the first step."""
    total = 0.0
    for i in range(len(e)):
        total += weight[i] * e[i] * e[i]
    return total


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def least(weight: Array, angle: Array, e: Array, later: Array, steps: float) -> float:
    """A bound from below of the bias at and between two times, that many steps apart, from the errors at them."""
    total = 0.0
    for i in range(len(e)):
        square = min(e[i] * e[i], later[i] * later[i])
        total += weight[i] * square if angle[i] * steps < 3.14 and e[i] * later[i] > 0 else 0.0
    return total


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def varied(z: Array, lam: Array, rule: Array) -> float:
    """The variance."""
    f0, f1 = rule[8], rule[9]
    total = 0.0
    for i in range(z.shape[1]):
        total += lam[i] * (f0 * f0 * z[4, i] + 2 * f0 * f1 * z[5, i] + f1 * f1 * z[6, i])
    return total / 2


@njit(nogil=True, cache=True, error_model="numpy")
def curve(lam: Array, weight: Array, floor: Array, rule: Array, doublings: int) -> Array:
    """(3, doublings + 1) bias after 1, 2, 4, ... steps, its bound from there to twice as many, and variance."""
    d = len(lam)
    z, other = np.empty((7, d)), np.empty((7, d))
    angle, e, later = np.empty(d), np.empty(d), np.empty(d)
    first_power(lam, floor, rule, z)
    turning(z, angle)
    errors(z, rule, e)
    found = np.empty((3, doublings + 1))
    for k in range(doublings + 1):
        found[0, k], found[2, k] = biased(weight, e), varied(z, lam, rule)
        product(z, z, other)
        errors(other, rule, later)
        found[1, k] = least(weight, angle, e, later, 2.0**k)
        z, other = other, z
        e, later = later, e
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def walk(
    lam: Array, weight: Array, floor: Array, rule: Array, target: float, limit: int, doublings: int
) -> tuple[int, float, float]:
    """The first step, at most limit, at which the risk is at most target, or -1; the risk before it, and at it.

    A stride that the bounds rule out is taken and then doubled, another one halved.
    """
    d = len(lam)
    powers = np.empty((doublings + 1, 7, d))
    here, there = np.zeros((7, d)), np.empty((7, d))
    angle, e, later = np.empty(d), np.empty(d), np.empty(d)
    here[0], here[3] = 1.0, 1.0
    first_power(lam, floor, rule, powers[0])
    turning(powers[0], angle)
    errors(here, rule, e)
    step, k, known = 0, 0, 0
    variance, before = 0.0, biased(weight, e)
    if before <= target:
        return 0, before, before
    while step < limit:
        while k > 0 and step + 2**k > limit:
            k -= 1
        while known < k:
            product(powers[known], powers[known], powers[known + 1])
            known += 1
        product(here, powers[k], there)
        errors(there, rule, later)
        if k > 0 and least(weight, angle, e, later, 2.0**k) + variance <= target:
            k -= 1
            continue
        variance = varied(there, lam, rule)
        step += 2**k
        risk = biased(weight, later) + variance
        if k == 0 and risk <= target:
            return step, before, risk
        before = risk
        here, there = there, here
        e, later = later, e
        k = min(k + 1, doublings)
    return -1, before, before


def filled(values: Array) -> Array:
    """Values (..., d) of all directions, with directions of zeros up to the next multiple of `WIDTH`."""
    found = np.zeros((*values.shape[:-1], values.shape[-1] + -values.shape[-1] % WIDTH))
    found[..., : values.shape[-1]] = values
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def step_until(
    p: Array, a: Array, b: Array, c: Array, f: Array, place: Array, noise: Array, target: float, steps: int, lost: float
) -> tuple[int, float, float, float]:
    """Step moments p in place until the risk is at most target; those above the diagonal are not looked at.

    Returned as from `walk`, -2 and the step if moments diverge, -3 if a risk that would be returned is below `lost`
    times the moments of what is returned term by term and of the positions; last the largest of these on the way.

    Parameters
    ----------
    p : (n, n, d), see `filled`.
    a, b, c, f : matrices of one query, with a first axis of steps; the last ones stand for all after them.
    place : (n,) 1 for positions, 0 for others.
    noise : rows lam, own, left, right and floor of `problems.Uncoupled`, (5, d).
    """
    n, d = p.shape[0], p.shape[2]
    lam, own, left, right, floor = noise[0], noise[1], noise[2], noise[3], noise[4]
    seen, returned, size, added = np.empty(d), np.empty(d), np.empty(d), np.empty(d)
    moved, half, sums = np.empty((n, n, d)), np.empty((n, n, d)), np.empty((3, WIDTH))
    before = after = largest = 0.0
    for step in range(steps + 1):
        t = min(step, len(a) - 1)
        for i in range(d):
            seen[i] = returned[i] = size[i] = 0.0
        for j in range(n):
            for k in range(j + 1):
                twice = 1.0 if j == k else 2.0
                queries, returns = twice * c[t, j] * c[t, k], twice * f[t, j] * f[t, k]
                if queries != 0 or returns != 0:
                    for i in range(d):
                        seen[i] += queries * p[j, k, i]
                        returned[i] += returns * p[j, k, i]
            terms = place[j] + f[t, j] * f[t, j]
            if terms != 0:
                for i in range(d):
                    size[i] += terms * p[j, j, i]
        shared, before, after, terms = 0.0, after, 0.0, 0.0
        sums[:] = 0.0
        for i in range(0, d, WIDTH):  # in vector instructions, and yet in the same order on every machine
            for lane in range(WIDTH):
                sums[0, lane] += right[i + lane] * seen[i + lane]
                sums[1, lane] += lam[i + lane] * returned[i + lane]
                sums[2, lane] += lam[i + lane] * size[i + lane]
        for lane in range(WIDTH):
            shared, after, terms = shared + sums[0, lane], after + sums[1, lane] / 2, terms + sums[2, lane] / 2
        largest = max(largest, terms)
        if (after <= target or step == steps) and after < lost * terms:
            return -3, before, after, largest
        if after <= target:
            return step, before, after, largest
        if not after < 1e200 or not shared < 1e200:
            return -2, before, float(step), largest
        if step == steps:
            break
        for i in range(d):
            added[i] = own[i] * seen[i] + left[i] * shared + floor[i]
        if step == 0 or len(a) > 1:
            for j in range(n):
                for k in range(n):
                    for i in range(d):
                        moved[j, k, i] = a[t, j, k] + lam[i] * b[t, j] * c[t, k]
        for j in range(n):
            for k in range(n):
                for i in range(d):
                    half[j, k, i] = moved[j, 0, i] * p[k, 0, i]
                for m in range(1, n):
                    low, high = min(m, k), max(m, k)
                    for i in range(d):
                        half[j, k, i] += moved[j, m, i] * p[high, low, i]
        for j in range(n):
            for k in range(j + 1):
                driven = b[t, j] * b[t, k]
                for i in range(d):
                    p[j, k, i] = driven * added[i] + half[j, 0, i] * moved[k, 0, i]
                for m in range(1, n):
                    for i in range(d):
                        p[j, k, i] += half[j, m, i] * moved[k, m, i]
    return -1, before, after, largest
