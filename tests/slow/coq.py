"""Every derivation through the command line, checked by Coq's kernel; no near miss compiles; rules step as they do."""

import json
import random
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
from conftest import seed_of
from test_uniform_states import KINDS, rules
from told_answers import MOMENTUM

from accelsim import cli, program
from accelsim.optimizers import find, shipped
from accelsim.symbolic import verify
from accelsim.symbolic.certify.documents import claim_of
from accelsim.symbolic.check.equivalence import Equivalence, up_to_words
from accelsim.symbolic.coq import coqc as coq
from accelsim.symbolic.coq.rule import Rule, in_brackets, joined
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.system.linear_part import linear_part
from accelsim.symbolic.system.tableau import tableau


def test_every_derivation_is_checked_by_the_kernel(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["accelsim", "verify", "--coq", "--json"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    verdicts = json.loads(capsys.readouterr().out)
    found = {v["name"]: (v["coq"], v["coq_message"]) for v in verdicts}
    expected = {name: up_to_words(getattr(m.certificate(), "up_to", ())) for name, m in verify.known().items()}
    assert found == {name: (f"checked{words}", None) for name, words in expected.items()}
    assert all(set(v["coq_axioms"]) == coq.REALS for v in verdicts)
    assert stop.value.code == 0


def test_no_near_miss_compiles():
    missed = {name: module.near_miss() for name, module in verify.known().items()}
    expected = {name: "failed" if isinstance(claim, Equivalence) else "unsupported" for name, claim in missed.items()}
    proofs = coq.check(missed)
    assert {name: proof.status for name, proof in proofs.items()} == expected
    for proof in proofs.values():
        assert "not shown:" in proof.message or "is zero" in proof.message


LINEAR = [name for name in shipped() if tableau(find(name)).nonlinearity is None]


def stepped(name, off=0):
    """A module with a rule and the statement that it steps as the rule does in fractions, `off` by so much."""
    optimizer = find(name)
    rule = Rule("Source", linear_part(optimizer), {})
    chance = random.Random(seed_of(name))
    t, number = chance.randint(0, 3), lambda: Fraction(chance.randint(1, 9), 10)
    state = {state: number() for state in optimizer.states}
    h = {name: h.default if h.switch else number() for name, h in optimizer.hyperparameters.items()}
    gradients = [number() for _ in rule.gradients]
    asked = []

    def answer(points):
        asked.extend(points)
        return tuple(gradients[len(asked) - len(points) : len(asked)])

    new = program.run(optimizer.program(), state, Fraction(t), h, answer, program.exact)
    new[optimizer.returns] += off
    arguments = [
        f"(Source.Row {' '.join(in_brackets(h[key[1]]) for key in rule.row)})",
        f"(Source.State {' '.join(map(in_brackets, state.values()))})",
        in_brackets(gradients[0]) if len(gradients) == 1 else joined(map(in_brackets, gradients)),
    ]
    call = f"{t} {' '.join(arguments)}"
    made = " ".join(f"Source.{made}" for made in ("step", "query", *rule.names.values()))
    proof = f"Proof. cbv beta iota zeta delta [{made}]; tidy; agree. Qed."
    return f"""
Module test_{name}.
{rule.text()}
Goal Source.step {call} = Source.State {" ".join(map(in_brackets, new.values()))}. {proof}
Goal Source.query {call} = {in_brackets(asked[0]) if len(asked) == 1 else joined(map(in_brackets, asked))}. {proof}
End test_{name}.
"""


@pytest.mark.parametrize("off", [0, Fraction(1, 1000)])
def test_rules_step_in_coq_as_they_step(monkeypatch, off):
    monkeypatch.setattr(coq, "exported", lambda name: coq.Exported((stepped(name, off),)))
    proofs = coq.check({name: name for name in LINEAR})
    assert len(LINEAR) > 15
    assert {n: p.status for n, p in proofs.items()} == dict.fromkeys(LINEAR, "failed" if off else "checked")


# -- what users ask of their own pairs --------------------------------------------------------------------------------


def claims(a, b, **more):
    """The claim of a found answer, and claims that are not it, in a number of the map or of a sequence."""
    answer = equivalent(a, b, **more)
    claim = claim_of(answer.certificate, answer.a, answer.b)
    other = next(name for name, text in claim.map.items() if text != "0")
    return claim, replace(claim, map={**claim.map, other: f"({claim.map[other]})*8/7"})


PAIRS = {
    "recurrence": lambda: claims(find("schedule_free"), find("accelerated_sgd")),
    "shared": lambda: claims(find("adamw"), find("simplified_ademamix")),
    "given": lambda: claims(find("heavy_ball"), find("accelerated_sgd"), set_a={"lr": "1/(t+1)"}),
    "sign": lambda: claims(find("lion"), find("accelerated_sgd"), set_a={"weight_decay": 0}),
    **{kind: lambda kind=kind: claims(*rules(kind, 0)[:2]) for kind in KINDS if kind != "largest"},
}


def test_found_claims_are_checked_and_spoilt_ones_are_not():
    found = {name: make() for name, make in PAIRS.items()}
    true, spoilt = ({name: each[i] for name, each in found.items()} for i in (0, 1))
    proofs = coq.check(true)
    assert {name: (p.status, p.message) for name, p in proofs.items()} == dict.fromkeys(PAIRS, ("checked", None))
    assert {name: p.status for name, p in coq.check(spoilt).items()} == dict.fromkeys(PAIRS, "failed")


def test_sequences_are_followed_and_wrong_ones_are_not():
    start, following = MOMENTUM.sequences["b"]
    wrong = {
        "true": MOMENTUM,
        "next": replace(MOMENTUM, sequences={"b": (start, following.replace("2 -", "3 -"))}),
        "late": replace(MOMENTUM, sequences={"b": (start, following.replace("c(t)", "c(t+1)"))}),
    }
    found = {name: proof.status for name, proof in coq.check(wrong).items()}
    assert found == dict(true="checked", next="failed", late="unsupported")  # late divides by zero in every run
