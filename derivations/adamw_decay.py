from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.adamw import adamw
from accelsim.symbolic.check.equivalence import Equivalence

from ._gradients import penalized

CLAIM = (
    "AdamW's weight decay is an L2 penalty, of weight_decay/p where its preconditioner p is constant, "
    "with momentum beta1 (1 - lr weight_decay)."
)
SOURCE = "Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2"


def claimed(penalty: str) -> Equivalence:
    return Equivalence(
        adamw,
        penalized(accelerated_sgd),
        map=dict(
            beta="beta1*(1 - lr(t-1)*weight_decay)",
            eta="lr(t)*(1 - beta1)/(1 - beta1**(t+1))*p(t)",
            alpha="0",
            penalty=penalty,
        ),
        transform=dict(
            w="w",
            m="(m + weight_decay*(1 - beta1**t)/p(t-1)*w)/((1 - beta1)*(1 - lr(t-1)*weight_decay))",
        ),
        varying=("lr",),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(penalty="weight_decay*((1 - beta1**(t+1))/p(t) - beta1*(1 - beta1**t)/p(t-1))/(1 - beta1)")


def near_miss() -> Equivalence:
    """The penalty of a constant preconditioner, where it changes."""
    return claimed(penalty="weight_decay/p(t)")
