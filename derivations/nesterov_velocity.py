from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.nesterov import nesterov_velocity
from accelsim.symbolic.check.equivalence import Equivalence

# Three published forms, one method for constant momentum, three for a schedule: here (beta, eta) is mu_t, lr_t mu_{t+1}
# (for constant lr); in Nesterov's two sequences mu_{t-1}, lr mu_t; in torch's, after Bengio et al., mu_t, lr_t mu_t.
CLAIM = "Nesterov's method with a velocity is accelerated SGD with beta = mu_t lr_{t-1}/lr_t, eta = mu_{t+1} lr_t."
SOURCE = nesterov_velocity.source


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        nesterov_velocity,
        accelerated_sgd,
        map=dict(beta="mu(t)*lr(t-1)/lr(t)", eta=eta, alpha="lr(t)"),
        transform=dict(w="w + mu(t)*lr(t-1)*m", v="-lr(t-1)*m"),
        backward=True,
        varying=("lr", "mu"),
    )


def certificate() -> Equivalence:
    return claimed(eta="mu(t+1)*lr(t)")


def near_miss() -> Equivalence:
    """The momentum of this step, which is torch's form."""
    return claimed(eta="mu(t)*lr(t)")
