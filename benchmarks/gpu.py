"""The simulator on a GPU beside the plain alternatives there, in one run: CuPy and JAX.

    python benchmarks/gpu.py

Accelerated SGD on the noisy quadratic, the risk recorded after the last step only. Repetitions are interleaved; times
are medians of the wall, with least and most. CuPy's normals are cuRAND's; its update is written as operations in place,
and once more fused by hand into one kernel. The risks found are held against the exact ones, and against those of a
problem with more noise, which they must refute. The bound is counted in the kernel's machine code, see sass.py.

Writes benchmarks/results/gpu.json.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else JAX takes the memory the others need

import numpy as np
import sass
from simulation import (
    ACCELERATED,
    DIM,
    MISSING,
    REPETITIONS,
    Risk,
    Run,
    compared,
    exact,
    interleaved,
    noisy_quadratic,
)

from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.simulation import backends
from accelsim.simulation.cuda_source import OPTIONS, CudaWriter
from accelsim.simulation.joined import joined
from accelsim.simulation.layout import Blocks

RESULTS = Path(__file__).parent / "results"
RULE = "accelerated_sgd"
STEPS = 1000
MOST = 2**24  # coordinates of all replicas: enough to fill the largest GPU
BYTES = 256  # of memory a coordinate, for all that run side by side
TARGETS = {"cupy": 8, "cupy, fused": 8, "jax": 5}  # times accelsim
ASKED = {"name": "device", "driver_version": "driver", "memory.total": "memory", "clocks.max.sm": "clock"}


def risk(found: Any) -> Risk:
    """That of replicas."""
    found = np.asarray(found, dtype=float)
    return Risk(float(found.mean()), float(found.std(ddof=1)) / math.sqrt(len(found)))


def ours(dtype: str, replicas: int) -> Run:
    """A run of the kernel."""
    backend = backends.find("cuda")

    def run(seed: int) -> Risk:
        kernel = backend.make(find(RULE), noisy_quadratic(), ACCELERATED, 0, replicas, seed, dtype)
        kernel.advance(STEPS)
        return risk(kernel.risks())

    return run


def peers(dtype: str, replicas: int) -> dict[str, Run]:
    """Those of the alternatives that are installed."""
    cupy = import_module("peers.with_cupy")
    made = {"cupy": cupy.elementwise, "cupy, fused": cupy.fused}
    if on_gpu():
        made["jax"] = import_module("peers.with_jax").accelerated_sgd
    runs = {name: make(noisy_quadratic(), STEPS, dtype, **ACCELERATED) for name, make in made.items()}
    return {name: lambda seed, run=run: risk(run(seed, replicas)) for name, run in runs.items()}


def on_gpu() -> bool:
    """Whether JAX is installed and sees the GPU."""
    try:
        return import_module("jax").default_backend() in ("gpu", "cuda")
    except ModuleNotFoundError:
        return False


def bound(dtype: str, multiprocessors: int, clock: float, capability: str) -> dict[str, Any]:
    """Coordinate-steps a second that arithmetic allows, and the instructions it is counted from."""
    from cupy.cuda import compiler

    rule, problem = find(RULE), noisy_quadratic()
    source = CudaWriter(joined(rule, problem, rule.resolve(**ACCELERATED)), dtype).source
    code = sass.machine_code(compiler.compile_using_nvrtc(source, OPTIONS)[0])
    if code is None:
        return {"not counted": "cuobjdump, of CUDA's toolkit, is not installed"}
    names = sass.loop(code)
    clocks = sass.clocks(names, capability)
    if clocks is None:
        return {"not counted": f"the rates of compute capability {capability} are not known"}
    rate = Blocks(DIM, dtype).per * multiprocessors * clock / clocks
    return {"instructions": sass.counted(names), "coordinate-steps a second": rate}


def measured(dtype: str, replicas: int, device: dict[str, Any]) -> dict[str, Any]:
    """Nanoseconds a coordinate-step, ratios, and the rate beside the bound."""
    runs = {"accelsim": ours(dtype, replicas), **peers(dtype, replicas)}
    work = replicas * DIM * STEPS
    right, wrong = (exact(RULE, noisy_quadratic(noise), STEPS, ACCELERATED) for noise in (1.0, 1.1))
    taken = interleaved(runs)
    rows = compared(taken, dict.fromkeys(runs, work), dict.fromkeys(runs, (right, wrong)))
    rate = work / statistics.median(taken["accelsim"].wall)
    limit = bound(dtype, device["multiprocessors"], device["clock"], device["compute capability"])
    most = limit.get("coordinate-steps a second")
    rows["rate"] = {"coordinate-steps a second": rate, "bound": limit, "of the bound": most and rate / most}
    return rows


def asked() -> dict[str, Any]:
    """What the driver says of the GPU."""
    command = ["nvidia-smi", f"--query-gpu={','.join(ASKED)}", "--format=csv,noheader,nounits"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    found: dict[str, Any] = dict(zip(ASKED.values(), map(str.strip, said.split(",")), strict=True))
    return found | {"memory": f"{found['memory']} MiB", "clock": 1e6 * float(found["clock"])}


def machine() -> dict[str, Any]:
    """What it ran on."""
    import cupy

    device = cupy.cuda.Device()
    there = {dist.metadata["Name"].lower(): dist.version for dist in metadata.distributions()}
    return {
        **asked(),
        "multiprocessors": device.attributes["MultiProcessorCount"],
        "compute capability": f"{device.compute_capability[:-1]}.{device.compute_capability[-1]}",
        "cuda of the driver": cupy.cuda.runtime.driverGetVersion(),
        "cuda runtime": cupy.cuda.runtime.runtimeGetVersion(),
        "nvrtc": ".".join(map(str, cupy.cuda.nvrtc.getVersion())),
        "cupy": cupy.__version__,
        "jax": there.get("jax", MISSING) if on_gpu() else f"{MISSING}, or without CUDA",
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def main() -> None:
    """Measure, print and store."""
    try:
        backends.find("cuda")
    except InputError as error:
        sys.exit(str(error))
    import cupy

    free, _ = cupy.cuda.runtime.memGetInfo()
    replicas = min(MOST, free // BYTES) // DIM
    device = machine()
    document: dict[str, Any] = {"machine": device, "repetitions": REPETITIONS, "replicas": replicas}
    document |= {"coordinates": DIM, "steps": STEPS}
    for dtype in ("float32", "float64"):
        document[dtype] = measured(dtype, replicas, device)
        print(dtype, json.dumps(document[dtype], indent=2))
    document["targets"] = {
        name: {"measured": document["float32"][name]["over accelsim"], "target": f">= {least}"}
        for name, least in TARGETS.items()
        if name in document["float32"]
    }
    print(json.dumps(document["targets"], indent=2))
    (RESULTS / "gpu.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
