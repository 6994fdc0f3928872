from accelsim.rule import momentum, optimizer, step_size, weight


def mean(memory, g, beta):
    """Momentum in average style: the exponential moving average of gradients."""
    return beta * memory + (1 - beta) * g


def quasi(g, average, nu):
    """The newest and the moving average, mixed by nu."""
    return (1 - nu) * g + nu * average


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source="Ma and Yarats 2019, arXiv:1810.06801, Equations 3 and 4",
    lr=step_size(),
    beta=momentum(0.999),
    nu=weight(0.7),
)
def qhm(s, t, h):
    """Quasi-hyperbolic momentum: the gradient and its moving average, mixed by nu."""
    g = yield s.w
    m = mean(s.m, g, h.beta)
    return dict(w=s.w - h.lr * quasi(g, m, h.nu), m=m)
