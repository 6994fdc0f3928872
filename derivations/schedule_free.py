from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.schedule_free import schedule_free
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Schedule-Free SGD is accelerated SGD in the point where its gradient is taken, whatever its schedules are."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 4"


def claimed(eta: str) -> Equivalence:
    # From canonical to Schedule-Free divides by nothing; the other way divides by 1 - c, zero at the first step.
    return Equivalence(
        schedule_free,
        accelerated_sgd,
        map=dict(beta="(1 - c(t-1))*lr(t-1)/lr(t)", eta=eta, alpha="(1 - beta(t))*lr(t)"),
        transform=dict(
            x="w + (1 - beta(t))*lr(t-1)*(1 - c(t-1))*m",
            z="w - beta(t)*lr(t-1)*(1 - c(t-1))*m",
        ),
        backward=True,
        varying=("lr", "beta"),
        free=("c",),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*(beta(t) - beta(t+1)*(1 - c(t)))")


def near_miss() -> Equivalence:
    """The formula of constant beta, where beta varies."""
    return claimed(eta="lr(t)*beta(t)*c(t)")
