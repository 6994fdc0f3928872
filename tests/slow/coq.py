"""Every derivation through the command line, checked by Coq's kernel; no near miss compiles."""

import json
import sys

import pytest

from accelsim import cli
from accelsim.symbolic import coq, verify
from accelsim.symbolic.equivalence import Equivalence


def test_every_derivation_is_checked_by_the_kernel(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["accelsim", "verify", "--coq", "--json"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    verdicts = json.loads(capsys.readouterr().out)
    found = {v["name"]: (v["coq"], v["coq_message"]) for v in verdicts}
    assert found == dict.fromkeys(verify.known(), ("checked", None))
    assert all(set(v["coq_axioms"]) == coq.REALS for v in verdicts)
    assert stop.value.code == 0


def test_no_near_miss_compiles():
    missed = {name: module.near_miss() for name, module in verify.known().items()}
    expected = {name: "failed" if isinstance(claim, Equivalence) else "unsupported" for name, claim in missed.items()}
    proofs = coq.check(missed)
    assert {name: proof.status for name, proof in proofs.items()} == expected
    for proof in proofs.values():
        assert "not shown:" in proof.message or "is zero" in proof.message
