"""How much the current gradient should weigh beside the momentum, as the batch grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim import plotting
from accelsim.exact import tuning
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.results import Result

CLAIM = (
    "The best weight of the current gradient relative to the momentum, alpha/eta, is proportional to 1/B up to "
    "about B = d, and falls more slowly beyond."
)
ASSUMPTIONS = [
    "Gaussian streaming regression without label noise",
    "accelerated SGD in canonical form (momentum in theory style), tuned to the smallest exact time constant",
    "published: the rule of thumb of Morwani et al. 2025, alpha/eta proportional to 1/B throughout, from B = 1",
]
EXPECTED = True
# B alpha/eta from independent code; no paper prints it.
RECORDED = {1: 10.2, 2: 10.1, 4: 10.0, 8: 10.0, 16: 10.2, 32: 11.0, 64: 12.4, 256: 18.3, 4096: 57.0}


@dataclass(frozen=True)
class Config:
    dim: int = 12
    spectrum: str = "geometric:1e3"
    batches: tuple[int, ...] = tuple(2**k for k in range(13))


FULL = Config()
TINY = Config(batches=(1, 8, 64, 4096))


def run(config: Config, progress: Progress) -> Outcome:
    """Tune accelerated SGD at every batch size."""
    ratios = []
    for place, batch in enumerate(config.batches):
        progress(place / len(config.batches), f"batch {batch}")
        problem = make("linear_regression", dim=config.dim, spectrum=config.spectrum, batch=batch)
        best = tuning.tune(find("accelerated_sgd"), problem).hyperparameters
        ratios.append(best["alpha"] / best["eta"])
    scaled = {f"B = {batch}": batch * ratio for batch, ratio in zip(config.batches, ratios, strict=True)}
    recorded = {f"B = {batch}": value for batch, value in RECORDED.items() if batch in config.batches}
    error = max(abs(scaled[label] / value - 1) for label, value in recorded.items())
    small = [scaled[f"B = {batch}"] for batch in config.batches if batch <= config.dim]
    return Outcome(
        measured=scaled,
        predicted={f"{label}, independent code": value for label, value in recorded.items()},
        published=dict.fromkeys(scaled, scaled["B = 1"]),
        relation="B alpha/eta constant within 5% up to B = d, five times that at 4096; independent code within "
        f"{error:.1%}",
        holds=bool(error < 0.02 and max(small) / min(small) < 1.05 and scaled["B = 4096"] > 5 * scaled["B = 1"]),
        series={"batches": config.batches, "ratios": ratios},
    )


def draw(result: Result, figure: Any) -> None:
    """alpha/eta against batch size beside the line 1/B."""
    axes = figure.subplots()
    batches, ratios = np.array(result.series["batches"]), np.array(result.series["ratios"])
    axes.loglog(batches, ratios, **(plotting.look("accelerated_sgd") | {"label": "best alpha/eta"}))
    axes.loglog(batches, ratios[0] / batches, color="black", linestyle=":", label="proportional to 1/B")
    axes.axvline(result.config["dim"], color="black", linewidth=0.8)
    axes.annotate("B = d", (result.config["dim"], ratios[0]), xytext=(4, 0), textcoords="offset points")
    axes.set_xscale("log", base=2)
    axes.set(xlabel="batch size (samples)", ylabel="alpha / eta")
    axes.legend()
