"""Statistics of samples: where to record a run, which quantiles to give, how far a run is from a prediction."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from accelsim.simulation.driver import Simulation

PER_DECADE = 10
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
ROUNDING = 1e3  # rounding errors of a run, in units of the relative precision of its numbers


def log_spaced(steps: int) -> Any:
    """The steps at which a run of `steps` steps is recorded: 0, then about ten a decade, the last one included.

    >>> log_spaced(20)
    array([ 0,  1,  2,  3,  4,  5,  6,  8, 10, 13, 16, 20])
    """
    grid = {round(10 ** (k / PER_DECADE)) for k in range(math.ceil(PER_DECADE * math.log10(max(steps, 1))))}
    return np.array(sorted({0, steps} | {point for point in grid if point < steps}))


def z_scores(simulation: Simulation, exact: Any) -> Any:
    """Distance of a simulated mean risk from the exact one, in standard errors, at the recorded steps.

    Where the standard error vanishes (at step 0 all replicas are equal), equal up to rounding scores about 0 and
    anything else hugely. A mean that is infinite, because replicas diverged, scores infinity unless the exact one is
    infinite too. With a single replica there is no score (NaN).

    Parameters
    ----------
    exact : (n,) risk at `simulation.steps`; shorter where the exact record ended in overflow, infinite from there on.

    Returns
    -------
    array (n,) of scores.

    Notes
    -----
    The score is one of a standard normal only where the replicas' risks have a variance and there are enough replicas
    for their mean to be normal. Under multiplicative noise the risk is a product of random factors: its relative
    variance grows geometrically with the step wherever nothing restores it (no label noise), and beyond some step size
    it has no stationary variance although the mean converges. SGD in one dimension, B = 1, Gaussian, lr lam = x: the
    mean contracts for 1 - 2x + 3x^2 < 1, that is x < 2/3, the second moment of the risk only for
    1 - 4x + 18x^2 - 60x^3 + 105x^4 < 1, that is x < .383. There the sample's standard error is itself a random number,
    far too small most of the time: compare at early steps, or at small step sizes.
    """
    exact = np.pad(np.asarray(exact, dtype=float), (0, len(simulation.mean) - len(exact)), constant_values=math.inf)
    rounding = ROUNDING * np.finfo(simulation.dtype).eps * np.abs(exact)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = simulation.mean - exact
        scale = np.where(np.isinf(difference), 1.0, np.hypot(simulation.standard_error, rounding))
        return np.where(simulation.mean == exact, 0.0, difference / scale)
