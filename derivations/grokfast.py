from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.grokfast import grokfast
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Grokfast's filter around SGD is accelerated SGD with beta = alpha, eta = lr lamb (1 - alpha) and alpha = lr."
SOURCE = "Lee, Kang, Kim and Lee 2024, arXiv:2405.20233, Algorithm 1"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        grokfast,
        accelerated_sgd,
        map=dict(beta="alpha(t)*(1 - alpha(t-1))/(1 - alpha(t))", eta=eta, alpha="lr(t)"),
        transform=dict(w="w", slow="(1 - alpha(t-1))*m"),
        backward=True,
        varying=("lr", "alpha", "lamb"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*lamb(t)*(1 - alpha(t))")


def near_miss() -> Equivalence:
    """A filter that is a sum."""
    return claimed(eta="lr(t)*lamb(t)")
