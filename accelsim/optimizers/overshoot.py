from accelsim.optimizers.heavy_ball import accumulated
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source="Kopal, Gregor, de Leon-Martinez and Simko 2025, arXiv:2501.09556, SGD with overshoot",
    lr=step_size(),
    beta=momentum(0.9),
    gamma=Hyperparameter(3, low=0),
)
def overshoot(s, t, h):
    """Overshoot: heavy ball whose gradient is taken gamma steps ahead; Nesterov's where gamma is beta."""
    g = yield s.w - h.gamma * h.lr * s.m
    m = accumulated(s, g, h.beta)
    return dict(w=s.w - h.lr * m, m=m)
