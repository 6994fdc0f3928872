from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="x",
    memories="v",
    returns="x",
    source="Gupta, Siegel and Wojtowytsch 2024, arXiv:2302.05515, Algorithm 1",
    lr=step_size(0.01),
    alpha=step_size(0.001),
    rho=momentum(0.99),
)
def agnes(s, t, h):
    """AGNES: Nesterov's method with a step size of its own, alpha, for the velocity."""
    y = s.x + h.alpha * s.v
    g = yield y
    return dict(x=y - h.lr * g, v=h.rho * (s.v - g))
