"""Certificates as documents, from what was proved or refuted; and the claims that documents are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.rule import Optimizer, program_hash
from accelsim.symbolic.algebra.language import as_given
from accelsim.symbolic.certify.schema import FORMAT
from accelsim.symbolic.check.bisimulation import Bisimulation, Proved
from accelsim.symbolic.check.counterexample import Counterexample, Shown
from accelsim.symbolic.check.equivalence import Equivalence, Verdict, linear_parts, parameters
from accelsim.symbolic.system.pair import Pair


def of_equivalence(claim: Equivalence, verdict: Verdict) -> dict[str, Any]:
    """Certificate of a proved equivalence.

    Returns
    -------
    Document of JSON: the claim, and all that was proved of it (identities, conditions, assumptions).
    """
    names = mapped(claim)
    return {
        "format": FORMAT,
        "kind": "equivalence",
        "source": _rule(claim.source, claim.given),
        "target": _rule(claim.target, {}),
        "map": {name: text for name, text in claim.map.items() if name in names},
        "transform": dict(claim.transform),
        "backward": claim.backward,
        "direction": claim.direction,
        "varying": list(dict.fromkeys(claim.varying)),
        "constant": list(dict.fromkeys(claim.constant)),
        "given": {name: str(value) for name, value in claim.given.items()},
        "returned": claim.returned,
        "sequences": {name: {"start": start, "next": later} for name, (start, later) in claim.sequences.items()},
        "preconditioners": dict(claim.preconditioners),
        "nonlinear": dict(claim.nonlinear),
        "free": list(claim.free),
        "replaced": list(claim.replaced),
        "identities": sorted(verdict.residuals),
        "conditions": list(verdict.conditions),
        "assumptions": list(verdict.assumptions),
        "up_to": list(verdict.up_to),
    }


def of_bisimulation(claim: Bisimulation, proved: Proved) -> dict[str, Any]:
    """Certificate of a proved bisimulation.

    Returns
    -------
    Document of JSON: the claim with its relation, and the conditions of the proof.
    """
    return {
        "format": FORMAT,
        "kind": "bisimulation",
        "source": _rule(claim.source, claim.given),
        "target": _rule(claim.target, {}),
        "map": dict(claim.map),
        "relation": dict(claim.relation),
        "since": claim.since,
        "varying": list(dict.fromkeys(claim.varying)),
        "given": {name: str(value) for name, value in claim.given.items()},
        "returned": claim.returned,
        "free": list(claim.free),
        "replaced": list(claim.replaced),
        "conditions": list(proved.conditions),
    }


def mapped(claim: Equivalence) -> set[str]:
    """Names of the target's hyperparameters that the map of a claim gives."""
    return set(parameters(claim, linear_parts(claim)[1]))


def of_refutation(pair: Pair, counterexample: Counterexample, shown: Shown) -> dict[str, Any]:
    """Certificate of a refutation.

    Parameters
    ----------
    shown : runs of both rules on the counterexample's gradients.

    Returns
    -------
    Document of JSON: the pair, the counterexample, and these runs.
    """
    last = counterexample.last
    numbers = {
        name: value if isinstance(value, str) else list(value[: last + 1])
        for name, value in counterexample.hyperparameters.items()
        if not pair.a.hyperparameters[name].switch
    }
    return {
        "format": FORMAT,
        "kind": "refutation",
        "a": _rule(pair.a, pair.set_a),
        "b": _rule(pair.b, {}),
        "set_a": {name: str(value) for name, value in pair.set_a.items() if name in numbers},
        "set_b": {name: str(value) for name, value in pair.set_b.items()},
        "varying": list(dict.fromkeys(pair.varying)),
        "free": list(dict.fromkeys(pair.free)),
        "counterexample": {**counterexample.document(), "hyperparameters": numbers, "shown": shown.document()},
    }


def pair_of(document: Mapping[str, Any], a: Optimizer, b: Optimizer) -> Pair:
    """Pair of rules, with its settings, that a certificate of a refutation is about.

    Raises
    ------
    InputError
        If a name that is free is no recurrence.
    """
    known = (document["set_a"], document["set_b"])
    return Pair(a, b, *known, varying=tuple(document["varying"]), free=tuple(document["free"]))


def _rule(rule: Optimizer, given: Mapping[str, Any]) -> dict[str, Any]:
    declared = rule.hyperparameters.items()
    switches = {k: rule.value(k, given.get(k, v.default)) for k, v in declared if v.switch}
    return {"name": str(rule), "program": program_hash(rule, switches), "switches": switches}


def claim_of(document: Mapping[str, Any], source: Optimizer, target: Optimizer) -> Equivalence:
    """Claim that a certificate of an equivalence is about.

    Raises
    ------
    InputError
        If the certificate names what the rules do not have.
    """
    return Equivalence(
        source,
        target,
        **_asked(document),
        transform=document["transform"],
        backward=document["backward"],
        constant=tuple(document["constant"]),
        sequences={name: (texts["start"], texts["next"]) for name, texts in document["sequences"].items()},
        preconditioners=document["preconditioners"],
        nonlinear=document["nonlinear"],
        up_to=tuple(document["up_to"]),
    )


def relation_of(document: Mapping[str, Any], source: Optimizer, target: Optimizer) -> Bisimulation:
    """Claim that a certificate of a bisimulation is about.

    Raises
    ------
    InputError
        If the certificate names what the rules do not have.
    """
    return Bisimulation(source, target, **_asked(document), relation=document["relation"], since=document["since"])


def _asked(document: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that claims of equivalence and of bisimulation share, from a document."""
    return {
        "map": document["map"],
        "varying": tuple(document["varying"]),
        "given": {name: as_given(text) for name, text in document["given"].items()},
        "returned": document["returned"],
        "free": tuple(document["free"]),
        "replaced": tuple(document["replaced"]),
    }
