from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.radam import radam
from accelsim.symbolic.check.equivalence import Equivalence

# plain is 1 while the second moment knows too few gradients, rectified is r_t afterwards; the proof is for any two.
CLAIM = "RAdam is momentum, then plain_t + rectified_t p_t: accelerated SGD with alpha = 0, with and without p_t."
SOURCE = "Liu et al. 2020, arXiv:1908.03265, Algorithm 2"


def claimed(scale: str) -> Equivalence:
    return Equivalence(
        radam,
        accelerated_sgd,
        map=dict(beta="beta1", eta=f"lr(t)*(1 - beta1)/(1 - beta1**(t+1))*({scale})", alpha="0"),
        transform=dict(w="w", m="(1 - beta1)*m"),
        backward=True,
        varying=("lr",),
        free=("plain", "rectified"),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(scale="plain(t) + rectified(t)*p(t)")


def near_miss() -> Equivalence:
    """Preconditioned from the first step on."""
    return claimed(scale="rectified(t)*p(t)")
