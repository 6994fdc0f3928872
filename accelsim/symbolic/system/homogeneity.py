"""Invariance of a rule under changes of its gradients: of their length (signs, clipping), or of their signs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from accelsim.program import Node, evaluate
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.language import number, to_sympy
from accelsim.symbolic.system.linear_part import LinearPart

LONG_ALIKE = "1 on, at hyperparameters in their ranges"  # what `long_alike` says


def scale_free(rule: Optimizer) -> bool:
    """Positive homogeneity of degree 0: proof that multiplying all gradients by a positive number changes no query.

    By induction over the nodes, each is homogeneous in gradients and memories, of degree 0 (positions) or 1 (memories).
    False means that it was not proved.
    """
    program = rule.program()
    degrees: dict[int, int | None] = {}
    for node in program.nodes:
        below = [degrees[arg.index] for arg in node.args]
        if node.op in ("sign", "orthogonalize") or node.kind == "uniform":
            degrees[node.index] = None if None in below else 0
        elif node.op in ("gradient", "state"):
            degrees[node.index] = int(node.op == "gradient" or node.value in rule.memories)
        elif None in below:
            degrees[node.index] = None
        elif node.op in ("add", "sub"):
            degrees[node.index] = below[0] if below[0] == below[1] else None
        elif node.op in ("mul", "div"):
            degrees[node.index] = below[0] + (below[1] if node.op == "mul" else -below[1])  # type: ignore[operator]
        else:
            degrees[node.index] = below[0] if node.op == "neg" else None
    points = [point for stage in program.queries for point in stage]
    vectors = [name for name in rule.states if name not in program.uniform]
    memories = {name: rule.memories[name] for name in vectors if name in rule.memories}
    steady = all(degrees[point.index] == 0 for point in points) and not any(memories.values())
    return steady and all(degrees[program.updates[k].index] == int(k in memories) for k in vectors)


def long_alike(rule: Optimizer) -> bool:
    """Proof that the second query is the same after a first gradient of any length of at least `LONG_ALIKE`.

    It is about one coordinate and all hyperparameters in their ranges, which may vary from step to step. False means
    that it was not proved.
    """
    import sympy

    program = rule.program()
    if sum(map(len, program.queries)) != 1:
        return False
    longer = sympy.Symbol("longer", nonnegative=True)
    start = {name: number(value) for name, value in rule.start(0).items()}
    after = _values(rule, list(program.updates.values()), start, 1 + longer, 0)
    state = dict(zip(program.updates, after, strict=True))
    (second,) = _values(rule, [program.queries[0][0]], state, None, 1)
    return not second.has(longer)


def _values(rule: Optimizer, nodes: list[Node], state: Mapping[str, Any], gradient: Any, t: int) -> list[Any]:
    """Values of nodes at a step of a run in one coordinate, as SymPy expressions."""
    import sympy

    def leaf(node: Node) -> Any:
        if node.op == "hyperparameter":
            return _in_range(rule, node.value, t)
        if node.op == "state":
            return state[node.value]
        if node.op == "gradient":
            return gradient
        return sympy.Integer(t) if node.op == "step" else number(node.value)

    known: dict[int, Any] = {}
    return [evaluate(node, leaf, _applied, known) for node in nodes]


def _in_range(rule: Optimizer, name: str, t: int) -> Any:
    """A hyperparameter at a step, in a symbol of at least 0 where its range allows that."""
    import sympy

    declared = rule.hyperparameters[name]
    if declared.switch:
        return sympy.Integer(int(declared.default))
    if declared.low != 0 or not (declared.high == math.inf or (declared.high == 1 and declared.open_high)):
        return sympy.Symbol(f"{name}[{t}]", real=True)
    symbol = sympy.Symbol(f"{name}[{t}]", nonnegative=True)
    return symbol if declared.high == math.inf else symbol / (1 + symbol)


def _applied(node: Node, values: list[Any]) -> Any:
    import sympy

    if node.op == "total":
        return values[0]
    if node.op == "orthogonalize":  # times a number
        return sympy.sign(values[0])
    if node.op == "maximum":
        for one, other in (values, values[::-1]):
            if _nonnegative(one - other):
                return one
    if node.op == "sqrt":
        return _root(values[0])
    return sympy.cancel(to_sympy(node, values))


def _root(square: Any) -> Any:
    """Square root of a square of a nonnegative expression; any other root as it is."""
    import sympy

    if not square.is_rational_function():
        return sympy.sqrt(square)
    number, above = sympy.factor_list(sympy.fraction(sympy.cancel(square))[0])
    other, below = sympy.factor_list(sympy.fraction(sympy.cancel(square))[1])
    halves = [(base, sympy.Rational(power, 2)) for base, power in (*above, *((b, -p) for b, p in below))]
    if all(power.is_Integer and _nonnegative(base) for base, power in halves) and number / other >= 0:
        return sympy.sqrt(number / other) * sympy.Mul(*(base**power for base, power in halves))
    return sympy.sqrt(square)


def _nonnegative(value: Any) -> bool:
    """Proof that a quotient of polynomials in nonnegative symbols is at least 0: it has no minus."""
    import sympy

    parts = sympy.fraction(sympy.cancel(value))
    if not all(symbol.is_nonnegative for symbol in value.free_symbols) or not value.is_rational_function():
        return False
    return all(c >= 0 for part in parts for c in sympy.Poly(part, *value.free_symbols or [sympy.Dummy()]).coeffs())


def blind_to_signs(part: LinearPart) -> bool:
    """Proof that the given sequences of a part do not depend on the signs of gradients.

    By induction over their nodes, each is a product of gradients of its step, each at most once, and of nodes that do
    not see signs, as g*g. Nonlinear states do not if their updates do not; linear states do.
    """
    table = part.tableau
    program = table.optimizer.program()
    seen: dict[int, frozenset[Any] | None] = {}  # the gradients whose sign a node has; None where it is not known
    for node in program.nodes:
        seen[node.index] = _signs(node, [seen[arg.index] for arg in node.args], table.dropped)
    bases = [program.nodes[factor.node.value[1]] for factor in table.factors.values()]
    updates = [program.updates[state] for state in table.dropped]
    return not table.maps and all(seen[node.index] == frozenset() for node in (*bases, *updates))


def _signs(node: Node, below: list[frozenset[Any] | None], blind: Collection[str]) -> frozenset[Any] | None:
    nothing: frozenset[Any] = frozenset()
    if node.kind == "uniform":
        return nothing
    if node.op in ("state", "gradient"):
        return frozenset({node.value}) if node.op == "gradient" else nothing if node.value in blind else None
    if None in below:
        return None
    if node.op in ("mul", "div"):
        return below[0] ^ below[1]  # type: ignore[operator]
    if node.op in ("neg", "abs"):
        return below[0] if node.op == "neg" else nothing
    if node.op == "pow" and node.args[1].op == "const" and node.args[1].value == int(node.args[1].value):
        return below[0] if int(node.args[1].value) % 2 else nothing
    if node.op in ("add", "sub", "where"):
        kept = below[-2:]
        return kept[0] if kept[0] == kept[1] else None
    return nothing if not any(below) else None
