"""Noisy quadratic in NumPy: a loop over steps on arrays of replicas by coordinates, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def accelerated_sgd(
    problem: Any, steps: int, dtype: str, *, eta: float, alpha: float, beta: float
) -> Callable[[int, int], Any]:
    """Risks (replicas,) after the last step, of a seed and a number of replicas."""
    spectrum, noise, start = (x.astype(dtype) for x in (problem.spectrum, problem.floor**0.5, problem.start))

    def run(seed: int, replicas: int) -> Any:
        rng = np.random.default_rng(seed)
        error = np.tile(start, (replicas, 1))
        memory, gradient, xi = np.zeros_like(error), np.empty_like(error), np.empty_like(error)
        for _ in range(steps):
            rng.standard_normal(dtype=error.dtype, out=xi)
            xi *= noise
            np.multiply(error, spectrum, out=gradient)
            gradient += xi
            memory *= beta
            memory += gradient
            gradient *= alpha
            error -= gradient
            np.multiply(memory, eta, out=xi)
            error -= xi
        return error**2 @ spectrum / 2

    return run
