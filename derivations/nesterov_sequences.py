from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.rule import momentum, optimizer, step_size
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = (
    "Nesterov's two sequences are accelerated SGD with beta_t = mu_{t-1}, eta_t = mu_t lr, whatever the momentum is."
)
SOURCE = "Nesterov 1983, Soviet Mathematics Doklady 27:372"


@optimizer(positions="y x", returns="x", source=SOURCE, lr=step_size(), mu=momentum())
def two_sequences(s, t, h):
    """Nesterov's accelerated gradient: a gradient step to x, then on along the last change of x."""
    g = yield s.y
    x = s.y - h.lr * g
    return dict(x=x, y=x + h.mu * (x - s.x))


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        two_sequences,
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
