"""The plain engine: the rule itself, run step by step on arrays of replicas by coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count, islice, pairwise
from numbers import Integral
from typing import Any, Protocol

import numpy as np

from accelsim import stats
from accelsim.errors import InputError, unknown
from accelsim.optimizer import Optimizer, step
from accelsim.simulation import backends
from accelsim.simulation.backends import AUTO, Backend
from accelsim.simulation.philox import WORD, Draw, Draws

DTYPES = ("float64", "float32")
DIVERGED = 1e30  # risk, in multiples of the initial one (of 1 where the run starts at the optimum)


class Problem(Protocol):
    """What the engine asks of a problem."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def start(self) -> Any: ...

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]: ...

    def risk(self, errors: Any) -> Any: ...


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
        chunk = max(1, place.chunk // problem.dim)
    chunk = _whole(chunk, "chunk", 1, WORD)
    recorded = stats.log_spaced(steps)
    risks = np.empty((len(recorded), seeds))
    for first in range(0, seeds, chunk):
        part = risks[:, first : first + chunk]
        draws = Draws(seed, part.shape[1], place.xp, first=first, dtype=dtype, tile=place.tile)
        _run(optimizer, problem, recorded, draws, place, part, hyperparameters)
    diverged = np.logical_or.accumulate(~(risks <= DIVERGED * (risks[0] if risks[0].all() else 1.0)), axis=0)
    risks[diverged] = np.inf
    mean, error = stats.mean(risks)
    return Simulation(
        optimizer=optimizer.name,
        problem=problem.name,
        hyperparameters=hyperparameters,
        steps=recorded,
        mean=mean,
        standard_error=error,
        quantiles=dict(zip(stats.LEVELS, stats.quantiles(risks), strict=True)),
        diverged=diverged.sum(axis=1),
        replicas=seeds,
        backend=place.name,
        seed=seed,
        dtype=dtype,
    )


def _run(
    optimizer: Optimizer,
    problem: Problem,
    recorded: Any,
    draws: Draws,
    place: Backend,
    risks: Any,
    hyperparameters: Mapping[str, Any],
) -> None:
    """Run the replicas of `draws` and enter their risks at the recorded steps, (n, replicas)."""
    start = place.xp.asarray(problem.start, dtype=draws.dtype)
    state = optimizer.start(place.xp.zeros((draws.replicas, problem.dim), dtype=draws.dtype))
    rows = optimizer.rows(**hyperparameters)
    with np.errstate(all="ignore"):  # divergence is found and counted, not warned of
        risks[0] = place.host(problem.risk(state[optimizer.returns] + start))
        for index, (begin, end) in enumerate(pairwise(recorded), 1):
            for t, h in islice(rows, int(end - begin)):
                try:
                    state = step(optimizer, state, t, h, _gradient(problem, start, draws, t))
                except ArithmeticError as error:
                    what = f"{type(error).__name__} at step {t}: {error}"
                    raise InputError(f"rule {optimizer.name!r} raised {what}") from None
            risks[index] = place.host(problem.risk(state[optimizer.returns] + start))


def _gradient(problem: Problem, start: Any, draws: Draws, t: int) -> Callable[..., Any]:
    """Answers the queries of one step; each `yield` is a stage with a sample of its own."""
    stages = count()

    def gradient(*points: Any) -> Any:
        gradients = problem.sample(tuple(point + start for point in points), draws.at(t, next(stages)))
        return gradients if len(points) > 1 else gradients[0]

    return gradient
