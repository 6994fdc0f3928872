"""Certificates: JSON documents of an equivalence or a refutation, and their verifier, which searches for nothing.

A certificate names two rules and the hash of their traced programs. For an equivalence it holds map, transform and
direction, the identities that then hold and the conditions under which they do; the verifier has `equivalence.check`
prove the claim again, and compares all that the certificate says with what was proved. For a refutation it holds
rational hyperparameters of rule a, inside their ranges, and its answers to impulses; the verifier runs both rules
again, rule b with unknowns for its hyperparameters, and multiplies out. Linear parts are run, or the rules as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from accelsim.errors import InputError
from accelsim.rule import Optimizer, program_hash
from accelsim.symbolic.certify.documents import claim_of, mapped, of_equivalence, relation_of
from accelsim.symbolic.certify.refutations import refutation_holds
from accelsim.symbolic.certify.schema import validate
from accelsim.symbolic.certify.verdict import Verified
from accelsim.symbolic.check.bisimulation import prove
from accelsim.symbolic.check.equivalence import check


def verify_certificate(document: Mapping[str, Any], find: Callable[[str], Optimizer] | None = None) -> Verified:
    """Check a certificate without searching for anything.

    Parameters
    ----------
    document : the certificate, a document of JSON.
    find : function from a name to a rule; by default those that are known. No name in a certificate has a file run.

    Returns
    -------
    Verified
        Whether everything in it was shown again, and the reason.

    Raises
    ------
    InputError
        If the document is no certificate, or names a rule that does not exist.
    """
    from accelsim import optimizers

    find = find or partial(optimizers.find, files=False)
    validate(document)
    rules = rules_of(document, find)
    for end, rule in zip(_ends(document), rules, strict=True):
        if program_hash(rule) != document[end]["program"]:
            return Verified(False, f"{rule} is not the rule that the certificate is about: their programs differ")
    verify = {"equivalence": _equivalence, "bisimulation": _bisimulation, "refutation": refutation_holds}
    return verify[document["kind"]](document, *rules)


def rules_of(document: Mapping[str, Any], find: Callable[[str], Optimizer]) -> list[Optimizer]:
    """The two rules that a certificate is about, with their switches as it says, found by name."""
    return [_switched(find(document[end]["name"]), document[end]["switches"]) for end in _ends(document)]


def _ends(document: Mapping[str, Any]) -> tuple[str, str]:
    return ("a", "b") if document["kind"] == "refutation" else ("source", "target")


def _switched(rule: Optimizer, values: Mapping[str, int]) -> Optimizer:
    """The rule with its switches at these values by default."""
    switches = {k: v for k, v in rule.hyperparameters.items() if v.switch}
    if set(values) != set(switches):
        raise InputError(f"the switches of {rule} are: {', '.join(switches) or 'none'}")
    known = {k: replace(v, default=rule.value(k, values[k])) for k, v in switches.items()}
    return replace(rule, hyperparameters={**rule.hyperparameters, **known}) if known else rule


def _equivalence(document: Mapping[str, Any], source: Optimizer, target: Optimizer) -> Verified:
    """The claim is proved again, and what is said of it compared with what was proved."""
    claim = claim_of(document, source, target)
    if set(claim.map) != (names := mapped(claim)):
        return Verified(False, f"the map must say what {', '.join(sorted(names)) or 'nothing'} of {target} is")
    verdict = check(claim)
    if verdict.status != "proved":
        return Verified(False, verdict.reason)
    for key, value in of_equivalence(claim, verdict).items():
        if document[key] != value:
            return Verified(False, f"{key} is not what was proved: {value}")
    return Verified(True, verdict.reason)


def _bisimulation(document: Mapping[str, Any], source: Optimizer, target: Optimizer) -> Verified:
    """The relation is proved again, and the conditions compared with those it then has."""
    claim = relation_of(document, source, target)
    if set(claim.map) != (names := set(claim.mapped)):
        return Verified(False, f"the map must say what {', '.join(sorted(names)) or 'nothing'} of {target} is")
    proved = prove(claim)
    if not proved.holds:
        return Verified(False, proved.reason)
    if document["conditions"] != list(proved.conditions):
        return Verified(False, f"conditions is not what was proved: {list(proved.conditions)}")
    return Verified(True, proved.reason)
