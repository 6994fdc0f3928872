"""Steps to a target against batch size on the noisy quadratic model: momentum, preconditioning, iterate averaging."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

import accelsim
from accelsim import plotting
from accelsim.exact.long_runs import thresholds
from accelsim.exact.long_runs.thresholds import Fastest
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.results import Result
from accelsim.symbolic.system.tableau import linear_tableau

CLAIM = (
    "On the noisy quadratic model momentum saves less than a quarter of SGD's steps at batch sizes well below those "
    "where they stop to fall, and more than a quarter at the largest; iterate averaging saves more than momentum at "
    "the former and next to nothing at the latter; preconditioning takes no more steps, and lets each rule's steps "
    "fall up to larger batch sizes."
)
ASSUMPTIONS = [
    "H has eigenvalues 1/i, gradient noise has covariance H/B, every mode starts at error 1 (before preconditioning)",
    "steps until the expected risk is .01, the first time, the best of a grid of constant hyperparameters",
    "steps stop to fall at the knee: the first batch size with at most twice the steps of the largest; well below it "
    "is at most a quarter of it",
    "all modes one by one; the preconditioner is a fixed power H^-p; averaging is an EMA of SGD's iterates, returned",
]
EXPECTED = True
# Steps by batch size from independent code, p = 0; the paper draws them only, and quantizes the modes into 100 bins.
RECORDED = {"sgd": {4: 1515845, 2**10: 10371, 2**20: 7039}, "heavy_ball": {4: 1369880, 2**10: 5160, 2**20: 174}}
RULES = ("sgd", "heavy_ball", "ema(sgd)")
TARGET = 0.01
BELOW = 1 / 4  # of SGD's knee: where noise dominates


@dataclass(frozen=True)
class Config:
    dim: int = 10_000
    powers: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
    batches: tuple[int, ...] = tuple(2**k for k in range(21))
    coarser: int = 1  # every n-th of the grids' step sizes and momenta


FULL = Config()
TINY = Config(dim=300, powers=(0.0, 0.5), batches=tuple(4**k for k in range(11)), coarser=3)


def grid(name: str, coarser: int) -> list[dict[str, Any]]:
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
    last, before = (accelsim.risk(find(name), problem, (found.steps or 0) - k, **values).risk[-1] for k in (0, 1))
    return bool(last <= TARGET < before)


def knee(batches: Any, steps: Any) -> int:
    """The first batch size with at most twice the steps of the largest."""
    return int(np.array(batches)[steps <= 2 * steps[-1]][0])


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
    knees = {name: [knee(config.batches, steps[name, p]) for p in config.powers] for name in RULES}
    noisy = [np.array(config.batches) <= BELOW * batch for batch in knees["sgd"]]
    momentum, averaging = ([steps[name, p] / steps["sgd", p] for p in config.powers] for name in RULES[1:])
    descending = all((np.diff([steps[name, p] for p in config.powers], axis=0) <= 0).all() for name in RULES)
    holds = (
        all(measured[label] == count for label, count in known.items())
        and all(agree)
        and descending
        and all((np.diff(row) >= 0).all() and row[-1] > row[0] for row in knees.values())
        and all(taken[low].min() > 0.75 > taken[-1] for taken, low in zip(momentum, noisy, strict=True))
        and all(
            (mean[low] < taken[low]).all() and mean[-1] > 0.9
            for mean, taken, low in zip(averaging, momentum, noisy, strict=True)
        )
    )
    ends = {f"{name}, p = {p:g}, knee": b for name in RULES for p, b in zip(config.powers, knees[name], strict=True)}
    return Outcome(
        measured=measured | ends,
        predicted={f"{label}, independent code": count for label, count in known.items()},
        relation=("steps equal those of independent code; " if known else "")
        + "stepping agrees at the largest batch; up to a quarter of SGD's knee momentum saves less than a quarter of "
        "the steps and averaging more than momentum, at the largest batch momentum saves more than a quarter and "
        "averaging less than a tenth; more preconditioning never takes more steps nor lowers a knee, and raises each",
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
