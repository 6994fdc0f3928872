from typing import Any

from accelsim.optimizers.ademamix import ademamix_sgd
from accelsim.symbolic.check.memories import Memories

CLAIM = "AdEMAMix on SGD with beta1 > 0, beta1 != beta3 and alpha != 0 has two memories: it is no accelerated SGD."
SOURCE = "Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137"


def claimed(**given: Any) -> Memories:
    return Memories(ademamix_sgd, 2, given=given)


def certificate() -> Memories:
    return claimed()


def near_miss() -> Memories:
    """Without the fast average there is one."""
    return claimed(beta1=0)
