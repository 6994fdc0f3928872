from accelsim.optimizers.heavy_ball import accumulated
from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source="Bengio, Boulanger-Lewandowski and Pascanu 2012, arXiv:1212.0901, Equation 7",
    lr=step_size(),
    beta=momentum(),
)
def nesterov(s, t, h):
    """Nesterov's accelerated gradient, written in the point at which the gradient is taken."""
    g = yield s.w
    m = accumulated(s, g, h.beta)
    return dict(w=s.w - h.lr * (g + h.beta * m), m=m)
