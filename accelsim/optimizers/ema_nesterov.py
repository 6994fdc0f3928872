from accelsim.optimizers.qhm import mean
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source="Yau, Li, Glentis, Boreiko, Wai and Hong 2026, arXiv:2605.25395, EMA-Nesterov around SGD",
    lr=step_size(),
    beta=Hyperparameter(low=0),
    gamma=momentum(),
)
def ema_nesterov(s, t, h):
    """EMA-Nesterov: a step from the point ahead along the moving average of past steps."""
    ahead = s.w + h.beta * s.m
    g = yield ahead
    w = ahead - h.lr * g
    return dict(w=w, m=mean(s.m, w - s.w, h.gamma))
