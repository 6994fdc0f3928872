"""What a rule and an implementation are both given, and how far apart two trajectories are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from accelsim import optimizers
from accelsim.rule import step

STEPS = 100
TOLERANCE = 1e-12
START = np.array([1.0, -0.5, 2.0])
CURVATURE = np.array([1.0, 0.1, 0.01])

Gradient = Callable[[int, np.ndarray], np.ndarray]
Run = Callable[[Gradient], Iterable[tuple[np.ndarray, np.ndarray]]]


def noise(t: int) -> np.ndarray:
    """(3,) numbers in [-1/2, 1/2), the same on every machine: a multiplicative hash of step and coordinate."""
    return np.array([(2654435761 * (3 * t + i + 1) % 2**32) / 2**32 - 0.5 for i in range(START.size)])


def gradients(scale: float) -> Gradient:
    """Noisy gradients of a quadratic, in closed loop: an error in one step is carried into all later ones."""
    return lambda t, point: scale * (CURVATURE * point + noise(t))


def trajectory(run: Run, scale: float = 1.0) -> np.ndarray:
    """(steps, 2, 3) query points and returned iterates."""
    pairs = zip(run(gradients(scale)), range(STEPS), strict=False)
    return np.array([[query, returned] for (query, returned), _ in pairs])


def by_rule(name: str, **hyperparameters: Any) -> Run:
    """Steps of our own rule, untraced; of two queries in a step the first is kept."""
    rule = optimizers.find(name)

    def run(gradient: Gradient) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        state = rule.start(START)
        for t, (now, h) in enumerate(rule.rows(**hyperparameters)):
            queries: list[np.ndarray] = []

            def taken(*points: np.ndarray, t: int = t, queries: list[np.ndarray] = queries) -> Any:
                queries.extend(points)
                found = tuple(gradient(t, point) for point in points)
                return found if len(found) > 1 else found[0]

            state = step(rule, state, now, h, taken)
            yield queries[0], state[rule.returns]

    return run


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of two trajectories relative to the largest coordinate of the expected one."""
    assert found.shape == expected.shape == (STEPS, 2, START.size)
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
