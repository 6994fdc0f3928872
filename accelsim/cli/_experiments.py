"""Commands about experiments: run, figures, reproduce."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from accelsim.cli import _completion as completion
from accelsim.cli._common import Json, Quiet, Size, app, emit, table_of


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], Callable[[float, str], None]]]:
    """A bar a task on stderr; without a terminal, a line a task; nothing where quiet."""
    if quiet:
        yield lambda name: lambda fraction, what: None
    elif not sys.stderr.isatty():

        def announce(name: str) -> Callable[[float, str], None]:
            print(f"accelsim: {name}", file=sys.stderr, flush=True)
            return lambda fraction, what: None

        yield announce
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        name, what = TextColumn("{task.description}"), TextColumn("{task.fields[what]}")
        with Progress(name, BarColumn(), what, TimeElapsedColumn(), console=Console(stderr=True)) as bars:

            def start(name: str) -> Callable[[float, str], None]:
                task = bars.add_task(name, total=1.0, what="")
                return lambda fraction, what: bars.update(task, completed=fraction, what=what)

            yield start


def _results(names: list[str], size: str, out: Path | None, quiet: bool) -> list[Any]:
    """Run experiments, storing each result as soon as it is there; one that raises is a result that says why."""
    from accelsim import experiment, files, results

    chosen = experiment.select(names)
    found = []
    with ExitStack() as held:
        if out is not None:
            held.enter_context(files.locked(results.prepare(out)))
        start = held.enter_context(_progress(quiet))
        for name in chosen:
            report = start(name)
            found.append(experiment.attempt(name, size, report))
            report(1.0, "")
            if out is not None:
                results.save(found[-1], out)
    return found


_CLAIM_KEYS = (
    "name",
    "claim",
    "measured",
    "predicted",
    "published",
    "relation",
    "holds",
    "expected",
    "as_expected",
    "error",
    "assumptions",
)


def _claims(found: Iterable[Any]) -> list[dict[str, Any]]:
    return [{key: getattr(result, key) for key in _CLAIM_KEYS} for result in found]


def _evidence(claim: dict[str, Any]) -> Iterator[Any]:
    """A claim, its numbers side by side, and what it assumes."""
    if claim["error"] is not None:
        yield f"{claim['name']}: {claim['claim']}\nfailed: {claim['error']}\n"
        return
    columns = [kind for kind in ("measured", "predicted", "published") if claim[kind]]
    labels = dict.fromkeys(label for kind in columns for label in claim[kind])
    yield f"{claim['name']}: {claim['claim']}"
    yield table_of(["", *columns], [(label, *(claim[kind].get(label, "") for kind in columns)) for label in labels])
    yield "\n".join([*(f"assuming {item}" for item in claim["assumptions"]), ""])


def _claim_table(claims: list[dict[str, Any]]) -> Any:
    words = {True: "holds", False: "does not hold", None: "failed"}
    rows = [
        (
            c["name"],
            c["relation"],
            words[c["holds"]],
            c["error"] or ("as expected" if c["as_expected"] else "UNEXPECTED"),
        )
        for c in claims
    ]
    return table_of(["experiment", "relation", "verdict", ""], rows)


@app.command()
def run(
    experiments: Annotated[
        list[str],
        typer.Argument(
            metavar="[EXPERIMENT...]", show_default=False, autocompletion=completion.modules("accelsim.experiments")
        ),
    ] = [],  # noqa: B006
    size: Size = "tiny",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Store the results here.")] = None,
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """Run experiments: measured beside predicted and published; exit 0 only if every verdict is the expected one.

    An experiment that fails is listed with its reason, and the others are run.
    """
    found = _results(list(experiments), size, out, quiet)
    claims = _claims(found)

    def text() -> Any:
        from rich.console import Group

        return Group(*(part for claim in claims for part in _evidence(claim)), _claim_table(claims))

    emit(claims, json_, text)
    if not all(c["as_expected"] for c in claims):
        sys.exit(1)


@app.command()
def figures(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of stored results.")] = Path("figures"),
    check: Annotated[bool, typer.Option("--check", help="Draw nothing; exit 1 if a drawing has drifted.")] = False,
    json_: Json = False,
) -> None:
    """Draw the figures and the gallery of stored results; exit 1 if one cannot be drawn."""
    from accelsim import plotting

    paths, undrawn = plotting.drifted(out) if check else plotting.draw(out)
    words = "drifted from its result" if check else "drawn"
    document = {"drifted" if check else "drawn": paths, "undrawn": undrawn}
    lines = [f"{path}: {words}" for path in paths] + _cannot(undrawn)
    emit(document, json_, lambda: "\n".join(lines))
    if undrawn or (check and paths):
        sys.exit(1)


def _cannot(undrawn: dict[str, str]) -> list[str]:
    return [f"{name} cannot be drawn: {reason}" for name, reason in undrawn.items()]


@app.command()
def reproduce(
    size: Size = "tiny",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Results, figures and gallery go here.")] = Path(
        "accelsim-results"
    ),
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """The main job: verify every derivation, run every experiment, draw; exit 0 only if all is as expected.

    One that fails is listed with its reason, and the others go on.
    """
    from accelsim import plotting, results
    from accelsim.symbolic import verify as verification

    results.prepare(out)
    began = time.perf_counter()
    verdicts = []
    with _progress(quiet) as start:
        report = start("derivations")
        for verdict in verification.results():
            verdicts.append(verdict)
            report(len(verdicts) / len(verification.known()), verdict["name"])
    found = _results([], size, out, quiet)
    _, undrawn = plotting.draw(out)
    claims = _claims(found)
    good = not undrawn and all(v["holds"] for v in verdicts) and all(c["as_expected"] for c in claims)
    document = {"verify": verdicts, "run": claims, "undrawn": undrawn, "out": str(out), "as_expected": good}

    def text() -> Any:
        from rich.console import Group

        rows = [(v["name"], verification.told(v), v["near_miss"], v["error"] or "") for v in verdicts]
        proofs = table_of(["derivation", "status", "near miss", ""], rows)
        seconds = time.perf_counter() - began
        verdict = "everything is as expected" if good else "NOT everything is as expected"
        close = f"{verdict}; figures and their gallery are in {out} ({seconds:.0f} s, size {size})"
        return Group(proofs, "", _claim_table(claims), "", *_cannot(undrawn), close)

    emit(document, json_, text)
    if not good:
        sys.exit(1)
