"""Steps to a target against batch size on the noisy quadratic model: momentum, preconditioning, iterate averaging."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from accelsim import plotting
from accelsim.exact import moments, thresholds
from accelsim.exact.thresholds import Fastest
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.results import Result
from accelsim.symbolic.tableau import linear_tableau

CLAIM = (
    "On the noisy quadratic model momentum saves steps at large batch sizes only, preconditioning saves more and moves "
    "the batch size beyond which steps stop to fall, and iterate averaging saves steps where noise dominates."
)
ASSUMPTIONS = [
    "H has eigenvalues 1/i, gradient noise has covariance H/B, every mode starts at error 1 (before preconditioning)",
    "steps until the expected risk is .01, the first time, the best of a grid of constant hyperparameters",
    "all modes one by one; the preconditioner is a fixed power H^-p; averaging is an EMA of SGD's iterates, returned",
]
EXPECTED = True
# Steps by batch size from independent code, p = 0; the paper draws them only, and quantizes the modes into 100 bins.
RECORDED = {"sgd": {4: 1515845, 2**10: 10371, 2**20: 7039}, "heavy_ball": {4: 1369880, 2**10: 5160, 2**20: 174}}
RULES = ("sgd", "heavy_ball", "ema(sgd)")
TARGET = 0.01


@dataclass(frozen=True)
class Config:
    dim: int = 10_000
    powers: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
    batches: tuple[int, ...] = tuple(2**k for k in range(21))
    coarser: int = 1  # every n-th of the grids' step sizes and momenta


FULL = Config()
TINY = Config(dim=300, powers=(0.0, 0.5), batches=(4, 2**10, 2**20), coarser=3)


def grid(name: str, coarser: int) -> list[dict[str, float]]:
    """The hyperparameters searched: Zhang et al.'s grids; averaging decays as momenta do."""
    rates = np.logspace(-5, 0.5, 100) if name != "heavy_ball" else np.logspace(-8, 1, 100)
    memories = {"sgd": "", "heavy_ball": "beta", "ema(sgd)": "decay"}[name]
    if not memories:
        return [{"lr": lr} for lr in rates[::coarser].tolist()]
    decays = (1 - np.logspace(-5, 0, 20))[::coarser].tolist()
    return [{"lr": lr, memories: decay} for lr, decay in product(rates[::coarser].tolist(), decays)]


def noisy_quadratic(power: float, dim: int, batch: int) -> Any:
    """The model with the preconditioner H^-power.

    In the coordinates H^(power/2) e that is plain descent on the Hessian H^(1 - power) with noise of that covariance.
    """
    h = 1 / np.arange(1, dim + 1)
    return make("quadratic", spectrum=h ** (1 - power), init=h ** (power / 2), grad_noise=1.0, batch=batch)


def fastest(name: str, power: float, config: Config) -> list[Fastest]:
    """The fewest steps of a rule at every batch size, with the preconditioner H^-power."""
    tableau = linear_tableau(find(name))
    rules = [tableau.at(0, values) for values in grid(name, config.coarser)]
    return thresholds.fastest(noisy_quadratic(power, config.dim, 1), rules, tableau.translation, TARGET, config.batches)


def crosses(name: str, power: float, batch: int, found: Fastest, config: Config) -> bool:
    """Whether stepping the exact moments says so too: the risk is at most the target then, and not a step before."""
    values = grid(name, config.coarser)[found.place or 0]
    problem = noisy_quadratic(power, config.dim, batch)
    last, before = (moments.risk(find(name), problem, (found.steps or 0) - k, **values).risk[-1] for k in (0, 1))
    return bool(last <= TARGET < before)


def run(config: Config, progress: Progress) -> Outcome:
    """Search every grid for every preconditioner, at all batch sizes."""
    steps: dict[tuple[str, float], Any] = {}
    agree = []
    for place, (power, name) in enumerate(product(config.powers, RULES)):
        progress(place / len(config.powers) / len(RULES), f"{name}, p = {power:g}")
        found = fastest(name, power, config)
        steps[name, power] = np.array([one.steps for one in found])
        agree.append(crosses(name, power, config.batches[-1], found[-1], config))
    measured = {
        f"{name}, p = {power:g}, B = {batch}": int(row[config.batches.index(batch)])
        for (name, power), row in steps.items()
        for batch in RECORDED["sgd"]
    }
    recorded = {f"{name}, p = 0, B = {b}": count for name, row in RECORDED.items() for b, count in row.items()}
    known = recorded if config.dim == FULL.dim and config.coarser == 1 else {}
    gains = {name: [steps["sgd", p] / steps[name, p] for p in config.powers] for name in RULES}
    descending = all((np.diff([steps[name, p] for p in config.powers], axis=0) <= 0).all() for name in RULES)
    holds = (
        all(measured[label] == count for label, count in known.items())
        and all(agree)
        and descending
        and all(gain[0] < 1.25 and gain[-1] > 1.3 for gain in gains["heavy_ball"])
        and all(gain[0] > 1.25 and gain[-1] < 1.1 for gain in gains["ema(sgd)"])
    )
    return Outcome(
        measured=measured,
        predicted={f"{label}, independent code": count for label, count in known.items()},
        relation="steps equal those of independent code; stepping agrees at the largest batch; at the smallest batch "
        "momentum saves less than a fifth and averaging more, at the largest momentum saves more than a quarter and "
        "averaging nothing; more preconditioning never takes more steps",
        holds=bool(holds),
        series={
            "batches": config.batches,
            "powers": config.powers,
            "steps": {name: [steps[name, p] for p in config.powers] for name in RULES},
        },
    )


def draw(result: Result, figure: Any) -> None:
    """Steps against batch size, a panel for each preconditioner."""
    powers = result.series["powers"]
    figure.set_size_inches(3.2 * len(powers), 3.4)
    panels = figure.subplots(1, len(powers), sharey=True, squeeze=False)[0]
    for k, (axes, power) in enumerate(zip(panels, powers, strict=True)):
        for name in RULES:
            axes.loglog(result.series["batches"], result.series["steps"][name][k], **plotting.look(name))
        axes.set_xscale("log", base=2)
        title = f"preconditioner $H^{{-{power:g}}}$" if power else "no preconditioner"
        axes.set(title=title, xlabel="batch size (samples)")
    panels[0].set_ylabel(f"steps until the risk is {TARGET}")
    panels[0].legend()
