from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="v1 v2",
    returns="w",
    source="Lucas, Sun, Zemel and Grosse 2019, arXiv:1804.00325, Equation 2, for two velocities",
    lr=step_size(),
    beta1=momentum(0),
    beta2=momentum(0.9),
)
def aggmo(s, t, h):
    """Aggregated momentum: the mean of two velocities of different damping."""
    g = yield s.w
    v1, v2 = h.beta1 * s.v1 - g, h.beta2 * s.v2 - g
    return dict(w=s.w + h.lr / 2 * (v1 + v2), v1=v1, v2=v2)
