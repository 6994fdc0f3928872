"""Simulate: replicas in chunks, from one recorded step to the next, on any backend; long runs in a folder."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim import files, machine, results, stats
from accelsim.errors import InputError, unknown
from accelsim.notebook import Tabular
from accelsim.optimizers import find
from accelsim.rule import LARGEST, Optimizer
from accelsim.simulation import backends
from accelsim.simulation.backends import AUTO
from accelsim.simulation.checkpoint import Checkpoint, Folder, settings_of
from accelsim.simulation.engine import Problem, Run
from accelsim.simulation.expressions import compiles
from accelsim.simulation.normals import WORD
from accelsim.simulation.streaming import Statistics
from accelsim.threads import single_threaded

DTYPES = ("float64", "float32")
DIVERGED = 1e30  # risk, in multiples of the initial one (of 1 where the run starts at the optimum)
_USUAL = (signal.default_int_handler, machine.interrupt, signal.SIG_DFL)
_PIECE = 0.2  # seconds of steps between two looks at clock, progress and keyboard
_LONGEST = 1e18  # coordinate-steps: months on the fastest GPU
_MOST = 2**16  # replicas at once, whose risks are kept until the last step

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Simulation(Tabular):
    """Statistics of the risk over the replicas of a run.

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
    backend : where it ran.
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

    def _statement(self) -> dict[str, Any]:
        names = ("optimizer", "problem", "replicas", "seed", "dtype", "backend")
        return {name: getattr(self, name) for name in names}

    def _columns(self) -> dict[str, Any]:
        levels = {f"quantile_{level:g}": row for level, row in self.quantiles.items()}
        means = {"steps": self.steps, "risk": self.mean, "standard_error": self.standard_error}
        return {**means, "diverged": self.diverged, **levels}

    def _drawing(self) -> tuple[Any, ...]:
        return "over_steps", self.optimizer, "steps", self._columns()


@single_threaded
def simulate(  # noqa: PLR0913, a run has that many choices
    optimizer: Optimizer | str,
    problem: Problem,
    /,
    steps: int,
    seeds: int,
    *,
    seed: int = 0,
    backend: str = AUTO,
    dtype: str = "float64",
    chunk: int | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    progress: Callable[[str, int, int], None] = lambda backend, done, total: None,
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
    backend : ``cuda`` (a GPU) or ``numba``, kernels made from the rule; ``cupy`` or ``numpy``, the rule itself on
        arrays; ``auto``, the fastest that can be used here.
    dtype : ``float64`` or ``float32``.
    chunk : replicas to run at once, bounding memory; chosen to suit the backend unless given. A simulation that goes
        on keeps to its own.
    out : a folder for checkpoints, one about every 30 seconds, and for the result, ``simulation.json``.
    resume : go on with the simulation in `out`, or begin it where there is none yet; the result is the same bits as
        without interruption.
    progress : called several times a second with the backend's name, the coordinate-steps done, and those in all.
    **hyperparameters : numbers, schedules or text, see `Optimizer.resolve`.

    Returns
    -------
    Simulation
        Statistics over replicas at the recorded steps.

    Raises
    ------
    InputError
        For an unknown backend, dtype or hyperparameter, or a number outside its range; if `out` cannot be written, is
        being written by another process, holds a simulation and `resume` is false, or one of other settings.
    KeyboardInterrupt
        On Ctrl-C; with `out`, after a checkpoint, and as well where the process is asked to end or its terminal closes.
    """
    optimizer = find(optimizer)
    steps = _whole(steps, "steps", 0, WORD)
    seeds = _whole(seeds, "seeds", 1, WORD)
    seed = _whole(seed, "seed", 0, WORD**2)
    work = float(steps) * seeds * problem.dim
    if work > _LONGEST:
        raise InputError(
            f"{steps} steps of {seeds} replicas in {problem.dim} dimensions are {work:.2g} coordinate-steps, "
            f"of which no machine takes {_LONGEST:g} in a month: take fewer"
        )
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    if resume and out is None:
        raise InputError("to resume is to go on with the simulation in a folder: name it with --out (out=...)")
    values = optimizer.resolve(**hyperparameters)
    place = backends.find(backend, all(map(compiles, optimizer.program(values).nodes)))
    if chunk is None:
        chunk = max(1, min(_MOST, place.chunk // problem.dim))
    chunk = _whole(chunk, "chunk", 1, WORD)

    def make(first: int, count: int) -> Run:
        return place.make(optimizer, problem, hyperparameters, first, count, seed, dtype)

    def report(done: int) -> None:
        progress(place.name, done * problem.dim, seeds * steps * problem.dim)

    recorded = stats.log_spaced(steps)
    with ExitStack() as held:
        folder = None
        if out is not None:
            others = {"seeds": seeds, "seed": seed, "dtype": dtype, "backend": place.name}
            settings = settings_of(optimizer, problem, hyperparameters, steps, **others)
            held.enter_context(files.locked(results.prepare(out)))
            folder = Folder(out, settings, resume)
        if folder is not None and folder.done is not None:
            found = folder.done
        else:
            found = _document(recorded, _measured(make, recorded, seeds, chunk, folder, report))
            if folder is not None:
                folder.finish(found)
    return Simulation(
        optimizer=optimizer.name,
        problem=problem.name,
        hyperparameters=hyperparameters,
        steps=recorded,
        mean=np.array(found["risk"]),
        standard_error=np.array(found["standard_error"]),
        quantiles={float(level): np.array(row) for level, row in found["quantiles"].items()},
        quantile_accuracy=found["quantile_accuracy"],
        diverged=np.array(found["diverged"]),
        replicas=seeds,
        backend=place.name,
        seed=seed,
        dtype=dtype,
    )


def _whole(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) < high:
        raise InputError(f"{what} must be a whole number of at least {low} and below {high}, not {value}")
    return int(value)


def _document(recorded: Any, statistics: Statistics) -> dict[str, Any]:
    return {
        "steps": recorded,
        "risk": statistics.mean,
        "standard_error": statistics.standard_error,
        "quantiles": dict(zip(map(str, stats.LEVELS), statistics.quantiles(), strict=True)),
        "quantile_accuracy": statistics.accuracy,
        "diverged": statistics.diverged,
    }


def _measured(
    make: Callable[[int, int], Run],
    recorded: Any,
    seeds: int,
    chunk: int,
    folder: Folder | None,
    report: Callable[[int], None],
) -> Statistics:
    """The statistics of all replicas, from where the folder says that the run was."""
    statistics, pace, begin = Statistics(len(recorded), seeds), _Pace(), 0
    reached = None if folder is None else folder.reached
    if reached is not None:
        statistics.load(reached.statistics)
        chunk, begin = reached.chunk, reached.first
    with _held_back(folder is not None) as pressed:
        for first in range(begin, seeds, chunk):
            count, rows, taken = min(chunk, seeds - first), list[Array](), 0
            run = make(first, count)
            if reached is not None:
                run.load(reached.run, reached.t)
                rows, taken, reached = list(reached.risks), reached.t, None
            for t in _walk(run, recorded, rows, taken, pace):
                report(first * int(recorded[-1]) + count * t)
                if folder is not None and (pressed or folder.due):
                    folder.save(Checkpoint(chunk, first, t, np.array(rows), run.save(), statistics.save()))
                if pressed:
                    raise KeyboardInterrupt
            statistics.add(_settled(np.array(rows)))
    statistics.finish()
    return statistics


class _Pace:
    """Number of steps to take before looking up, judged by how long the last ones took."""

    def __init__(self) -> None:
        self.steps = 1

    def took(self, steps: int, seconds: float) -> None:
        if seconds > 2 * _PIECE:
            self.steps = max(1, steps // 2)
        elif steps == self.steps and seconds < _PIECE / 2:
            self.steps *= 2


def _walk(run: Run, recorded: Any, rows: list[Array], t: int, pace: _Pace) -> Iterator[int]:
    """Take a run from step t to the last recorded one, in pieces; the step reached is yielded before and after each.

    The risks at the recorded steps are appended to `rows`, which holds those up to step t.
    """
    for end in map(int, recorded[len(rows) :]):
        while t < end:
            yield t
            began, piece = time.perf_counter(), min(pace.steps, end - t)
            run.advance(piece)
            pace.took(piece, time.perf_counter() - began)
            t += piece
        rows.append(run.risks())
    yield t


@contextmanager
def _held_back(wanted: bool) -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and SIGHUP are noted in the list, to be answered where a run can be saved; a second one at once.

    What somebody else answers or ignores, as `nohup` does SIGHUP, is left to them.
    """
    pressed: list[int] = []

    def press(number: int, frame: Any) -> None:
        if pressed:
            machine.interrupt(number, frame)
        pressed.append(number)

    before: dict[int, Any] = {}
    if wanted and threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # of which a system may lack the last
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in _USUAL:
                before[number] = signal.signal(number, press)
    try:
        yield pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settled(risks: Array) -> Array:
    """Risks (n, replicas) with those of a replica infinite from the step on at which it diverged."""
    limit = min(DIVERGED * (float(risks[0, 0]) or 1.0), LARGEST)
    return np.where(np.logical_or.accumulate(~(risks <= limit), axis=0), np.inf, risks)
