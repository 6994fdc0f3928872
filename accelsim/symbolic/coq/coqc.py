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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from accelsim.errors import InputError
from accelsim.symbolic.certify.process import limit_memory
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
    """Result of coqc on a claim.

    Attributes
    ----------
    status : "checked", "failed", "unsupported" (the claim cannot be exported) or "absent" (coqc is not installed).
    axioms : axioms that the theorems rest on, as Coq's ``Print Assumptions`` lists them.
    message : why it is not checked; None where it is.
    unchecked : parts of the claim that the theorems do not state, in words.
    """

    status: str
    axioms: tuple[str, ...] = ()
    message: str | None = None
    unchecked: tuple[str, ...] = ()

    def up_to(self, words: str) -> Proof:
        """Proof whose status also names what the claim is up to, if it is checked."""
        return replace(self, status=f"{self.status}{words}") if self.status == "checked" else self

    def to_json(self) -> dict[str, Any]:
        """Entries of a verdict about the proof."""
        lists = {"coq_axioms": list(self.axioms), "coq_unchecked": list(self.unchecked)}
        return {"coq": self.status, "coq_message": self.message, **lists}


@dataclass(frozen=True)
class Exported:
    """Coq files of a claim, the lemmas of ``method.v`` left out.

    Attributes
    ----------
    texts : files, one of which has to be accepted: without the recursions of its sequences, then with them.
    unchecked : parts of the claim that the theorems do not state, in words.
    """

    texts: tuple[str, ...]
    unchecked: tuple[str, ...] = ()


def export(claim: Equivalence | Memories) -> str:
    """Coq file of a claim that needs no other: the lemmas, both rules, the theorems, and a print of their axioms.

    Raises
    ------
    InputError
        For a claim without a counterpart in Coq, such as a schedule's value at a fixed step.
    """
    return f"{_lemma()}\n{exported(claim).texts[-1]}"


def exported(claim: Equivalence | Memories) -> Exported:
    """Coq files of a claim as `check` compiles them; raises as `export` does."""
    if isinstance(claim, Memories):
        return Exported((TwoMemories(claim).text(),))
    same = Same(claim)
    texts = [] if claim.sequences else [same.text()]  # which are there for their recursions
    texts += [Same(claim, follow=True).text()] if same.recursive else []
    return Exported(tuple(texts), same.unchecked)


def _lemma() -> str:
    return resources.files(__package__).joinpath(f"{LEMMA}.v").read_text(encoding="utf-8")


def check(claims: Mapping[str, Equivalence | Memories]) -> dict[str, Proof]:
    """Proofs of claims by Coq, by name."""
    files: dict[str, Exported] = {}
    proofs: dict[str, Proof] = {}
    for name, claim in claims.items():
        try:
            files[name] = exported(claim)
        except InputError as error:
            proofs[name] = Proof("unsupported", message=str(error))
    return proofs | compiled(files)


def compiled(files: Mapping[str, Exported], seconds: float = SECONDS) -> dict[str, Proof]:
    """Proofs of files by coqc, by name, in as many processes as there are processors; lemmas are compiled once."""
    if shutil.which("coqc") is None:
        return dict.fromkeys(files, Proof("absent", message="coqc is not installed"))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        lemma = _compiled(folder, LEMMA, _lemma(), seconds)
        if lemma.status == "failed":
            return dict.fromkeys(files, lemma)
        waiting = {
            name: pool.submit(_tried, folder, f"claim{i}", exported, seconds)
            for i, (name, exported) in enumerate(files.items())
        }
        return {name: proof.result() for name, proof in waiting.items()}


def _tried(folder: str, module: str, exported: Exported, seconds: float) -> Proof:
    """Proof by the first of several files that coqc accepts, otherwise by the last."""
    proof = Proof("failed", message="there is nothing to check")
    for i, text in enumerate(exported.texts):
        header = f"Require Import {LEMMA}.\nOpen Scope R_scope.\n"
        proof = _compiled(folder, f"{module}_{i}", header + text, seconds)
        if proof.status == "checked":
            break
    return replace(proof, unchecked=exported.unchecked)


def _compiled(folder: str, module: str, text: str, seconds: float) -> Proof:
    Path(folder, f"{module}.v").write_text(text, encoding="utf-8")
    command = ["coqc", "-q", "-R", ".", "", f"{module}.v"]
    piped = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdout=piped, stderr=piped, text=True) as process:
        limit_memory(process.pid)
        try:
            printed, error = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return Proof("failed", message=f"coqc did not answer in {seconds:g} s")
    if process.returncode:
        return Proof("failed", message=_blamed(text, error) or f"coqc ended with code {process.returncode}")
    axioms = assumptions(printed)
    foreign = sorted(set(axioms) - REALS - ANALYSIS)
    if foreign:
        return Proof("failed", axioms, f"rests on {', '.join(foreign)}, no axiom of Coq's reals")
    return Proof("checked", axioms)


def _blamed(text: str, error: str) -> str:
    """Error of coqc in one line, with the lemma in whose proof it occurred."""
    said = " ".join(error.partition("Error:")[2].split()) or " ".join(error.split())
    place = re.search(r"line (\d+)", error)
    above = "\n".join(text.splitlines()[: int(place[1])]) if place else ""
    lemmas = re.findall(r"^ *(?:Lemma|Theorem) (\w+)", above, flags=re.MULTILINE)
    return f"{lemmas[-1]}: {said}" if lemmas else said


def assumptions(printed: str) -> tuple[str, ...]:
    r"""The axioms that ``Print Assumptions`` printed, by name.

    >>> assumptions("Axioms:\nClassicalDedekindReals.sig_forall_dec\n  : forall P : nat -> Prop, ...")
    ('ClassicalDedekindReals.sig_forall_dec',)
    """
    lines = re.findall(r"^([\w.']+)(?= *:|$)", printed, flags=re.MULTILINE)
    return tuple(sorted({line for line in lines if line != "Axioms"}))
