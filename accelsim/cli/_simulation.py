"""The command that measures: simulate."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from accelsim.cli._common import Json, Quiet, Steps, Unit, app, asked, emit, settled
from accelsim.cli._output import FORMS, check_out, write_run, written
from accelsim.cli._problem import OnProblem, columns_of, in_samples, on_problem
from accelsim.errors import InputError

_LOOK, _LONG = 5.0, 1800.0  # seconds after which time left is told, and from which on


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr with backend, rate and time left; where that is no terminal, a line if it takes long."""
    if quiet:
        yield lambda backend, done, total: None
        return
    if not sys.stderr.isatty():
        yield _Announced()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]:.2g} coordinate-steps/s")
    columns = [TextColumn("on {task.description}"), BarColumn(), TaskProgressColumn(), rate, TimeRemainingColumn()]
    with Progress(*columns, TextColumn("left"), console=Console(stderr=True)) as bars:

        def report(backend: str, done: int, total: int) -> None:
            if not bars.tasks:
                bars.add_task(backend, total=total, completed=done, rate=0.0)
            bars.update(bars.tasks[0].id, completed=done, rate=bars.tasks[0].speed or 0.0)

        yield report


class _Announced:
    """Says once, some seconds after it began, how long a run will take, where that is long."""

    def __init__(self) -> None:
        self._idle: int | None = None  # what was done before anything was: compiling is no measure of what is left
        self._began: tuple[float, int] | None = None
        self._told = False

    def __call__(self, backend: str, done: int, total: int) -> None:
        self._idle = done if self._idle is None else self._idle
        if self._began is None:
            self._began = None if done == self._idle else (time.perf_counter(), done)
            return
        seconds, taken = time.perf_counter() - self._began[0], done - self._began[1]
        if self._told or seconds < _LOOK or not taken:
            return
        self._told, left = True, seconds * (total - done) / taken
        if left > _LONG:
            told = f"{left / 3600:.2g} hours" if left < 2 * 86400 else f"{left / 86400:.2g} days"
            print(f"accelsim: on {backend} this takes about {told}; Ctrl-C ends it", file=sys.stderr, flush=True)


@contextmanager
def _interruptible(out: Path | None, resume: bool) -> Iterator[None]:
    """Where Ctrl-C has saved the run, say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if out is None:
            raise
        from accelsim.simulation.checkpoint import CHECKPOINT

        command = shlex.join([*sys.argv, *([] if resume else ["--resume"])])
        saved = "and saved; go on" if (out / CHECKPOINT).exists() else "before anything was saved; begin again"
        print(f"accelsim: interrupted, {saved} with: {command}", file=sys.stderr)
        sys.exit(130)


@app.command(cls=OnProblem)
@on_problem
def simulate(
    rule: Any,
    problem: Any,
    values: dict[str, Any],
    *,
    steps: Steps,
    seeds: Annotated[int, typer.Option(metavar="S", help="Number of replicas.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", help="Key of the random numbers.")] = 0,
    backend: Annotated[
        str, typer.Option(metavar="auto|cuda|cupy|numba|numpy", help="Where it runs; auto: the fastest here.")
    ] = "auto",
    dtype: Annotated[str, typer.Option(metavar="float32|float64", help="Precision of the arrays.")] = "float64",
    x: Unit = "steps",
    exact: Annotated[bool, typer.Option("--exact", help="The exact risk beside it, with z-scores.")] = False,
    out: Annotated[
        list[Path],
        typer.Option(
            metavar="DIR|FILE",
            help="A folder for checkpoints, about two a minute, and the result; or a table (.csv) or figure (.svg, "
            ".png, .pdf). May be repeated.",
        ),
    ] = [],  # noqa: B006
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, or begin it.")] = False,
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """Run replicas of the rule; risk of the returned iterate with standard errors, diverged replicas counted.

    A long run is given a folder with --out. Interrupted or killed, it goes on with --resume, to the same numbers.
    """
    from accelsim import stats
    from accelsim.simulation import driver

    folder, files = _places(out)
    check_out(files, steps)
    if exact:  # or say that there is no such risk before anything is run
        from accelsim.exact.minimal import pruned_tableau
        from accelsim.exact.risk import risk

        pruned_tableau(rule, **rule.resolve(**values))
    with _interruptible(folder, resume), _progress(quiet) as report:
        settings: dict[str, Any] = {"seed": seed, "backend": backend, "dtype": dtype, "out": folder, "resume": resume}
        found = driver.simulate(rule, problem, steps, seeds, **settings, progress=report, **values)
    asking: dict[str, Any] = {"steps": steps, "seeds": seeds, "seed": seed, "dtype": dtype}
    document = {
        "steps": found.steps,
        "risk": found.mean,
        "standard_error": found.standard_error,
        "quantiles": {str(level): row for level, row in found.quantiles.items()},
        "quantile_accuracy": found.quantile_accuracy,
        "diverged": found.diverged,
        "replicas": found.replicas,
        "backend": found.backend,
        "assumptions": [*problem.assumptions, "risk of the returned iterate, without its irreducible part"],
        "notices": list(problem.notices),
        "inputs": asked({rule.name: settled(rule, values)}, problem, **asking),
    }
    in_samples(document, x, problem.batch)
    if exact:
        predicted = risk(rule, problem, steps, **values)
        document |= {"exact": predicted.risk, "z": stats.z_scores(found, predicted.risk)}
    columns = [x, "risk", "standard_error", "diverged", "exact", "z"]
    failed = written(document, files, partial(write_run, rule.name, document, columns, x))
    table = {k: v for k, v in document.items() if k != "quantiles"}
    emit(document, json_, lambda: columns_of(table, columns))
    if failed:
        raise failed


def _places(out: list[Path]) -> tuple[Path | None, list[Path]]:
    """The folder among the places to write to, if there is one, and the files."""
    files = [path for path in out if path.suffix in FORMS]
    folders = [path for path in out if path.suffix not in FORMS]
    if len(folders) > 1:
        raise InputError(f"--out names {len(folders)} folders, {folders[0]} and {folders[1]}: a run is saved in one")
    return (folders[0] if folders else None), files
