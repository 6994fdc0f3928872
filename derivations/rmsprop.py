from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.rmsprop import rmsprop
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "RMSprop with momentum is heavy ball on preconditioned gradients."
SOURCE = "Ruder 2016, arXiv:1609.04747, Section 4.5 (after Tieleman and Hinton's lecture), with momentum as in torch"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        rmsprop,
        accelerated_sgd,
        map=dict(beta="beta1", eta=eta, alpha="0"),
        transform=dict(w="w", m="m"),
        backward=True,
        varying=("lr",),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)")


def near_miss() -> Equivalence:
    """Momentum as an average, as in LaProp."""
    return claimed(eta="lr(t)*(1 - beta1)")
