"""A run that was interrupted goes on to the bits that it would have had."""

import numpy as np
import pytest

from accelsim import optimizers, problems
from accelsim.optimizer import optimizer, step_size
from accelsim.simulation import backends

PROBLEM = problems.make("linear_regression", dim=5, batch=3, label_noise=1.0)


@optimizer(positions="w", memories={"last": 0.5}, returns="w", lr=step_size(0.1))
def with_a_number(s, t, h):
    """One of its states is a plain number after the first step."""
    g = yield s.w
    return dict(w=s.w - h.lr * s.last * g, last=0.7)


CASES = {
    "sgd": (optimizers.find("sgd"), dict(lr="0.1/(t+1)")),
    "schedule_free": (optimizers.find("schedule_free"), dict(lr=0.3, warmup_steps=5)),
    "nadam": (optimizers.find("nadam"), {}),
    "number": (with_a_number, {}),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_a_run_depends_neither_on_how_its_steps_are_split_nor_on_saving_in_between(name, dtype):
    rule, values = CASES[name]

    def make():
        return backends.find("numpy").make(rule, PROBLEM, values, 3, 7, 11, dtype)

    whole, split, late = make(), make(), make()
    whole.advance(30)
    taken = 0
    for steps in (1, 0, 12, 17):
        saved = split.save()
        split = make()
        split.load(saved, taken)
        split.advance(steps)
        taken += steps
    late.load(saved, taken - 17 - 1)
    late.advance(17)
    assert {k: v.dtype for k, v in split.save().items()} == {k: v.dtype for k, v in whole.save().items()}
    np.testing.assert_array_equal(split.risks(), whole.risks())
    assert not np.array_equal(late.risks(), whole.risks())
