"""Where label noise lets the risk settle: heavy ball's floor grows with lr / (1-r), Nesterov's with a root of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim import plotting
from accelsim.exact.stationary import rates
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.results import Result
from accelsim.spectra import Array

CLAIM = (
    "With E = lr / (1-r), heavy ball's risk settles at s2 E tr H / (4B) and Nesterov's at s2 / (4B) times the sum of "
    "E lam / (1 + E lam): on eigenvalues j^-beta like heavy ball's for E << 1, and for 1 << E << min(d, B)^beta at "
    "s2 c E^(1/beta) / (4B), c = (pi/beta) / sin(pi/beta)."
)
ASSUMPTIONS = [
    "Gaussian streaming regression, eigenvalues j^-beta, label noise of variance s2 = 1; small lr lam, momentum r in "
    "theory style, lr on the raw sum m",
    "floors: the fixed point of the exact second moments",
    "where the floor F is no longer small beside s2, noise from the error itself adds to it, by a factor of about "
    "1 + 2 F / s2: measured is F / (1 + 2 F / s2)",
    "published (Wang, Huang, Li and Wu 2026): s2 E tr H / (2B), twice heavy ball's floor, so their risk has no factor "
    "1/2; and E^(1/beta) without its constant",
]
EXPECTED = True
RULES = ("heavy_ball", "nesterov")


@dataclass(frozen=True)
class Config:
    dim: int = 100_000
    powers: tuple[float, ...] = (1.5, 2.0, 3.0)
    batch: int = 2**18
    lr: float = 0.01
    effective: tuple[float, ...] = tuple(float(e) for e in np.geomspace(0.01, 1e4, 13))  # E, from lr itself on
    large: float = 100.0  # E from which on the root is seen


FULL = Config()
TINY = Config(dim=1000, powers=(2.0,), effective=(0.01, 0.1, 1.0, 1e2, 1e3))


def predicted_floor(rule: str, spectrum: Array, batch: int, effective: float) -> float:
    """The floor, while it is small beside the label noise of variance 1."""
    seen = effective * spectrum
    return float((seen if rule == "heavy_ball" else seen / (1 + seen)).sum() / (4 * batch))


def run(config: Config, progress: Progress) -> Outcome:
    """Exact floors over E."""
    floors: dict[str, dict[str, list[float]]] = {}
    theory: dict[str, dict[str, list[float]]] = {}
    slopes: dict[str, float] = {}
    limits: dict[str, float] = {}
    worst = 0.0
    late = np.array(config.effective) >= config.large
    for place, power in enumerate(config.powers):
        progress(place / len(config.powers), f"power {power}")
        shared = dict(dim=config.dim, spectrum=f"power:{power}", batch=config.batch)
        problem = make("linear_regression", label_noise=1.0, **shared)
        floors[str(power)], theory[str(power)] = {}, {}
        for name in RULES:
            values = [dict(lr=config.lr, beta=1 - config.lr / e) for e in config.effective]
            row = np.array([rates.floor(find(name), problem, **at) or np.inf for at in values])
            row /= 1 + 2 * row
            expected = [predicted_floor(name, problem.spectrum, config.batch, e) for e in config.effective]
            floors[str(power)][name], theory[str(power)][name] = row.tolist(), expected
            worst = max(worst, float(np.abs(row / expected - 1).max()))
            label = f"{name}, power {power:g}, exponent of E"
            slopes[label] = float(np.polyfit(np.log(config.effective)[late], np.log(row[late]), 1)[0])
            limits[label] = 1.0 if name == "heavy_ball" else 1 / power
    steep = max(abs(slopes[label] - limit) for label, limit in limits.items())
    top = f"{config.powers[-1]:g}, E = {config.effective[-1]:g}"
    return Outcome(
        measured=slopes | {f"{name}, power {top}": floors[str(config.powers[-1])][name][-1] for name in RULES},
        predicted=limits | {f"{name}, power {top}": theory[str(config.powers[-1])][name][-1] for name in RULES},
        published=limits | {f"heavy_ball, power {top}": 2 * theory[str(config.powers[-1])]["heavy_ball"][-1]},
        relation=f"floors within 4% of predicted (worst {worst:.1%}); exponents from E = {config.large:g} on within "
        f"0.05 of 1 and 1/beta (worst {steep:.3f})",
        holds=bool(worst < 0.04 and steep < 0.05),
        series={"floors": floors, "theory": theory},
    )


def draw(result: Result, figure: Any) -> None:
    """Floors over E, a panel a spectrum."""
    figure.set_size_inches(8.0, 3.4)
    effective = result.config["effective"]
    panels = figure.subplots(1, len(result.series["floors"]), sharey=True, squeeze=False)[0]
    for axes, (power, rows) in zip(panels, result.series["floors"].items(), strict=True):
        for name, row in rows.items():
            axes.loglog(effective, row, **(plotting.look(name) | {"linestyle": ""}))
            axes.loglog(effective, result.series["theory"][power][name], color="black", linewidth=0.8)
        axes.set(xlabel="lr / (1-r)", title=f"eigenvalues j^-{power}")
    panels[0].plot([], [], color="black", linewidth=0.8, label="predicted")
    panels[0].set_ylabel("noise floor of the risk")
    panels[0].legend()
