from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.mars import mars
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Approximate MARS with Adam's preconditioner p_t, unclipped, is accelerated SGD, then p_t."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 4"


def claimed(alpha: str) -> Equivalence:
    return Equivalence(
        mars,
        accelerated_sgd,
        map=dict(beta="beta1", eta="lr(t)*(1 - gamma)*(1 - beta1)/(1 - beta1**(t+1))*p(t)", alpha=alpha),
        transform=dict(w="w", m="(m - gamma*last)/((1 - gamma)*(1 - beta1))"),
        varying=("lr",),
        given=dict(clip=0, weight_decay=0),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(alpha="lr(t)*gamma/(1 - beta1**(t+1))*p(t)")


def near_miss() -> Equivalence:
    """QHAdam, which corrects the bias of its average only, not of the gradient beside it."""
    return claimed(alpha="lr(t)*gamma*p(t)")
