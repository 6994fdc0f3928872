"""Relations of the states of two rules that bisimulations need, at a known map of hyperparameters.

The difference of the queries must vanish, and so must what a step makes of it, and so on: linear forms in the states of
both rules, each solved for a state, until a step makes no new one (the unobservable space of the difference). Where
functions stand between, as 1/sqrt(v), the memories in them are related first: those that are linear in powers of
gradients by their responses to these, the others as multiples of one another.

At first steps hyperparameters may have other values, which follow from the relation after them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from accelsim.program import Node
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.field import Field, reduced
from accelsim.symbolic.algebra.language import combination, text_of
from accelsim.symbolic.check.bisimulation import Bisimulation, Both, Early, moving, prove
from accelsim.symbolic.find.first_hyperparameters import with_first_steps
from accelsim.symbolic.find.outer_hyperparameters import with_outer
from accelsim.symbolic.system.functions import Beyond
from accelsim.symbolic.system.tableau import time

LATER = 2  # steps by which a relation may have to begin later than the rules are themselves
Values = Mapping[str, Any]


class _NoRelation(Exception):
    """There is no relation of the kind that is looked for."""


def related(claim: Bisimulation, clock: Clock, held: Collection[str] = ()) -> Bisimulation | None:
    """Search for a relation of states that proves a claim.

    Parameters
    ----------
    held : the target's hyperparameters that must be as the map says.

    Returns
    -------
    Bisimulation
        The claim with a relation, and if need be with other hyperparameters outside of functions, or at first steps;
        None if none is found.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.

    References
    ----------
    The relation is the largest one under which queries agree and go on to do so, an unobservable subspace: Kalman 1963,
    doi:10.1137/0301010.
    """
    since = 0
    while True:
        search = _Search(replace(claim, relation={}, since=since), clock)
        try:
            if (found := search.relation()) is not None:
                break
            outer = search.with_outer(held)
        except Early as early:
            since = early.since
            continue
        except Beyond:
            return None
        if outer.map == claim.map:
            return None
        claim = replace(claim, map=outer.map)
    for later in range(LATER + 1):
        clock.check()
        here = replace(claim, relation=found, since=since + later)
        try:
            if prove(here).holds:
                return here
            if since + later and (begun := with_first_steps(here, clock, held)) is not None and prove(begun).holds:
                return begun
        except Beyond:
            continue
    return None


class _Search:
    """Relation under construction: by state of a claim, its value in the others, in normal form."""

    def __init__(self, claim: Bisimulation, clock: Clock) -> None:
        self.both, self.clock = Both(claim), clock
        self.symbols = self.both.symbols
        self.found: dict[str, Any] = {}
        self.names = {symbol: name for name, symbol in self.symbols.items()}

    def relation(self) -> dict[str, str] | None:
        """The relation as a claim's texts; None where there is none, memories being related as far as they are."""
        try:
            if any(_applies(node) for program in self.both.programs.values() for node in program.nodes):
                self._linear_memories()
                self._other_memories()
            self._observed()
        except _NoRelation:
            return None
        return {name: self._row(value) for name, value in self.found.items()}

    def with_outer(self, held: Collection[str]) -> Bisimulation:
        """The claim with other hyperparameters outside of functions, at which memories that are related do alike."""
        own = {f"b[{name}]" for name in self.both.claim.target.memories}
        memories = {name: value for name, value in self.found.items() if name in own}
        return with_outer(self.both.claim, memories, self.clock, held)

    def _row(self, value: Any) -> str:
        """A combination of states as a text."""
        names = sorted(value.free_symbols & self.names.keys(), key=str)
        row = [reduced(self.both.functions.written(value.diff(symbol))) for symbol in names]
        return combination(row, [self.names[symbol] for symbol in names], row)

    # -- expressions --

    def _text(self, value: Any) -> str:
        return text_of(self.both.functions.written(value))

    def _shifted(self, value: Any, steps: int, states: Values | None = None) -> Any:
        """An expression in states some steps later, with states put in."""
        t = time() + steps
        return self.both.read(self._text(value), {**self.both.names(t), **self.symbols, **(states or {})})

    def _here(self) -> dict[str, Any]:
        return {**self.symbols, **self.found}

    def _add(self, form: Any) -> None:
        """Solve a form that vanishes for one of its states."""
        functions = self.both.functions
        slopes = {}
        for symbol in form.free_symbols & self.names.keys():
            slopes[symbol] = functions.normal(form.diff(symbol))
        if not slopes:
            raise _NoRelation

        def cost(symbol: Any) -> tuple[Any, ...]:
            slope, name = slopes[symbol], self.names[symbol]
            sure = slope.is_number or functions.interval(slope).nonzero
            return not sure, name.startswith("a"), slope.count_ops(), name

        pivot = min(slopes, key=cost)
        value = functions.normal(-form.subs(pivot, 0) / slopes[pivot])
        self.found = {name: functions.normal(old.subs(pivot, value)) for name, old in self.found.items()}
        self.found[self.names[pivot]] = value

    # -- queries --

    def _observed(self) -> None:
        """Add the forms that vanish if queries are equal now and at all later steps."""
        while True:
            self.clock.check()
            shown, after = self.both.step(time(), self._here())
            differences = [one - other for one, other in zip(shown["a"], shown["b"], strict=True)]
            if self.both.claim.returned:
                differences.append(self.both.returned(self._here()))
            for name, value in self.found.items():
                differences.append(after[name] - self._shifted(value, 1, after))
            form = next((f for each in differences for f in self._forms(each)), None)
            if form is None:
                return
            self._add(form)

    def _forms(self, expression: Any) -> Iterator[Any]:
        """Linear forms in states that vanish if an expression does for all gradients and functions of states."""
        import sympy

        functions = self.both.functions
        if functions.vanishes(expression):
            return
        above, _ = functions.fraction(expression)
        within = [x for x in above.free_symbols if functions.of_state(x) and x not in self.names]
        coefficients = sympy.Poly(above, *within).coeffs() if within else [above]
        own = sorted(above.free_symbols & self.names.keys(), key=str)
        forms = []
        for coefficient in coefficients:
            degree = sympy.Poly(coefficient, *own).total_degree() if own else 0
            if degree == 0:
                raise _NoRelation
            if degree == 1:
                forms.append(coefficient)
        if not forms:
            raise _NoRelation
        yield from sorted(forms, key=lambda form: form.count_ops())

    # -- memories inside functions --

    def _linear_memories(self) -> None:
        """Relate memories that are linear in powers of gradients, by their responses to gradients of each age."""
        parts = {end: _Linear(self.both, end) for end in "ab"}
        lags = sum(len(part.states) for part in parts.values())
        inputs = sorted({k for part in parts.values() for k in part.inputs})
        columns = {end: part.reached(inputs, lags, self._shifted) for end, part in parts.items()}
        field = Field(entry for rows in columns.values() for row in rows.values() for entry in row)
        own = {name: [field.element(x) for x in row] for name, row in columns["a"].items()}
        basis = _independent(field, own)
        for name, row in columns["b"].items():
            weights = _combination(field, {k: own[k] for k in basis}, [field.element(x) for x in row])
            if weights is not None and any(weights.values()):
                self.found[name] = self.both.functions.normal(
                    sum(field.plain(w) * self.symbols[k] for k, w in weights.items())
                )

    def _other_memories(self) -> None:
        """Relate memories that are not linear, where each step from zero makes one a multiple of the other."""
        linear = {name for end in "ab" for name in _Linear(self.both, end).states}
        rest = {
            end: [f"{end}[{m}]" for m in rule.memories if f"{end}[{m}]" not in linear]
            for end, rule in self.both.rules.items()
        }
        for name in rest["b"]:
            same = f"a[{name[2:-1]}]"
            for other in sorted(rest["a"], key=lambda x: x != same):
                if (ratio := self._ratio(name, other)) is not None:
                    self.found[name] = ratio * self.symbols[other]
                    break

    def _ratio(self, name: str, other: str) -> Any:
        """Ratio of two memories after a step from zero, where that is one number; None otherwise."""
        import sympy

        functions = self.both.functions
        nothing = {**self._here(), name: sympy.Integer(0), other: sympy.Integer(0)}
        try:
            _, after = self.both.step(time(), nothing)
            if functions.vanishes(after[other]) or functions.vanishes(after[name]):
                return None
            ratio = functions.normal(after[name] / after[other])
        except Beyond:
            return None
        return None if functions.of_state(ratio) else self._shifted(ratio, -1)


def _applies(node: Node) -> bool:
    """Whether a node is a function of states and gradients that is no linear combination."""
    if not moving(node) or not node.args or node.op in ("add", "sub", "neg", "where"):
        return False
    of_states = [moving(arg) for arg in node.args]
    return not (node.op in ("mul", "div") and not all(of_states)) or (node.op == "div" and not of_states[0])


class _Linear:
    """Memories of a rule that are linear in each other and in powers of one gradient, near step t."""

    def __init__(self, both: Both, end: str) -> None:
        import sympy

        self.both = both
        _, after = both.step(time(), both.symbols)
        gradients = both.gradients[both.claim.since]
        symbols = {f"{end}[{m}]": both.symbols[f"{end}[{m}]"] for m in both.rules[end].memories}
        updates = {}
        for name in symbols:
            above, below = both.functions.fraction(after[name])
            if not both.functions.of_state(below):
                updates[name] = above, below
        while True:  # what reads a state that is none of these is none of these
            kept = {}
            for name, (above, below) in updates.items():
                known = [*(symbols[k] for k in updates), *gradients]
                other = {x for x in above.free_symbols if both.functions.of_state(x)} - set(known)
                terms = sympy.Poly(above, *known).terms() if not other else []
                count = len(updates)
                if terms and all(sum(p[:count]) == (not any(p[count:])) for p, _ in terms):
                    kept[name] = above, below
            if len(kept) == len(updates):
                break
            updates = kept
        self.states = list(updates)
        self.inputs: set[tuple[int, ...]] = set()
        self.rows: dict[str, dict[str, Any]] = {}
        self.entering: dict[str, dict[tuple[int, ...], Any]] = {}
        for name, (above, below) in updates.items():
            self.rows[name], self.entering[name] = {}, {}
            known = [*(symbols[k] for k in updates), *gradients]
            for powers, c in sympy.Poly(above, *known).terms():
                value = both.functions.normal(c / below)
                states, inputs = powers[: len(updates)], powers[len(updates) :]
                if any(states):
                    self.rows[name][self.states[states.index(1)]] = value
                else:
                    self.entering[name][inputs] = value
                    self.inputs.add(inputs)

    def reached(self, inputs: Iterable[tuple[int, ...]], lags: int, shifted: Any) -> dict[str, list[Any]]:
        """By state, its responses to powers of gradients of each age."""
        normal = self.both.functions.normal
        found: dict[str, list[Any]] = {name: [] for name in self.states}
        for age in range(1, lags + 1):
            for each in inputs:
                column = {k: shifted(self.entering[k].get(each, _zero()), -age) for k in self.states}
                for step in range(1 - age, 0):
                    rows = {k: {j: shifted(c, step) for j, c in row.items()} for k, row in self.rows.items()}
                    column = {k: normal(sum((c * column[j] for j, c in rows[k].items()), _zero())) for k in rows}
                for k, value in column.items():
                    found[k].append(value)
        return found


def _zero() -> Any:
    import sympy

    return sympy.Integer(0)


def _independent(field: Field, rows: Mapping[str, list[Any]]) -> list[str]:
    """Names of the first rows that are independent and span all others."""
    chosen: list[str] = []
    for name, row in rows.items():
        if any(row) and _combination(field, {k: rows[k] for k in chosen}, row) is None:
            chosen.append(name)
    return chosen


def _combination(field: Field, rows: Mapping[str, list[Any]], wanted: list[Any]) -> dict[str, Any] | None:
    """Weights of independent rows that make up a wanted row; None where there are none."""
    from sympy.polys.matrices import DomainMatrix

    if not any(wanted):
        return {}
    if not rows:
        return None
    lines = [[*column, value] for *column, value in zip(*rows.values(), wanted, strict=True)]
    echelon, pivots = DomainMatrix(lines, (len(lines), len(rows) + 1), field.domain).rref()
    if len(rows) in pivots or len(pivots) < len(rows):
        return None
    return {name: echelon[i, len(rows)].element for i, name in enumerate(rows)}
