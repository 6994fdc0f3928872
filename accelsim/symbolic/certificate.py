"""Certificates: JSON documents of an equivalence or a refutation, and their verifier, which searches for nothing.

A certificate names two rules and the hash of their traced programs. For an equivalence it holds map, transform and
direction, the identities that then hold and the conditions under which they do; the verifier has `equivalence.check`
prove the claim again. For a refutation it holds rational hyperparameters of rule a and its answers to impulses; the
verifier runs both rules again, rule b with unknowns for its hyperparameters, and multiplies out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from accelsim.errors import InputError
from accelsim.optimizer import Optimizer
from accelsim.program import evaluate, exact
from accelsim.symbolic.algebra import Field, evaluated
from accelsim.symbolic.equivalence import Equivalence, Verdict, check
from accelsim.symbolic.linear_part import left_behind, linear_part
from accelsim.symbolic.tableau import sympy_functions, tableau, to_sympy

Key = tuple[int, int, int, int, int]  # step and number of a query, of a gradient (step -1: the start), coordinate
FORMAT = "accelsim certificate 1"


def program_hash(rule: Optimizer, switches: Mapping[str, Any] | None = None) -> str:
    """SHA-256 of a rule's traced program, with its states and where they start."""
    program = rule.program(switches)
    lines = [f"{n.index} {n.op} {n.value!r} {[a.index for a in n.args]}" for n in program.nodes]
    lines += [f"query {[point.index for point in stage]}" for stage in program.queries]
    lines += [f"{state} {node.index}" for state, node in program.updates.items()]
    lines += [f"{rule.positions} {dict(rule.memories)} {rule.returns}"]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def of_equivalence(claim: Equivalence, verdict: Verdict) -> dict[str, Any]:
    """The certificate of a proved equivalence."""
    return {
        "format": FORMAT,
        "kind": "equivalence",
        "source": _rule(claim.source, claim.given),
        "target": _rule(claim.target, {}),
        "map": dict(claim.map),
        "transform": dict(claim.transform),
        "backward": claim.backward,
        "direction": claim.direction,
        "varying": list(claim.varying),
        "given": {name: str(value) for name, value in claim.given.items()},
        "returned": claim.returned,
        "identities": sorted(verdict.residuals),
        "conditions": list(verdict.conditions),
        "assumptions": list(verdict.assumptions),
    }


def of_refutation(
    a: Optimizer, b: Optimizer, set_a: Mapping[str, Any], set_b: Mapping[str, Any], counterexample: Mapping[str, Any]
) -> dict[str, Any]:
    """The certificate of a refutation."""
    return {
        "format": FORMAT,
        "kind": "refutation",
        "a": _rule(a, set_a),
        "b": _rule(b, set_b),
        "set_b": {name: str(value) for name, value in set_b.items()},
        "counterexample": dict(counterexample),
    }


def _rule(rule: Optimizer, given: Mapping[str, Any]) -> dict[str, Any]:
    switches = {k: int(given.get(k, v.default)) for k, v in rule.hyperparameters.items() if v.switch}
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
    find : the optimizer of a name; by default those that are known.

    Raises
    ------
    InputError
        If the document is no certificate, or names a rule that does not exist.
    """
    from accelsim import optimizers

    find = find or optimizers.find
    if document.get("format") != FORMAT or document.get("kind") not in ("equivalence", "refutation"):
        raise InputError(f"this is no certificate: its format must be {FORMAT!r}")
    ends = ("source", "target") if document["kind"] == "equivalence" else ("a", "b")
    rules = []
    for end in ends:
        entry = document[end]
        rule = _switched(find(entry["name"]), entry["switches"])
        if program_hash(rule) != entry["program"]:
            return Verified(False, f"{rule} is not the rule that the certificate is about: their programs differ")
        rules.append(rule)
    verify = _equivalence if document["kind"] == "equivalence" else _refutation
    return verify(document, *rules)


def _switched(rule: Optimizer, values: Mapping[str, int]) -> Optimizer:
    """The rule with its switches at these values by default."""
    known = {k: replace(rule.hyperparameters[k], default=v) for k, v in values.items()}
    return replace(rule, hyperparameters={**rule.hyperparameters, **known}) if known else rule


def _equivalence(document: Mapping[str, Any], source: Optimizer, target: Optimizer) -> Verified:
    claim = Equivalence(
        source,
        target,
        map=document["map"],
        transform=document["transform"],
        backward=document["backward"],
        varying=tuple(document["varying"]),
        given=document["given"],
        returned=document["returned"],
    )
    verdict = check(claim)
    if verdict.status != "proved":
        return Verified(False, verdict.reason)
    if sorted(verdict.residuals) != document["identities"]:
        return Verified(False, "the identities are not those of these rules")
    if missing := set(verdict.conditions) - set(document["conditions"]):
        return Verified(False, f"the certificate does not say that {missing.pop()}")
    return Verified(True, verdict.reason)


def _refutation(document: Mapping[str, Any], a: Optimizer, b: Optimizer) -> Verified:
    """Both rules are run again, and the contradiction is multiplied out."""
    import sympy

    found = document["counterexample"]
    keys = [(k["step"], k["query"], k["impulse"], k["gradient"], k["coordinate"]) for k in found["answers"]]
    scheduled = found["unknown"] == "one a step"

    def known(name: str, t: int) -> Any:
        value = found["hyperparameters"][name]
        return _read(value[t] if isinstance(value, list) else value, t)

    def unknown(name: str, t: int) -> Any:
        if name in document["set_b"]:
            return _read(document["set_b"][name], t)
        return sympy.Symbol(f"{name}_{t}" if scheduled else name)

    one = _answers(a, known, found["given"], keys)
    if [str(value) for value in one] != found["values"]:
        return Verified(False, f"{a} answers otherwise")
    if found["kind"] == "scale":
        if one == [0] or not scale_free(b) or any(a.memories.values()) or tableau(a).nonlinearity:
            return Verified(False, "the length of gradients may matter to both rules or to neither")
        return Verified(True, f"{b} queries the same points when gradients are twice as long, {a} does not")
    if found["kind"] == "minor":
        return _minor(found, keys, one, b, lambda: _answers(b, unknown, found["given"], keys))
    return _identity(found, one, _answers(b, unknown, found["given"], keys))


def scale_free(rule: Optimizer) -> bool:
    """Whether multiplying all gradients by a positive number leaves every query point alone.

    Every node is homogeneous in gradients and memories, of degree 0 (positions) or 1 (memories), or has no degree.
    """
    program = rule.program()
    degrees: dict[int, int | None] = {}
    for node in program.nodes:
        below = [degrees[arg.index] for arg in node.args]
        if node.op in ("gradient", "state"):
            degrees[node.index] = int(node.op == "gradient" or node.value in rule.memories)
        elif node.op == "sign" or node.kind == "uniform":
            degrees[node.index] = None if None in below else 0
        elif None in below:
            degrees[node.index] = None
        elif node.op in ("add", "sub"):
            degrees[node.index] = below[0] if below[0] == below[1] else None
        elif node.op in ("mul", "div"):
            degrees[node.index] = below[0] + (below[1] if node.op == "mul" else -below[1])  # type: ignore[operator]
        else:
            degrees[node.index] = below[0] if node.op == "neg" else None
    points = [point for stage in program.queries for point in stage]
    steady = all(degrees[point.index] == 0 for point in points) and not any(rule.memories.values())
    return steady and all(degrees[n.index] == int(k in rule.memories) for k, n in program.updates.items())


def _minor(
    found: Mapping[str, Any], keys: list[Key], one: list[Any], b: Optimizer, ask: Callable[[], list[Any]]
) -> Verified:
    import sympy

    if len(found["since"]) > 1:
        return Verified(False, "differences are from one query, or from none")
    columns = sorted({key[2] for key in keys})
    rows = sorted({key[0] for key in keys} - set(found["since"]))
    ordered = all(c < t for c in columns for t in (*found["since"], *rows))
    if len(rows) != len(columns) or not ordered or any(t <= s for t in rows for s in found["since"]):
        return Verified(False, "these answers make no determinant of what the past shows")

    def determinant(answers: list[Any]) -> Any:
        at = dict(zip(keys, answers, strict=True))
        since = [sum(at[t, 0, column, 0, 0] for t in found["since"]) for column in columns]
        shown = [[at[row, 0, c, 0, 0] - s for c, s in zip(columns, since, strict=True)] for row in rows]
        field = Field(entry for line in shown for entry in line)
        return field.expression(field.matrix(sympy.Matrix(shown)).det())

    left = determinant(one)
    if str(left) != found["determinant"]:
        return Verified(False, f"the determinant is {left}")
    part = linear_part(b)
    moving = bool(found["since"]) and not left_behind(part)
    if left != 0 and len(part.tableau.states) - moving < len(rows):
        return Verified(True, f"a determinant of answers is {left}; that of a rule with the states of {b} is zero")
    right = determinant(ask())
    if left == right:
        return Verified(False, "the determinants agree")
    if not right.free_symbols:
        return Verified(True, f"a determinant of answers is {left} for one and {right} for the other")
    listed = sympy.Mul(*(_expression(text, [right]) for text in found["unless"]))
    factors = [factor for factor, _ in sympy.factor_list(sympy.fraction(right)[0])[1]]
    zero = left == 0 and all(sympy.rem(listed, factor) == 0 for factor in factors)
    words = f"a determinant of answers is {left}, which the other's is only if {' or '.join(found['unless'])} is zero"
    return Verified(True, words) if zero else Verified(False, "the determinants may agree")


def _identity(found: Mapping[str, Any], one: list[Any], other: list[Any]) -> Verified:
    import sympy

    weights = [_expression(text, other) for text in found["cofactors"]]
    if len(weights) != len(one):
        return Verified(False, "there must be one cofactor an answer")
    divided = sympy.Mul(*(sympy.fraction(sympy.cancel(value))[1] for value in other))
    for weight in weights:
        for factor, _ in sympy.factor_list(sympy.fraction(sympy.together(weight))[1])[1]:
            if sympy.rem(divided, factor) != 0:
                return Verified(False, f"a cofactor divides by {factor}, which might be zero")
    left = sympy.cancel(sum(w * (y - x) for w, x, y in zip(weights, one, other, strict=True)))
    if left != 1:
        return Verified(False, f"the combination of differences is {left}, not 1")
    return Verified(True, "a combination of differences of answers is 1, so they cannot all vanish")


def _expression(text: str, answers: list[Any]) -> Any:
    """A written expression in the unknowns of some answers; never evaluated as Python."""
    import sympy

    names = {str(s): s for value in answers for s in value.free_symbols}
    return sympy.sympify(evaluated(text, names, _rational))


def _read(value: Any, t: int) -> Any:
    import sympy

    return sympy.sympify(evaluated(str(value), {**sympy_functions(), "t": sympy.Integer(t)}, _rational))


def _rational(value: Any) -> Any:
    import sympy

    return sympy.Rational(str(exact(value)))


def _answers(
    rule: Optimizer,
    hyperparameter: Callable[[str, int], Any],
    given: Mapping[str, Any],
    keys: list[Key],
) -> list[Any]:
    """What a rule's queries show of a gradient of 1 at one step alone, or (step -1) of a start at 1 without any."""
    last = max(key[0] for key in keys)
    shown: dict[Key, Any] = {}
    for impulse in sorted({key[2:] for key in keys}):
        step, gradient, coordinate = impulse
        sequences = {name: values[coordinate] for name, values in given.items()}
        for t, points in enumerate(_run(rule, hyperparameter, sequences, (step, gradient), last)):
            shown |= {(t, query, *impulse): point for query, point in enumerate(points)}
    return [shown[key] for key in keys]


def _run(rule: Optimizer, hyperparameter: Any, given: Any, impulse: tuple[int, int], last: int) -> list[list[Any]]:
    import sympy

    table = tableau(rule)
    start = sympy.Integer(1 if impulse[0] < 0 else 0)
    full = rule.start(start)
    state = [_rational(full[name]) if not hasattr(full[name], "free_symbols") else full[name] for name in table.states]
    shown = []
    for t in range(last + 1):
        gradients = [sympy.Integer(int((t, g) == impulse)) for g in range(table.gradients)]
        matrices = [_matrix(table, name, t, hyperparameter, given) for name in ("a", "b", "c", "d")]
        column, inputs = sympy.Matrix(state), sympy.Matrix(gradients)
        shown.append([sympy.cancel(x) for x in matrices[2] * column + matrices[3] * inputs])
        state = [sympy.cancel(x) for x in matrices[0] * column + matrices[1] * inputs]
    return shown


def _matrix(table: Any, name: str, t: int, hyperparameter: Any, given: Any) -> Any:
    """A matrix of the tableau at a step, in exact expressions."""
    import sympy

    def leaf(node: Any) -> Any:
        if node.op == "given":
            return sympy.Rational(given[table.factors[node.index].symbol][t])
        if node.op == "hyperparameter":
            return hyperparameter(node.value, t)
        return sympy.Integer(t) if node.op == "step" else _rational(node.value)

    matrix = sympy.zeros(*table.shapes()[name])
    known: dict[int, Any] = {}
    for place, node in getattr(table, name).items():
        matrix[place] = evaluate(node, leaf, to_sympy, known)
    return matrix
