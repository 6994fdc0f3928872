from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.adopt import adopt
from accelsim.symbolic.check.equivalence import Equivalence

# On gradients times p(t): heavy ball. In the gradients themselves its momentum follows p(t), and differs by coordinate.
CLAIM = "ADOPT without weight decay is heavy ball that leaves out the first gradient, with beta_t = beta1 p_{t-1}/p_t."
SOURCE = "Taniguchi et al. 2024, arXiv:2411.02853, Algorithm 2"


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        adopt,
        accelerated_sgd,
        map=dict(beta=beta, eta="where(first(t), 0, lr(t)*(1 - beta1)*p(t))", alpha="0"),
        transform=dict(w="w", m="where(first(t-1), 0, (1 - beta1)*p(t-1))*m"),
        backward=True,
        varying=("lr",),
        given=dict(weight_decay=0),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(beta="where(first(t-1), 0, beta1*p(t-1)/p(t))")


def near_miss() -> Equivalence:
    """The first gradient is remembered."""
    return claimed(beta="beta1*p(t-1)/p(t)")
