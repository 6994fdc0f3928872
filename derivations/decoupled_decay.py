from accelsim.optimizers.adamw import decayed
from accelsim.optimizers.heavy_ball import heavy_ball
from accelsim.optimizers.qhm import mean
from accelsim.rule import momentum, optimizer, step_size
from accelsim.symbolic.check.equivalence import Equivalence

from ._gradients import penalized

CLAIM = (
    "Decoupled weight decay is an L2 penalty of the same weight with momentum beta (1 - lr weight_decay), "
    "after a first step of penalty weight_decay/(1 - beta)."
)
SOURCE = "Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 1"


@optimizer(positions="w", memories="m", returns="w", source=SOURCE, lr=step_size(), beta=momentum(0.9), **decayed(0.01))
def sgdw(s, t, h):
    """SGD with averaged momentum and decoupled weight decay."""
    g = yield s.w
    m = mean(s.m, g, h.beta)
    return dict(w=s.w - h.lr * (m + h.weight_decay * s.w), m=m)


def claimed(beta: str) -> Equivalence:
    inverse = "1/((1 - beta)*(1 - lr(t-1)*weight_decay))"
    return Equivalence(
        sgdw,
        penalized(heavy_ball),
        map=dict(lr="lr(t)*(1 - beta)", beta=beta, penalty="weight_decay/where(first(t), 1 - beta, 1)"),
        transform=dict(w="w", m=f"{inverse}*m + where(first(t), 0, weight_decay)*{inverse}*w"),
        varying=("lr",),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(beta="beta*(1 - lr(t-1)*weight_decay)")


def near_miss() -> Equivalence:
    """The same momentum: weight decay and penalty differ once there is any."""
    return claimed(beta="beta")
