"""Run the derivations: each certificate must be proved, and the near miss beside it refuted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from time import perf_counter
from types import ModuleType
from typing import Any

from accelsim import discovery
from accelsim.errors import reason, unknown
from accelsim.symbolic.check import equivalence, memories

EXPECTED = "proved"
NEAR_MISS = "refuted"
_FAILED: dict[str, Any] = {
    "status": "failed",
    "near_miss": "",
    "holds": None,
    "counterexample": None,
    "near_miss_counterexample": None,
    "up_to": [],
    "map": {},
    "transform": {},
    "direction": "",
    "conditions": [],
    "assumptions": [],
}


def known() -> dict[str, ModuleType]:
    """The derivations by name, one file each."""
    return {module.__name__.rpartition(".")[2]: module for module in discovery.modules("accelsim.derivations")}


def verify(names: Iterable[str] | None = None, coq: bool = False) -> list[dict[str, Any]]:
    """Verdicts on derivations and their near misses (see `results`).

    Parameters
    ----------
    names : of derivations, all by default.
    coq : whether Coq checks them too. Verdicts then have `coq` (checked, with what the verdict is up to; failed,
        unsupported, or absent where coqc is not installed), `coq_axioms`, `coq_unchecked` (parts of the claim that the
        theorems do not state) and `coq_message` (why it is not checked). One that Coq fails to check does not hold.

    Raises
    ------
    InputError
        For a name that no derivation has.
    """
    found = list(results(names))
    return _with_proofs(found) if coq else found


def told(verdict: Mapping[str, Any]) -> str:
    """Status of a verdict in words, with what a proof is up to."""
    aside = verdict["up_to"] if verdict["status"] == EXPECTED else ()
    return f"{verdict['status']}{equivalence.up_to_words(aside)}"


def _with_proofs(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from accelsim.symbolic.coq.coqc import Proof
    from accelsim.symbolic.coq.coqc import check as compiled

    derivations = known()
    proofs = compiled({v["name"]: derivations[v["name"]].certificate() for v in found if v["error"] is None})
    for verdict in found:
        if verdict["error"] is None:
            proof = proofs[verdict["name"]]
            verdict["holds"] &= proof.status in ("checked", "absent")
            verdict |= proof.up_to(equivalence.up_to_words(verdict["up_to"])).to_json()
        else:
            verdict |= Proof("unsupported", message="there is no claim to check").to_json()
    return found


def results(names: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
    """Verdicts on derivations, one after the other.

    Parameters
    ----------
    names : of derivations, all by default.

    Yields
    ------
    dict with `name`, `claim`, `source`, `status` (proved, refuted, failed), `expected`, `near_miss` (its status),
    `holds` (all is as expected; None where the derivation raised), `error` (what it raised, in one line), `reason`,
    `counterexample` (of the certificate, None where proved, and of the near miss), `up_to` (what the proof sets aside,
    of "sign" and "preconditioner", as the claim declares), `conditions`, `assumptions`, `direction` and `transform`,
    `seconds`.

    Raises
    ------
    InputError
        For a name that no derivation has.
    """
    derivations = known()
    wanted = list(derivations if names is None else names)
    for name in wanted:
        if name not in derivations:
            raise unknown("derivation", name, derivations)
    for name in wanted:
        yield _result(name, derivations[name])


def _checked(claim: Any) -> equivalence.Verdict:
    return memories.check(claim) if isinstance(claim, memories.Memories) else equivalence.check(claim)


def _result(name: str, module: ModuleType) -> dict[str, Any]:
    start = perf_counter()
    try:
        outcome = _outcome(module)
    except (Exception, SystemExit) as error:  # which is no reason to withhold the others
        outcome = {**_FAILED, "reason": reason(error), "error": reason(error)}
    about = {"name": name, "claim": module.CLAIM, "source": module.SOURCE, "expected": EXPECTED}
    return {**about, **outcome, "seconds": perf_counter() - start}


def _outcome(module: ModuleType) -> dict[str, Any]:
    claim = module.certificate()
    verdict, missed = _checked(claim), _checked(module.near_miss())
    return {
        "status": verdict.status,
        "near_miss": missed.status,
        "holds": verdict.status == EXPECTED and missed.status == NEAR_MISS,
        "error": None,
        "reason": verdict.reason,
        "counterexample": verdict.counterexample,
        "near_miss_counterexample": missed.counterexample,
        "up_to": list(verdict.up_to),
        "map": dict(claim.map),
        "transform": dict(claim.transform),
        "direction": claim.direction,
        "conditions": list(verdict.conditions),
        "assumptions": list(verdict.assumptions),
    }
