from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.schedule_free import schedule_free_adamw
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Schedule-Free AdamW is accelerated SGD on preconditioned gradients."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 4"


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        schedule_free_adamw,
        accelerated_sgd,
        map=dict(beta=beta, eta="lr(t)*(beta1(t) - beta1(t+1)*(1 - c(t)))", alpha="(1 - beta1(t))*lr(t)"),
        transform=dict(
            x="w + (1 - beta1(t))*lr(t-1)*(1 - c(t-1))*m",
            z="w - beta1(t)*lr(t-1)*(1 - c(t-1))*m",
        ),
        backward=True,
        varying=("lr", "beta1"),
        free=("c",),
        given=dict(weight_decay=0),
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(beta="(1 - c(t-1))*lr(t-1)/lr(t)")


def near_miss() -> Equivalence:
    """The averaging weight of this step, not of the one before."""
    return claimed(beta="(1 - c(t))*lr(t-1)/lr(t)")
