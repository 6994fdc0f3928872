"""RAdam: Adam without its preconditioner while the second moment knows too few gradients."""

import math

from accelsim.optimizers.adamw import adaptive, debiased, preconditioner
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size, weight
from accelsim.schedules import recurrence


def length(t, h):
    """Length of the plain mean that is as noisy as the second moment: its limit, and at step t."""
    limit = 2 / (1 - h.beta2) - 1
    kept = h.beta2 ** (t + 1)
    return limit, limit - 2 * (t + 1) * kept / (1 - kept)


@recurrence()
def rectification(memory, t, h):
    """Weight of the preconditioned step, from 0 at length 4 to 1 at the limit; 0 up to the threshold."""
    limit, rho = length(t, h)
    if rho <= h.threshold:
        return 0, {}
    return math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)), {}


@recurrence()
def unrectified(memory, t, h):
    """Weight of the plain step: 1 up to the threshold, then 0."""
    return int(length(t, h)[1] <= h.threshold), {}


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Liu et al. 2020, arXiv:1908.03265, Algorithm 2, with Adam's epsilon",
    lr=step_size(1e-3),
    beta1=momentum(0.9),
    threshold=Hyperparameter(4, low=4, switch=True),
    rectified=weight(rectification),
    plain=weight(unrectified),
    **preconditioner(0.999),
)
def radam(s, t, h):
    """RAdam: momentum alone until the second moment's length is above a threshold, then Adam's direction times r_t."""
    g = yield s.w
    direction, moments = adaptive(s, g, t, h)
    plain = debiased(moments["m"], h.beta1, t)
    return dict(w=s.w - h.lr * (h.plain * plain + h.rectified * direction), **moments)
