from typing import Any

from accelsim.optimizers.aggmo import aggmo
from accelsim.symbolic.check.memories import Memories

CLAIM = "Aggregated momentum with two dampings that differ and are not 0 has two memories: it is no accelerated SGD."
SOURCE = "Lucas, Sun, Zemel and Grosse 2019, arXiv:1804.00325, Equation 2"


def claimed(**given: Any) -> Memories:
    return Memories(aggmo, 2, given=given)


def certificate() -> Memories:
    return claimed()


def near_miss() -> Memories:
    """Dampings that do not differ."""
    return claimed(beta1=0.5, beta2=0.5)
