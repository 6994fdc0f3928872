from accelsim.rule import Hyperparameter, optimizer, step_size
from accelsim.schedules import recurrence


@recurrence()
def growing(memory, t, h):
    """The paper's (t+1)/2, whose first t is 1."""
    return (t + 2) / 2, {}


@optimizer(
    positions="x ag",
    returns="ag",
    source="Lan 2012, doi:10.1007/s10107-010-0434-y, Section 3",
    lr=step_size(),
    beta=Hyperparameter(growing, low=1),
)
def acsa(s, t, h):
    """AC-SA: steps that grow with beta, averaged with weight 1/beta; the gradient is taken at their mixture too."""
    g = yield s.x / h.beta + (1 - 1 / h.beta) * s.ag
    x = s.x - h.beta * h.lr * g
    return dict(x=x, ag=x / h.beta + (1 - 1 / h.beta) * s.ag)
