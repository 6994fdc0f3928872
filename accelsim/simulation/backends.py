"""Where arrays live: the one file that knows that CuPy exists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim.errors import InputError, unknown
from accelsim.simulation import philox

AUTO = "auto"
_DEVICE_TILE = 2**21  # random blocks made at once: enough to fill a GPU, about 200 MB of buffers
_DEVICE_CHUNK = 2**24


@dataclass(frozen=True)
class Backend:
    """An array module and the amounts of work that suit it.

    Attributes
    ----------
    name : what results call it.
    xp : the array module.
    host : turns an array of the module into a NumPy array.
    tile : random blocks to make at once.
    chunk : numbers to hold in an array at once.
    """

    name: str
    xp: Any
    host: Callable[[Any], Any]
    tile: int
    chunk: int


def _numpy() -> Backend:
    return Backend("numpy", np, np.asarray, philox.TILE, chunk=2**15)


def _cupy() -> Backend:
    try:
        import cupy

        if not cupy.cuda.runtime.getDeviceCount():
            raise RuntimeError("no GPU found")
        float(cupy.zeros(1).sum())  # fails where the kernel compiler is missing
    except Exception as error:  # a missing package, driver, device or compiler, each with an exception of its own
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        raise InputError(f"backend cupy needs an NVIDIA GPU and the extra accelsim[gpu-cuda12]: {reason}") from None
    if not hasattr(cupy.ndarray, "__array_namespace__"):  # CuPy 14: everybody else takes the module from the arrays
        cupy.ndarray.__array_namespace__ = lambda array, api_version=None: cupy
    return Backend("cupy", cupy, cupy.asnumpy, _DEVICE_TILE, _DEVICE_CHUNK)


BACKENDS: dict[str, Callable[[], Backend]] = {"numpy": _numpy, "cupy": _cupy}


def find(name: str = AUTO) -> Backend:
    """The backend of a name; ``auto`` is CuPy where a GPU answers, else NumPy.

    Raises
    ------
    InputError
        For an unknown name, or a backend that cannot be used here.
    """
    if name == AUTO:
        try:
            return _cupy()
        except InputError:
            return _numpy()
    if name not in BACKENDS:
        raise unknown("backend", name, [AUTO, *BACKENDS])
    return BACKENDS[name]()
