from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.cautious import cautious_adamw
from accelsim.symbolic.check.equivalence import Equivalence

# p1 is Adam's preconditioner, p2 the mask over the share of coordinates that move, which may be 0.
CLAIM = "C-AdamW without weight decay is momentum, then its mask and Adam's preconditioner: the memory is not masked."
SOURCE = "Liang, Chen, Liu and Liu 2024, arXiv:2411.16085, Algorithm 1"


def claimed(scale: str) -> Equivalence:
    return Equivalence(
        cautious_adamw,
        accelerated_sgd,
        map=dict(beta="beta1", eta=f"lr(t)*(1 - beta1)/(1 - beta1**(t+1))*{scale}", alpha="0"),
        transform=dict(w="w", m="(1 - beta1)*m"),
        backward=True,
        varying=("lr",),
        given=dict(weight_decay=0),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(scale="p1(t)*p2(t)")


def near_miss() -> Equivalence:
    """Without the mask, which is AdamW."""
    return claimed(scale="p1(t)")
