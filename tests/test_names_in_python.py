"""The package in Python: what is there is seen by editors and mypy, and is called as people expect."""

import ast
import inspect
from pathlib import Path

import pytest

import accelsim
from accelsim import optimizers, problems
from accelsim.errors import InputError
from accelsim.exact.linear import linear_cores
from accelsim.exact.stationary.rates import edge, floor, over_grid
from accelsim.rule import RESERVED, optimizer
from accelsim.symbolic.system.tableau import is_linear

PROBLEM = problems.make("quadratic", dim=2, grad_noise=1)
TAKING = [accelsim.canonical, accelsim.rate, accelsim.response, accelsim.risk, accelsim.simulate, accelsim.tune]


def test_arguments_have_names():
    by_place = accelsim.risk("sgd", PROBLEM, 10, "query", lr=0.1)
    assert accelsim.risk("sgd", PROBLEM, steps=10, of="query", lr=0.1).risk.tolist() == by_place.risk.tolist()
    run = accelsim.simulate("sgd", PROBLEM, steps=5, seeds=2, backend="numpy", lr=0.1)
    assert (run.replicas, run.steps[-1]) == (2, 5)
    found = accelsim.tune("heavy_ball", PROBLEM, objective="risk@5", names=["lr"], budget=9, beta=0.5)
    assert found.hyperparameters.keys() == {"lr", "beta"}
    assert accelsim.compare(["sgd"], PROBLEM, objective="risk@5", values={"sgd": {"lr": 0.1}}).objective == "risk@5"


@pytest.mark.parametrize("function", [*TAKING, edge, floor, over_grid], ids=lambda function: function.__name__)
def test_no_hyperparameter_has_the_name_of_an_argument(function):
    parameters = inspect.signature(function).parameters.values()
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    assert named <= RESERVED


def test_every_name_is_offered_and_typed():
    """What is loaded when first asked for is imported for editors and mypy, who hear of no other names."""
    assert {"rate", "problems", "optimizers", "__version__"} <= {*dir(accelsim)}
    seen, unseen = [], []
    for node in ast.parse(Path(accelsim.__file__).read_text()).body:
        if isinstance(node, ast.If):
            assert ast.unparse(node.test) == "TYPE_CHECKING"
            seen += node.body
            unseen += node.orelse
        elif isinstance(node, ast.ImportFrom):
            seen.append(node)
    typed = {alias.name: node.module for node in seen if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert {*accelsim.__all__} <= {*typed}
    assert accelsim._HOMES.items() <= typed.items()
    assert [getattr(node, "name", "") for node in unseen] == [
        "__getattr__"
    ]  # which would have any misspelt name for a good one


# -- rules that are not linear ---------------------------------------------------------------------------------------

NOT_LINEAR = [name for name, rule in optimizers.shipped().items() if not is_linear(rule)]


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_linear_core_is_linear(name):
    cores = linear_cores(optimizers.find(name))
    assert all(is_linear(optimizers.find(core)) for core in cores)
    assert cores or name == "adan"  # of two memories, which no shipped linear rule has alike


@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("nadam", "accelerated_sgd"),  # as a derivation proves
        ("signum", "accelerated_sgd"),  # as two do, one after the other
        ("adana", "dana"),
        ("ademamix", "ademamix_sgd"),  # of the same paper
        ("schedule_free_adamw", "schedule_free"),
        ("mars", "mars_sgd"),
    ],
)
def test_a_rule_that_is_not_linear_leads_to_its_linear_core(name, core):
    assert core in linear_cores(optimizers.find(name))


@pytest.mark.parametrize("ask", [("rate",), ("risk", "--steps", "3"), ("tune", "--objective", "rate")])
def test_a_rule_that_is_not_linear_is_no_dead_end(ask, accelsim):
    code, out, err = accelsim(ask[0], "nadam", "--problem", "quadratic", *ask[1:])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "nadam is not linear" in err
    assert "ask for its linear core instead: accelerated_sgd" in err


def test_the_linear_core_of_a_rule_of_ones_own_is_computed():
    @optimizer(positions="w", returns="w", lr=0.1)
    def normalised(s, t, h):
        g = yield s.w
        return dict(w=s.w - h.lr * accelsim.sign(g))

    with pytest.raises(InputError, match=r"accelsim\.canonical gives its linear part"):
        accelsim.rate(normalised, PROBLEM)
    assert accelsim.canonical(normalised).memory == 0
