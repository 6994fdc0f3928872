"""Equivalences are found, refutations replay, and what is generic is told from what is special."""

import json
import sys
from fractions import Fraction

import pytest
from pairs import pair

from accelsim import cli
from accelsim.errors import InputError
from accelsim.optimizer import optimizer, step_size
from accelsim.optimizers import find
from accelsim.symbolic import finder
from accelsim.symbolic.certificate import verify_certificate
from accelsim.symbolic.finder import equivalent

CHANCE = [(seed, memories) for memories, count in ((1, 30), (2, 10)) for seed in range(count)]


def decided(a, b, **options):
    """An answer whose certificate holds after a journey through JSON."""
    answer = equivalent(a, b, **{"budget": 60, **options})  # however busy the machine
    rules = {str(rule): rule for rule in (a, b)}
    verified = verify_certificate(json.loads(json.dumps(answer.certificate)), rules.__getitem__)
    assert verified.holds, verified.reason
    return answer


@pytest.mark.parametrize(("seed", "memories"), CHANCE)
def test_a_rule_is_found_in_other_states_and_hyperparameters(seed, memories):
    assert decided(*pair(seed, memories)).status == "equivalent"


@pytest.mark.parametrize(("seed", "memories"), CHANCE)
def test_one_changed_coefficient_is_refuted_by_what_replays(seed, memories):
    answer = decided(*pair(seed, memories, perturbed=True))
    assert answer.status == "refuted"
    assert answer.counterexample["unknown"] in ("constant", "one a step")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("schedule_free", "accelerated_sgd"),
        ("accelerated_sgd", "schedule_free"),
        ("jain", "accelerated_sgd"),
        ("accelerated_sgd", "jain"),
        ("accsgd", "accelerated_sgd"),
        ("accelerated_sgd", "accsgd"),
        ("qhm", "accelerated_sgd"),
        ("accelerated_sgd", "qhm"),
        ("nesterov", "qhm"),
        ("heavy_ball", "simplified_ademamix_sgd"),
        ("mars_sgd", "qhm"),
        ("qhm", "mars_sgd"),
        ("signum", "lion"),
        ("schedule_free_adamw", "schedule_free_adamw"),
    ],
)
def test_shipped_rules_are_found(a, b):
    assert decided(find(a), find(b)).status == "equivalent"


@pytest.mark.parametrize(
    ("a", "b", "special"),
    [
        ("ademamix_sgd", "simplified_ademamix_sgd", {"beta1 = 0", "beta1 = beta3", "beta3 = 0", "alpha = 0"}),
        ("sgd", "heavy_ball", {"beta = 0 in heavy_ball"}),
        ("accelerated_sgd", "heavy_ball", {"alpha = 0"}),
        ("lion", "signum", {"weight_decay = 0, beta1 = beta2"}),
        ("heavy_ball", "nesterov", set()),
        ("nesterov", "heavy_ball", set()),
    ],
)
def test_special_cases_are_listed_and_never_called_equivalent(a, b, special):
    answer = decided(find(a), find(b))
    assert answer.status == "refuted"
    assert special <= {case["when"] for case in answer.special}
    assert answer.to_json()["equivalent"] is False


@pytest.mark.parametrize("b", ["accelerated_sgd", "simplified_ademamix_sgd"])
def test_ademamix_without_its_fast_average_has_one_memory(b):
    assert decided(find("ademamix_sgd"), find(b), set_a={"beta1": 0}).status == "equivalent"


def test_published_parameter_maps_come_out():
    answer = decided(find("ademamix_sgd"), find("simplified_ademamix_sgd"), set_a={"beta1": 0})
    assert answer.map == {"beta": "beta3", "lr": "alpha*lr*(1 - beta3)", "alpha": "1/(alpha*(1 - beta3))"}
    answer = decided(find("schedule_free"), find("accelerated_sgd"))
    assert answer.direction == "accelerated_sgd -> schedule_free"
    assert answer.conditions == ()
    assert answer.map["beta"] == "1 - c(t - 1)"


def test_schedules_are_followed_with_their_shifts():
    answer = decided(find("schedule_free"), find("accelerated_sgd"), varying=["lr", "beta"])
    assert answer.status == "equivalent"
    assert "lr(t - 1)" in answer.map["beta"]
    assert "beta(t + 1)" in answer.map["eta"]


def test_the_first_step_is_its_own_where_the_others_divide_by_zero():
    answer = decided(find("schedule_free"), find("accelerated_sgd"), set_a={"c": "1/(t+1)"})
    assert answer.status == "equivalent"
    assert answer.map["beta"] == "where(first(t), 0, (t - 1)/t)"
    assert not any("t != 0" in condition for condition in answer.conditions)
    answer = decided(find("dana"), find("agnes"))
    assert answer.map["alpha"].startswith("where(first(t), ")
    other = decided(find("schedule_free"), find("accelerated_sgd"), set_a={"c": "1/(t+2)"})
    assert "where" not in "".join([*other.map.values(), *other.transform.values()])


def test_solutions_outside_declared_ranges_are_marked():
    answer = decided(find("mars_sgd"), find("qhm"), set_a={"gamma": "2"})
    assert any("outside its range" in condition for condition in answer.conditions)


def test_what_is_set_aside_is_said():
    answer = decided(find("lion"), find("accelerated_sgd"), set_a={"weight_decay": 0})
    assert "lion: sign acts after the momentum and is set aside" in answer.assumptions
    assert any("what is returned is not compared" in a for a in answer.assumptions)


def test_returned_iterates_are_compared_on_request():
    assert decided(find("qhm"), find("accelerated_sgd"), returned=True).status == "equivalent"
    assert equivalent(find("schedule_free"), find("accelerated_sgd"), returned=True).status != "equivalent"


@optimizer(positions="w", memories="last", returns="w", lr=step_size())
def optimistic(s, t, h):
    """Optimistic gradient: a memory of one step."""
    g = yield s.w
    return dict(w=s.w - h.lr * (2 * g - s.last), last=g)


def test_optimistic_gradient_is_no_accelerated_sgd():
    answer = decided(optimistic, find("accelerated_sgd"))
    assert answer.status == "refuted"
    values = answer.counterexample["hyperparameters"]
    assert Fraction(values["lr"])


def test_past_its_budget_a_search_is_undecided():
    answer = equivalent(find("ademamix_sgd"), find("simplified_ademamix_sgd"), budget=0)
    assert answer.status == "undecided"
    assert answer.to_json()["equivalent"] is None
    assert "0 s" in answer.reason


def test_nothing_is_equivalent_that_the_checker_does_not_prove(monkeypatch):
    original = finder.check

    def doubting(claim):
        return finder.replace(original(claim), status="failed")

    monkeypatch.setattr(finder, "check", doubting)
    assert equivalent(find("qhm"), find("accelerated_sgd")).status != "equivalent"


def test_numbers_of_gradients_are_compared_first():
    answer = equivalent(find("mars_exact_sgd"), find("mars_sgd"))
    assert answer.status == "refuted"
    assert "2 gradients" in answer.reason


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ("ademamix_sgd", "simplified_ademamix_sgd", "the determinant of these, each less that at t = 2, is"),
        ("heavy_ball", "nesterov", "nesterov cannot answer so, whatever schedules its hyperparameters are"),
        ("aggmo", "signum", "after a gradient of 2 at t = 0 alone"),
        ("adamw", "lion", "to lion gradients of either length are the same"),
    ],
)
def test_a_refutation_is_told_in_words(a, b, told):
    text = "\n".join(decided(find(a), find(b)).to_text()["counterexample"])
    assert told in text
    assert f"{a} at " in text
    assert "a gradient of 1 at t = 0 alone" in text


def test_a_preconditioner_before_the_momentum_is_not_one_after_it():
    """A schedule of each coordinate could make up for it, one of all coordinates cannot: it takes two to see that."""
    answer = decided(find("laprop"), find("adamw"))
    assert answer.status == "refuted"
    assert answer.counterexample["unknown"] == "one a step"
    assert {key["coordinate"] for key in answer.counterexample["answers"]} == {0, 1}


RULES = """
from accelsim.optimizer import momentum, optimizer, step_size

@optimizer(positions="w x", memories="m n", returns="w", lr=step_size(), beta=momentum(), gamma=momentum())
def mine(s, t, h):
    g = yield s.w
    m, n = h.beta * s.m + g, h.gamma * s.n + g
    w = s.w - h.lr * (m + n)
    return dict(w=w, x=s.x + (w - s.x) / 2, m=m, n=n)
"""


def test_the_command_decides_a_rule_of_four_states(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_rules.py").write_text(RULES)
    words = f"accelsim equivalent mine ademamix_sgd --json --rules {tmp_path / 'my_rules.py'}"
    monkeypatch.setattr(sys, "argv", words.split())
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["equivalent"] is True
    assert document["map"]["lr"] == "lr/(1 - beta)"


@pytest.mark.parametrize("options", [dict(set_a={"lrr": 1}), dict(set_b={"beta": 3}), dict(set_a={"lr": "1 +"})])
def test_what_cannot_be_asked_is_told(options):
    with pytest.raises(InputError):
        equivalent(find("qhm"), find("heavy_ball"), **options)
