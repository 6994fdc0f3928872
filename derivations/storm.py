from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.storm import storm
from accelsim.symbolic.check.equivalence import Equivalence

from ._gradients import on_quadratics

# As exact MARS with gamma = 1 and beta = 1 - a, but that the first gradient has its whole weight.
CLAIM = "STORM on a quadratic is heavy ball with momentum (1 - a)(1 - lr H_t), but for a first step that is 1/a longer."
SOURCE = "Cutkosky and Orabona 2019, arXiv:1905.10018, Algorithm 1"


def claimed(second: str) -> Equivalence:
    scale, momentum = "where(first(t-1), 1, a)", "(1 - a)*(1 - lr(t-1)*curvature(t))"
    return Equivalence(
        on_quadratics(storm),
        accelerated_sgd,
        map=dict(
            beta=f"where(first(t-1), {second}, 1)*{momentum}",
            eta="where(first(t), 1, a)*lr(t)",
            alpha="0",
        ),
        transform=dict(w="w", previous=f"w + lr(t-1)*{scale}*m", d=f"{scale}*m"),
        backward=True,
        varying=("lr", "curvature"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(second="1/a")


def near_miss() -> Equivalence:
    """No transient, as in exact MARS."""
    return claimed(second="1")
