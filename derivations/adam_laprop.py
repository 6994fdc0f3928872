from accelsim.optimizers.adamw import adam
from accelsim.optimizers.laprop import laprop
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Adam and LaProp are the same method where their preconditioner does not change in time."
SOURCE = "Ziyin, Wang and Ueda 2020, arXiv:2002.04839, Section 3"


def claimed(m: str, constant: tuple[str, ...]) -> Equivalence:
    return Equivalence(
        adam,
        laprop,
        map=dict(lr="lr(t)", beta1="beta1"),
        transform=dict(w="w", m=m),
        varying=("lr",),
        constant=constant,
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(m="p*m", constant=("p",))


def near_miss() -> Equivalence:
    """A preconditioner that changes: past gradients then keep the one of their own step, or do not."""
    return claimed(m="p(t-1)*m", constant=())
