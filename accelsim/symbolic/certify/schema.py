"""Shape of certificates, which are JSON documents, and the counterexamples in them."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from accelsim.errors import InputError
from accelsim.symbolic.check.apart import Apart
from accelsim.symbolic.check.contradictions import AtLength, Case, Cases, Itself, Line, OnSequence, Sign, Term
from accelsim.symbolic.check.counterexample import CONSTANT, SCHEDULED, Counterexample
from accelsim.symbolic.check.responses import Identity, Impulses, Minor, Response, Scale

LARGEST = 1_000_000  # whole number in a certificate
PARTS = 100_000  # of a certificate
STEPS, COORDINATES = 200, 50  # of a refutation
FORMAT = "accelsim certificate 8"  # 7 and before took recurrences for any functions of t
EARLIER = tuple(f"accelsim certificate {number}" for number in range(1, 8))

# -- what a certificate looks like: a type, a list of one shape, one thing or a list (a pair of shapes), an object of
# known names, or of any names (...) --

_RULE = {"name": str, "program": str, "switches": {...: int}}
_EQUIVALENCE = {
    **{"format": str, "kind": str, "source": _RULE, "target": _RULE, "map": {...: str}, "transform": {...: str}},
    **{"backward": bool, "direction": str, "varying": [str], "constant": [str], "given": {...: str}, "returned": bool},
    **{"sequences": {...: {"start": str, "next": str}}, "preconditioners": {...: str}, "nonlinear": {...: str}},
    **{"free": [str], "replaced": [str]},
    **{"identities": [str], "conditions": [str], "assumptions": [str], "up_to": [str]},
}
_BISIMULATION = {
    **{"format": str, "kind": str, "source": _RULE, "target": _RULE, "map": {...: str}, "relation": {...: str}},
    **{"since": int, "varying": [str], "given": {...: str}, "returned": bool, "conditions": [str]},
    **{"free": [str], "replaced": [str]},
}
_REFUTATION = {
    "format": str,
    "kind": str,
    "a": _RULE,
    "b": _RULE,
    "set_a": {...: str},
    "set_b": {...: str},
    "varying": [str],
    "free": [str],
}
_SHOWN = {
    "hyperparameters": {...: str},
    "runs": [{"start": str, "gradients": [[str]], "a": [[str]], "b": [[str]]}],
}
_ANY = {
    **{"kind": str, "hyperparameters": {...: (str, [str])}, "unknown": str, "loose": [str], "values": [str]},
    "shown": _SHOWN,
}
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
    "apart": {
        **{**_ANY, "gradients": [[str]], "answers": [dict.fromkeys(("gradients", "step"), int)]},
    },
    "cases": {
        **{**_ANY, "gradients": [[str]], "answers": [dict.fromkeys(("gradients", "step"), int)]},
        "cases": [
            {"signs": [{"of": str, "is": int}], "lines": [{"is": str, "terms": [{"of": int, "times": str}]}]},
        ],
    },
}


def _shaped(value: Any, shape: Any, place: str) -> None:
    """Raise `InputError` unless a part of a document has a shape."""
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


def validate(document: Any) -> None:
    """Check the shape of a certificate, and its size.

    Raises
    ------
    InputError
        If the document is no certificate, or is beyond the limits of what is checked.
    """
    if isinstance(document, dict) and document.get("format") in EARLIER:
        raise InputError(
            f"this is an {document['format']}, which said nothing of what recurrences are: "
            "ask `accelsim equivalent --json` for a new one"
        )
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
    if known["unknown"] not in (CONSTANT, SCHEDULED) or not answers:
        raise InputError("this is no certificate: unknowns are 'constant' or 'one a step', and there is an answer")
    return None


# -- counterexamples --------------------------------------------------------------------------------------------------

_IMPULSES: dict[str, type[Impulses]] = {kind.kind: kind for kind in (Scale, Minor, Identity)}


def read(document: Mapping[str, Any]) -> Counterexample:
    """Counterexample from a document whose shape is checked already (see `validate`)."""
    parts = {name: value for name, value in document.items() if name not in ("kind", "shown", "answers")}
    parts["relaxed"] = parts.pop("loose")
    answers, kind = document["answers"], document["kind"]
    if kind == Itself.kind:
        lines = _lines(parts.pop("lines"))
        return Itself(**parts, lines=lines, answers=[AtLength(**answer) for answer in answers])
    if kind == Apart.kind:
        return Apart(**parts, answers=[OnSequence(**answer) for answer in answers])
    if kind == Cases.kind:
        cases = [Case(_signs(case["signs"]), _lines(case["lines"])) for case in parts.pop("cases")]
        return Cases(**parts, cases=cases, answers=[OnSequence(**answer) for answer in answers])
    return _IMPULSES[kind](**parts, answers=[Response(**answer) for answer in answers])


def _signs(signs: Sequence[Mapping[str, Any]]) -> list[Sign]:
    return [Sign(sign["of"], sign["is"]) for sign in signs]


def _lines(lines: Sequence[Mapping[str, Any]]) -> list[Line]:
    return [Line(line["is"], [Term(**term) for term in line["terms"]]) for line in lines]
