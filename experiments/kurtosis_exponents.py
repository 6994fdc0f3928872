"""Whether Nesterov's method accelerates at batch size 1 hangs on the kurtosis of the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim import plotting
from accelsim.exact.tune import tuning
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.results import Result

CLAIM = (
    "On one-hot inputs of kurtosis c, Nesterov's time constant at batch size 1 grows like kappa^(1/2) for c < 3, "
    "kappa^(2/3) at c = 3 and kappa for c > 3; heavy ball's always like kappa, accelerated SGD's always like its root."
)
ASSUMPTIONS = [
    "one-hot inputs, two directions of probability 1/2, E x_i^4 = c lam_i^2, c >= 2 (Gaussian values: c = 6); no label "
    "noise; constant hyperparameters, tuned to the smallest exact time constant",
    "why: no direction feels another, and the steep one, x = lr lam, is stable while (c-1) x (2 + 3x) < 4 (1-r) + 4x - "
    "3x^2 for momentum r near 1: at any 1-r if c < 3, so that 1-r ~ kappa^(-1/2) is free; only for x of the order "
    "(1-r)^(1/2) at c = 3; and only for x of the order 1-r above, where lr / (1-r) is bounded as it is for heavy ball",
    "exponent: slope of log tau on log kappa over the last decade; that of c = 3.5 comes slowly, as x <= 4 (1-r) while "
    "the bound of c < 3 on it is of the order 1",
]
EXPECTED = True
# c = 3.5, over kappa from 1e3 to 1e4 and from 1e6 to 1e7, from independent code; no paper prints them.
RECORDED = {1e4: 0.87, 1e7: 0.99}
LIMITS = {"heavy_ball": 1.0, "accelerated_sgd": 0.5}


@dataclass(frozen=True)
class Config:
    kurtoses: tuple[float, ...] = (2.0, 2.5, 3.0, 3.5, 6.0)
    others: tuple[float, ...] = (2.0, 3.0, 6.0)  # kurtoses for heavy ball and accelerated SGD
    kappas: tuple[float, ...] = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7)
    budget: int = 2000  # rates a search


FULL = Config()
TINY = Config(kurtoses=(2.0, 3.0, 3.5), others=(6.0,), kappas=(1e3, 1e4, 1e6, 1e7), budget=300)


def limit(name: str, kurtosis: float) -> float:
    """The exponent of the condition number."""
    if name != "nesterov":
        return LIMITS[name]
    return 0.5 if kurtosis < 3 else 1.0 if kurtosis > 3 else 2 / 3


def run(config: Config, progress: Progress) -> Outcome:
    """Tune at every condition number; slopes of the last decade."""
    cases = [("nesterov", c) for c in config.kurtoses] + [(name, c) for name in LIMITS for c in config.others]
    taus: dict[str, list[float]] = {}
    slopes: dict[str, float] = {}
    recorded: dict[str, float] = {}
    for place, (name, kurtosis) in enumerate(cases):
        label = f"{name}, c = {kurtosis:g}"
        progress(place / len(cases), label)
        problems = (make("one_hot", spectrum=[1.0, 1 / kappa], kurtosis=kurtosis) for kappa in config.kappas)
        taus[label] = [tuning.tune(find(name), problem, budget=config.budget).value for problem in problems]
        slopes[label] = slope(config.kappas, taus[label], config.kappas[-1])
        if label == "nesterov, c = 3.5":
            for end, value in RECORDED.items():
                recorded[f"{label}, kappa to {end:g}"] = value
                slopes[f"{label}, kappa to {end:g}"] = slope(config.kappas, taus[label], end)
    limits = {f"{name}, c = {c:g}": limit(name, c) for name, c in cases}
    worst = max(abs(slopes[label] - value) for label, value in limits.items())
    apart = max(abs(slopes[label] - value) for label, value in recorded.items())
    return Outcome(
        measured=slopes,
        predicted=limits | recorded,
        relation=f"exponents within 0.03 of the limits (worst {worst:.3f}), those of c = 3.5 within 0.01 of "
        f"independent code (worst {apart:.3f})",
        holds=bool(worst < 0.03 and apart < 0.01),
        series={"kappas": config.kappas, "taus": taus},
    )


def slope(kappas: tuple[float, ...], taus: list[float], end: float) -> float:
    """Exponent over the decade of condition numbers that ends at one."""
    x, y = np.log(kappas), np.log(taus)
    inside = (x > np.log(end / 10) - 1e-6) & (x < np.log(end) + 1e-6)
    return float(np.polyfit(x[inside], y[inside], 1)[0])


def draw(result: Result, figure: Any) -> None:
    """Time constants over condition numbers, in units of the condition number's root."""
    axes = figure.subplots()
    kappas = np.array(result.series["kappas"])
    nesterov = 0
    for label, taus in result.series["taus"].items():
        name, _, kurtosis = label.partition(", c = ")
        look = plotting.look(name)
        if name == "nesterov":
            look |= {"label": label, "marker": plotting.MARKERS[nesterov], "color": plotting.PALETTE[nesterov]}
            nesterov += 1
        elif float(kurtosis) != result.config["others"][-1]:
            continue
        else:
            look |= {"label": f"{look['label']}, c = {kurtosis}", "color": "black"}
        axes.loglog(kappas, np.array(taus) / kappas**0.5, **look)
    axes.set(xlabel="condition number", ylabel=r"time constant / $\sqrt{\kappa}$ (steps)")
    axes.legend(fontsize=8)
