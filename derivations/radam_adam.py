from typing import Any

from accelsim.optimizers.adamw import adam
from accelsim.optimizers.radam import radam
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "RAdam past its plain first steps is Adam whose step size is multiplied by r_t, a warm-up."
SOURCE = "Liu et al. 2020, arXiv:1908.03265, Algorithm 2"


def claimed(**given: Any) -> Equivalence:
    return Equivalence(
        radam,
        adam,
        map=dict(lr="lr(t)*rectified(t)", beta1="beta1"),
        transform=dict(w="w", m="m"),
        varying=("lr",),
        free=("plain", "rectified"),
        given=given,
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(plain=0)


def near_miss() -> Equivalence:
    """With plain steps."""
    return claimed()
