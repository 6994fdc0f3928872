"""MARS: the difference of two gradients corrects the newest; without its clipping, and with all that AdamW adds."""

from accelsim.elementary import maximum, sqrt, total
from accelsim.optimizers.adamw import debiased, decayed, denominator, preconditioner, second_moment
from accelsim.optimizers.qhm import mean
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size, switch

SOURCE = "Yuan et al. 2024, arXiv:2411.10438, Algorithm 1"
HYPERPARAMETERS = dict(lr=step_size(3e-3), gamma=Hyperparameter(0.025, low=0))


def corrected(g, previous, beta, gamma):
    """The gradient plus its scaled difference from a previous one."""
    return g + gamma * beta / (1 - beta) * (g - previous)


@optimizer(
    positions="w",
    memories="m last",
    returns="w",
    source=f"{SOURCE}, approximate version",
    beta=momentum(0.95),
    **HYPERPARAMETERS,
)
def mars_sgd(s, t, h):
    """MARS, approximate: the difference is from the last step's gradient, zero before the first."""
    g = yield s.w
    m = mean(s.m, corrected(g, s.last, h.beta, h.gamma), h.beta)
    return dict(w=s.w - h.lr * m, m=m, last=g)


@optimizer(positions="w previous", memories="m", returns="w", source=SOURCE, beta=momentum(0.95), **HYPERPARAMETERS)
def mars_exact_sgd(s, t, h):
    """MARS, exact: the difference is from the gradient at the last step's point, on the same sample."""
    g, before = yield s.w, s.previous
    m = mean(s.m, corrected(g, before, h.beta, h.gamma), h.beta)
    return dict(w=s.w - h.lr * m, previous=s.w, m=m)


@optimizer(
    positions="w",
    memories="m v last",
    returns="w",
    source=f"{SOURCE}, approximate version with AdamW's preconditioner, as released",
    beta1=momentum(0.95),
    clip=switch(1),
    **HYPERPARAMETERS,
    **preconditioner(0.99),
    **decayed(),
)
def mars(s, t, h):
    """MARS with Adam's preconditioner, approximate; where clip is 1, a corrected gradient longer than 1 is cut to 1."""
    g = yield s.w
    c = corrected(g, s.last, h.beta1, h.gamma)
    if h.clip:
        c = c / maximum(1, sqrt(total(c * c)))
    m, v = mean(s.m, c, h.beta1), second_moment(s, c, h)
    direction = debiased(m, h.beta1, t) / denominator(v, t, h)
    return dict(w=s.w - h.lr * (direction + h.weight_decay * s.w), m=m, v=v, last=g)
