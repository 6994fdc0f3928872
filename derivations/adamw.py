from accelsim.optimizers.adamw import adam, adamw
from accelsim.symbolic.check.equivalence import Equivalence

from ._gradients import penalized

CLAIM = "AdamW without weight decay is Adam."
SOURCE = "Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2"


def certificate() -> Equivalence:
    return Equivalence(
        adam,
        adamw,
        map=dict(lr="lr(t)", beta1="beta1", weight_decay="0"),
        transform=dict(w="w", m="m"),
        varying=("lr",),
        returned=True,
    )


def near_miss() -> Equivalence:
    """An L2 penalty in Adam's gradients, which its preconditioner takes for a part of them."""
    return Equivalence(
        penalized(adam),
        adamw,
        map=dict(lr="lr(t)", beta1="beta1", weight_decay="penalty"),
        transform=dict(w="w", m="m"),
        varying=("lr",),
        returned=True,
    )
