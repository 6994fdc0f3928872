"""Where each way of adding momentum accelerates: tuned time constants against the batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import accelsim
from accelsim import plotting
from accelsim.exact.tune import tuning
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.results import Result

CLAIM = (
    "Heavy ball accelerates SGD only once the batch is large; weighing the current gradient separately "
    "(accelerated SGD) accelerates at every batch size."
)
ASSUMPTIONS = [
    "Gaussian streaming regression without label noise",
    "constant hyperparameters, tuned to the smallest exact time constant of each rule at each batch size",
    "tau, predicted: from the spectral radius of the second moments; measured: from the decay of stepped exact risks",
]
EXPECTED = True
RULES = ("sgd", "heavy_ball", "nesterov", "accelerated_sgd")
# Time constants from independent code, by batch size, in the order of RULES; no paper prints them.
RECORDED = {1: (937, 752, 466, 117), 4096: (250, 9.0, 13.5, 8.2)}


@dataclass(frozen=True)
class Config:
    dim: int = 12
    spectrum: str = "geometric:1e3"
    batches: tuple[int, ...] = tuple(2**k for k in range(13))
    horizon: float = 60.0  # steps of the measured decay, in time constants


FULL = Config()
TINY = Config(batches=(1, 32, 4096))


def decay_time(rule: Any, problem: Any, values: dict[str, Any], steps: int) -> float:
    """The time constant that exact risks show at the end of a run, in steps."""
    found = accelsim.risk(rule, problem, steps, **values)
    late = found.steps >= 0.6 * steps
    return -1 / np.polyfit(found.steps[late], np.log(found.risk[late]), 1)[0]


def run(config: Config, progress: Progress) -> Outcome:
    """Tune every rule at every batch size; measure the decay by stepping the exact moments."""
    predicted: dict[str, list[float]] = {name: [] for name in RULES}
    measured: dict[str, list[float]] = {name: [] for name in RULES}
    for place, batch in enumerate(config.batches):
        problem = make("linear_regression", dim=config.dim, spectrum=config.spectrum, batch=batch)
        for name in RULES:
            progress(place / len(config.batches), f"{name}, batch {batch}")
            best = tuning.tune(find(name), problem)
            predicted[name].append(best.value)
            steps = int(config.horizon * best.value) + 20
            measured[name].append(decay_time(find(name), problem, best.hyperparameters, steps))
    ends = {batch: config.batches.index(batch) for batch in RECORDED}
    recorded = {f"{name}, B = {b}": tau for b, row in RECORDED.items() for name, tau in zip(RULES, row, strict=True)}
    at_ends = {f"{name}, B = {b}": predicted[name][k] for b, k in ends.items() for name in RULES}
    shown = {f"{name}, B = {b}": measured[name][k] for b, k in ends.items() for name in RULES}
    gain = {name: np.array(predicted["sgd"]) / np.array(predicted[name]) for name in RULES}
    holds = (
        max(abs(at_ends[key] / tau - 1) for key, tau in recorded.items()) < 0.01
        and max(abs(shown[key] / tau - 1) for key, tau in at_ends.items()) < 0.05
        and gain["heavy_ball"][0] < 1.5
        and gain["heavy_ball"][-1] > 5
        and min(gain["accelerated_sgd"]) > 5
    )
    return Outcome(
        measured=shown,
        predicted=at_ends | {f"{key}, independent code": tau for key, tau in recorded.items()},
        relation="tau within 1% of independent code, decay of stepped risks within 5% of tau; heavy ball gains < 1.5x "
        "at B = 1 and > 5x at 4096, accelerated SGD > 5x always",
        holds=bool(holds),
        series={"batches": config.batches, "predicted": predicted, "measured": measured},
    )


def draw(result: Result, figure: Any) -> None:
    """Speed-up over SGD against batch size."""
    axes = figure.subplots()
    batches, taus = result.series["batches"], result.series["predicted"]
    for name in RULES:
        axes.loglog(batches, np.array(taus["sgd"]) / np.array(taus[name]), **plotting.look(name))
    axes.set_xscale("log", base=2)
    axes.set(xlabel="batch size (samples)", ylabel="speed-up over SGD (ratio of time constants)")
    axes.legend()
