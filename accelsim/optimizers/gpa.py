from accelsim.optimizers.schedule_free import mixture
from accelsim.rule import momentum, optimizer, step_size, weight


@optimizer(
    positions="x z",
    returns="x",
    source="Defazio, Mishchenko, Raman, Shi and Xiao 2025, arXiv:2512.17131, Generalized Primal Averaging around SGD",
    lr=step_size(),
    mu_x=momentum(),
    mu_y=weight(),
)
def gpa(s, t, h):
    """Generalized primal averaging: moving average x of the base iterates z, gradient at a mixture of the two."""
    g = yield mixture(s, h.mu_y)
    z = s.z - h.lr * g
    return dict(x=h.mu_x * s.x + (1 - h.mu_x) * z, z=z)
