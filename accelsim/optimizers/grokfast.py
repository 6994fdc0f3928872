from accelsim.optimizers.qhm import mean
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="slow",
    returns="w",
    source="Lee, Kang, Kim and Lee 2024, arXiv:2405.20233, Algorithm 1 (Grokfast-EMA) around SGD",
    lr=step_size(),
    alpha=momentum(0.98),
    lamb=Hyperparameter(2, low=0),
)
def grokfast(s, t, h):
    """Grokfast: gradients in which their moving average, what is slow in them, is amplified."""
    g = yield s.w
    slow = mean(s.slow, g, h.alpha)
    return dict(w=s.w - h.lr * (g + h.lamb * slow), slow=slow)
