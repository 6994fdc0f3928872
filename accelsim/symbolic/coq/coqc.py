"""Proofs that Coq's kernel checks: a derivation's claim as a Coq file, and what coqc says of it.

A file states both rules as they are traced (their linear part, with given sequences p, where they are not linear),
never their matrices; hyperparameters are real numbers, schedules are functions from Z to R, and what is divided by
is assumed not to be zero. The lemma in ``method.v``, an induction on steps for every sequence of gradients, leaves to
each claim that one step commutes with the transform, that the queries agree, and that the starts do: identities
between rational functions, for Coq's `field`. That a rule has two memories is a theorem about all rules of one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from accelsim.errors import InputError
from accelsim.symbolic.check.equivalence import Equivalence
from accelsim.symbolic.check.memories import Memories
from accelsim.symbolic.coq.equivalence import Same
from accelsim.symbolic.coq.memories import TwoMemories

LEMMA = "method"
REALS = frozenset(  # what Coq's real numbers rest on
    {"ClassicalDedekindReals.sig_forall_dec", "FunctionalExtensionality.functional_extensionality_dep"}
)
ANALYSIS = frozenset(  # what its roots, logarithms and powers rest on besides
    {"ClassicalDedekindReals.sig_not_dec", "Classical_Prop.classic"}
)
SECONDS = 240.0  # for one proof, after which it counts as failed


@dataclass(frozen=True)
class Proof:
    """What coqc says of a claim.

    Attributes
    ----------
    status : "checked", "failed", "unsupported" (the claim cannot be exported) or "absent" (there is no coqc).
    axioms : what the theorems rest on, as Coq's ``Print Assumptions`` lists it.
    message : why it is not checked, None where it is.
    """

    status: str
    axioms: tuple[str, ...] = ()
    message: str | None = None


def export(claim: Equivalence | Memories) -> str:
    """A claim as one Coq file that needs no other: the lemma, both rules, the theorems and what they rest on.

    Raises
    ------
    InputError
        For what has no counterpart in the file, such as a schedule's value at a fixed step.
    """
    return f"{_lemma()}\n{_text(claim)}"


def _text(claim: Equivalence | Memories) -> str:
    return TwoMemories(claim).text() if isinstance(claim, Memories) else Same(claim).text()


def _lemma() -> str:
    return resources.files(__package__).joinpath(f"{LEMMA}.v").read_text(encoding="utf-8")


def check(claims: Mapping[str, Equivalence | Memories]) -> dict[str, Proof]:
    """Compile claims, by name, as many at once as there are processors; the lemma is compiled once for all."""
    if shutil.which("coqc") is None:
        return dict.fromkeys(claims, Proof("absent", message="coqc is not installed"))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        Path(folder, f"{LEMMA}.v").write_text(_lemma(), encoding="utf-8")
        found = _compiled(folder, LEMMA)
        if found.status == "failed":
            return dict.fromkeys(claims, found)
        waiting: dict[str, Future[Proof]] = {}
        proofs: dict[str, Proof] = {}
        for i, (name, claim) in enumerate(claims.items()):
            try:
                text = _text(claim)
            except InputError as error:
                proofs[name] = Proof("unsupported", message=str(error))
                continue
            header = f"Require Import {LEMMA}.\nOpen Scope R_scope.\n"
            Path(folder, f"claim{i}.v").write_text(header + text, encoding="utf-8")
            waiting[name] = pool.submit(_compiled, folder, f"claim{i}")
        return proofs | {name: proof.result() for name, proof in waiting.items()}


def _compiled(folder: str, module: str) -> Proof:
    command = ["coqc", "-q", "-R", ".", "", f"{module}.v"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Proof("failed", message=f"coqc did not answer in {SECONDS:.0f} s")
    if done.returncode:
        return Proof("failed", message=_blamed(Path(folder, f"{module}.v").read_text(encoding="utf-8"), done.stderr))
    axioms = assumptions(done.stdout)
    foreign = sorted(set(axioms) - REALS - ANALYSIS)
    if foreign:
        return Proof("failed", axioms, f"rests on {', '.join(foreign)}, no axiom of Coq's reals")
    return Proof("checked", axioms)


def _blamed(text: str, error: str) -> str:
    """What coqc complained of, in one line, with the lemma in whose proof it did."""
    said = " ".join(error.partition("Error:")[2].split()) or " ".join(error.split())
    place = re.search(r"line (\d+)", error)
    above = "\n".join(text.splitlines()[: int(place[1])]) if place else ""
    lemmas = re.findall(r"^ *(?:Lemma|Theorem) (\w+)", above, flags=re.MULTILINE)
    return f"{lemmas[-1]}: {said}" if lemmas else said


def assumptions(printed: str) -> tuple[str, ...]:
    """The axioms that ``Print Assumptions`` printed, by name.

    >>> assumptions("Axioms:\\nClassicalDedekindReals.sig_forall_dec\\n  : forall P : nat -> Prop, ...")
    ('ClassicalDedekindReals.sig_forall_dec',)
    """
    lines = re.findall(r"^([\w.']+)(?= *:|$)", printed, flags=re.MULTILINE)
    return tuple(sorted({line for line in lines if line != "Axioms"}))
