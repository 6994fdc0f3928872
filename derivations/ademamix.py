from typing import Any

from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.ademamix import ademamix_sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "AdEMAMix on SGD with beta1 = 0 is accelerated SGD, beta3 and alpha scheduled or not."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 4"


def claimed(**given: Any) -> Equivalence:
    return Equivalence(
        ademamix_sgd,
        accelerated_sgd,
        map=dict(
            beta="beta3(t)*(1 - beta3(t-1))/(1 - beta3(t))",
            eta="lr(t)*alpha(t)*(1 - beta3(t))",
            alpha="lr(t)",
        ),
        transform=dict(w="w", m="m2/(1 - beta3(t-1))"),
        varying=("lr", "beta3", "alpha"),
        given=given,
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(beta1=0)


def near_miss() -> Equivalence:
    """With beta1 > 0 there are two memories."""
    return claimed()
