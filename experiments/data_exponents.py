"""How the risk that a budget of samples buys falls with the budget, as the batch grows with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import accelsim
from accelsim import plotting
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.results import Result

CLAIM = (
    "Of D samples in batches of D^b, tuned SGD makes a risk D^-x with x = min(s/(s+1), s(1-b)), heavy ball one with "
    "min(s/(s+1), 2s(1-b)), and Nesterov, from b = s/(s+1) on, with min(s(1+(beta-1)b)/(s beta+1), 2s(1-b)): it alone "
    "gains from larger batches."
)
ASSUMPTIONS = [
    "Gaussian streaming regression, eigenvalues j^-beta, lam_j e_j^2 = j^-(1+s beta) at the start, label noise 1",
    "constant learning rate and momentum, tuned at each D and b to the least exact risk after D^(1-b) steps",
    "exponent: slope of the log of the risk on log D over the range of D, not its limit",
    "why, with E = lr / (1-r) and T steps: bias (E T)^-s against a noise floor of E/B for SGD and heavy ball, and of "
    "E^(1/beta)/B for Nesterov where E > 1; E at most 1 for SGD, and at most T with momentum, whose bias is then T^-2s",
]
EXPECTED = True
RULES = ("sgd", "heavy_ball", "nesterov")


@dataclass(frozen=True)
class Config:
    dim: int = 500
    source: float = 0.3
    power: float = 4.0
    samples: tuple[int, ...] = (2**14, 2**18, 2**22)
    shares: tuple[float, ...] = (0.23, 0.35, 0.46, 0.62, 0.7)  # b
    evaluations: int = 20  # of the risk, from each of two starts for a rule, D and b
    tolerance: float = 0.05


FULL = Config()
TINY = Config(dim=100, samples=(2**10, 2**14), shares=(0.46, 0.62), evaluations=12, tolerance=0.06)


def exponent(rule: str, b: float, s: float, beta: float) -> float:
    """The exponent of D as D grows."""
    noisy = s / (s + 1)
    if rule == "sgd":
        return min(noisy, s * (1 - b))
    if rule == "nesterov" and b > noisy:
        noisy = s * (1 + (beta - 1) * b) / (s * beta + 1)
    return min(noisy, 2 * s * (1 - b))


def guess(rule: str, batch: int, steps: int, s: float, beta: float) -> list[float]:
    """Logarithms of lr and of 1-r from the balance of bias and noise."""
    effective = (batch * steps**-s) ** (1 / (s + 1))
    if rule == "sgd":
        return [math.log(min(effective, 0.5))]
    if rule == "nesterov" and effective > 1:
        effective = (batch * steps**-s) ** (1 / (s + 1 / beta))
    effective = min(effective, 0.2 * steps)
    rest = min(0.5, 0.5 / effective)
    return [math.log(effective * rest), math.log(rest)]


def tuned_risk(rule: str, budget: int, share: float, config: Config) -> float:
    """The least risk after the samples are used up."""
    from scipy.optimize import minimize

    j = np.arange(1, config.dim + 1.0)
    beta, s, batch = config.power, config.source, round(budget**share)
    start = j ** ((beta - 1 - s * beta) / 2)
    problem = make("linear_regression", spectrum=j**-beta, init=start, batch=batch, label_noise=1.0)
    steps = round(budget / batch)

    def log_risk(x: Any) -> float:
        values: dict[str, Any] = {"lr": math.exp(x[0])} | ({"beta": 1 - math.exp(min(x[1], 0.0))} if len(x) > 1 else {})
        found = accelsim.risk(find(rule), problem, steps, **values)
        return math.log(found.risk[-1]) if found.diverged is None else 100.0 + steps / found.diverged

    best = math.inf
    for longer in (0.0, 1.4):  # in the logarithm of lr: the risk has two valleys where steps are few
        first = np.array(guess(rule, batch, steps, s, beta))
        first[0] += longer
        simplex = np.vstack([first, first - 0.7 * np.eye(len(first))])
        options: Any = dict(initial_simplex=simplex, maxfev=config.evaluations, xatol=0.02, fatol=1e-3)
        best = min(best, minimize(log_risk, first, method="Nelder-Mead", options=options).fun)
    return math.exp(best)


def run(config: Config, progress: Progress) -> Outcome:
    """Tune at every budget and share, fit the slopes."""
    risks: dict[str, list[list[float]]] = {name: [] for name in RULES}
    measured: dict[str, float] = {}
    predicted: dict[str, float] = {}
    for place, name in enumerate(RULES):
        for index, b in enumerate(config.shares):
            progress((place + index / len(config.shares)) / len(RULES), f"{name}, b = {b}")
            row = [tuned_risk(name, budget, b, config) for budget in config.samples]
            risks[name].append(row)
            measured[f"{name}, b = {b}"] = float(-np.polyfit(np.log(config.samples), np.log(row), 1)[0])
            predicted[f"{name}, b = {b}"] = exponent(name, b, config.source, config.power)
    worst = max(abs(measured[label] - value) for label, value in predicted.items())
    best = {name: max(measured[f"{name}, b = {b}"] for b in config.shares) for name in RULES}
    gain = best["nesterov"] - best["heavy_ball"]
    return Outcome(
        measured=measured,
        predicted=predicted,
        published=predicted,
        relation=f"exponents within {config.tolerance} (worst {worst:.3f}); Nesterov's best share gains > 0.05 on "
        f"heavy ball's ({gain:.3f})",
        holds=bool(worst < config.tolerance and gain > 0.05),
        series={"risks": risks},
    )


def draw(result: Result, figure: Any) -> None:
    """Exponents over the share b, with the limits."""
    axes = figure.subplots()
    shares = result.config["shares"]
    fine = np.linspace(0, 0.9, 200)
    for name in RULES:
        look = plotting.look(name)
        axes.plot(shares, [result.measured[f"{name}, b = {b}"] for b in shares], **(look | {"linestyle": ""}))
        limit = [exponent(name, b, result.config["source"], result.config["power"]) for b in fine]
        axes.plot(fine, limit, color=look["color"], linestyle=look["linestyle"])
    axes.set(xlabel="b, batches of D^b", ylabel="exponent of the risk in D")
    axes.legend(title="lines: predicted")
