"""AdEMAMix: a fast and a slow moving average of gradients; on SGD and with Adam's preconditioner."""

from accelsim.elementary import exp, log, maximum
from accelsim.optimizers.adamw import debiased, decayed, denominator, preconditioner, second_moment
from accelsim.optimizers.qhm import mean
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size, switch
from accelsim.schedules import warmup

SOURCE = "Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137"
# The released code has 2 for alpha; optax and pytorch_optimizer have 5.
HYPERPARAMETERS = dict(beta1=momentum(0.9), beta3=momentum(0.9999), alpha=Hyperparameter(2, low=0))
SMALLEST = 1e-8  # a rate of 0 has no logarithm: a warm-up starts here instead, as in the released code


def half_life(t, start, end, steps):
    """A moving average's rate, warmed up so that its half-life grows linearly; no warm-up where steps is 0."""
    if not steps:
        return end
    done = warmup(t, steps)
    low, high = (log(maximum(rate, SMALLEST)) for rate in (start, end))
    return exp(low * high / ((1 - done) * high + done * low))


def averages(s, g, beta1, beta3):
    """The fast and the slow average."""
    return mean(s.m1, g, beta1), mean(s.m2, g, beta3)


@optimizer(positions="w", memories="m1 m2", returns="w", source=SOURCE, lr=step_size(), **HYPERPARAMETERS)
def ademamix_sgd(s, t, h):
    """AdEMAMix on SGD: no preconditioner, no bias correction."""
    g = yield s.w
    m1, m2 = averages(s, g, h.beta1, h.beta3)
    return dict(w=s.w - h.lr * (m1 + h.alpha * m2), m1=m1, m2=m2)


@optimizer(
    positions="w",
    memories="m1 m2 v",
    returns="w",
    source=f"{SOURCE}, Algorithm 1 and Section 3",
    lr=step_size(1e-3),
    alpha_warmup=switch(0),
    beta3_warmup=switch(0),
    **HYPERPARAMETERS,
    **preconditioner(0.999),
    **decayed(),
)
def ademamix(s, t, h):
    """AdEMAMix: the slow average has no bias correction, and alpha and beta3 may warm up."""
    g = yield s.w
    m1, m2 = averages(s, g, h.beta1, half_life(t, h.beta1, h.beta3, h.beta3_warmup))
    v = second_moment(s, g, h)
    mixed = debiased(m1, h.beta1, t) + h.alpha * warmup(t, h.alpha_warmup) * m2
    return dict(w=s.w - h.lr * (mixed / denominator(v, t, h) + h.weight_decay * s.w), m1=m1, m2=m2, v=v)
