"""Sides of the spectral radius where the mean alone decides, for one query and up to two states: by two eigenvalues.

The map of the mean is T(lam) = 1 + E(lam), E = A - 1 + lam B C. With r = sqrt(z) - 1, both its roots are below sqrt(z)
in size if and only if (Jury)

    z - det T = mu - tr E - det E,    r^2 - r tr E + det E,    (2 + r)^2 + (2 + r) tr E + det E

are positive: the last two are its characteristic polynomial at sqrt(z) and at -sqrt(z). B C has rank one, so all three
are affine in lam, and positive for every direction if they are for the least and the greatest eigenvalue. However many
directions decay alike, as all do that heavy ball leaves underdamped, none needs to be looked at. With one state, r - E
and 2 + r + E are.

References
----------
Jury 1964, Theory and Application of the z-Transform Method, for the conditions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from accelsim.exact.stationary.cone import ABOVE, BELOW, UNKNOWN
from accelsim.spectra import Array

_ROUNDING = 40 * 2.0**-53  # of each sum and of the numbers in it, relative to its terms


def judged(mu: float, rule: tuple[Array, Array, Array, Any, Any], ends: tuple[float, float]) -> tuple[int, float]:
    """The side of rho that 1 + mu > 0 is on, and a number that has a pole at rho - 1.

    Parameters
    ----------
    rule : A - I (k, k), B (k, 1), C (1, k), and what follows them in `cone.judged`; k is 1 or 2.
    ends : the least and the greatest eigenvalue.
    """
    step, b, c = rule[:3]
    r = mu / (1 + math.sqrt(1 + mu))
    # each a number, and factors of tr E and of det E
    conditions: tuple[tuple[float, float, float], ...] = (
        (mu, -1.0, -1.0),
        (r * r, -r, 1.0),
        ((2 + r) ** 2, 2 + r, 1.0),
    )
    if len(step) == 1:
        conditions = ((r, -1.0, 0.0), (2 + r, 1.0, 0.0))
    least, certain = math.inf, True
    for lam in ends:
        change, size = step + lam * (b @ c), abs(step) + lam * (abs(b) @ abs(c))
        trace, most = float(np.trace(change)), float(np.trace(size))
        det = float(change[0, 0] * change[-1, -1] - change[0, -1] * change[-1, 0])
        det_most = float(size[0, 0] * size[-1, -1] + size[0, -1] * size[-1, 0])
        for lead, first, second in conditions:
            value = lead + first * trace + second * det
            doubt = _ROUNDING * (abs(lead) + abs(first) * most + abs(second) * det_most)
            if value < -doubt:
                return BELOW, 1 / value
            least, certain = min(least, value), certain and value > doubt
    return (ABOVE, 1 / least) if certain else (UNKNOWN, math.nan)
