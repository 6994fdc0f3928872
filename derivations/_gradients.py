"""Rules that are answered with another gradient than the one at their query point: inputs that a claim speaks of."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from accelsim.rule import Hyperparameter, Optimizer, real


def answered(base: Optimizer, name: str, answer: Callable[..., Any], **declared: Hyperparameter) -> Optimizer:
    """A rule that is handed ``answer(h, g, *points)``, g being the gradient at the first of the points it asks for."""

    def rule(s, t, h):
        run = base.rule(s, t, h)
        asked = next(run)
        points = asked if isinstance(asked, tuple) else (asked,)
        g = yield points[0]
        try:
            run.send(answer(h, g, *points))
        except StopIteration as stop:
            return stop.value

    return replace(base, name=f"{name}({base})", rule=rule, hyperparameters={**base.hyperparameters, **declared})


def penalized(base: Optimizer) -> Optimizer:
    """The rule on a problem with the L2 penalty penalty/2 |y|^2."""
    return answered(base, "penalized", lambda h, g, y: g + h.penalty * y, penalty=real())


def scaled(base: Optimizer) -> Optimizer:
    """The rule on gradients times a scale, a preconditioner for one."""
    return answered(base, "scaled", lambda h, g, y: h.scale * g, scale=real())


def on_quadratics(base: Optimizer) -> Optimizer:
    """A rule of two gradients on one sample, where they differ by the sample's curvature times their points'."""
    return answered(base, "on_quadratics", lambda h, g, y, other: (g, g - h.curvature * (y - other)), curvature=real())
