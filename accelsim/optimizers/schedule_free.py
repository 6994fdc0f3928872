"""Schedule-Free SGD and AdamW, with the averaging weights and the warm-up of the authors' released code."""

from accelsim.elementary import maximum, sqrt
from accelsim.optimizer import momentum, optimizer, positive, real, step_size, switch, weight
from accelsim.schedules import recurrence, warmup

SOURCE = "Defazio et al. 2024, arXiv:2405.15682"


@recurrence(largest=0, weights=0)
def averaging(memory, t, h):
    """Weight (t+1)^r lr_max^p of this step over the sum of weights so far; 1/(t+1) for r = 0 and constant lr."""
    largest = maximum(memory.largest, h.lr * warmup(t, h.warmup_steps))
    w = (t + 1) ** h.r * largest**h.weight_lr_power
    weights = memory.weights + w
    return (w / weights if weights else 0 * w), dict(largest=largest, weights=weights)


AVERAGING = dict(
    beta=weight(0.9),
    c=weight(averaging),
    r=real(0),
    weight_lr_power=real(2),
    warmup_steps=switch(0),
)


def averaged(s, lr, c, direction):
    """The step of the base iterate z along a direction, and the average x of the base iterates."""
    z = s.z - lr * direction
    return dict(z=z, x=s.x + c * (z - s.x))


@optimizer(positions="x z", returns="x", source=f"{SOURCE}, Equations 3 to 5", lr=step_size(1.0), **AVERAGING)
def schedule_free(s, t, h):
    """Schedule-Free SGD: average x, base iterate z, gradient at their mixture."""
    g = yield h.beta * s.x + (1 - h.beta) * s.z
    return averaged(s, h.lr * warmup(t, h.warmup_steps), h.c, g)
