"""Ratios of given sequences: hyperparameters at which the second rule's formula is a multiple of the first rule's.

The second rule's hyperparameters in its formula are unknown functions of t, and so are the ratios of nonlinear states,
of roots, and of the sequences. Updates, squares and formulas must agree for all states and gradients: one polynomial
equation for each of their monomials, solved by elimination.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import permutations, product
from numbers import Real
from typing import Any

from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.elimination import solve
from accelsim.symbolic.algebra.field import at_first, elsewhere, infinite, shifted
from accelsim.symbolic.algebra.language import given_value, number, text_of
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.check.preconditioners import Reader, Rule
from accelsim.symbolic.find.identities import KeptRoots, conditions, positive_root, without_powers
from accelsim.symbolic.find.unknowns import MARK, functions_in, name_of, substituted
from accelsim.symbolic.system.linear_part import LinearPart
from accelsim.symbolic.system.pair import Question, Relation
from accelsim.symbolic.system.tableau import Translation, time

ENOUGH = 2  # solutions of a system of equations
MOST = 6  # ways to pair states, or roots, that are tried
Values = Mapping[Any, Any]


class Relating:
    """Relations of given sequences of the same name in both rules.

    Parameters
    ----------
    parts : both rules' linear parts.
    names : of the given sequences.

    Attributes
    ----------
    obstructions : expressions, one of which has to vanish for there to be a relation.
    """

    def __init__(self, question: Question, parts: tuple[LinearPart, LinearPart], names: Sequence[str], clock: Clock):
        self.q, self.parts, self.names, self.clock = question, parts, names, clock
        self.following: dict[Any, tuple[Any, Any]] = {}
        self.obstructions: list[Any] = []  # what would have to be zero
        self.first = Rule(parts[0], question.set_a, self._known())
        self.second = Rule(parts[1], {}, self._unknown())

    def _known(self) -> dict[str, Any]:
        q = self.q
        translate = Translation(q.a, q.varying, q.set_a, self.parts[0].tableau.factors)
        read = (k for k in q.a.program(q.set_a).reads if not q.a.hyperparameters[k].switch)
        return {name: translate.hyperparameter(name) for name in read}

    def _unknown(self) -> dict[str, Any]:
        q = self.q
        read = [k for k in q.b.program().reads if not q.b.hyperparameters[k].switch]
        given = {name: given_value(value) for name, value in q.set_b.items() if name in read}
        return {name: _at_t(name + MARK) for name in read} | given

    @cached_property
    def updates(self) -> dict[str, Any]:
        """Updates of the second rule's nonlinear states that its formulas read, by state."""
        return {state: node for name in self.names for state, node in self.second.factors[name][2].items()}

    def relations(self) -> Iterator[Relation]:
        """Relations of the given sequences: with equal states first, then with constant multiples, then with any.

        Raises
        ------
        OutOfTime
            Past the budget of the clock.
        """
        dropped = self.parts[0].tableau.dropped
        if any(name not in self.first.factors for name in self.names) or len(dropped) < len(self.updates):
            return
        pairs = [dict(zip(self.updates, chosen, strict=True)) for chosen in permutations(dropped, len(self.updates))]
        pairs.sort(key=lambda pair: sum(one != other for one, other in pair.items()))
        for multiple, pair in product((None, _symbol, _at_t), pairs[:MOST]):
            if multiple and not pair:
                continue
            factors = {u: multiple(re.sub(r"\W", "_", f"{u}_{self.q.b}")) for u in pair} if multiple else {}
            for values in self._solutions(pair, factors):
                found = self._relation(pair, factors, values)
                found = found and self._from_first(found, pair, factors)
                if found is not None:
                    yield found

    # -- equations --

    def _solutions(self, pair: Mapping[str, str], factors: Mapping[str, Any], first: bool = False) -> Iterator[Values]:
        """Values of all unknowns at which paired states, up to factors, are updated alike and formulas are multiples.

        Parameters
        ----------
        pair : by nonlinear state of the second rule, one of the first.
        factors : by state of the second rule, its ratio to that.
        first : whether the equations are about step 0, with states at their initial values and factors of step 1.
        """
        import sympy

        tables = [part.tableau for part in self.parts]
        states = {name: sympy.Dummy(name) for name in (*tables[0].states, *tables[0].dropped)}
        read = {n.value for n in self.second.nodes(self.names) if n.op == "state" and n.kind != "uniform"} - set(
            tables[1].dropped
        )
        if not read <= set(tables[0].states):
            return
        theirs = {name: states[name] for name in read}
        theirs |= {u: factors.get(u, 1) * states[v] for u, v in pair.items()}
        if first:
            states |= {v: _started(self.q.a, v) for v in tables[0].dropped}
            theirs |= {u: _started(self.q.b, u) for u in pair}
        gradients = [sympy.Dummy(f"g{i}") for i in range(tables[0].gradients)]
        moving = [*(x for x in states.values() if x.is_Symbol), *gradients]
        ours, kept = KeptRoots(moving), KeptRoots(moving)
        here, step = (_begun, 0) if first else (elsewhere, None)
        one = Reader(self.first, states, here, gradients, step, ours)
        other = Reader(self.second, theirs, here, gradients, step, kept)
        updates = self.q.a.program(self.q.set_a).updates
        steady = [
            shifted(factors.get(u, sympy.Integer(1)), 1) * one(updates[pair[u]]) - other(node)
            for u, node in self.updates.items()
        ]
        sequences = [(one.factor(name), other.factor(name), name) for name in self.names]
        for values in self._solved(steady, {}, moving, list(factors.values()), recursive=True):
            for chosen in self._paired(kept.squares, ours.squares):
                yield from self._matched(chosen, (kept, ours), sequences, values, moving)

    def _paired(self, theirs: Values, ours: Values) -> Iterator[dict[Any, Any]]:
        """Pairings of the roots of the second rule with different roots of the first."""
        if len(theirs) <= len(ours):
            for _, chosen in zip(range(MOST), permutations(ours, len(theirs)), strict=False):
                yield dict(zip(theirs, chosen, strict=True))

    def _matched(
        self, pairs: Values, roots: tuple[KeptRoots, KeptRoots], sequences: Any, values: Values, moving: list[Any]
    ) -> Iterator[Values]:
        """Values extended by all that the ratios of paired roots, and of the sequences, determine."""
        kept, ours = roots
        every = [*moving, *ours.squares]

        def of_roots(left: list[Any], values: Values, known: Values) -> Iterator[tuple[Values, Values]]:
            if not left:
                yield values, known
                return
            root, *rest = left
            ratio = _at_t("ratio")
            equation = kept.squares[root].xreplace(known) - ratio * ours.squares[pairs[root]]
            for found in self._solved([equation], values, every, [ratio]):
                factor = positive_root(found[ratio])
                without = {k: v for k, v in found.items() if k != ratio}
                yield from of_roots(rest, without, {**known, root: factor * pairs[root]})

        for known_values, known in of_roots(list(pairs), values, {}):
            scales = {name: _at_t(f"scale {name}") for _, _, name in sequences}
            equations = [other.xreplace(known) - scales[name] * one for one, other, name in sequences]
            yield from self._solved(equations, known_values, every, list(scales.values()))

    def _solved(
        self, equations: list[Any], values: Values, moving: list[Any], more: list[Any], recursive: bool = False
    ) -> Iterator[Values]:
        """Values extended by solutions of equations that hold for all states and gradients (`moving`)."""
        read = {n.value for n in self.second.nodes(self.names) if n.op == "hyperparameter"}
        own = [u for name, u in self.second.hyperparameters.items() if name in read and _is_unknown(u)]
        unknowns = [u for u in (*own, *more) if u not in values]
        hidden: dict[Any, Any] = {}
        shown = [without_powers(substituted(e, values), unknowns, moving, hidden) for e in equations]
        asked, apart = list[Any](), list[Any]()
        for each in shown:
            coefficients, below = conditions(each, moving)
            asked += coefficients
            apart += [d for d in below if d.has(*map(name_of, unknowns)) and not d.free_symbols & {*moving}]
        outcome = solve(asked, unknowns, self.clock, apart, ENOUGH, recursive)
        self.following |= outcome.following
        back = {symbol: e for e, symbol in hidden.items()}
        self.obstructions += [o.xreplace(back) for o in outcome.obstructions if not infinite(o)]
        for solution in outcome.solutions:
            new = {u: v.xreplace(back) for u, v in solution.items()}
            if not recursive:  # a factor that may be any is 1
                one = {u: u**0 for u in more if u not in new}
                new = {u: substituted(v, one) for u, v in new.items()} | one
            yield {u: substituted(v, new) for u, v in values.items()} | new

    # -- what is found --

    def _from_first(self, found: Relation, pair: Mapping[str, str], factors: Mapping[str, Any]) -> Relation | None:
        """The relation with other values at step 0, where some of its own do not exist there; None without any."""
        import sympy

        own = [*found.values.values(), *found.scales.values()]
        if not infinite(sympy.Tuple(*(found.recursions.at(value, 0) for value in own))):
            return found
        ahead = {f: _symbol(f.__name__) for f in found.recursions.following}
        named = {u: x for u, k in factors.items() for f, x in ahead.items() if f.__name__.startswith(str(name_of(k)))}
        for values in self._solutions(pair, named, first=True):
            left = {u: self._default(u) for v in values.values() for u in functions_in(v) if _is_unknown(u)}
            left |= {u: sympy.Rational(1, 2) for u in ahead.values() if u not in values}
            begun = {u: substituted(v, left) for u, v in values.items()} | left
            if infinite(sympy.Tuple(*begun.values())):
                continue
            given = self.second.hyperparameters
            onward = found.recursions.following
            recursions = Recursions({f: _first(begun[ahead[f]], v) for f, v in onward.items()}, found.recursions.start)
            return replace(
                found,
                values={name: _first(begun.get(given[name], v), v) for name, v in found.values.items()},
                scales={name: _first(begun[_at_t(f"scale {name}")], v) for name, v in found.scales.items()},
                recursions=recursions,
            )
        return None

    def _relation(self, pair: Mapping[str, str], factors: Values, values: Values) -> Relation | None:
        """Relation of the given values; None where one of them does not exist."""
        import sympy

        left = {u: self._default(u) for v in values.values() for u in functions_in(v) if _is_unknown(u)}
        left |= {f: sympy.Integer(1) for f in factors.values() if f not in values}
        filled = {u: substituted(v, left) for u, v in values.items()}
        if any(map(infinite, filled.values())):
            return None
        names = {u: name for name, u in self.second.hyperparameters.items()}
        scales = {name: filled[_at_t(f"scale {name}")] for name in self.names}
        multiples = {u: filled.get(f, left.get(f)) for u, f in factors.items()}
        said = {u: (multiples.get(u, sympy.Integer(1)), v) for u, v in pair.items()}
        return Relation(
            values={names[u]: v for u, v in filled.items() if u in names},
            scales=scales,
            nonlinear={u: text_of(k * sympy.Symbol(v)) for u, (k, v) in said.items() if u != v or k != 1},
            recursions=(recursions := self._recursions([*filled.values(), *multiples.values()])),
            back={f: self.following[f][1] for f in recursions.following},
        )

    def _default(self, unknown: Any) -> Any:
        """Value of an unknown that is arbitrary: its default, otherwise 1/2."""
        import sympy

        declared = self.q.b.hyperparameters.get(unknown.func.__name__.removesuffix(MARK))
        default = None if declared is None else declared.default
        return number(default) if isinstance(default, Real) else sympy.Rational(1, 2)

    def _recursions(self, values: Iterable[Any]) -> Recursions:
        import sympy

        used = {f.func for v in values for f in functions_in(v)} & self.following.keys()
        return Recursions({f: self.following[f][0] for f in used}, dict.fromkeys(used, sympy.Integer(1)))


def _started(rule: Any, state: str) -> Any:
    return _symbol("w0") if state in rule.positions else number(rule.memories[state])


def _begun(expression: Any) -> Any:
    """An expression at step 0; unknown functions stay."""
    unknown = {u: _symbol(u.func.__name__) for u in functions_in(expression) if _is_unknown(u)}
    here = at_first(expression.xreplace(unknown), True).subs(time(), 0)
    return here.xreplace({symbol: u for u, symbol in unknown.items()})


def _first(begun: Any, value: Any) -> Any:
    """A value that is another one at step 0."""
    import sympy

    return sympy.Piecewise((begun, sympy.Eq(time(), 0)), (value, True)) if begun != value else value


def _symbol(name: str) -> Any:
    import sympy

    return sympy.Symbol(name, real=True)


def _at_t(name: str) -> Any:
    import sympy

    return sympy.Function(name, real=True)(time())


def _is_unknown(value: Any) -> bool:
    """Whether a value is that of an unknown hyperparameter of the second rule, by its mark."""
    return bool(value.is_Function) and value.func.__name__.endswith(MARK)
