from accelsim.rule import optimizer, positive, step_size


@optimizer(
    positions="w average",
    returns="w",
    source="Kidambi, Netrapalli, Jain and Kakade 2018, arXiv:1803.05591, Algorithm 3",
    lr=step_size(),
    kappa=positive(1000),
    xi=positive(10),
    e=positive(0.7),
)
def accsgd(s, t, h):
    """AccSGD: a short step lr and a long step kappa lr / e, coupled by a running average."""
    g = yield s.w
    beta = h.e**2 * h.xi / h.kappa
    average = (1 - beta) * s.average + beta * (s.w - h.kappa * h.lr / h.e * g)
    return dict(w=(h.e * (s.w - h.lr * g) + beta * average) / (h.e + beta), average=average)
