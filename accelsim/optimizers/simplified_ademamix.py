"""Simplified-AdEMAMix: one buffer, and a weight on the current gradient; on SGD and with Adam's preconditioner."""

from accelsim.optimizers.adamw import decayed, denominator, preconditioner, second_moment
from accelsim.optimizers.ademamix import half_life
from accelsim.optimizers.heavy_ball import accumulated
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size, switch

SOURCE = "Morwani et al. 2025, arXiv:2502.02431"


def mixed(g, m, alpha):
    """The current gradient, weighted, and the momentum."""
    return alpha * g + m


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source=SOURCE,
    lr=step_size(),
    beta=momentum(0.99),
    alpha=Hyperparameter(0, low=0),
)
def simplified_ademamix_sgd(s, t, h):
    """Simplified-AdEMAMix on SGD: momentum in theory style, alpha on the current gradient."""
    g = yield s.w
    m = accumulated(s, g, h.beta)
    return dict(w=s.w - h.lr * mixed(g, m, h.alpha), m=m)


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source=f"{SOURCE}, Algorithm 1, and the authors' code for warm-up and bias correction",
    lr=step_size(1e-3),
    beta1=momentum(0.99),
    alpha=Hyperparameter(0, low=0),
    beta1_warmup=switch(0),
    min_beta1=momentum(0.9),
    **preconditioner(0.95),
    **decayed(),
)
def simplified_ademamix(s, t, h):
    """Simplified-AdEMAMix with Adam's preconditioner; beta1 may warm up from min_beta1."""
    g = yield s.w
    m = accumulated(s, g, half_life(t, h.min_beta1, h.beta1, h.beta1_warmup))
    v = second_moment(s, g, h)
    direction = mixed(g, m, h.alpha) / denominator(v, t, h)
    return dict(w=s.w - h.lr * (direction + h.weight_decay * s.w), m=m, v=v)
