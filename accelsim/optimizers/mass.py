from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="u w",
    returns="w",
    source="Liu and Belkin 2020, arXiv:1810.13395, Equation 10",
    eta1=step_size(),
    eta2=step_size(),
    gamma=momentum(),
)
def mass(s, t, h):
    """MaSS: Nesterov's method with a compensation eta2 of what its momentum takes of the newest gradient."""
    g = yield s.u
    w = s.u - h.eta1 * g
    return dict(u=(1 + h.gamma) * w - h.gamma * s.w + h.eta2 * g, w=w)
