from accelsim.elementary import sign
from accelsim.optimizers.adamw import decayed
from accelsim.optimizers.qhm import mean
from accelsim.rule import momentum, optimizer, step_size


def signed(s, g, h):
    """Lion's direction, the sign of gradient and moving average mixed by beta1, and the average after it."""
    return sign(mean(s.m, g, h.beta1)), mean(s.m, g, h.beta2)


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source="Chen et al. 2023, arXiv:2302.06675, Algorithm 2",
    lr=step_size(1e-4),
    beta1=momentum(0.9),
    beta2=momentum(0.99),
    **decayed(),
)
def lion(s, t, h):
    """Lion: the sign of gradient and moving average, mixed by beta1; the average itself has rate beta2."""
    g = yield s.w
    direction, m = signed(s, g, h)
    return dict(w=s.w - h.lr * (direction + h.weight_decay * s.w), m=m)
