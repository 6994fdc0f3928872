from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.gpa import gpa
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Generalized primal averaging around SGD is accelerated SGD in the point where its gradient is taken."
SOURCE = "Defazio, Mishchenko, Raman, Shi and Xiao 2025, arXiv:2512.17131"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        gpa,
        accelerated_sgd,
        map=dict(beta="mu_x(t-1)*lr(t-1)/lr(t)", eta=eta, alpha="(1 - mu_y(t))*lr(t)"),
        transform=dict(
            x="w + (1 - mu_y(t))*lr(t-1)*mu_x(t-1)*m",
            z="w - mu_y(t)*lr(t-1)*mu_x(t-1)*m",
        ),
        backward=True,
        varying=("lr", "mu_x", "mu_y"),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*(mu_y(t) - mu_y(t+1)*mu_x(t))")


def near_miss() -> Equivalence:
    """The formula of constant mu_y, where it varies."""
    return claimed(eta="lr(t)*mu_y(t)*(1 - mu_x(t))")
