from accelsim.elementary import sqrt
from accelsim.optimizers.adamw import preconditioner, second_moment
from accelsim.optimizers.heavy_ball import accumulated
from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Ruder 2016, arXiv:1609.04747, Section 4.5 (after Tieleman and Hinton's lecture), with momentum as in torch",
    lr=step_size(0.01),
    beta1=momentum(0),
    **preconditioner(0.99),
)
def rmsprop(s, t, h):
    """RMSprop: gradients over the root of the moving average of their squares, then momentum."""
    g = yield s.w
    v = second_moment(s, g, h)
    m = accumulated(s, g / (sqrt(v) + h.eps), h.beta1)
    return dict(w=s.w - h.lr * m, m=m, v=v)
