"""Figures from stored results: vector and PNG, the same bytes on every run, one look per optimizer everywhere."""

from __future__ import annotations

import io
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from accelsim import experiment, results
from accelsim.errors import InputError, reason
from accelsim.results import Result

# Okabe and Ito's colors, told apart by the color-blind; black is kept for predictions and references.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = "osD^v<>P*X"
FORMATS = ("svg", "png")
_DECADES = 1e-5  # of the largest coefficient: what a schedule brings below it on its way to zero is not drawn
_FAINT = 1e-6  # of the largest share: what is less of a step is not drawn
_AGED = "1 + age of a gradient, in steps"
_SALT = 14746  # with it those that figures compare most differ in color and marker
# Neither the date nor the version of the drawing library belongs to a figure.
_METADATA: Any = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
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
    module = experiment.select([result.name])[result.name]
    return rendered(lambda figure: module.draw(result, figure))


def rendered(draw: Callable[[Any], None], forms: Iterable[str] = FORMATS) -> dict[str, bytes]:
    """The bytes of a figure by format, from what draws on it."""
    matplotlib = _matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = {}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's own settings are: the same bytes everywhere
        matplotlib.rcParams.update(_RC)
        figure = Figure()
        FigureCanvasAgg(figure)
        draw(figure)
        for form in forms:
            stream = io.BytesIO()
            figure.savefig(stream, format=form, metadata=_METADATA[form])
            drawn[form] = stream.getvalue()
    return drawn


def figure(draw: Callable[[Any], Any], form: str) -> bytes:
    """The bytes of a figure of one panel in a format, from what draws on its axes."""
    return rendered(lambda whole: draw(whole.subplots()), [form])[form]


def on_axes(ax: Any, draw: Callable[[Any], Any]) -> Any:
    """Axes that something is drawn on: those given, or new ones of pyplot's in the look of all figures."""
    if ax is None:
        from matplotlib import pyplot

        with pyplot.rc_context(_RC):
            ax = pyplot.figure().subplots()
            draw(ax)
    else:
        draw(ax)
    return ax


def _matplotlib() -> Any:
    """The package; the backend that the environment names is for others, and need not be there."""
    asked = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if asked is not None:
            os.environ["MPLBACKEND"] = asked
    return matplotlib


def coefficients(name: str, beta: Any, eta: Any, alpha: Any, forms: Iterable[str] = FORMATS) -> dict[str, bytes]:
    """The bytes of a figure of canonical coefficients over time, by format.

    Parameters
    ----------
    name : the optimizer.
    beta, eta, alpha : (steps,) arrays, of weight 1 on the current gradient; NaN is not drawn.
    """
    import numpy as np

    rest = np.where(beta < 1, 1 - beta, np.nan)
    panels = [
        ("momentum", [(r"$\beta_t$", beta, 0)]),
        (
            r"theory units: $m_t = \beta_t m_{t-1} + g_t$",
            [(r"$\eta_t$ on $m_t$", eta, 1), (r"$\alpha_t$ on $g_t$", alpha, 2)],
        ),
        (
            r"EMA units: $(1-\beta_t)\,m_t$",
            [(r"$\eta_t/(1-\beta_t)$ on $(1-\beta_t)\,m_t$", eta / rest, 1), (r"$\alpha_t$ on $g_t$", alpha, 2)],
        ),
    ]

    def draw(figure: Any) -> None:
        figure.set_size_inches(9.6, 3.2)
        figure.suptitle(look(name)["label"])
        steps = np.arange(len(beta))
        for axes, (title, lines) in zip(figure.subplots(1, 3), panels, strict=True):
            shown = np.concatenate([values[np.isfinite(values) & (steps > 0)] for _, values, _ in lines])
            for label, values, place in lines:
                axes.plot(steps[1:], values[1:], color=PALETTE[place], linestyle=DASHES[place], label=label)
            wide = shown.size and shown.min() > 0 and shown.max() > 20 * shown.min()
            axes.set(title=title, xlabel="step t", xscale="log", yscale="log" if wide else "linear")
            low, high = axes.get_ylim()
            axes.set_ylim(max(low, _DECADES * high) if wide else min(low, 0), high if wide else 1.05 * high)
            axes.legend()

    return rendered(draw, forms)


def against_envelope(axes: Any, name: str, own: tuple[Any, Any], envelope: tuple[Any, Any]) -> None:
    """Draw a tuned rule's risk beside the envelope's.

    Parameters
    ----------
    name : the optimizer.
    own, envelope : steps and risks, arrays of one length each.
    """
    axes.loglog(*own, **(look(name) | {"marker": ""}))
    axes.loglog(*envelope, color="black", linestyle=":", label="best constant one-memory method")
    axes.set(xlabel="step t", ylabel="excess risk")
    axes.legend()


def by_batch(axes: Any, objective: str, series: Mapping[str, Any]) -> None:
    """Draw values over batch sizes.

    Parameters
    ----------
    objective : what the values are, as ``risk@300``.
    series : by optimizer, pairs of a batch size and a value.

    Raises
    ------
    InputError
        If no value is above 0: their logarithms are drawn.
    """
    kind, _, number = objective.partition("@")
    what = {"rate": "time constant, in steps", "risk": f"excess risk after {number} steps"}
    sizes = {batch for pairs in series.values() for batch, value in pairs if value > 0}
    if not sizes:
        raise InputError("no value can be drawn: none is above 0")
    for name, pairs in series.items():
        if pairs:
            axes.loglog(*zip(*pairs, strict=True), **look(name))
    axes.set(xlabel="batch size", ylabel=what.get(kind, f"steps to an excess risk of {number}"))
    if len(sizes) == 1:
        axes.set_xscale("linear")
        axes.set_xticks([*sizes])
    axes.legend()


def over_steps(axes: Any, name: str, unit: str, run: Mapping[str, Any]) -> None:
    """Draw a run's risk.

    Parameters
    ----------
    name : the optimizer.
    unit : what its length is counted in, ``steps`` or ``samples``.
    run : arrays of one length: lengths by that unit, ``risk``, and where there are some ``bias`` and ``variance`` of an
        exact risk, ``standard_error`` and the ``exact`` risk of a simulated one.

    Raises
    ------
    InputError
        If no risk after the first step is finite: lengths are drawn by their logarithm, and the start has none.
    """
    import numpy as np

    run = {column: np.asarray(values)[np.asarray(run[unit]) > 0] for column, values in run.items()}
    if not np.isfinite(run["risk"]).any():
        raise InputError("no risk can be drawn: none after the start is finite")
    x, risk = run[unit], run["risk"]
    style = look(name) | {"marker": "", "linestyle": "-"}
    style["label"] += ", simulated" * ("standard_error" in run)
    axes.loglog(x, risk, **style)
    for part, dash in (("bias", (0, (4, 2))), ("variance", (0, (1, 1.5)))):
        if part in run and (run[part] > 0).any():
            axes.plot(x, run[part], color="0.45", linestyle=dash, linewidth=1.1, label=part)
    if "standard_error" in run:
        near, apart = np.isfinite(risk), 2 * run["standard_error"]
        bottom = axes.get_ylim()[0]  # lower there is nothing to be seen
        low, high = np.maximum(risk[near] - apart[near], bottom), risk[near] + apart[near]
        axes.fill_between(x[near], low, high, color=style["color"], alpha=0.25, linewidth=0, label="2 standard errors")
        axes.set_ylim(bottom=bottom)
    if "exact" in run:
        axes.plot(x, run["exact"], color="black", linestyle=":", label="exact")
    axes.set(xlabel=unit, ylabel="excess risk")
    axes.legend()


def weights_by_step(axes: Any, weights: Any) -> None:
    """Draw the weights (T,) of the gradients of each step in what the best linear method returns."""
    axes.plot(range(len(weights)), weights, color="black", marker="o" if len(weights) == 1 else "")
    axes.set(xlabel="step of a gradient", ylabel="its weight in the point returned")


def shares(axes: Any, step: int, series: Mapping[str, Any]) -> None:
    """Draw the shares of past gradients in a step.

    Parameters
    ----------
    step : the step, from 0.
    series : by optimizer, the weights (step + 1,) of gradients by their age.

    Raises
    ------
    InputError
        If the weights of one add up to nothing: their shares are drawn.
    """
    import numpy as np

    for name, share in _shares(step, series).items():
        seen = share > _FAINT * share.max()
        style = look(name) | {"marker": "o" if seen.sum() == 1 else ""}
        axes.plot(np.arange(1, len(share) + 1), np.where(seen, share, np.nan), **style)
    axes.set(xscale="log", yscale="log", xlabel=_AGED, ylabel=f"share of step {step}")
    axes.legend()


def _shares(step: int, series: Mapping[str, Any]) -> dict[str, Any]:
    for name, weights in series.items():
        if not weights.sum():
            raise InputError(f"nothing can be drawn: the weights of {name} add up to zero at step {step}")
    return {name: weights / weights.sum() for name, weights in series.items()}


def responses(whole: Any, step: int, series: Mapping[str, Any]) -> None:
    """Draw the shares of past gradients in a step, and beside them their sums, on a figure; see `shares`."""
    import numpy as np

    whole.set_size_inches(9.6, 3.6)
    each, summed = whole.subplots(1, 2)
    shares(each, step, series)
    for name, share in _shares(step, series).items():
        summed.plot(np.arange(1, len(share) + 1), np.cumsum(share), **(look(name) | {"marker": ""}))
    summed.set(xscale="log", xlabel=_AGED, ylabel="share of gradients up to that age")


def stability(name: str, axes: dict[str, Any], tau: Any) -> dict[str, bytes]:
    """The bytes of a map of time constants over two hyperparameters, by format; what is unstable stays white.

    Parameters
    ----------
    name : the optimizer.
    axes : two labels, each with the values (n,) along it, spaced evenly in the logarithm.
    tau : (n of the second, n of the first) time constants, infinite where unstable.
    """
    import numpy as np

    def draw(figure: Any) -> None:
        panel = figure.subplots()
        shown = np.ma.masked_invalid(np.log10(np.maximum(tau, 1e-3)))
        drawn = panel.pcolormesh(*axes.values(), shown, cmap="viridis", rasterized=True, shading="nearest")
        if 0 < shown.mask.sum() < shown.size:
            panel.contour(*axes.values(), np.isfinite(tau).astype(float), levels=[0.5], colors="black", linewidths=1)
        horizontal, vertical = axes
        panel.set(xscale="log", yscale="log", xlabel=horizontal, ylabel=vertical, title=look(name)["label"])
        panel.grid(False)
        figure.colorbar(drawn, label=r"$\log_{10}\tau$, in steps; white: unstable")

    return rendered(draw)


def save(drawn: dict[str, bytes], folder: Path, name: str) -> list[Path]:
    """Write a figure's formats into a folder; returns what was written."""
    results.prepare(folder)
    paths = [folder / f"{name}.{form}" for form in drawn]
    for path, data in zip(paths, drawn.values(), strict=True):
        results.write(path, data)
    return paths


def stored(folder: Path) -> list[Result]:
    """The results stored in a folder, by name.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        paths = sorted(folder.glob("*.json"))
    except (OSError, ValueError) as error:
        raise InputError(f"no stored results in {folder}: {error}") from None
    if not paths:
        raise InputError(f"no stored results in {folder}; make some with: accelsim run --out {folder}")
    return [results.load(path) for path in paths]


def gallery(found: list[Result], undrawn: Mapping[str, str]) -> str:
    """The gallery page of stored results, in Markdown.

    Parameters
    ----------
    undrawn : by name, why a result has no drawing.
    """
    parts = ["# Figures\n\nDrawn by `accelsim figures` from the results stored beside them; not edited by hand.\n"]
    for result in found:
        name = result.name
        assumptions = "; ".join(map(str, result.assumptions))
        conditions = _told(f"Size: {result.config.get('size')}. Assumptions: {assumptions}.")
        figure = f"![{_told(name)}]({quote(name)}.svg)"
        if name in undrawn:
            figure = f"**Not drawn**: {_told(undrawn[name])}"
        verdict = "holds" if result.holds else "does not hold"
        expected = "as expected" if result.as_expected else "**not as expected**"
        shown = f"{figure}\n\nVerdict: {verdict}, {expected} ({_told(result.relation)})."
        if result.error is not None:
            shown = f"**Failed**: {_told(result.error)}."
        parts.append(f"## {_told(name.replace('_', ' '))}\n\n{_told(result.claim)}\n\n{shown} {conditions}\n")
    return "\n".join(parts)


def _told(text: str) -> str:
    """A stored text in one line of Markdown, in which it makes no tags, links or pictures."""
    line = re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", " ".join(text.split()))
    return re.sub(r"[\[\]]", r"\\\g<0>", line)


def _pages(folder: Path, undrawn: dict[str, str]) -> Iterator[tuple[Path, bytes | None]]:
    """The files of a folder's figures and gallery with what is in them, None for those that must not be there.

    Why a result could not be drawn is noted in `undrawn`.
    """
    found = stored(folder)
    for result in found:
        drawn: Mapping[str, bytes | None] = dict.fromkeys(FORMATS)
        if result.error is None:
            try:
                drawn = render(result)
            except Exception as error:
                undrawn[result.name] = reason(error)
        for form, data in drawn.items():
            yield folder / f"{result.name}.{form}", data
    yield folder / "README.md", gallery(found, undrawn).encode()


def draw(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """Draw the figures and the gallery of a folder of results, and remove earlier drawings of those that have none.

    Returns
    -------
    The files written, and by name why a result could not be drawn.
    """
    written, undrawn = [], dict[str, str]()
    for path, data in _pages(folder, undrawn):
        if data is None:
            path.unlink(missing_ok=True)
        else:
            results.write(path, data)
            written.append(path)
    return written, undrawn


def drifted(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """Compare a folder's drawings and gallery with what its results would draw today, but for rounding.

    Returns
    -------
    The files that differ, are missing, or should not be there, and by name why a result could not be drawn.
    """
    undrawn: dict[str, str] = {}
    return [path for path, data in _pages(folder, undrawn) if not _is_there(path, data)], undrawn


def _is_there(path: Path, data: bytes | None) -> bool:
    from accelsim.drift import same

    if data is None or not path.is_file():
        return data is None and not path.exists()
    return same(path.suffix[1:], path.read_bytes(), data)
