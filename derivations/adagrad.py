from accelsim.optimizers.adagrad import adagrad
from accelsim.optimizers.sgd import sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Adagrad is SGD on preconditioned gradients: it has no memory of gradients, but of their squares."
SOURCE = "Duchi, Hazan and Singer 2011, doi:10.5555/1953048.2021068"


def claimed(lr: str) -> Equivalence:
    return Equivalence(
        adagrad,
        sgd,
        map=dict(lr=lr),
        transform=dict(w="w"),
        backward=True,
        varying=("lr",),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(lr="lr(t)")


def near_miss() -> Equivalence:
    """A step size that decays besides, as the preconditioner does."""
    return claimed(lr="lr(t)/(t+1)")
