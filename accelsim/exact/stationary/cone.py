"""Certified sides of the spectral radius of second moments, in compiled code, for problems without coupling.

The map L of second moments preserves the cone of positive semidefinite moments. Let Q = z X - L(X) be positive
definite:

    X positive definite       proves  z > rho(L),     as then L(X) < z X (Collatz, Wielandt);
    X not positive semidefinite proves z <= rho(L),   as for z > rho the series X = sum_k L^k(Q) / z^(k+1) is.

X is a witness: however it was found, the proof is one application of L to it, in increments L - 1 so that z near 1
keeps its digits, and a bound on the rounding of that application and on that of the problem's numbers. Here X solves
z X - L(X) = S^2, S a diagonal scale that balances position and memories in each direction.

Directions are taken a block at a time: the last axis of every array is a row of n of them, and all work is on rows, in
loops that a compiler turns into vector instructions. So the equations are solved without exchange of rows first, and
again with it only where that solution proves nothing.

References
----------
Krein and Rutman 1948; Collatz 1942 and Wielandt 1950, for the cone; Higham 2002, *Accuracy and Stability of Numerical
Algorithms*, Theorem 10.7: Cholesky's factorisation succeeds where the least eigenvalue, with ones on the diagonal, is
clearly above rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from accelsim.spectra import Array

ABOVE, BELOW, UNKNOWN = 1, -1, 0
_UNSOLVED = 2  # the witness is no solution, which is not for rounding alone
_ROUNDING = 2.0**-53
_ROW = 64  # directions in a block
_BLOCKS = 32  # of which sums are added up before they are added to the others

Integers = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Directions = tuple[Array, Array, Array, Array]
Rule = tuple[Array, Array, Array, Array, Integers]


@njit(nogil=True, error_model="numpy", inline="always")
def _clear(row: Array) -> None:
    for i in range(len(row)):
        row[i] = 0.0


@njit(nogil=True, error_model="numpy", inline="always")
def _copy(row: Array, source: Array) -> None:
    for i in range(len(row)):
        row[i] = source[i]


@njit(nogil=True, error_model="numpy")
def _total(row: Array) -> float:
    total = 0.0
    for i in range(len(row)):
        total += row[i]
    return total


@njit(nogil=True, error_model="numpy")
def _sized(sizes: Array, matrix: Array) -> None:
    """Fill with absolute values."""
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            sizes[row, column] = abs(matrix[row, column])


@njit(nogil=True, error_model="numpy")
def _bars(rule: Rule) -> Rule:
    """The rule with sizes for its numbers."""
    step, b, c, d, ends = rule
    bars = (np.empty_like(step), np.empty_like(b), np.empty_like(c), np.empty_like(d), ends)
    _sized(bars[0], step)
    _sized(bars[1], b)
    _sized(bars[2], c)
    _sized(bars[3], d)
    return bars


@njit(nogil=True, error_model="numpy", inline="always")
def _add(row: Array, factor: float, source: Array) -> None:
    """row += factor source."""
    if factor != 0:
        for i in range(len(row)):
            row[i] += factor * source[i]


@njit(nogil=True, error_model="numpy", inline="always")
def _add_product(row: Array, sign: float, one: Array, other: Array) -> None:
    """row += sign one other."""
    for i in range(len(row)):
        row[i] += sign * one[i] * other[i]


@njit(nogil=True, error_model="numpy")
def _query(rows: Array, sums: Array, rule: Rule, z: Array, y: Array) -> None:
    """Complete the moments z of the states by those with the gradients, where the shared sums are given.

    Parameters
    ----------
    rows : (4, n), lam, own, left and right.
    sums : (G, G) of `right` times the queries' moments, over all directions.
    z : (k + G, k + G, n).
    y : (G, G, n), becomes the queries' moments.
    """
    lam, own, left = rows[0], rows[1], rows[2]
    _, b, c, d, ends = rule
    k = len(b)
    begin = 0
    for end in ends:
        for g in range(begin, end):
            for q in range(k + begin):
                total = z[q, k + g]
                _clear(total)
                for p in range(k):
                    _add(total, c[g, p], z[q, p])
                for p in range(begin):
                    _add(total, d[g, p], z[q, k + p])
        for g in range(begin, end):
            for h in range(g, end):
                total = y[g, h]
                _clear(total)
                for p in range(k):
                    _add(total, c[h, p], z[p, k + g])
                for p in range(begin):
                    _add(total, d[h, p], z[k + p, k + g])
                if h != g:
                    _copy(y[h, g], total)
        for g in range(begin, end):
            for q in range(k + begin):
                one, other = z[q, k + g], z[k + g, q]
                for i in range(len(lam)):
                    one[i] *= lam[i]
                    other[i] = one[i]
            for h in range(begin, end):
                one, other, shared = z[k + g, k + h], y[g, h], sums[g, h]
                for i in range(len(lam)):
                    one[i] = (lam[i] * lam[i] + own[i]) * other[i] + left[i] * shared
        begin = end


@njit(nogil=True, error_model="numpy")
def _increment(rule: Rule, z: Array, w: Array, out: Array) -> None:
    """L(X) - X from the moments z of states and gradients, on and above the diagonal of `out` (k, k, n)."""
    step, b, _, _, _ = rule
    k, gradients = b.shape
    for i in range(k):
        for q in range(k + gradients):
            total = w[i, q]
            _clear(total)
            for p in range(k):
                _add(total, step[i, p], z[p, q])
            for p in range(gradients):
                _add(total, b[i, p], z[k + p, q])
    for i in range(k):
        for j in range(i, k):
            total = out[i, j]
            _copy(total, w[i, j])
            _add(total, 1.0, w[j, i])
            for p in range(k):
                _add(total, step[j, p], w[i, p])
            for p in range(gradients):
                _add(total, b[j, p], w[i, k + p])


@njit(nogil=True, error_model="numpy")
def _eliminated(matrix: Array, right: Array) -> None:
    """Gauss elimination in place, without exchange of rows: `right` (u, columns, n) becomes the solution."""
    n, columns = right.shape[:2]
    for col in range(n):
        pivot = matrix[col, col]
        for i in range(len(pivot)):
            pivot[i] = 1 / pivot[i]
        for row in range(col + 1, n):
            factor = matrix[row, col]
            for i in range(len(pivot)):
                factor[i] *= pivot[i]
            for j in range(col + 1, n):
                _add_product(matrix[row, j], -1.0, factor, matrix[col, j])
            for j in range(columns):
                _add_product(right[row, j], -1.0, factor, right[col, j])
    for col in range(n - 1, -1, -1):
        pivot = matrix[col, col]
        for j in range(columns):
            total = right[col, j]
            for p in range(col + 1, n):
                _add_product(total, -1.0, matrix[col, p], right[p, j])
            for i in range(len(pivot)):
                total[i] *= pivot[i]


@njit(nogil=True, error_model="numpy")
def _solved(matrix: Array, right: Array) -> bool:
    """Gauss elimination in place: `right` (u, columns) becomes the solution; False where a pivot is zero."""
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


@njit(nogil=True, error_model="numpy")
def _positive(matrix: Array, k: int, shift: Array, room: Array, yes: Array) -> bool:
    """Whether Cholesky's factorisation of matrix + diag(shift) succeeds for all of n, by upper triangles of order k."""
    for i in range(len(yes)):
        yes[i] = 1.0
    for j in range(k):
        for e in range(j, k):
            total = room[e, j]
            _copy(total, matrix[j, e])
            if e == j:
                _add(total, 1.0, shift[e])
            for p in range(j):
                _add_product(total, -1.0, room[e, p], room[j, p])
            if e == j:
                for i in range(len(yes)):
                    yes[i] = yes[i] if total[i] > 0 else 0.0
                    total[i] = math.sqrt(total[i])
            else:
                pivot = room[j, j]
                for i in range(len(yes)):
                    total[i] /= pivot[i]
    least = 1.0
    for i in range(len(yes)):
        least = min(least, yes[i])
    return least > 0


@njit(cache=True, nogil=True, error_model="numpy")
def scales(lam: Array, rule: Rule, scale: Array) -> None:
    """Units (k, n) of the states, powers of 2, in which what the first one and each other give one another is balanced.

    A state that only listens, or only speaks, is in units of what it keeps of the first one, or gives to it.
    """
    step, b, c, _, _ = rule
    for i in range(len(lam)):
        scale[0, i] = 1.0
    for a in range(1, len(step)):
        into_slope, out_slope, rest_slope = 0.0, 0.0, 0.0
        for g in range(b.shape[1]):
            into_slope += b[a, g] * c[g, 0]
            out_slope += b[0, g] * c[g, a]
            rest_slope += b[a, g] * c[g, a]
        for i in range(len(lam)):
            into = abs(step[a, 0] + lam[i] * into_slope)
            out = abs(step[0, a] + lam[i] * out_slope)
            rest = abs(step[a, a] + lam[i] * rest_slope)
            balanced = math.sqrt(into / out)
            kept = into / rest if into != 0 else rest / out
            found = balanced if 0 < balanced < math.inf else kept
            far = 2.0**53 * found
            found = far + 1.5 * found - far  # the power of 2 above it
            scale[a, i] = found if 0 < found < math.inf else 1.0


@njit(nogil=True, error_model="numpy")
def _weighted(lam: Array, scale: Array) -> None:
    """Scales (k, n) times the square root of lam, to a power of 2, as shared noise grows, which then drowns none."""
    for i in range(len(lam)):
        root = math.sqrt(lam[i])
        far = 2.0**53 * root
        root = far + 1.5 * root - far
        for a in range(len(scale)):
            scale[a, i] *= root


def judged(mu: float, problem: Directions, rule: Rule, coupled: bool, least: Array) -> tuple[int, float]:
    """The side of rho that 1 + mu is on, and the scaled trace of the witness, which has a pole at rho.

    Parameters
    ----------
    problem : lam, own, left and right, (m,) each; see `problems.Uncoupled`.
    rule : A - I, B, C and D of a constant system, and the ends of its stages.
    coupled : whether the shared sums are anything.
    least : (k,) lower bounds of S, which is tried without them, and without weights, first.
    """
    pole = math.nan
    for weighted in (False, True):
        for exchanged in (False, True):
            found, witness = resolvent(
                mu, problem, rule, coupled, least if weighted else 0 * least, weighted, exchanged, np.empty((0, 0))
            )
            if found:
                doubtful = np.empty(len(problem[0]), np.bool_)
                side, trace = proved(mu, problem, rule, coupled, weighted, witness, doubtful)
                if side in (ABOVE, BELOW):
                    return side, trace
                if side != _UNSOLVED:
                    pole = trace
                    break
    return UNKNOWN, pole


def solved(mu: float, problem: Directions, rule: Rule, coupled: bool, forcing: Array) -> tuple[bool, Array]:
    """Moments X with (1 + mu) X - L(X) = forcing, as good as it gets; False where there are none.

    Parameters
    ----------
    forcing : (pairs, m), on and above the diagonal, as X.
    """
    found, blocks = resolvent(mu, problem, rule, coupled, np.zeros(len(rule[0])), False, True, forcing)
    return found, blocks.transpose(1, 0, 2).reshape(len(forcing), -1)[:, : forcing.shape[1]]


@njit(nogil=True, error_model="numpy")
def _block(problem: Directions, block: int, rows: Array) -> int:
    """Fill the rows (4, n) of lam, own, left and right of a block; the number of its directions.

    Where there are less than n, the last one is repeated, and adds to no sum.
    """
    n = rows.shape[1]
    first = block * n
    count = min(n, len(problem[0]) - first)
    for r in range(4):
        _copy(rows[r, :count], problem[r][first : first + count])
        for i in range(count, n):
            rows[r, i] = rows[r, count - 1] if r < 3 else 0.0
    return count


@njit(nogil=True, error_model="numpy")
def _pairs(k: int) -> tuple[Integers, Integers]:
    """Places (pairs,) on and above the diagonal of a matrix."""
    firsts, seconds = np.empty(k * (k + 1) // 2, np.int64), np.empty(k * (k + 1) // 2, np.int64)
    place = 0
    for i in range(k):
        for j in range(i, k):
            firsts[place], seconds[place] = i, j
            place += 1
    return firsts, seconds


@njit(nogil=True, error_model="numpy")
def _shared(rule: Rule, coupled: bool) -> tuple[Integers, Integers]:
    """Pairs of queries whose sums over directions matter: those of one stage."""
    gradients, ends = rule[1].shape[1], rule[4]
    one, two = np.empty(gradients * gradients, np.int64), np.empty(gradients * gradients, np.int64)
    begin, shared = 0, 0
    if coupled:
        for end in ends:
            for g in range(begin, end):
                for h in range(g, end):
                    one[shared], two[shared] = g, h
                    shared += 1
            begin = end
    return one[:shared], two[:shared]


@njit(nogil=True, error_model="numpy")
def _equations(
    mu: float,
    rows: Array,
    rule: Rule,
    pairs: tuple[Integers, Integers],
    shared: tuple[Integers, Integers],
    matrix: Array,
    forced: Array,
    reads: Array,
    direct: Array,
) -> None:
    """The equations of a block by the map of each entry of X and of each shared sum, whatever the stages.

    Parameters
    ----------
    matrix : (pairs, pairs, n), becomes 1 + mu - L without the shared sums.
    forced : (pairs, 1 + shared, n), becomes what each shared sum adds, from the second column on.
    reads, direct : (shared, pairs, n) and (shared, shared, n), become the queries' moments.
    """
    k, gradients = rule[1].shape
    (firsts, seconds), (one, two) = pairs, shared
    n, size = rows.shape[1], k + gradients
    z, y = np.zeros((size, size, n)), np.zeros((gradients, gradients, n))
    w, out, sums = np.empty((k, size, n)), np.empty((k, k, n)), np.zeros((gradients, gradients))
    for column in range(len(firsts) + len(one)):
        z[:k, :k], sums[:] = 0.0, 0.0
        s = column - len(firsts)
        if s < 0:
            z[firsts[column], seconds[column]] = z[seconds[column], firsts[column]] = 1.0
        else:
            sums[one[s], two[s]] = sums[two[s], one[s]] = 1.0
        _query(rows, sums, rule, z, y)
        _increment(rule, z, w, out)
        for row in range(len(firsts)):
            if s < 0:
                matrix[row, column] = -out[firsts[row], seconds[row]]
            else:
                forced[row, 1 + s] = out[firsts[row], seconds[row]]
        for p in range(len(one)):
            if s < 0:
                reads[p, column] = y[one[p], two[p]]
            else:
                direct[p, s] = y[one[p], two[p]]
        if s < 0:
            matrix[column, column] += mu


@njit(nogil=True, error_model="numpy")
def _equations_of_one(
    mu: float, rows: Array, rule: Rule, pairs: tuple[Integers, Integers], matrix: Array, forced: Array, reads: Array
) -> None:
    """As `_equations`, for one query, from D X + X D^T + D X D^T with D = A - I + lam B C: for less."""
    step, b, c, _, _ = rule
    k = len(step)
    firsts, seconds = pairs
    lam, own, left = rows[0], rows[1], rows[2]
    change = np.empty((k, k, rows.shape[1]))
    for a in range(k):
        for e in range(k):
            for i in range(len(lam)):
                change[a, e, i] = step[a, e] + lam[i] * (b[a, 0] * c[0, e])
    for column in range(len(firsts)):
        i, j = firsts[column], seconds[column]
        seen = c[0, i] * c[0, j] * (1.0 if i == j else 2.0)
        for row in range(len(firsts)):
            a, e = firsts[row], seconds[row]
            entry = matrix[row, column]
            _clear(entry)
            if row == column:
                entry[:] = mu
            for turn in range(1 if i == j else 2):
                p, q = (j, i) if turn else (i, j)
                _add_product(entry, -1.0, change[a, p], change[e, q])
                if a == p:
                    _add(entry, -1.0, change[e, q])
                if e == q:
                    _add(entry, -1.0, change[a, p])
            _add(entry, -seen * b[a, 0] * b[e, 0], own)
            if forced.shape[1] > 1:
                _clear(forced[row, 1])
                _add(forced[row, 1], b[a, 0] * b[e, 0], left)
        for p in range(len(reads)):
            reads[p, column] = seen


@njit(cache=True, nogil=True, error_model="numpy")
def resolvent(
    mu: float,
    problem: Directions,
    rule: Rule,
    coupled: bool,
    least: Array,
    weighted: bool,
    exchanged: bool,
    forcing: Array,
) -> tuple[bool, Array]:
    """Moments (blocks, pairs, n) with (1 + mu) X - L(X) = forcing, as good as it gets; False where there are none.

    Parameters
    ----------
    least : (k,) lower bounds of S.
    weighted : whether S grows with the square root of lam.
    exchanged : whether by elimination with exchange of rows, of equations that the map itself wrote.
    forcing : (pairs, m), or empty for S^2.
    """
    k, gradients = rule[1].shape
    firsts, seconds = _pairs(k)
    one, two = _shared(rule, coupled)
    pairs, shared = len(firsts), len(one)
    n = min(_ROW, len(problem[0]))
    blocks = (len(problem[0]) + n - 1) // n
    rows, scale, total = np.empty((4, n)), np.empty((k, n)), np.empty(n)
    matrix, solution = np.empty((pairs, pairs, n)), np.empty((pairs, 1 + shared, n))
    reads, direct = np.empty((shared, pairs, n)), np.zeros((shared, shared, n))
    square, right = np.empty((pairs, pairs)), np.empty((pairs, 1 + shared))
    found, responses = np.empty((blocks, pairs, n)), np.empty((blocks if shared else 0, pairs, shared, n))
    among, level = np.eye(shared), np.zeros((shared, 1))
    for block in range(blocks):
        count = _block(problem, block, rows)
        if gradients == 1 and not exchanged:
            _equations_of_one(mu, rows, rule, (firsts, seconds), matrix, solution, reads)
        else:
            _equations(mu, rows, rule, (firsts, seconds), (one, two), matrix, solution, reads, direct)
        scales(rows[0], rule, scale)
        if weighted:
            _weighted(rows[0], scale)
        for row in range(pairs):
            _clear(solution[row, 0])
            if len(forcing):
                _copy(solution[row, 0, :count], forcing[row, block * n : block * n + count])
            elif firsts[row] == seconds[row]:
                for i in range(n):
                    solution[row, 0, i] = max(scale[firsts[row], i], least[firsts[row]] * scale[0, i]) ** 2
        if exchanged:
            for i in range(n):
                for row in range(pairs):
                    for column in range(pairs):
                        square[row, column] = matrix[row, column, i]
                    for column in range(1 + shared):
                        right[row, column] = solution[row, column, i]
                if not _solved(square, right):
                    return False, found
                for row in range(pairs):
                    for column in range(1 + shared):
                        solution[row, column, i] = right[row, column]
        else:
            _eliminated(matrix, solution)
        for row in range(pairs):
            _copy(found[block, row], solution[row, 0])
            for s in range(shared):
                _copy(responses[block, row, s], solution[row, 1 + s])
        for p in range(shared):
            for column in range(1 + shared):
                _clear(total)
                if column:
                    _copy(total, direct[p, column - 1])
                for q in range(pairs):
                    _add_product(total, 1.0, reads[p, q], solution[q, column])
                for i in range(count):
                    if column:
                        among[p, column - 1] -= rows[3, i] * total[i]
                    else:
                        level[p, 0] += rows[3, i] * total[i]
    if shared:
        if not _solved(among, level):
            return False, found
        for block in range(blocks):
            for row in range(pairs):
                for s in range(shared):
                    _add(found[block, row], level[s, 0], responses[block, row, s])
    return True, found


@njit(nogil=True, error_model="numpy")
def _unpacked(entries: Array, k: int, z: Array, z_size: Array) -> None:
    """Moments of the states, and their sizes, from entries (pairs, n) on and above the diagonal."""
    place = 0
    for a in range(k):
        for e in range(a, k):
            one, size = z[a, e], z_size[a, e]
            for i in range(len(one)):
                one[i] = entries[place, i]
                size[i] = abs(entries[place, i])
            if e != a:
                _copy(z[e, a], one)
                _copy(z_size[e, a], size)
            place += 1


@njit(nogil=True, error_model="numpy")
def _sums(problem: Directions, rule: Rule, witness: Array, sums: Array, sizes: Array) -> None:
    """Shared sums (G, G) of the queries' moments, and of their sizes."""
    _, b, _, _, ends = rule
    k, gradients = b.shape
    blocks, _, n = witness.shape
    size = k + gradients
    z, y = np.empty((size, size, n)), np.zeros((gradients, gradients, n))
    z_size, y_size = np.empty((size, size, n)), np.zeros((gradients, gradients, n))
    part, part_size = np.empty((gradients, gradients, n)), np.empty((gradients, gradients, n))
    bars, rows, bar_rows = _bars(rule), np.empty((4, n)), np.empty((4, n))
    begin = 0
    for end in ends:  # a later stage's queries feel the sums of those before
        for first in range(0, blocks, _BLOCKS):
            part[:], part_size[:] = 0.0, 0.0
            for block in range(first, min(first + _BLOCKS, blocks)):
                _block(problem, block, rows)
                _sized(bar_rows, rows)
                _unpacked(witness[block], k, z, z_size)
                _query(rows, sums, rule, z, y)
                _query(bar_rows, sizes, bars, z_size, y_size)
                for g in range(begin, end):
                    for h in range(begin, end):
                        _add_product(part[g, h], 1.0, rows[3], y[g, h])
                        _add_product(part_size[g, h], 1.0, bar_rows[3], y_size[g, h])
            for g in range(begin, end):
                for h in range(begin, end):
                    sums[g, h] += _total(part[g, h])
                    sizes[g, h] += _total(part_size[g, h])
        begin = end


@njit(cache=True, nogil=True, error_model="numpy")
def proved(
    mu: float, problem: Directions, rule: Rule, coupled: bool, weighted: bool, witness: Array, doubtful: Flags
) -> tuple[int, float]:
    """The side that a witness (blocks, pairs, n), on and above the diagonal, proves, and its scaled trace.

    Q is compared with S^2, in the units of which it is 1 where the witness solves its equation.

    Parameters
    ----------
    doubtful : (m,) becomes the directions in which Q or the witness is not certain to be positive definite.
    """
    k, gradients = rule[1].shape
    blocks, _, n = witness.shape
    size = k + gradients
    z, y = np.empty((size, size, n)), np.zeros((gradients, gradients, n))
    z_size, w = np.empty((size, size, n)), np.empty((k, size, n))
    out, error, room = np.empty((k, k, n)), np.empty((k, k, n)), np.empty((k, k, n))
    rows, bar_rows, scale = np.empty((4, n)), np.empty((4, n)), np.empty((k, n))
    shift, margin = np.empty((k, n)), np.empty((k, n))
    worst, by, yes = np.empty(n), np.empty(n), np.empty(n)
    bars = _bars(rule)
    sums, sizes = np.zeros((gradients, gradients)), np.zeros((gradients, gradients))
    # of each sum and product, and as much again for the rounding of the problem's own numbers
    unit = _ROUNDING * 4 * (k + gradients + 4)
    slack = _ROUNDING * 4 * k * k  # of the factorisation, of each entry on the diagonal
    if coupled:
        _sums(problem, rule, witness, sums, sizes)
        unit += _ROUNDING * (_BLOCKS + n + blocks / _BLOCKS)
    trace, certain, unsolved, inside, outside = 0.0, True, False, True, False
    for block in range(blocks):
        count = _block(problem, block, rows)
        _sized(bar_rows, rows)
        _unpacked(witness[block], k, z, z_size)
        _query(rows, sums, rule, z, y)
        _increment(rule, z, w, out)
        _query(bar_rows, sizes, bars, z_size, y)
        _increment(bars, z_size, w, error)
        scales(rows[0], rule, scale)
        if weighted:
            _weighted(rows[0], scale)
        for a in range(k):
            for i in range(n):
                scale[a, i] = 1 / scale[a, i]
        shift[:] = 0.0
        for a in range(k):
            for e in range(a, k):
                _clear(by)
                _add_product(by, 1.0, scale[a], scale[e])
                x, rest, bound, size_x = z[a, e], out[a, e], error[a, e], z_size[a, e]
                for i in range(n):
                    rest[i] = (mu * x[i] - rest[i]) * by[i]
                    bound[i] = (abs(mu) * size_x[i] + bound[i]) * by[i]
                    x[i] *= by[i]
                _add(shift[a], -unit, bound)
                if e != a:
                    _add(shift[e], -unit, bound)
        worst[:] = 0.0
        for a in range(k):
            row, diagonal, x = shift[a], out[a, a], z[a, a]
            for i in range(n):
                worst[i] = min(worst[i], row[i]) if row[i] > -math.inf else -math.inf
                row[i] -= slack * max(1.0, diagonal[i])
                margin[a, i] = -slack * abs(x[i])
        for i in range(count):
            for a in range(k):
                trace += z[a, a, i]
        first = block * n
        certain = _positive(out, k, shift, room, yes) and certain
        for i in range(count):
            doubtful[first + i] = yes[i] == 0
            if yes[i] == 0 and (worst[i] > -1 or worst[i] == -math.inf):
                unsolved = True
        if not _positive(z, k, margin, room, yes):
            inside = False
            for i in range(count):
                doubtful[first + i] |= yes[i] == 0
            for a in range(k):
                for i in range(n):
                    margin[a, i] *= -1
            outside = outside or not _positive(z, k, margin, room, yes)
    if not certain:
        return (_UNSOLVED if unsolved else UNKNOWN), (trace if abs(trace) < math.inf else math.nan)
    if outside:
        return BELOW, trace
    return (ABOVE if inside else UNKNOWN), trace
