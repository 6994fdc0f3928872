"""Certificates hold as they are, and no longer once anything in them is changed."""

import copy
import json
from contextlib import suppress
from fractions import Fraction

import pytest

from accelsim.errors import InputError
from accelsim.optimizer import momentum, optimizer, step, step_size
from accelsim.optimizers import find
from accelsim.symbolic.certificate import FORMAT, of_equivalence, program_hash, verify_certificate
from accelsim.symbolic.equivalence import check
from accelsim.symbolic.finder import equivalent
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
    if kind == "start" and (place == "given" or path[2:] in [("beta1",), ("beta2",), ("eps",)]):
        return "without gradients it multiplies zero"
    if kind == "scale" and path[-1] == "step":
        return "the point stays where the gradient has brought it"
    if kind in ("identity", "given") and place in ("answers", "cofactors"):
        key, value = (found[name][path[2]] for name in ("answers", "values"))
        choices = [dict(lr=Fraction(1, n), beta=Fraction(2, n)) for n in (3, 5)]
        both = {queried(find("nesterov"), h, key) for h in choices} == {Fraction(value)}
        return both and "both rules give this answer, whatever their hyperparameters: it multiplies zero"
    return False


@pytest.mark.parametrize("kind", FOUND)
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
    ("identity", ("counterexample", "cofactors", 0), "lr_0(1)"),
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
    start = certificates["start"]
    for value in ("-1", "0"):
        with pytest.raises(InputError, match="not positive"):
            verify_certificate(changes(start, ("counterexample", "given", "p", 0, 0), value))


def _at_rate(document, rate):
    """The refutation of SGD at another step size: what it answers is proportional to it."""
    made = copy.deepcopy(document)
    found = made["counterexample"]
    was = Fraction(found["hyperparameters"]["lr"])
    found["hyperparameters"]["lr"] = str(rate)
    found["values"] = [str(Fraction(value) * rate / was) for value in found["values"]]
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
    found["values"], found["cofactors"] = [f"-{rate}"], [f"1/({rate} - lr_0*(1 + beta_0))"]
    verified = verify_certificate(document)
    assert not verified.holds
    assert "might be zero" in verified.reason


def test_texts_in_a_certificate_are_never_run(certificates):
    document = copy.deepcopy(certificates["identity"])
    document["counterexample"]["cofactors"][0] = "__import__('os').getcwd()"
    with pytest.raises(InputError):
        verify_certificate(document)


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
