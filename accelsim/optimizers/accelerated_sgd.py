from accelsim.optimizers.heavy_ball import accumulated
from accelsim.rule import momentum, optimizer, real, step_size


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source="Morwani et al. 2025, arXiv:2502.02431, Section 3",
    eta=real(),
    alpha=step_size(),
    beta=momentum(),
)
def accelerated_sgd(s, t, h):
    """Accelerated SGD in canonical form: the current gradient weighs alpha beside the momentum's eta."""
    g = yield s.w
    m = accumulated(s, g, h.beta)
    return dict(w=s.w - h.eta * m - h.alpha * g, m=m)
