"""Exact moments beside the plain alternatives, in one run: compiled code, NumPy and JAX's `lax.scan`.

    python benchmarks/moments.py [shrink]

Needs jax. `shrink` divides the number of steps, for a try on a busy machine; CPU seconds are given beside wall time.
Writes benchmarks/results/moments.json.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import numpy as np

import accelsim
from accelsim.exact import moments
from accelsim.exact.kernel import Kernel
from accelsim.exact.tables import Tables
from accelsim.optimizers import find
from accelsim.problems import make
from accelsim.symbolic.system.tableau import linear_tableau

OUT = Path(__file__).parent / "results" / "moments.json"
CANONICAL = dict(eta=1e-3, alpha=1e-2, beta=0.9)
RULES = {
    "sgd": dict(lr=0.01),
    "accelerated_sgd": CANONICAL,
    "schedule_free": dict(lr=0.02, beta=0.9),
    "jain": dict(alpha=0.1, beta=0.1, gamma=0.01, delta=0.01),
    "aggmo": dict(lr=0.01),
    "mars_sgd": dict(lr=0.01),
    "mars_exact_sgd": dict(lr=0.01),
    "tail_average(accelerated_sgd)": CANONICAL,
}


def timed(run: Callable[[], Any]) -> dict[str, float]:
    """Wall and CPU seconds of a call, each the least of three after a first one, which compiles."""
    run()
    taken = []
    for _ in range(3):
        wall, cpu = perf_counter(), process_time()
        run()
        taken.append((perf_counter() - wall, process_time() - cpu))
    wall, cpu = map(min, zip(*taken, strict=True))
    return {"wall": wall, "cpu": cpu}


def recursion(u: Any, v: Any, w: Any, lam: Any, batch: int, noise: float) -> tuple[Any, Any, Any]:
    """One step of the canonical form in its three moments, as a person writes it for NumPy or JAX."""
    eta, alpha, beta = CANONICAL.values()
    c, q = eta + alpha, eta * beta
    x = lam * u
    y = lam * v
    g = lam * ((1 + 1 / batch) * x + (x.sum() + noise) / batch)
    return (
        u - 2 * c * x - 2 * q * v + 2 * q * c * y + q**2 * w + c**2 * g,
        beta * v + x - c * beta * y - q * y - q * beta * w - c * g,
        beta**2 * w + 2 * beta * y + g,
    )


def in_numpy(problem: Any, steps: int) -> float:
    """The risk by NumPy."""
    u, v, w = problem.start**2, 0 * problem.spectrum, 0 * problem.spectrum
    for _ in range(steps):
        u, v, w = recursion(u, v, w, problem.spectrum, problem.batch, 0.0)
    return float(problem.spectrum @ u / 2)


def in_jax(problem: Any, steps: int) -> Callable[[], float]:
    """The risk by JAX."""
    jax.config.update("jax_enable_x64", True)
    lam = jax.numpy.asarray(problem.spectrum)

    @jax.jit
    def run(u: Any, v: Any, w: Any) -> Any:
        moved = jax.lax.scan(
            lambda s, _: (recursion(*s, lam=lam, batch=problem.batch, noise=0.0), None), (u, v, w), None, length=steps
        )
        return lam @ moved[0][0] / 2

    zero = 0 * lam
    return lambda: float(run(jax.numpy.asarray(problem.start) ** 2, zero, zero))


def against_plain(shrink: int) -> dict[str, Any]:
    """A billion mode-steps of the canonical form, and the same recursion by the others on fewer steps."""
    d, steps = 10**4, 10**5 // shrink
    fewer = max(steps // 20, 1)
    problem = make("linear_regression", dim=d, spectrum="power:1", batch=4)
    noisy = make("linear_regression", dim=d, spectrum="power:1", batch=4, label_noise=1.0)
    rule = find("accelerated_sgd")
    jitted = in_jax(problem, fewer)
    np.testing.assert_allclose(
        accelsim.risk(rule, problem, fewer, **CANONICAL).risk[-1], in_numpy(problem, fewer), 1e-9
    )
    np.testing.assert_allclose(jitted(), in_numpy(problem, fewer), 1e-9)
    took = {
        "accelsim": timed(lambda: accelsim.risk(rule, problem, steps, **CANONICAL)),
        "accelsim, bias and variance on two cores": timed(lambda: accelsim.risk(rule, noisy, steps, **CANONICAL)),
        "numpy": timed(lambda: in_numpy(problem, fewer)),
        "jax": timed(jitted),
    }
    done = {name: d * (fewer if name in ("numpy", "jax") else steps) for name in took}
    each = {name: 1e9 * seconds["cpu"] / done[name] for name, seconds in took.items()}
    return {
        "modes": d,
        "steps": steps,
        "seconds": took,
        "nanoseconds of CPU a mode-step": each,
        "times faster than numpy": each["numpy"] / each["accelsim"],
        "times faster than jax": each["jax"] / each["accelsim"],
    }


def by_rule(shrink: int) -> dict[str, Any]:
    """Nanoseconds of CPU a mode-step, a pair of states, and of the pair over the canonical form's."""
    problem = make("linear_regression", dim=10**4, spectrum="power:1", batch=4)
    steps = max(10**4 // shrink, 10)
    found: dict[str, Any] = {}
    for name, values in RULES.items():
        tableau = linear_tableau(find(name), **values)
        tables = Tables(tableau, values)
        kernel = Kernel(problem, tables, moments.starts(tableau, problem, False).second, False, False)
        before = process_time()
        systems = tables.take(steps)
        table = process_time() - before
        seconds = timed(lambda: kernel.advance(systems, steps))["cpu"]  # noqa: B023
        each = 1e9 * seconds / steps / problem.dim
        found[name] = {
            "states": kernel.size,
            "mode-step": each,
            "pair of states": each / (kernel.size * (kernel.size + 1) / 2),
            "microseconds a step for coefficients": 1e6 * table / steps,
        }
    for row in found.values():
        row["pair over canonical"] = row["pair of states"] / found["accelerated_sgd"]["pair of states"]
    return found


def on_digits(shrink: int) -> dict[str, float]:
    """Milliseconds a step on the digits: risk, bias and variance together."""
    problem = make("dataset", data="digits", batch=16)
    steps = max(100 // shrink, 5)
    took = timed(lambda: accelsim.risk(find("sgd"), problem, steps, lr=0.01))
    return {kind: 1e3 * seconds / steps for kind, seconds in took.items()}


def leapt() -> dict[str, Any]:
    """A billion steps at d = 300."""
    problem = make("linear_regression", dim=300, batch=4, label_noise=1.0)
    took = timed(lambda: accelsim.risk(find("accelerated_sgd"), problem, 10**9, eta=1e-4, alpha=2e-3, beta=0.99))
    found = accelsim.risk(find("accelerated_sgd"), problem, 10**9, eta=1e-4, alpha=2e-3, beta=0.99)
    return {"seconds": took, "relative error": float((found.error / found.risk).max())}


def grown(shrink: int) -> float:
    """Megabytes by which ten times as many steps of a schedule raise the most memory taken."""
    problem = make("linear_regression", dim=100)
    most = []
    for steps in (10**5 // shrink, 10**6 // shrink):
        accelsim.risk(find("sgd"), problem, steps, lr="1/(t+10)")
        most.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return (most[1] - most[0]) / 1024


def main() -> None:
    """Measure everything."""
    shrink = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    document = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "jax": jax.__version__,
        },
        "shrink": shrink,
        "canonical": against_plain(shrink),
        "rules, nanoseconds": by_rule(shrink),
        "digits, milliseconds a step": on_digits(shrink),
        "1e9 steps at d = 300": leapt(),
        "megabytes more for ten times the steps": grown(shrink),
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
