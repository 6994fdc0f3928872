"""Rate and floor from a scalar equation, for one query a step on problems without coupling.

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
from functools import cache, cached_property
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.exact.bounds import judge_uncoupled
from accelsim.exact.norms import left_side, slowest_of_two, squared_norms
from accelsim.exact.tables import System
from accelsim.problems import Uncoupled
from accelsim.spectra import Array

_RELATIVE = 1e-12  # a root closer than this to the rate of the mean is that rate
_FARTHER = 1e4  # from the pole: factor from one place to the next where the root is looked for
_EXPLAINED = 1e-6  # of the noise added at every step: what may be left of a floor's equation
_AT_ONCE = 256  # eigendirections whose poles are computed in search of the slowest


class TooLarge(InputError):
    """A rate overflows."""


def too_large() -> TooLarge:
    """What to say where a rate overflows."""
    return TooLarge("the rate is beyond the range of float64: take smaller step sizes")


def check_settled(noise: Array, parts: list[Array], forcing: Array) -> None:
    """Raise if noise is not the sum of its parts, one of them the forcing, to a millionth of it, rounding included."""
    rest = np.abs(noise - sum(parts)) + 8 * np.finfo(float).eps * sum(np.abs(part) for part in parts)
    if not (rest <= _EXPLAINED * np.abs(forcing).max()).all():
        raise InputError("the floor was not found: too little is left of terms that cancel; use risk after many steps")


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
        self.p, (self.n, self.returned) = _polynomials(step, system.B, [system.C, system.F])
        self.judge = judge_uncoupled(system, step, problem)

    def gap(self) -> float:
        """rho - 1."""
        from scipy.optimize import brentq

        least = self.mean_gap
        if not self.problem.multiplicative:
            return least
        excess = cache(self._excess)  # brentq asks again at the ends
        low = least + _RELATIVE * abs(least)
        if excess(low) >= 0:
            return least
        high = low
        while excess(high) < 0:  # excess + 1 is nearly proportional to the distance from the pole, close to it
            low, farther = high, 2 / max(1 + excess(high), 2 / _FARTHER)
            high = max(least + farther * (high - least), math.nextafter(high, math.inf))
            if not math.isfinite(high):
                raise too_large()
        return float(brentq(excess, low, high, xtol=1e-30, rtol=1e-13, maxiter=1000))

    def floor(self, noise: Array) -> Array:
        """(m,) second moments of the returned iterate that noise (1, 1, m), added at every step, leaves in the end."""
        h, returned = self.norms(0.0, self.n), self.norms(0.0, self.returned)
        if h is None or returned is None:
            raise InputError("the run does not settle: it has no floor")
        problem, forcing = self.problem, noise[0, 0]
        amplified = 1 / (1 - problem.own * h)
        shared = (problem.right * h * amplified * forcing).sum() / (1 - (self.weight * h * amplified).sum())
        settled = amplified * (problem.left * shared + forcing)
        of_others = problem.left * (problem.right * h * settled).sum()
        check_settled(settled, [problem.own * h * settled, of_others, forcing], forcing)
        return returned * settled

    def norms(self, mu: float, seen: Array) -> Array | None:
        """(m,) squared norms at z = 1 + mu of the response of what is seen to noise; None below a pole."""
        out = np.empty_like(self.problem.spectrum)
        done = squared_norms(mu, self.problem.spectrum, self.p, self.n, seen, out)
        return out if done == len(out) else None

    def _excess(self, mu: float) -> float:
        """1 / (left side) - 1 as a function of mu = z - 1: rising, and -1 up to the last pole.

        Where no direction feels another, 1 / (largest own_i h_i) - 1 in its place.
        """
        problem = self.problem
        left, largest = left_side(mu, problem.spectrum, self.p, self.n, problem.own, self.weight)
        if not self.coupled:
            return 1 / largest - 1 if largest > 0 else -1.0 if math.isnan(largest) else math.inf
        if math.isnan(left) or largest >= 1:
            return -1.0
        return 1 / left - 1 if left > 0 else math.inf

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
            slower = self._slower(slowest + 1e-12 * abs(slowest))
            found = _slowest(self.p, self.n, spectrum[_spread(slower)]) if len(slower) else -np.inf
            if found <= slowest:
                break
            slowest = found
        return slowest

    def _slower(self, mu: float) -> np.ndarray[Any, Any]:
        """The directions with a pole beyond z = 1 + mu."""
        spectrum = self.problem.spectrum
        out, found, first = np.empty_like(spectrum), [], 0
        while first < len(spectrum):
            first += squared_norms(mu, spectrum[first:], self.p, self.n, self.n, out)
            if first < len(spectrum):
                found.append(first)
            first += 1
        return np.array(found, dtype=int)


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


def _polynomials(step: Array, b: Array, rows: list[Array]) -> tuple[Array, list[Array]]:
    """det(delta - step) and, for each row c, c adj(delta - step) b, lowest coefficients first.

    By Faddeev and LeVerrier's recursion, in the arithmetic of what is given, then rounded.
    """
    k = len(step)
    one = np.eye(k, dtype=int)
    p: list[Any] = [1]
    numerators: list[list[Any]] = [[] for _ in rows]
    adjugate = one
    for j in range(1, k + 1):
        for row, numerator in zip(rows, numerators, strict=True):
            numerator.append((row @ adjugate @ b)[0, 0])
        product = step @ adjugate
        p.append(-np.trace(product) / j)
        adjugate = product + p[-1] * one
    return np.array(p[::-1], dtype=float), [np.array(numerator[::-1], dtype=float) for numerator in numerators]
