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


@optimizer(
    positions="w",
    memories="v",
    returns="w",
    source="Sutskever et al. 2013, Proceedings of Machine Learning Research 28:1139, restated in arXiv:1212.0901",
    lr=step_size(),
    mu=momentum(),
)
def nesterov_velocity(s, t, h):
    """Nesterov's accelerated gradient with a velocity, the gradient taken where that leads by itself.

    In the point at which the gradient is taken it has the momenta of two steps, this one's and the next one's.
    """
    g = yield s.w + h.mu * s.v
    v = h.mu * s.v - h.lr * g
    return dict(w=s.w + v, v=v)


@optimizer(
    positions="y x",
    returns="x",
    source="Su, Boyd and Candes 2014, arXiv:1503.01243, Equation 1, after Nesterov 1983",
    lr=step_size(),
    mu=momentum(),
)
def nesterov_sequences(s, t, h):
    """Nesterov's accelerated gradient in two sequences: a gradient step to x, then on along the last change of x."""
    g = yield s.y
    x = s.y - h.lr * g
    return dict(x=x, y=x + h.mu * (x - s.x))
