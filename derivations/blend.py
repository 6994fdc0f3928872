from typing import Any

from accelsim.optimizers.averaging import blend, ema
from accelsim.optimizers.sgd import sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "An iterate blended with its exponential moving average is that average where the share is 1."
SOURCE = "Polyak and Juditsky 1992, doi:10.1137/0330046"


def claimed(**given: Any) -> Equivalence:
    return Equivalence(
        blend(sgd),
        ema(sgd),
        map=dict(lr="lr(t)", decay="decay(t)"),
        transform=dict(w="w", ema="ema", blend="ema"),
        backward=True,
        varying=("lr", "decay"),
        given=given,
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(share=1)


def near_miss() -> Equivalence:
    """With any share."""
    return claimed()
