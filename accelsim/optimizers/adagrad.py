from accelsim.elementary import sqrt
from accelsim.rule import optimizer, positive, step_size


@optimizer(
    positions="w",
    memories="v",
    returns="w",
    source="Duchi, Hazan and Singer 2011, doi:10.5555/1953048.2021068, diagonal, with epsilon as in torch",
    lr=step_size(0.01),
    eps=positive(1e-10),
)
def adagrad(s, t, h):
    """Adagrad: gradients over the root of the sum of their squares."""
    g = yield s.w
    v = s.v + g * g
    return dict(w=s.w - h.lr * g / (sqrt(v) + h.eps), v=v)
