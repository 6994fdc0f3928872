"""How much learning rate small batches allow once momentum is close to 1: heavy ball against Nesterov."""

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

CLAIM = (
    "As momentum r tends to 1, the largest stable learning rate is min(4, 2 B u (1-r)) for heavy ball, u < 1/lam_1 the "
    "root of sum u lam / (1 - u lam) = 1, and min(4/3, (2B/c)^beta (1-r)) for Nesterov on eigenvalues j^-beta, "
    "c = (pi/beta) / sin(pi/beta)."
)
ASSUMPTIONS = [
    "Gaussian streaming regression, eigenvalues j^-beta, largest 1; momentum in theory style, lr on the raw sum m",
    "1 << B, and B << d where noise limits; 1-r at most 0.01; away from the corner where the two terms of the minimum "
    "meet: where they are within a factor of 30 of each other the edges lie below the minimum, down to half of it",
    "published: exponents of B and 1-r only (Wang, Huang, Li and Wu 2026), 1 for heavy ball and beta for Nesterov; the "
    "constants follow from their stability sums as 1-r tends to 0 with s = lr/(1-r) held: s lam / (2 B - s lam) summed "
    "for heavy ball, and for Nesterov (1/(2B)) s lam / (1 + s lam), which counts the eigendirections with s lam > 1",
    "heavy ball's constant is not 1 / tr H: each direction's own noise adds to the shared one, and u is 0.69 / tr H at "
    "beta = 2",
]
EXPECTED = True
RULES = ("heavy_ball", "nesterov")
CAPS = {"heavy_ball": 4.0, "nesterov": 4 / 3}  # without sampling noise, as r tends to 1


CORNER = 30  # the terms of the minimum are within this factor


@dataclass(frozen=True)
class Config:
    dim: int = 100_000
    powers: tuple[float, ...] = (1.5, 2.0, 3.0)
    batches: tuple[int, ...] = (8, 16, 32, 64)
    rest: float = 1e-7  # 1 - r where the batch varies
    rests: tuple[float, ...] = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6)
    batch: int = 16  # where 1 - r varies, at eigenvalues j^-2
    larger: tuple[int, ...] = (2**4, 2**6, 2**8, 2**10, 2**12, 2**14, 2**16, 2**18)
    near: float = 0.01  # 1 - r along the larger batches, at eigenvalues j^-2
    tolerance: float = 0.06


FULL = Config()
TINY = Config(dim=1000, powers=(2.0,), batches=(8, 32), rests=(1e-1, 1e-2, 1e-6), larger=(2**8, 2**16), tolerance=0.1)


def small(name: str, power: float, spectrum: Any, batch: int) -> float:
    """The critical lr / (1-r) of the noise-dominated regime."""
    from scipy.optimize import brentq

    if name == "heavy_ball":
        u = brentq(lambda u: (u * spectrum / (1 - u * spectrum)).sum() - 1, 0, (1 - 1e-9) / spectrum[0])
        return float(2 * batch * u)
    return float((2 * batch * np.sin(np.pi / power) * power / np.pi) ** power)


def run(config: Config, progress: Progress) -> Outcome:
    """Bisect the stability edge along the batch size at two momenta, and along 1 - r."""
    points = [(power, b, config.rest) for power in config.powers for b in config.batches]
    points += [(2.0, config.batch, rest) for rest in config.rests]
    points += [(2.0, b, config.near) for b in config.larger]
    edges: dict[str, list[float]] = {name: [] for name in RULES}
    theory: dict[str, list[float]] = {name: [] for name in RULES}
    apart: dict[str, list[float]] = {name: [] for name in RULES}  # noise's term over the cap
    for place, (power, batch, rest) in enumerate(points):
        progress(place / len(points), f"power {power}, batch {batch}, 1-r = {rest:g}")
        problem = make("linear_regression", dim=config.dim, spectrum=f"power:{power}", batch=batch)
        for name in RULES:
            apart[name].append(small(name, power, problem.spectrum, batch) * rest / CAPS[name])
            theory[name].append(CAPS[name] * min(1, apart[name][-1]))
            edges[name].append(rates.edge(find(name), problem, "lr", lr=theory[name][-1], beta=1 - rest) or np.nan)
    count = len(config.batches)
    slopes, expected, published = {}, {}, {}
    for place, power in enumerate(config.powers):
        for name in RULES:
            label = f"{name}, power {power:g}, exponent of B"
            part = slice(place * count, (place + 1) * count)
            slopes[label] = float(np.polyfit(np.log(config.batches), np.log(edges[name][part]), 1)[0])
            expected[label] = float(np.polyfit(np.log(config.batches), np.log(theory[name][part]), 1)[0])
            published[label] = 1.0 if name == "heavy_ball" else power
    ratio, far = (np.array([kind[name] for name in RULES]) for kind in (edges, apart))
    ratio /= [theory[name] for name in RULES]
    close = np.array([rest for *_, rest in points]) <= config.near
    noise, cap = close & (far < 1 / CORNER), close & (far > CORNER)
    noisy, capped = (float(np.abs(ratio[part] - 1).max(initial=0)) for part in (noise, cap))
    corner = ratio[close & ~noise & ~cap]
    last = {f"{name}, 1-r = {config.near:g}, B = {config.larger[-1]}": edges[name][-1] for name in RULES}
    ends = {f"{name}, 1-r = {config.near:g}, B = {config.larger[-1]}": theory[name][-1] for name in RULES}
    steep = max(abs(slopes[label] - value) for label, value in published.items())
    return Outcome(
        measured=slopes | last,
        predicted=expected | ends,
        published=published,
        relation=f"edges within {config.tolerance:.0%} of the constants where noise limits them (worst {noisy:.1%}) "
        f"and of the caps (worst {capped:.1%}, at {cap[0].sum()} and {cap[1].sum()} points); {corner.min():.2f} to "
        f"{corner.max():.2f} of the minimum in the corner; exponents of B within {config.tolerance} of 1 and beta "
        f"(worst {steep:.3f})",
        holds=bool(
            cap.any(axis=1).all()
            and noise.any(axis=1).all()
            and max(noisy, capped, steep) < config.tolerance
            and corner.min() > 0.5
            and corner.max() < 1 + config.tolerance
        ),
        series={"points": points, "edges": edges, "theory": theory},
    )


def draw(result: Result, figure: Any) -> None:
    """Stability edges beside the constants, along the batch size and along 1 - r."""
    figure.set_size_inches(11.0, 3.8)
    panels = left, middle, right = figure.subplots(1, 3)
    points = np.array(result.series["points"])
    rests, larger = len(result.config["rests"]), len(result.config["larger"])
    batches = len(result.config["batches"])
    first = result.config["powers"].index(2.0) * batches
    split = len(points) - larger
    parts = slice(first, first + batches), slice(split, None), slice(split - rests, split)
    for name in RULES:
        edges, theory = (np.array(result.series[kind][name]) for kind in ("edges", "theory"))
        for axes, part, column in zip(panels, parts, (1, 1, 2), strict=True):
            axes.loglog(points[part, column], edges[part], **(plotting.look(name) | {"linestyle": ""}))
            axes.loglog(points[part, column], theory[part], color="black", linestyle=":", label="_")
    for axes, rest in ((left, "rest"), (middle, "near")):
        axes.set_xscale("log", base=2)
        axes.set(xlabel="batch size (samples)", title=f"1-r = {result.config[rest]:g}")
    left.set_ylabel("largest stable lr")
    right.set(xlabel="1 - r", title=f"batch size {result.config['batch']}")
    right.plot([], [], color="black", linestyle=":", label="predicted")
    right.legend()
