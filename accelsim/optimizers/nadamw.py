from accelsim.optimizers.adamw import debiased, decayed, denominator, preconditioner, second_moment
from accelsim.optimizers.qhm import mean
from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Dahl et al. 2023, arXiv:2306.07179, NAdamW, its weight decay times lr as in optax",
    lr=step_size(1e-3),
    beta1=momentum(0.9),
    **preconditioner(0.999),
    **decayed(0.01),
)
def nadamw(s, t, h):
    """NAdamW: AdamW that steps along the momentum of the next step, whose rate is constant."""
    g = yield s.w
    m, v = mean(s.m, g, h.beta1), second_moment(s, g, h)
    ahead = h.beta1 * debiased(m, h.beta1, t + 1) + (1 - h.beta1) * debiased(g, h.beta1, t)
    return dict(w=s.w - h.lr * (ahead / denominator(v, t, h) + h.weight_decay * s.w), m=m, v=v)
