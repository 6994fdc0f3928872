"""Backends of a simulation; the one file that knows that CuPy exists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from accelsim.errors import InputError, unknown
from accelsim.simulation import philox
from accelsim.simulation.engine import Arrays, PlainRun, Run

AUTO = "auto"
_DEVICE_TILE = 2**21  # random blocks made at once: enough to fill a GPU, about 200 MB of buffers
_DEVICE_CHUNK = 2**24
_COORDINATE = 256  # bytes of a GPU's memory a coordinate of a replica: a dozen rows of doubles, twice


@dataclass(frozen=True)
class Backend:
    """A way to run replicas, and the amount of work that suits it.

    Attributes
    ----------
    name : what results call it.
    make : ``make(optimizer, problem, hyperparameters, first, count, seed, dtype)``, a `Run` of the replicas
        ``first`` to ``first + count - 1`` before their first step.
    chunk : coordinates of all replicas of a run that suit it.
    """

    name: str
    make: Callable[..., Run]
    chunk: int


def _module() -> Any:
    """CuPy, where it finds a GPU and a compiler."""
    try:
        import cupy

        if not cupy.cuda.runtime.getDeviceCount():
            raise RuntimeError("no GPU found")
        float(cupy.zeros(1).sum())  # fails where the kernel compiler is missing
    except Exception as error:  # a missing package, driver, device or compiler, each with an exception of its own
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        raise InputError(
            f"backends cuda and cupy need an NVIDIA GPU and the extra accelsim[gpu-cuda12]: {reason}"
        ) from None
    if not hasattr(cupy.ndarray, "__array_namespace__"):  # CuPy 14: everybody else takes the module from the arrays
        cupy.ndarray.__array_namespace__ = lambda array, api_version=None: cupy
    return cupy


def _cupy() -> Backend:
    cupy = _module()
    arrays = Arrays(cupy, cupy.asnumpy, _DEVICE_TILE)
    return Backend("cupy", partial(PlainRun, arrays=arrays), _DEVICE_CHUNK)


@cache
def _kernel(source: str) -> Callable[..., None]:
    """The kernel of a CUDA source. CuPy's RawModule would have it take subnormal numbers for zero, as no CPU does."""
    from cupy.cuda import compiler, function, get_current_stream

    from accelsim.simulation.cuda_source import OPTIONS

    module = function.Module()
    module.load(compiler.compile_using_nvrtc(source, OPTIONS)[0])
    kernel = module.get_function("kernel")

    def run(blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
        kernel((blocks,), (threads,), arguments)
        get_current_stream().synchronize()  # else nobody could tell how long steps take, nor stop what is under way

    return run


def _cuda() -> Backend:
    from accelsim.simulation.cuda_run import CudaRun, Device

    cupy = _module()
    free, _ = cupy.cuda.runtime.memGetInfo()
    return Backend("cuda", partial(CudaRun, device=Device(cupy, cupy.asnumpy, _kernel)), free // _COORDINATE)


def _numpy() -> Backend:
    return Backend("numpy", partial(PlainRun, arrays=Arrays(np, np.asarray, philox.TILE)), chunk=2**15)


def _numba() -> Backend:
    from accelsim import machine
    from accelsim.simulation.numba_run import NumbaRun

    machine.require()
    return Backend("numba", NumbaRun, chunk=2**22)


BACKENDS: dict[str, Callable[[], Backend]] = {
    "cuda": _cuda,
    "cupy": _cupy,
    "numba": _numba,
    "numpy": _numpy,
}  # the fastest first
_KERNELS = "cuda", "numba"


def find(name: str = AUTO, kernels: bool = True) -> Backend:
    """The backend of a name; ``auto`` is the fastest that can be used here.

    Parameters
    ----------
    kernels : whether there can be kernels of the rule; otherwise arrays do it.

    Raises
    ------
    InputError
        For an unknown name, or a backend that cannot be used here.
    """
    if name in _KERNELS and not kernels:
        raise InputError(f"a rule that orthogonalizes has no kernel: --backend numpy or cupy, not {name}")
    if name != AUTO and name not in BACKENDS:
        raise unknown("backend", name, [AUTO, *BACKENDS])
    *preferred, last = [each for each in BACKENDS if kernels or each not in _KERNELS] if name == AUTO else [name]
    for candidate in preferred:
        try:
            return BACKENDS[candidate]()
        except InputError:
            continue
    return BACKENDS[last]()
