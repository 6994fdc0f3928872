"""What questions about tables cost: whole commands, and what a step of the exact risk costs on them.

    python benchmarks/tables.py [--before ACCELSIM] [--runs N]

Writes benchmarks/results/tables.json: seconds of computing of each command, the median of some runs and the least and
most, and of a table of 18 MB how long reading it takes beside `numpy.loadtxt`. ACCELSIM is the command of an earlier
version, which is asked the same right after; where it takes more than 300 seconds, that is said.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.problems import make

OUT = Path(__file__).parent / "results" / "tables.json"
ACCELSIM = str(Path(sys.executable).parent / "accelsim")
LIMIT = 300  # seconds that a command may take
MOMENTUM = "--set eta=0.002 --set alpha=0.01 --set beta=0.9"
STEPS = 20, 120  # of runs whose difference is what steps cost


def written(folder: Path, rows: int, features: int) -> Path:
    """A table of correlated columns and noisy labels, as CSV."""
    rng = np.random.default_rng(rows)
    mixed = rng.standard_normal((features, features)) * np.linspace(0.1, 2, features)
    inputs = rng.standard_normal((rows, features)) @ mixed
    table = np.column_stack([inputs, inputs @ rng.standard_normal(features) + rng.standard_normal(rows)])
    path = folder / f"{rows}x{features}.csv"
    header = ",".join([*(f"f{i}" for i in range(features)), "y"])
    np.savetxt(path, table, delimiter=",", header=header, comments="", fmt="%.6g")
    return path


def commands(small: Path, large: Path) -> dict[str, str]:
    """Commands by name."""
    on = "--problem dataset --batch 16 --data"
    risks = {
        f"risk on {name}, {steps} steps": f"risk accelerated_sgd {on} {data} {MOMENTUM} --steps {steps}"
        for name, data in (("digits", "digits"), ("20000 x 100", f"{large} --target y"))
        for steps in STEPS
    }
    return {
        "tune on 200 x 4, risk@1000": f"tune accelerated_sgd {on} {small} --target y --objective risk@1000",
        **risks,
        "rate on 20000 x 100": f"rate accelerated_sgd {on} {large} --target y {MOMENTUM}",
        "rate of two queries, d = 1e6": "rate mars_exact_sgd --problem linear_regression --dim 1000000 --batch 8 "
        "--spectrum power:1 --set lr=0.001",
    }


def computing(command: str) -> float:
    """Seconds of computing that a command takes; nan where they are too many, or it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    try:
        subprocess.run(command.split(), stdout=subprocess.DEVNULL, check=True, timeout=LIMIT)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return float("nan")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def told(seconds: list[float]) -> Any:
    """Median, least and most."""
    if any(np.isnan(seconds)):
        return f"failed, or more than {LIMIT} s"
    return {"median": round(statistics.median(seconds), 3), "least": min(seconds), "most": max(seconds)}


def reading(path: Path, runs: int) -> dict[str, Any]:
    """Seconds of reading a table, of making a problem of it, and of `numpy.loadtxt`."""
    from accelsim.problems import _tables

    ways = {
        "read": lambda: _tables.read(str(path), "y"),
        "made a problem": lambda: make("dataset", data=str(path), target="y", batch=1),
        "numpy.loadtxt": lambda: np.loadtxt(path, delimiter=",", skiprows=1),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            start = time.process_time()
            way()
            found[name].append(time.process_time() - start)
    return {"megabytes": round(path.stat().st_size / 1e6, 1), **{name: told(each) for name, each in found.items()}}


def a_step(found: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds a step, from two runs' medians."""
    steps = {}
    for name in ("digits", "20000 x 100"):
        few, many = (found[f"risk on {name}, {count} steps"] for count in STEPS)
        if isinstance(few, dict) and isinstance(many, dict):
            steps[name] = round((many["median"] - few["median"]) / (STEPS[1] - STEPS[0]) * 1e3, 2)
    return steps


def main() -> None:
    """Run all commands."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--before", help="the command of an earlier version")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    versions = {"now": ACCELSIM, **({"before": chosen.before} if chosen.before else {})}
    with tempfile.TemporaryDirectory() as scratch:
        small, large = written(Path(scratch), 200, 4), written(Path(scratch), 20000, 100)
        asked = commands(small, large)
        seconds: dict[str, dict[str, list[float]]] = {end: {name: [] for name in asked} for end in versions}
        for name, command in asked.items():
            for _ in range(chosen.runs):
                for end, accelsim in versions.items():
                    if not any(np.isnan(seconds[end][name])):
                        seconds[end][name].append(computing(f"{accelsim} {command}"))
            print(name, {end: told(each[name]) for end, each in seconds.items()}, flush=True)
        read = reading(large, chosen.runs)
    found = {end: {name: told(each) for name, each in by_name.items()} for end, by_name in seconds.items()}
    document = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "numba")},
        },
        "runs": chosen.runs,
        "unit": "seconds of computing, all threads together",
        "reading": read,
        "milliseconds a step": {end: a_step(each) for end, each in found.items()},
        **found,
    }
    OUT.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
