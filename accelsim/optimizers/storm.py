from accelsim.elementary import first, where
from accelsim.rule import optimizer, step_size, weight


@optimizer(
    positions="w previous",
    memories="d",
    returns="w",
    source="Cutkosky and Orabona 2019, arXiv:1905.10018, Algorithm 1, with step sizes and momenta that are given",
    lr=step_size(),
    a=weight(0.1),
)
def storm(s, t, h):
    """STORM: momentum corrected by the gradient at the last step's point, on the same sample."""
    g, before = yield s.w, s.previous
    d = where(first(t), g, g + (1 - h.a) * (s.d - before))
    return dict(w=s.w - h.lr * d, previous=s.w, d=d)
