from accelsim.optimizers.ademamix import ademamix
from accelsim.optimizers.simplified_ademamix import simplified_ademamix
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "AdEMAMix with beta1 = 0 is Simplified-AdEMAMix, with Adam's preconditioner and rescaled weight decay."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 5"


def claimed(weight_decay: str) -> Equivalence:
    return Equivalence(
        ademamix,
        simplified_ademamix,
        map=dict(
            lr="lr*alpha*(1 - beta3)",
            beta1="beta3",
            alpha="1/(alpha*(1 - beta3))",
            weight_decay=weight_decay,
        ),
        transform=dict(w="w", m="m2/(1 - beta3)"),
        given=dict(beta1=0),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(weight_decay="weight_decay/(alpha*(1 - beta3))")


def near_miss() -> Equivalence:
    """The same weight decay under the rescaled lr."""
    return claimed(weight_decay="weight_decay")
