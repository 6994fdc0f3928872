"""What no expression in t says: hyperparameters that follow a recursion, in claims, answers and certificates."""

import json
import random
from dataclasses import replace
from fractions import Fraction

import pytest
from conftest import seed_of

from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.optimizers import find
from accelsim.rule import step
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra.ranges import note
from accelsim.symbolic.algebra.recurrences import computed
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.check.equivalence import Equivalence, check
from accelsim.symbolic.coq.coqc import export
from accelsim.symbolic.find.answer import SAME
from accelsim.symbolic.find.finder import equivalent

STEPS = 12
PAIRS = [("schedule_free", "qhm"), ("dana", "mars_sgd"), ("acsa", "schedule_free")]
FREE = {"schedule_free": ("c",), "acsa": ("beta", "c")}  # by the first rule

# m_t = b_t m_(t-1) + (1 - b_t) g_t forgets as Schedule-Free does where b_t (1 - b_(t-1)) = (1 - b_t) (1 - c_(t-1)).
MOMENTUM = {"b": ("1/2", "(1 - c(t))/(2 - c(t) - b(t))")}
STEP = "beta*lr*c(t)/(1 - b(t)) + lr*(1 - beta)"
QHM = dict(
    map=dict(beta="b(t)", lr=STEP, nu=f"beta*lr*c(t)/(1 - b(t))/({STEP})"),
    transform=dict(w="beta*x + (1 - beta)*z", m="(x - z)*(1 - b(t))/(b(t)*lr)"),
)


def claimed(sequences):
    return check(Equivalence(find("schedule_free"), find("qhm"), **QHM, sequences=sequences, free=("c",)))


def test_a_map_may_follow_a_recursion():
    verdict = claimed(MOMENTUM)
    assert verdict.status == "proved"
    assert "b(t) != 0" in verdict.conditions
    assert "-b(t) - c(t) + 2 != 0" in verdict.conditions  # what the recursion divides by
    assert any("b(t+1) = " in note for note in verdict.assumptions)


@pytest.mark.parametrize(
    "wrong",
    [
        ("1/2", "(1 - c(t))/(3 - c(t) - b(t))"),  # another recursion
        ("1/2", "(1 - c(t+1))/(2 - c(t+1) - b(t))"),  # a step late
        ("0", "(1 - c(t))/(2 - c(t) - b(t))"),  # what the transform divides by
        ("1", "(1 - c(t))/(2 - c(t) - b(t))"),  # what the map divides by
    ],
)
def test_a_wrong_recursion_or_start_proves_nothing(wrong):
    assert claimed({"b": wrong}).status != "proved"


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("beta", MOMENTUM["b"]),  # a hyperparameter
        ("z", MOMENTUM["b"]),  # a state
        ("sqrt", MOMENTUM["b"]),
        ("t", MOMENTUM["b"]),
        ("b", ("1/2", "b(t+1)")),  # defined by itself
        ("b", ("b(0)", "b(t)")),
        ("b", ("1/2", "b(t-1)")),
    ],
)
def test_a_recursion_has_a_name_of_its_own_and_says_what_is_next(name, texts):
    with pytest.raises(InputError):
        claimed({name: texts})


SGD = find("sgd")


def test_what_holds_along_the_orbit_alone_is_not_proved():
    known = dict(given=dict(lr="1/(t+1)"), transform=dict(w="w"), map=dict(lr="s(t)"))
    true = check(Equivalence(SGD, SGD, **known, sequences={"s": ("1", "s(t)/(1 + s(t))")}))
    assert true.status == "failed"  # it is so, and no identity says it
    false = check(Equivalence(SGD, SGD, **known, sequences={"s": ("1", "s(t)/(2 + s(t))")}))
    assert false.status == "refuted"


def test_what_divides_by_zero_later_is_not_proved():
    claim = dict(map=dict(lr="lr*s(t)/s(t)"), transform=dict(w="w"))
    late = check(Equivalence(SGD, SGD, **claim, sequences={"s": ("3", "s(t) - 1")}))
    assert late.status == "failed"
    assert "no rational run" in late.reason
    within = dict(map=dict(lr="lr"), transform=dict(w="s(t)*w/s(t)"))
    assert check(Equivalence(SGD, SGD, **within, sequences={"s": ("3", "s(t) - 1")})).status == "failed"
    never = check(Equivalence(SGD, SGD, **claim, sequences={"s": ("3", "s(t) + 1")}))
    assert never.status == "proved"
    assert never.conditions == ("s(t) != 0",)


def test_a_recursion_is_what_coq_is_told_of_a_sequence():
    claim = Equivalence(find("schedule_free"), find("qhm"), **QHM, sequences=MOMENTUM, free=("c",))
    text = export(claim)
    assert "Hypothesis b_start : b (Z.of_nat 0) = 1 / 2." in text
    assert "Hypothesis b_next : forall t : nat, b (t + 1)%Z = (1 - c t) / (2 - c t - b t)." in text
    never = {"b": ("1", MOMENTUM["b"][1])}  # 1 - b, which is divided by, is zero at the start
    with pytest.raises(InputError, match="zero in every run"):
        export(replace(claim, sequences=never))


def test_ranges_are_looked_at_along_the_recursion():
    qhm, free = find("qhm").hyperparameters, find("schedule_free")
    assert note("beta", "b(t)", qhm["beta"], free, MOMENTUM) is None
    assert "outside" in note("beta", "b(t)", qhm["beta"], free, {"b": ("-1", "b(t)/2")})
    assert "outside" in note("beta", "b(t)", qhm["beta"], free, {"b": ("1/2", "b(t) + 1")})


def test_a_recursion_is_computed_from_its_start():
    values = computed({"s": ("a", "s(t)*(t + 2)")}, {"a": Fraction(3)})["s"]
    assert [values(t) for t in range(4)] == [3, 6, 18, 72]
    with pytest.raises(InputError, match="begins"):
        values(-1)


# -- answers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answers():
    return {pair: equivalent(*map(find, pair), budget=60, free=FREE.get(pair[0], ())) for pair in PAIRS}


def drawn(rule, name, chance):
    declared = rule.hyperparameters[name]
    low, high = (Fraction(str(min(max(edge, -2.0), 2.0))) for edge in (declared.low, declared.high))
    return low + (high - low) * Fraction(chance.randint(1, 40), 41)


def queries(rule, row, gradients):
    asked, state = [], rule.start(Fraction(1))
    for t, g in enumerate(gradients):

        def answer(point, g=g):
            asked.append(point)
            return g

        state = step(rule, state, Fraction(t), row(t), answer)
    return asked


@pytest.mark.parametrize("pair", PAIRS)
def test_both_rules_query_the_same_points_in_fractions(answers, pair):
    answer = answers[pair]
    assert answer.status in SAME
    assert answer.certificate["sequences"]
    one, other = map(find, pair)
    own_switches, switches = (
        {k: h.default for k, h in rule.hyperparameters.items() if h.switch} for rule in (one, other)
    )
    chance = random.Random(seed_of(f"{pair}"))
    values = {}
    for name in sorted(set(one.program().reads) - set(own_switches)):
        varies = isinstance(one.hyperparameters[name].default, Recurrence)
        known = {t: drawn(one, name, chance) for t in range(-1, STEPS + 3)}
        values[name] = known.__getitem__ if varies else known[0]
    sequence = {}
    for t in range(STEPS):
        for name, texts in answer.certificate["sequences"].items():
            here = {**values, "t": Fraction(t - 1), name: lambda _, name=name, t=t: sequence[name, t - 1]}
            sequence[name, t] = evaluated(texts["next"] if t else texts["start"], here)

    def own(t):
        return own_switches | {name: value(t) if callable(value) else value for name, value in values.items()}

    def mapped(t):
        called = {name: lambda at, name=name: sequence[name, int(at)] for name in answer.certificate["sequences"]}
        return {name: evaluated(text, {**values, **called, "t": Fraction(t)}) for name, text in answer.map.items()}

    gradients = [Fraction(chance.randint(-9, 9)) for _ in range(STEPS)]
    asked = queries(other, lambda t: switches | mapped(t), gradients)
    assert queries(one, own, gradients) == asked
    assert queries(one, own, [*gradients[:3], Fraction(10), *gradients[4:]]) != asked


@pytest.mark.parametrize("pair", PAIRS)
def test_a_certificate_holds_with_its_own_recursion_alone(answers, pair):
    document = json.loads(json.dumps(answers[pair].certificate))
    assert verify_certificate(document).holds
    ((name, texts),) = document["sequences"].items()
    for wrong in ({**texts, "next": f"{texts['next']} + 1"}, {**texts, "next": texts["start"]}):
        assert not verify_certificate({**document, "sequences": {name: wrong}}).holds
    with pytest.raises(InputError):
        verify_certificate({**document, "sequences": {}})
    with pytest.raises(InputError, match="no certificate"):
        verify_certificate({**document, "sequences": {name: {"start": "1"}}})


@pytest.mark.parametrize("pair", PAIRS)
def test_where_a_sequence_starts_is_a_choice(answers, pair):
    (name,) = answers[pair].certificate["sequences"]
    assert f"{name}(0)" in answers[pair].free


def test_another_start_is_another_claim(answers):
    document = json.loads(json.dumps(answers["dana", "mars_sgd"].certificate))
    ((name, texts),) = document["sequences"].items()
    twice = {name: {**texts, "start": f"2*({texts['start']})"}}  # beta is no longer zero at the first step
    assert not verify_certificate({**document, "sequences": twice}).holds


@pytest.mark.parametrize("pair", [("laprop", "adamw"), ("nadam", "schedule_free")])
def test_a_recursion_that_knows_the_preconditioner_is_no_schedule(pair):
    answer = equivalent(*map(find, pair), budget=60)
    assert answer.status == "refuted"
    assert verify_certificate(json.loads(json.dumps(answer.certificate))).holds
