from accelsim.rule import optimizer, positive, real, step_size


def forgetting(t, h):
    """The share of memory that step t gives up: memory grows with time."""
    return h.delta / (h.delta + t)


@optimizer(
    positions="w",
    memories="y",
    returns="w",
    source="Ferbach et al. 2025, arXiv:2505.16098, Section 2",
    g1=step_size(1),
    g2=step_size(),
    g3=real(),
    delta=positive(8),
)
def dana(s, t, h):
    """DANA: momentum whose memory grows with time, beside the gradient; g3 usually decays."""
    g = yield s.w
    y = (1 - forgetting(t, h)) * s.y + h.g1 * g
    return dict(w=s.w - h.g2 * g - h.g3 * y, y=y)
