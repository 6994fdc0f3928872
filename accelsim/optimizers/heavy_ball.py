from accelsim.rule import momentum, optimizer, step_size


def accumulated(s, g, beta):
    """Momentum in theory style: the sum of past gradients discounted by beta, weight 1 on the newest."""
    return beta * s.m + g


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source="Polyak 1964, doi:10.1016/0041-5553(64)90137-5",
    lr=step_size(),
    beta=momentum(),
)
def heavy_ball(s, t, h):
    """Heavy ball: a step along the accumulated gradients."""
    g = yield s.w
    m = accumulated(s, g, h.beta)
    return dict(w=s.w - h.lr * m, m=m)
