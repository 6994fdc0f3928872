from typing import Any

from accelsim.optimizers.averaging import outer_momentum
from accelsim.optimizers.sgd import sgd
from accelsim.symbolic.check.memories import Memories

# sync may be any function of t; the minor is that of returns at t, t + 2 and t + 3, which no fixed period has.
CLAIM = "SGD with outer momentum (DiLoCo with one worker) that may return at any steps is no accelerated SGD."
SOURCE = "Douillard et al. 2023, arXiv:2311.08105, Algorithm 1"


def claimed(**given: Any) -> Memories:
    return Memories(outer_momentum(sgd), 2, given=given)


def certificate() -> Memories:
    return claimed()


def near_miss() -> Memories:
    """Without outer momentum, which is Lookahead, there is one."""
    return claimed(outer_beta=0)
