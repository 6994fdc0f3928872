from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.adamw import adam
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Adam is momentum, then its preconditioner p_t: accelerated SGD with alpha = 0 and eta_t proportional to p_t."
SOURCE = "Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        adam,
        accelerated_sgd,
        map=dict(beta="beta1", eta=eta, alpha="0"),
        transform=dict(w="w", m="(1 - beta1)*m"),
        backward=True,
        varying=("lr",),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*(1 - beta1)/(1 - beta1**(t+1))*p(t)")


def near_miss() -> Equivalence:
    """Without the bias correction of the momentum."""
    return claimed(eta="lr(t)*(1 - beta1)*p(t)")
