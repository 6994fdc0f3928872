"""Momentum that tends to 1 with a constant step: runs that converge at first and diverge later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import accelsim
from accelsim import plotting
from accelsim.exact import moments
from accelsim.exact.stationary import rates
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import Problem, make
from accelsim.results import Result

CLAIM = (
    "With a constant step lr under multiplicative noise, heavy ball with momentum 1 - 1/k always diverges, from about "
    "k = 2 B u / lr on, sum u lam / (1 - u lam) = 1; Nesterov with 1 - 3/k diverges iff, over x = lr lam, "
    "sum (2 + 3x) / (4B - 2 - 3(B+1) x) >= 1, which for small steps is B <= (d+1)/2; Schedule-Free, eta_t ~ 1/t, stays "
    "stable."
)
ASSUMPTIONS = [
    "Gaussian streaming regression without label noise",
    "onset, measured: k at which the spectral radius of the step with its momentum held at 1 - 1/k passes 1; the risk "
    "itself turns within the oscillation around it",
    "published: k = 2B / (lr tr H), and B <= (d+1)/2 at any step; the first leaves out each direction's own noise, the "
    "second is the limit of small steps: at lr = 0.3 batches above (d+1)/2 diverge too",
    "the sums are those of Wang, Huang, Li and Wu 2026 in the limit of momentum 1",
]
EXPECTED = True


@dataclass(frozen=True)
class Config:
    dim: int = 12
    spectrum: str = "geometric:10"
    lr: float = 0.02  # of heavy ball and Schedule-Free
    batches: tuple[int, ...] = (1, 8)
    lengths: float = 20.0  # of their runs, in onsets
    lrs: tuple[float, ...] = (0.3, 0.03)  # of Nesterov
    steps: tuple[int, ...] = (4000, 30_000)
    rest: float = 1e-6  # 1 - momentum that stands for its limit


FULL = Config()
TINY = Config(batches=(1,), lrs=(0.3,), steps=(4000,))


def onset(problem: Problem, lr: float) -> float:
    """The k of heavy ball's instability."""
    from scipy.optimize import brentq

    lam = problem.spectrum
    u = brentq(lambda u: (u * lam / (1 - u * lam)).sum() - 1, 0, (1 - 1e-9) / lam.max())
    return float(2 * problem.batch * u / lr)


def bounded(problem: Problem, lr: float) -> bool:
    """Whether Nesterov stays stable as its momentum tends to 1."""
    x, b = lr * problem.spectrum, problem.batch
    rest = 4 * b - 2 - 3 * (b + 1) * x
    return bool((rest > 0).all() and ((2 + 3 * x) / rest).sum() < 1)


def run(config: Config, progress: Progress) -> Outcome:
    """Step the exact risks, and find where the step with its momentum held turns unstable."""

    def at(batch: int) -> Problem:
        return make("linear_regression", dim=config.dim, spectrum=config.spectrum, batch=batch)

    measured: dict[str, float] = {}
    predicted: dict[str, float] = {}
    published: dict[str, float] = {}
    curves: dict[str, list[Any]] = {"heavy_ball": [], "schedule_free": [], "nesterov": []}
    holds = True

    def step(rule: str, batch: int, steps: int, **values: Any) -> moments.Risk:
        progress(len(measured) / (2 * len(config.batches) + len(config.lrs)), f"{rule}, batch {batch}")
        found = accelsim.risk(find(rule), at(batch), steps, **values)
        curves[rule].append(dict(batch=batch, lr=values["lr"], steps=found.steps[: len(found.risk)], risk=found.risk))
        return found

    for batch in config.batches:
        label = f"heavy_ball, B = {batch}, onset"
        predicted[label] = onset(at(batch), config.lr)
        published[label] = 2 * batch / config.lr / float(at(batch).spectrum.sum())
        measured[label] = 1 / (1 - (rates.edge(find("heavy_ball"), at(batch), "beta", lr=config.lr, beta=0.5) or 0))
        steps = int(config.lengths * predicted[label])
        heavy = step("heavy_ball", batch, steps, lr=config.lr, beta="t/(t+1)")
        free = step("schedule_free", batch, steps, lr=config.lr)
        grown = np.log10(heavy.risk[-1] / heavy.risk.min())
        rise = float(np.diff(np.log(free.risk)).max())
        measured[f"schedule_free, B = {batch}, largest rise of ln risk"] = rise
        holds &= bool(abs(measured[label] / predicted[label] - 1) < 0.05 and grown > 2 and rise < 0)
    for lr, steps in zip(config.lrs, config.steps, strict=True):
        label = f"nesterov, lr = {lr}, largest batch that diverges"
        batches = range(1, 2 * config.dim)
        predicted[label] = max(b for b in batches if not bounded(at(b), lr))
        published[label] = (config.dim + 1) // 2
        held = {b: rates.rate(find("nesterov"), at(b), lr=lr, beta=1 - config.rest).stable for b in batches}
        measured[label] = max(b for b, stable in held.items() if not stable)
        inside, outside = (
            step("nesterov", b, steps, lr=lr, beta="t/(t+3)")
            for b in (int(predicted[label]), int(predicted[label]) + 1)
        )
        holds &= bool(all(held[b] == bounded(at(b), lr) for b in batches))
        holds &= bool(inside.risk[-1] > 10 * inside.risk.min() and outside.risk[-1] == outside.risk.min())
    return Outcome(
        measured=measured,
        predicted=predicted,
        published=published,
        relation="onsets within 5%; heavy ball's risk then grows 100-fold and more while Schedule-Free's only falls; "
        "Nesterov's verdict as predicted at every batch, and the stepped risk turns on one side of it only",
        holds=holds,
        series={"curves": curves},
    )


def draw(result: Result, figure: Any) -> None:
    """Risk over steps: heavy ball and Schedule-Free with the predicted onsets, and Nesterov beside its limit."""
    figure.set_size_inches(8.0, 3.8)
    left, right = figure.subplots(1, 2)
    curves = result.series["curves"]
    dashes = ("-", "--")
    for rule in ("heavy_ball", "schedule_free"):
        for place, curve in enumerate(curves[rule]):
            look = plotting.look(rule) | {"linestyle": dashes[place], "marker": ""}
            look["label"] += f", B = {curve['batch']}"
            left.loglog(curve["steps"][1:], curve["risk"][1:], **look)
            onset = result.predicted[f"heavy_ball, B = {curve['batch']}, onset"]
            left.axvline(onset, color="black", linewidth=0.8, linestyle=dashes[place])
    left.set(xlabel="steps", ylabel="excess risk", title=f"lr = {result.config['lr']}; lines: predicted onset")
    left.set_ylim(top=1e3)
    for place, curve in enumerate(curves["nesterov"]):
        look = plotting.look("nesterov") | {"color": plotting.PALETTE[place // 2], "marker": ""}
        look |= {"linestyle": dashes[place % 2], "label": f"lr = {curve['lr']}, B = {curve['batch']}"}
        right.loglog(curve["steps"][1:], curve["risk"][1:], **look)
    right.set(xlabel="steps", title="Nesterov")
    right.set_ylim(1e-12, 1e3)
    for axes in (left, right):
        axes.legend(facecolor="white", framealpha=0.9, frameon=True, edgecolor="none")
