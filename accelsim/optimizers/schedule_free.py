"""Schedule-Free SGD and AdamW, with the averaging weights and the warm-up of the authors' released code."""

from typing import Any

from accelsim.elementary import maximum
from accelsim.optimizers.adamw import decayed, denominator, preconditioner, second_moment
from accelsim.rule import optimizer, real, step_size, switch, weight
from accelsim.schedules import ratio, recurrence, warmup

SOURCE = "Defazio et al. 2024, arXiv:2405.15682"


@recurrence(largest=0, weights=0)
def averaging(memory, t, h):
    """Weight (t+1)^r lr_max^p of this step over the sum of weights so far; 1/(t+1) for r = 0 and constant lr."""
    largest = maximum(memory.largest, h.lr * warmup(t, h.warmup_steps))
    w = (t + 1) ** h.r * largest**h.weight_lr_power
    weights = memory.weights + w
    return ratio(w, weights), dict(largest=largest, weights=weights)


AVERAGING: dict[str, Any] = dict(c=weight(averaging), r=real(0), weight_lr_power=real(2), warmup_steps=switch(0))


def mixture(s, beta):
    """The point where the gradient is taken: between the average x and the base iterate z."""
    return beta * s.x + (1 - beta) * s.z


def averaged(s, lr, c, direction):
    """The step of the base iterate z along a direction, and the average x of the base iterates."""
    z = s.z - lr * direction
    return dict(z=z, x=s.x + c * (z - s.x))


@optimizer(
    positions="x z",
    returns="x",
    source=f"{SOURCE}, Equations 3 to 5",
    lr=step_size(1.0),
    beta=weight(0.9),
    **AVERAGING,
)
def schedule_free(s, t, h):
    """Schedule-Free SGD: average x, base iterate z, gradient at their mixture."""
    g = yield mixture(s, h.beta)
    return averaged(s, h.lr * warmup(t, h.warmup_steps), h.c, g)


@optimizer(
    positions="x z",
    memories="v",
    returns="x",
    source=f"{SOURCE}, Algorithm 1, with the bias correction and averaging weights of the released code",
    lr=step_size(0.0025),
    beta1=weight(0.9),
    **AVERAGING,
    **preconditioner(0.999),
    **decayed(),
)
def schedule_free_adamw(s, t, h):
    """Schedule-Free AdamW: Adam's preconditioner first, weight decay at the gradient's point, then the average."""
    y = mixture(s, h.beta1)
    g = yield y
    v = second_moment(s, g, h)
    direction = g / denominator(v, t, h) + h.weight_decay * y
    return dict(averaged(s, h.lr * warmup(t, h.warmup_steps), h.c, direction), v=v)
