"""Equivalences are found, refutations replay, and what is generic is told from what is special."""

import json
import math
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from pairs import pair

from accelsim import cli
from accelsim.elementary import exp
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.rule import momentum, optimizer, positive, real, step_size, weight
from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.field import determinant
from accelsim.symbolic.algebra.language import given_value
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.check.bisimulation import Proved
from accelsim.symbolic.check.equivalence import check
from accelsim.symbolic.find import bisimilar, proofs
from accelsim.symbolic.find.answer import EQUIVALENT, OUTSIDE, SAME
from accelsim.symbolic.find.finder import equivalent

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
        ("mars_sgd", "dana"),
        ("schedule_free_adamw", "schedule_free_adamw"),
    ],
)
def test_shipped_rules_are_found(a, b):
    assert decided(find(a), find(b)).status in SAME


@pytest.mark.parametrize(("a", "b", "free"), [("accelerated_sgd", "schedule_free", "c"), ("nesterov", "acsa", "beta")])
def test_recurrences_are_what_they_are_unless_they_are_free(a, b, free):
    assert decided(find(a), find(b)).status == "refuted"
    answer = decided(find(a), find(b), free=[free])
    assert answer.status in SAME
    assert any(note.startswith(f"{free} of {b} is {answer.map[free]} in place of") for note in answer.assumptions)
    with pytest.raises(InputError, match="recurrence"):
        equivalent(find(a), find(b), free=["lr"])


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


@optimizer(positions="y x", returns="x", lr=step_size(), mu=momentum())
def two_sequences(s, t, h):
    """Nesterov's accelerated gradient."""
    g = yield s.y
    x = s.y - h.lr * g
    return dict(x=x, y=x + h.mu * (x - s.x))


@pytest.mark.parametrize(("mu", "same"), [("t/(t+3)", True), ("t/(t+4)", False)])
def test_what_a_schedule_is_by_default_is_looked_at(mu, same):
    assert decided(find("acsa"), two_sequences, set_b={"mu": mu}).status == ("equivalent" if same else "refuted")
    answer = decided(find("acsa"), two_sequences, set_b={"mu": mu}, free=["beta"])
    assert answer.status == "refuted"
    assert {case["when"] for case in answer.special} == ({"beta = t/2 + 1"} if same else set())


def test_schedules_that_are_special_as_constants_are_listed():
    answer = decided(find("lookahead(sgd)"), find("sgd"), free=["sync"])
    assert {case["when"]: case["map"] for case in answer.special}["sync = 1"] == {"lr": "lr*slow"}
    known = decided(find("lookahead(sgd)"), find("sgd"), set_a={"sync": "1/(t+2)"})
    assert not any("sync" in case["when"] for case in known.special)


@optimizer(positions="w", returns="w", lr=step_size(), beta=momentum())
def scaled_down(s, t, h):
    """SGD whose hyperparameter is called as another rule's momentum."""
    g = yield s.w
    return dict(w=s.w - h.lr * (1 - h.beta) * g)


@pytest.mark.parametrize("rows", ["-x/2", "x/2 y/3 y x/5", "x/(2*y) 1 y 1/3", "x/(2*y) 1/(3*x) y/(x+1) 1/3"])
def test_determinants_keep_their_numbers(rows):
    entries = [given_value(text.replace("x", "t").replace("y", "(t+2)")) for text in rows.split()]
    size = math.isqrt(len(entries))
    matrix = sympy.Matrix(size, size, entries)
    assert sympy.cancel(determinant(matrix) - matrix.det()) == 0
    assert sympy.cancel(determinant(2 * matrix) - matrix.det()) != 0


def test_what_is_known_of_one_rule_is_not_known_of_the_other():
    answer = decided(scaled_down, find("heavy_ball"), set_a={"beta": 0.5})
    assert "beta = 0 in heavy_ball" in {case["when"] for case in answer.special}
    known = decided(scaled_down, find("heavy_ball"), set_b={"beta": 0.5})
    assert not any("heavy_ball" in case["when"] for case in known.special)


def test_a_rule_is_itself_at_what_is_known_of_it():
    assert decided(find("heavy_ball"), find("heavy_ball"), set_a={"beta": 0}).map == {"lr": "lr", "beta": "0"}


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum())
def squared(s, t, h):
    """Heavy ball that decays by the square of its hyperparameter."""
    g = yield s.w
    m = h.beta * h.beta * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


@pytest.mark.long
def test_what_only_a_root_solves_is_never_refuted():
    assert decided(squared, find("heavy_ball")).map["beta"] == "beta**2"
    assert equivalent(find("heavy_ball"), squared, budget=60).status != "refuted"
    assert decided(find("nesterov"), squared).status == "refuted"


@optimizer(positions="w", memories="m v", returns="w", lr=step_size(), beta=momentum(0.9), eps=positive(1))
def sized(s, t, h):
    """A momentum that is multiplied by what no other rule computes, and no proof follows."""
    g = yield s.w
    m, v = h.beta * s.m + g, s.v + exp(g * g)
    return dict(w=s.w - h.lr * m / (v + h.eps), m=m, v=v)


def test_refuted_and_undecided_answers_say_what_they_assume():
    refuted = decided(find("heavy_ball"), find("nesterov"), set_a={"lr": 0.5}, set_b={"beta": 0.25})
    assert refuted.assumptions == (
        "lr = 0.5",
        "beta = 0.25 in nesterov",
        "compared: the points where gradients are taken (what is returned is not compared)",
        "coordinate by coordinate, from the same start, on the same gradients",
    )
    undecided = equivalent(sized, find("simplified_ademamix"), budget=60)
    assert undecided.status == "undecided"
    assert any(note.startswith("weight_decay = 0 in simplified_ademamix, as") for note in undecided.assumptions)
    assert any("p(t) is a given positive sequence" in note for note in undecided.assumptions)
    for answer in (refuted, undecided, equivalent(find("heavy_ball"), find("nesterov"), budget=0)):
        assert sum(note.startswith("compared: ") for note in answer.assumptions) == 1
        assert len(set(answer.assumptions)) == len(answer.assumptions)


def test_a_refutation_by_the_sign_does_not_set_it_aside():
    refuted = decided(find("accelerated_sgd"), find("lion"))
    assert refuted.status == "refuted"
    assert not any("set aside" in note for note in refuted.assumptions)
    proved = decided(find("lion"), find("accelerated_sgd"), set_a={"weight_decay": 0})
    assert any("set aside" in note for note in proved.assumptions)


def test_parameters_of_a_formula_that_two_rules_share_are_the_same():
    answer = decided(find("laprop"), find("laprop"))
    assert {name: answer.map[name] for name in ("beta2", "eps")} == {"beta2": "beta2", "eps": "eps"}
    other = equivalent(sized, find("simplified_ademamix"), budget=60)
    assert "the linear parts agree, but p(t) is " in other.reason
    assert not any("eps = 1" in line for line in other.tried)


def test_a_refutation_does_not_ask_for_what_kills_the_method():
    assert " = 0" not in decided(find("heavy_ball"), find("nesterov")).reason
    assert decided(find("accelerated_sgd"), find("heavy_ball")).reason.endswith("it would need alpha = 0")


def test_sums_are_written_as_people_write_them():
    assert decided(find("mars_sgd"), find("qhm")).transform["m"] == "m/(1 - gamma) - gamma*last/(1 - gamma)"
    assert decided(find("jain"), find("accelerated_sgd")).map["eta"] == "(1 - alpha)*(gamma - delta)"


@pytest.mark.parametrize("b", ["accelerated_sgd", "simplified_ademamix_sgd"])
def test_ademamix_without_its_fast_average_has_one_memory(b):
    assert decided(find("ademamix_sgd"), find(b), set_a={"beta1": 0}).status in SAME


def test_published_parameter_maps_come_out():
    answer = decided(find("ademamix_sgd"), find("simplified_ademamix_sgd"), set_a={"beta1": 0})
    assert answer.map == {"beta": "beta3", "lr": "alpha*lr*(1 - beta3)", "alpha": "1/(alpha*(1 - beta3))"}
    answer = decided(find("schedule_free"), find("accelerated_sgd"))
    assert answer.direction == "accelerated_sgd -> schedule_free"
    assert answer.conditions == ("beta = 1 - c(t - 1) is in [0, 1)",)  # c may be 0, as it is not when it averages
    assert answer.map["beta"] == "1 - c(t - 1)"


def test_schedules_are_followed_with_their_shifts():
    answer = decided(find("schedule_free"), find("accelerated_sgd"), varying=["lr", "beta"])
    assert answer.status in SAME
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


@pytest.mark.parametrize("a", ["heavy_ball", "mars_sgd", "schedule_free"])
def test_of_maps_that_do_the_one_without_a_recursion_is_told(a):
    answer = decided(find(a), find("dana"), free=["c"] if a == "schedule_free" else [])
    assert answer.status in SAME
    assert answer.map["delta"].startswith("where(first(t), ")  # where what DANA forgets is nothing yet
    assert answer.map["g3"] == "1"


def test_solutions_outside_declared_ranges_are_marked():
    answer = decided(find("mars_sgd"), find("qhm"), set_a={"gamma": "2"})
    assert "nu = -1 is outside its range [0, 1]" in answer.conditions
    inside = decided(find("mars_sgd"), find("qhm"), set_a={"gamma": "1/2"})
    assert not any("range" in condition for condition in inside.conditions)


@optimizer(positions="w", returns="w", lr=weight())
def careful(s, t, h):
    """SGD with steps of at most 1."""
    g = yield s.w
    return dict(w=s.w - h.lr * g)


@pytest.mark.parametrize(
    ("lr", "note"),
    [
        ("2/(t+1)", "lr = 2/(t + 1) is outside its range [0, 1] at t = 0"),
        ("3/(t+1)", "lr = 3/(t + 1) is outside its range [0, 1] at t = 0 and 1"),
        ("t+1", "lr = t + 1 is outside its range [0, 1] at later steps"),
        ("1/(t+1)", None),
        (None, "lr = lr may be outside its range [0, 1]"),
    ],
)
def test_ranges_are_looked_at_from_the_first_step_on(lr, note):
    answer = decided(find("sgd"), careful, set_a={"lr": lr} if lr else {})
    assert answer.status == (OUTSIDE if note else EQUIVALENT)
    assert answer.conditions == ((note,) if note else ())
    assert answer.to_json()["equivalent"] is (None if note else True)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("1/t", "lr = 1/t does not exist at t = 0"),
        ("where(first(t), 1, 1/t)", None),
        ("where(first(t), 2, 1/t)", "lr = where(first(t), 2, 1/t) is outside its range [0, 1] at t = 0"),
        ("1 - c(t-1)", None),  # before the first step c is whatever it should be
        ("1 + c(t-1)", "lr = 1 + c(t-1) is outside its range [0, 1]"),
        ("cos(0*c(t)) + 1 - sqrt(1 + 0*c(t))", None),  # up to rounding
    ],
)
def test_a_value_is_looked_at_as_it_is_written(text, note):
    assert ranges.note("lr", text, careful.hyperparameters["lr"], find("schedule_free")) == note


def test_what_is_set_aside_is_said():
    answer = decided(find("lion"), find("accelerated_sgd"), set_a={"weight_decay": 0})
    assert "lion: sign acts after the momentum and is set aside" in answer.assumptions
    assert any("what is returned is not compared" in a for a in answer.assumptions)


RETURNED = [
    ("schedule_free", "accelerated_sgd"),
    ("jain", "accelerated_sgd"),
    ("heavy_ball", "tail_average(heavy_ball)"),
    ("tail_average(heavy_ball)", "heavy_ball"),
    ("ema(heavy_ball)", "heavy_ball"),
]


@pytest.mark.parametrize(("a", "b"), RETURNED)
def test_returned_iterates_are_compared_on_request(a, b):
    assert decided(find(a), find(b)).status in SAME
    answer = decided(find(a), find(b), returned=True)
    assert answer.status == "refuted"
    assert "returns" in "\n".join(answer.to_text()["counterexample"])
    forged = json.loads(json.dumps(answer.certificate))
    for key in forged["counterexample"]["answers"]:
        key["query"] = 0
    assert not verify_certificate(forged).holds


@pytest.mark.parametrize(("a", "b"), [("qhm", "accelerated_sgd"), ("heavy_ball", "ema(heavy_ball)")])
def test_what_is_returned_may_be_the_same(a, b):
    assert decided(find(a), find(b), returned=True).status == "equivalent"


def test_what_schedules_return_may_be_the_same():
    answer = equivalent(find("tail_average(sgd)"), find("ema(sgd)"), returned=True, budget=60)
    assert answer.status == "equivalent"
    assert answer.map["decay"] == "t/(t + 1)"
    assert verify_certificate(answer.certificate).holds


@pytest.mark.parametrize(("b", "map_"), [("qhm", {"beta": "beta1", "nu": "1"}), ("heavy_ball", {"beta": "beta1"})])
def test_a_constant_is_found_beside_schedules(b, map_):
    answer = decided(find("laprop"), find(b))
    assert answer.status in SAME
    assert answer.map.items() >= map_.items()


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
    assert "a budget of 0" in answer.reason


@pytest.mark.long
def test_nothing_is_equivalent_that_the_checker_does_not_prove(monkeypatch):
    original = check

    def doubting(claim):
        return replace(original(claim), status="failed")

    monkeypatch.setattr(proofs, "check", doubting)
    monkeypatch.setattr(bisimilar, "check", doubting)
    monkeypatch.setattr(bisimilar, "prove", lambda claim: Proved(False, "doubted"))
    assert equivalent(find("qhm"), find("accelerated_sgd")).status != "equivalent"


def test_numbers_of_gradients_are_compared_first():
    answer = equivalent(find("mars_exact_sgd"), find("mars_sgd"))
    assert answer.status == "refuted"
    assert "2 gradients" in answer.reason


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (
            "ademamix_sgd",
            "simplified_ademamix_sgd",
            "simplified_ademamix_sgd, where it queries the same otherwise, can only",
        ),
        ("heavy_ball", "nesterov", "nesterov cannot answer so, whatever schedules its hyperparameters are"),
        ("aggmo", "signum", "after a gradient of 2 at t = 0 alone"),
        ("adamw", "lion", "to lion gradients of either length are the same"),
    ],
)
def test_a_refutation_is_told_in_words(a, b, told):
    text = "\n".join(decided(find(a), find(b)).to_text()["counterexample"])
    assert told in text
    assert f"{a} at " in text
    assert "a gradient of 1 at t = 0 alone" in text or "on the gradients " in text


def test_the_algebra_is_not_printed():
    answer = equivalent(find("adamw"), find("heavy_ball"))
    lines = answer.to_text()["counterexample"]
    assert lines[-1].endswith("whatever schedules its hyperparameters are: the algebra is in --json")
    assert not any(
        cofactor in line for cofactor in answer.counterexample["cofactors"] for line in lines if len(cofactor) > 9
    )


def test_a_preconditioner_before_the_momentum_is_not_one_after_it():
    """A schedule of each coordinate could make up for it, one of all coordinates cannot: it takes two to see that."""
    answer = decided(find("laprop"), find("adamw"))
    assert answer.status == "refuted"
    assert answer.counterexample["unknown"] == "one a step"
    assert {key["coordinate"] for key in answer.counterexample["answers"]} == {0, 1}


RULES = """
from accelsim.rule import momentum, optimizer, step_size

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


@optimizer(positions="w", memories="m", returns="w", alpha=positive(), eta=real(), beta=momentum())
def plain(s, t, h):
    """Accelerated SGD."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.alpha * g - h.eta * m, m=m)


@optimizer(positions="w", memories="m", returns="w", wd=positive(), kappa=real(), eta=real(), beta=momentum())
def pulled(s, t, h):
    """Weight decay kappa wd, where wd is the weight of the gradient too."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.kappa * h.wd * s.w - h.wd * g - h.eta * m, m=m)


def test_weight_decay_may_be_zero_by_another_hyperparameter_than_its_first():
    answer = decided(plain, pulled)
    assert answer.status == "equivalent"
    assert answer.map["kappa"] == "0"
    assert answer.map["wd"] == "alpha"


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), x=positive())
def rescaled(s, t, h):
    """Heavy ball, where x is beta**t."""
    g = yield s.w
    m = s.m + g / h.x
    return dict(w=s.w - h.x * h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), c=real())
def growing(s, t, h):
    """Heavy ball, where c is beta/(t+1)."""
    g = yield s.w
    m = h.c * (t + 1) * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


@pytest.mark.parametrize("returned", [False, True])
def test_what_schedules_alone_do_is_found(returned):
    answer = equivalent(find("heavy_ball"), rescaled, returned=returned, budget=60)
    assert answer.status == "equivalent"
    assert any("(t)" in text for text in answer.map.values())
    assert decided(find("heavy_ball"), growing, returned=returned).map["c"] == "beta/(t + 1)"
    assert decided(find("heavy_ball"), find("nesterov"), returned=returned).status == "refuted"


@pytest.mark.parametrize(
    ("a", "b", "needs"),
    [
        ("accelerated_sgd", "acsa", "beta*t + 2*beta - t + 1"),  # its momentum is that of its own weights
        ("qhm", "acsa", "beta*t + 2*beta - t + 1"),
    ],
)
def test_schedules_are_refuted_with_one_memory(a, b, needs):
    answer = decided(find(a), find(b))
    assert answer.status == "refuted"
    assert answer.counterexample["unknown"] == "one a step"
    assert needs is None or needs in answer.reason


def test_what_ties_momentum_and_gradient_does_not_refute_where_they_are_tied():
    assert decided(find("nesterov"), find("acsa"), free=["beta"]).status == "equivalent"
