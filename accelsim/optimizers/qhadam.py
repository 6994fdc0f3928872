from accelsim.elementary import sqrt
from accelsim.optimizers.adamw import debiased, preconditioner, second_moment
from accelsim.optimizers.qhm import mean, quasi
from accelsim.rule import momentum, optimizer, step_size, weight


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Ma and Yarats 2019, arXiv:1810.06801, Section 4.1, and the values that its authors recommend",
    lr=step_size(1e-3),
    beta1=momentum(0.995),
    nu1=weight(0.7),
    nu2=weight(1),
    **preconditioner(0.999),
)
def qhadam(s, t, h):
    """QHAdam: gradient and moving average, and their squares, mixed by nu1 and nu2."""
    g = yield s.w
    m, v = mean(s.m, g, h.beta1), second_moment(s, g, h)
    direction = quasi(g, debiased(m, h.beta1, t), h.nu1)
    return dict(w=s.w - h.lr * direction / (sqrt(quasi(g * g, debiased(v, h.beta2, t), h.nu2)) + h.eps), m=m, v=v)
