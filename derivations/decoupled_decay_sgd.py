from accelsim.optimizers.sgd import sgd
from accelsim.symbolic.check.equivalence import Equivalence

from ._gradients import penalized
from .decoupled_decay import sgdw

CLAIM = "Without momentum, decoupled weight decay is an L2 penalty."
SOURCE = "Loshchilov and Hutter 2019, arXiv:1711.05101, Proposition 1"


def claimed(**given: float) -> Equivalence:
    return Equivalence(
        sgdw,
        penalized(sgd),
        map=dict(lr="lr(t)", penalty="weight_decay"),
        transform=dict(w="w"),
        varying=("lr",),
        given=given,
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(beta=0)


def near_miss() -> Equivalence:
    """With momentum."""
    return claimed()
