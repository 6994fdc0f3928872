from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.nesterov import nesterov_sequences
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = (
    "Nesterov's two sequences are accelerated SGD with beta_t = mu_{t-1}, eta_t = mu_t lr, whatever the momentum is."
)
SOURCE = nesterov_sequences.source


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        nesterov_sequences,
        accelerated_sgd,
        map=dict(beta=beta, eta="mu(t)*lr", alpha="lr"),
        transform=dict(y="w", x="w + lr*mu(t-1)*m"),
        backward=True,
        varying=("mu",),
    )


def certificate() -> Equivalence:
    return claimed(beta="mu(t-1)")


def near_miss() -> Equivalence:
    """The momentum of this step, which is right where it is constant."""
    return claimed(beta="mu(t)")
