"""Simulation beside the plain alternatives, in one run on two cores: JAX, a NumPy loop and PyTorch.

    python benchmarks/simulation.py [--shrink N] [--backend numba|numpy] [--only CASE ...]

Repetitions are interleaved; times are medians of the wall, with least and most, and seconds of computing beside them.
A peer records the risk after the last step only, accelsim at all its log-spaced steps. Each peer runs as people write
it, and once more as two halves of the replicas on a Python thread each, which keeps both cores busy. The risks found
are held against the exact ones (Adam's and Lion's against accelsim's), in z-scores; so that a pass means something,
they are also held against those of a problem with more noise, which they must refute.

Writes benchmarks/results/simulation.json and the figure simulation_scaling beside it; a part of the cases, shrunk
(fewer steps, for a try on a busy machine) or on another backend is only printed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import accelsim
from accelsim import plotting, problems
from accelsim.optimizers import find

RESULTS = Path(__file__).parent / "results"
CORES = 2
REPETITIONS = 5
MISSING = "not installed"
SURE = 5.0  # standard errors
PEERS = {"jax": "with_jax", "numpy": "with_numpy", "torch": "with_torch"}
# With these steps the risk shows the noise's size; with one sample a gradient they must be smaller not to diverge.
ACCELERATED = dict(eta=1e-2, alpha=0.1, beta=0.9)
LARGE_BATCH = dict(eta=2e-2, alpha=0.3, beta=0.9)
ONE_SAMPLE = dict(eta=1e-4, alpha=1e-3, beta=0.9)
REPLICAS, DIM, STEPS = 256, 1024, 1000
SIDES = {  # replicas, coordinates and steps of the smallest run; the one named grows a thousandfold
    "replicas": (10, 256, 1000),
    "coordinates": (16, 100, 1600),
    "steps": (16, 1600, 100),
}
HALF_DECADES = 6
FEW = 10  # steps of what draws whole batches
COMMANDS = {
    "accelerated_sgd, noisy quadratic": "accelerated_sgd --set eta=1e-3 --set alpha=1e-2 --set beta=0.9"
    " --problem quadratic --grad-noise 1",
    "adamw, noisy quadratic": "adamw --problem quadratic --grad-noise 1",
    "accelerated_sgd, regression": "accelerated_sgd --set eta=1e-3 --set alpha=1e-2 --set beta=0.9"
    " --problem linear_regression --batch 8",
}


@dataclass(frozen=True)
class Risk:
    """Mean over replicas after the last step, and its standard error."""

    mean: float
    error: float


Run = Callable[[int], Risk]  # of a seed


@dataclass
class Taken:
    """What the repetitions of a run took, in seconds, and found."""

    wall: list[float] = field(default_factory=list)
    computing: list[float] = field(default_factory=list)
    found: list[Risk] = field(default_factory=list)

    def once(self, run: Run, seed: int) -> None:
        """One more repetition."""
        wall, computing = perf_counter(), process_time()
        found = run(seed)
        self.wall.append(perf_counter() - wall)
        self.computing.append(process_time() - computing)
        self.found.append(found)

    @property
    def risk(self) -> Risk:
        """That of all repetitions together."""
        count = len(self.found)
        error = math.hypot(*(found.error for found in self.found)) / count
        return Risk(statistics.mean(found.mean for found in self.found), error)

    def nanoseconds(self, count: int) -> dict[str, float]:
        """A piece of work's, where one repetition does so many."""
        wall, computing = ([1e9 * seconds / count for seconds in row] for row in (self.wall, self.computing))
        return {**spread(wall), "computing": statistics.median(computing)}


def spread(times: list[float]) -> dict[str, float]:
    """What is said of repetitions."""
    return {"median": statistics.median(times), "least": min(times), "most": max(times)}


def interleaved(runs: dict[str, Run]) -> dict[str, Taken]:
    """Repetitions of all runs in turn, after one of each that compiles; every repetition has a seed of its own."""
    for run in runs.values():
        run(0)
    taken = {name: Taken() for name in runs}
    for seed in range(1, REPETITIONS + 1):
        for name, run in runs.items():
            taken[name].once(run, seed)
    return taken


def ours(rule: str, problem: Any, steps: int, replicas: int, dtype: str, backend: str, values: dict[str, float]) -> Run:
    """A run of accelsim."""

    def run(seed: int) -> Risk:
        found = accelsim.simulate(
            find(rule), problem, steps, replicas, seed=seed, backend=backend, dtype=dtype, **values
        )
        return Risk(float(found.mean[-1]), float(found.standard_error[-1]))

    return run


def theirs(peer: Any, run: Callable[[int, int], Any], replicas: int) -> dict[str, Run]:
    """A peer's run as it is, and in halves on two threads."""
    alone = getattr(peer, "alone", lambda: None)

    def risk(found: Any) -> Risk:
        found = np.asarray(found, dtype=float)
        return Risk(float(found.mean()), float(found.std(ddof=1)) / math.sqrt(replicas))

    def halved(seed: int) -> Risk:
        with ThreadPoolExecutor(CORES, initializer=alone) as pool:
            seeds = range(CORES * seed, CORES * (seed + 1))
            return risk(np.concatenate(list(pool.map(lambda part: run(part, replicas // CORES), seeds))))

    return {"": lambda seed: risk(run(seed, replicas)), ", two threads": halved}


def with_peers(names: list[str], entry: str, arguments: tuple[Any, ...], replicas: int, values: Any) -> dict[str, Run]:
    """The runs of those peers that are installed."""
    runs: dict[str, Run] = {}
    for name in names:
        try:
            peer = import_module(f"peers.{PEERS[name]}")
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            print(f"{name}: {MISSING}")
            continue
        made = getattr(peer, entry)(*arguments, **values)
        runs |= {f"{name}{form}": run for form, run in theirs(peer, made, replicas).items()}
    return runs


def z_score(found: Risk, expected: Risk) -> float:
    """Distance in standard errors."""
    return (found.mean - expected.mean) / math.hypot(found.error, expected.error)


def exact(rule: str, problem: Any, steps: int, values: dict[str, float]) -> Risk:
    """The exact risk after the last step."""
    return Risk(float(accelsim.risk(find(rule), problem, steps, **values).risk[-1]), 0.0)


def compared(taken: dict[str, Taken], work: dict[str, int], truths: dict[str, tuple[Risk, Risk]]) -> dict[str, Any]:
    """Nanoseconds a piece of work, ratios to accelsim, and whether the risks are right and not the wrong ones."""
    median = {name: statistics.median(row.wall) / work[name] for name, row in taken.items()}
    rows = {}
    for name, row in taken.items():
        z, control = (z_score(row.risk, expected) for expected in truths[name])
        rows[name] = {
            "nanoseconds": row.nanoseconds(work[name]),
            "over accelsim": median[name] / median["accelsim"],
            "z": z,
            "z against more noise": control,
            "right": abs(z) < SURE < abs(control),
        }
    return rows


def noisy_quadratic(noise: float = 1.0) -> Any:
    """Condition number 1000, noise of the Hessian's shape."""
    return problems.make("quadratic", dim=DIM, spectrum="geometric:1e3", grad_noise=noise)


def regression(batch: int) -> Any:
    """Gaussian regression in a thousand directions."""
    return problems.make("linear_regression", dim=1000, spectrum="geometric:1e3", batch=batch, label_noise=1.0)


def on_noisy_quadratic(dtype: str, shrink: int, backend: str) -> dict[str, Any]:
    """Accelerated SGD, nanoseconds a coordinate-step."""
    steps, rule = STEPS // shrink, "accelerated_sgd"
    runs = {"accelsim": ours(rule, noisy_quadratic(), steps, REPLICAS, dtype, backend, ACCELERATED)}
    runs |= with_peers(list(PEERS), rule, (noisy_quadratic(), steps, dtype), REPLICAS, ACCELERATED)
    truth = (exact(rule, noisy_quadratic(), steps, ACCELERATED), exact(rule, noisy_quadratic(1.1), steps, ACCELERATED))
    return compared(interleaved(runs), dict.fromkeys(runs, REPLICAS * DIM * steps), dict.fromkeys(runs, truth))


def nonlinear(rule: str, peer: str, values: dict[str, float], shrink: int, backend: str) -> dict[str, Any]:
    """A rule without exact risk, nanoseconds a coordinate-step."""
    steps, dtype = STEPS // shrink, "float32"
    mine = values | {"weight_decay": 0.0}
    runs = {"accelsim": ours(rule, noisy_quadratic(), steps, REPLICAS, dtype, backend, mine)}
    runs |= with_peers(["jax"], peer, (noisy_quadratic(), steps, dtype), REPLICAS, values)
    taken = interleaved(runs)
    truth = (taken["accelsim"].risk, ours(rule, noisy_quadratic(1.5), steps, REPLICAS, dtype, backend, mine)(0))
    return compared(taken, dict.fromkeys(runs, REPLICAS * DIM * steps), dict.fromkeys(runs, truth))


def batch_sizes(shrink: int, backend: str) -> dict[str, Any]:
    """Nanoseconds a replica's step of regression, which should not grow with the batch size."""
    replicas, steps = 16, 2 * STEPS // shrink
    runs = {
        f"B = {batch}": ours("accelerated_sgd", regression(batch), steps, replicas, "float32", backend, ONE_SAMPLE)
        for batch in (1, 4096)
    }
    taken = interleaved(runs)
    each = {name: row.nanoseconds(replicas * steps) for name, row in taken.items()}
    return {"nanoseconds": each, "4096 over 1": each["B = 4096"]["median"] / each["B = 1"]["median"]}


def drawn_batch(shrink: int, backend: str) -> dict[str, Any]:
    """Nanoseconds a replica's step of regression at B = 1024; JAX draws the batch, for fewer steps."""
    rule, dtype, replicas, batch = "accelerated_sgd", "float32", 16, 1024
    steps = {"accelsim": 2 * STEPS // shrink}
    runs = {"accelsim": ours(rule, regression(batch), steps["accelsim"], replicas, dtype, backend, LARGE_BATCH)}
    runs |= with_peers(["jax"], "regression", (regression(batch), FEW, dtype), replicas, LARGE_BATCH)
    steps = {name: steps.get(name, FEW) for name in runs}
    truths = {
        name: (
            exact(rule, regression(batch), count, LARGE_BATCH),
            exact(rule, regression(batch // 2), count, LARGE_BATCH),
        )
        for name, count in steps.items()
    }
    return compared(interleaved(runs), {name: replicas * count for name, count in steps.items()}, truths)


def scaling(shrink: int, backend: str) -> dict[str, Any]:
    """Seconds of accelerated SGD on the noisy quadratic as one side grows, and slopes in the logarithms."""
    found = {}
    for side, smallest in SIDES.items():
        work, seconds = [], []
        for k in range(HALF_DECADES + 1):
            sizes = dict(zip(SIDES, smallest, strict=True))
            sizes[side] = round(sizes[side] * 10 ** (k / 2))
            replicas, dim, steps = sizes.values()
            steps = max(steps // shrink, 1)
            problem = problems.make("quadratic", dim=dim, spectrum="geometric:1e3", grad_noise=1.0)
            run = ours("accelerated_sgd", problem, steps, replicas, "float32", backend, ACCELERATED)
            work.append(replicas * dim * steps)
            seconds.append(statistics.median(interleaved({"": run})[""].wall))
        slopes = [float(np.polyfit(np.log(work[-n:]), np.log(seconds[-n:]), 1)[0]) for n in (len(work), len(work) - 2)]
        found[side] = {
            "coordinate-steps": work,
            "seconds": seconds,
            "slope": slopes[0],
            "slope of the upper two decades": slopes[1],
        }
    return found


def draw_scaling(found: dict[str, Any], figure: Any) -> None:
    """Time against work, a line for each side that grows."""
    axes = figure.subplots()
    rows = zip(found.items(), plotting.PALETTE, plotting.DASHES, plotting.MARKERS, strict=False)
    for (side, row), color, dash, marker in rows:
        label = f"{side}: slope {row['slope']:.2f}, upper two decades {row['slope of the upper two decades']:.2f}"
        axes.loglog(row["coordinate-steps"], row["seconds"], color=color, linestyle=dash, marker=marker, label=label)
    work, seconds = (np.array(row[key]) for key in ("coordinate-steps", "seconds"))
    axes.loglog(work, seconds[-1] * work / work[-1], color="black", linewidth=0.8, label="linear")
    axes.set(xlabel="coordinate-steps (replicas x coordinates x steps)", ylabel="time of a run, s")
    axes.legend()


def starting(shrink: int, backend: str) -> dict[str, Any]:
    """Seconds from the start of a command to its end after a few steps, with an empty cache and with a filled one."""
    command = [str(Path(sys.executable).with_name("accelsim")), "simulate"]
    options = ["--steps", "10", "--seeds", "2", "--backend", backend, "--json"]
    taken: dict[str, dict[str, list[float]]] = {name: {"empty cache": [], "filled cache": []} for name in COMMANDS}
    for _ in range(REPETITIONS):
        for name, text in COMMANDS.items():
            with tempfile.TemporaryDirectory() as folder:
                # Numba's own folder too: what is compiled beside the modules must not be found either.
                places = os.environ | {"XDG_CACHE_HOME": folder, "NUMBA_CACHE_DIR": folder}
                for seconds in taken[name].values():
                    start = perf_counter()
                    subprocess.run([*command, *text.split(), *options], env=places, capture_output=True, check=True)
                    seconds.append(perf_counter() - start)
    return {name: {cache: spread(row) for cache, row in rows.items()} for name, rows in taken.items()}


CASES: dict[str, Callable[[int, str], dict[str, Any]]] = {
    "float32": partial(on_noisy_quadratic, "float32"),
    "float64": partial(on_noisy_quadratic, "float64"),
    "adam": partial(nonlinear, "adamw", "adam", dict(lr=1e-3)),
    "lion": partial(nonlinear, "lion", "lion", dict(lr=1e-3)),
    "batch_sizes": batch_sizes,
    "drawn_batch": drawn_batch,
    "scaling": scaling,
    "starting": starting,
}
TARGETS: dict[tuple[str, ...], tuple[str, float]] = {
    ("float32", "jax", "over accelsim"): (">=", 12),
    ("float32", "numpy", "over accelsim"): (">=", 15),
    ("float32", "torch", "over accelsim"): (">=", 8),
    ("float64", "jax", "over accelsim"): (">=", 8),
    ("adam", "jax", "over accelsim"): (">=", 6),
    ("lion", "jax", "over accelsim"): (">=", 6),
    ("batch_sizes", "4096 over 1"): ("<=", 1.2),
    ("drawn_batch", "jax", "over accelsim"): (">=", 100),
    **{("starting", name, "empty cache", "median"): ("<=", 6) for name in COMMANDS},
    **{("starting", name, "filled cache", "median"): ("<=", 1) for name in COMMANDS},
}


def machine(backend: str) -> dict[str, Any]:
    """What it ran on, and how busy that was."""
    names = ("numpy", "numba", "jax", "torch")
    there = {dist.metadata["Name"].lower() for dist in metadata.distributions()}
    return {
        "processor": _processor(),
        "cores": CORES,
        "load before": os.getloadavg()[0],
        "backend": backend,
        "python": platform.python_version(),
        **{name: metadata.version(name) if name in there else MISSING for name in names},
    }


def _processor() -> str:
    """The name the system has for it."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def verdicts(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The targets of what was measured, by name."""
    found = {}
    for path, (relation, target) in TARGETS.items():
        value: Any = document
        for key in path:
            value = value.get(key, {})
        if value != {}:
            met = value >= target if relation == ">=" else value <= target
            found[", ".join(path)] = {"measured": value, "target": f"{relation} {target}", "met": met}
    return found


def show(case: str, found: dict[str, Any]) -> None:
    """Print the table of a case."""
    print(f"\n{case}")
    for name, row in found.items():
        if not (isinstance(row, dict) and "over accelsim" in row):
            print(f"  {name}: {json.dumps(row)}")
            continue
        t = row["nanoseconds"]
        print(
            f"  {name:18} {t['median']:10.4g} ns ({t['least']:.4g} to {t['most']:.4g}), of computing "
            f"{t['computing']:8.4g}, {row['over accelsim']:7.2f} x accelsim, z {row['z']:4.1f}, control "
            f"{row['z against more noise']:.0f}{'' if row['right'] else ', WRONG'}"
        )


def main() -> None:
    """Measure, print, and store what is whole."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--backend", default="numba")
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES))
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # before a library makes a thread for each core it sees
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    document: dict[str, Any] = {"machine": machine(given.backend), "repetitions": REPETITIONS}
    for case in given.only:
        document[case] = CASES[case](given.shrink, given.backend)
        show(case, document[case])
    document["targets"] = verdicts(document)
    print("\ntargets")
    for name, row in document["targets"].items():
        print(f"  {'met   ' if row['met'] else 'missed'} {name}: {row['measured']:.3g}, {row['target']}")
    if (given.shrink, given.backend, given.only) != (1, "numba", list(CASES)):
        return
    (RESULTS / "simulation.json").write_text(json.dumps(document, indent=2) + "\n")
    drawn = plotting.rendered(lambda figure: draw_scaling(document["scaling"], figure))
    plotting.save(drawn, RESULTS, "simulation_scaling")


if __name__ == "__main__":
    main()
