"""The rules against the implementations themselves, and the recording against both; needs torch, jax and the rest."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import optimizers, orthogonalize
from accelsim.rule import step
from oracles.cases import IMPLEMENTATIONS, Case
from oracles.common import TOLERANCE, by_rule, distance, trajectory
from oracles.record import RECORDED

pytestmark = pytest.mark.filterwarnings("default")  # what other people's packages warn of is not ours


@pytest.mark.parametrize("case", IMPLEMENTATIONS, ids=lambda case: case.name)
def test_rule_and_recording_agree_with_the_implementation(case: Case) -> None:
    live = trajectory(case.run, case.scale)
    rule = trajectory(by_rule(case.rule, **case.hyperparameters), case.scale)
    assert distance(rule, live) <= TOLERANCE
    assert distance(np.load(RECORDED)[case.name], live) <= TOLERANCE


@pytest.mark.parametrize(("rows", "columns"), [(4, 6), (6, 4)])
def test_muon_is_that_of_torch_but_for_its_half_precision(
    rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self)
    lr, beta, decay = 0.05, 0.9, 0.1
    adjusted = lr * max(1, rows / columns) ** 0.5
    point = torch.nn.Parameter(torch.linspace(-1, 2, rows * columns, dtype=torch.float64).reshape(rows, columns))
    theirs = torch.optim.Muon([point], lr=lr, momentum=beta, weight_decay=decay, eps=1e-30)
    muon = optimizers.find("muon")
    state = muon.start(point.detach().numpy().ravel().copy())
    values = dict(lr=adjusted, beta=beta, rows=rows, newton_schulz=5, weight_decay=decay * lr / adjusted)
    chance = np.random.default_rng(rows)
    for (t, h), _ in zip(muon.rows(**values), range(50), strict=False):
        g = chance.standard_normal((rows, columns)) + point.detach().numpy()
        point.grad = torch.tensor(g)
        theirs.step()
        state = step(muon, state, t, h, lambda _, g=g: g.ravel())
        np.testing.assert_allclose(state["w"], point.detach().numpy().ravel(), atol=1e-9)


@pytest.mark.parametrize("corrected", [True, False])
def test_optax_corrects_the_bias_of_average_and_gradient_by_other_powers(corrected: bool) -> None:
    """So its Muon leans more to the newest gradient at first, though what follows knows no scale."""
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    rows, columns, beta = 4, 6, 0.9
    theirs = optax.contrib.scale_by_muon(beta=beta, eps=0)
    m, state = np.zeros((rows, columns)), theirs.init(np.zeros((rows, columns)))
    chance = np.random.default_rng(4)
    apart = 0.0
    for t in range(20):
        g = chance.standard_normal((rows, columns))
        update, state = theirs.update(jax.numpy.array(g), state)
        m = beta * m + (1 - beta) * g
        powers = (t + 2, t + 1) if corrected else (1, 1)
        mixed = beta * m / (1 - beta ** powers[0]) + (1 - beta) * g / (1 - beta ** powers[1])
        ours = orthogonalize(mixed.ravel(), rows, 5).reshape(rows, columns)
        apart = max(apart, float(np.abs(ours - np.asarray(update)).max()))
    assert (apart < 1e-6) if corrected else (apart > 0.01)
