"""Squared norms of a rule's responses, one an eigendirection, by Routh's table: compiled, in O(d), without arrays.

A rule's transfer function in x = 1 + delta from gradient noise to a query error is n / (p - lam n): p and n are
polynomials in delta that no eigendirection changes. The squared norm at z = s^2 = 1 + mu,

    h(z) = sum_k (C T^k B)^2 / z^(k+1) = (1/2 pi) integral of |n / (p - lam n)|^2 over the circle |x| = s,

is taken to a line by x = s (1 + w) / (1 - w), where delta = (mu / (1 + s) + (s + 1) w) / (1 - w), and there read off
Routh's table, whose first column is positive if and only if every pole is inside the circle. No step cancels but where
mu meets a pole, so poles and mu near zero keep their digits.

References
----------
Astrom, Jury, Agniel 1970, "A numerical method for the evaluation of complex integrals", doi:10.1109/TAC.1970.1099503.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from accelsim.spectra import Array

_FARTHER = 1e4  # from the pole: factor from one place to the next where a root is looked for
_CLOSE, _SMALL = 1e-13, 1e-30  # relative error of a root, and that of one at 0


@njit(nogil=True)
def _on_line(polynomial: Array, order: int, mu: float) -> Array:
    """Coefficients in w, highest first, of polynomial(delta) (1 - w)^order; its own are lowest first."""
    root = math.sqrt(1 + mu)
    shift, slope = mu / (1 + root), root + 1
    found, power = np.zeros(order + 1), np.zeros(order + 1)
    power[order] = 1.0
    for j in range(order, -1, -1):
        for i in range(order):
            found[i] = shift * found[i] + slope * found[i + 1]
        found[order] *= shift
        if j < len(polynomial):
            for i in range(order + 1):
                found[i] += polynomial[j] * power[i]
        for i in range(order):
            power[i] -= power[i + 1]
    return found


@njit(nogil=True)
def _routh(a: Array, b: Array) -> float:
    """Squared norm of b / a, highest coefficients first, b[0] = 0; -1 with a pole on or outside. Both are used up."""
    norm = 0.0
    for lead in range(len(a) - 1):
        if not (a[lead] > 0 and a[lead + 1] > 0):
            return -1.0
        alpha, beta = a[lead] / a[lead + 1], b[lead + 1] / a[lead + 1]
        norm += beta * beta / alpha
        for j in range(lead + 3, len(a), 2):
            b[j] -= beta * a[j]
            a[j - 1] -= alpha * a[j]
    return norm


@njit(cache=True, nogil=True)
def beyond(mu: float, spectrum: Array, p: Array, n: Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The directions in which p - lam n has a root on or outside the circle.

    Parameters
    ----------
    mu : z - 1.
    spectrum : (m,) eigenvalues lam.
    p, n : (k + 1,) and (k,) coefficients in delta, lowest first.
    """
    k = len(p) - 1
    above, pull = _on_line(p, k, mu), _on_line(n, k, mu)
    a, b = np.empty(k + 1), np.zeros(k + 1)
    found, count = np.empty(len(spectrum), np.int64), 0
    for i in range(len(spectrum)):
        for j in range(k + 1):
            a[j] = above[j] - spectrum[i] * pull[j]
        b[:] = 0.0
        if _routh(a, b) < 0:
            found[count] = i
            count += 1
    return found[:count]


@njit(cache=True, nogil=True)
def left_side(mu: float, spectrum: Array, p: Array, n: Array, own: Array, weight: Array) -> tuple[float, float]:
    """Sum over directions of weight h / (1 - own h), and the largest own h; NaN with a pole of h on or outside.

    Parameters are as in `beyond`.
    """
    k = len(p) - 1
    above, pull, numerator = _on_line(p, k, mu), _on_line(n, k, mu), _on_line(n, k - 1, mu)
    a, b = np.empty(k + 1), np.zeros(k + 1)
    total, largest = 0.0, 0.0
    for i in range(len(spectrum)):
        for j in range(k + 1):
            a[j] = above[j] - spectrum[i] * pull[j]
        for j in range(k):
            b[1 + j] = numerator[j]
        norm = _routh(a, b)
        if norm < 0:
            return np.nan, np.nan
        alone = own[i] * norm
        largest = max(largest, alone)
        total += weight[i] * norm / (1 - alone) if alone < 1 else 0.0
    return total, largest


@njit(cache=True, nogil=True)
def excess(mu: float, spectrum: Array, p: Array, n: Array, own: Array, weight: Array, coupled: bool) -> float:
    """1 / (left side) - 1 as a function of mu = z - 1: rising, and -1 up to the last pole.

    Where no direction feels another, 1 / (largest own h) - 1 in its place.
    """
    left, largest = left_side(mu, spectrum, p, n, own, weight)
    if not coupled:
        left = largest
    if math.isnan(left) or (coupled and largest >= 1):
        return -1.0
    return 1 / left - 1 if left > 0 else math.inf


@njit(cache=True, nogil=True, error_model="numpy")
def root(
    low: float, pole: float, spectrum: Array, p: Array, n: Array, own: Array, weight: Array, coupled: bool
) -> float:
    """The root of the excess above a place, by inverse quadratic interpolation where that is safe, else by halving.

    The pole where nothing is above the place, infinity where it is beyond the range of floats.

    Parameters
    ----------
    low, pole : a place a little above the largest pole of the mean, and that pole.
    spectrum, p, n, own, weight, coupled : as in `excess`.

    References
    ----------
    Chandrupatla 1997, "A new hybrid quadratic/bisection algorithm", doi:10.1016/s0965-9978(96)00051-8.
    """
    last, at_last = low, excess(low, spectrum, p, n, own, weight, coupled)
    if at_last >= 0:
        return pole
    before, at_before = last, at_last
    while at_last < 0:  # excess + 1 is nearly proportional to the distance from the pole, close to it
        before, at_before = last, at_last
        last = max(pole + 2 / max(1 + at_last, 2 / _FARTHER) * (last - pole), np.nextafter(last, np.inf))
        if not last < math.inf:
            return math.inf
        at_last = excess(last, spectrum, p, n, own, weight, coupled)
    third, at_third, share = before, at_before, 0.5
    while True:
        new = last + share * (before - last)
        at_new = excess(new, spectrum, p, n, own, weight, coupled)
        if (at_new >= 0) == (at_last >= 0):
            third, at_third = last, at_last
        else:
            third, at_third, before, at_before = before, at_before, last, at_last
        last, at_last = new, at_new
        best, at_best = (last, at_last) if abs(at_last) < abs(at_before) else (before, at_before)
        least = (_CLOSE * abs(best) + _SMALL) / abs(before - last)
        if at_best == 0 or not least <= 0.5:
            return best
        share = 0.5
        along, up = (last - before) / (third - before), (at_last - at_before) / (at_third - at_before)
        if up * up < along and (1 - up) ** 2 < 1 - along:
            share = at_last / (at_before - at_last) * at_third / (at_before - at_third) + (third - last) / (
                before - last
            ) * at_last / (at_third - at_last) * at_before / (at_third - at_before)
        share = min(max(share, least), 1 - least)


@njit(cache=True, nogil=True)
def slowest_of_two(spectrum: Array, p: Array, n: Array) -> float:
    """max |1 + delta|^2 - 1 over the roots delta of p - lam n, of degree 1 or 2."""
    slowest = -1.0
    for lam in spectrum:
        product = p[0] - lam * n[0]
        if len(p) == 2:
            reach = product * product - 2 * product
        else:
            half = (p[1] - lam * n[1]) / 2
            discriminant = half * half - product
            if discriminant < 0:
                reach = product - 2 * half
            else:
                far = -half - math.copysign(math.sqrt(discriminant), half)
                near = product / far if far else 0.0
                reach = max(2 * far + far * far, 2 * near + near * near)
        slowest = max(slowest, reach)
    return slowest
