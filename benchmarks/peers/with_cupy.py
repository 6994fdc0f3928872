"""Noisy quadratic in CuPy: a loop over steps, as in-place operations, and with the update fused into one kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cupy

Run = Callable[[int, int], Any]


def _apart(spectrum: Any, noise: Any, error: Any, memory: Any, xi: Any, eta: float, alpha: float, beta: float) -> None:
    xi *= noise
    gradient = error * spectrum
    gradient += xi
    memory *= beta
    memory += gradient
    gradient *= alpha
    error -= gradient
    error -= memory * eta


_ONE = """
T g = spectrum * error + noise * xi;
memory = beta * memory + g;
error = error - eta * memory - alpha * g;
"""


def _fused(spectrum: Any, noise: Any, error: Any, memory: Any, xi: Any, eta: float, alpha: float, beta: float) -> None:
    kernel = cupy.ElementwiseKernel(
        "T spectrum, T noise, T xi, T eta, T alpha, T beta", "T error, T memory", _ONE, "accelerated_sgd"
    )
    kernel(spectrum, noise, xi, eta, alpha, beta, error, memory)


def _made(
    update: Callable[..., None], problem: Any, steps: int, dtype: str, *, eta: float, alpha: float, beta: float
) -> Run:
    """Risks (replicas,) after the last step, of a seed and a number of replicas."""
    spectrum, noise, start = (cupy.asarray(x, dtype) for x in (problem.spectrum, problem.floor**0.5, problem.start))

    def run(seed: int, replicas: int) -> Any:
        random = cupy.random.RandomState(seed)
        error = cupy.tile(start, (replicas, 1))
        memory = cupy.zeros_like(error)
        for _ in range(steps):
            update(spectrum, noise, error, memory, random.standard_normal(error.shape, dtype), eta, alpha, beta)
        return cupy.asnumpy(error**2 @ spectrum / 2)

    return run


elementwise = partial(_made, _apart)
fused = partial(_made, _fused)
