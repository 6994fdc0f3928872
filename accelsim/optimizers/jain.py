from accelsim.rule import optimizer, step_size, weight


@optimizer(
    positions="w v",
    returns="w",
    source="Jain, Kakade, Kidambi, Netrapalli and Sidford 2018, arXiv:1704.08227, Algorithm 1",
    alpha=weight(),
    beta=weight(),
    gamma=step_size(),
    delta=step_size(),
)
def jain(s, t, h):
    """Accelerated SGD with four parameters; the paper returns the tail average of w."""
    y = h.alpha * s.w + (1 - h.alpha) * s.v
    g = yield y
    z = h.beta * y + (1 - h.beta) * s.v
    return dict(w=y - h.delta * g, v=z - h.gamma * g)
