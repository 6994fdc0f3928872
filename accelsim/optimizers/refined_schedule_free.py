"""Schedule-Free SGD whose average forgets at a rate of its own."""

from accelsim.elementary import minimum
from accelsim.optimizers.schedule_free import averaged, mixture
from accelsim.rule import Hyperparameter, optimizer, step_size, switch, weight
from accelsim.schedules import ratio, recurrence, warmup


@recurrence(weights=0)
def averaging(memory, t, h):
    """C (1 - beta) times the share that this step's squared step size has in their sum, at most 1."""
    w = (h.lr * warmup(t, h.warmup_steps)) ** 2
    weights = memory.weights + w
    return minimum(1, h.C * (1 - h.beta) * ratio(w, weights)), dict(weights=weights)


@optimizer(
    positions="x z",
    returns="x",
    source="Song, Baek, Ahn and Yun 2025, arXiv:2507.09846, the refined Schedule-Free method around SGD",
    lr=step_size(),
    beta=weight(0.9),
    C=Hyperparameter(20, low=0),
    c=weight(averaging),
    warmup_steps=switch(0),
)
def refined_schedule_free(s, t, h):
    """Refined Schedule-Free: the weight of the newest iterate is C times 1 - beta; C = 1 / (1 - beta) is the usual."""
    g = yield mixture(s, h.beta)
    return averaged(s, h.lr * warmup(t, h.warmup_steps), h.c, g)
