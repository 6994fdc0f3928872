"""Cautious optimizers: only coordinates in which the step and the gradient agree in sign move."""

from accelsim.elementary import maximum, sign, total
from accelsim.optimizers.adamw import adamw, adaptive
from accelsim.optimizers.heavy_ball import accumulated, heavy_ball
from accelsim.optimizers.lion import lion, signed
from accelsim.rule import Hyperparameter, optimizer

SOURCE = "Liang, Chen, Liu and Liu 2024, arXiv:2411.16085"
LEAST = 1e-3  # share of coordinates, lest those that move take steps a thousand times as long
MASK = dict(xi=Hyperparameter(0, low=0))  # 1 in the first released code and in pytorch_optimizer


def cautious(direction, g, h):
    """The direction where its sign is the gradient's, else 0, over the share of coordinates in which it is."""
    mask = maximum(sign(direction * g), 0)
    share = (total(mask) + h.xi) / total(g**0)
    return direction * (mask / maximum(share, LEAST))


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source=f"{SOURCE}, around heavy ball",
    **heavy_ball.hyperparameters,
    **MASK,
)
def cautious_heavy_ball(s, t, h):
    """Cautious heavy ball: a step along the accumulated gradients where they have the sign of the newest."""
    g = yield s.w
    m = accumulated(s, g, h.beta)
    return dict(w=s.w - h.lr * cautious(m, g, h), m=m)


@optimizer(positions="w", memories="m v", returns="w", source=f"{SOURCE}, C-AdamW", **adamw.hyperparameters, **MASK)
def cautious_adamw(s, t, h):
    """C-AdamW: AdamW where Adam's direction has the sign of the gradient; weight decay everywhere."""
    g = yield s.w
    direction, moments = adaptive(s, g, t, h)
    return dict(w=s.w - h.lr * (cautious(direction, g, h) + h.weight_decay * s.w), **moments)


@optimizer(positions="w", memories="m", returns="w", source=f"{SOURCE}, C-Lion", **lion.hyperparameters, **MASK)
def cautious_lion(s, t, h):
    """C-Lion: Lion where its sign is the gradient's; weight decay everywhere."""
    g = yield s.w
    direction, m = signed(s, g, h)
    return dict(w=s.w - h.lr * (cautious(direction, g, h) + h.weight_decay * s.w), m=m)
