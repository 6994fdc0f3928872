"""Kidambi et al. 2018, Table 1: exponents of sampled searches on a grid, beside those of the best hyperparameters."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim import plotting
from accelsim.exact.stationary import rates
from accelsim.exact.tune import tuning
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import Problem, make
from accelsim.results import Result
from accelsim.rule import step

CLAIM = (
    "Of the exponents in Table 1 of Kidambi et al. 2018, those of SGD, heavy ball and accelerated SGD are near "
    "those of the best hyperparameters; Nesterov's are not: the best has 0.5 to 0.6, and on a grid of ten momenta "
    "from 0 to 1 the exponent ends at 1."
)
ASSUMPTIONS = [
    "batch size 1, two directions, no label noise, error 1 in both at the start; kappa = R^2/mu with E |x|^2 x x^T "
    "<= R^2 H",
    "discrete: x = e1 or sqrt(2/kappa) e2, by chance 1/2; the printed (2/kappa) e2 has another kappa, and gives SGD an "
    "exponent of 2; Gaussian: variances 1 and 3/(kappa-1)",
    "best and on the grid: exact time constants; the grid has ten values from 0 to 1 for lr and for momentum",
    "sampled: the best on that grid of log(f_0/f_t)/t after t = 5 kappa steps, f the mean risk over 100 runs; "
    "accelerated SGD at its best hyperparameters. Runs this short and few explain what is left for SGD, not for the "
    "others: sampled, heavy ball and accelerated SGD are .04 to .06 below the published, Nesterov .17 and .19",
    "the values of the published grid are not printed; Nesterov's exponent hangs on them: with momenta only up to "
    "0.8 it is 0.93 on the discrete design where momenta up to 8/9 give 0.81",
    "exponent: slope of the log of the time constant (of 1/rate) on log kappa",
]
EXPECTED = True
DESIGNS = ("discrete", "gaussian")
PUBLISHED = {
    "sgd": (0.930, 0.875),
    "heavy_ball": (0.852, 0.877),
    "nesterov": (0.980, 0.949),
    "accelerated_sgd": (0.548, 0.513),
}
GRID = np.linspace(0, 1, 10)
Inputs = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Config:
    powers: tuple[int, ...] = (4, 6, 8, 10, 12)  # of 2: the condition numbers
    runs: int = 100
    budget: int = 2000  # rates a search
    sampled: tuple[str, ...] = tuple(PUBLISHED)


FULL = Config()
TINY = Config(powers=(4, 8, 12), budget=500, sampled=())


def problem(design: str, kappa: float) -> Problem:
    """The exact side of a design."""
    if design == "discrete":
        return make("one_hot", spectrum=[0.5, 1 / kappa])
    return make("linear_regression", spectrum=[1.0, 3 / (kappa - 1)])


def printed(kappa: float) -> Problem:
    """The discrete design as printed, with (2/kappa) e2."""
    return make("one_hot", spectrum=[0.5, 2 / kappa**2])


def draw_inputs(design: str, kappa: float, runs: int, draw: np.random.Generator) -> Any:
    """Inputs of one step, (runs, 2)."""
    if design == "gaussian":
        return draw.standard_normal((runs, 2)) * problem(design, kappa).spectrum ** 0.5
    first = draw.integers(0, 2, runs) == 0
    return np.stack([1.0 * first, (2 / kappa) ** 0.5 * ~first], axis=-1)


def grid_values(name: str) -> list[dict[str, float]]:
    """The hyperparameters on the grid that move at all."""
    if name == "sgd":
        return [dict(lr=lr) for lr in GRID[1:]]
    return [dict(lr=lr, beta=beta) for lr in GRID[1:] for beta in GRID[:-1]]


def sampled_rate(name: str, design: str, kappa: float, values: list[dict[str, float]], runs: int) -> float:
    """The best rate over hyperparameters, in the mean risk of some runs; all see the same samples."""
    rule, draw = find(name), np.random.default_rng(zlib.crc32(f"{name} {design} {kappa}".encode()))
    columns = {key: np.array([v[key] for v in values])[:, None, None] for key in values[0]}
    state = rule.start(np.ones((len(values), runs, 2)))  # errors: w* = 0 lets them fall far below 1e-16
    spectrum, steps = problem(design, kappa).spectrum, int(5 * kappa)
    with np.errstate(all="ignore"):  # some of the grid diverges
        for t in range(steps):
            x = draw_inputs(design, kappa, runs, draw)
            state = step(rule, state, t, columns, lambda w, x=x: (w * x).sum(-1, keepdims=True) * x)
        risk = (state[rule.returns] ** 2 @ spectrum).mean(axis=1) / 2
        return float(np.nanmax(np.log(spectrum.sum() / 2 / risk)) / steps)


def run(config: Config, progress: Progress) -> Outcome:
    """Exponents of the best, on the grid and sampled."""
    kappas = [2.0**power for power in config.powers]
    taus: dict[str, list[float]] = {}
    published: dict[str, float] = {}
    for place, (name, row) in enumerate(PUBLISHED.items()):
        for design, value in zip(DESIGNS, row, strict=True):
            progress(place / len(PUBLISHED), f"{name}, {design}")
            label = f"{name}, {design}"
            best = [tuning.tune(find(name), problem(design, k), budget=config.budget) for k in kappas]
            taus[f"{label}, best"] = [found.value for found in best]
            on_grid = name != "accelerated_sgd"
            if on_grid:
                taus[f"{label}, grid"] = [
                    min(rates.rate(find(name), problem(design, k), **values).tau for values in grid_values(name))
                    for k in kappas
                ]
            if name in config.sampled:
                tried = [grid_values(name) if on_grid else [found.hyperparameters] for found in best]
                taus[f"{label}, sampled"] = [
                    1 / sampled_rate(name, design, k, values, config.runs)
                    for k, values in zip(kappas, tried, strict=True)
                ]
            published[f"{label}, sampled"] = value
    taus["sgd, as printed, best"] = [tuning.tune(find("sgd"), printed(k), budget=config.budget).value for k in kappas]
    slopes = {label: float(np.polyfit(np.log(kappas), np.log(row), 1)[0]) for label, row in taus.items()}
    last = {
        f"nesterov, {d}, grid, last {kappas[-1] / kappas[-2]:g}-fold": float(
            np.log(taus[f"nesterov, {d}, grid"][-1] / taus[f"nesterov, {d}, grid"][-2])
            / np.log(kappas[-1] / kappas[-2])
        )
        for d in DESIGNS
    }
    near = max(
        abs(slopes[f"{name}, {design}, best"] - published[f"{name}, {design}, sampled"])
        for name in PUBLISHED
        for design in DESIGNS
        if name != "nesterov"
    )
    away = min(published[f"nesterov, {d}, sampled"] - slopes[f"nesterov, {d}, best"] for d in DESIGNS)
    short = {
        name: [published[f"{name}, {d}, sampled"] - slopes[f"{name}, {d}, sampled"] for d in DESIGNS]
        for name in config.sampled
    }
    drawn = {name: max(map(abs, row)) for name, row in short.items() if name != "nesterov"}
    return Outcome(
        measured=slopes | last,
        predicted={"sgd, as printed, best": 2.0, "nesterov, discrete, best": 0.5} | dict.fromkeys(last, 1.0),
        published=published,
        relation=f"best within 0.09 of published but for Nesterov (worst {near:.3f}), whose best is > 0.3 below "
        f"({away:.3f}) and whose grid ends at 1; "
        + (
            f"sampled within 0.03 of published for SGD ({drawn['sgd']:.3f}), 0.06 for heavy ball "
            f"({drawn['heavy_ball']:.3f}) and accelerated SGD ({drawn['accelerated_sgd']:.3f}), and for Nesterov not "
            f"published: > 0.1 below ({min(short['nesterov']):.3f})"
            if drawn
            else "not sampled at this size"
        ),
        holds=bool(
            near < 0.09
            and away > 0.3
            and abs(slopes["sgd, as printed, best"] - 2) < 0.1
            and min(last.values()) > 0.9
            and all(off < (0.03 if name == "sgd" else 0.06) for name, off in drawn.items())
            and min(short.get("nesterov", [1])) > 0.1
        ),
        series={"kappas": kappas, "taus": taus},
    )


def draw(result: Result, figure: Any) -> None:
    """Time constants of the best and of the grid, a panel a design."""
    figure.set_size_inches(8.0, 3.8)
    kappas = result.series["kappas"]
    for axes, design in zip(figure.subplots(1, 2, sharey=True), DESIGNS, strict=True):
        for name in PUBLISHED:
            look = plotting.look(name)
            axes.loglog(kappas, result.series["taus"][f"{name}, {design}, best"], **look)
            if name == "nesterov":
                look |= {"label": "nesterov, on the grid", "color": "black", "markerfacecolor": "none"}
                axes.loglog(kappas, result.series["taus"][f"{name}, {design}, grid"], **look)
        axes.set(xlabel="condition number", title=f"{design} inputs".capitalize())
    figure.axes[0].set_ylabel("best time constant (steps)")
    figure.axes[0].legend()
