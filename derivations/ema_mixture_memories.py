from typing import Any

from accelsim.optimizers.ema_mixture import ema_mixture_sgd
from accelsim.symbolic.check.memories import Memories

CLAIM = "A mixture of three moving averages of gradients has three memories: it is no AdEMAMix on SGD."
SOURCE = "Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137"


def claimed(**given: Any) -> Memories:
    return Memories(ema_mixture_sgd, 3, given=given)


def certificate() -> Memories:
    return claimed()


def near_miss() -> Memories:
    """Two averages and the newest gradient."""
    return claimed(alpha3=0)
