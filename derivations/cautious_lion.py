from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.cautious import cautious_lion
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "C-Lion steps along the sign of accelerated SGD's direction, as Lion does, where the mask p_t is not 0."
SOURCE = "Liang, Chen, Liu and Liu 2024, arXiv:2411.16085, Algorithm 1"


def claimed(mask: str) -> Equivalence:
    return Equivalence(
        cautious_lion,
        accelerated_sgd,
        map=dict(
            beta="beta2",
            eta=f"lr*{mask}*(1 - beta2)*beta1/beta2",
            alpha=f"lr*{mask}*(1 - beta1/beta2)",
        ),
        transform=dict(w="w", m="(1 - beta2)*m"),
        backward=True,
        given=dict(weight_decay=0),
        returned=True,
        up_to=("sign", "preconditioner"),
    )


def certificate() -> Equivalence:
    return claimed(mask="p(t)")


def near_miss() -> Equivalence:
    """Without the mask, which is Lion."""
    return claimed(mask="1")
