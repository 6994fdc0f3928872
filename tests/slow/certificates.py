"""Certificates from anybody: mutants end in a verdict or an InputError, none holds that says what is not so.

What a mutant that still holds says is tried out by runs of the rules themselves, in fractions, without the tracer.
"""

import copy
import json
import os
import random
import signal
import sys
from fractions import Fraction

import pytest

from accelsim.errors import InputError
from accelsim.language import evaluated, inexact
from accelsim.optimizers import find
from accelsim.rule import step
from accelsim.schedules import Recurrence
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.find.finder import equivalent

MUTANTS = 60  # of each certificate
SECONDS = 100  # that a check may take
STEPS = 6
ASKED = {
    "equivalence": ("qhm", "accelerated_sgd", {}),
    "schedules": ("schedule_free", "accelerated_sgd", dict(set_a={"lr": 0.1})),
    "warm-up": ("schedule_free", "accelerated_sgd", dict(set_a={"warmup_steps": 3, "c": "1/(t+1)"})),
    "cosine": ("heavy_ball", "accelerated_sgd", dict(set_a={"lr": "0.1*(2 + cos(t))"})),
    "backwards": ("nesterov", "accelerated_sgd", dict(returned=True)),
    "minor": ("ademamix_sgd", "heavy_ball", dict(set_a={"alpha": "1/3"})),
    "unless": ("sgd", "heavy_ball", {}),
    "identity": ("heavy_ball", "nesterov", {}),
    "irrational": ("heavy_ball", "nesterov", dict(set_a={"lr": "2**(1/3)"})),
    "late": ("sgd", "sgd", dict(set_a={"lr": "min(30, t+1)"}, set_b={"lr": "t+1"})),
    "itself": ("adamw", "laprop", dict(set_a={"weight_decay": 0})),
    "scale": ("sgd", "signum", {}),
    "apart": ("heavy_ball", "sgd", dict(set_a={"lr": "1", "beta": "1/2"}, set_b={"lr": "1"})),
}
NUMBERS = [0, -1, 1, 7, 10**6, 10**18, True, None, 1.5, float("inf")]
TEXTS = ["0*9**9**9", "(" * 10**5, "1/0", "nan", "lr[3]", "", "\x00", "é", "1e999999", "((a**99)**99)**99", "t" * 10**6]
TEXTS += ["__import__('os').system('touch touched')", "exp(exp(exp(99)))", "lr(lr(lr(t)))", "where(first(t), 1, 0)"]
EDITS = "0123456789+-*/()t., lr"


def places(part, path=()):
    """Every place in a document."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, below in items:
        yield (*path, key)
        yield from places(below, (*path, key))


def at(document, path):
    for key in path:
        document = document[key]
    return document


def mutant(document, others, chance, payload):
    """A document in which one or two places are other than they were."""
    made = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 2))):
        path = chance.choice(list(places(made)))
        within, key = at(made, path[:-1]), path[-1]
        leaf = within[key]
        how = chance.choice(("edit", "edit", "edit", "hostile", "drop", "double", "swap", "cross", "file"))
        if how == "edit" and isinstance(leaf, str):
            cut = chance.randrange(len(leaf) + 1)
            within[key] = leaf[:cut] + chance.choice(EDITS) + leaf[cut + chance.choice((0, 1)) :]
        elif how == "edit" and type(leaf) is int:
            within[key] = leaf + chance.choice((-1, 1))
        elif how == "drop":
            del within[key]
        elif how == "double" and isinstance(within, list):
            within.append(copy.deepcopy(leaf))
        elif how == "swap":
            other = at(made, chance.choice(list(places(made))))
            within[key] = copy.deepcopy(other)
        elif how == "cross":
            other = chance.choice(others)
            place = [p for p in places(other) if p[-1] == key]
            within[key] = copy.deepcopy(at(other, chance.choice(place))) if place else leaf
        elif how == "file":
            end = chance.choice([end for end in ("source", "target", "a", "b") if end in made] or [None])
            if end and isinstance(made[end], dict):
                made[end]["name"] = chance.choice(("{}:rule", "tail_average({}:rule)", "{}")).format(payload)
        else:
            deep = json.loads("[" * 900 + "]" * 900)
            within[key] = chance.choice([*NUMBERS, *TEXTS, deep, {}, []])
    return made


class Watch:
    """What is opened for writing, run or connected to while a check runs."""

    def __init__(self):
        self.on, self.seen = False, []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if not self.on:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if isinstance(flags, int) else "r" not in str(mode)
            if "payload" in str(path) or (writes and "__pycache__" not in str(path)):
                self.seen.append((event, path))
        elif event in ("os.system", "subprocess.Popen", "os.remove", "os.rename", "socket.connect", "os.exec"):
            self.seen.append((event, arguments))


WATCH = Watch()


def checked(document):
    """Whether a mutant holds, None where it is refused; anything else that it does is an error."""

    def late(*_):
        raise AssertionError(f"no verdict within {SECONDS} s")

    handler = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    WATCH.on = True
    try:
        return verify_certificate(document).holds
    except InputError:
        return None
    finally:
        WATCH.on = False
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)


def queries(rule, row, gradients):
    """What a rule queries, in plain numbers, after gradients."""
    state, asked = rule.start(Fraction(1)), []

    def gradient(point):
        asked.append(point)
        return gradients[len(asked) - 1] if len(asked) <= len(gradients) else Fraction(0)

    for t in range(len(gradients)):
        state = step(rule, state, t, row(t), gradient)
    return asked


def same(one, other):
    return all(float(x) == pytest.approx(float(y), rel=1e-9, abs=1e-12) for x, y in zip(one, other, strict=True))


def drawn(rule, chance):
    """Numbers inside a rule's ranges."""
    declared = rule.hyperparameters.items()
    return {k: h.default if h.switch else Fraction(chance.randint(1, 9), 10) for k, h in declared}


def equivalence_is_true(document, chance):
    """Whether the rules query the same at the mapped hyperparameters."""
    source, target = (find(document[end]["name"], files=False) for end in ("source", "target"))
    for _ in range(3):
        plain = drawn(source, chance) | document["source"]["switches"]
        free = {k: [Fraction(chance.randint(1, 9), 10) for _ in range(STEPS + 2)] for k in source.hyperparameters}
        recurrences = {k for k, h in source.hyperparameters.items() if isinstance(h.default, Recurrence)}
        varying = {*document["varying"], *(recurrences - {*document["given"]})}

        def value(name, t, plain=plain, free=free, varying=varying):
            if name in document["given"]:
                return evaluated(document["given"][name], {"t": Fraction(t)}, float)
            return free[name][int(t)] if name in varying else plain[name]

        def names(t, value=value, varying=varying, source=source):
            known = {k: value(k, t) for k in source.hyperparameters if k not in varying | {*document["given"]}}
            moving = varying | {*document["given"]}
            called = {k: lambda t, k=k: value(k, t) if t >= 0 else Fraction(1, 2) for k in moving}
            return known | called | {"t": Fraction(t)}

        gradients = [Fraction(chance.randint(-3, 3)) for _ in range(STEPS)]
        one = queries(source, lambda t, v=value: {k: v(k, t) for k in source.hyperparameters}, gradients)
        mapped = {k: v.default for k, v in target.hyperparameters.items() if v.switch}
        mapped |= document["target"]["switches"]

        def row(t, mapped=mapped, names=names):
            told = {k: evaluated(text, names(t), apply=inexact) for k, text in document["map"].items()}
            return mapped | told

        if not same(one, queries(target, row, gradients)):
            return False
    return True


def refutation_is_true(document, chance):
    """Whether rule a answers so, and the combination of differences is 1 at numbers of rule b."""
    a, b = (find(document[end]["name"], files=False) for end in ("a", "b"))
    found = document["counterexample"]

    def known(name, t):
        text = found["hyperparameters"][name]
        return evaluated(text[t] if isinstance(text, list) else text, {"t": Fraction(t)}, apply=inexact)

    def answer(rule, row, key):
        gradients = [Fraction(int(t == key["impulse"])) for t in range(key["step"] + 1)]
        started = queries(rule, row, gradients)[key["step"]]
        return started - (0 if key["impulse"] < 0 else 1)  # without the start, which a translation moves

    def ours(t):
        return {k: known(k, t) for k in found["hyperparameters"]}

    mine = [answer(a, ours, key) for key in found["answers"]]
    if not same(mine, [evaluated(text, {}, apply=inexact) for text in found["values"]]):
        return False
    if found["kind"] != "identity":
        return True
    last, scheduled = max(key["step"] for key in found["answers"]), found["unknown"] == "one a step"
    numbers = [drawn(b, chance) for _ in range(last + 1)] if scheduled else [drawn(b, chance)] * (last + 1)

    def theirs(t):
        given = {k: evaluated(text, {"t": Fraction(t)}, apply=inexact) for k, text in document["set_b"].items()}
        return numbers[t] | given

    names = {f"{k}[{t}]" if scheduled else k: v for t, row in enumerate(numbers) for k, v in row.items()}
    others = [answer(b, theirs, key) for key in found["answers"]]
    weights = [evaluated(text, names, apply=inexact) for text in found["cofactors"]]
    total = sum(float(w) * (float(y) - float(x)) for w, x, y in zip(weights, mine, others, strict=True))
    return total == pytest.approx(1, rel=1e-6)


JUDGES = dict.fromkeys(("equivalence", "schedules", "warm-up", "cosine", "backwards"), equivalence_is_true)
JUDGES |= dict.fromkeys(("minor", "unless", "identity", "irrational", "late"), refutation_is_true)


@pytest.fixture(scope="module")
def certificates():
    made = {kind: equivalent(find(a), find(b), budget=60, **more).certificate for kind, (a, b, more) in ASKED.items()}
    return json.loads(json.dumps(made))


@pytest.fixture(scope="module")
def payload(tmp_path_factory):
    file = tmp_path_factory.mktemp("rules") / "payload.py"
    file.write_text("raise SystemExit('a certificate had a file run')")
    return file


@pytest.mark.parametrize("kind", ASKED)
def test_a_certificate_holds_and_is_true(certificates, kind):
    assert checked(certificates[kind])
    assert kind not in JUDGES or JUDGES[kind](certificates[kind], random.Random(kind))


@pytest.mark.parametrize("kind", JUDGES)
def test_the_judge_sees_what_is_not_so(certificates, kind):
    document = copy.deepcopy(certificates[kind])
    if "map" in document:
        name = next(iter(document["map"]))
        document["map"][name] = f"2*({document['map'][name]})"
    else:
        document["counterexample"]["values"][0] += " + 1"
    assert not JUDGES[kind](document, random.Random(kind))


@pytest.mark.parametrize("kind", ASKED)
def test_no_mutant_of_a_certificate_does_harm(certificates, payload, kind, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    chance = random.Random(f"mutants of {kind}")
    others = [document for name, document in certificates.items() if name != kind]
    held = 0
    for number in range(MUTANTS):
        document = mutant(certificates[kind], others, chance, payload)
        if checked(document):
            held += 1
            if kind in JUDGES:
                assert JUDGES[kind](document, chance), (number, document)
    assert not WATCH.seen
    assert not list(tmp_path.iterdir())
    assert held < MUTANTS / 2  # most of what is changed is noticed
