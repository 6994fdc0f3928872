"""Certified sides of the spectral radius of second moments, in compiled code, for problems without coupling.

The map L of second moments preserves the cone of positive semidefinite moments. Let Q = z X - L(X) be positive
definite:

    X positive definite       proves  z > rho(L),     as then L(X) < z X (Collatz, Wielandt);
    X not positive semidefinite proves z <= rho(L),   as for z > rho the series X = sum_k L^k(Q) / z^(k+1) is.

X is a witness: however it was found, the proof is one application of L to it, in increments L - 1 so that z near 1
keeps its digits, and a bound on the rounding of that application and on that of the problem's numbers. Here X solves
z X - L(X) = S^2, S a diagonal scale that balances position and memories in each direction.

References
----------
Krein and Rutman 1948; Collatz 1942 and Wielandt 1950, for the cone; Higham 2002, *Accuracy and Stability of Numerical
Algorithms*, Theorem 10.7: Cholesky's factorisation succeeds where the least eigenvalue is clearly above rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from accelsim.spectra import Array

ABOVE, BELOW, UNKNOWN = 1, -1, 0
_ROUNDING = 2.0**-53
_CHUNK = 512  # terms of a sum over directions that are added up before they are added to the others

Integers = np.ndarray[Any, np.dtype[np.int64]]
Directions = tuple[Array, Array, Array, Array]
Rule = tuple[Array, Array, Array, Array, Integers]


@njit(cache=True, nogil=True, error_model="numpy")
def _seen(c: Array, x: Array) -> float:
    """Second moment of the only query."""
    total = 0.0
    for i in range(c.shape[1]):
        for j in range(c.shape[1]):
            total += c[0, i] * x[i, j] * c[0, j]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _increment_of_one(
    lam: float, own: float, left: float, shared: float, rule: Rule, x: Array, z: Array, y: Array, out: Array
) -> None:
    """As `_increment`, for one query."""
    step, b, c, _, _ = rule
    k = len(step)
    y[0, 0] = _seen(c, x)
    noise = own * y[0, 0] + left * shared
    for i in range(k):
        for j in range(k):
            z[i, j] = step[i, j] + lam * b[i, 0] * c[0, j]
    for i in range(k):
        for j in range(k):
            total = 0.0
            for p in range(k):
                total += z[i, p] * x[p, j]
            z[k + i, j] = total
    for i in range(k):
        for j in range(i, k):
            total = z[k + i, j] + z[k + j, i] + noise * b[i, 0] * b[j, 0]
            for p in range(k):
                total += z[k + i, p] * z[j, p]
            out[i, j] = out[j, i] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _increment_of_many(
    lam: float,
    own: float,
    left: float,
    sums: Array,
    rule: Rule,
    x: Array,
    z: Array,
    y: Array,
    out: Array,
) -> None:
    """As `_increment`, whatever the stages."""
    step, b, c, d, ends = rule
    k = len(step)
    for i in range(k):
        for j in range(k):
            z[i, j] = x[i, j]
    begin = 0
    for end in ends:
        size = k + begin
        for g in range(begin, end):  # moments of all quantities with the queries
            for q in range(size):
                total = 0.0
                for p in range(k):
                    total += c[g, p] * z[q, p]
                for p in range(begin):
                    total += d[g, p] * z[q, k + p]
                z[q, k + g] = total
        for g in range(begin, end):
            for h in range(g, end):
                total = 0.0
                for p in range(k):
                    total += c[h, p] * z[p, k + g]
                for p in range(begin):
                    total += d[h, p] * z[k + p, k + g]
                y[g, h] = y[h, g] = total
        for g in range(begin, end):
            for q in range(size):
                z[q, k + g] *= lam
                z[k + g, q] = z[q, k + g]
            for h in range(begin, end):
                z[k + g, k + h] = lam * lam * y[g, h] + own * y[g, h] + left * sums[g, h]
        begin = end
    size = k + begin
    for i in range(k):
        for q in range(size):  # the last row of z's room: (step, b) z
            total = 0.0
            for p in range(k):
                total += step[i, p] * z[p, q]
            for p in range(begin):
                total += b[i, p] * z[k + p, q]
            z[size + i, q] = total
    for i in range(k):
        for j in range(i, k):
            total = z[size + i, j] + z[size + j, i]
            for p in range(k):
                total += z[size + i, p] * step[j, p]
            for p in range(begin):
                total += z[size + i, k + p] * b[j, p]
            out[i, j] = out[j, i] = total


@njit(nogil=True, error_model="numpy", inline="always")
def _increment(
    lam: float,
    own: float,
    left: float,
    sums: Array,
    rule: Rule,
    x: Array,
    z: Array,
    y: Array,
    out: Array,
) -> None:
    """L(X) - X in one direction, into `out`, and the queries' moments into `y`, where the shared sums are given."""
    if rule[1].shape[1] == 1:
        _increment_of_one(lam, own, left, sums[0, 0], rule, x, z, y, out)
    else:
        _increment_of_many(lam, own, left, sums, rule, x, z, y, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _solved(matrix: Array, right: Array) -> bool:
    """Gauss elimination in place: `right` becomes the solution; False where a pivot is zero."""
    n, columns = right.shape
    for col in range(n):
        best = col
        for row in range(col + 1, n):
            if abs(matrix[row, col]) > abs(matrix[best, col]):
                best = row
        if not abs(matrix[best, col]) > 0:
            return False
        if best != col:
            for j in range(col, n):
                matrix[col, j], matrix[best, j] = matrix[best, j], matrix[col, j]
            for j in range(columns):
                right[col, j], right[best, j] = right[best, j], right[col, j]
        for row in range(col + 1, n):
            factor = matrix[row, col] / matrix[col, col]
            if factor != 0:
                for j in range(col + 1, n):
                    matrix[row, j] -= factor * matrix[col, j]
                for j in range(columns):
                    right[row, j] -= factor * right[col, j]
    for col in range(n - 1, -1, -1):
        for j in range(columns):
            total = right[col, j]
            for p in range(col + 1, n):
                total -= matrix[col, p] * right[p, j]
            right[col, j] = total / matrix[col, col]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _positive(matrix: Array, shift: float, room: Array) -> bool:
    """Whether Cholesky's factorisation of matrix + shift succeeds."""
    k = len(matrix)
    for j in range(k):
        for i in range(j, k):
            total = matrix[i, j] + (shift if i == j else 0.0)
            for p in range(j):
                total -= room[i, p] * room[j, p]
            if i == j:
                if not total > 0:
                    return False
                room[j, j] = math.sqrt(total)
            else:
                room[i, j] = total / room[j, j]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def scales(lam: float, rule: Rule, scale: Array) -> None:
    """Units of the states, powers of 2, in which what the first one and each other give one another is balanced.

    A state that only listens, or only speaks, is in units of what it keeps of the first one, or gives to it.
    """
    step, b, c, _, _ = rule
    scale[0] = 1.0
    for a in range(1, len(step)):
        into, out, rest = step[a, 0], step[0, a], step[a, a]
        for g in range(b.shape[1]):
            into += lam * b[a, g] * c[g, 0]
            out += lam * b[0, g] * c[g, a]
            rest += lam * b[a, g] * c[g, a]
        scale[a] = 1.0
        if into != 0 and out != 0:
            scale[a] = math.ldexp(1.0, math.frexp(into / out)[1] // 2)
        elif into != 0 and rest != 0:
            scale[a] = math.ldexp(1.0, math.frexp(into / rest)[1])
        elif out != 0 and rest != 0:
            scale[a] = math.ldexp(1.0, math.frexp(rest / out)[1])


@njit(cache=True, nogil=True, error_model="numpy")
def judged(mu: float, problem: Directions, rule: Rule, coupled: bool) -> tuple[int, float]:
    """The side of rho that 1 + mu is on, and the scaled trace of the witness, which has a pole at rho.

    Parameters
    ----------
    problem : lam, own, left and right, (m,) each; see `problems.Uncoupled`.
    rule : A - I, B, C and D of a constant system, and the ends of its stages.
    coupled : whether the shared sums are anything.
    """
    lams, own, left, right = problem
    step, b, _, _, ends = rule
    k, gradients, m = len(step), b.shape[1], len(lams)
    pairs = k * (k + 1) // 2
    firsts, seconds = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    place = 0
    for i in range(k):
        for j in range(i, k):
            firsts[place], seconds[place] = i, j
            place += 1
    shared = 0
    one, two = np.empty(gradients * gradients, np.int64), np.empty(gradients * gradients, np.int64)
    begin = 0
    for end in ends:
        for g in range(begin, end):
            for h in range(g, end):
                if coupled:
                    one[shared], two[shared] = g, h
                    shared += 1
        begin = end
    room = np.empty((2 * k + gradients, k + gradients))
    x, out = np.empty((k, k)), np.empty((k, k))
    y, sums = np.zeros((gradients, gradients)), np.zeros((gradients, gradients))
    nothing = np.zeros((gradients, gradients))
    matrix, reads = np.empty((pairs, pairs)), np.empty((max(shared, 1), pairs))
    direct = np.zeros((max(shared, 1), max(shared, 1)))
    scale = np.empty(k)
    witness, responses = np.empty((m, pairs)), np.empty((m if shared else 0, pairs, shared))
    solution = np.empty((pairs, 1 + shared))
    among, level = np.zeros((max(shared, 1), max(shared, 1))), np.zeros((max(shared, 1), 1))
    for i in range(m):
        for column in range(pairs):
            x[:] = 0.0
            x[firsts[column], seconds[column]] = x[seconds[column], firsts[column]] = 1.0
            _increment(lams[i], own[i], left[i], nothing, rule, x, room, y, out)
            for row in range(pairs):
                matrix[row, column] = -out[firsts[row], seconds[row]]
            matrix[column, column] += mu
            for s in range(shared):
                reads[s, column] = y[one[s], two[s]]
        scales(lams[i], rule, scale)
        for row in range(pairs):
            a = firsts[row]
            solution[row, 0] = scale[a] * scale[a] if a == seconds[row] else 0.0
        x[:] = 0.0
        for s in range(shared):
            sums[:] = 0.0
            sums[one[s], two[s]] = sums[two[s], one[s]] = 1.0
            _increment(lams[i], own[i], left[i], sums, rule, x, room, y, out)
            for row in range(pairs):
                solution[row, 1 + s] = out[firsts[row], seconds[row]]
            for p in range(shared):
                direct[p, s] = y[one[p], two[p]]
        if not _solved(matrix, solution):
            return UNKNOWN, math.nan
        for row in range(pairs):
            witness[i, row] = solution[row, 0]
            for s in range(shared):
                responses[i, row, s] = solution[row, 1 + s]
        for p in range(shared):
            for column in range(1 + shared):
                total = direct[p, column - 1] if column else 0.0
                for q in range(pairs):
                    total += reads[p, q] * solution[q, column]
                if column:
                    among[p, column - 1] -= right[i] * total
                else:
                    level[p, 0] += right[i] * total
    sums[:] = 0.0
    if shared:
        for p in range(shared):
            among[p, p] += 1.0
        if not _solved(among[:shared, :shared], level[:shared]):
            return UNKNOWN, math.nan
        for i in range(m):
            for row in range(pairs):
                for s in range(shared):
                    witness[i, row] += responses[i, row, s] * level[s, 0]
    return _proved(mu, problem, rule, shared > 0, witness)


@njit(cache=True, nogil=True, error_model="numpy")
def _proved(mu: float, problem: Directions, rule: Rule, coupled: bool, witness: Array) -> tuple[int, float]:
    """What a witness (m, pairs), on and above the diagonal, proves."""
    lams, own, left, right = problem
    step, b, c, d, ends = rule
    k, gradients, m = len(step), b.shape[1], len(lams)
    room = np.empty((2 * k + gradients, k + gradients))
    x, absolute = np.empty((k, k)), np.empty((k, k))
    out, error, spare = np.empty((k, k)), np.empty((k, k)), np.empty((k, k))
    y, sums = np.zeros((gradients, gradients)), np.zeros((gradients, gradients))
    sizes = np.zeros((gradients, gradients))
    part, size_part = np.zeros((gradients, gradients)), np.zeros((gradients, gradients))
    scale, bars = np.empty(k), (np.abs(step), np.abs(b), np.abs(c), np.abs(d), ends)
    begin = 0
    for end in ends[: len(ends) if coupled else 0]:  # a later stage's queries feel the sums of those before
        for first in range(0, m, _CHUNK):
            part[:], size_part[:] = 0.0, 0.0
            for i in range(first, min(first + _CHUNK, m)):
                _unpacked(witness, i, x, absolute)
                if gradients == 1:
                    part[0, 0] += right[i] * _seen(c, x)
                    size_part[0, 0] += right[i] * _seen(bars[2], absolute)
                    continue
                _increment(lams[i], own[i], left[i], sums, rule, x, room, y, out)
                _added(part, right[i], y)
                _increment(lams[i], abs(own[i]), left[i], sizes, bars, absolute, room, y, out)
                _added(size_part, right[i], y)
            sums[begin:end, begin:end] += part[begin:end, begin:end]
            sizes[begin:end, begin:end] += size_part[begin:end, begin:end]
        begin = end
    # of each sum and product, and as much again for the rounding of the problem's own numbers
    unit = _ROUNDING * (4 * (k + gradients + 4) + (min(m, _CHUNK) + m / _CHUNK if coupled else 0.0))
    trace, inside = 0.0, True
    outside = False
    for i in range(m):
        _unpacked(witness, i, x, absolute)
        _increment(lams[i], own[i], left[i], sums, rule, x, room, y, out)
        _increment(lams[i], abs(own[i]), left[i], sizes, bars, absolute, room, y, error)
        scales(lams[i], rule, scale)
        worst, largest = 0.0, 0.0
        for a in range(k):
            row = 0.0
            for e in range(k):
                by = 1 / (scale[a] * scale[e])
                out[a, e] = (mu * x[a, e] - out[a, e]) * by
                row += (abs(mu) * absolute[a, e] + error[a, e]) * by
                x[a, e] *= by
            worst = max(worst, row)
            largest += abs(x[a, a])
            trace += x[a, a]
            for e in range(k):
                largest += abs(x[a, e])
        if not (worst < math.inf and largest < math.inf):
            return UNKNOWN, math.nan
        if not _positive(out, -unit * worst - 4 * k * k * _ROUNDING, spare):
            return UNKNOWN, trace
        margin = 4 * k * k * _ROUNDING * largest
        if not _positive(x, -margin, spare):
            inside = False
            outside = outside or not _positive(x, margin, spare)
    if outside:
        return BELOW, trace
    return (ABOVE if inside else UNKNOWN), trace


@njit(cache=True, nogil=True, error_model="numpy")
def _added(total: Array, weight: float, values: Array) -> None:
    for g in range(len(values)):
        for h in range(len(values)):
            total[g, h] += weight * values[g, h]


@njit(cache=True, nogil=True, error_model="numpy")
def _unpacked(entries: Array, i: int, x: Array, absolute: Array) -> None:
    place = 0
    for a in range(len(x)):
        for e in range(a, len(x)):
            x[a, e] = x[e, a] = entries[i, place]
            absolute[a, e] = absolute[e, a] = abs(entries[i, place])
            place += 1
