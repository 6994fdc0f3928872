from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.qhm import qhm
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Quasi-hyperbolic momentum is accelerated SGD with eta = lr nu (1 - beta) and alpha = lr (1 - nu)."
SOURCE = "Ma and Yarats 2019, arXiv:1810.06801, Equations 3 and 4"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        qhm,
        accelerated_sgd,
        map=dict(beta="beta(t)*(1 - beta(t-1))/(1 - beta(t))", eta=eta, alpha="lr(t)*(1 - nu(t))"),
        transform=dict(w="w", m="(1 - beta(t-1))*m"),
        backward=True,
        varying=("lr", "beta", "nu"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*nu(t)*(1 - beta(t))")


def near_miss() -> Equivalence:
    """Momentum in theory style."""
    return claimed(eta="lr(t)*nu(t)")
