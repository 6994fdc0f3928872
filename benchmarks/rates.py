"""How long a rate takes, with its bounds and without, and with dense eigenvalues, in one process on one core.

    python benchmarks/rates.py [largest dimension] [dimension of the dense comparison]

Writes benchmarks/results/rates.json: seconds of processor time, each the least of three or the median of eleven pairs,
and the machine.
"""

from __future__ import annotations

import json
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from accelsim import problems
from accelsim.exact.stationary import dense, norms
from accelsim.exact.stationary.rates import constant_system, edge, gap, guess
from accelsim.exact.stationary.secular import Secular
from accelsim.optimizers import find
from accelsim.problems import Uncoupled
from accelsim.problems.linear_regression import LinearRegression
from accelsim.problems.quadratic import Quadratic

OUT = Path(__file__).parent / "results" / "rates.json"
RULES: dict[str, dict[str, float]] = {
    "sgd": dict(lr=0.01),
    "accelerated_sgd": dict(eta=1e-3, alpha=1e-2, beta=0.99),
    "ademamix_sgd": dict(lr=1e-3, beta1=0.5, beta3=0.99, alpha=2.0),
    "mars_exact_sgd": dict(lr=1e-2, beta=0.9, gamma=0.025),
}
PAIRS = 11  # runs with bounds and without, in turns


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Least processor time of some runs."""
    taken = []
    for _ in range(repeats):
        start = process_time()
        work()
        taken.append(process_time() - start)
    return min(taken)


def regression(dim: int) -> LinearRegression:
    """Gaussian regression at a batch size at which these rules are stable in every dimension."""
    return LinearRegression(dim=dim, spectrum="geometric:1e6", batch=max(1, dim // 10))


def quadratic(dim: int) -> Quadratic:
    """The noisy quadratic, where the rate is the mean's alone."""
    return Quadratic(dim=dim, spectrum="geometric:1e6")


def bounded(name: str, problem: Uncoupled) -> dict[str, float]:
    """A rate with its bounds and as a solver finds it, in turns: medians of the times and of their ratios."""
    rule, values = find(name), RULES[name]
    gap(rule, problem, **values)
    pairs = [
        (
            seconds(lambda: gap(rule, problem, **values), repeats=1),
            seconds(lambda: guess(rule, problem, **values), repeats=1),
        )
        for _ in range(PAIRS)
    ]
    ratios = [slow / quick for slow, quick in pairs]
    return {
        "rate": median(slow for slow, _ in pairs),
        "guess": median(quick for _, quick in pairs),
        "rate over guess": median(ratios),
        "least ratio": min(ratios),
        "largest ratio": max(ratios),
    }


def timed(name: str, dim: int) -> dict[str, float]:
    """A rate from the rule on, from its matrices on, and an evaluation of its equation at the root."""
    problem, rule, values = regression(dim), find(name), RULES[name]
    root = gap(rule, problem, **values)
    system, step = constant_system(rule, **values)
    solver = Secular(system, step, problem)
    return {
        "rate": seconds(lambda: gap(rule, problem, **values)),
        "from matrices": seconds(lambda: Secular(system, step, problem).gap()),
        "evaluation": seconds(lambda: norms.excess(root, *solver.equation)),
    }


def against_dense(name: str, dim: int) -> dict[str, float]:
    """The rate, and LAPACK's eigenvalues of the same map written out."""
    problem, rule, values = regression(dim), find(name), RULES[name]
    dense.LARGEST = sys.maxsize
    solver = dense.Dense(*constant_system(rule, **values), problem)
    roots: list[float] = []
    slow = seconds(lambda: roots.append(solver.gap()), repeats=1)
    quick = timed(name, dim)
    roots.append(gap(rule, problem, **values))
    return {
        "unknowns": len(solver.change),
        "dense": slow,
        **quick,
        "dense over rate": slow / quick["rate"],
        "dense over from matrices": slow / quick["from matrices"],
        "dense over evaluation": slow / quick["evaluation"],
        "difference of rho": abs(roots[0] - roots[-1]),
    }


def on_digits() -> dict[str, float]:
    """Rate and edge of stability on the rows of digits."""
    problem, rule = problems.make("dataset", data="digits", batch=16), find("accelerated_sgd")
    values = dict(eta=1e-4, alpha=1e-3, beta=0.99)
    return {
        "rate": seconds(lambda: gap(rule, problem, **values)),
        "edge": seconds(lambda: edge(rule, problem, "eta", **values), repeats=1),
    }


def main() -> None:
    """Time them all."""
    largest, compared = (int(float(text)) for text in [*sys.argv[1:], *("1e6", "1000")[len(sys.argv) - 1 :]])
    dims = [10**k for k in range(2, 8) if 10**k <= largest]
    document = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "seconds": {name: {str(dim): timed(name, dim) for dim in dims} for name in RULES},
        "bounds": {
            kind: {name: {str(dim): bounded(name, make(dim)) for dim in dims} for name in RULES}
            for kind, make in (("linear_regression", regression), ("quadratic", quadratic))
        },
        f"against dense eigenvalues, d = {compared}": {
            name: against_dense(name, compared) for name in ("sgd", "accelerated_sgd")
        },
        "digits": on_digits(),
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
