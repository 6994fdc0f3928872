"""How long tuning takes, against the plain alternative: all points of a grid, by the same rates.

    python benchmarks/tuning.py

Writes benchmarks/results/tuning.json: for accelerated SGD the best time constant found and on a 40 x 40 x 40 grid, with
their evaluations and seconds of processor time; tuning at ten thousand directions; tuning of risks, step by step and
without stepping; and the noisy quadratic model's table. Seconds are of processor time, so that other work on the
machine does not count; walls are beside them.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from itertools import product
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from accelsim.experiments import noisy_quadratic_model as model

from accelsim.exact.tune import goals
from accelsim.exact.tune.tuning import tune
from accelsim.optimizers import find
from accelsim.problems import make

OUT = Path(__file__).parent / "results" / "tuning.json"
RULE = "accelerated_sgd"
POINTS = 40
GRID = {
    "eta": np.logspace(-5, 1, POINTS),
    "alpha": np.logspace(-4, 0.5, POINTS),
    "beta": 1 - np.logspace(-5, 0, POINTS),
}


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """A result, and the seconds it took."""
    wall, processor = perf_counter(), process_time()
    found = work()
    return found, {"seconds": process_time() - processor, "wall": perf_counter() - wall}


def regression(dim: int, batch: int) -> Any:
    """Gaussian regression of condition number 1000."""
    return make("linear_regression", dim=dim, spectrum="geometric:1e3", batch=batch)


def noisy(dim: int, batch: int) -> Any:
    """A noisy quadratic."""
    return make("quadratic", dim=dim, spectrum="power:1", grad_noise=1.0, batch=batch)


def on_grid(problem: Any) -> float:
    """The least time constant on the grid, by the rates that tuning uses."""
    points = [dict(zip(GRID, point, strict=True)) for point in product(*(row.tolist() for row in GRID.values()))]
    score = goals.Rate().on(find(RULE), problem, points[0])
    return float(np.exp(min(score(point) for point in points)))


def against_grid(batch: int) -> dict[str, Any]:
    """Tuning and the grid, one after the other."""
    problem = regression(12, batch)
    found, ours = timed(lambda: tune(find(RULE), problem))
    best, plain = timed(lambda: on_grid(problem))
    return {
        "tuned": {"tau": found.value, "evaluations": found.evaluations, **ours},
        "grid": {"tau": best, "evaluations": POINTS**3, **plain},
        "grid over tuned": {"tau": best / found.value, "seconds": plain["seconds"] / ours["seconds"]},
    }


def alone(problem: Any, objective: str) -> dict[str, Any]:
    """Tuning without anything beside it."""
    tune(find(RULE), problem, objective, budget=20)  # what is compiled is compiled before
    found, ours = timed(lambda: tune(find(RULE), problem, objective))
    return {"value": found.value, "evaluations": found.evaluations, **ours}


def main() -> None:
    """Run all of it."""
    tune(find(RULE), regression(2, 1), budget=20)  # what is compiled is compiled before
    model.fastest("sgd", 0.0, model.TINY)
    _, table = timed(
        lambda: [model.fastest(name, p, model.FULL) for p, name in product(model.FULL.powers, model.RULES)]
    )
    document = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "12 directions": {f"B = {batch}": against_grid(batch) for batch in (1, 4096)},
        "10000 directions": {f"B = {batch}": alone(regression(10_000, batch), "rate") for batch in (1, 4096)},
        "10000 directions, quadratic, B = 1": alone(noisy(10_000, 1), "rate"),
        "risk@300, 12 directions, B = 64": alone(regression(12, 64), "risk@300"),
        "risk@300, 60 directions, quadratic, B = 256": alone(noisy(60, 256), "risk@300"),
        "noisy quadratic model, 4 preconditioners, 21 batch sizes, 3 rules": table,
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
