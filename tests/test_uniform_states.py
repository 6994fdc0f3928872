"""States that only the step moves are sequences: in proofs, exact risks, kernels; and recurrences are what they are."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import seed_of

from accelsim import problems
from accelsim.elementary import first, maximum, sign, sqrt, where
from accelsim.errors import InputError
from accelsim.exact.risk import risk
from accelsim.optimizers import find
from accelsim.optimizers.adamw import denominator, second_moment
from accelsim.optimizers.nadam import warm
from accelsim.program import exact
from accelsim.rule import momentum, optimizer, program_hash, real, step, step_size, weight
from accelsim.schedules import ratio, recurrence
from accelsim.simulation import backends
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.certify.documents import of_refutation
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.check.bisimulation import Bisimulation, prove
from accelsim.symbolic.check.equivalence import Equivalence, check
from accelsim.symbolic.coq.coqc import export, exported
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.refute.cases import refute_by_cases
from accelsim.symbolic.refute.replay import seen
from accelsim.symbolic.system.normal_form import canonical
from accelsim.symbolic.system.pair import Pair

# A kind of state: what it starts at, its next value from (s, t, h), and what it is after step t in closed form.
KINDS = {
    "counter": (lambda a, b: (a, lambda s, t, h: s + b, lambda t, h: a + b * (t + 1))),
    "sum": (lambda a, b: (a, lambda s, t, h: s + b * (t + 1), lambda t, h: a + b * (t + 1) * (t + 2) / 2)),
    "squares": (lambda a, b: (0, lambda s, t, h: s + (t + 1) ** 2, lambda t, h: (t + 1) * (t + 2) * (2 * t + 3) / 6)),
    "power": (lambda a, b: (a, lambda s, t, h: s * h.rate, lambda t, h: a * h.rate ** (t + 1))),
    "approach": (
        lambda a, b: (a, lambda s, t, h: h.rate * s + b * (1 - h.rate), lambda t, h: b + (a - b) * h.rate ** (t + 1))
    ),
    "last": (lambda a, b: (a, lambda s, t, h: (s + h.lr) - s, lambda t, h: h.lr)),
    "largest": (lambda a, b: (0, lambda s, t, h: maximum(s, b), lambda t, h: b)),
    "before": (lambda a, b: (a, lambda s, t, h: h.lr, lambda t, h: where(first(t), a, h.lr))),
}
SEEDS = range(2)
CASES = [(kind, seed) for kind in KINDS for seed in SEEDS]
NUMBERS = dict(lr=0.25, rate=0.5, beta=0.5)


def rules(kind, seed):
    """A rule with a state of a kind, the same one with the closed form, and that a step late."""
    chance = random.Random(seed_of(f"{kind} {seed}"))
    start, following, closed = KINDS[kind](chance.randint(1, 5), chance.randint(1, 5))
    declared = dict(lr=step_size(), rate=momentum(), beta=momentum())
    # "before" is used as it was before the step, which is what it is for.
    used = chance.choice((lambda x: 1 / (1 + x), lambda x: x / (2 + x)))

    @optimizer(positions="w", memories={"m": 0, "state": start}, returns="w", **declared)
    def remembering(s, t, h):
        """With a state of its own."""
        g = yield s.w
        state = following(s.state, t, h)
        m = h.beta * s.m + g
        weight = used(s.state if kind == "before" else state)
        return dict(w=s.w - h.lr * weight * (m + g), m=m, state=state)

    def knowing(late):
        @optimizer(positions="w", memories="m", returns="w", **declared)
        def closed_form(s, t, h):
            """With the closed form of that state."""
            g = yield s.w
            m = h.beta * s.m + g
            return dict(w=s.w - h.lr * used(closed(t, h) + late) * (m + g), m=m)

        return closed_form

    return remembering, knowing(0), knowing(1)


def decided(a, b, **options):
    answer = equivalent(a, b, **{"budget": 60, **options})
    named = {str(rule): rule for rule in (a, b)}
    verified = verify_certificate(json.loads(json.dumps(answer.certificate)), named.__getitem__)
    assert verified.holds, verified.reason
    return answer


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_a_state_that_only_the_step_moves_is_its_closed_form(kind, seed):
    remembering, closed_form, late = rules(kind, seed)
    assert remembering.program().uniform == ("state",)
    assert decided(remembering, closed_form).status == "equivalent"
    known = {k: str(v) for k, v in NUMBERS.items()}
    assert decided(remembering, late, set_a=known, set_b=known).status == "refuted"
    if seed == 0:
        assert decided(closed_form, remembering).status == "equivalent"
        assert decided(late, remembering, set_a=known, set_b=known).status == "refuted"
        assert canonical(remembering).to_json()["beta"] == canonical(closed_form).to_json()["beta"]


@pytest.mark.parametrize("kind", KINDS)
def test_exact_risks_and_matrices_know_the_state(kind):
    remembering, closed_form, late = rules(kind, 0)
    problem = problems.make("linear_regression", dim=3, batch=2)
    one, other, far = (risk(rule, problem, 40, **NUMBERS).risk for rule in (remembering, closed_form, late))
    np.testing.assert_allclose(one, other, rtol=1e-11)
    assert (abs(one - far)[-1] > 1e-6 * one[-1]) or kind == "power"  # which is nothing after some steps
    assert (abs(one - far) > 1e-6 * one).any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_kernels_take_the_state_from_the_host_and_have_the_same_bits(kind, dtype):
    rule, _, late = rules(kind, 0)
    problem = problems.make("quadratic", dim=5, grad_noise=1.0)

    def run(backend, rule, resumed=False):
        found = backends.find(backend).make(rule, problem, NUMBERS, 3, 4, seed_of(kind), dtype)
        found.advance(7)
        if resumed:
            saved = found.save()
            found = backends.find(backend).make(rule, problem, NUMBERS, 3, 4, seed_of(kind), dtype)
            found.load(saved, 7)
        found.advance(20)
        return found.risks()

    plain = run("numpy", rule)
    rounding = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(run("numba", rule), plain, rtol=rounding)
    for backend in ("numpy", "numba"):
        np.testing.assert_array_equal(run(backend, rule, resumed=True), run(backend, rule))
    assert (abs(run("numba", late) - plain) > 2 * rounding * plain).any()


def test_rows_hold_the_states_before_each_step():
    rule = rules("sum", 0)[0]
    state, gradients = rule.start(exact(0)), random.Random(0)
    for (t, h), _ in zip(rule.rows(exact, **NUMBERS), range(6), strict=False):
        assert h["state"] == state["state"]
        state = step(rule, state, t, h, lambda _: exact(gradients.randint(-5, 5)))


@optimizer(positions="w", memories=dict(m=0, p=1, q=0), returns="w", lr=step_size(), rate=momentum())
def shares(s, t, h):
    """Heavy ball times two shares that add up to 1 at every step, of a rate that varies."""
    g = yield s.w
    rate = h.rate * (t + 1) / (t + 2)
    p, q = rate * s.p, rate * s.q + 1 - rate
    m = h.rate * s.m + g
    return dict(w=s.w - h.lr * (p + q) * m, m=m, p=p, q=q)


@optimizer(positions="w", memories=dict(m=0, p=1, q=0), returns="w", lr=step_size(), rate=momentum())
def no_shares(s, t, h):
    """The same but that the second share forgets a little."""
    g = yield s.w
    rate = h.rate * (t + 1) / (t + 2)
    p, q = rate * s.p, rate * s.q / 2 + 1 - rate
    m = h.rate * s.m + g
    return dict(w=s.w - h.lr * (p + q) * m, m=m, p=p, q=q)


def test_what_relates_states_is_kept():
    assert decided(shares, find("heavy_ball")).status == "equivalent"
    assert str(canonical(shares).eta) == "lr"
    known = dict(set_a=dict(lr="0.5", rate="0.5"), set_b=dict(lr="0.5", beta="0.5"))
    assert decided(shares, find("heavy_ball"), **known).status == "equivalent"
    assert decided(no_shares, find("heavy_ball"), **known).status == "refuted"


@optimizer(positions="w", memories="m n", returns="w", lr=step_size(), beta=momentum())
def added(s, t, h):
    """A second buffer, which nothing ever enters."""
    g = yield s.w
    m, n = h.beta * s.m + g, h.beta * s.n
    return dict(w=s.w - h.lr * (m + n), m=m, n=n)


def test_what_is_added_to_vectors_stays_a_memory():
    assert not added.program().uniform
    assert decided(added, find("heavy_ball")).status == "equivalent"


def remembered(late):
    """Schedule-Free SGD, the sum of weights among its memories."""

    @optimizer(
        positions="x z",
        memories="largest weights",
        returns="x",
        lr=step_size(1.0),
        beta=weight(0.9),
        r=real(0),
        weight_lr_power=real(2),
    )
    def schedule_free_remembered(s, t, h):
        """Schedule-Free SGD."""
        g = yield h.beta * s.x + (1 - h.beta) * s.z
        largest = maximum(s.largest, h.lr)
        w = (t + 1 + late) ** h.r * largest**h.weight_lr_power
        weights = s.weights + w
        z = s.z - h.lr * g
        return dict(z=z, x=s.x + w / weights * (z - s.x), largest=largest, weights=weights)

    return schedule_free_remembered


def test_a_weight_sum_in_memory_is_that_of_the_recurrence():
    rule = remembered(0)
    assert decided(rule, find("schedule_free")).status == "equivalent"
    assert decided(find("schedule_free"), rule).status == "equivalent"
    known = dict(lr="1/2", beta="1/2", r="1", weight_lr_power="0")
    assert decided(remembered(1), find("schedule_free"), set_a=known, set_b=known).status == "refuted"


# -- recurrences ------------------------------------------------------------------------------------------------------


@recurrence(product=1)
def forgetful(memory, t, h):
    """NAdam's weight of the newest gradient, with a product that is a step late."""
    return (1 - warm(t, h)) / (1 - memory.product * h.beta1), dict(product=memory.product * warm(t, h))


@recurrence()
def unreadable(memory, t, h):
    """It asks how large t is."""
    return 1 / (t + 1) if t < 4 else 1 / 5, {}


def with_recurrence(name, rule, **declared):
    base = find(rule)
    return replace(base, name=name, hyperparameters={**base.hyperparameters, **declared})


def test_a_wrong_product_of_momenta_is_equivalent_only_where_it_is_free():
    right, wrong = find("nadam"), with_recurrence("nadam_wrong", "nadam", fresh=weight(forgetful))
    names = {name: name for name in ("lr", "beta1", "momentum_decay", "beta2", "eps")}
    same = dict(w="w", m="m")
    assert check(Equivalence(right, right, names, same)).status == "proved"
    assert check(Equivalence(right, wrong, names, same)).status == "refuted"
    freed = check(Equivalence(right, wrong, {**names, "fresh": "fresh(t)"}, same, free=("fresh",)))
    assert freed.status == "proved"
    assert "fresh is any function of t" in freed.assumptions
    with pytest.raises(InputError, match="recurrence"):
        Equivalence(right, wrong, {**names, "fresh": "fresh(t)"}, same)
    assert program_hash(right) != program_hash(wrong)


@recurrence(weights=0)
def linear_weights(memory, t, h):
    """Weight t+1 of this step over the sum of weights."""
    weights = memory.weights + t + 1
    return ratio(t + 1, weights), dict(weights=weights)


def averaging(c):
    @optimizer(positions="x z", returns="x", lr=step_size(), beta=weight(), c=weight(c))
    def averaged(s, t, h):
        """An average of iterates, the gradient at a mixture."""
        g = yield h.beta * s.x + (1 - h.beta) * s.z
        z = s.z - h.lr * g
        return dict(z=z, x=s.x + h.c * (z - s.x))

    return averaged


def test_parameters_that_only_a_recurrence_reads_are_found():
    answer = decided(averaging(linear_weights), find("schedule_free"))
    assert answer.status == "equivalent"
    assert answer.map["r"] == "1"
    assert "c of schedule_free" not in " ".join(answer.map)


@pytest.mark.parametrize("rule", ["adana", "nadam", "schedule_free", "acsa", "lookahead(sgd)"])
def test_rules_with_recurrences_are_themselves(rule):
    assert decided(find(rule), find(rule)).status == "equivalent"


def test_a_recurrence_that_is_no_formula_is_itself_and_nothing_else():
    rule = averaging(unreadable)
    assert decided(rule, rule).status == "equivalent"
    assert decided(rule, find("accelerated_sgd")).status == "equivalent"
    names = dict(map=dict(lr="lr", beta="beta"), transform=dict(x="x", z="z"))
    with pytest.raises(InputError, match="formula"):
        check(Equivalence(averaging(linear_weights), rule, **names))


def test_certificates_say_what_is_free_and_an_earlier_format_is_refused():
    answer = decided(find("nesterov"), find("acsa"))
    document = json.loads(json.dumps(answer.certificate))
    for place, key in ((document, "free"), (document["counterexample"], "loose")):
        assert place[key] == []
        changed = json.loads(json.dumps(document))
        (changed if place is document else changed["counterexample"])[key] = ["lr"]
        with pytest.raises(InputError, match="recurrence"):
            verify_certificate(changed)
    with pytest.raises(InputError, match="certificate 4"):
        verify_certificate({**document, "format": "accelsim certificate 4"})
    freed = {**document, "free": ["beta"]}
    assert not verify_certificate(freed).holds  # with any beta it is Nesterov's method


def test_what_follows_a_recursion_is_any_sequence_in_coq_and_then_this_one():
    names = dict(map=dict(lr="lr", beta="beta"), transform=dict(x="x", z="z"))
    claim = Equivalence(averaging(linear_weights), averaging(linear_weights), **names)
    anything, followed = exported(claim).texts
    assert not re.search(r"Hypothesis \w+_(start|next|value)", anything)
    assert re.search(r"Hypothesis c_value : forall t : nat, c t = ", followed)
    assert exported(claim).unchecked == (
        "that c(t) is one sequence in both rules: the same recurrence, of the same hyperparameters",
    )
    same = find("schedule_free")
    doubled = dict(lr="2*lr", beta="beta", r="r", weight_lr_power="weight_lr_power")  # the weights depend on lr
    with pytest.raises(InputError, match="c of schedule_free follows a recursion of its own, which is not exported"):
        export(replace(claim, source=same, target=same, map=doubled))
    assert exported(replace(claim, source=same, target=same, map={**doubled, "lr": "lr"})).texts
    counting = rules("counter", 0)[0]
    named = dict(map=dict(lr="lr", beta="beta"), transform=dict(w="w", m="m"))
    with pytest.raises(InputError, match="state of remembering follows a recursion of its own, which is not exported"):
        export(Equivalence(rules("counter", 0)[1], counting, **named))


# -- rules as they are ------------------------------------------------------------------------------------------------


def nadam_otherwise(s, t, h):
    """NAdam with its momentum written otherwise."""
    g = yield s.w
    m, v = s.m + (1 - h.mu) * (g - s.m), second_moment(s, g, h)
    return dict(w=s.w - h.lr * (h.fresh * g + h.past * m) / denominator(h.beta2 * v, t, h), m=m, v=v)


def test_relations_take_recurrences_for_those_of_the_other_rule_at_equal_values_alone():
    right, wrong = find("nadam"), with_recurrence("nadam_wrong", "nadam", fresh=weight(forgetful))
    otherwise = replace(right, name="nadam_otherwise", rule=nadam_otherwise)
    names = {name: name for name in ("lr", "beta1", "momentum_decay", "beta2", "eps")}
    relation = {f"b[{name}]": f"a[{name}]" for name in "wmv"}
    assert prove(Bisimulation(right, otherwise, names, relation)).holds
    for map in ({**names, "beta1": "beta1/2"}, {**names, "momentum_decay": "beta1"}):
        assert "mu of nadam_otherwise" in prove(Bisimulation(right, otherwise, map, relation)).reason
    assert "fresh of nadam_wrong" in prove(Bisimulation(right, wrong, names, relation)).reason
    assert "mu of" in prove(Bisimulation(right, otherwise, names, relation, varying=("mu",))).reason
    assert prove(Bisimulation(right, wrong, {**names, "fresh": "fresh(t)"}, relation, free=("fresh",))).holds
    with pytest.raises(InputError, match="recurrence"):
        Bisimulation(right, wrong, {**names, "fresh": "fresh(t)"}, relation)


def test_certificates_of_relations_say_what_is_free():
    right, wrong = find("nadam"), with_recurrence("nadam_wrong", "nadam", fresh=weight(forgetful))
    known = {rule.name: rule for rule in (right, wrong)}
    answer = equivalent(right, wrong, free=("fresh",))
    assert answer.status == "equivalent"
    assert "fresh is any function of t" in answer.assumptions
    document = json.loads(json.dumps(answer.certificate))
    assert document["kind"] == "bisimulation"
    assert verify_certificate(document, known.__getitem__).holds
    followed = {name: text for name, text in document["map"].items() if name != "fresh"}
    assert not verify_certificate({**document, "free": [], "map": followed}, known.__getitem__).holds
    with pytest.raises(InputError, match="recurrence"):
        verify_certificate({**document, "free": []}, known.__getitem__)


@recurrence(sum=0)
def part_of_all(memory, t, h):
    """What a step is of the sum of all."""
    total = memory.sum + h.rate
    return h.rate / total, dict(sum=total)


def preconditioned(below):
    declared = dict(lr=step_size(), rate=weight(), c=weight(part_of_all), eps=real())

    @optimizer(positions="w", memories="v", returns="w", **declared)
    def rule(s, t, h):
        """A preconditioned step whose size is a recurrence."""
        g = yield s.w
        v = s.v + h.c * g * g
        return dict(w=s.w - h.lr * h.c * g / below(v, h.eps), v=v)

    return rule


def test_runs_of_rules_as_they_are_follow_recurrences():
    inside, beside = preconditioned(lambda v, eps: sqrt(v + eps * eps)), preconditioned(lambda v, eps: sqrt(v) + eps)
    pair = Pair(inside, beside)
    found = refute_by_cases(pair, Clock(10))
    rates = found.hyperparameters["c"]
    assert found.relaxed == ["c"]
    assert rates[:3] == ["1", "1/2", "1/3"]
    shown = seen(pair, found)
    assert "rate" in shown.hyperparameters
    assert "c" not in shown.hyperparameters  # of the second rule either
    document = json.loads(json.dumps(of_refutation(pair, found, shown)))
    known = iter((inside, beside)).__next__
    told = {**shown.document(), "hyperparameters": {**shown.hyperparameters, "c": "1/2"}}
    forged = {**document, "counterexample": {**document["counterexample"], "shown": told}}
    with pytest.raises(InputError, match="one value for each hyperparameter"):
        verify_certificate(forged, lambda _: known())
    known = iter((inside, beside)).__next__
    assert verify_certificate(document, lambda _: known()).holds
    document["counterexample"]["hyperparameters"]["c"][1] = "1/3"
    known = iter((inside, beside)).__next__
    with pytest.raises(InputError, match="recurrence part_of_all"):
        verify_certificate(document, lambda _: known())


def test_what_divides_by_a_uniform_state_is_a_condition_of_a_relation():
    @optimizer(positions="w", memories={"k": 1, "m": 0}, returns="w", lr=step_size(), beta=momentum())
    def counting(s, t, h):
        """A sign over a count."""
        m = h.beta * s.m + (yield s.w)
        return dict(w=s.w - h.lr * sign(m) / s.k, k=s.k + 1, m=m)

    relation = {f"b[{name}]": f"a[{name}]" for name in "wkm"}
    proved = prove(Bisimulation(counting, counting, dict(lr="lr", beta="beta"), relation))
    assert proved.holds
    assert "k != 0 in counting" in proved.conditions
    off = {**relation, "b[k]": "2*a[k]"}
    assert not prove(Bisimulation(counting, counting, dict(lr="2*lr", beta="beta"), off)).holds


def counting_adam(begin):
    @optimizer(
        positions="w",
        memories={"m": 0, "v": 0, "k": begin},
        returns="w",
        lr=step_size(),
        beta1=momentum(),
        beta2=momentum(),
        eps=step_size(),
    )
    def counting(s, t, h):
        """Adam whose bias corrections read a counter that is raised before use."""
        g = yield s.w
        k = s.k + 1
        m, v = h.beta1 * s.m + (1 - h.beta1) * g, h.beta2 * s.v + (1 - h.beta2) * g**2
        root = sqrt(v / (1 - h.beta2**k)) + h.eps
        return dict(w=s.w - h.lr * (m / (1 - h.beta1**k)) / root, m=m, v=v, k=k)

    return counting


NAMES = ("lr", "beta1", "beta2", "eps")


def as_adam(source, target):
    """The claim that one Adam is another, memory by memory."""
    given = {"weight_decay": 0} if source.name == "adamw" else {}
    decay = {"weight_decay": "0"} if target.name == "adamw" else {}
    return Equivalence(
        source,
        target,
        {**{k: k for k in NAMES}, **decay},
        {"w": "w", "m": "m"},
        given=given,
        preconditioners={"p": "p(t)"},
        nonlinear={"v": "v"},
    )


@pytest.mark.parametrize("backward", [False, True])
def test_a_counter_in_a_preconditioner_is_the_step(backward):
    def proved(begin):
        pair = [counting_adam(begin), find("adamw")]
        return check(as_adam(*(pair[::-1] if backward else pair))).status == "proved"

    assert proved(0)
    assert not proved(1)


def test_a_rule_that_counts_in_a_memory_is_found_to_be_the_one_that_reads_the_step():
    assert decided(find("adamw"), counting_adam(0), set_a={"weight_decay": 0}).status == "equivalent"
