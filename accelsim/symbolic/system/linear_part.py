"""Linear part of a rule as proofs read it: SymPy matrices, what was set aside for them, translation equivariance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from accelsim.errors import unknown
from accelsim.program import Program, rounded
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.budget import kept
from accelsim.symbolic.algebra.field import at_first, reduced, shifted
from accelsim.symbolic.algebra.recurrences import Recursions, put
from accelsim.symbolic.system.closed_forms import closed_forms, merged, related_forms
from accelsim.symbolic.system.positivity import positive_sequences
from accelsim.symbolic.system.rule_sequences import sequences
from accelsim.symbolic.system.tableau import Matrices, Tableau, tableau, time

_KEPT = 256  # linear parts


@dataclass(frozen=True)
class LinearPart:
    """Matrices of a rule in SymPy, with what was set aside for them.

    Attributes
    ----------
    tableau : the rule's matrices as traced.
    matrices : A (k, k), B (k, G), C (G, k), D (G, G), F (1, k) for k states and G gradients a step.
    assumptions : sentences on what was set aside.
    fixed : names of hyperparameters that are not symbols, being given or functions of t.
    positive : names of the given sequences that are proved to be positive.
    absorbed : names of the given sequences that were taken into the gradient.
    sequences : recursions of uniform states without a closed form and of memories of recurrences, and the values of
        recurrences in them.
    forms : by function of t, closed forms that the matrices contain in place of other sequences.
    """

    tableau: Tableau
    matrices: Matrices
    assumptions: tuple[str, ...]
    fixed: frozenset[str]
    positive: frozenset[str]
    absorbed: frozenset[str] = frozenset()
    sequences: Recursions = field(default_factory=lambda: Recursions({}, {}))
    forms: Mapping[Any, Any] = field(default_factory=dict)

    def replaced(self, symbols: Mapping[Any, Any], *assumptions: str) -> LinearPart:
        """Part with symbols replaced, and sentences on why added to the assumptions."""
        changed = self.changed(lambda e: e.xreplace(symbols))
        return replace(changed, assumptions=(*self.assumptions, *assumptions))

    def put(self, functions: Mapping[Any, Any]) -> LinearPart:
        """Part with unknown functions of t replaced by expressions in t, at each shift."""
        return self.changed(lambda e: put(e, functions))

    def changed(self, change: Callable[[Any], Any]) -> LinearPart:
        """Part with a function applied to every expression; closed forms that appear replace sequences."""
        sequences, forms = self.sequences.replaced(change), {f: change(e) for f, e in self.forms.items()}
        return replace(self, matrices=Matrices(*map(change, self.matrices)), sequences=sequences, forms=forms).closed()

    def closed(self) -> LinearPart:
        """Part with closed forms in place of sequences, and of recurrences that depend on t alone."""
        if not self.sequences.following and not self.sequences.values:
            return self
        part = self.with_forms(closed_forms(self.sequences))
        return part.with_forms(related_forms(part.sequences, part.sequences.following))

    def with_forms(self, forms: Mapping[Any, Any]) -> LinearPart:
        """Part with given forms in place of sequences, and values of recurrences that are then known."""
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
        """Part with other names for its sequences."""
        calls = {f: new(time()) for f, new in names.items()}
        own = self.sequences.replaced(lambda e: put(e, calls))
        following, start = ({names[f]: e for f, e in part.items()} for part in (own.following, own.start))
        matrices = Matrices(*(put(m, calls) for m in self.matrices))
        forms = {f: put(e, calls) for f, e in self.forms.items()} | calls
        sequences = Recursions(following, start, own.values, following)
        return replace(self, matrices=matrices, sequences=sequences, forms=forms)

    def defined(self, names: Iterable[str]) -> LinearPart:
        """Part with some recurrences written in their memories."""
        values = {f: e for f, e in self.sequences.values.items() if f.__name__ in names}
        matrices = Matrices(*(put(m, values) for m in self.matrices))
        return replace(self, matrices=matrices, forms={**self.forms, **values})


def linear_part(optimizer: Optimizer, varying: Iterable[str] = (), **values: Any) -> LinearPart:
    """Linear part of a rule.

    A preconditioner that acts on gradients before anything else is taken into the gradient. The parts asked for last
    are remembered.

    Parameters
    ----------
    varying : hyperparameters that are unknown functions of t.
    **values : hyperparameters that are known: numbers, schedules or texts in t.

    Raises
    ------
    InputError
        For an unknown name in `varying`, or a rule without a linear part.
    """
    return _linear_part(optimizer, tuple(varying), **values)


@kept(_KEPT)
def _linear_part(optimizer: Optimizer, varying: tuple[str, ...], **values: Any) -> LinearPart:
    import sympy

    for name in varying:
        if name not in optimizer.hyperparameters:
            raise unknown(f"hyperparameter of {optimizer}:", name, optimizer.hyperparameters)
    table = tableau(optimizer, **values)
    notes = [*_rounded(optimizer.program(values))]
    notes += [f"{name} acts {when} the momentum and is set aside" for name, when in sorted(table.maps)]
    matrices, fixed = table.symbolic(varying, **values), frozenset({*varying, *values})
    positive = positive_sequences(table, **{k: v for k, v in values.items() if optimizer.hyperparameters[k].switch})
    part = LinearPart(table, matrices, tuple(notes), fixed, positive)
    for factor in table.factors.values():
        sequence = sympy.Function(factor.symbol, positive=True)(time())
        given = "positive sequence" if factor.symbol in positive else "sequence, which may be zero or negative"
        what = f"a given {given}, acting {factor.when} the momentum"
        if _multiplies_gradients(part.matrices, sequence):
            note = f"g is the preconditioned gradient {factor.symbol}(t) times the gradient, {factor.symbol}(t) {what}"
            part = part.replaced({sequence: sympy.Integer(1)}, note)
            part = replace(part, absorbed=part.absorbed | {factor.symbol})
        else:
            part = replace(part, assumptions=(*part.assumptions, f"{factor.symbol}(t) is {what}"))
    return replace(part, sequences=sequences(optimizer, varying, values)).closed()


def _rounded(traced: Program) -> Iterator[str]:
    """Sentences on numbers of a rule that were rounded before it could be read."""
    for node in traced.nodes:
        if node.op == "const" and isinstance(node.value, float) and (fraction := rounded(node.value)):
            yield f"the number {node.value!r} is taken as {fraction}"


def _multiplies_gradients(matrices: Matrices, sequence: Any) -> bool:
    elsewhere = any(m.has(sequence) for m in (matrices.A, matrices.C, matrices.D, matrices.F))
    rest = matrices.B - sequence * matrices.B.subs(sequence, 1)
    return not elsewhere and all(reduced(entry) == 0 for entry in rest)


def left_behind(part: LinearPart) -> list[Any]:
    """Defects of translation equivariance: entries of A e - e, C e - 1, F e - 1 for e the translation of all positions.

    It is empty for an equivariant rule.
    """
    import sympy

    a, _, c, _, f = part.matrices
    e = sympy.Matrix(part.tableau.translation)
    ones = sympy.ones(c.rows, 1)
    both = [*(a * e - e), *(c * e - ones), *(f * e - sympy.ones(1, 1))]
    branches = [at_first(x, first) for x in both for first in (True, False)]
    return [x for x in map(reduced, branches) if x != 0]


def without_decay(part: LinearPart) -> tuple[LinearPart, str | None]:
    """Part at zero of the hyperparameter that breaks translation equivariance (weight decay).

    Returns
    -------
    part : at zero of that hyperparameter; as it was where there is none, or one is not enough.
    name : of the hyperparameter; None where there is none.
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
