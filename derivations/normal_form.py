from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.rule import optimizer
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Whatever has one memory, n+ = a n + b g, and moves its query point by p n + q g, is accelerated SGD."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 3"


@optimizer(positions="y", memories="n", returns="y", source=SOURCE)
def one_memory(s, t, h):
    """The block form of every translation-equivariant linear rule with one memory and one gradient a step."""
    g = yield s.y
    return dict(y=s.y + h.p * s.n + h.q * g, n=h.a * s.n + h.b * g)


@optimizer(positions="w", memories="last", returns="w", source="Daskalakis et al. 2018, arXiv:1711.00141")
def optimistic_gradient(s, t, h):
    """Optimistic gradient: its one memory lasts one step, a = 0."""
    g = yield s.w
    return dict(w=s.w - 2 * h.lr * g + h.lr * s.last, last=g)


def certificate() -> Equivalence:
    # The map divides by a and b; the transform by nothing, as it starts from accelerated SGD: n_t = b_{t-1} m_{t-1}.
    return Equivalence(
        one_memory,
        accelerated_sgd,
        map=dict(beta="a(t)*b(t-1)/b(t)", eta="-p(t)*b(t)/a(t)", alpha="-q(t) + p(t)*b(t)/a(t)"),
        transform=dict(y="w", n="b(t-1)*m"),
        backward=True,
        varying=("a", "b", "p", "q"),
        returned=True,
    )


def near_miss() -> Equivalence:
    """Optimistic gradient, where a is 0: with 1/1000 in its place two steps agree, and the third one does not."""
    return Equivalence(
        optimistic_gradient,
        accelerated_sgd,
        map=dict(beta="1/1000", eta="-1000*lr", alpha="2*lr + 1000*lr"),
        transform=dict(w="w", last="m"),
        backward=True,
        returned=True,
    )
