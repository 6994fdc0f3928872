from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.nadamw import nadamw
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "NAdamW without weight decay is momentum, then its preconditioner p_t: accelerated SGD with alpha > 0."
SOURCE = "Dahl et al. 2023, arXiv:2306.07179"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        nadamw,
        accelerated_sgd,
        map=dict(beta="beta1", eta=eta, alpha="lr(t)*(1 - beta1)/(1 - beta1**(t+1))*p(t)"),
        transform=dict(w="w", m="(1 - beta1)*m"),
        backward=True,
        varying=("lr",),
        given=dict(weight_decay=0),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*beta1*(1 - beta1)/(1 - beta1**(t+2))*p(t)")


def near_miss() -> Equivalence:
    """The momentum of the next step with the bias correction of this one."""
    return claimed(eta="lr(t)*beta1*(1 - beta1)/(1 - beta1**(t+1))*p(t)")
