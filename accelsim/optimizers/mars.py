"""MARS before its preconditioner, with its clipping inactive: the difference of two gradients corrects the newest."""

from accelsim.optimizer import Hyperparameter, momentum, optimizer, step_size
from accelsim.optimizers.qhm import mean

SOURCE = "Yuan et al. 2024, arXiv:2411.10438, Algorithm 1"
HYPERPARAMETERS = dict(lr=step_size(3e-3), beta=momentum(0.95), gamma=Hyperparameter(0.025, low=0))


def corrected(g, previous, h):
    """The gradient plus its scaled difference from a previous one."""
    return g + h.gamma * h.beta / (1 - h.beta) * (g - previous)


@optimizer(positions="w", memories="m last", returns="w", source=f"{SOURCE}, approximate version", **HYPERPARAMETERS)
def mars_sgd(s, t, h):
    """MARS, approximate: the difference is from the last step's gradient, zero before the first."""
    g = yield s.w
    m = mean(s.m, corrected(g, s.last, h), h.beta)
    return dict(w=s.w - h.lr * m, m=m, last=g)


@optimizer(positions="w previous", memories="m", returns="w", source=SOURCE, **HYPERPARAMETERS)
def mars_exact_sgd(s, t, h):
    """MARS, exact: the difference is from the gradient at the last step's point, on the same sample."""
    g, before = yield s.w, s.previous
    m = mean(s.m, corrected(g, before, h), h.beta)
    return dict(w=s.w - h.lr * m, previous=s.w, m=m)
