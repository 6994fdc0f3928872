from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.mass import mass
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "MaSS is accelerated SGD with beta = gamma, eta = gamma eta1 - eta2 and alpha = eta1, in its gradient's point."
SOURCE = "Liu and Belkin 2020, arXiv:1810.13395, Equation 10"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        mass,
        accelerated_sgd,
        map=dict(beta="gamma", eta=eta, alpha="eta1"),
        transform=dict(u="w", w="w + (gamma*eta1 - eta2)*m"),
        backward=True,
    )


def certificate() -> Equivalence:
    return claimed(eta="gamma*eta1 - eta2")


def near_miss() -> Equivalence:
    """Without the compensation, which is Nesterov's method."""
    return claimed(eta="gamma*eta1")
