"""Two rules side by side: their linear parts, the second rule's hyperparameters being unknowns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import Any

from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.elimination import followed
from accelsim.symbolic.algebra.field import Field
from accelsim.symbolic.algebra.language import given_value, number
from accelsim.symbolic.check.equivalence import given_sequences, needed, parts_of
from accelsim.symbolic.find.unknowns import MARK, functions_in, substituted
from accelsim.symbolic.system.formulas import formulas
from accelsim.symbolic.system.given_sequences import unlike
from accelsim.symbolic.system.linear_part import LinearPart, left_behind, linear_part
from accelsim.symbolic.system.markov import Side, invariants, side_of, silent, window
from accelsim.symbolic.system.pair import Question
from accelsim.symbolic.system.tableau import time

Following = Mapping[Any, tuple[Any, Any]]  # functions of t, each with its values at t + 1 and t - 1 in those at t


class Comparison:
    """Linear parts of the rules of a question; immutable.

    Attributes
    ----------
    question : the two rules and their settings.
    a, b : both rules as sides; the second rule's unknowns are marked symbols (constants).
    open : the second rule's linear part, its unknowns being functions of t without a mark.
    unknown : names of the second rule's hyperparameters, recurrences and uniform states that are not given.
    derived : names among them that follow recursions.
    """

    def __init__(self, question: Question, clock: Clock) -> None:
        self.question, self.clock, self.relation = question, clock, question.relation
        declared = question.b.hyperparameters.items()
        known = {*question.set_b, *(self.relation.values if self.relation else ())}
        self.unknown = [k for k, h in declared if not h.switch and k not in known]
        source, self.open = self._parts()
        uniform = [f.__name__ for f in self.open.sequences.following if f.__name__ in self.open.tableau.uniform]
        self.unknown += uniform
        self.derived = (*question.derived, *uniform)
        self.a = side_of(source)
        self.b = side_of(self.steady).renamed(self.marked)

    def _parts(self) -> tuple[LinearPart, LinearPart]:
        import sympy

        q, relation = self.question, self.relation
        variable = tuple(k for k, v in q.b.hyperparameters.items() if not v.switch and k not in q.derived)
        source, target = parts_of(linear_part(q.a, q.anything, **q.set_a), linear_part(q.b, variable))
        given = {k: given_value(v) for k, v in q.set_b.items()} | dict(relation.values if relation else {})
        target = target.put({sympy.Function(k, real=True): v for k, v in given.items()})
        target = replace(target, fixed=frozenset(given))
        return source, self._rescaled(target) if relation else target

    def _rescaled(self, part: LinearPart) -> LinearPart:
        """The second rule's part with multiples of the first rule's given sequences; the factors are symbols."""
        import sympy

        for name, scale in self.scales.items():
            sequence = sympy.Function(name, positive=True)(time())
            if name in part.absorbed:
                part = replace(part, matrices=part.matrices._replace(B=part.matrices.B * scale))
            else:
                part = part.replaced({sequence: scale * sequence})
        return part

    # -- the second rule in unknowns --

    @cached_property
    def steady(self) -> LinearPart:
        """The second rule's part with symbols for its unknowns."""
        import sympy

        symbols = {sympy.Function(k, real=True): sympy.Symbol(k, real=True) for k in self.unknown}
        return self.open.put(symbols)

    @property
    def marked(self) -> dict[Any, Any]:
        """Symbols of the unknowns, by the same symbol without its mark."""
        import sympy

        return {sympy.Symbol(k, real=True): sympy.Symbol(k + MARK, real=True) for k in self.unknown}

    @cached_property
    def scheduled(self) -> Side:
        """The second rule as a side, its unknowns being functions of t with a mark."""
        import sympy

        marked = {sympy.Function(k, real=True): sympy.Function(k + MARK, real=True)(time()) for k in self.unknown}
        return side_of(self.open).renamed(marked)

    @cached_property
    def in_matrices(self) -> list[str]:
        """Names of the unknowns in the second rule's matrices."""
        uniform = [k for k in self.derived if k in self.open.tableau.uniform]
        called = {f.func.__name__ for m in self.open.matrices for f in functions_in(m)}
        return [k for k in needed(self.open) if k in self.unknown] + [k for k in uniform if k in called]

    @cached_property
    def in_sequences(self) -> list[str]:
        """Names of the unknowns that recurrences and uniform states of the second rule read, and no matrix does."""
        own = self.open.sequences
        read = {f.func.__name__ for e in (*own.following.values(), *own.values.values()) for f in functions_in(e)}
        return [k for k in self.unknown if k in read and k not in (*self.in_matrices, *self.derived)]

    @property
    def readable(self) -> set[str]:
        """Names of the second rule's recurrences that are formulas."""
        return {f.__name__ for f in (*self.open.sequences.values, *self.open.forms)}

    def at(self, values: Mapping[str, Any]) -> LinearPart:
        """The second rule's part at values of its unknowns (SymPy), by name."""
        import sympy

        return self.open.put({sympy.Function(k, real=True): v for k, v in values.items()})

    def choices(self, name: str) -> list[Any]:
        """Values (SymPy) to try for an unknown that is arbitrary: its default, and plain numbers."""
        import sympy

        plain = [*map(sympy.Rational, (0, 1, "1/2"))]
        if name in self._in_formulas_alone:
            return [self._in_formulas_alone[name]]
        if name in self.derived:
            return [*([sympy.Function(name, real=True)(time())] if name in self.question.functions else []), *plain]
        default = self.question.b.hyperparameters[name].default
        first = [] if default is None or isinstance(default, Recurrence) else [number(default)]
        return list(dict.fromkeys([*first, *plain]))

    @cached_property
    def _in_formulas_alone(self) -> dict[str, Any]:
        """Values of the first rule's hyperparameters that both rules have in formulas of given sequences alone."""
        import sympy

        q, parts = self.question, (self.a.part, self.open)
        left, right = map(given_sequences, parts)
        both = set(q.a.program(q.set_a).reads) & set(q.b.program().reads)
        if not left & right:
            return {}
        found = {}
        for name in both - set(self.a_names) - set(needed(self.open)):
            known, default = q.set_a.get(name), q.a.hyperparameters[name].default
            varies = name in q.varying or isinstance(default, Recurrence)
            symbol = sympy.Function(name, real=True)(time()) if varies else sympy.Symbol(name, real=True)
            found[name] = symbol if known is None else given_value(known)
        return found

    # -- the first rule --

    @cached_property
    def a_names(self) -> dict[str, Any]:
        """The first rule's hyperparameters in its matrices: symbols, or functions of t."""
        found = set().union(*(m.free_symbols | functions_in(m) for m in self.a.part.matrices))
        names = {(x.name if x.is_Symbol else x.func.__name__): x for x in sorted(found, key=str)}
        declared = self.question.a.hyperparameters
        return {k: v if v.is_Symbol else v.func(time()) for k, v in names.items() if k in declared}

    @cached_property
    def a_in_sequences(self) -> dict[str, Any]:
        """The first rule's hyperparameters in its sequences: symbols, or functions of t."""
        own = self.a.part.sequences
        read = [*own.following.values(), *own.values.values(), *self.a.part.forms.values()]
        found = {s.name: s for e in read for s in e.free_symbols if s != time()}
        found |= {f.func.__name__: f.func(time()) for e in read for f in functions_in(e)}
        return {k: v for k, v in found.items() if k in self.question.a.hyperparameters}

    @property
    def varying(self) -> tuple[str, ...]:
        """The first rule's hyperparameters that are unknown functions of t."""
        return self.question.anything

    # -- given sequences --

    @cached_property
    def only_b_has(self) -> list[str]:
        """Names of given sequences of the second rule only."""
        return sorted(given_sequences(self.open) - given_sequences(self.a.part))

    @cached_property
    def two_formulas(self) -> list[str]:
        """Names of given sequences with different formulas in the rules, of which no relation is known."""
        ours, theirs = formulas(self.a.part, self.question.set_a), formulas(self.open, self.question.set_b)
        return [] if self.relation else [name for name in theirs if name in ours and ours[name] != theirs[name]]

    @property
    def unlike(self) -> list[str]:
        """Names of the second rule's given sequences that are not known to be the first rule's."""
        return unlike(self.a.part, self.b.part, self.question.set_a, self.question.set_b)

    @cached_property
    def scales(self) -> dict[str, Any]:
        """Symbols, by name, for known ratios of the second rule's given sequences to the first rule's."""
        import sympy

        taken = {x for rule in (self.question.a, self.question.b) for x in (*rule.states, *rule.hyperparameters)}
        found = {}
        for name, value in (self.relation.scales if self.relation else {}).items():
            called = next(text for i in count() if (text := f"scale_{name}" + "_" * i) not in taken)
            kind = sympy.Function if value.has(time()) or functions_in(value) else sympy.Symbol
            found[name] = kind(called, positive=True)
            found[name] = found[name](time()) if kind is sympy.Function else found[name]
        return found

    @cached_property
    def following(self) -> Following:
        """Recursions of the sequences in the known relation of given sequences."""
        if self.relation is None:
            return {}
        onward, back = self.relation.recursions.following, self.relation.back
        return {f: (onward[f], back[f]) for f in back}

    def unscaled(self, expression: Any, following: Following | None = None) -> Any:
        """An expression or matrix with the values of `scales` in their places, sequences written at t."""
        if not self.scales:
            return expression
        for name, scale in self.scales.items():
            value = self.relation.scales[name] if self.relation else scale
            expression = substituted(expression, {scale: value})
        return at_t(expression, self.following if following is None else following)

    # -- equations --

    def equations(self, b: Side) -> list[Any] | None:
        """Equations under which the rules query the same.

        Parameters
        ----------
        b : the second rule, its unknowns being constants or schedules.

        Returns
        -------
        list of SymPy expressions that have to vanish; None where the numbers of memories differ.

        Raises
        ------
        OutOfTime
            Past the budget.
        """
        a = self.a
        both = a.block is not None and b.block is not None
        if both and a.memory != b.memory:
            return None
        if both and (a.drift is None) == (b.drift is None):
            moving = not (a.constant and b.constant)
            left, right = (invariants(side, moving, self.clock) for side in (a, b))
            return [x - y for x, y in zip(left, right, strict=True)]
        return window(a.part, b.part, self.clock)

    def equations_of_returned(self, b: Side) -> list[Any]:
        """Expressions that have to vanish for the rules to return the same; empty if that is not asked."""
        return window(self.a.part, b.part, self.clock, returned=True) if self.question.returned else []

    @cached_property
    def scheduled_equations(self) -> list[Any] | None:
        """Equations for schedules, of two rules of one memory; None where no schedules will do."""
        one = self.a.memory in (0, 1) and self.a.memory == self.b.memory
        return self.equations(self.scheduled) if one and self.unknown else None

    # -- weight decay --

    @cached_property
    def both_decay(self) -> bool:
        """Whether both rules have weight decay that breaks translation equivariance unless it is zero."""
        return bool(self.a.decay and self.b.decay) and self.decay_is_zero

    @cached_property
    def decay_is_zero(self) -> bool:
        """Proof that the second rule is equivariant, and follows gradients, at weight decay zero only."""
        import sympy

        decay = sympy.Symbol(str(self.b.decay), real=True)
        for rest in left_behind(self.steady):  # all of which would have to be zero
            over = Field([rest])
            if all(f == decay or self._stops(f) for f in over.factors(over.element(rest))):
                return True
        return False

    def _stops(self, factor: Any) -> bool:
        """Whether the second rule follows no gradients wherever a factor is zero."""
        unknown = {s for s in factor.free_symbols if s.name in self.unknown}
        if factor not in unknown:
            return not unknown
        return silent(self.steady.replaced({factor: factor * 0}), self.clock)


def at_t(expression: Any, following: Following) -> Any:
    """An expression or matrix with values of sequences near t written in those at t."""
    for f, (onward, back) in following.items():
        expression = followed(expression, f, onward, back)
    return expression
