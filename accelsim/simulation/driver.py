"""Simulate: replicas in chunks, from one recorded step to the next, on any backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim import stats
from accelsim.errors import InputError, unknown
from accelsim.optimizer import LARGEST, Optimizer
from accelsim.simulation import backends
from accelsim.simulation.backends import AUTO
from accelsim.simulation.engine import Problem
from accelsim.simulation.philox import WORD
from accelsim.simulation.streaming import Statistics

DTYPES = ("float64", "float32")
DIVERGED = 1e30  # risk, in multiples of the initial one (of 1 where the run starts at the optimum)
_MOST = 2**17  # replicas at once, whose risks are kept until the last step


@dataclass(frozen=True, eq=False)
class Simulation:
    """What the replicas of a run did.

    Attributes
    ----------
    optimizer, problem : their names.
    hyperparameters : as given.
    steps : (n,) recorded steps, from 0 to the last.
    mean : (n,) excess risk of the returned iterate, mean over replicas; infinite from where the first replica diverged.
    standard_error : (n,) of the mean; infinite where the mean is, NaN for a single replica.
    quantiles : level to (n,) risks; a diverged replica counts as infinite.
    quantile_accuracy : largest relative error of the quantiles: 0 up to 16384 replicas, else 2^-10.
    diverged : (n,) number of replicas diverged by each recorded step. A replica found once, at a recorded step, with a
        risk that is not finite or above 1e30 times the initial one (above 1e30 where that is zero) stays diverged.
    replicas : number of replicas.
    backend : where it ran, ``numpy`` or ``cupy``.
    seed : key of the random numbers.
    dtype : of the arrays; the risk is recorded in double precision.
    """

    optimizer: str
    problem: str
    hyperparameters: Mapping[str, Any]
    steps: Any
    mean: Any
    standard_error: Any
    quantiles: Mapping[float, Any]
    quantile_accuracy: float
    diverged: Any
    replicas: int
    backend: str
    seed: int
    dtype: str


def _whole(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) < high:
        raise InputError(f"{what} must be a whole number of at least {low} and below {high}, not {value}")
    return int(value)


def simulate(
    optimizer: Optimizer,
    problem: Problem,
    steps: int,
    seeds: int,
    /,
    *,
    seed: int = 0,
    backend: str = AUTO,
    dtype: str = "float64",
    chunk: int | None = None,
    **hyperparameters: Any,
) -> Simulation:
    """Run replicas of a rule on a problem and record the risk of the returned iterate.

    A run starts at w = 0; the optimum is at minus the problem's initial error. The path of a replica depends on the
    seed and its number only, not on how many others there are.

    Parameters
    ----------
    steps : number of steps.
    seeds : number of replicas.
    seed : key of the random numbers, 64 bits.
    backend : ``numpy``, ``cupy``, or ``auto``: CuPy where a GPU answers, else NumPy.
    dtype : ``float64`` or ``float32``.
    chunk : replicas to run at once, bounding memory; chosen to suit the backend unless given.
    **hyperparameters : numbers, schedules or text, see `Optimizer.resolve`.

    Raises
    ------
    InputError
        For an unknown backend, dtype or hyperparameter, or a number outside its range.
    """
    steps = _whole(steps, "steps", 0, WORD)
    seeds = _whole(seeds, "seeds", 1, WORD)
    seed = _whole(seed, "seed", 0, WORD**2)
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    place = backends.find(backend)
    optimizer.resolve(**hyperparameters)
    if chunk is None:
        chunk = max(1, min(_MOST, place.chunk // problem.dim))
    chunk = _whole(chunk, "chunk", 1, WORD)
    recorded = stats.log_spaced(steps)
    statistics = Statistics(len(recorded), seeds)
    for first in range(0, seeds, chunk):
        run = place.make(optimizer, problem, hyperparameters, first, min(chunk, seeds - first), seed, dtype)
        rows = [run.risks()]
        for begin, end in pairwise(recorded):
            run.advance(int(end - begin))
            rows.append(run.risks())
        statistics.add(_settled(np.array(rows)))
    statistics.finish()
    return Simulation(
        optimizer=optimizer.name,
        problem=problem.name,
        hyperparameters=hyperparameters,
        steps=recorded,
        mean=statistics.mean,
        standard_error=statistics.standard_error,
        quantiles=dict(zip(stats.LEVELS, statistics.quantiles(), strict=True)),
        quantile_accuracy=statistics.accuracy,
        diverged=statistics.diverged,
        replicas=seeds,
        backend=place.name,
        seed=seed,
        dtype=dtype,
    )


def _settled(risks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Risks (n, replicas) with those of a replica infinite from the step on at which it diverged."""
    limit = min(DIVERGED * (float(risks[0, 0]) or 1.0), LARGEST)
    return np.where(np.logical_or.accumulate(~(risks <= limit), axis=0), np.inf, risks)
