"""How low the tuner's search gets, against global methods of SciPy, with the same budgets on the same objectives.

    python benchmarks/searches.py

Writes benchmarks/results/searches.json: for thirty problems of tuning (shipped rules and three of a user's with three
and four hyperparameters; rates with narrow and with sharp valleys, risks of short runs and after transients) and each
method the best value found with 600 and 2000 evaluations over the least that any method found; then, a method, in how
many cases it is within 1% and within 10% of it, and the mean logarithm of the ratio. `turns` is what tuning does: two
searches with half of the budget each, whose larger budget continues the smaller one. `rounds` is one turn of the whole
budget, which does not.
SciPy's methods are followed by simplex searches from their best place, again and again until the budget is used up.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

from accelsim import optimizer
from accelsim.exact.tune import goals, search, tuning
from accelsim.optimizers import find
from accelsim.problems import Problem, make
from accelsim.rule import Hyperparameter, Optimizer, momentum, step_size, weight

OUT = Path(__file__).parent / "results" / "searches.json"
BUDGETS = 600, 2000


@optimizer(positions="x z u", returns="u", lr=step_size(), beta=weight(), q=Hyperparameter(low=0, high=100))
def window(s: Any, t: Any, h: Any) -> Any:
    """Schedule-Free's iterates; returned are the points of its gradients, averaged with weights s^q."""
    g = yield h.beta * s.x + (1 - h.beta) * s.z
    z = s.z - h.lr * g
    x = s.x + (z - s.x) / (t + 1)
    point = h.beta * x + (1 - h.beta) * z
    return dict(z=z, x=x, u=s.u + (h.q + 1) / (t + 1 + h.q) * (point - s.u))


@optimizer(positions="w", memories="m n", returns="w", lr=step_size(), beta=momentum(), gamma=momentum(), mix=weight())
def two_memories(s: Any, t: Any, h: Any) -> Any:
    """Two memories, mixed."""
    g = yield s.w
    m, n = h.beta * s.m + g, h.gamma * s.n + g
    return dict(w=s.w - h.lr * (h.mix * m + (1 - h.mix) * n), m=m, n=n)


@optimizer(
    positions="w u",
    memories="m",
    returns="u",
    lr=step_size(),
    beta=momentum(),
    nu=weight(),
    q=Hyperparameter(low=0, high=100),
)
def averaged(s: Any, t: Any, h: Any) -> Any:
    """QHM, and a power average of its iterates."""
    g = yield s.w
    m = h.beta * s.m + (1 - h.beta) * g
    w = s.w - h.lr * ((1 - h.nu) * g + h.nu * m)
    return dict(w=w, m=m, u=s.u + (h.q + 1) / (t + 1 + h.q) * (w - s.u))


def noisy(batch: int, dim: int = 60, spectrum: str = "power:1") -> Problem:
    """A noisy quadratic."""
    return make("quadratic", dim=dim, spectrum=spectrum, grad_noise=1.0, batch=batch)


def regression(batch: int, spectrum: str = "geometric:1e3") -> Problem:
    """Gaussian regression."""
    return make("linear_regression", dim=12, spectrum=spectrum, label_noise=0.3, batch=batch)


def cases() -> dict[str, tuple[Optimizer, Problem, str]]:
    """Thirty objectives by name."""
    found: dict[str, tuple[Optimizer, Problem, str]] = {}
    for batch in (1, 4096):
        for name in ("heavy_ball", "accelerated_sgd", "accsgd", "jain"):
            found[f"{name}, rate, B = {batch}"] = find(name), regression(batch), "rate"
    found["qhm, rate, quadratic"] = find("qhm"), noisy(1), "rate"
    found["ademamix_sgd, rate, B = 64"] = find("ademamix_sgd"), regression(64), "rate"
    found["accsgd, rate, condition 1e6"] = find("accsgd"), regression(16, "geometric:1e6"), "rate"
    for batch in (1, 256, 65536):
        for rule in (window, averaged, two_memories):
            found[f"{rule}, risk@300, B = {batch}"] = rule, noisy(batch), "risk@300"
    found["window, risk@30, B = 4096"] = window, noisy(4096), "risk@30"
    found["window, risk@60, 6 directions"] = window, noisy(4096, 6, "geometric:100"), "risk@60"
    found["schedule_free, risk@300, B = 256"] = find("schedule_free"), noisy(256), "risk@300"
    for name, batch in (("accelerated_sgd", 256), ("accelerated_sgd", 65536), ("ademamix_sgd", 4096)):
        found[f"{name}, risk@300, B = {batch}"] = find(name), noisy(batch), "risk@300"
    found["accelerated_sgd, risk@300, regression"] = find("accelerated_sgd"), regression(64), "risk@300"
    found["jain, risk@100, B = 256"] = find("jain"), noisy(256), "risk@100"
    found["accsgd, risk@100, B = 256"] = find("accsgd"), noisy(256), "risk@100"
    found["mars_exact_sgd, risk@60, B = 64"] = find("mars_exact_sgd"), noisy(64, 10, "geometric:100"), "risk@60"
    return found


def turns(objective: search.Objective, axes: list[search.Axis], budget: int) -> None:
    """The tuner's search."""
    search.search(objective, axes, budget, 0)


def rounds(objective: search.Objective, axes: list[search.Axis], budget: int) -> None:
    """One turn of the whole budget."""
    run = search._Run(objective, axes, budget)
    run.rounds(budget, [0])
    run.polish(run.left)


def _of_scipy(start: Callable[[search._Run, list[tuple[float, float]]], Any]) -> Callable[..., None]:
    """A method, cut by the budget, and simplex searches after it while there is some left; then the method again."""

    def method(objective: search.Objective, axes: list[search.Axis], budget: int) -> None:
        run = search._Run(objective, axes, budget)
        try:
            while True:
                start(run, [(a.low, a.high) for a in axes])
                run.polish(budget // 4)
        except search._Spent:
            pass

    return method


@_of_scipy
def evolution(run: search._Run, box: list[tuple[float, float]]) -> None:
    """Differential evolution, a population of eight an axis over twenty generations."""
    from scipy.optimize import differential_evolution

    differential_evolution(run, box, popsize=8, maxiter=20, tol=0, atol=-1, polish=False, init="halton", rng=run.left)


@_of_scipy
def rectangles(run: search._Run, box: list[tuple[float, float]]) -> None:
    """DIRECT, locally biased, for half of what is left."""
    from scipy.optimize import direct

    direct(run, box, maxfun=max(run.left // 2, 1), maxiter=10**6, vol_tol=0, len_tol=0)


@_of_scipy
def annealing(run: search._Run, box: list[tuple[float, float]]) -> None:
    """Dual annealing with its own local searches."""
    from scipy.optimize import dual_annealing

    dual_annealing(run, box, maxfun=max(run.left // 2, 1), rng=run.left)


METHODS = {"turns": turns, "rounds": rounds, "evolution": evolution, "DIRECT": rectangles, "annealing": annealing}


def measured(name: str) -> dict[str, dict[str, float]]:
    """The best score of each method and budget in a case."""
    warnings.simplefilter("ignore")
    rule, problem, objective = cases()[name]
    goal, scale = goals.parse(objective), float(problem.spectrum.max())
    free = [tuning._freed(rule, one, scale, "constant", goal.horizon) for one in tuning._chosen(rule, None, {}, {})]
    space = tuning._Space(rule, problem, {}, free, 0, tuning._Watch(lambda done, least: None, math.inf))
    score = goal.on(rule, problem, space.inside)
    found: dict[str, dict[str, float]] = {}
    for method, work in METHODS.items():
        found[method] = {}
        for budget in BUDGETS:
            values = []

            def seen(x: Any, values: list[float] = values) -> float:
                with np.errstate(all="ignore"):
                    try:
                        values.append(score(space.values(np.asarray(x))))
                    except (ValueError, ArithmeticError):
                        values.append(goals.NOT_COMPUTABLE)
                return values[-1]

            work(seen, space.axes, budget)
            found[method][str(budget)] = min(values[:budget])
    return found


def main() -> None:
    """Run all of it."""
    names = list(cases())
    with Pool(os.cpu_count()) as pool:
        scores = dict(zip(names, pool.map(measured, names, chunksize=1), strict=True))
    least = {name: min(min(by.values()) for by in scores[name].values()) for name in names}
    over = {
        name: {
            method: {budget: float(np.exp(min(value - least[name], 700.0))) for budget, value in by.items()}
            for method, by in scores[name].items()
        }
        for name in names
    }
    summary = {
        method: {
            str(budget): {
                "within 1%": sum(over[name][method][str(budget)] <= 1.01 for name in names),
                "within 10%": sum(over[name][method][str(budget)] <= 1.1 for name in names),
                "mean log": math.fsum(math.log(over[name][method][str(budget)]) for name in names) / len(names),
            }
            for budget in BUDGETS
        }
        for method in METHODS
    }
    document = {"cases": len(names), "summary": summary, "value over the least found": over}
    OUT.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
