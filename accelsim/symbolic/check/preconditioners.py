"""Proofs that given sequences of two rules, computed by different formulas, are multiples of one another.

A claim writes a given sequence of the target in the source's, and each nonlinear state that its formula reads in the
source's nonlinear states. These relations hold at every step if they hold at the start and the updates keep them, for
all states and gradients. The formulas are then compared as sums, products, quotients and roots of the same symbols; any
other function is the same wherever its arguments are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from accelsim.errors import InputError
from accelsim.program import Node, evaluate, operate, reachable
from accelsim.symbolic.algebra.field import elsewhere, shifted, special_steps
from accelsim.symbolic.algebra.language import number, text_of, to_sympy
from accelsim.symbolic.algebra.radicals import Roots
from accelsim.symbolic.algebra.recurrences import Recursions, put
from accelsim.symbolic.system.formulas import traced_factors
from accelsim.symbolic.system.linear_part import LinearPart
from accelsim.symbolic.system.tableau import time

_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg", "pow"})
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """A rule as its formulas are read.

    Attributes
    ----------
    part : its linear part.
    given : its known hyperparameters.
    hyperparameters : by name, the value at step t (SymPy).
    """

    part: LinearPart
    given: Values
    hyperparameters: Values

    @cached_property
    def factors(self) -> dict[str, tuple[str, Node, dict[str, Node]]]:
        """By given sequence, operation, base and updates of nonlinear states (see `traced_factors`)."""
        return traced_factors(self.part, self.given)

    def nodes(self, names: Iterable[str]) -> list[Node]:
        """Nodes in the formulas of some given sequences."""
        found = [self.factors[name] for name in names]
        return reachable(node for _, base, updates in found for node in (base, *updates.values()))

    def divided_by(self, names: Iterable[str]) -> Iterator[Any]:
        """Divisors (SymPy) in the formulas of some given sequences that are the same for all coordinates."""
        value = partial(evaluate, leaf=self._uniform, apply=to_sympy, known={})
        for node in self.nodes(names):
            if node.op == "div" and node.args[1].kind == "uniform":
                yield value(node.args[1])
            elif node.op == "pow" and node.args[0].kind == "uniform" and not value(node.args[1]).is_nonnegative:
                yield value(node.args[0])

    def sequence(self, state: str) -> Any:
        """A uniform state at step t (SymPy): its closed form, or a function of t."""
        import sympy

        return put(sympy.Function(state, real=True)(time()), self.part.forms)

    def _uniform(self, node: Node) -> Any:
        if node.op == "hyperparameter":
            return self.hyperparameters[node.value]
        if node.op == "state":
            return self.sequence(node.value)
        return time() if node.op == "step" else number(node.value)


class Preconditioners:
    """Identities of a claim about given sequences that are different formulas in target and source.

    Parameters
    ----------
    rules : source and target.
    backward : as in the claim.
    transform : T_t as a SymPy matrix.
    nonlinear : function from symbols of the source's nonlinear states, by name, to the target's in these.
    scales : by given sequence of the target, its value in the source's, as functions p(t).
    recursions : of the functions of t in all these.

    Raises
    ------
    InputError
        Where the claim says nothing of a nonlinear state that a formula reads.
    """

    def __init__(
        self,
        rules: tuple[Rule, Rule],
        backward: bool,
        transform: Any,
        nonlinear: Callable[[Values], Values],
        scales: Values,
        recursions: Recursions,
    ) -> None:
        import sympy

        (self.source, self.target), self.scales, self.recursions = rules, scales, recursions
        table = self.source.part.tableau
        free, bound = reversed(rules) if backward else rules
        names = free.part.tableau.states
        linear, dropped = ({name: _symbol(name) for name in each} for each in (names, table.dropped))
        rows = dict(zip(bound.part.tableau.states, transform * sympy.Matrix([*linear.values()]), strict=True))
        ours, theirs = (rows, linear) if backward else (linear, rows)
        self.nonlinear = nonlinear(dropped)
        self.states = (ours | dropped, theirs | dict(self.nonlinear))
        self.point = _symbol("w0")
        self.start = {x: self._started(free, name) for name, x in linear.items()}
        self.start |= {x: self._started(self.source, name) for name, x in dropped.items()}
        self.gradients = [_symbol(f"g{i or ''}") for i in range(table.gradients)]
        self.roots = Roots([*self.start, *self.gradients, self.point])

    @cached_property
    def residuals(self) -> dict[str, Any]:
        """Left side less right side of each identity, by name: at special steps, and at all others."""
        special = self._special_steps()
        found = dict(self._initial())
        for step in (*special, None):
            when = "" if not special else " elsewhere" if step is None else f" at t = {step}"
            found |= {name + when: self.roots.left(value) for name, value in self._at(step)}
        return {name: self._named(value) for name, value in found.items()}

    def divided_by(self) -> Iterator[Any]:
        """Divisors (SymPy) in the formulas that are the same for all coordinates."""
        yield from self.source.divided_by(self._of_source())
        yield from self.target.divided_by(self.scales)

    def assumptions(self) -> Iterator[str]:
        """Sentences on the signs that roots suppose."""
        if any(node.op == "sqrt" for node in self.target.nodes(self.scales)):
            yield "what square roots are taken of is not negative"
        yield from (f"{self._named(self.roots.written(s))} > 0" for s in self._squares if self.roots.moves(s))

    def positive(self) -> list[str]:
        """Texts of expressions in hyperparameters alone that have to be positive for the identities to hold."""
        squares = [square for square in self._squares if not self.roots.moves(square)]
        return [text_of(self.roots.written(square)) for square in squares]

    @cached_property
    def _squares(self) -> list[Any]:
        """Expressions that were taken as positive in the identities."""
        return self.roots.positive if self.residuals else []

    def vanishing(self) -> Iterator[str]:
        """Conditions on divisors that are zero as long as all states and gradients are."""
        import sympy

        nothing = dict.fromkeys(self.roots.moving, sympy.Integer(0))
        for rule, states, names in zip(
            (self.source, self.target), self.states, (self._of_source(), [*self.scales]), strict=True
        ):
            read = self._reader(None, rule, states)
            below = [node.args[1] for node in rule.nodes(names) if node.op == "div" and node.kind != "uniform"]
            below += [base for operation, base, _ in (rule.factors[name] for name in names) if operation == "div"]
            for divisor in (self.roots.written(read(node)) for node in below):
                if divisor.xreplace(nothing) == 0:
                    yield f"{self._named(divisor)} != 0"

    def _named(self, expression: Any) -> Any:
        """An expression with states and gradients by their names."""
        import sympy

        return expression.xreplace({x: sympy.Symbol(x.name) for x in self.roots.moving})

    def _of_source(self) -> list[str]:
        """The source's given sequences in which the target's are written."""
        from sympy.core.function import AppliedUndef

        read = {f.func.__name__ for scale in self.scales.values() for f in scale.atoms(AppliedUndef)}
        return [name for name in self.source.factors if name in read]

    def _updates(self) -> dict[str, Node]:
        """Updates of the target's nonlinear states that the formulas read, by state."""
        return {state: node for name in self.scales for state, node in self.target.factors[name][2].items()}

    def _special_steps(self) -> list[int]:
        import sympy

        said = [*self.scales.values(), *self.nonlinear.values()]
        for rule, states in zip((self.source, self.target), self.states, strict=True):
            said += [*rule.hyperparameters.values(), *states.values()]
        for rule, names in ((self.source, self._of_source()), (self.target, self.scales)):
            nodes = rule.nodes(names)
            said += [rule.sequence(node.value) for node in nodes if node.op == "state" and node.kind == "uniform"]
        said += [shifted(value, 1) for value in self.nonlinear.values()]
        said += map(self.recursions.onward, said[:])  # a sequence may go on otherwise at a step
        nodes = [*self.source.nodes(self._of_source()), *self.target.nodes(self.scales)]
        firsts = {0 for node in nodes if node.op == "first"}
        return sorted({*special_steps(sympy.Tuple(*said)), *firsts})

    def _initial(self) -> Iterator[tuple[str, Any]]:
        for state in self._updates():
            value = self.recursions.at(self._said(state), 0).xreplace(self.start)
            yield f"initial memory in {state}", self.roots.left(value - self._started(self.target, state))

    def _started(self, rule: Rule, state: str) -> Any:
        optimizer = rule.part.tableau.optimizer
        return self.point if state in optimizer.positions else number(optimizer.memories[state])

    def _said(self, state: str) -> Any:
        if state not in self.nonlinear:
            raise InputError(f"the claim does not say what {state} of {self.target.part.tableau.optimizer} is")
        return self.nonlinear[state]

    def _at(self, step: int | None) -> Iterator[tuple[str, Any]]:
        """Names and expressions that vanish if the claim is true, at a step or (None) at all that are not special."""
        from sympy.core.function import AppliedUndef

        one, other = map(partial(self._reader, step), (self.source, self.target), self.states)
        program = self.source.part.tableau.optimizer.program(self.source.given)
        for state, update in self._updates().items():
            ahead = self._here(shifted(self._said(state), 1), step)
            new = {x: one(program.updates[x.name]) for x in ahead.free_symbols & self.start.keys()}
            yield f"update of {state}", ahead.xreplace(new) - other(update)
        for name, scale in self.scales.items():
            now = {f: _symbol(f.func.__name__) for f in scale.atoms(AppliedUndef) if f.args[0] == time()}
            known = {x: one.factor(x.name) for f, x in now.items() if x.name in self.source.factors}
            said = self._here(scale.xreplace({f: x for f, x in now.items() if x in known}), step)
            yield f"given sequence {name}", other.factor(name) - said.xreplace(known)

    def _here(self, expression: Any, step: int | None) -> Any:
        if step is None:
            return elsewhere(self.recursions.onward(elsewhere(expression)))
        return self.recursions.at(expression, step)

    def _reader(self, step: int | None, rule: Rule, states: Values) -> Reader:
        put = self.start if step == 0 else {}  # states are what they start at
        here = partial(self._here, step=step)
        values = {name: here(value).xreplace(put) for name, value in states.items()}
        return Reader(rule, values, here, self.gradients, step, self.roots)


class Reader:
    """Values (SymPy) of the nodes of a rule at a step, or (None) at all steps that are not special."""

    def __init__(
        self,
        rule: Rule,
        states: Values,
        here: Callable[[Any], Any],
        gradients: list[Any],
        step: int | None,
        roots: Roots,
    ) -> None:
        self.rule, self.states, self.here, self.gradients = rule, states, here, gradients
        self.step, self.roots = step, roots
        self.known: dict[int, Any] = {}

    def __call__(self, node: Node) -> Any:
        """Value of a node."""
        return evaluate(node, self._leaf, self._applied, self.known)

    def factor(self, name: str) -> Any:
        """The value of a given sequence."""
        operation, base, _ = self.rule.factors[name]
        return 1 / self(base) if operation == "div" else self(base)

    def _leaf(self, node: Node) -> Any:
        if node.op == "state" and node.kind == "uniform":
            return self.here(self.rule.sequence(node.value))
        if node.op == "state":
            return self.states[node.value]
        if node.op == "gradient":
            return self.gradients[node.value]
        if node.op == "hyperparameter":
            return self.here(self.rule.hyperparameters[node.value])
        return self.here(time()) if node.op == "step" else number(node.value)

    def _applied(self, node: Node, values: list[Any]) -> Any:
        import sympy

        if node.op == "first":
            return self.step == 0
        if node.op == "where":
            return values[1] if values[0] else values[2]
        if node.op == "sqrt":
            return self.roots.root(values[0])
        if node.op in _ARITHMETIC:
            return operate(node, values)
        if node.kind == "uniform":
            return to_sympy(node, values)
        return sympy.Function(f"{node.op}()")(*map(self.roots.cancelled, values))


def nonlinear(
    said: Mapping[str, str], rules: tuple[Rule, Rule], written: Callable[..., Any], symbols: Values
) -> Values:
    """Values of the target's nonlinear states in symbols of the source's: as said, or the state of the same name."""
    told = {state: said.get(state, state if state in symbols else None) for state in rules[1].part.tableau.dropped}
    return {state: written(text, **symbols) for state, text in told.items() if text is not None}


def _symbol(name: str) -> Any:
    import sympy

    return sympy.Dummy(name)
