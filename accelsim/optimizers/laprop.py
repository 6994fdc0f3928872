from accelsim.optimizers.adamw import debiased, denominator, preconditioner, second_moment
from accelsim.optimizers.qhm import mean
from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Ziyin, Wang and Ueda 2020, arXiv:2002.04839, Algorithm 1",
    lr=step_size(4e-4),
    beta1=momentum(0.9),
    **preconditioner(0.999, eps=1e-15),
)
def laprop(s, t, h):
    """LaProp: Adam's preconditioner first, then momentum."""
    g = yield s.w
    v = second_moment(s, g, h)
    m = mean(s.m, g / denominator(v, t, h), h.beta1)
    return dict(w=s.w - h.lr * debiased(m, h.beta1, t), m=m, v=v)
