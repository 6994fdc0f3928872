"""Muon: momentum of a matrix, orthogonalized."""

from accelsim.elementary import orthogonalize
from accelsim.optimizers.adamw import decayed
from accelsim.optimizers.qhm import mean
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size, switch


@optimizer(
    positions="w",
    memories="m",
    returns="w",
    source="Liu et al. 2025, arXiv:2502.16982, Section 2.1, after Jordan 2024, kellerjordan.github.io/posts/muon",
    lr=step_size(0.02),
    beta=momentum(0.95),
    rows=Hyperparameter(1, low=1, switch=True),
    newton_schulz=switch(0),
    **decayed(),
)
def muon(s, t, h):
    """Muon: gradient and moving average, mixed by beta and orthogonalized as a matrix of `rows` rows.

    Released code takes 5 Newton-Schulz steps, after a division by the norm to which a small number is added, and
    multiplies lr by what depends on the shape alone. With 0 steps the matrix is orthogonalized exactly.
    """
    g = yield s.w
    m = mean(s.m, g, h.beta)
    direction = orthogonalize(mean(m, g, h.beta), h.rows, h.newton_schulz)
    return dict(w=s.w - h.lr * (direction + h.weight_decay * s.w), m=m)
