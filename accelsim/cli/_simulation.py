"""The command that measures: simulate."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from accelsim.cli._common import Json, Quiet, Steps, Unit, app, emit
from accelsim.cli._problem import columns_of, in_samples, on_problem


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr with backend, rate and time left, where stderr is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda backend, done, total: None
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


@contextmanager
def _interruptible(out: Path | None, resume: bool) -> Iterator[None]:
    """Where Ctrl-C has saved the run, say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if out is None:
            raise
        command = shlex.join([*sys.argv, *([] if resume else ["--resume"])])
        print(f"accelsim: interrupted, and saved; go on with: {command}", file=sys.stderr)
        sys.exit(130)


@app.command()
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
        Path | None, typer.Option(metavar="DIR", help="Save checkpoints here, about two a minute, and the result.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, or begin it.")] = False,
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """Run replicas of the rule; risk of the returned iterate with standard errors, diverged replicas counted.

    A long run is given a folder with --out. Interrupted or killed, it goes on with --resume, to the same numbers.
    """
    from accelsim import stats
    from accelsim.simulation import driver

    with _interruptible(out, resume), _progress(quiet) as report:
        settings: dict[str, Any] = {"seed": seed, "backend": backend, "dtype": dtype, "out": out, "resume": resume}
        found = driver.simulate(rule, problem, steps, seeds, **settings, progress=report, **values)
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
    }
    in_samples(document, x, problem.batch)
    if exact:
        from accelsim.exact import moments

        predicted = moments.risk(rule, problem, steps, **values)
        document |= {"exact": predicted.risk, "z": stats.z_scores(found, predicted.risk)}
    table = {k: v for k, v in document.items() if k != "quantiles"}
    emit(document, json_, lambda: columns_of(table, [x, "risk", "standard_error", "diverged", "exact", "z"]))
