from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.lion import lion
from accelsim.optimizers.signum import signum
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Lion steps along the sign of accelerated SGD's direction, with beta = beta2 and alpha/lr = 1 - beta1/beta2."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 4"


def certificate() -> Equivalence:
    return Equivalence(
        lion,
        accelerated_sgd,
        map=dict(beta="beta2", eta="lr*(1 - beta2)*beta1/beta2", alpha="lr*(1 - beta1/beta2)"),
        transform=dict(w="w", m="(1 - beta2)*m"),
        backward=True,
        given=dict(weight_decay=0),
        returned=True,
        up_to=("sign",),
    )


def near_miss() -> Equivalence:
    """Signum, which Lion is only where beta1 = beta2."""
    return Equivalence(
        lion,
        signum,
        map=dict(lr="lr", beta="beta2"),
        transform=dict(w="w", m="m"),
        given=dict(weight_decay=0),
        returned=True,
    )
