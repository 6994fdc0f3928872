"""Rate from a scalar equation, for one query a step on problems without coupling.

Moments in direction i evolve as P -> T_i P T_i^T + B N_i B^T with T_i = A + lam_i B C and sampling noise
N_i = own_i Y_i + left_i sum_j right_j Y_j, Y_i = C P_i C^T. With h_i(z) = (C (x) C) (z - T_i (x) T_i)^{-1} vec(B B^T),
the squared norm of a transfer function (see `norms`), an eigenvector satisfies Y_i = h_i(z) N_i, so rho is the largest
root z of

    sum_i right_i left_i h_i / (1 - own_i h_i) = 1,

or of own_i h_i = 1 where that is larger, as on one-hot inputs, or max rho(T_i)^2 where there is none. The left side
falls to zero above its last pole, also where own_i < 0 (kurtosis below 2), for h_i / (1 - own_i h_i) rises with h_i.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.exact.stationary.bounds import UncoupledJudge
from accelsim.exact.stationary.norms import beyond, root, slowest_of_two
from accelsim.exact.tables import System
from accelsim.problems import Uncoupled
from accelsim.spectra import Array

_RELATIVE = 1e-12  # a root closer than this to the rate of the mean is that rate
_AT_ONCE = 256  # eigendirections whose poles are computed in search of the slowest


class TooLarge(InputError):
    """A rate overflows."""


def too_large() -> TooLarge:
    """What to say where a rate overflows."""
    return TooLarge("the rate is beyond the range of float64: take smaller step sizes")


def gap(system: System, step: Array, problem: Uncoupled) -> float:
    """rho - 1 of a rule with one query.

    Parameters
    ----------
    system : minimal realisation, constant in time, in floats or in fractions, which keep more digits.
    step : A - I.
    """
    return Secular(system, step, problem).gap()


class Secular:
    """A rule with one query and constant coefficients on a problem without coupling; parameters as in `gap`."""

    def __init__(self, system: System, step: Array, problem: Uncoupled) -> None:
        self.system, self.step, self.problem = system, step, problem
        self.weight = problem.right * problem.left
        self.coupled = bool(self.weight.any())
        self.p, self.n = _polynomials(step, system.B, system.C)

    @cached_property
    def judge(self) -> UncoupledJudge:
        """What certifies the side of rho - 1 that a number is on."""
        return UncoupledJudge(self.system, self.step, self.problem)

    def gap(self) -> float:
        """rho - 1."""
        least = self.mean_gap
        if not self.problem.multiplicative:
            return least
        found = float(root(least + _RELATIVE * abs(least), least, *self.equation))
        if not math.isfinite(found):
            raise too_large()
        return found

    @property
    def equation(self) -> tuple[Array, Array, Array, Array, Array, bool]:
        """What `norms.excess` takes besides z - 1."""
        return self.problem.spectrum, self.p, self.n, self.problem.own, self.weight, self.coupled

    @cached_property
    def mean_gap(self) -> float:
        """max rho(T_i)^2 - 1 over the maps of the mean state, by eigendirection."""
        spectrum = self.problem.spectrum
        if not all(np.isfinite(part).all() for part in (self.p, self.n)):
            raise too_large()
        if len(self.p) <= 3:
            return float(slowest_of_two(spectrum, self.p, self.n))
        some = _spread(np.argsort(spectrum))
        slowest = _slowest(self.p, self.n, spectrum[some])
        while len(spectrum) > _AT_ONCE:  # whether another direction is slower is seen without its poles
            slower = beyond(slowest + 1e-12 * abs(slowest), spectrum, self.p, self.n)
            found = _slowest(self.p, self.n, spectrum[_spread(slower)]) if len(slower) else -np.inf
            if found <= slowest:
                break
            slowest = found
        return slowest


def _spread(places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """At most `_AT_ONCE` of some places, the first and last among them, evenly."""
    return places[np.unique(np.linspace(0, len(places) - 1, min(len(places), _AT_ONCE)).round().astype(int))]


def _slowest(p: Array, n: Array, spectrum: Array) -> float:
    """max |1 + delta|^2 - 1 over the roots delta of p - lam n."""
    k = len(p) - 1
    polynomials = np.tile(p, (len(spectrum), 1))
    polynomials[:, :k] -= spectrum[:, None] * n
    companions = np.zeros((len(spectrum), k, k))
    companions[:, np.arange(1, k), np.arange(k - 1)] = 1
    companions[:, :, -1] = -polynomials[:, :k] / p[k]
    roots = np.linalg.eigvals(companions)
    value, slope = np.zeros_like(roots), np.zeros_like(roots)
    for j in range(k, -1, -1):
        slope = slope * roots + value
        value = value * roots + polynomials[:, j, None]
    with np.errstate(divide="ignore", invalid="ignore"):  # Newton's step gives roots near zero their digits back
        better = roots - value / slope
    roots = np.where(np.abs(better - roots) < 1e-4 * np.abs(roots), better, roots)
    return float((2 * roots.real + np.abs(roots) ** 2).max())


def _polynomials(step: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """det(delta - step) and c adj(delta - step) b, lowest coefficients first.

    By Faddeev and LeVerrier's recursion, in the arithmetic of what is given, then rounded.
    """
    k = len(step)
    one = np.eye(k, dtype=int)
    p: list[Any] = [1]
    numerator: list[Any] = []
    adjugate = one
    for j in range(1, k + 1):
        numerator.append((c @ adjugate @ b)[0, 0])
        product = step @ adjugate
        p.append(-np.trace(product) / j)
        adjugate = product + p[-1] * one
    return np.array(p[::-1], dtype=float), np.array(numerator[::-1], dtype=float)
