from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.nesterov import nesterov
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Nesterov's accelerated gradient, in the point where the gradient is taken, is accelerated SGD with alpha = lr."
SOURCE = "Bengio, Boulanger-Lewandowski and Pascanu 2012, arXiv:1212.0901, Equation 7"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        nesterov,
        accelerated_sgd,
        map=dict(beta="beta(t)", eta=eta, alpha="lr(t)"),
        transform=dict(w="w", m="m"),
        varying=("lr", "beta"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*beta(t)")


def near_miss() -> Equivalence:
    """The momentum of the next step: right for the two-sequence form, whose index differs."""
    return claimed(eta="lr(t)*beta(t+1)")
