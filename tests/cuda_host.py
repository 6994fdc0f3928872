"""CUDA kernels compiled for the host: a shim stands for the GPU, and its scheduler for that of a GPU's threads.

The threads of a block take turns: one goes on until it waits for others, and the one to go on is always the first in
line, from the lowest or from the highest number. So a thread runs ahead of the others as far as it is let, and what a
barrier is missing for shows, in one of the two orders, each time. A warp waits for its own 32 threads only.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.simulation.cuda_run import Device

_KINDS: dict[type, Any] = {np.int32: ctypes.c_int, np.uint32: ctypes.c_uint, np.int64: ctypes.c_longlong}

_SHIM = """
#include <cmath>
#include <ucontext.h>
using std::sqrt; using std::exp; using std::log; using std::cos; using std::pow;
struct Index { unsigned x; };
static Index blockIdx, threadIdx, blockDim;
enum Wait { READY, WARP, BLOCK, DONE };
static struct { ucontext_t context; Wait wait; } threads[1024];
static ucontext_t scheduler;
static void (*work)(void*);
static void* given;
static char stacks[1024][1 << 16];

static void wait(Wait what) {
    unsigned self = threadIdx.x;
    threads[self].wait = what;
    swapcontext(&threads[self].context, &scheduler);
}

template <class T> static T __shfl_xor_sync(unsigned, T x, int step) {
    static T passed[1024];
    passed[threadIdx.x] = x;
    wait(WARP);
    x = passed[threadIdx.x ^ step];
    wait(WARP);
    return x;
}

#define __global__ static
#define __device__ static
#define __shared__ static
#define __restrict__ __restrict
#define __syncthreads() wait(BLOCK)
static unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
"""

_LAUNCH = """
static bool all(Wait what, unsigned first, unsigned last) {
    for (unsigned t = first; t < last; ++t) if (threads[t].wait != what) return false;
    return true;
}

static void release(unsigned first, unsigned last) {
    for (unsigned t = first; t < last; ++t) threads[t].wait = READY;
}

static void thread() { work(given); wait(DONE); }

// Whether all threads of a block come to an end.
static bool block(bool descending) {
    const unsigned n = blockDim.x;
    for (unsigned t = 0; t < n; ++t) {
        getcontext(&threads[t].context);
        threads[t].context.uc_stack.ss_sp = stacks[t];
        threads[t].context.uc_stack.ss_size = sizeof stacks[t];
        makecontext(&threads[t].context, thread, 0);
    }
    release(0, n);
    for (;;) {
        for (unsigned warp = 0; warp < n; warp += 32) {
            unsigned end = warp + 32 < n ? warp + 32 : n;
            if (all(WARP, warp, end)) release(warp, end);
        }
        if (all(BLOCK, 0, n)) release(0, n);
        if (all(DONE, 0, n)) return true;
        unsigned next = n;
        for (unsigned i = 0; i < n && next == n; ++i) {
            unsigned t = descending ? n - 1 - i : i;
            if (threads[t].wait == READY) next = t;
        }
        if (next == n) return false;
        threadIdx.x = next;
        swapcontext(&scheduler, &threads[next].context);
    }
}

extern "C" int launch(int descending, unsigned blocks, unsigned threads, %s) {
    blockDim.x = threads;
    auto body = [&] { kernel(%s); };
    given = &body;
    work = [](void* body_of) { (*(decltype(&body))body_of)(); };
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) if (!block(descending)) return 1;
    return 0;
}
"""


def _whole(source: str) -> str:
    """The kernel and a function that launches it; the kernel's parameters are read off its own text."""
    declared = source[source.index("void kernel(") + len("void kernel(") : source.index(") {\n    [[maybe_unused]]")]
    names = [parameter.split()[-1] for parameter in declared.split(",")]
    body = source.replace('extern "C" __global__', "__global__")
    return _SHIM + body + _LAUNCH % (declared, ", ".join(names))


def device(folder: Path, change: Callable[[str], str] = str, descending: bool = False) -> Device:
    """A device whose kernels are compiled by g++, without fused multiply-add, into a folder.

    Parameters
    ----------
    change : what is done to a source before.
    descending : whether the thread of the highest number goes first.
    """

    def compiled(source: str) -> Any:
        text = _whole(change(source))
        path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
        if not path.exists():
            code = path.with_suffix(".cpp")
            code.write_text(text)
            command = ["g++", "-O1", "-shared", "-fPIC", "-std=c++17", "-ffp-contract=off", "-o", str(path), str(code)]
            subprocess.run(command, check=True, capture_output=True)
        launch = ctypes.CDLL(str(path)).launch

        def run(blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
            given = (np.int32(descending), np.uint32(blocks), np.uint32(threads), *arguments)
            stuck = launch(*(_KINDS[type(a)](a) if np.isscalar(a) else ctypes.c_void_p(a.ctypes.data) for a in given))
            assert not stuck, "some threads wait for others that never come"

        return run

    return Device(np, np.asarray, compiled)
