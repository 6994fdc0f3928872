"""DANA against SGD on power-law features: memory that grows with time changes the exponent of the risk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import accelsim
from accelsim import plotting
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems.linear_regression import LinearRegression
from accelsim.results import Result
from accelsim.spectra import Array

CLAIM = (
    "On power-law features with 2a > 1 > 2b SGD's risk falls as t^-(2a+2b-1)/(2a), and DANA with decaying g3 makes "
    "the exponent larger by the factor 2 - 1/(2a); for b < a < 1/2 DANA's risk falls as SGD's does."
)
ASSUMPTIONS = [
    "deterministic proxy: Gaussian streaming regression, eigenvalues j^-2a, target coefficients j^-b, no label noise, "
    "batch size 1, start at w = 0",
    "g1 = 1, g2 = min(1, 1/tr H)/2, g3 = (1+t)^(-1/(2a))/10, delta = 1 + max(2 + (2b-1)/a, 2 - 1/a), t from 0; lr = g2",
    "exponent: slope of log risk on log t over the last decade; DANA's comes slowly, 1.11, 1.16, 1.19 near "
    "t = 1e3, 1e4, 1e5 at a = 1, b = 0.3",
    "where 2a < 1 the slopes are compared with each other only: 10^6 features end SGD's power law before t = 1e6. The "
    "memory adds g3 t / (delta + 1) to a step of g2, a part that falls as t^(1 - 1/(2a)): slowly, so near a = 1/2 the "
    "slopes still differ (1.05 times SGD's at a = 0.45, b = 0.2). Where a < b DANA's risk is larger and grows: at "
    "a = 0.3, b = 0.4 it is 1.2, 1.4, 1.6 of SGD's at t = 3e4, 1e5, 1e6",
    "eigenvalues that differ by less than 2% are one, as often repeated as there are of them, with their sum",
]
EXPECTED = True


@dataclass(frozen=True)
class Config:
    exponents: tuple[tuple[float, float], ...] = (  # (a, b)
        (1.0, 0.3),
        (1.5, 0.2),
        (0.75, 0.4),
        (0.4, 0.3),
        (0.35, 0.2),
        (0.3, 0.25),
    )
    features: int = 10**6
    steps: int = 10**6
    tolerance: float = 0.04


FULL = Config()
TINY = Config(exponents=((1.0, 0.3), (0.4, 0.3)), features=10**5, steps=10**5, tolerance=0.07)


@dataclass(frozen=True, eq=False, kw_only=True)
class Repeated(LinearRegression):
    """Streaming regression with every eigenvalue repeated `counts` times; a direction stands for their sum."""

    counts: Any

    @cached_property
    def left(self) -> Array:
        return np.asarray(self.counts * self.spectrum / self.batch)


def features(a: float, b: float, count: int) -> Repeated:
    """The proxy, with like eigenvalues made one."""
    j = np.arange(1, count + 1, dtype=float)
    ratio = 1.02 ** (1 / (2 * a))
    first = np.unique(np.round(ratio ** np.arange(np.log(count) / np.log(ratio)))).astype(int) - 1
    counts = np.diff(first, append=count)
    eigenvalues = np.add.reduceat(j ** (-2 * a), first) / counts
    start = (np.add.reduceat(j ** (-2 * a - 2 * b), first) / eigenvalues) ** 0.5
    return Repeated(spectrum=eigenvalues, init=start, counts=counts)


def gain(a: float) -> float:
    """The factor between DANA's exponent and SGD's."""
    return max(1.0, 2 - 1 / (2 * a))


def exponent(rule: str, a: float, b: float) -> float:
    """The exponent of the risk in t where 2a > 1."""
    return (2 * a + 2 * b - 1) / (2 * a) * (gain(a) if rule == "dana" else 1)


def run(config: Config, progress: Progress) -> Outcome:
    """Step the exact risks and fit their slopes."""
    measured: dict[str, float] = {}
    predicted: dict[str, float] = {}
    curves: dict[str, Any] = {}
    worst = 0.0
    for place, (a, b) in enumerate(config.exponents):
        progress(place / len(config.exponents), f"a = {a}, b = {b}")
        problem = features(a, b, config.features)
        g2 = 0.5 * min(1, 1 / float(problem.counts @ problem.spectrum))
        delta = 1 + max(2 + (2 * b - 1) / a, 2 - 1 / a)
        settings: dict[str, dict[str, Any]] = {
            "sgd": dict(lr=g2),
            "dana": dict(g1=1, g2=g2, g3=f"(1+t)**(-{1 / (2 * a)})/10", delta=delta),
        }
        ends = []
        for name, values in settings.items():
            found = accelsim.risk(find(name), problem, config.steps, **values)
            label = f"{name}, a = {a}, b = {b}"
            late = found.steps >= config.steps / 10
            measured[label] = float(-np.polyfit(np.log(found.steps[late]), np.log(found.risk[late]), 1)[0])
            curves[label] = dict(steps=found.steps, risk=found.risk)
            ends.append(float(found.risk[-1]))
            if 2 * a > 1:
                predicted[label] = exponent(name, a, b)
                worst = max(worst, abs(measured[label] - predicted[label]))
        measured[f"risk of DANA over SGD's, a = {a}, b = {b}"] = ends[1] / ends[0]
    same = max(
        abs(measured[f"dana, a = {a}, b = {b}"] / measured[f"sgd, a = {a}, b = {b}"] - gain(a))
        for a, b in config.exponents
        if 2 * a < 1
    )
    return Outcome(
        measured=measured,
        predicted=predicted,
        published=predicted,
        relation=f"exponents within {config.tolerance} where 2a > 1 (worst {worst:.3f}); where 2a < 1 DANA's "
        f"slope over SGD's within {config.tolerance} of 1 (worst {same:.3f})",
        holds=bool(max(worst, same) < config.tolerance),
        series={"curves": curves},
    )


def draw(result: Result, figure: Any) -> None:
    """Risk over steps with lines of the predicted slope, a panel a case."""
    cases = result.config["exponents"]
    figure.set_size_inches(3.2 * min(len(cases), 2), 2.8 * ((len(cases) + 1) // 2))
    panels = figure.subplots((len(cases) + 1) // 2, min(len(cases), 2), squeeze=False).ravel()
    for axes, (a, b) in zip(panels, cases, strict=False):
        for name in ("sgd", "dana"):
            label = f"{name}, a = {a}, b = {b}"
            steps, risk = (np.array(result.series["curves"][label][kind][1:]) for kind in ("steps", "risk"))
            axes.loglog(steps, risk, **(plotting.look(name) | {"marker": ""}))
            late = steps >= steps[-1] / 100
            if label in result.predicted:
                line = 2 * risk[-1] * (steps[late] / steps[-1]) ** -result.predicted[label]
                axes.loglog(steps[late], line, color="black", linewidth=0.8)
        axes.set(title=f"a = {a}, b = {b}", xlabel="steps", ylabel="risk")
    panels[0].plot([], [], color="black", linewidth=0.8, label="predicted slope")
    panels[0].legend()
