"""Heavy ball with the sum of decayed gradients as its memory, and with its last step."""

from accelsim import momentum, optimizer, step_size
from accelsim.optimizers import find

summed = find("heavy_ball")


@optimizer(positions="w", memories="v", returns="w", lr=step_size(), beta=momentum())
def last_step(s, t, h):
    """Heavy ball, v its last step."""
    g = yield s.w
    v = h.beta * s.v - h.lr * g
    return dict(w=s.w + v, v=v)
