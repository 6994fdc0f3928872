"""CUDA kernels compiled for the host: a shim stands for the GPU, a loop for its threads.

Kernels whose threads work together run with one thread a block: there is nobody to wait for or to add up with.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.simulation.cuda_run import Device

_KINDS: dict[type, Any] = {np.int32: ctypes.c_int, np.uint32: ctypes.c_uint, np.int64: ctypes.c_longlong}

_SHIM = """
#include <cmath>
using std::sqrt; using std::exp; using std::log; using std::cos; using std::pow;
struct Index { unsigned x; };
static Index blockIdx, threadIdx, blockDim;
#define __global__ static
#define __device__ static
#define __shared__ static
#define __syncthreads()
#define __shfl_xor_sync(mask, x, step) 0
static unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
"""

_LAUNCH = """
extern "C" void launch(unsigned blocks, unsigned threads, %s) {
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) kernel(%s);
}
"""


def _source(source: str) -> str:
    """The kernel and a function that launches it; the kernel's parameters are read off its own text."""
    declared = source[source.index("void kernel(") + len("void kernel(") : source.index(") {\n    [[maybe_unused]]")]
    names = [parameter.split()[-1] for parameter in declared.split(",")]
    body = source.replace('extern "C" __global__', "__global__")
    return _SHIM + body + _LAUNCH % (declared, ", ".join(names))


def device(folder: Path) -> Device:
    """A device whose kernels are compiled by g++, without fused multiply-add, into a folder."""

    def compiled(source: str) -> Any:
        text = _source(source)
        path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
        if not path.exists():
            code = path.with_suffix(".cpp")
            code.write_text(text)
            command = ["g++", "-O1", "-shared", "-fPIC", "-std=c++17", "-ffp-contract=off", "-o", str(path), str(code)]
            subprocess.run(command, check=True, capture_output=True)
        launch = ctypes.CDLL(str(path)).launch
        together = "__syncthreads" in source

        def run(blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
            given = (np.uint32(blocks), np.uint32(1 if together else threads), *arguments)
            launch(*(_KINDS[type(a)](a) if np.isscalar(a) else ctypes.c_void_p(a.ctypes.data) for a in given))

        return run

    return Device(np, np.asarray, compiled)
