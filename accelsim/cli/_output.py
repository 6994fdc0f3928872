"""Files that a command writes beside what it prints: tables and figures, by the ends of their names."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from accelsim.errors import InputError

FORMS = (".csv", ".svg", ".png", ".pdf")
Out = Annotated[
    list[Path],
    typer.Option("--out", metavar="FILE", help="Table (.csv) or figure (.svg, .png, .pdf); may be repeated."),
]


def check_out(paths: Iterable[Path], steps: int | None = None) -> None:
    """Raise `InputError` for what is seen before anything is computed to be no place of a table or figure.

    Parameters
    ----------
    steps : of the run that is to be drawn, by the logarithm of its length.
    """
    for path in paths:
        if path.suffix not in FORMS:
            raise InputError(f"--out {path} is no table or figure: end its name in {', '.join(FORMS)}")
        if path.suffix != ".csv" and steps == 0:
            raise InputError("a run of no steps has nothing to draw: take more")
        if path.is_dir():
            raise InputError(f"--out {path} is a folder: name a file")
        place = next(parent for parent in (path.absolute().parents) if parent.exists())
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise InputError(f"--out {path} cannot be written: {place} is no folder that can be")


def written(document: dict[str, Any], paths: Iterable[Path], write: Callable[[Path], str]) -> InputError | None:
    """Write files, and their names into the document; what stopped it, to be raised once the document is printed."""
    done: list[str] = []
    try:
        for path in paths:
            done.append(write(path))
            document["written"] = done
    except InputError as error:
        return error
    return None


def write_out(
    path: Path,
    inputs: Mapping[str, Any],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    draw: Callable[[str], bytes],
) -> str:
    """Write the table, numbers that are not finite as nothing, or the figure that is drawn in a form; its name.

    The first line of a table is a comment that says what it is of: ``# ``, and as JSON the `inputs` of the answer. JSON
    keeps it to one line, whatever is in it.
    """
    from accelsim import results

    if path.suffix == ".csv":
        text = io.StringIO()
        text.write(f"# {json.dumps(results.jsonable(inputs), allow_nan=False)}\n")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([finite(cell) if isinstance(cell, float) else cell for cell in row] for row in rows)
        data = text.getvalue().encode()
    else:
        data = draw(path.suffix[1:])
    results.prepare(path.parent)
    results.write(path, data)
    return str(path)


def write_run(name: str, document: Mapping[str, Any], columns: Iterable[str], unit: str, path: Path) -> str:
    """Write the arrays of a run as a table, or its risk over steps or samples as a figure; its name."""
    arrays = {column: document[column] for column in columns if column in document}

    def draw(form: str) -> bytes:
        from accelsim import plotting

        return plotting.figure(lambda axes: plotting.over_steps(axes, name, unit, arrays), form)

    rows = zip(*(values.tolist() for values in arrays.values()), strict=True)
    return write_out(path, document["inputs"], list(arrays), rows, draw)


def finite(value: float) -> float | None:
    """A number, None for what JSON and tables have none for."""
    return value if math.isfinite(value) else None
