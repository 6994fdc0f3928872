"""What runs on arrays keeps to the array standard, so that the plain engine runs on NumPy and CuPy alike."""

import array_api_strict as strict
import numpy as np
import pytest

from accelsim import optimizers, problems
from accelsim.elementary import maximum, sqrt, total
from accelsim.errors import InputError
from accelsim.rule import optimizer
from accelsim.simulation import engine
from accelsim.simulation.engine import Arrays, PlainRun
from accelsim.simulation.philox import Draw, Draws

PROBLEMS = {
    "quadratic": dict(dim=5, grad_noise=1.0),
    "linear_regression": dict(dim=5, batch=3, label_noise=1.0),
    "independent": dict(dim=5, batch=3, kurtosis=5.0),
    "plrf": dict(dim=5, data_exponent=1.2, target_exponent=1.0, batch=3),
    "dataset": dict(data="diabetes", batch=3),
}
STRICT_NOT = {"one_hot"}  # adds to places that repeat, for which the standard has no function


class StrictDraw(Draw):
    """NumPy's numbers as arrays that have nothing beyond the standard."""

    def made(self, *arguments):
        return strict.asarray(super().made(*arguments))

    def chi_square(self, *arguments):
        return strict.asarray(super().chi_square(*arguments))


class StrictDraws(Draws):
    def __init__(self, seed, replicas, dim, xp, **options):
        super().__init__(seed, replicas, dim, np, **options)

    def at(self, step, stage=0):
        return StrictDraw(self, step, stage)


def risks(rule, problem, xp, dtype, monkeypatch):
    values = {name: 0.01 for name, kind in rule.hyperparameters.items() if kind.default is None}
    with monkeypatch.context() as patch:
        if xp is strict:
            patch.setattr(engine, "Draws", StrictDraws)
        run = PlainRun(rule, problem, values, 2, 5, 7, dtype, arrays=Arrays(xp, np.asarray, 64))
    run.advance(3)
    run.load(run.save(), 3)
    run.advance(3)
    return run.risks()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", optimizers.known())
def test_every_rule_runs_on_arrays_of_the_standard(name, dtype, monkeypatch):
    problem = problems.make("linear_regression", **PROBLEMS["linear_regression"])
    rule = optimizers.find(name)
    plain = risks(rule, problem, np, dtype, monkeypatch)
    np.testing.assert_array_equal(risks(rule, problem, strict, dtype, monkeypatch), plain)
    assert np.ptp(plain) > 0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", sorted(set(problems.known()) - STRICT_NOT))
def test_every_problem_runs_on_arrays_of_the_standard(name, dtype, monkeypatch):
    problem, rule = problems.make(name, **PROBLEMS[name]), optimizers.find("sgd")
    plain = risks(rule, problem, np, dtype, monkeypatch)
    np.testing.assert_array_equal(risks(rule, problem, strict, dtype, monkeypatch), plain)


def clipped(norm):
    @optimizer(positions="w", returns="w")
    def rule(s, t, h):
        """The gradient, clipped to norm 1."""
        g = yield s.w
        return dict(w=s.w - 0.01 * g / maximum(1, sqrt(norm(g * g))))

    return rule


def test_the_check_sees_what_only_numpy_has(monkeypatch):
    problem = problems.make("quadratic", **PROBLEMS["quadratic"])
    by_method = clipped(lambda x: x.sum(axis=-1, keepdims=True) if hasattr(x, "ndim") else total(x))
    plain = risks(clipped(total), problem, np, "float64", monkeypatch)
    np.testing.assert_array_equal(risks(by_method, problem, np, "float64", monkeypatch), plain)
    np.testing.assert_array_equal(risks(clipped(total), problem, strict, "float64", monkeypatch), plain)
    with pytest.raises(InputError, match="has no attribute 'sum'"):
        risks(by_method, problem, strict, "float64", monkeypatch)
