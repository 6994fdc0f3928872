"""Certificates of equivalences from anybody, checked by Coq's kernel.

A process of its own verifies the certificate and writes the Coq files. They contain nodes and names made for Coq, never
a text of the certificate.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from accelsim import optimizers
from accelsim.errors import InputError
from accelsim.rule import Optimizer
from accelsim.symbolic.certify.documents import claim_of
from accelsim.symbolic.certify.process import SECONDS, answer, asked
from accelsim.symbolic.certify.verdict import Verified
from accelsim.symbolic.certify.verifier import rules_of, verify_certificate
from accelsim.symbolic.check.equivalence import up_to_words
from accelsim.symbolic.coq.coqc import Exported, Proof, compiled, exported

UNSUPPORTED = {
    "bisimulation": "a relation of states of both rules is not exported: Coq has checked nothing of it",
    "refutation": "a refutation is not exported: Coq has checked nothing of it",
}


def check_file(path: Path, rules: Iterable[str] = (), seconds: float = SECONDS) -> tuple[Verified, Proof]:
    """Verify a stored certificate, then have Coq check its claim; arguments as those of `verify_file`.

    The proof's status says what the claim sets aside: "checked up to a sign".

    Raises
    ------
    InputError
        If the file holds no certificate, or names a rule that does not exist.
    """
    found = asked(__spec__.name, path, rules, seconds)
    verified = Verified(found["holds"], found["reason"])
    if not verified.holds:
        return verified, Proof("unsupported", message="the certificate does not hold: there is no claim to check")
    if "message" in found:
        return verified, Proof("unsupported", message=found["message"])
    (proof,) = compiled({"claim": Exported(tuple(found["texts"]), tuple(found["unchecked"]))}).values()
    return verified, proof.up_to(found["up_to"])


def written(document: Any, find: Callable[[str], Optimizer] | None = None) -> dict[str, Any]:
    """Verdict on a certificate, with the Coq files of its claim.

    Parameters
    ----------
    document, find : as in `verify_certificate`.

    Returns
    -------
    dict with `holds` and `reason`, and where it holds `message` (why there are no files), or `texts`, `unchecked` and
    `up_to`.
    """
    find = find or partial(optimizers.find, files=False)
    verified = verify_certificate(document, find)
    told = asdict(verified)
    if not verified.holds:
        return told
    if (kind := document["kind"]) in UNSUPPORTED:
        return told | {"message": UNSUPPORTED[kind]}
    try:
        found = exported(claim_of(document, *rules_of(document, find)))
    except InputError as error:
        return told | {"message": str(error)}
    return told | asdict(found) | {"up_to": up_to_words(document["up_to"])}


if __name__ == "__main__":
    answer(written, *sys.argv[1:])
