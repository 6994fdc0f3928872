"""Certificates hold as they are, and no longer once anything in them is changed."""

import copy
import dataclasses
import json
import random
import time
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
import sympy

from accelsim.elementary import first, sign, sqrt, where
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.rule import momentum, optimizer, positive, program_hash, step, step_size, weight
from accelsim.symbolic.algebra.budget import Clock, OutOfTime
from accelsim.symbolic.algebra.field import determinant
from accelsim.symbolic.certify.documents import of_equivalence, of_refutation
from accelsim.symbolic.certify.process import verify_file
from accelsim.symbolic.certify.schema import FORMAT
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.check.counterexample import Shown
from accelsim.symbolic.check.equivalence import check
from accelsim.symbolic.check.responses import Identity, Response
from accelsim.symbolic.find.comparison import Comparison
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.refute.answers import Refuting
from accelsim.symbolic.refute.impulses import refute
from accelsim.symbolic.refute.replay import seen
from accelsim.symbolic.system.pair import Pair, Question
from accelsim.symbolic.verify import known

FOUND = {
    "equivalence": ("qhm", "accelerated_sgd", {}),
    "schedules": ("schedule_free", "accelerated_sgd", dict(set_a={"lr": 0.1}, varying=["beta"], returned=False)),
    "minor": ("ademamix_sgd", "heavy_ball", dict(set_a={"alpha": "1/3"})),
    "unless": ("sgd", "heavy_ball", {}),
    "identity": ("heavy_ball", "nesterov", {}),
    "given": ("heavy_ball", "nesterov", dict(set_b={"lr": 0.5})),
    "start": ("adamw", "qhadam", {}),
    "scale": ("sgd", "signum", {}),
    "apart": ("heavy_ball", "sgd", dict(set_a={"lr": "1", "beta": "1/2"}, set_b={"lr": "1"})),
}


@pytest.fixture(scope="module")
def certificates():
    made = {kind: equivalent(find(a), find(b), budget=60, **more).certificate for kind, (a, b, more) in FOUND.items()}
    return json.loads(json.dumps(made))


@pytest.mark.parametrize("kind", FOUND)
def test_a_certificate_holds(certificates, kind):
    assert verify_certificate(certificates[kind]).holds


def leaves(document, path=()):
    """Every number, text and empty list or object, with its place."""
    below = document.items() if isinstance(document, dict) else enumerate(document)
    for key, part in below:
        if isinstance(part, dict | list) and part:
            yield from leaves(part, (*path, key))
        else:
            yield (*path, key), part


def altered(path, leaf):
    """Another value of the same type, where one can be thought of one that might be believed."""
    if isinstance(leaf, bool | int):
        return not leaf if isinstance(leaf, bool) else leaf + 1
    if isinstance(leaf, dict | list):
        return ["1"] if isinstance(leaf, list) else {"lr": "1"}
    if path[-1] == "unknown":
        return "constant" if leaf == "one a step" else "one a step"
    if path[-1] == "name":
        return "sgd" if leaf != "sgd" else "heavy_ball"
    with suppress(ValueError):
        return str(Fraction(leaf) / 2 or 1)
    return f"2*({leaf})"


def retyped(leaf):
    if isinstance(leaf, bool | int):
        return int(leaf) if isinstance(leaf, bool) else float(leaf)
    return [leaf] if isinstance(leaf, str) else None


def changed(document, path, how):
    """The document with one leaf dropped, of another type, or altered."""
    made = copy.deepcopy(document)
    place = made
    for key in path[:-1]:
        place = place[key]
    leaf = place[path[-1]]
    if how == "dropped":
        del place[path[-1]]
    else:
        place[path[-1]] = retyped(leaf) if how == "retyped" else altered(path, leaf)
    return made


def queried(rule, h, key):
    """What the plain rule, in fractions, queries after an impulse: no tracer, no matrices."""
    state = rule.start(Fraction(key["impulse"] < 0))
    for t in range(key["step"]):
        state = step(rule, state, t, h, lambda w, t=t: Fraction(int(t == key["impulse"])))
    return state["w"]


def says_as_much(kind, document, path, how):
    """Why a leaf may be otherwise: what the document then says is as true, and refutes as much."""
    place, found = path[min(1, len(path) - 1)], document.get("counterexample")
    if path[0] == "set_a" and how == "dropped":
        return "one choice of hyperparameters refutes, given or not"
    if path[0] == "set_b" or place == "unknown":
        return kind in ("minor", "start", "scale") and "nothing that b's hyperparameters could be matters"
    if kind == "start" and ("shown" in path or path[2:] in [("beta1",), ("beta2",), ("eps",)]):
        return "hyperparameters" in path and "without gradients it multiplies zero"
    if kind == "given" and path[1:] == ("hyperparameters", "beta"):
        return "the first step shows it, which knows no momentum"
    if kind == "scale" and path[1:] == ("shown", "hyperparameters", "beta"):
        return "after one gradient the sign is its own, whatever the momentum"
    if kind == "scale" and path[-1] == "step":
        return "the point stays where the gradient has brought it"
    if kind in ("identity", "given") and place in ("answers", "cofactors"):
        key, value = (found[name][path[2]] for name in ("answers", "values"))
        choices = [dict(lr=Fraction(1, n), beta=Fraction(2, n)) for n in (3, 5)]
        both = {queried(find("nesterov"), h, key) for h in choices} == {Fraction(value)}
        return both and "both rules give this answer, whatever their hyperparameters: it multiplies zero"
    return False


@pytest.mark.parametrize("kind", FOUND)
@pytest.mark.long
def test_no_leaf_of_a_certificate_can_be_changed_unnoticed(certificates, kind):
    document = certificates[kind]
    tried = 0
    for path, leaf in leaves(document):
        for how in ("dropped", "retyped", "altered"):
            forged = changed(document, path, how)
            assert forged != document or isinstance(leaf, int)  # True == 1 == 1.0
            tried += 1
            with suppress(InputError):  # what it now says cannot even be read
                unnoticed = verify_certificate(forged).holds
                assert not unnoticed or says_as_much(kind, document, path, how), (how, path, leaf)
    assert tried > 50


@pytest.mark.parametrize("kind", FOUND)
def test_nothing_can_be_added_to_a_certificate(certificates, kind):
    places = [path for path, _ in leaves(certificates[kind])]
    for place in {path[:k] for path in places for k in range(len(path))}:
        forged = copy.deepcopy(certificates[kind])
        part = forged
        for key in place:
            part = part[key]
        if isinstance(part, dict):
            part["more"] = copy.deepcopy(next(iter(part.values())))
        else:
            part.append(copy.deepcopy(part[0]))
        with suppress(InputError):
            assert not verify_certificate(forged).holds, place


def changes(document, path, value):
    """The document with another value at a place that is there."""
    made = copy.deepcopy(document)
    place = made
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] != value
    place[path[-1]] = value
    return made


CHANGES = [
    ("equivalence", ("map", "eta"), "lr*nu"),
    ("equivalence", ("transform", "m"), "m"),
    ("equivalence", ("identities",), []),
    ("schedules", ("assumptions",), []),
    ("schedules", ("given", "lr"), "lr"),
    ("minor", ("counterexample", "since"), [3]),
    ("minor", ("counterexample", "hyperparameters", "beta1"), "log(2)"),
    ("unless", ("counterexample", "unless"), []),
    ("identity", ("counterexample", "cofactors", 0), "1/0"),
    ("identity", ("counterexample", "cofactors", 0), "lr[0](1)"),
]


@pytest.mark.parametrize(("kind", "path", "value"), CHANGES, ids=[f"{k} {p[-1]} {v}" for k, p, v in CHANGES])
def test_a_changed_certificate_does_not_hold(certificates, kind, path, value):
    with suppress(InputError):  # what it now says cannot even be read
        assert not verify_certificate(changes(certificates[kind], path, value)).holds


def test_numbers_outside_their_ranges_refute_nothing(certificates):
    """SGD with lr = -1 steps another way than heavy ball may, and is none: lr is at least 0."""
    document = certificates["unless"]
    found = document["counterexample"]
    rate = Fraction(found["hyperparameters"]["lr"])
    assert verify_certificate(_at_rate(document, rate / 3)).holds
    with pytest.raises(InputError, match="out of range for sgd"):
        verify_certificate(_at_rate(document, -rate))


def _at_rate(document, rate):
    """The refutation of SGD at another step size: what it answers is proportional to it."""
    made = copy.deepcopy(document)
    found = made["counterexample"]
    was = Fraction(found["hyperparameters"]["lr"])
    found["hyperparameters"]["lr"] = str(rate)
    found["values"] = [str(Fraction(value) * rate / was) for value in found["values"]]
    for run in found["shown"]["runs"]:
        run["a"] = [[str(Fraction(point) * rate / was) for point in points] for points in run["a"]]
    return made


def test_the_numbers_of_a_refutation_are_those_given(certificates):
    found = changes(certificates["minor"], ("set_a", "alpha"), "1/4")
    with pytest.raises(InputError, match="not what is given for it"):
        verify_certificate(found)


def test_a_cofactor_may_not_divide_by_what_might_be_zero(certificates):
    document = copy.deepcopy(certificates["identity"])
    found = document["counterexample"]
    rate = found["hyperparameters"]["lr"]
    found["answers"] = [{"step": 1, "query": 0, "impulse": 0, "gradient": 0, "coordinate": 0}]
    found["values"], found["cofactors"] = [f"-{rate}"], [f"1/({rate} - lr[0]*(1 + beta[0]))"]
    verified = verify_certificate(document)
    assert not verified.holds
    assert "might be zero" in verified.reason


def test_texts_in_a_certificate_are_never_run(certificates):
    document = copy.deepcopy(certificates["identity"])
    document["counterexample"]["cofactors"][0] = "__import__('os').getcwd()"
    with pytest.raises(InputError):
        verify_certificate(document)


@pytest.mark.parametrize("name", ["{}:rule", "tail_average({}:rule)"])
def test_a_name_in_a_certificate_runs_no_file(certificates, tmp_path, name):
    payload, touched = tmp_path / "payload.py", tmp_path / "touched"
    payload.write_text(f"from pathlib import Path; Path({str(touched)!r}).touch()")
    document = copy.deepcopy(certificates["identity"])
    document["a"]["name"] = name.format(payload)
    with pytest.raises(InputError, match="unknown optimizer"):
        verify_certificate(document)
    assert not touched.exists()
    with pytest.raises(InputError, match="defines no optimizer"):  # as a user may ask for it
        find(name.format(payload))
    assert touched.exists()


HOSTILE = [
    (("counterexample", "cofactors", 0), "0*9**9**9"),
    (("counterexample", "cofactors", 0), "(((lr[0] + 1)**500)**500)**500"),
    (("counterexample", "cofactors", 0), "(" * 100_000),
    (("counterexample", "values", 0), "1" * 1_000_000),
    (("counterexample", "values", 0), json.loads("[" * 900 + "]" * 900)),
    (("counterexample", "hyperparameters", "lr"), "1e999999999"),
    (("counterexample", "hyperparameters", "lr"), "where(first(t), 1, 2**(10**9*t))"),
    (("counterexample", "answers", 0, "step"), 10**9),
    (("counterexample", "answers", 0, "coordinate"), 10**6),
    (("a", "switches"), {"n": 10**30}),
]


@pytest.mark.parametrize(("path", "value"), HOSTILE, ids=[f"{p[-1]} {v!s:.12}" for p, v in HOSTILE])
def test_what_is_too_large_in_a_certificate_is_refused_at_once(certificates, path, value):
    begin = time.perf_counter()
    with pytest.raises(InputError) as told:
        verify_certificate(changes(certificates["identity"], path, value))
    assert time.perf_counter() - begin < 10
    assert len(str(told.value)) < 300


@pytest.mark.parametrize("rate", ["2**(1/3)", "exp(-1/10)", "log(2)", "cos(1/8)"])
def test_answers_may_be_irrational(rate):
    document = json.loads(json.dumps(equivalent(find("heavy_ball"), find("nesterov"), set_a={"lr": rate}).certificate))
    assert verify_certificate(document).holds
    document["counterexample"]["values"][0] += " + 1e-9"
    assert not verify_certificate(document).holds


def test_a_check_in_a_process_of_its_own_ends_when_its_time_is_over(certificates, tmp_path):
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps({"certificate": certificates["identity"]}))
    assert verify_file(path).holds
    late = verify_file(path, seconds=0.01)
    assert (late.holds, late.reason) == (False, "it could not be checked within 0.01 s")


def test_a_check_knows_files_of_rules_and_no_modules_beside_them(tmp_path, monkeypatch):
    (tmp_path / "rules.py").write_text(
        "from accelsim import optimizer, step_size\n"
        "print('hello')\n"
        "@optimizer(positions='w', returns='w', lr=step_size())\n"
        "def plain(s, t, h):\n"
        "    g = yield s.w\n"
        "    return dict(w=s.w - h.lr * g)\n"
    )
    (tmp_path / "sympy.py").write_text("raise SystemExit('a module of this folder was run')")
    document = equivalent(find(f"{tmp_path}/rules.py:plain"), find("sgd")).certificate
    document["source"]["name"] = "plain"
    (tmp_path / "certificate.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="unknown optimizer"):
        verify_file(tmp_path / "certificate.json")
    assert verify_file(tmp_path / "certificate.json", ["rules.py"]).holds


@pytest.mark.parametrize("content", ["[" * 100_000 + "]" * 100_000, "1" * 100_000, "", "{", "\x00"], ids=range(5))
def test_a_file_that_is_no_certificate_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "certificate.json"
    path.write_text(content)
    with pytest.raises(InputError, match="cannot read a certificate") as told:
        verify_file(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("document", [None, {}, {"format": FORMAT}, {"format": FORMAT, "kind": "equivalence"}], ids=str)
def test_what_is_no_certificate_is_told(document):
    with pytest.raises(InputError, match="no certificate"):
        verify_certificate(document)


def test_the_numbers_of_a_refutation_are_those_of_a_run(certificates):
    found = certificates["minor"]["counterexample"]
    h = {name: Fraction(value) for name, value in found["hyperparameters"].items()}
    for key, value in zip(found["answers"], found["values"], strict=True):
        assert queried(find("ademamix_sgd"), h, key) == Fraction(value)


@optimizer(positions="w", memories={"m": 0.5}, returns="w", lr=step_size(), beta=momentum())
def begun(s, t, h):
    """Heavy ball that moves before the first gradient."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


def test_a_memory_may_start_at_a_half():
    document = json.loads(json.dumps(equivalent(begun, find("sgd"), budget=60).certificate))
    verified = verify_certificate(document, {"begun": begun, "sgd": find("sgd")}.__getitem__)
    assert document["kind"] == "refutation"
    assert verified.holds, verified.reason


@pytest.mark.parametrize("name", ["lion", "mars_clipped", "adana", "ema", "schedule_free_accsgd"])
def test_a_derivation_has_a_certificate(name):
    claim = known()[name].certificate()
    document = json.loads(json.dumps(of_equivalence(claim, check(claim))))
    rules = {str(rule): rule for rule in (claim.source, claim.target)}
    assert verify_certificate(document, rules.__getitem__).holds
    forged = changes(document, ("returned",), not claim.returned)
    assert not verify_certificate(forged, rules.__getitem__).holds


@optimizer(positions="w", memories="m", returns="w")
def one(s, t, h):
    g = yield s.w
    return dict(w=s.w - h.lr * g, m=h.beta * s.m + g)


@optimizer(positions="w", memories="m", returns="w")
def other(s, t, h):
    g = yield s.w
    return dict(w=s.w - h.lr * g, m=h.beta * s.m - g)


def test_programs_that_differ_have_other_hashes():
    assert program_hash(one) == program_hash(one)
    assert program_hash(one) != program_hash(other)


# -- rules that differ in less than linear parts show --


@optimizer(positions="w", memories="m v", returns="w", lr=positive(), beta=momentum())
def rooted(s, t, h):
    """Along the gradient, and the momentum over a root."""
    g = yield s.w
    m, v = h.beta * s.m + g, s.v + g * g
    return dict(w=s.w - h.lr * g - h.lr * (m / sqrt(v)), m=m, v=v)


@optimizer(positions="w", memories="m v", returns="w", p_1=positive(), beta=momentum(), k=positive())
def misnamed(s, t, h):
    """`rooted` at k = 1, its step size named like what is sought at a step."""
    g = yield s.w
    m, v = h.beta * s.m + g, s.v + h.k * g * g
    return dict(w=s.w - h.p_1 * g - h.p_1 * (m / sqrt(v)), m=m, v=v)


@optimizer(positions="w", memories="m v", returns="w", lr=positive(), beta=momentum())
def divided_and_multiplied(s, t, h):
    """Times v over its root: two given sequences."""
    g = yield s.w
    m, v = h.beta * s.m + g, s.v + g * g
    return dict(w=s.w - h.lr * (m / sqrt(v) * v), m=m, v=v)


@optimizer(positions="w", memories="m v", returns="w", lr=positive(), beta=momentum())
def multiplied(s, t, h):
    """Times the root: one given sequence."""
    g = yield s.w
    m, v = h.beta * s.m + g, s.v + g * g
    return dict(w=s.w - h.lr * (m * sqrt(v)), m=m, v=v)


@optimizer(positions="w", returns="w", lr=positive())
def first_of_two(s, t, h):
    """Two gradients of one sample at one point, of which the first is followed."""
    g, _ = yield s.w, s.w
    return dict(w=s.w - h.lr * g)


@optimizer(positions="w", returns="w", lr=positive())
def second_of_two(s, t, h):
    """Two gradients of one sample at one point, of which the second is followed."""
    _, k = yield s.w, s.w
    return dict(w=s.w - h.lr * k)


@optimizer(positions="w v", returns="w", lr=positive(), gamma=weight())
def corrected(s, t, h):
    """SGD that adds what the gradient has changed by: nothing at first, where both points are one."""
    g, k = yield s.w, s.v
    return dict(w=s.w - h.lr * (g + h.gamma * (g - k)), v=s.w)


@optimizer(positions="w v", returns="w", lr=positive(), gamma=weight())
def corrected_later(s, t, h):
    """`corrected`, which says so."""
    g, k = yield s.w, s.v
    return dict(w=s.w - h.lr * where(first(t), g, g + h.gamma * (g - k)), v=s.w)


@optimizer(positions="w v", returns="w", lr=positive(), gamma=weight())
def overcorrected(s, t, h):
    """`corrected` by twice as much."""
    g, k = yield s.w, s.v
    return dict(w=s.w - h.lr * (g + 2 * (g - k)), v=s.w)


SAME = [
    (rooted, misnamed),
    (divided_and_multiplied, multiplied),
    (multiplied, divided_and_multiplied),
    (first_of_two, second_of_two),
    (corrected, corrected_later),
    (corrected_later, corrected),
]


@pytest.mark.parametrize(("a", "b"), SAME, ids=str)
@pytest.mark.long
def test_what_is_the_same_rule_is_not_refuted(a, b):
    assert equivalent(a, b, budget=2).status != "refuted"


@pytest.mark.parametrize("b", [misnamed, find("nesterov")], ids=str)
def test_unknowns_of_two_kinds_never_share_a_name(b):
    clock, found, question = Clock(2), None, Question(rooted, b)
    asked = Comparison(question, clock)
    claim = Refuting(question, asked.a.part, asked.open, tuple(asked.unknown), True, (None, None))
    with suppress(OutOfTime), clock.enforced():
        found = refute(claim, clock)
    assert (found is None) == (b is misnamed)


def verified(answer):
    rules = {str(rule): rule for rule in (answer.a, answer.b)}
    return verify_certificate(json.loads(json.dumps(answer.certificate)), rules.__getitem__)


@pytest.mark.parametrize(("a", "b"), [(corrected, overcorrected), (corrected, first_of_two)], ids=str)
def test_gradients_at_different_points_are_told_apart(a, b):
    answer = equivalent(a, b, budget=60)
    assert answer.status == "refuted"
    assert verified(answer).holds
    seen = [key for key in answer.counterexample["answers"] if key["impulse"] == 0]
    assert not any(key["gradient"] for key in seen)  # at first there is one


def refutation(a, b, numbers, answers, values, cofactors, varying=(), set_b=None):
    """A document that might be a refutation, of rules without given sequences."""
    pair = Pair(a, b, {}, set_b or {}, varying=tuple(varying))
    found = Identity(
        hyperparameters=numbers,
        gradients=[],
        alike=[],
        unknown="constant",
        relaxed=[],
        answers=[Response(*place) for place in answers],
        values=values,
        cofactors=cofactors,
        left="1",
    )
    return json.loads(json.dumps(of_refutation(pair, found, seen(pair, found) or Shown({}, []))))


RATES = ([(1, 0, 0, 0, 0), (2, 0, 1, 0, 0)], ["-1", "-2"], ["-1", "1"])


def test_gradients_of_one_sample_at_one_point_refute_nothing():
    rules = {str(rule): rule for rule in (first_of_two, second_of_two)}
    forged = refutation(first_of_two, second_of_two, {"lr": "1"}, [(1, 0, 0, 1, 0)], ["0"], ["-1/lr"])
    with suppress(InputError):  # no answer contains lr
        assert not verify_certificate(forged, rules.__getitem__).holds


def test_what_varies_in_a_refutation_is_said():
    sgd = find("sgd")
    for numbers in (["1", "2", "3"], "1 + t"):
        with pytest.raises(InputError):
            verify_certificate(refutation(sgd, sgd, {"lr": numbers}, *RATES))
    told = verify_certificate(refutation(sgd, sgd, {"lr": ["1", "2", "3"]}, *RATES, varying=["lr"]))
    assert told.holds
    assert "lr is any function of t" in told.reason
    assert "those of sgd are constant" in told.reason
    known = refutation(sgd, sgd, {"lr": "1"}, [(1, 0, 0, 0, 0)], ["-1"], ["-1/4"], set_b={"lr": "5"})
    told = verify_certificate(known)
    assert told.holds
    assert "lr = 5 in sgd" in told.reason


@optimizer(positions="w", memories="v", returns="w", lr=positive(), k=positive())
def divided(s, t, h):
    """Divides by k times the root."""
    g = yield s.w
    v = s.v + g * g
    return dict(w=s.w - h.lr * (g / (h.k * sqrt(v))), v=v)


@optimizer(positions="w", memories="v", returns="w", k=positive())
def divided_alone(s, t, h):
    """Divides by k times the root, and has no other step size."""
    g = yield s.w
    v = s.v + g * g
    return dict(w=s.w - g / (h.k * sqrt(v)), v=v)


def test_parameters_of_a_formula_may_differ():
    assert equivalent(divided, divided_alone, budget=60).status != "refuted"  # a step of lr over k is one over k/lr
    known = equivalent(divided, divided_alone, set_a=dict(k=1), set_b=dict(k=2), budget=60)
    assert known.status == "refuted"  # for most lr
    assert verified(known).holds


@optimizer(positions="w", memories="m n", returns="w", lr=positive(), b=momentum(), c=momentum(), decay=step_size())
def signed_twice(s, t, h):
    """The sign of momentum of momentum, with weight decay."""
    g = yield s.w
    m = h.b * s.m + g
    n = h.c * s.n + m
    return dict(w=s.w - h.lr * (sign(n + g) + h.decay * s.w), m=m, n=n)


@optimizer(positions="w", memories="m", returns="w", lr=positive(), b=momentum())
def signed(s, t, h):
    """The sign of momentum."""
    g = yield s.w
    m = h.b * s.m + g
    return dict(w=s.w - h.lr * sign(m), m=m)


def test_rules_that_apply_signs_are_told_apart_by_where_they_start_alone():
    answer = equivalent(signed_twice, signed, budget=60)
    assert answer.status == "refuted"
    assert all(key["impulse"] < 0 for key in answer.counterexample["answers"])
    assert verified(answer).holds


@pytest.mark.parametrize("rate", ["sqrt(2)", "exp(1)", np.float32(0.1), np.int64(2), "1/3", 0.1], ids=repr)
@pytest.mark.parametrize("b", ["nesterov", "heavy_ball"])
def test_what_is_given_is_a_number_that_the_verifier_reads(rate, b):
    answer = equivalent(find("heavy_ball"), find(b), set_a=dict(lr=rate), budget=60)
    assert answer.status == ("equivalent" if b == "heavy_ball" else "refuted")
    assert verified(answer).holds


PAIRS = [
    ("agnes", "aggmo"),
    ("sgd", "qhadam"),
    ("heavy_ball", "ademamix"),
    ("adana", "laprop"),
    ("mars", "adamw"),
    ("lion", "signum"),
    ("nadam", "adamw"),
    ("lookahead(sgd)", "heavy_ball"),
    ("schedule_free", "nesterov"),
    ("mass", "heavy_ball"),
    ("accsgd", "nesterov"),
]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_every_certificate_that_is_handed_out_holds(a, b):
    answer = equivalent(find(a), find(b), budget=20)
    assert answer.status == "refuted"
    assert verified(answer).holds
    forged = json.loads(json.dumps(answer.certificate))
    forged["counterexample"]["values"][0] += "+1"
    assert not verified(dataclasses.replace(answer, certificate=forged)).holds


# -- what certificates are made with --


def entry(chance, symbols):
    """A polynomial with numeric factors, now and then over another one."""
    value = sympy.Integer(chance.randint(-2, 2))
    for _ in range(chance.randint(0, 2)):
        value = value * (chance.choice(symbols) + chance.randint(-1, 1)) + sympy.Rational(chance.randint(-3, 3), 3)
    return value / (chance.choice(symbols) + chance.randint(1, 3)) if chance.random() < 0.2 else value


@pytest.mark.parametrize("seed", range(9))
def test_determinants_are_determinants(seed):
    chance, symbols = random.Random(f"determinant {seed}"), sympy.symbols("x y")
    size = 1 + seed % 3
    matrix = sympy.Matrix(size, size, lambda *_: entry(chance, symbols))
    assert sympy.cancel(determinant(matrix) - matrix.det(method="berkowitz")) == 0
    if size > 1:
        singular = matrix.copy()
        singular[1, :] = singular[0, :] * (symbols[0] / 2 + 1)
        assert determinant(singular) == 0


def test_the_same_determinant_times_a_number_is_another():
    x, y = sympy.symbols("x y")
    matrix = sympy.Matrix([[x / 2, 1], [1, y / 3]])
    assert determinant(2 * matrix) == determinant(matrix) * 4 != 0
