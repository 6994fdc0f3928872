from accelsim.rule import optimizer, step_size


@optimizer(positions="w", returns="w", source="Robbins and Monro 1951, doi:10.1214/aoms/1177729586", lr=step_size())
def sgd(s, t, h):
    """Stochastic gradient descent."""
    g = yield s.w
    return dict(w=s.w - h.lr * g)
