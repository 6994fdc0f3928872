"""Certificates: JSON documents of an equivalence or a refutation, and their verifier, which searches for nothing.

A certificate names two rules and the hash of their traced programs. For an equivalence it holds map, transform and
direction, the identities that then hold and the conditions under which they do; the verifier has `equivalence.check`
prove the claim again, and compares all that the certificate says with what was proved. For a refutation it holds
rational hyperparameters of rule a, inside their ranges, and its answers to impulses; the verifier runs both rules
again, rule b with unknowns for its hyperparameters, and multiplies out. Linear parts are run, or the rules as they are.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from accelsim.errors import InputError, unknown
from accelsim.language import evaluated
from accelsim.rule import Optimizer, program_hash
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra.field import Field, cancelled, differs, vanishes
from accelsim.symbolic.algebra.language import expression
from accelsim.symbolic.certify.cases import refuted as refuted_by_cases
from accelsim.symbolic.certify.enclosed import Enclosed
from accelsim.symbolic.certify.impulses import answers, itself, read
from accelsim.symbolic.certify.nonlinear import refuted
from accelsim.symbolic.check.bisimulation import Bisimulation, Proved, prove
from accelsim.symbolic.check.equivalence import Equivalence, Verdict, check, linear_parts, parameters
from accelsim.symbolic.check.positivity import never_zero
from accelsim.symbolic.system.gradients import RETURNED, Key, fraction, place_of, runs
from accelsim.symbolic.system.gradients import answers as answers_of
from accelsim.symbolic.system.homogeneity import LONG_ALIKE, blind_to_signs, long_alike, scale_free
from accelsim.symbolic.system.linear_part import LinearPart, left_behind, linear_part
from accelsim.symbolic.system.tableau import tableau

LARGEST = 1_000_000  # whole number in a certificate
PARTS = 100_000  # of a certificate
STEPS, COORDINATES = 200, 50  # of a refutation
TOLD = 10**8  # decimals that are told of a query are nearer to it than such a part of the largest in the run
FORMAT = "accelsim certificate 7"

# -- what a certificate looks like: a type, a list of one shape, one thing or a list (a pair of shapes), an object of
# known names, or of any names (...) --

_RULE = {"name": str, "program": str, "switches": {...: int}}
_EQUIVALENCE = {
    **{"format": str, "kind": str, "source": _RULE, "target": _RULE, "map": {...: str}, "transform": {...: str}},
    **{"backward": bool, "direction": str, "varying": [str], "constant": [str], "given": {...: str}, "returned": bool},
    **{"sequences": {...: {"start": str, "next": str}}, "preconditioners": {...: str}, "nonlinear": {...: str}},
    **{"identities": [str], "conditions": [str], "assumptions": [str], "up_to": [str]},
}
_BISIMULATION = {
    **{"format": str, "kind": str, "source": _RULE, "target": _RULE, "map": {...: str}, "relation": {...: str}},
    **{"since": int, "varying": [str], "given": {...: str}, "returned": bool, "conditions": [str]},
}
_REFUTATION = {
    "format": str,
    "kind": str,
    "a": _RULE,
    "b": _RULE,
    "set_a": {...: str},
    "set_b": {...: str},
    "varying": [str],
}
_SHOWN = {
    "hyperparameters": {...: str},
    "runs": [{"start": str, "gradients": [[str]], "a": [[str]], "b": [[str]]}],
}
_ANY = {"kind": str, "hyperparameters": {...: (str, [str])}, "unknown": str, "values": [str], "shown": _SHOWN}
_RUN = {
    **{**_ANY, "gradients": [[[str]]], "alike": [[[int]]]},
    "answers": [dict.fromkeys(("step", "query", "impulse", "gradient", "coordinate"), int)],
}
_COUNTEREXAMPLES: dict[str, dict[str, Any]] = {
    "scale": {**_RUN, "lengths": [str]},
    "minor": {**_RUN, "since": [int], "determinant": str, "other": str, "unless": [str]},
    "identity": {**_RUN, "cofactors": [str], "left": str},
    "itself": {
        **{**_ANY, "gradients": [[str]], "lengths": [str]},
        "answers": [dict.fromkeys(("step", "gradients", "length"), int)],
        **{"roots": {...: str}, "lines": [{"is": str, "terms": [{"of": int, "times": str}]}]},
    },
    "cases": {
        **{**_ANY, "gradients": [[str]], "answers": [dict.fromkeys(("gradients", "step"), int)]},
        "cases": [
            {"signs": [{"of": str, "is": int}], "lines": [{"is": str, "terms": [{"of": int, "times": str}]}]},
        ],
    },
}


def _shaped(value: Any, shape: Any, place: str) -> None:
    """Raise `InputError` unless a document's part at a place has a shape."""
    if isinstance(shape, tuple):
        shape = shape[isinstance(value, list)]
    kind: Any = shape if isinstance(shape, type) else type(shape)
    if type(value) is not kind:
        raise InputError(f"this is no certificate: {place} must be {_A[kind]}, not {reprlib.repr(value):.40}")
    if len(value) > PARTS if kind in (str, list, dict) else abs(value) > LARGEST:
        raise InputError(f"this certificate is beyond what is checked: {place} is too large")
    if kind is list:
        for i, part in enumerate(value):
            _shaped(part, shape[0], f"{place}[{i}]")
    elif kind is dict:
        shapes = dict.fromkeys(value, shape[...]) if ... in shape else shape
        for name in sorted(shapes.keys() ^ value.keys(), key=str):
            raise InputError(f"this is no certificate: {place} {'misses' if name in shapes else 'has'} {name!r}")
        for name, part in value.items():
            _shaped(part, shapes[name], f"{place}.{name}")


_A = {dict: "an object", list: "a list", str: "text", int: "a whole number", bool: "true or false"}


def _validated(document: Any) -> None:
    """Raise `InputError` where a document is not shaped as a certificate."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"this is no certificate: its format must be {FORMAT!r}")
    if document.get("kind") == "equivalence":
        return _shaped(document, _EQUIVALENCE, "the document")
    if document.get("kind") == "bisimulation":
        return _shaped(document, _BISIMULATION, "the document")
    found = document.get("counterexample")
    known = found if isinstance(found, dict) and isinstance(found.get("kind"), str) else {}
    if document.get("kind") != "refutation" or known.get("kind") not in _COUNTEREXAMPLES:
        raise InputError("this is no certificate: it is neither an equivalence nor a refutation of a known kind")
    _shaped(document, {**_REFUTATION, "counterexample": _COUNTEREXAMPLES[known["kind"]]}, "the document")
    answers = known["answers"]
    for name, most in {"step": STEPS, "coordinate": COORDINATES}.items():
        if any(key.get(name, 0) > most for key in answers):
            raise InputError(f"this certificate is beyond what is checked: a {name} of more than {most}")
    if known["unknown"] not in ("constant", "one a step") or not answers:
        raise InputError("this is no certificate: unknowns are 'constant' or 'one a step', and there is an answer")
    return None


# -- documents --------------------------------------------------------------------------------------------------------


def of_equivalence(claim: Equivalence, verdict: Verdict) -> dict[str, Any]:
    """The certificate of a proved equivalence."""
    mapped = _mapped(claim)
    return {
        "format": FORMAT,
        "kind": "equivalence",
        "source": _rule(claim.source, claim.given),
        "target": _rule(claim.target, {}),
        "map": {name: text for name, text in claim.map.items() if name in mapped},
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
        "identities": sorted(verdict.residuals),
        "conditions": list(verdict.conditions),
        "assumptions": list(verdict.assumptions),
        "up_to": list(verdict.up_to),
    }


def of_bisimulation(claim: Bisimulation, proved: Proved) -> dict[str, Any]:
    """The certificate of two rules that a relation of their states proves to be the same."""
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
        "conditions": list(proved.conditions),
    }


def _mapped(claim: Equivalence) -> set[str]:
    """The target's hyperparameters that the map says something of."""
    return set(parameters(claim, linear_parts(claim)[1]))


def of_refutation(
    a: Optimizer,
    b: Optimizer,
    set_a: Mapping[str, Any],
    set_b: Mapping[str, Any],
    varying: Iterable[str],
    counterexample: Mapping[str, Any],
) -> dict[str, Any]:
    """The certificate of a refutation; `varying` are hyperparameters of a that are unknown functions of t."""
    last = max(key["step"] for key in counterexample["answers"])
    numbers = {
        name: value if isinstance(value, str) else list(value[: last + 1])
        for name, value in counterexample["hyperparameters"].items()
        if not a.hyperparameters[name].switch
    }
    return {
        "format": FORMAT,
        "kind": "refutation",
        "a": _rule(a, set_a),
        "b": _rule(b, {}),
        "set_a": {name: str(value) for name, value in set_a.items() if name in numbers},
        "set_b": {name: str(value) for name, value in set_b.items()},
        "varying": list(dict.fromkeys(varying)),
        "counterexample": {**counterexample, "hyperparameters": numbers},
    }


def _rule(rule: Optimizer, given: Mapping[str, Any]) -> dict[str, Any]:
    declared = rule.hyperparameters.items()
    switches = {k: rule.value(k, given.get(k, v.default)) for k, v in declared if v.switch}
    return {"name": str(rule), "program": program_hash(rule, switches), "switches": switches}


@dataclass(frozen=True)
class Verified:
    """Whether a certificate holds, and why or why not in one line."""

    holds: bool
    reason: str


def verify_certificate(document: Mapping[str, Any], find: Callable[[str], Optimizer] | None = None) -> Verified:
    """Check a certificate without searching for anything.

    Parameters
    ----------
    find : the optimizer of a name; by default those that are known. A name in a certificate never has a file run.

    Raises
    ------
    InputError
        If the document is no certificate, or names a rule that does not exist.
    """
    from accelsim import optimizers

    find = find or partial(optimizers.find, files=False)
    _validated(document)
    ends = ("a", "b") if document["kind"] == "refutation" else ("source", "target")
    rules = []
    for end in ends:
        entry = document[end]
        rule = _switched(find(entry["name"]), entry["switches"])
        if program_hash(rule) != entry["program"]:
            return Verified(False, f"{rule} is not the rule that the certificate is about: their programs differ")
        rules.append(rule)
    verify = {"equivalence": _equivalence, "bisimulation": _bisimulation, "refutation": _refutation}
    return verify[document["kind"]](document, *rules)


def _switched(rule: Optimizer, values: Mapping[str, int]) -> Optimizer:
    """The rule with its switches at these values by default."""
    switches = {k: v for k, v in rule.hyperparameters.items() if v.switch}
    if set(values) != set(switches):
        raise InputError(f"the switches of {rule} are: {', '.join(switches) or 'none'}")
    known = {k: replace(v, default=rule.value(k, values[k])) for k, v in switches.items()}
    return replace(rule, hyperparameters={**rule.hyperparameters, **known}) if known else rule


# -- equivalences -----------------------------------------------------------------------------------------------------


def _equivalence(document: Mapping[str, Any], source: Optimizer, target: Optimizer) -> Verified:
    """The claim is proved again, and what is said of it compared with what was proved."""
    claim = claim_of(document, source, target)
    if set(claim.map) != (mapped := _mapped(claim)):
        return Verified(False, f"the map must say what {', '.join(sorted(mapped)) or 'nothing'} of {target} is")
    verdict = check(claim)
    if verdict.status != "proved":
        return Verified(False, verdict.reason)
    for key, value in of_equivalence(claim, verdict).items():
        if document[key] != value:
            return Verified(False, f"{key} is not what was proved: {value}")
    return Verified(True, verdict.reason)


def claim_of(document: Mapping[str, Any], source: Optimizer, target: Optimizer) -> Equivalence:
    """The claim that a certificate of an equivalence is about."""
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


def _bisimulation(document: Mapping[str, Any], source: Optimizer, target: Optimizer) -> Verified:
    """The relation is proved again, and the conditions compared with those it then has."""
    claim = relation_of(document, source, target)
    read = {name for name in target.program().reads if not target.hyperparameters[name].switch}
    if set(claim.map) != read:
        return Verified(False, f"the map must say what {', '.join(sorted(read)) or 'nothing'} of {target} is")
    proved = prove(claim)
    if not proved.holds:
        return Verified(False, proved.reason)
    if document["conditions"] != list(proved.conditions):
        return Verified(False, f"conditions is not what was proved: {list(proved.conditions)}")
    return Verified(True, proved.reason)


def relation_of(document: Mapping[str, Any], source: Optimizer, target: Optimizer) -> Bisimulation:
    """The claim that a certificate of a bisimulation is about."""
    return Bisimulation(source, target, **_asked(document), relation=document["relation"], since=document["since"])


def _asked(document: Mapping[str, Any]) -> dict[str, Any]:
    """The question that any claim of an equivalence answers, and its map."""
    return {
        "map": document["map"],
        "varying": tuple(document["varying"]),
        "given": {name: _given(text) for name, text in document["given"].items()},
        "returned": document["returned"],
    }


def _given(text: str) -> Any:
    """What was given for a hyperparameter: the number that is written so, otherwise text."""
    for kind in (int, float):
        with suppress(ValueError):
            if str(kind(text)) == text:
                return kind(text)
    return text


# -- refutations ------------------------------------------------------------------------------------------------------


def _refutation(document: Mapping[str, Any], a: Optimizer, b: Optimizer) -> Verified:
    """Both rules are run again as they are, and the contradiction is multiplied out."""
    import sympy

    found = document["counterexample"]
    scheduled = found["unknown"] == "one a step"

    def sought(name: str, t: int) -> Any:
        if name in document["set_b"]:
            return read(document["set_b"][name], t)
        return sympy.Symbol(f"{name}[{t}]" if scheduled else name)

    known = partial(_known, found)
    _known_within(document, a, b, range(max(key["step"] for key in found["answers"]) + 1))

    def number(name: str, t: int) -> Enclosed:
        value = found["hyperparameters"][name]
        return _number(value[t] if isinstance(value, list) else value, t)

    def mine() -> dict[Any, list[Any]]:
        return {place: itself(a, number, run) for place, run in runs(found, a.program().gradients).items()}

    if found["kind"] == "itself":
        verified = _themselves(found, a, b, known, sought)
    elif found["kind"] == "cases":
        verified = _by_cases(found, a, b, document["set_b"])
    else:
        _within(found, a, b)
        if not _answers_so(found, a, known, answers_of(found, mine())):
            return Verified(False, f"{a} answers otherwise")
        verified = _scale(found, a, b) if found["kind"] == "scale" else _answered(found, a, b, sought)
    if verified.holds and (reason := _shown_otherwise(document, a, b, mine())):
        return Verified(False, reason)
    return _about(document, a, b, verified)


def _answers_so(
    found: Mapping[str, Any], a: Optimizer, known: Callable[[str, int], Any], seen: Sequence[Enclosed]
) -> bool:
    """Whether a rule answers what is said: fractions; with roots what the linear part of a linear rule does as well."""
    if all(value.fraction is not None for value in seen):
        return [str(value.fraction) for value in seen] == found["values"]
    if found["kind"] == "scale" or found["gradients"] or tableau(a).nonlinearity:
        return False
    keys = list(map(place_of, found["answers"]))
    exactly = answers(a, known, lambda name, t, i: 0, keys, {}, turned=False)
    near = (Enclosed(evaluated(text, {}, Enclosed)) for text in found["values"])
    if any(x.apart(y) for x, y in zip(near, seen, strict=True)):
        return False
    return all(vanishes(_expression(text, []) - value) for text, value in zip(found["values"], exactly, strict=True))


def _answered(found: Mapping[str, Any], a: Optimizer, b: Optimizer, sought: Callable[[str, int], Any]) -> Verified:
    """What is multiplied out of answers to impulses."""
    import sympy

    keys = list(map(place_of, found["answers"]))
    part, turned = linear_part(b), bool(found["gradients"])
    if reason := _linear_parts_cannot_tell(part, keys, turned):
        return Verified(False, reason)

    def given(name: str, t: int, i: int) -> Any:
        return sympy.Symbol(f"{name}[{t}][{i}]")

    def ask() -> list[Any]:
        return answers(b, sought, given, keys, dict(enumerate(found["alike"])), turned)

    one = [_expression(text, []) for text in found["values"]]
    if found["kind"] == "minor":
        return _minor(found, keys, one, part, ask)
    shown = "answers, what is returned among them," if any(key[1] == RETURNED for key in keys) else "answers"
    return _identity(found, one, ask(), shown, b)


def _about(document: Mapping[str, Any], a: Optimizer, b: Optimizer, verified: Verified) -> Verified:
    """A verdict with what it is about, where it holds: what is given, and what may vary."""
    known = [f"{name} = {value}" for name, value in document["set_a"].items()]
    known += [f"{name} = {value} in {b}" for name, value in document["set_b"].items()]
    known += [f"{name} is any function of t" for name in document["varying"]]
    vary = "are constant" if document["counterexample"]["unknown"] == "constant" else "may vary from step to step"
    known.append(f"the other hyperparameters of {b} {vary}" if document["set_b"] else f"those of {b} {vary}")
    return replace(verified, reason=f"{verified.reason}; {', '.join(known)}") if verified.holds else verified


def _shown_otherwise(
    document: Mapping[str, Any], a: Optimizer, b: Optimizer, mine: Mapping[Any, list[Any]]
) -> str | None:
    """Why the runs that a refutation tells of are not those of the rules, or show no difference; None where they do."""
    shown = document["counterexample"]["shown"]
    told, values, set_b = shown["runs"], shown["hyperparameters"], document["set_b"]
    made = runs(document["counterexample"], a.program().gradients)
    reads = {name for name in b.program().reads if not b.hyperparameters[name].switch}
    if wrong := (reads | set(set_b)) ^ set(values):
        raise InputError(f"there must be one value for each hyperparameter of {b}: {', '.join(sorted(wrong))}")
    for name in set_b:
        if values[name] != set_b[name]:
            raise InputError(f"{name} = {values[name]} is not what is given for it, {set_b[name]}")
    if [[run["start"], run["gradients"]] for run in told] != [
        [str(run.start), [list(map(str, row)) for row in run.gradients]] for run in made.values()
    ]:
        return "the gradients that are told are not those of the refutation"

    def known(name: str, t: int) -> Any:
        value = _number(values[name], t)
        b.check(name, value.fraction if value.fraction is not None else float(value.interval.mid), t)
        return value

    theirs = {place: itself(b, known, run, other=True) for place, run in made.items()}
    for rule, end, queries in ((a, "a", mine), (b, "b", theirs)):
        for run, points in zip(told, queries.values(), strict=True):
            if not _alike_points(run[end], points):
                return f"{rule} queries otherwise"
    pairs = [zip(one, other, strict=True) for one, other in zip(mine.values(), theirs.values(), strict=True)]
    if any(x.apart(y) for pair in pairs for one, other in pair for x, y in zip(one, other, strict=True)):
        return None
    return "both rules query the same in the runs that are told"


def _alike_points(texts: list[list[str]], points: list[Any]) -> bool:
    """Whether what is told of a run is what was queried: fractions, or decimals, which may be rounded.

    Where only zeros are told, they may be rounded as beside 1.
    """
    stated = [[Enclosed(fraction(text)) for text in row] for row in texts]
    size = max((abs(x.fraction or Fraction(0)) for row in stated for x in row), default=Fraction(0)) or Fraction(1)

    def close(text: str, told: Enclosed, value: Enclosed) -> bool:
        if "/" in text or told == value:
            return told == value
        return (abs(told - value) - size / TOLD).sign() < 0

    return list(map(len, texts)) == list(map(len, points)) and all(
        close(*each) for rows in zip(texts, stated, points, strict=True) for each in zip(*rows, strict=True)
    )


def _by_cases(found: Mapping[str, Any], a: Optimizer, b: Optimizer, set_b: Mapping[str, Any]) -> Verified:
    """The rules themselves are run, and in each case a contradiction is multiplied out."""
    if found["unknown"] != "one a step":
        raise InputError("rules as they are are refuted for all schedules")
    if reason := refuted_by_cases(found, a, b, set_b):
        return Verified(False, reason)
    count = len(found["cases"])
    words = "" if count == 1 else f" in each of {count} cases"
    return Verified(True, f"that {b} queries what {a} does leads to 1 = 0{words}")


def _scale(found: Mapping[str, Any], a: Optimizer, b: Optimizer) -> Verified:
    """What the rule itself queries after a first gradient of each length."""
    (last, query, *impulse), *more = map(place_of, found["answers"])
    if more or last < 1 or (query, impulse) != (0, [0, 0, 0]):
        raise InputError("one query after the first step must be seen, after one gradient of each length")
    lengths = [fraction(text) for text in found["lengths"]]
    if len(set(found["values"])) > 1 and min(lengths) > 0 and scale_free(b):
        return Verified(True, f"{b} queries the same points however long a gradient is, {a} does not")
    if len(set(found["values"])) > 1 and min(lengths) >= 1 and last == 1 and long_alike(b):
        what = f"queries the same second point however long a first gradient is, from {LONG_ALIKE}"
        return Verified(True, f"{b} {what}, {a} does not")
    return Verified(False, "the length of gradients may matter to both rules or to neither")


def _themselves(found: Mapping[str, Any], a: Optimizer, b: Optimizer, known: Any, sought: Any) -> Verified:
    """Both rules are run as they are, and what follows from differences between their queries is multiplied out."""
    if reason := refuted(found, a, b, known, sought):
        return Verified(False, reason)
    many, last = len(found["lines"]), found["lines"][-1]["is"]
    range_ = "" if last == "1" else f", which has no solution in the ranges of {b},"
    return Verified(
        True, f"that both rules, as they are, query the same points leads to {last} = 0{range_} in {many} lines"
    )


def _known(found: Mapping[str, Any], name: str, t: int) -> Any:
    """A hyperparameter of rule a at step t, as a SymPy expression."""
    value = found["hyperparameters"][name]
    return read(value[t] if isinstance(value, list) else value, t)


def _number(text: str, t: int) -> Enclosed:
    """What is written for a hyperparameter, at step t."""
    return Enclosed(evaluated(text, {"t": Enclosed(t)}, Enclosed))


def _within(found: Mapping[str, Any], a: Optimizer, b: Optimizer) -> None:
    """Raise `InputError` unless answers and gradients of a refutation are such as there may be, and no more of them."""
    keys, tables = list(map(place_of, found["answers"])), (tableau(a), tableau(b))
    steps, gradients = range(max(key[0] for key in keys) + 1), range(min(table.gradients for table in tables))
    rows, alike = found["gradients"], found["alike"]
    coordinates = range(max(1, len(rows)))
    for t, query, at, gradient, i in keys:
        seen = query in (RETURNED, *gradients)
        inside = t >= 0 and at >= -1 and seen and gradient in gradients and i in (coordinates if at >= 0 else (0,))
        if not inside or (at < 0 < gradient):
            raise InputError(f"there is no answer of query {query} at t = {t} to gradient {gradient} at t = {at}")
        if at >= 0 and rows and (at not in steps or not fraction(rows[i][at][gradient])):
            raise InputError(f"the sign of no gradient of 0 is turned, as at t = {at}")
    if found["kind"] == "scale" and (rows or any(key[2] < 0 for key in keys)):
        raise InputError("how long gradients are is not seen without gradients, nor with others")
    if len(found["values"]) != len(found["lengths"] if found["kind"] == "scale" else keys):
        raise InputError("there must be one value for each answer")
    used = {i for _, _, at, _, i in keys if at >= 0}
    if len(rows) != (max(used, default=-1) + 1) * bool(rows) or len(alike) != len(rows):
        raise InputError("there must be gradients in as many coordinates as there are answers in")
    for i, each in (*enumerate(rows), *enumerate(alike)):
        if list(map(len, each)) != ([len(gradients)] * len(steps) if i in used else []):
            raise InputError(f"there must be {len(gradients)} gradients at each of {len(steps)} steps")
    firsts = [row for each in alike for row in each]
    if any(row[g] not in range(g + 1) or row[row[g]] != row[g] for row in firsts for g in gradients):
        raise InputError("of each gradient it must be said which is the first one that it is")


def _known_within(document: Mapping[str, Any], a: Optimizer, b: Optimizer, steps: range) -> None:
    """Raise `InputError` unless what is known of the rules' hyperparameters is such as they may be."""
    found, set_a, set_b = document["counterexample"], document["set_a"], document["set_b"]
    for rule, known in ((a, set_a), (b, set_b)):
        for name, text in known.items():
            rule.value(name, text)
    reads = {name for name in a.program().reads if not a.hyperparameters[name].switch}
    if wrong := (reads | set(set_a)) ^ set(found["hyperparameters"]):
        raise InputError(f"there must be one value for each hyperparameter of {a}: {', '.join(sorted(wrong))}")
    declared = a.hyperparameters
    for name in document["varying"]:
        if name not in declared:
            raise unknown(f"hyperparameter of {a}:", name, declared)
    for name, value in found["hyperparameters"].items():
        if name in set_a and value != set_a[name]:
            raise InputError(f"{name} = {value} is not what is given for it, {set_a[name]}")
        if name not in set_a and isinstance(value, str):
            expression(value, {})  # a number, as nothing says that it varies
        varies = name in document["varying"] or isinstance(declared[name].default, Recurrence)
        if isinstance(value, list) and not varies:
            raise InputError(f"{name} must be one number: it is not among what varies")
        if isinstance(value, list) and len(value) != len(steps):
            raise InputError(f"{name} must have a value for each of {len(steps)} steps, not {len(value)}")
        for t in steps:
            a.check(name, _known(found, name, t), t)


def _linear_parts_cannot_tell(b: LinearPart, keys: list[Key], turned: bool) -> str | None:
    """Why a rule may answer what its linear part cannot, None where it may not.

    What is set aside is multiplied by zero as long as there are no gradients, in a rule that a translation moves.
    """
    if all(key[2] < 0 for key in keys) and not left_behind(b) and not any(b.tableau.start):
        return None
    if b.tableau.maps:
        return f"{b.tableau.optimizer} applies {min(b.tableau.maps)[0]}, which knows no scale"
    if b.tableau.factors and any(key[2] >= 0 for key in keys) and not (turned and blind_to_signs(b)):
        return f"what {b.tableau.optimizer} multiplies by depends on the signs of gradients, or on their sizes"
    return None


def _minor(
    found: Mapping[str, Any], keys: list[Key], one: list[Any], b: LinearPart, ask: Callable[[], list[Any]]
) -> Verified:
    import sympy

    since = found["since"]
    if len(since) > 1:
        return Verified(False, "differences are from one query, or from none")
    columns = sorted({key[2] for key in keys})
    rows = sorted({key[0] for key in keys} - set(since))
    ordered = all(c < t for c in columns for t in (*since, *rows)) and all(s < t for t in rows for s in since)
    places = [(row, 0, column, 0, 0) for row in (*since, *rows) for column in columns]
    if len(rows) != len(columns) or not ordered or sorted(keys) != sorted(places):
        return Verified(False, "these answers make no determinant of what the past shows")

    def determinant(shown_by: list[Any]) -> Any:
        at = dict(zip(keys, shown_by, strict=True))
        before = [sum(at[t, 0, column, 0, 0] for t in since) for column in columns]
        shown = [[at[row, 0, c, 0, 0] - s for c, s in zip(columns, before, strict=True)] for row in rows]
        field = Field(entry for line in shown for entry in line)
        return field.expression(field.matrix(sympy.Matrix(shown)).det())

    left = determinant(one)
    if not _is(found["determinant"], left):
        return Verified(False, f"the determinant is {left}")
    states, rule = len(b.tableau.states) - (bool(since) and not left_behind(b)), b.tableau.optimizer
    right = sympy.Integer(0) if states < len(rows) else determinant(ask())
    factors = [factor for factor, _ in sympy.factor_list(sympy.fraction(right)[0])[1]]
    listed = [_expression(text, [right]) for text in found["unless"]]
    if not vanishes(_expression(found["other"], [right]) - right) or not _alike(listed, factors):
        return Verified(False, f"the determinant of {rule} is {right}")
    if states < len(rows) and differs(left):
        return Verified(True, f"a determinant of answers is {left}; that of a rule with the states of {rule} is zero")
    if not factors and differs(left - right):
        return Verified(True, f"a determinant of answers is {left} for one and {right} for the other")
    if not factors or left != 0:
        return Verified(False, "the determinants may agree")
    words = " or ".join(found["unless"])
    return Verified(True, f"a determinant of answers is {left}, which the other's is only if {words} is zero")


def _is(text: str, value: Any) -> bool:
    """Whether a number is the one that is written."""
    return vanishes(read(text, 0) - value)


def _alike(one: list[Any], other: list[Any]) -> bool:
    """Whether two lists of polynomials are one list, up to order and signs."""
    import sympy

    def found(x: Any, among: list[Any]) -> bool:
        return any(0 in (sympy.expand(x - y), sympy.expand(x + y)) for y in among)

    return len(one) == len(other) and all(found(x, other) for x in one) and all(found(y, one) for y in other)


def _identity(found: Mapping[str, Any], one: list[Any], other: list[Any], shown: str, b: Optimizer) -> Verified:
    import sympy

    weights = [_expression(text, other) for text in found["cofactors"]]
    if len(weights) != len(one):
        return Verified(False, "there must be one cofactor an answer")
    field = Field([*weights, *other, *one])
    theirs, factors = ([field.element(x) for x in values] for values in (other, weights))
    divided = {f for value in theirs if value for f in field.factors(1 / value)}
    for factor in (f for weight in factors if weight for f in field.factors(1 / weight)):
        if factor not in divided and -factor not in divided and not differs(factor):
            return Verified(False, f"a cofactor divides by {factor}, which might be zero")
    differences = (y - field.element(x) for x, y in zip(one, theirs, strict=True))
    left = sum((w * d for w, d in zip(factors, differences, strict=True)), field.domain.zero)
    value = field.plain(left)
    if not vanishes(_expression(found["left"], other) - value):
        return Verified(False, f"the combination of differences is {value}, not {found['left']}")
    if not field.vanishes(left - field.domain.one):
        if not never_zero(sympy.fraction(cancelled(value))[0], b):
            return Verified(False, f"the combination of differences is {value}, not 1, and may be zero")
        return Verified(
            True, f"a combination of differences of {shown} is {value}, which has no zero in the ranges of {b}"
        )
    return Verified(True, f"a combination of differences of {shown} is 1, so they cannot all vanish")


def _expression(text: str, among: list[Any]) -> Any:
    """A written expression in the unknowns of some answers; never evaluated as Python."""
    names = {str(s): s for value in among for s in value.free_symbols}
    return expression(text, names)
