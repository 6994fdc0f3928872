from accelsim.elementary import sign
from accelsim.optimizers.qhm import mean
from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source="Bernstein et al. 2018, arXiv:1802.04434, Algorithm 2",
    lr=step_size(1e-4),
    beta=momentum(0.9),
)
def signum(s, t, h):
    """Signum: the sign of the gradients' moving average."""
    g = yield s.w
    m = mean(s.m, g, h.beta)
    return dict(w=s.w - h.lr * sign(m), m=m)
