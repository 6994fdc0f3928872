"""Every derivation through the command line, checked by Coq's kernel; every near miss fails to compile."""

import json
import sys

import pytest

from accelsim import cli
from accelsim.symbolic import coq, verify
from accelsim.symbolic.equivalence import Equivalence

EQUIVALENCES = [name for name, module in verify.known().items() if isinstance(module.certificate(), Equivalence)]


def test_every_derivation_is_checked_by_the_kernel(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["accelsim", "verify", "--coq", "--json"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    verdicts = [v for v in json.loads(capsys.readouterr().out) if v["name"] in EQUIVALENCES]
    found = {v["name"]: (v["coq"], v["coq_message"]) for v in verdicts}
    assert found == dict.fromkeys(EQUIVALENCES, ("checked", None))
    assert all(set(v["coq_axioms"]) == coq.REALS for v in verdicts)
    assert stop.value.code == 0


def test_every_near_miss_fails_to_compile():
    proofs = coq.check({name: verify.known()[name].near_miss() for name in EQUIVALENCES})
    assert {name: proof.status for name, proof in proofs.items()} == dict.fromkeys(EQUIVALENCES, "failed")
    assert all("not shown:" in proof.message for proof in proofs.values())
