from accelsim.elementary import first, sqrt, where
from accelsim.optimizers.adamw import debiased, decayed
from accelsim.optimizers.qhm import mean
from accelsim.rule import momentum, optimizer, positive, step_size


@optimizer(
    positions="w",
    memories="m d v last",
    returns="w",
    source="Xie et al. 2022, arXiv:2208.06677, Algorithm 1, with the rates and bias corrections of the released code",
    lr=step_size(1e-3),
    beta1=momentum(0.98),
    beta2=momentum(0.92),
    beta3=momentum(0.99),
    eps=positive(1e-8),
    **decayed(),
)
def adan(s, t, h):
    """Adan: moving averages of gradients, of their differences, and of the square of both; weight decay is implicit."""
    g = yield s.w
    difference = where(first(t), 0 * g, g - s.last)
    m, d = mean(s.m, g, h.beta1), mean(s.d, difference, h.beta2)
    ahead = g + h.beta2 * difference
    v = mean(s.v, ahead * ahead, h.beta3)
    direction = debiased(m, h.beta1, t) + h.beta2 * debiased(d, h.beta2, t)
    w = s.w - h.lr * direction / (sqrt(debiased(v, h.beta3, t)) + h.eps)
    return dict(w=w / (1 + h.lr * h.weight_decay), m=m, d=d, v=v, last=g)
