"""Sides of the spectral radius from bins of eigendirections: where few directions decide, the others cost little.

For rules whose queries of a step do not depend on one another, T(lam) = A + lam B C is the map of the mean. Let X be
one positive definite matrix for all directions of a bin. Then z X - T(lam) X T(lam)^T is concave in lam in the order of
symmetric matrices, so if

    z X - T(lam) X T(lam)^T - B N B^T

is positive definite at the least and at the greatest eigenvalue of a bin, with N its greatest noise, it is in between.
With the sums of the weights over bins, these matrices prove z > rho(L) as those of single directions do; see `cone`.

Moments that vanish outside some directions are mapped to what L maps them to there, and to no less elsewhere: where
z <= rho for some directions alone, z <= rho(L). Bins in which neither is certain are divided.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from accelsim.exact.stationary.cone import ABOVE, BELOW, UNKNOWN, Directions, Flags, Integers, Rule, proved, resolvent
from accelsim.spectra import Array

_FIRST = 16  # bins at first
_PIECES = 8  # that a bin is divided into
_SHARE = 1 / 4  # of the directions: ends of bins up to which they are worth a try
_UNFORCED = np.empty((0, 0))  # but by units


class Bins:
    """Bins of eigendirections of a problem, divided where a question has needed it.

    Parameters
    ----------
    problem : lam, own, left and right, (m,) each.
    rule, coupled, least : as in `cone.judged`; of one stage.

    Attributes
    ----------
    edges : (b + 1,), where each bin begins and the last one ends, in order of eigenvalues.
    values : (3, b), the greatest own and left and a bound on the sum of right.
    """

    def __init__(self, problem: Directions, rule: Rule, coupled: bool, least: Array) -> None:
        lam, own, left, right = problem
        if not ((lam[1:] <= lam[:-1]).all() or (lam[1:] >= lam[:-1]).all()):
            order = np.argsort(lam)
            lam, own, left, right = lam[order], own[order], left[order], right[order]
        self.problem, self.given = (lam, own, left, right), (rule, coupled, least)
        near = 2 ** np.arange(math.floor(math.log2(len(lam) / _FIRST)))  # finer at both ends, which often decide
        even = np.linspace(0, len(lam), _FIRST + 1).astype(np.int64)
        self.edges = np.unique(np.concatenate([even, near, len(lam) - near]))
        self.values = _values(self.problem, self.edges)

    def judged(self, mu: float) -> tuple[int, float]:
        """As `cone.judged`; UNKNOWN where bins do not say, or would be too many."""
        lam = self.problem[0]
        while 2 * len(self.edges) <= _SHARE * len(lam):
            size = len(self.edges) - 1
            doubtful = np.ones(2 * size, np.bool_)
            side, pole = self._above(mu, doubtful)
            if side == ABOVE:
                return side, pole
            side, pole = self._below(mu)
            if side == BELOW:
                return side, pole
            self.edges, self.values = _divided(self.problem, self.edges, self.values, doubtful[::2] | doubtful[1::2])
            if len(self.edges) == size + 1:
                break
        return UNKNOWN, math.nan

    def _above(self, mu: float, doubtful: Flags) -> tuple[int, float]:
        """What one witness for each bin proves, and the ends of bins, two each, at which it does not."""
        ends = self.problem[0][np.stack([self.edges[:-1], self.edges[1:] - 1], axis=1)]
        middles = np.repeat(ends.mean(axis=1), 2)
        own, left, right = np.repeat(self.values, 2, axis=1)
        right[1::2] = 0.0
        found, witness = resolvent(mu, (middles, own, left, right), *self.given, True, False, _UNFORCED)
        if not found:
            return UNKNOWN, math.nan
        witness[..., 1::2] = witness[..., ::2]
        return proved(mu, (ends.ravel(), own, left, right), *self.given[:2], True, witness, doubtful)

    def _below(self, mu: float) -> tuple[int, float]:
        """What the first directions of bins and the last of all prove."""
        some = np.unique(np.append(self.edges[:-1], self.edges[-1] - 1))
        lam, own, left, right = (values[some] for values in self.problem)
        found, witness = resolvent(mu, (lam, own, left, right), *self.given, True, False, _UNFORCED)
        if not found:
            return UNKNOWN, math.nan
        return proved(mu, (lam, own, left, right), *self.given[:2], True, witness, np.empty(len(some), np.bool_))


@njit(nogil=True)
def _fill(problem: Directions, begin: int, end: int, values: Array) -> None:
    """Values (3,) of the bin of directions from begin to end."""
    own, left, total = -math.inf, 0.0, 0.0
    for i in range(begin, end):
        own, left = max(own, problem[1][i]), max(left, problem[2][i])
        total += problem[3][i]
        if problem[2][i] < 0 or problem[3][i] < 0:
            own = math.inf  # nothing can be said
    values[0], values[1], values[2] = own, left, total * (1 + (end - begin) * 2.0**-52)


@njit(cache=True, nogil=True)
def _values(problem: Directions, edges: Integers) -> Array:
    """Values (3, b) of bins."""
    values = np.empty((3, len(edges) - 1))
    for i in range(len(edges) - 1):
        _fill(problem, edges[i], edges[i + 1], values[:, i])
    return values


@njit(cache=True, nogil=True)
def _divided(problem: Directions, edges: Integers, values: Array, doubtful: Flags) -> tuple[Integers, Array]:
    """Edges and values where bins in doubt are divided."""
    pieces = np.ones(len(doubtful), np.int64)
    for i in range(len(doubtful)):
        if doubtful[i]:
            pieces[i] = min(_PIECES, edges[i + 1] - edges[i])
    finer, found = np.empty(pieces.sum() + 1, np.int64), np.empty((3, pieces.sum()))
    finer[0], place = edges[0], 0
    for i in range(len(doubtful)):
        for j in range(pieces[i]):
            finer[place + 1] = edges[i] + (edges[i + 1] - edges[i]) * (j + 1) // pieces[i]
            if pieces[i] == 1:
                found[:, place] = values[:, i]
            else:
                _fill(problem, finer[place], finer[place + 1], found[:, place])
            place += 1
    return finer, found
