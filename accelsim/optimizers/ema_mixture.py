from accelsim.optimizers.qhm import mean, quasi
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size, weight


@optimizer(
    positions="w",
    memories="m1 m2 m3",
    returns="w",
    source="Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137, for three averages, the newest gradient mixed in",
    lr=step_size(),
    beta1=momentum(0.9),
    beta2=momentum(0.99),
    beta3=momentum(0.999),
    alpha2=Hyperparameter(1, low=0),
    alpha3=Hyperparameter(1, low=0),
    nu=weight(1),
)
def ema_mixture_sgd(s, t, h):
    """Mixture of three moving averages of gradients, and by nu of that and the newest gradient (1 leaves it out)."""
    g = yield s.w
    m1, m2, m3 = mean(s.m1, g, h.beta1), mean(s.m2, g, h.beta2), mean(s.m3, g, h.beta3)
    return dict(w=s.w - h.lr * quasi(g, m1 + h.alpha2 * m2 + h.alpha3 * m3, h.nu), m1=m1, m2=m2, m3=m3)
