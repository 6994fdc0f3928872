"""The command that puts several rules beside one another."""

from __future__ import annotations

import math
import sys
from functools import partial
from typing import Annotated, Any

import typer

from accelsim.cli._common import Json, app, asked, emit, lines_of, settled, table_of
from accelsim.cli._output import Out, check_out, finite, write_out, written
from accelsim.cli._problem import OnProblem, over_batches
from accelsim.cli._progress import shown
from accelsim.errors import InputError


@app.command(cls=OnProblem)
@over_batches
def compare(
    rules: list[Any],
    problem: Any,
    batches: list[int],
    values: dict[str, dict[str, str]],
    *,
    objective: Annotated[
        str, typer.Option(metavar="rate|risk@T|steps@TARGET", help="Compared: time constant, a risk, steps to a risk.")
    ],
    tuned: Annotated[
        bool, typer.Option("--tune", help="Tune what is not set, for each rule at each batch size.")
    ] = False,
    budget: Annotated[int, typer.Option(metavar="N", help="Evaluations of each search.", min=1, max=10**7)] = 2000,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the points that searches start from.")] = 0,
    max_seconds: Annotated[
        float, typer.Option(metavar="S", help="End each search after this time, with the best found.")
    ] = math.inf,
    out: Out = [],  # noqa: B006
    json_: Json = False,
) -> None:
    """Several rules on one problem, by batch size: one table, figure and CSV, without sampling.

    --set lr=0.1 is for every rule that has lr, --set sgd.lr=0.1 for sgd alone. Ctrl-C prints what is done.
    """
    from accelsim import plotting
    from accelsim.exact.tune import comparing

    check_out(out)
    if not max_seconds > 0:
        raise InputError(f"--max-seconds must be above 0, not {max_seconds:g}")
    unfinished, total = False, len(rules) * len(batches)
    try:
        with shown("comparing") as report:
            found = comparing.compare(
                rules,
                problem,
                objective,
                batches=batches,
                tuned=tuned,
                budget=budget,
                seed=seed,
                seconds=max_seconds,
                values=values,
                progress=lambda done, cell: report(done / total, cell),
            )
    except comparing.Interrupted as stopped:
        found, unfinished = stopped.found, True
    notices = [*problem.notices]
    if unfinished:
        notices.append(f"interrupted after {len(found.cells)} of {total} values")
    notices += _doubts(found)
    given = {rule.name: values[rule.name] if tuned else settled(rule, values[rule.name]) for rule in rules}
    document: dict[str, Any] = {
        "objective": objective,
        "tuned": tuned,
        "optimizers": found.optimizers,
        "batches": found.batches,
        "values": [vars(cell) | {"value": finite(cell.value), "over_limit": cell.over_limit} for cell in found.cells],
        "assumptions": problem.assumptions,
        "notices": notices,
        "inputs": asked(given, problem, objective=objective, **({"budget": budget, "seed": seed} if tuned else {})),
    }
    del document["inputs"]["problem"]["batch"]  # which is one of several
    table, draw = comparing.rows(found), partial(plotting.figure, found.plot)
    failed = written(document, out, lambda path: write_out(path, document["inputs"], *table, draw))
    emit(document, json_, lambda: _told(found, document))
    if failed:
        raise failed
    if unfinished:
        sys.exit(130)


def _doubts(found: Any) -> list[str]:
    """What two searches do not agree on: a line a kind of doubt, with all values that it is about."""
    from accelsim.exact.tune import tuning

    doubted = [cell for cell in found.cells if cell.agreement is not None and not cell.failed]
    doubted = [cell for cell in doubted if cell.agreement > tuning.AGREED]
    lines = []
    for unequal in (True, False):
        cells = [cell for cell in doubted if math.isfinite(cell.agreement) == unequal]
        if not cells:
            continue
        at = {cell.optimizer: [c.batch for c in cells if c.optimizer == cell.optimizer] for cell in cells}
        places = "; ".join(f"{name} at batch size {', '.join(map(str, sizes))}" for name, sizes in at.items())
        worst = max(cells, key=lambda cell: cell.agreement)
        lines.append(f"{tuning.doubt(worst, len(cells) - 1)}: {places}")
    return lines


def _told(found: Any, document: dict[str, Any]) -> Any:
    """Values by batch size and rule, the hyperparameters that they are at, and the rest as lines."""
    from rich.console import Group

    from accelsim.exact.tune import comparing

    def shown_cell(name: str, batch: int) -> Any:
        cell = found.at(name, batch)
        return "" if cell is None else "-" if cell.failed else cell.value

    values = table_of(
        ["batch", *found.optimizers],
        ([batch, *(shown_cell(name, batch) for name in found.optimizers)] for batch in found.batches),
    )
    over = table_of(
        ["batch", *found.optimizers],
        (
            [batch, *(getattr(found.at(name, batch), "over_limit", None) or "" for name in found.optimizers)]
            for batch in found.batches
        ),
    )
    columns, rows = comparing.rows(found)
    failed = [f"{c.optimizer} at batch size {c.batch} has no value: {c.failed}" for c in found.cells if c.failed]
    rest = {key: document[key] for key in ("assumptions", "notices", "written") if document.get(key)}
    rest["notices"] = [*failed, *rest.get("notices", [])]
    places = [k for k, name in enumerate(columns) if name not in (found.objective, "over_limit", "failed")]
    settings = table_of(
        [columns[k] for k in places], ([("" if row[k] is None else row[k]) for k in places] for row in rows)
    )
    return Group(
        f"{found.objective}, {'tuned' if document['tuned'] else 'as set'}",
        values,
        "",
        *(["over the least risk of any linear method", over, ""] if "over_limit" in columns else []),
        settings,
        "",
        *lines_of(rest),
    )
