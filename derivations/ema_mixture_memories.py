from typing import Any

from accelsim.optimizers.ema_mixture import ema_mixture_sgd
from accelsim.symbolic.check.memories import Memories

CLAIM = "Two moving averages with the newest gradient mixed in have two memories: they are no accelerated SGD."
SOURCE = "Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137"


def claimed(**given: Any) -> Memories:
    return Memories(ema_mixture_sgd, 2, given=dict(alpha3=0, **given))


def certificate() -> Memories:
    return claimed()


def near_miss() -> Memories:
    """One average and the newest gradient."""
    return claimed(alpha2=0)
