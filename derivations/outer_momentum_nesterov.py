from typing import Any

from accelsim.optimizers.averaging import outer_momentum
from accelsim.optimizers.nesterov import nesterov
from accelsim.optimizers.sgd import sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "SGD with outer momentum and a period of one step is Nesterov's method with step size lr outer_lr."
SOURCE = "Kallusky, Rao, Nandavanam and Shi 2025, arXiv:2510.15830"


def claimed(**given: Any) -> Equivalence:
    return Equivalence(
        outer_momentum(sgd),
        nesterov,
        map=dict(lr="lr*outer_lr", beta="outer_beta"),
        transform=dict(w="w", outer_momentum="w", velocity="-lr*m"),
        backward=True,
        free=("sync",),
        given=given,
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(sync=1)


def near_miss() -> Equivalence:
    """With longer periods."""
    return claimed()
