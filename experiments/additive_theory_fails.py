"""The control: a theory of the wrong noise must be caught by the comparison that the right one passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import accelsim
from accelsim import plotting, stats
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.results import Result
from accelsim.simulation.driver import simulate

CLAIM = "A theory with additive gradient noise predicts streaming regression, whose noise is multiplicative."
ASSUMPTIONS = [
    "same Hessian, batch size and noise at the optimum in both theories",
    "SGD, constant step size; the sample size was fixed beforehand",
]
EXPECTED = False
LIMIT = 5.0


@dataclass(frozen=True)
class Config:
    replicas: int = 40_000
    steps: int = 100
    batch: int = 8
    dim: int = 6
    spectrum: str = "power:1.5"
    noise: float = 0.01
    lr: float = 0.5
    seed: int = 7


FULL = Config()
TINY = Config(replicas=2_000, steps=40)


def run(config: Config, progress: Progress) -> Outcome:
    """Compare one simulation with both theories."""
    shared = dict(dim=config.dim, spectrum=config.spectrum, batch=config.batch)
    regression = make("linear_regression", label_noise=config.noise, **shared)
    additive = make("quadratic", grad_noise=config.noise, **shared)
    rule = find("sgd")
    given = rule, regression, config.steps, config.replicas
    simulation = simulate(*given, backend="numpy", seed=config.seed, lr=config.lr)
    right = accelsim.risk(rule, regression, config.steps, lr=config.lr).risk
    wrong = accelsim.risk(rule, additive, config.steps, lr=config.lr).risk
    theories = {"additive": wrong, "multiplicative": right}
    z = {name: abs(stats.z_scores(simulation, theory)).max() for name, theory in theories.items()}
    return Outcome(
        measured={f"largest |z|, {name} theory": float(value) for name, value in z.items()},
        predicted={"largest |z|, at most": LIMIT},
        relation=f"|z| < {LIMIT} with the additive theory ({config.replicas} replicas)",
        holds=bool(z["additive"] < LIMIT or z["multiplicative"] >= LIMIT),
        series={
            "steps": simulation.steps,
            "mean": simulation.mean,
            "error": simulation.standard_error,
            **theories,
        },
    )


def draw(result: Result, figure: Any) -> None:
    """Simulated risk with its standard errors, and both theories."""
    axes = figure.subplots()
    series = result.series
    steps = series["steps"][1:]
    axes.loglog(steps, series["multiplicative"][1:], color="black", label="exact, multiplicative noise")
    axes.loglog(steps, series["additive"][1:], color=plotting.PALETTE[1], linestyle="--", label="additive noise")
    spread = [3 * error for error in series["error"][1:]]
    look = dict(fmt="o", color=plotting.PALETTE[0], markersize=4, label="simulated, ±3 s.e.")
    axes.errorbar(steps, series["mean"][1:], spread, **look)
    axes.set(xlabel="steps", ylabel="excess risk", title=f"SGD, batch size {result.config['batch']}")
    axes.legend()
