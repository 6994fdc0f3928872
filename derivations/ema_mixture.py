from typing import Any

from accelsim.optimizers.ademamix import ademamix_sgd
from accelsim.optimizers.ema_mixture import ema_mixture_sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "A mixture of two moving averages of gradients is AdEMAMix on SGD, if the newest gradient is not mixed in."
SOURCE = "Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137"


def claimed(**given: Any) -> Equivalence:
    return Equivalence(
        ema_mixture_sgd,
        ademamix_sgd,
        map=dict(lr="lr(t)", beta1="beta1(t)", beta3="beta2(t)", alpha="alpha2(t)"),
        transform=dict(w="w", m1="m1", m2="m2"),
        varying=("lr", "beta1", "beta2", "alpha2"),
        given=dict(alpha3=0, **given),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(nu=1)


def near_miss() -> Equivalence:
    """With the newest gradient mixed in."""
    return claimed()
