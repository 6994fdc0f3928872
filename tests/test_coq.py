"""Coq files of equivalences: what they assume, and that the kernel takes what is true and nothing else."""

import json
import re
import shutil
import sys
from dataclasses import replace

import pytest

from accelsim import cli
from accelsim.elementary import first, sqrt, where
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.rule import optimizer
from accelsim.symbolic import verify
from accelsim.symbolic.check.equivalence import Equivalence
from accelsim.symbolic.check.memories import Memories
from accelsim.symbolic.coq import coqc as coq

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
    monkeypatch.setattr(coq, "_text", lambda claim: admitted.partition("Coercion")[2].partition("\n")[2])
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
