"""Rules as Coq modules: linear parts as traced, node by node, with given sequences for what is not linear."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from accelsim.errors import InputError
from accelsim.program import Node, evaluate, exact, operate, reachable
from accelsim.symbolic.system.linear_part import LinearPart

Key = tuple[str, str]  # what a name is for ("state", "hyperparameter", "given", "sequence"), and the name

ATOM = 9  # the rank of what needs no brackets anywhere
_INFIX = {"add": ("+", 1), "sub": ("-", 1), "mul": ("*", 2), "div": ("/", 2)}
_FUNCTIONS = {"sqrt": "sqrt", "exp": "exp", "log": "ln", "cos": "cos", "abs": "Rabs"}
_FUNCTIONS |= {"minimum": "Rmin", "maximum": "Rmax"}
_TAKEN = """
as at cofix else end exists exists2 fix for forall fun if in let match mod return then using where with
Definition Lemma Prop SProp Section Set Theorem Type R Z nat S O INR IZR pow Rpower sqrt exp ln cos Rabs Rmin Rmax
t s h g w0 state row State Row query step start returned run shown carried source target transform Source Target
source_step target_step source_query target_query starts steps queries _
Axiom Axioms Admitted Qed Defined Hypothesis Variable Variables Parameter Theorem Proof Ltac Module End Record Print
same_queries same_returned two_memories determinant minor response move impulse unfolded Nat Rpow_def followed agree
"""
_MADE = re.compile(r"nonzero\d+|g\d*|.*_(positive|start|next|value|form|first)")  # what files call their own


def names(keys: Iterable[Key]) -> dict[Key, str]:
    """Valid and distinct Coq names, by key."""
    found: dict[Key, str] = {}
    taken = set(_TAKEN.split())
    for key in dict.fromkeys(keys):
        wanted = re.sub(r"\W", "_", key[1], flags=re.ASCII)
        while wanted in taken or _MADE.fullmatch(wanted):
            wanted += "_"
        taken.add(wanted)
        found[key] = wanted
    return found


def shift(node: Any) -> int | None:
    """k of a node that is t + k for an integer k; None for any other."""
    if not isinstance(node, Node) or any(n.op not in ("step", "const", "add", "sub") for n in reachable([node])):
        return None
    here, ahead = (evaluate(node, partial(_at, t), operate, {}) for t in (0, 1))
    return int(here) if here == int(here) and ahead - here == 1 else None


def _at(t: int, leaf: Node) -> Any:
    return exact(t if leaf.op == "step" else leaf.value)


def first(condition: Node) -> int:
    """k of a condition that step t + k is the first.

    Raises
    ------
    InputError
        If no step satisfies the condition.
    """
    k = shift(condition.args[0]) if condition.args else condition.value
    if k is None or k > 0:
        raise InputError(f"{condition} is no condition that a step can satisfy")
    return int(k)


def step_in_z(k: int, t: str = "t") -> str:
    """Coq term of the integer t + k."""
    return t if k == 0 else f"({t} {'+' if k > 0 else '-'} {abs(k)})%Z"


def _number(value: Any) -> tuple[str, int]:
    number = exact(value)
    top, bottom = abs(number.numerator), number.denominator
    text, rank = (f"{top} / {bottom}", 2) if bottom > 1 else (str(top), ATOM)
    return (f"- ({text})", 0) if number < 0 else (text, rank)


@dataclass(frozen=True)
class Terms:
    """Writer of nodes in Coq.

    Attributes
    ----------
    leaf : function that names a node without arguments, steps and numbers apart.
    known : by index, names of nodes that have one.
    """

    leaf: Callable[[Node], str]
    known: Mapping[int, str]

    def __call__(self, node: Node, rank: int = 0) -> str:
        """The node, in brackets where its outermost operation binds weaker than `rank`."""
        if node.index in self.known:
            return self.known[node.index]
        text, own = self._ranked(node)
        return f"({text})" if own < rank else text

    def _ranked(self, node: Node) -> tuple[str, int]:
        k = shift(node)
        if k is not None:
            return f"IZR {step_in_z(k)}" if k < 0 else (f"INR ({k} + t)" if k else "INR t"), 8
        if node.op == "const":
            return _number(node.value)
        if not node.args:
            text = self.leaf(node)
            return text, 8 if " " in text else ATOM
        if node.op in _INFIX:
            sign, rank = _INFIX[node.op]
            return f"{self(node.args[0], rank)} {sign} {self(node.args[1], rank + 1)}", rank
        if node.op in _FUNCTIONS:
            return " ".join([_FUNCTIONS[node.op], *(self(arg, ATOM) for arg in node.args)]), 8
        if node.op == "neg":
            return f"- {self(node.args[0], 3)}", 0
        if node.op == "where":
            condition, one, other = node.args
            return f"if Nat.eqb t {-first(condition)} then {self(one)} else {self(other)}", 0
        if node.op == "pow":
            return self._power(*node.args)
        raise InputError(f"{node.op} has no counterpart in Coq's real numbers")

    def _power(self, base: Node, exponent: Node) -> tuple[str, int]:
        text, k = self(base, 5), shift(exponent)
        if k is not None:
            return (f"{text} ^ t / {text} ^ {-k}", 2) if k < 0 else (f"{text} ^ ({k} + t)", 4)
        number = exact(exponent.value) if exponent.op == "const" else None
        if number is None or number.denominator > 1:
            return f"Rpower {self(base, ATOM)} {self(exponent, ATOM)}", 8
        return (f"/ {text} ^ {-number}", 2) if number < 0 else (f"{text} ^ {number}", 4)


class Rule:
    """Rule as a Coq module.

    Attributes
    ----------
    name : "Source" or "Target".
    part, table : its linear part and tableau.
    nodes : all nodes in its query points and new states.
    row : its hyperparameters and given sequences, the arguments of a step beside the state.
    names : Coq names of its states and its row, by key.
    """

    def __init__(self, name: str, part: LinearPart, switches: Mapping[str, Any]) -> None:
        self.name, self.part, self.table = name, part, part.tableau
        program = self.table.optimizer.program(switches)
        self.weights = {factor.node.value: factor.node for factor in self.table.factors.values()}
        self.linear: dict[int, Node] = {}
        self.points = [self._linear(point) for stage in program.queries for point in stage]
        self.updates = {state: self._linear(program.updates[state]) for state in self.table.states}
        self.nodes = reachable([*self.points, *self.updates.values()])
        self.row = [key for key in dict.fromkeys(map(self.parameter, self.nodes)) if key]
        self.names = names([*(("state", state) for state in self.table.states), *self.row])
        self.gradients = [f"g{j or ''}" for j in range(self.table.gradients)]

    def _linear(self, node: Node) -> Node:
        """Node without signs, and with a given sequence in place of a factor that is not linear."""
        if node.kind == "uniform" or not node.args:
            return node
        if node.index not in self.linear:
            self.linear[node.index] = self._rebuilt(node)
        return self.linear[node.index]

    def _rebuilt(self, node: Node) -> Node:
        if node.op in ("sign", "orthogonalize"):
            return self._linear(node.args[0])
        for one, other in (node.args, node.args[::-1]) if node.op in ("mul", "div") else ():
            if (node.op, other.index) in self.weights:
                return node.tape.node("mul", self._linear(one), self.weights[node.op, other.index])
        return node.tape.node(node.op, *map(self._linear, node.args))

    def parameter(self, node: Node) -> Key | None:
        """Key of the entry of the row that a node reads; None for any other node."""
        if node.op == "given":
            return "given", self.table.factors[node.index].symbol
        if node.op == "state" and node.value in self.table.uniform:
            return "uniform", node.value
        return ("hyperparameter", node.value) if node.op == "hyperparameter" else None

    @property
    def several(self) -> str:
        """Coq type of the gradients of a step, and of its query points."""
        return " * ".join("R" for _ in self.gradients)

    @property
    def opened(self) -> str:
        """Coq term that binds the gradients of a step; empty for one gradient."""
        return f"let '{joined(self.gradients)} := g in " if len(self.gradients) > 1 else ""

    def text(self) -> str:
        """Text of the module."""
        optimizer, states = self.table.optimizer, self.table.states
        start = ["w0" if s in optimizer.positions else in_brackets(optimizer.memories[s]) for s in states]
        called = {node.index: f"{self.names['state', state]}'" for state, node in self.updates.items()}
        asked, point = self._shared(self.points, called)
        made, update = self._shared(self.updates.values(), called)
        notes = [f"{optimizer}: {optimizer.doc}", optimizer.source, *self.part.assumptions]
        return f"""
{comment(*notes)}
Module {self.name}.
  Record state := State {{ {_fields(self.names["state", s] for s in states)} }}.
  Record row := Row {{ {_fields(self.names[key] for key in self.row)} }}.
  Definition start (w0 : R) : state := State {" ".join(start)}.
  Definition query (t : nat) (h : row) (s : state) (g : {self.several}) : {self.several} :=
    {self.opened}{asked}{joined(map(point, self.points))}.
  Definition step (t : nat) (h : row) (s : state) (g : {self.several}) : state :=
    {self.opened}{made}State {" ".join(update(node, ATOM) for node in self.updates.values())}.
  Definition returned (s : state) : R := {self.names["state", optimizer.returns]} s.
End {self.name}.
"""

    def _shared(self, roots: Iterable[Node], called: Mapping[int, str]) -> tuple[str, Terms]:
        """Bindings for nodes that are used more than once, and the writer that uses them."""
        roots = list(roots)
        nodes = reachable(roots)
        used = Counter([root.index for root in roots] + [arg.index for node in nodes for arg in node.args])
        known: dict[int, str] = {}
        terms, lets = Terms(self._leaf, known), []
        for node in nodes:
            if used[node.index] > 1 and node.args and node.op != "first" and shift(node) is None:
                name = called.get(node.index, f"n{node.index}'")
                lets.append(f"let {name} := {terms(node)} in\n    ")
                known[node.index] = name
        return "".join(lets), terms

    def _leaf(self, node: Node) -> str:
        if node.op == "gradient":
            return self.gradients[node.value]
        key = self.parameter(node)
        return f"{self.names[key]} h" if key else f"{self.names['state', node.value]} s"


def _fields(names: Iterable[str]) -> str:
    return "; ".join(f"{name} : R" for name in names)


def joined(terms: Iterable[str]) -> str:
    """Coq term of one or several terms, a tuple of these."""
    found = list(terms)
    return found[0] if len(found) == 1 else f"({', '.join(found)})"


def in_brackets(value: Any) -> str:
    """Coq term of a number as an argument."""
    text, rank = _number(value)
    return text if rank == ATOM else f"({text})"


def comment(*lines: str) -> str:
    """Coq comment of some lines."""
    text = "\n   ".join(" ".join(line.split()) for line in lines)
    return f"(* {text.replace('(*', '( *').replace('*)', '* )').replace(chr(34), chr(39))} *)"
