"""Figures from stored results: vector and PNG, the same bytes on every run, one look per optimizer everywhere."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelsim import experiment, results
from accelsim.errors import InputError
from accelsim.results import Result

# Okabe and Ito's colors, told apart by the color-blind; black is kept for predictions and references.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = "osD^v<>P*X"
FORMATS = ("svg", "png")
_SALT = 14746  # with it those that figures compare most differ in color and marker
_RC: Any = {
    "figure.figsize": (6.4, 4.0),
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.hashsalt": "accelsim",
}


def look(optimizer: str) -> dict[str, Any]:
    """Color, dash, marker and label of an optimizer, the same in every figure, whatever others there are."""
    place = zlib.crc32(f"{optimizer}{_SALT}".encode())
    return dict(
        color=PALETTE[place % len(PALETTE)],
        linestyle=DASHES[place // len(PALETTE) % len(DASHES)],
        marker=MARKERS[place // len(PALETTE) // len(DASHES) % len(MARKERS)],
        label=optimizer.replace("_", " ").replace("sgd", "SGD"),
    )


def render(result: Result) -> dict[str, bytes]:
    """The bytes of a result's figure by format."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    module = experiment.select([result.name])[result.name]
    drawn = {}
    with matplotlib.rc_context(_RC):
        figure = Figure()
        FigureCanvasAgg(figure)
        module.draw(result, figure)
        for form in FORMATS:
            stream = io.BytesIO()
            # Neither the date nor the version of the drawing library belongs to the figure.
            metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
            figure.savefig(stream, format=form, metadata=metadata)
            drawn[form] = stream.getvalue()
    return drawn


def stored(folder: Path) -> list[Result]:
    """The results stored in a folder, by name.

    Raises
    ------
    InputError
        If there is none.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise InputError(f"no stored results in {folder}; make some with: accelsim run --out {folder}")
    return [results.load(path) for path in paths]


def gallery(found: list[Result]) -> str:
    """The gallery page of stored results, in Markdown."""
    parts = ["# Figures\n\nDrawn by `accelsim figures` from the results stored beside them; not edited by hand.\n"]
    for result in found:
        verdict = "holds" if result.holds else "does not hold"
        expected = "as expected" if result.holds == result.expected else "**not as expected**"
        parts.append(
            f"## {result.name.replace('_', ' ')}\n\n{result.claim}\n\n![{result.name}]({result.name}.svg)\n\n"
            f"Verdict: {verdict}, {expected} ({result.relation}). Size: {result.config['size']}. "
            f"Assumptions: {'; '.join(result.assumptions)}.\n"
        )
    return "\n".join(parts)


def _pages(folder: Path) -> Iterator[tuple[Path, bytes]]:
    found = stored(folder)
    for result in found:
        for form, data in render(result).items():
            yield folder / f"{result.name}.{form}", data
    yield folder / "README.md", gallery(found).encode()


def draw(folder: Path) -> list[Path]:
    """Draw the figures and the gallery of a folder of results; returns what was written."""
    written = []
    for path, data in _pages(folder):
        results.write(path, data)
        written.append(path)
    return written


def drifted(folder: Path) -> list[Path]:
    """The drawings of a folder that are not what its results would draw today."""
    return [path for path, data in _pages(folder) if not path.is_file() or path.read_bytes() != data]
