from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.schedule_free import schedule_free_adamw
from accelsim.symbolic.check.equivalence import Equivalence

from ._gradients import penalized

CLAIM = "Schedule-Free AdamW with weight decay is accelerated SGD on n_t = p_t g_t + weight_decay y_t."
SOURCE = "Defazio et al. 2024, arXiv:2405.15682, Algorithm 1"


def claimed(penalty: str) -> Equivalence:
    return Equivalence(
        schedule_free_adamw,
        penalized(accelerated_sgd),
        map=dict(
            beta="(1 - c(t-1))*lr(t-1)/lr(t)",
            eta="lr(t)*(beta1(t) - beta1(t+1)*(1 - c(t)))",
            alpha="(1 - beta1(t))*lr(t)",
            penalty=penalty,
        ),
        transform=dict(
            x="w + (1 - beta1(t))*lr(t-1)*(1 - c(t-1))*m",
            z="w - beta1(t)*lr(t-1)*(1 - c(t-1))*m",
        ),
        backward=True,
        varying=("lr", "beta1", "weight_decay"),
        up_to=("preconditioner",),
        free=("c",),
    )


def certificate() -> Equivalence:
    return claimed(penalty="weight_decay(t)")


def near_miss() -> Equivalence:
    """A decay that is multiplied by the step size once more."""
    return claimed(penalty="lr(t)*weight_decay(t)")
