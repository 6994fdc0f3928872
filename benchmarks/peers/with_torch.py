"""Noisy quadratic in PyTorch on the CPU: a loop over steps, in place, each pass fused where PyTorch has a name for it.

`torch.compile` of the update was no faster, as the normals take most of the time; with the normals inside, ten times
slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

torch.set_num_threads(2)


def alone() -> None:
    """Keep to one core on this thread, as the other one has work of its own."""
    torch.set_num_threads(1)


def accelerated_sgd(
    problem: Any, steps: int, dtype: str, *, eta: float, alpha: float, beta: float
) -> Callable[[int, int], Any]:
    """Risks (replicas,) after the last step, of a seed and a number of replicas."""
    arrays = (problem.spectrum, problem.floor**0.5, problem.start)
    spectrum, noise, start = (torch.as_tensor(x, dtype=getattr(torch, dtype)) for x in arrays)

    def run(seed: int, replicas: int) -> Any:
        generator = torch.Generator().manual_seed(seed)
        error = start.repeat(replicas, 1)
        memory, gradient, xi = torch.zeros_like(error), torch.empty_like(error), torch.empty_like(error)
        for _ in range(steps):
            xi.normal_(generator=generator)
            torch.mul(error, spectrum, out=gradient).addcmul_(xi, noise)
            memory.mul_(beta).add_(gradient)
            error.sub_(memory, alpha=eta).sub_(gradient, alpha=alpha)
        return (error**2 @ spectrum / 2).numpy()

    return run
