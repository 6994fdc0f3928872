from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.overshoot import overshoot
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "SGD with overshoot is accelerated SGD with eta = lr (1 + gamma - gamma/beta) and alpha = gamma lr / beta."
SOURCE = "Kopal, Gregor, de Leon-Martinez and Simko 2025, arXiv:2501.09556"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        overshoot,
        accelerated_sgd,
        map=dict(beta="beta", eta=eta, alpha="gamma*lr(t)/beta"),
        transform=dict(w="w + gamma*lr(t)*m", m="m"),
        backward=True,
        varying=("lr",),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t) + gamma*lr(t+1) - gamma*lr(t)/beta")


def near_miss() -> Equivalence:
    """The formula of a constant step size, where it varies."""
    return claimed(eta="lr(t)*(1 + gamma - gamma/beta)")
