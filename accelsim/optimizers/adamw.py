"""Adam and AdamW, and Adam's preconditioner for the rules that share it."""

from accelsim.elementary import sqrt
from accelsim.optimizers.qhm import mean
from accelsim.rule import Hyperparameter, momentum, optimizer, positive, step_size


def preconditioner(beta2, eps=1e-8):
    """Declarations of what Adam's preconditioner reads, with a rule's own defaults."""
    return dict(beta2=momentum(beta2), eps=positive(eps))


def decayed(weight_decay=0):
    """Declaration of decoupled weight decay, with a rule's own default."""
    return dict(weight_decay=Hyperparameter(weight_decay, low=0))


def second_moment(s, g, h):
    """The moving average of squared gradients."""
    return mean(s.v, g * g, h.beta2)


def debiased(average, beta, t):
    """A moving average over the sum of its weights, which begin at zero."""
    return average / (1 - beta ** (t + 1))


def denominator(v, t, h):
    """The root of the second moment after its bias correction, and epsilon outside the root."""
    return sqrt(debiased(v, h.beta2, t)) + h.eps


def adaptive(s, g, t, h):
    """Adam's direction, momentum over the root of the second moment, both without bias; and both memories after it."""
    m, v = mean(s.m, g, h.beta1), second_moment(s, g, h)
    return debiased(m, h.beta1, t) / denominator(v, t, h), dict(m=m, v=v)


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1",
    lr=step_size(1e-3),
    beta1=momentum(0.9),
    **preconditioner(0.999),
)
def adam(s, t, h):
    """Adam: momentum over the root of the second moment."""
    g = yield s.w
    direction, moments = adaptive(s, g, t, h)
    return dict(w=s.w - h.lr * direction, **moments)


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2, its weight decay times lr as in torch and optax",
    lr=step_size(1e-3),
    beta1=momentum(0.9),
    **preconditioner(0.999),
    **decayed(0.01),
)
def adamw(s, t, h):
    """AdamW: momentum, then Adam's preconditioner, and decoupled weight decay."""
    g = yield s.w
    direction, moments = adaptive(s, g, t, h)
    return dict(w=s.w - h.lr * (direction + h.weight_decay * s.w), **moments)
