from typing import Any

from accelsim.optimizers.averaging import tail_average
from accelsim.optimizers.schedule_free import schedule_free
from accelsim.optimizers.sgd import sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Schedule-Free SGD with beta = 0 and equal weights is SGD with Polyak averaging of its iterates."
SOURCE = "Defazio et al. 2024, arXiv:2405.15682, Section 2"


def claimed(**given: Any) -> Equivalence:
    return Equivalence(
        schedule_free,
        tail_average(sgd),
        map=dict(lr="lr(t)"),
        transform=dict(w="z", tail_average="x"),
        varying=("lr",),
        given=dict(c="1/(t+1)", **given),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(beta=0)


def near_miss() -> Equivalence:
    """With beta > 0 the gradient is taken elsewhere."""
    return claimed()
