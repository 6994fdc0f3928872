"""The linear part of a rule as a proof reads it: matrices, what was set aside for them, and what a translation does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from accelsim.errors import InputError, unknown
from accelsim.program import Program, rounded
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import at_first, reduced, shifted
from accelsim.symbolic.algebra.recurrences import Recursions, put
from accelsim.symbolic.system.closed_forms import closed_forms, merged, related_forms
from accelsim.symbolic.system.rule_sequences import sequences
from accelsim.symbolic.system.tableau import Matrices, Tableau, tableau, time


@dataclass(frozen=True)
class LinearPart:
    """A rule's matrices in SymPy with what was set aside for them.

    Attributes
    ----------
    fixed : hyperparameters that are no symbols.
    absorbed : symbols of the given sequences that were taken into the gradient.
    sequences : uniform states without a closed form, memories of recurrences, and what the recurrences are in them.
    forms : closed forms of the others, which the matrices contain in their place.
    """

    tableau: Tableau
    matrices: Matrices
    assumptions: tuple[str, ...]
    fixed: frozenset[str]
    absorbed: frozenset[str] = frozenset()
    sequences: Recursions = field(default_factory=lambda: Recursions({}, {}))
    forms: Mapping[Any, Any] = field(default_factory=dict)

    def replaced(self, symbols: Mapping[Any, Any], *assumptions: str) -> LinearPart:
        """The part with symbols replaced, and why."""
        changed = self.changed(lambda e: e.xreplace(symbols))
        return replace(changed, assumptions=(*self.assumptions, *assumptions))

    def put(self, functions: Mapping[Any, Any]) -> LinearPart:
        """The part with unknown functions of t replaced by expressions in t."""
        return self.changed(lambda e: put(e, functions))

    def changed(self, change: Callable[[Any], Any]) -> LinearPart:
        """The part with every expression changed, and closed forms that are then found in place of sequences."""
        sequences, forms = self.sequences.replaced(change), {f: change(e) for f, e in self.forms.items()}
        return replace(self, matrices=Matrices(*map(change, self.matrices)), sequences=sequences, forms=forms).closed()

    def closed(self) -> LinearPart:
        """The part with closed forms in place of sequences, and of recurrences that are expressions in t alone."""
        if not self.sequences.following and not self.sequences.values:
            return self
        part = self.with_forms(closed_forms(self.sequences))
        return part.with_forms(related_forms(part.sequences, part.sequences.following))

    def with_forms(self, forms: Mapping[Any, Any]) -> LinearPart:
        """The part with these forms in place of sequences, and with the values of recurrences that then are known."""
        from sympy.core.function import AppliedUndef

        rest = self.sequences.without(forms).replaced(lambda e: merged(put(e, forms)))
        plain = {f: e for f, e in rest.values.items() if e.free_symbols <= {time()} and not e.atoms(AppliedUndef)}
        forms = {**forms, **{f: reduced(e) for f, e in plain.items()}}
        if not forms:
            return self
        matrices = Matrices(*(put(m, forms).applyfunc(merged) for m in self.matrices))
        known = {f: put(e, forms) for f, e in self.forms.items()} | forms
        return replace(self, matrices=matrices, sequences=rest.without(plain), forms=known)

    def renamed(self, names: Mapping[Any, Any]) -> LinearPart:
        """The part with sequences called otherwise."""
        calls = {f: new(time()) for f, new in names.items()}
        own = self.sequences.replaced(lambda e: put(e, calls))
        following, start = ({names[f]: e for f, e in part.items()} for part in (own.following, own.start))
        matrices = Matrices(*(put(m, calls) for m in self.matrices))
        forms = {f: put(e, calls) for f, e in self.forms.items()} | calls
        sequences = Recursions(following, start, own.values, following)
        return replace(self, matrices=matrices, sequences=sequences, forms=forms)

    def defined(self, names: Iterable[str]) -> LinearPart:
        """The part with some recurrences written out in their memories."""
        values = {f: e for f, e in self.sequences.values.items() if f.__name__ in names}
        matrices = Matrices(*(put(m, values) for m in self.matrices))
        return replace(self, matrices=matrices, forms={**self.forms, **values})


def linear_part(optimizer: Optimizer, varying: Iterable[str] = (), **values: Any) -> LinearPart:
    """A rule's matrices and what stands between them and the rule.

    A preconditioner that acts on gradients before anything else is taken into the gradient.
    """
    import sympy

    varying = tuple(varying)
    for name in varying:
        if name not in optimizer.hyperparameters:
            raise unknown(f"hyperparameter of {optimizer}:", name, optimizer.hyperparameters)
    table = tableau(optimizer, **values)
    notes = [*_rounded(optimizer.program(values))]
    notes += [f"{name} acts {when} the momentum and is set aside" for name, when in sorted(table.maps)]
    part = LinearPart(table, table.symbolic(varying, **values), tuple(notes), frozenset({*varying, *values}))
    for factor in table.factors.values():
        sequence = sympy.Function(factor.symbol, positive=True)(time())
        what = f"a given positive sequence, acting {factor.when} the momentum"
        if _multiplies_gradients(part.matrices, sequence):
            note = f"g is the preconditioned gradient {factor.symbol}(t) times the gradient, {factor.symbol}(t) {what}"
            part = part.replaced({sequence: sympy.Integer(1)}, note)
            part = replace(part, absorbed=part.absorbed | {factor.symbol})
        else:
            part = replace(part, assumptions=(*part.assumptions, f"{factor.symbol}(t) is {what}"))
    return replace(part, sequences=sequences(table, varying, values)).closed()


def _rounded(traced: Program) -> Iterator[str]:
    """What is said of numbers in a rule that were rounded before it could be read."""
    for node in traced.nodes:
        if node.op == "const" and isinstance(node.value, float) and (fraction := rounded(node.value)):
            yield f"the number {node.value!r} is taken as {fraction}"


def _multiplies_gradients(matrices: Matrices, sequence: Any) -> bool:
    elsewhere = any(m.has(sequence) for m in (matrices.A, matrices.C, matrices.D, matrices.F))
    rest = matrices.B - sequence * matrices.B.subs(sequence, 1)
    return not elsewhere and all(reduced(entry) == 0 for entry in rest)


def left_behind(part: LinearPart) -> list[Any]:
    """What a translation of all positions leaves behind; nothing where the rule is equivariant."""
    import sympy

    a, _, c, _, f = part.matrices
    e = sympy.Matrix(part.tableau.translation)
    ones = sympy.ones(c.rows, 1)
    both = [*(a * e - e), *(c * e - ones), *(f * e - sympy.ones(1, 1))]
    branches = [at_first(x, first) for x in both for first in (True, False)]
    return [x for x in map(reduced, branches) if x != 0]


def without_decay(part: LinearPart) -> tuple[LinearPart, str | None]:
    """The part with the one hyperparameter zero that stands against equivariance (weight decay), and its name.

    Where none does, or none is enough, the part as it is and None.
    """
    import sympy

    left = left_behind(part)
    optimizer = part.tableau.optimizer
    for name, declared in optimizer.hyperparameters.items():
        symbol = sympy.Symbol(name, real=True)
        if name in part.fixed or not declared.holds(0) or not any(x.has(symbol) for x in left):
            continue
        note = f"{name} = 0: with it the rule does not move along with a translation"
        without = part.replaced({symbol: sympy.Integer(0)}, note)
        moves = shifted(without.matrices.C, 1) * without.matrices.B
        if any(entry != 0 for entry in moves) and not left_behind(without):
            return without, name
    return part, None


def equivariant(part: LinearPart) -> LinearPart:
    """The part without its weight decay (see `without_decay`).

    Raises
    ------
    InputError
        If the rule does not move along with a translation even so.
    """
    without, _ = without_decay(part)
    left = left_behind(without)
    if left:
        raise InputError(
            f"{part.tableau.optimizer} does not move along with a translation of all positions (it leaves {left[0]} "
            "behind), so it has no canonical form; weight decay, for one, must be 0"
        )
    return without
