from accelsim.elementary import first, maximum, sqrt, where
from accelsim.optimizers.adamw import decayed, preconditioner, second_moment
from accelsim.optimizers.qhm import mean
from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Taniguchi et al. 2024, arXiv:2411.02853, Algorithm 2, not clipped, with decoupled weight decay",
    lr=step_size(1e-3),
    beta1=momentum(0.9),
    **preconditioner(0.9999, eps=1e-6),
    **decayed(),
)
def adopt(s, t, h):
    """ADOPT: gradients over the second moment of those before them, then momentum; the first one only begins it."""
    g = yield s.w
    m = where(first(t), s.m, mean(s.m, g / maximum(sqrt(s.v), h.eps), h.beta1))
    v = where(first(t), g * g, second_moment(s, g, h))
    return dict(w=s.w - where(first(t), 0, h.lr) * (m + h.weight_decay * s.w), m=m, v=v)
