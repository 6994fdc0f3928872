from typing import Any

from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.aggmo import aggmo
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Aggregated momentum with one damping 0 is accelerated SGD with eta = alpha = lr/2."
SOURCE = "Lucas, Sun, Zemel and Grosse 2019, arXiv:1804.00325, Equation 2"


def claimed(**given: Any) -> Equivalence:
    return Equivalence(
        aggmo,
        accelerated_sgd,
        map=dict(beta="beta2", eta="lr(t)/2", alpha="lr(t)/2"),
        transform=dict(w="w", m="-v2"),
        varying=("lr",),
        given=given,
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(beta1=0)


def near_miss() -> Equivalence:
    """With both dampings above 0 there are two memories."""
    return claimed()
