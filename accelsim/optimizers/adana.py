from accelsim.elementary import sqrt
from accelsim.optimizers.dana import forgetting
from accelsim.optimizers.qhm import mean
from accelsim.rule import Hyperparameter, optimizer, positive, real, step_size
from accelsim.schedules import recurrence


@recurrence()
def damped(memory, t, h):
    """The weight of the momentum, which grows with its memory, but slower where kappa is above 0."""
    return (1 + t) ** (1 - h.kappa), {}


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Ferbach et al. 2026, arXiv:2602.05298",
    lr=step_size(1e-3),
    delta=positive(8),
    kappa=real(0.85),
    alpha=Hyperparameter(damped, low=0),
    eps=positive(1e-8),
)
def adana(s, t, h):
    """ADANA: DANA with Adam's preconditioner; memories of both moments grow with time, with no bias to correct."""
    g = yield s.w
    beta = 1 - forgetting(t, h)
    m, v = mean(s.m, g, beta), mean(s.v, g * g, beta)
    return dict(w=s.w - h.lr * (g + h.alpha * m) / (sqrt(v) + h.eps), m=m, v=v)
