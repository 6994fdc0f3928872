from typing import Any

from accelsim.optimizers.averaging import lookahead, outer_momentum
from accelsim.optimizers.heavy_ball import heavy_ball
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Outer momentum of 0 (DiLoCo with one worker and plain outer steps) around heavy ball is Lookahead around it."
SOURCE = "Douillard et al. 2023, arXiv:2311.08105, Algorithm 1"


def claimed(**given: Any) -> Equivalence:
    return Equivalence(
        outer_momentum(heavy_ball),
        lookahead(heavy_ball),
        map=dict(lr="lr(t)", beta="beta(t)", slow="outer_lr(t)", sync="sync(t)"),
        transform=dict(w="w", m="m", lookahead="outer_momentum"),
        varying=("lr", "beta", "outer_lr"),
        free=("sync",),
        given=given,
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(outer_beta=0)


def near_miss() -> Equivalence:
    """With outer momentum."""
    return claimed()
