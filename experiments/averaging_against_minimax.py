"""What averaging makes of label noise: tail averages and Schedule-Free against the minimax rate d s2 / n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import accelsim
from accelsim import plotting
from accelsim.exact.stationary import rates
from accelsim.exact.tune import tuning
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import Problem, make
from accelsim.results import Result

CLAIM = (
    "After n samples the last half of SGD's iterates, or of accelerated SGD's, averages to twice the minimax risk d "
    "s2 / (2n), accelerated SGD from much fewer samples on, and Schedule-Free's window to 1 / (1 - b^2) times of it "
    "(5.3 at b = 0.9); each times what the iterates' own noise floor F adds, 1 + (1 + 1/d) 2 F / s2."
)
ASSUMPTIONS = [
    "Gaussian streaming regression, label noise of variance s2 = 1",
    "batch size 1; SGD and accelerated SGD at half of the steps of least time constant (1 - beta over sqrt 2), as at "
    "those themselves the noise floor is several times the label noise; Schedule-Free at SGD's lr",
    "minimax: half of d s2 / n, as the risk is half of the squared prediction error (Mourtada 2022: "
    "d s2 / (n - d - 1))",
    "F is the risk at which the points of the gradients settle: their multiplicative noise is averaged too "
    "(Schedule-Free's settle like SGD with lr (1-b))",
    "weights s^p over the gradients' points, p = b/(1-b), have a window of n (2p+1)/(p+1)^2 = n (1 - b^2) samples",
]
EXPECTED = True
MIXTURES = (0.5, 0.9)  # b of Schedule-Free
TAILS = ("sgd", "accelerated_sgd")


@dataclass(frozen=True)
class Config:
    dim: int = 12
    condition: float = 1e3
    error: float = 30.0  # initial, in every eigendirection
    samples: tuple[int, ...] = tuple(2**k for k in range(7, 20))
    tolerance: float = 0.05


FULL = Config()
TINY = Config(condition=100.0, samples=(128, 256, 512, 1024, 2048, 2**15), tolerance=0.1)


def milder(values: dict[str, Any]) -> dict[str, Any]:
    """Half of the steps, and momentum further from 1 to match."""
    return {name: 1 - (1 - value) / np.sqrt(2) if name == "beta" else value / 2 for name, value in values.items()}


def settled(rule: str, problem: Problem, values: dict[str, float]) -> float:
    """1 + (1 + 1/d) 2 F / s2 of constant hyperparameters."""
    floor = rates.floor(find(rule), problem, **values) or np.inf
    return float(1 + (1 + 1 / problem.dim) * 2 * floor)


def window(b: float) -> float:
    """Variance of an average with weights s^(b/(1-b)), in that of equal weights over as many samples."""
    return 1 / (1 - b**2)


def run(config: Config, progress: Progress) -> Outcome:
    """Exact risk in units of the minimax risk over the number of samples."""
    spectrum = f"geometric:{config.condition}"
    start = np.full(config.dim, config.error)
    problem = make("linear_regression", dim=config.dim, spectrum=spectrum, label_noise=1.0, init=start)
    best = {name: tuning.tune(find(name), problem) for name in TAILS}
    used = {name: milder(found.hyperparameters) for name, found in best.items()}
    units = np.array(config.samples) * 2 / config.dim
    ratios: dict[str, Any] = {}
    predicted: dict[str, float] = {}
    for place, name in enumerate(TAILS):
        progress(place / 3, name)
        rule = find(f"tail_average({name})")
        runs = [accelsim.risk(rule, problem, n, start=n // 2, **used[name]) for n in config.samples]
        ratios[name] = np.array([found.risk[-1] for found in runs]) * units
        predicted[name] = 2 * settled(name, problem, used[name])
    lr = used["sgd"]["lr"]
    for place, b in enumerate(MIXTURES):
        progress((2 + place / len(MIXTURES)) / 3, f"schedule_free, b = {b}")
        found = accelsim.risk(find("schedule_free"), problem, config.samples[-1], lr=lr, beta=b)
        ratios[f"schedule_free, b = {b}"] = np.interp(config.samples, found.steps, found.risk) * units
        predicted[f"schedule_free, b = {b}"] = window(b) * settled("sgd", problem, {"lr": (1 - b) * lr})
    measured = {name: float(row[-1]) for name, row in ratios.items()}
    worst = max(abs(measured[name] / value - 1) for name, value in predicted.items())
    near = {name: int(np.array(config.samples)[ratios[name] > 1.5 * predicted[name]].max(initial=1)) for name in TAILS}
    return Outcome(
        measured=measured | {f"{name}, last samples above 1.5 times its level": n for name, n in near.items()},
        predicted=predicted,
        relation=f"risk in units of d s2 / (2n) after {config.samples[-1]} samples within {config.tolerance:.0%} of "
        f"predicted (worst {worst:.1%}); accelerated SGD near its level with at most half of SGD's samples",
        holds=bool(worst < config.tolerance and 2 * near["accelerated_sgd"] <= near["sgd"]),
        series={"samples": config.samples, "ratios": ratios},
    )


def draw(result: Result, figure: Any) -> None:
    """Risk in units of the minimax risk over samples, with the predicted levels."""
    axes = figure.subplots()
    samples = result.series["samples"]
    for name, row in result.series["ratios"].items():
        rule, _, b = name.partition(", ")
        look = plotting.look(rule)
        look |= {"label": f"{look['label']}, {b or 'last half'}"}
        if b:
            look |= {"color": plotting.PALETTE[3 + MIXTURES.index(float(b.removeprefix("b = ")))], "marker": ""}
        axes.loglog(samples, row, **look)
        axes.axhline(result.predicted[name], color=look["color"], linewidth=0.8, linestyle=":")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(xlabel="samples n", ylabel="risk / (d s2 / 2n)")
    axes.legend()
