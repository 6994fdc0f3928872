"""The same comparison in exact risk on real tables, whose rows are nothing like Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from accelsim import plotting
from accelsim.exact import moments
from accelsim.experiment import Outcome, Progress
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.problems.dataset import Dataset
from accelsim.results import Result

CLAIM = (
    "On the rows of real tables too, accelerated SGD forgets the initial point faster than SGD at small batch, where "
    "heavy ball gains next to nothing; at large batch both are much faster."
)
ASSUMPTIONS = [
    "exact moments over rows drawn with replacement; features and target standardized; start at w = 0",
    "parameters in closed form from second and fourth moments of the features (function `parameters`), not tuned",
    "gain: e-foldings of the bias after T steps, in those of SGD; predicted: on Gaussian rows of equal covariance",
    "the bias alone: label noise is larger under momentum, so the total risk may be larger (see `series`)",
]
EXPECTED = True
RULES = ("sgd", "heavy_ball", "jain")


@dataclass(frozen=True)
class Config:
    tables: tuple[str, ...] = ("diabetes", "digits")
    small: tuple[int, ...] = (1, 64)  # where noise dominates: digits has rows far longer than the average
    large: int = 4096
    steps: tuple[int, ...] = (4000, 1000)


FULL = Config()
TINY = Config(steps=(1000, 150))


class Facts(NamedTuple):
    """Largest and smallest eigenvalue of H; the least r2 with E |x|^2 x x^T <= r2 H,
    and the least ktilde with E (x^T H^-1 x) x x^T <= ktilde H."""

    top: float
    low: float
    r2: float
    ktilde: float


def facts(table: Dataset) -> Facts:
    """What the parameters are made of, from the rows."""
    rows = table.modes(table.features)
    white = rows / np.sqrt(table.spectrum)

    def largest(weights: Any) -> float:
        return float(np.linalg.eigvalsh((white.T * weights) @ white / len(white))[-1])

    r2, ktilde = largest((rows**2).sum(axis=1)), largest((white**2).sum(axis=1))
    return Facts(float(table.spectrum.max()), float(table.spectrum.min()), r2, ktilde)


def parameters(known: Facts, batch: int) -> dict[str, dict[str, float]]:
    """Step sizes and momenta for a batch size: those of Jain et al. 2018, Theorem 1, with constants 1.

    SGD and heavy ball take the momentum-free step 1/R^2 of the same analysis; heavy ball's noise grows by 1/(1 - beta),
    which its step size makes up for.
    """
    r2, ktilde = known.top + known.r2 / batch, 1 + known.ktilde / batch
    root = np.sqrt(r2 / known.low * ktilde)
    alpha, beta = root / (1 + root), 1 / root
    decay = alpha * (1 - beta)
    return {
        "sgd": dict(lr=1 / r2),
        "heavy_ball": dict(lr=1 / (known.top + known.r2 / batch / (1 - decay)), beta=decay),
        "jain": dict(alpha=alpha, beta=beta, gamma=beta / known.low, delta=1 / r2),
    }


def run(config: Config, progress: Progress) -> Outcome:
    """Exact risks on the tables and on their Gaussian twins."""
    measured: dict[str, float] = {}
    predicted: dict[str, float] = {}
    curves: dict[str, Any] = {}
    holds = True
    for table, small, steps in zip(config.tables, config.small, config.steps, strict=True):
        for batch in (small, config.large):
            progress(len(curves) / 4, f"{table}, batch {batch}")
            rows = Dataset(data=table, batch=batch)
            twin = make("linear_regression", spectrum=rows.spectrum, init=rows.modes(rows.start), batch=batch)
            place = f"{table}, B = {batch}"
            values = parameters(facts(rows), batch)
            runs = {name: moments.risk(find(name), rows, steps, **values[name]) for name in RULES}
            twins = {name: moments.risk(find(name), twin, steps, **values[name]) for name in RULES}
            for name in RULES[1:]:
                measured[f"{name}, {place}"] = gain(runs[name], runs["sgd"])
                predicted[f"{name}, {place}"] = gain(twins[name], twins["sgd"])
            curves[place] = {name: dict(steps=r.steps, bias=r.bias, risk=r.risk) for name, r in runs.items()}
            heavy, accelerated = (measured[f"{name}, {place}"] for name in RULES[1:])
            holds &= (accelerated > 1.2 and heavy < 1.2) if batch == small else min(heavy, accelerated) > 2
    return Outcome(
        measured=measured,
        predicted=predicted,
        relation="gain of accelerated SGD > 1.2, of heavy ball < 1.2 at small batch; both > 2 at large batch",
        holds=bool(holds),
        series={"curves": curves},
    )


def gain(one: moments.Risk, other: moments.Risk) -> float:
    """E-foldings of the bias of one run in those of another."""
    return float(np.log(one.bias[-1] / one.bias[0]) / np.log(other.bias[-1] / other.bias[0]))


def draw(result: Result, figure: Any) -> None:
    """Exact bias over steps, a panel a table and batch size."""
    figure.set_size_inches(6.4, 5.6)
    panels = figure.subplots(2, 2).ravel()
    for axes, (place, runs) in zip(panels, result.series["curves"].items(), strict=True):
        for name, run in runs.items():
            look = plotting.look(name) | {"marker": ""}
            axes.loglog(run["steps"][1:], np.array(run["bias"][1:]) / run["bias"][0], **look)
        axes.set(title=place, xlabel="steps", ylabel="bias / initial risk")
        axes.set_ylim(max(1e-8, axes.get_ylim()[0]), 2)
    panels[0].legend()
