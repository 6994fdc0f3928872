from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.laprop import laprop
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "LaProp is heavy ball on preconditioned gradients."
SOURCE = "Ziyin, Wang and Ueda 2020, arXiv:2002.04839, Algorithm 1"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        laprop,
        accelerated_sgd,
        map=dict(beta="beta1", eta=eta, alpha="0"),
        transform=dict(w="w", m="(1 - beta1)*m"),
        backward=True,
        varying=("lr",),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*(1 - beta1)/(1 - beta1**(t+1))")


def near_miss() -> Equivalence:
    """Without its bias correction."""
    return claimed(eta="lr(t)*(1 - beta1)")
