"""Coq files of equivalences: what they assume, and that the kernel takes what is true and nothing else."""

import json
import re
import shutil
import sys
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
import sympy
from easy_pairs import easy_pair

from accelsim import cli
from accelsim.elementary import first, sqrt, where
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.program import Tape
from accelsim.rule import optimizer
from accelsim.symbolic import verify
from accelsim.symbolic.certify.documents import of_equivalence
from accelsim.symbolic.check.equivalence import Equivalence, check
from accelsim.symbolic.check.memories import Memories
from accelsim.symbolic.coq import certificate
from accelsim.symbolic.coq import coqc as coq
from accelsim.symbolic.coq.certificate import check_file
from accelsim.symbolic.coq.divisors import Divisors, symbolic
from accelsim.symbolic.coq.memories import TwoMemories
from accelsim.symbolic.coq.orbit import Orbit, Recursion, ever_hold
from accelsim.symbolic.find.finder import equivalent

CLAIMS = {name: module.certificate() for name, module in verify.known().items()}
SCHEDULE_FREE = CLAIMS["schedule_free"]
compiled = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed")


def itself(rule, **hyperparameters):
    """The claim that a rule is itself."""
    return Equivalence(rule, rule, hyperparameters, {state: state for state in rule.states}, returned=True)


def scheduled(lr, **more):
    """Schedule-Free's claim with a known step size."""
    return replace(SCHEDULE_FREE, varying=("beta",), given=dict(lr=lr, **more))


@optimizer(positions="S", memories="forall n", returns="S")
def awkward(s, t, h):
    """Names that mean something else in Coq, powers of all kinds, a first step of its own, two gradients."""
    g, g2 = yield s.S, s.S - h.w0 * s.forall
    forall = s.forall * h.at ** (t + 1) + where(first(t), g2, g / (t + 1) ** h.R)
    n = h.at**2 * s.n / sqrt(t + 2) + forall
    return dict(S=s.S - n / 0.7, forall=forall - n, n=n * (-h.w0 - 1.5))


AWKWARD = itself(awkward, w0="w0", at="at", R="R")


@pytest.mark.parametrize("name", CLAIMS)
def test_every_derivation_has_a_file_with_its_theorems_and_no_way_around_them(name):
    claim = CLAIMS[name]
    text = coq.export(claim)
    theorems = ["two_memories"]
    if isinstance(claim, Equivalence):
        theorems = ["same_queries", "same_returned"] if claim.returned else ["same_queries"]
    assert re.findall(r"Theorem (\w+)", text) == theorems
    assert re.findall(r"^Print Assumptions (\w+)\.", text, flags=re.MULTILINE) == theorems
    assert not re.search(r"\b(Admitted|admit|Axiom|Axioms|Parameter|Conjecture|Abort|bypass_check)\b", text)
    for said in re.findall(r"Hypothesis \w+ : (.*)\.", text.partition("Section Claim.")[2]):
        assert re.fullmatch(r"(forall t : (Z|nat), )?(.* <> 0|0 < .*)", said)


def test_schedule_free_assumes_of_its_schedules_only_that_the_step_size_is_not_zero():
    # A weight c = 1, as at the first released step, is not excluded.
    said = re.findall(r"Hypothesis \w+ : (.*)\.", coq.export(SCHEDULE_FREE).partition("Section Claim.")[2])
    assert said == ["forall t : Z, lr t <> 0"]


def test_the_rule_is_written_as_it_is_printed():
    text = coq.export(SCHEDULE_FREE)
    assert "beta h * x s + (1 - beta h) * z s." in text
    assert "let z' := z s - lr h * 1 * g in\n    State (x s + c h * (z' - x s)) z'." in text


def test_what_the_step_alone_says_is_no_hypothesis():
    claim = itself(find("sgd"), lr="lr/(t+1)*(t+1)")
    assert "Hypothesis" not in coq.export(claim).partition("Section Claim.")[2]


def test_names_of_coq_are_left_to_coq():
    text = coq.export(AWKWARD)
    assert "Record state := State { S_ : R; forall_ : R; n : R }." in text
    assert set(re.search(r"Variables (.*) : R\.", text)[1].split()) == {"R_", "w0_", "at_"}


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (replace(SCHEDULE_FREE, map={**SCHEDULE_FREE.map, "alpha": "lr(0)"}), "no value at a step"),
        (replace(SCHEDULE_FREE, map={**SCHEDULE_FREE.map, "alpha": "lr(t)/(beta(t) - beta(t))"}), "which is zero"),
        (replace(SCHEDULE_FREE, map={"beta": "0"}), "does not say what"),
        (itself(find("mars_exact_sgd")), "does not say what"),
        (Memories(find("heavy_ball"), 2), "minor of heavy_ball at the first step is zero"),
        (Memories(find("aggmo"), 3), "only two memories"),
    ],
)
def test_what_cannot_be_exported_is_said_so(claim, message):
    with pytest.raises(InputError, match=message):
        coq.export(claim)


@compiled
def test_the_kernel_takes_what_is_true():
    # All derivations are compiled by `make coq`; here the kinds of them, and what none of them has.
    quick = ("schedule_free", "accsgd", "laprop", "decoupled_decay", "aggmo_memories")
    claims = {name: CLAIMS[name] for name in quick}
    assert {name: proof.status for name, proof in coq.check(claims).items()} == dict.fromkeys(claims, "checked")


@compiled
def test_roots_exponentials_and_steps_of_their_own_are_taken_too():
    claims = {"awkward": AWKWARD, "root": scheduled("1/sqrt(t+2)"), "power": scheduled("0.9**t")}
    proofs = coq.check(claims)
    assert {name: (proof.status, proof.message) for name, proof in proofs.items()} == dict.fromkeys(
        claims, ("checked", None)
    )
    assert set(proofs["power"].axioms) == coq.REALS
    assert coq.REALS < set(proofs["root"].axioms) <= coq.REALS | coq.ANALYSIS


@compiled
def test_the_kernel_takes_no_corrupted_certificate():
    transform = {**SCHEDULE_FREE.transform, "z": SCHEDULE_FREE.transform["z"].replace("beta(t)", "beta(t-1)")}
    claims = {
        "map": verify.known()["schedule_free"].near_miss(),
        "transform": replace(SCHEDULE_FREE, transform=transform),
        "direction": replace(CLAIMS["qhm"], transform=dict(w="w", m="m/(1 - beta(t-1))")),
        "returned": replace(SCHEDULE_FREE, returned=True),
        "start": replace(itself(find("heavy_ball"), lr="lr", beta="beta"), transform=dict(w="w + m", m="m")),
    }
    proofs = coq.check(claims)
    assert {name: proof.status for name, proof in proofs.items()} == dict.fromkeys(claims, "failed")
    assert proofs["map"].message.startswith("steps: ")
    assert proofs["returned"].message.startswith("returned: ")
    assert all("not shown:" in proof.message for proof in proofs.values())


@compiled
def test_a_first_step_of_its_own_is_asked_of_the_start_alone():
    forgetting = Equivalence(
        find("heavy_ball"),
        find("dana"),
        map=dict(delta="where(first(t), 1, t*(1 - beta)/beta)", g1="1", g2="0", g3="lr"),
        transform=dict(w="w", y="m"),
        returned=True,
    )
    later = replace(forgetting, map={**forgetting.map, "delta": "where(first(t), 1, t*(1 - beta))"})
    begun = replace(forgetting, map={**forgetting.map, "g1": "where(first(t), 2, 1)"})
    proofs = coq.check(dict(true=forgetting, later=later, begun=begun))
    assert {name: proof.status for name, proof in proofs.items()} == dict(
        true="checked", later="failed", begun="failed"
    )
    assert proofs["later"].message.startswith("steps: ")
    assert proofs["begun"].message.startswith("steps_first: ")


@compiled
def test_what_is_admitted_is_not_checked(monkeypatch):
    text = coq.export(SCHEDULE_FREE)
    proof = text.index("Lemma steps t s (g")
    admitted = text[:proof] + re.sub(r"Proof\..*?Qed\.", "Admitted.", text[proof:], count=1, flags=re.DOTALL)
    text = admitted.partition("Coercion")[2].partition("\n")[2]
    monkeypatch.setattr(coq, "exported", lambda claim: coq.Exported((text,)))
    monkeypatch.setattr(coq, "_lemma", lambda: "Require Export Reals ZArith Lra Nsatz. Coercion Z.of_nat : nat >-> Z.")
    (found,) = coq.check({"schedule_free": SCHEDULE_FREE}).values()
    assert found.status == "failed"
    assert "rests on steps" in found.message


def test_a_false_proof_is_an_unexpected_verdict_and_an_absent_one_is_not(monkeypatch, capsys):
    for status, code in (("failed", 1), ("unsupported", 1), ("absent", 0), ("checked", 0)):
        proof = coq.Proof(status, message="why")
        monkeypatch.setattr(coq, "check", lambda claims, proof=proof: dict.fromkeys(claims, proof))
        monkeypatch.setattr(sys, "argv", ["accelsim", "verify", "qhm", "--coq", "--json"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        (verdict,) = json.loads(capsys.readouterr().out)
        assert (verdict["coq"], verdict["coq_message"], stop.value.code) == (status, "why", code)


def test_without_coqc_a_proof_is_absent(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (verdict,) = verify.verify(["qhm"], coq=True)
    assert (verdict["coq"], verdict["coq_axioms"], verdict["holds"]) == ("absent", [], True)


# -- certificates from anybody ----------------------------------------------------------------------------------------


HOSTILE = r'''
from accelsim import optimizer, real

def hostile(s, t, h):
    """A comment that ends: *) Axiom broken : False. (* and begins again " too."""
    g = yield s.w
    m = h.nonzero0 * s.Axiom + g
    return {"w": s.w - h.Qed * m - h.β * g, "Axiom": m}

hostile = optimizer(positions="w", memories="Axiom", returns="w", Qed=real(), nonzero0=real(), β=real())(hostile)
'''


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The claim that a rule whose names and words are Coq's is itself, its certificate, and the file with the rule."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "rules.py").write_text(HOSTILE)
    rule = find(f"{folder / 'rules.py'}:hostile")
    claim = itself(rule, Qed="Qed", nonzero0="nonzero0", **{"β": "β/Qed*Qed"})
    document = json.loads(json.dumps(of_equivalence(claim, check(claim))))
    path = folder / "certificate.json"
    path.write_text(json.dumps(document))
    return claim, path, folder / "rules.py"


def without_comments(text):
    """Coq text without its comments, which may stand within one another."""
    left, depth = "", 0
    for part in re.split(r"(\(\*|\*\))", text):
        depth += {"(*": 1, "*)": -1}.get(part, 0)
        left += part if depth == 0 and part not in ("(*", "*)") else ""
    return left


def test_words_and_names_from_anybody_are_no_commands(hostile):
    claim, _, _ = hostile
    text = without_comments(coq.export(claim))
    assert "broken" not in text
    assert not re.search(r"\b(Axiom|Admitted)\b(?!_)", text)
    names = re.search(r"Variables (.*) : R\.", text)[1].split()
    assert len(set(names)) == 3
    assert not {"_", "nonzero0", "Qed"} & {*names}


@pytest.mark.parametrize("text", ["lr) <> 0. Axiom x : False. (", "lr *) Admitted", 'lr "', "lr; lr", "\u2200 lr"])
def test_a_certificates_texts_are_no_coq(text, tmp_path):
    (tmp_path / "it.json").write_text(json.dumps({**CERTIFICATE, "map": {**CERTIFICATE["map"], "eta": text}}))
    with pytest.raises(InputError, match="cannot read"):
        check_file(tmp_path / "it.json")


def certified(name):
    claim = CLAIMS[name]
    return json.loads(json.dumps(of_equivalence(claim, check(claim))))


CERTIFICATE = certified("qhm")


def verified(monkeypatch, capsys, path, *more):
    """The command's document and exit code."""
    monkeypatch.setattr(sys, "argv", ["accelsim", "verify", "--certificate", str(path), "--coq", "--json", *more])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return json.loads(capsys.readouterr().out), stop.value.code


@compiled
def test_a_certificate_is_checked_with_the_rules_of_ones_own(hostile, monkeypatch, capsys):
    _, path, rules = hostile
    found, code = verified(monkeypatch, capsys, path, "--rules", str(rules))
    assert (found["holds"], found["coq"], found["coq_message"], code) == (True, "checked", None, 0)
    assert set(found["coq_axioms"]) <= coq.REALS


@compiled
def test_what_is_checked_is_told_with_what_it_is_up_to(tmp_path, monkeypatch, capsys):
    name = next(name for name, claim in CLAIMS.items() if getattr(claim, "up_to", ()) == ("sign",))
    (tmp_path / "it.json").write_text(json.dumps(certified(name)))
    found, code = verified(monkeypatch, capsys, tmp_path / "it.json")
    assert (found["coq"], code) == ("checked up to a sign", 0)


def test_a_spoilt_certificate_is_not_given_to_coq(tmp_path, monkeypatch, capsys):
    mapped = CERTIFICATE["map"]
    spoilt = {**CERTIFICATE, "map": {**mapped, "eta": f"2*({mapped['eta']})"}}
    (tmp_path / "it.json").write_text(json.dumps(spoilt))
    found, code = verified(monkeypatch, capsys, tmp_path / "it.json")
    assert (found["holds"], found["coq"], code) == (False, "unsupported", 1)


def test_of_what_is_not_exported_it_is_said_that_coq_checked_nothing(tmp_path, monkeypatch, capsys):
    refuted, related = equivalent(find("sgd"), find("heavy_ball")), equivalent(*easy_pair("folded", 1))
    known = {rule.name: rule for rule in (related.a, related.b)}
    told = certificate.written(json.loads(json.dumps(related.certificate)), known.__getitem__)
    assert told["holds"]
    assert "a relation of states of both rules is not exported" in told["message"]
    (tmp_path / "it.json").write_text(json.dumps(refuted.certificate))
    found, code = verified(monkeypatch, capsys, tmp_path / "it.json")
    assert (found["holds"], found["coq"], code) == (True, "unsupported", 1)
    assert "a refutation is not exported" in found["coq_message"]


def test_coq_has_a_time_limit(monkeypatch, tmp_path):
    (tmp_path / "coqc").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "coqc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (found,) = coq.compiled({"it": coq.Exported(("",))}, seconds=0.3).values()
    assert (found.status, found.message) == ("failed", "coqc did not answer in 0.3 s")


# -- what the theorems do not say -------------------------------------------------------------------------------------


def test_it_is_said_what_the_theorems_do_not_say():
    assert coq.exported(SCHEDULE_FREE).unchecked == ()
    signed = itself(find("signum"), lr="lr", beta="beta")
    assert coq.exported(signed).unchecked == (
        "that both rules apply the same signs at the same places: they are taken as the identity",
    )
    adam = find("laprop")
    same = itself(adam, **{name: name for name in adam.program().reads})
    assert coq.exported(same).unchecked == ("that p(t) of laprop is one formula in both rules, and positive",)


def test_a_preconditioner_that_is_another_formula_is_taken_as_the_claim_says():
    laprop = find("laprop")
    names = {name: name for name in laprop.program().reads}
    claim = replace(itself(laprop, **{**names, "lr": "lr/2"}), preconditioners={"p": "2*p(t)"}, returned=False)
    assert "that p(t) of laprop is 2*p(t) of laprop, and positive" in coq.exported(claim).unchecked
    assert re.search(r"Definition target [^.]*(?:\.\w[^.]*)*2 \* p t", coq.export(claim))


# -- parts -------------------------------------------------------------------------------------------------------------

TAPE = Tape()
STEP = TAPE.node("step", kind="uniform")


def sequence(name, k=0):
    return TAPE.node("sequence", value=(name, k), kind="uniform")


def number(name):
    return TAPE.node("hyperparameter", value=name, kind="uniform")


def divisors(*nodes, given=()):
    return Divisors((), {}, [each for node in nodes for each in (*node.args, node)], set(given))


def test_divisors_are_split_into_factors_and_what_the_step_alone_says_is_none():
    a, b = number("a"), number("b")
    found = divisors(1 / (a * a - b * b), 1 / (STEP + 1)).found
    assert {sympy.sympify(text) ** 2 for text in found} == {sympy.sympify(f"(a {sign} b)**2") for sign in "+-"}
    assert divisors(a * b).found == {}


def test_a_divisor_is_shifted_to_the_step_where_its_latest_value_is_at_t():
    found = divisors(1 / (sequence("s", 2) - sequence("s", 1))).found
    ((text, divisor),) = found.items()
    s = sympy.Function("s")
    assert sympy.sympify(text, {"s": s}) in {x * (s("t") - s(sympy.Symbol("t") - 1)) for x in (1, -1)}
    assert (divisor.steps, divisor.needed) == ("Z", {2, 3})


def test_given_sequences_are_positive_and_zero_is_no_divisor():
    found = divisors(1 / sequence("p"), given={"p"})
    assert (found.found, found.positive) == ({}, {"p": {0, 1}})
    assert divisors(1 / sequence("p")).found
    a = number("a")
    with pytest.raises(InputError, match="zero"):
        divisors(1 / (a - a))


def test_a_minor_that_tells_two_memories_from_one_vanishes_where_they_decay_alike():
    rule = find("aggmo")
    minor = symbolic(TwoMemories(Memories(rule, 2)).minor)
    names = sorted(map(str, minor.free_symbols))
    decays = [name for name in names if name.startswith("beta")]
    assert len(decays) == 2
    values = {sympy.Symbol(name, real=True): sympy.Rational(1, 2 + i) for i, name in enumerate(names)}
    assert minor.subs(values) != 0
    alike = {**values, sympy.Symbol(decays[0], real=True): values[sympy.Symbol(decays[1], real=True)]}
    assert minor.subs(alike) == 0


def test_a_sequence_follows_its_recursion_and_a_divisor_may_never_be_free():
    one = TAPE.lift(1)
    halved = Recursion("s", TAPE.lift(0), sequence("s") / 2 + 1)  # 0, 1, 3/2, 7/4, ...
    double = Recursion("d", None, 2 * sequence("s"))
    replay: Any = SimpleNamespace(names={"x"}, at=lambda name, t: Fraction(t + 5))
    orbit = Orbit(replay, {"s": halved, "d": double})
    assert [orbit.at(sequence("s"), t) for t in range(4)] == [0, 1, Fraction(3, 2), Fraction(7, 4)]
    assert orbit.at(sequence("d", 1), 1) == 3
    assert orbit.at(number("x") - sequence("s"), 1) == 5
    assert ever_hold([replay], [halved], [sequence("s") + one])
    assert not ever_hold([replay], [halved], [sequence("s") - one])  # which is zero at t = 1
    assert not ever_hold([], [halved], [])
