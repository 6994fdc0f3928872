from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.qhadam import qhadam
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "QHAdam is quasi-hyperbolic momentum, then its preconditioner p_t: alpha = lr (1 - nu1) p_t."
SOURCE = "Ma and Yarats 2019, arXiv:1810.06801, Section 4.1"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        qhadam,
        accelerated_sgd,
        map=dict(beta="beta1", eta=eta, alpha="lr(t)*(1 - nu1(t))*p(t)"),
        transform=dict(w="w", m="(1 - beta1)*m"),
        backward=True,
        varying=("lr", "nu1"),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*nu1(t)*(1 - beta1)/(1 - beta1**(t+1))*p(t)")


def near_miss() -> Equivalence:
    """Without its bias correction."""
    return claimed(eta="lr(t)*nu1(t)*(1 - beta1)*p(t)")
