"""Formulas of given sequences: how a rule computes what its linear part takes as given (Adam's 1/sqrt(v)).

Two rules are given the same sequence where both have one formula for it whose arguments are equal in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from accelsim.program import Node, Program, evaluate, exact, reachable
from accelsim.rule import Optimizer
from accelsim.symbolic.system.linear_part import LinearPart


@dataclass(frozen=True)
class Formula:
    """Formula of a given sequence. Two are equal if their nodes are, by whatever names of their rules.

    Attributes
    ----------
    text : the formula as a person writes it.
    structure : its nodes, those of the updates of nonlinear and uniform states in it, and the initial values of these.
    states : names of the linear states in it.
    hyperparameters : names of the hyperparameters in it.
    """

    text: str = field(compare=False)
    structure: tuple[Any, ...]
    states: tuple[str, ...]
    hyperparameters: tuple[str, ...]

    def __str__(self) -> str:
        return self.text


def traced_factors(part: LinearPart, given: Mapping[str, Any]) -> dict[str, tuple[str, Node, dict[str, Node]]]:
    """Given sequences of a part as its rule computes them.

    Returns
    -------
    dict by name: the operation by which the factor is applied ("mul" or "div"), its node, and the updates, by state, of
    the nonlinear states that it reads.
    """
    table = part.tableau
    traced = table.optimizer.program(given)
    found = {}
    for factor in table.factors.values():
        operation, index = factor.node.value
        base = traced.nodes[index]
        found[factor.symbol] = (operation, base, _updates(base, traced, table.dropped))
    return found


def formulas(part: LinearPart, given: Mapping[str, Any]) -> dict[str, Formula]:
    """Formula of each given sequence, by name."""
    table = part.tableau
    found = {}
    for symbol, (operation, base, _) in traced_factors(part, given).items():
        updates = _updates(base, table.optimizer.program(given), {*table.dropped, *table.uniform})
        leaves = [node for node in reachable([base, *updates.values()]) if not node.args]
        read = {op: {node.value for node in leaves if node.op == op} for op in ("state", "hyperparameter")}
        starts = {state: _start(table.optimizer, state) for state in updates}
        memory = [f"{state} <- {node!r} from {starts[state]}" for state, node in updates.items()]
        found[symbol] = Formula(
            "; ".join([("1/" if operation == "div" else "") + f"({base!r})", *memory]),
            (operation, *starts.items(), *structure([base, *updates.values()])),
            tuple(sorted(read["state"] - set(updates))),
            tuple(sorted(read["hyperparameter"])),
        )
    return found


def _updates(base: Node, traced: Program, dropped: Iterable[str]) -> dict[str, Node]:
    """The updates of the nonlinear states that a node depends on, through the updates of those it reads too."""
    found: dict[str, Node] = {}
    while True:
        read = {node.value for node in reachable([base, *found.values()]) if node.op == "state"}
        new = (read & set(dropped)) - set(found)
        if not new:
            return dict(sorted(found.items()))
        found |= {state: traced.updates[state] for state in new}


def _start(rule: Optimizer, state: str) -> str:
    return "the initial point" if state in rule.positions else str(exact(rule.memories[state]))


def structure(roots: Iterable[Node]) -> tuple[Any, ...]:
    """Hashable form of what nodes compute.

    It is the same for the same expressions of two traces, in whatever order these made them.
    """
    entries: list[tuple[Any, ...]] = []
    known: dict[int, int] = {}

    def added(*entry: Any) -> int:
        entries.append(entry)
        return len(entries) - 1

    def leaf(node: Node) -> int:
        return added(node.op, exact(node.value) if node.op == "const" else node.value)

    ends = [evaluate(root, leaf, lambda node, below: added(node.op, *below), known) for root in roots]
    return (*entries, tuple(ends))
