from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.amsgrad import amsgrad
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "AMSGrad is momentum, then its preconditioner p_t, as Adam is: only what p_t is made of differs."
SOURCE = "Reddi, Kale and Kumar 2018, arXiv:1904.09237, Algorithm 2"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        amsgrad,
        accelerated_sgd,
        map=dict(beta="beta1", eta=eta, alpha="0"),
        transform=dict(w="w", m="(1 - beta1)*m"),
        backward=True,
        varying=("lr",),
        given=dict(weight_decay=0),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*(1 - beta1)/(1 - beta1**(t+1))*p(t)")


def near_miss() -> Equivalence:
    """The preconditioner of the step before."""
    return claimed(eta="lr(t)*(1 - beta1)/(1 - beta1**(t+1))*p(t-1)")
