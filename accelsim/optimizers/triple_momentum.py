from accelsim.rule import Hyperparameter, momentum, optimizer, step_size


@optimizer(
    positions="xi previous x",
    returns="x",
    source="Van Scoy, Freeman and Lynch 2018, doi:10.1109/LCSYS.2017.2722406, Equation 4",
    alpha=step_size(),
    beta=momentum(),
    gamma=Hyperparameter(low=0),
    delta=Hyperparameter(low=0),
)
def triple_momentum(s, t, h):
    """Triple momentum: heavy ball on xi, whose gradient and whose answer are each taken further on."""
    move = s.xi - s.previous
    g = yield s.xi + h.gamma * move
    xi = s.xi + h.beta * move - h.alpha * g
    return dict(xi=xi, previous=s.xi, x=xi + h.delta * (xi - s.xi))
