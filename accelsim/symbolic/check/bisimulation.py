"""Claims that two rules, as they are, query the same points, by a linear relation of their states that steps keep.

From a step on, states of either rule are written in the other states of both: ``b[m] = a[m]/(1 - rate)``. The claim
is proved where, with these put in, the queries are the same, one step of both rules makes states that are related
again, and the steps before, from the start, end in states that are. Nothing is set aside: functions that are not linear
are compared in normal form (see `homogeneity`). States that do nothing, or that others determine, do not matter: the
relation is a bisimulation, of which transforms of all states are a special case.

A verdict is confirmed on a second route: both rules' programs are run in floating point, on random gradients in
several coordinates.

References
----------
Sontag 1998, Mathematical Control Theory, Section 6.2 (observability, equivalence of systems by their responses).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from itertools import tee
from types import MappingProxyType
from typing import Any

import numpy as np

from accelsim.errors import InputError, unknown
from accelsim.language import evaluated
from accelsim.program import Node, evaluate, operate, reachable, run
from accelsim.rule import Hyperparameter, Optimizer
from accelsim.symbolic.algebra.budget import charge
from accelsim.symbolic.algebra.draws import drawn
from accelsim.symbolic.algebra.intervals import Interval, declared, of_node
from accelsim.symbolic.algebra.language import divisors_of, number, radicands_of
from accelsim.symbolic.algebra.nonvanishing import conditions, poles
from accelsim.symbolic.system.functions import Beyond, Functions
from accelsim.symbolic.system.positivity import NONNEGATIVE, POSITIVE, at_least_zero, signs
from accelsim.symbolic.system.rule_sequences import reads, recurrences
from accelsim.symbolic.system.tableau import time

NODE = 20  # operations that a node of a rule's program takes in a step of a run
STEPS, DRAWS, TRIES, COORDINATES = 8, 3, 30, 3  # of runs that must agree
MOST_COORDINATES = 20_000  # of a run on matrices
MOST_STEPS = 4  # from the start that may precede the relation
NEAR = 1e-8  # relative difference up to which runs in floating point agree
PARTS = 12  # of a range, in numbers that are short
_CALLED = ("sqrt", "exp", "log", "cos", "sign", "abs", "minimum", "maximum", "mod")
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Bisimulation:
    """Claim that two rules, the source and the target, query the same points by a relation of their states.

    Attributes
    ----------
    source, target : the rules, called a and b in the texts.
    map : by hyperparameter that the target reads (recurrences apart), a text in t and the source's hyperparameters;
        one that varies is a function, ``lr(t)``.
    relation : by state, ``a[m]`` or ``b[v]``, a linear combination of the other states of both rules, as a text. It
        holds from step `since` on.
    since : first step of the relation, 0 to 4; the steps before are taken from the start.
    varying : the source's hyperparameters that are unknown functions of t, beside its recurrences.
    given : by hyperparameter of the source that is known, a number or a schedule written in t.
    returned : whether the claim is about the returned points too, beside the queried ones.
    free, replaced : recurrences of the target that the map gives, as in `Equivalence`. All others have to be the
        source's own, at the same hyperparameters.

    Raises
    ------
    InputError
        For a name that no rule has, a map of a recurrence, or a `since` out of range.
    """

    source: Optimizer
    target: Optimizer
    map: Mapping[str, str]
    relation: Mapping[str, str]
    since: int = 0
    varying: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    returned: bool = False
    free: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.map:
            if name not in self.target.hyperparameters:
                raise unknown(f"hyperparameter of {self.target}:", name, self.target.hyperparameters)
            if name in self.derived:
                raise InputError(f"{name} of {self.target} follows a recurrence, so that no map says what it is")
        own = {*recurrences(self.source), *recurrences(self.target)}
        for names, known in ((self.free, own), (self.replaced, {*recurrences(self.target)})):
            for name in names:
                if name not in known:
                    raise unknown("recurrence:", name, known)
        for name in self.relation:
            if name not in (both := [*states("a", self.source), *states("b", self.target)]):
                raise unknown("state:", name, both)
        if not 0 <= self.since <= MOST_STEPS:
            raise InputError(f"a relation holds from one of the steps 0 to {MOST_STEPS} on, not from {self.since}")

    @property
    def open(self) -> tuple[str, ...]:
        """The source's hyperparameters that are unknown functions of t."""
        return (*self.varying, *recurrences(self.source, self.given))

    @property
    def derived(self) -> tuple[str, ...]:
        """The target's hyperparameters that follow a recurrence."""
        return tuple(recurrences(self.target, (*self.free, *self.replaced)))

    @property
    def mapped(self) -> tuple[str, ...]:
        """The target's hyperparameters that the map has to give: those that it or its free recurrences read."""
        own, freed = self.target.hyperparameters, (*self.free, *self.replaced)
        names = dict.fromkeys((*self.target.program().reads, *reads(self.target, freed)))
        return tuple(name for name in names if not own[name].switch and name not in self.derived)

    @cached_property
    def shared(self) -> tuple[str, ...]:
        """The target's recurrences that are the source's, since all that they read has equal values in both rules."""
        return tuple(name for name in self.derived if self._shares(name))

    @property
    def unfollowed(self) -> tuple[str, ...]:
        """Recurrences that the target reads and that are neither mapped nor shared: their values are unknown."""
        return tuple(k for k in self.target.program().reads if k in self.derived and k not in self.shared)

    def _shares(self, name: str) -> bool:
        own = recurrences(self.source).get(name)
        if own != self.target.hyperparameters[name].default or name in (*self.given, *self.varying, *self.free):
            return False
        return all(map(self._equal, self._read_by(name)))

    def _read_by(self, name: str) -> Iterable[str]:
        """Names that a recurrence of the target may read."""
        switches = {k: v.default for k, v in self.target.hyperparameters.items() if v.switch}
        formula = self.target.hyperparameters[name].default.formula(switches)
        return self.target.hyperparameters if formula is None else formula.reads

    def _equal(self, name: str) -> bool:
        """Equality of a hyperparameter of the target with the one of that name of the source."""
        if name not in self.source.hyperparameters:
            return False
        if self.target.hyperparameters[name].switch:
            one, other = self.source.hyperparameters[name], self.target.hyperparameters[name]
            return bool(self.source.value(name, self.given.get(name, one.default)) == other.default)
        if name in self.derived:
            return name in recurrences(self.source, (*self.given, *self.varying, *self.free)) and self._shares(name)
        varies = name in self.open or isinstance(self.given.get(name), str)
        return self.map.get(name) == (f"{name}(t)" if varies else name)


@dataclass(frozen=True)
class Proved:
    """Outcome of an attempt to prove a `Bisimulation`.

    Attributes
    ----------
    holds : whether the claim is proved.
    conditions : texts of divisors that have to be nonzero, as ``lr != 0``.
    reason : why it is proved, or is not, in one line.
    """

    holds: bool
    reason: str
    conditions: tuple[str, ...] = ()


def states(end: str, rule: Optimizer) -> list[str]:
    """Names of a rule's states in a claim's texts: ``a[m]`` for the source's state m, ``b[m]`` for the target's."""
    return [f"{end}[{name}]" for name in rule.states]


class Early(InputError):
    """A relation read at a step that is a case of its own, such as ``first(t)``.

    It cannot hold from there on: `Bisimulation.since` has to be a later step.
    """

    def __init__(self, since: int) -> None:
        super().__init__(f"the relation has to hold from step {since} on")
        self.since = since


class Both:
    """Both rules of a claim on symbols, in normal form: states, hyperparameters, and one step of each.

    Parameters
    ----------
    claim : the claim, whose map and relation are read.
    others : by step and by name, hyperparameters of the target that replace those of the map.
    """

    def __init__(self, claim: Bisimulation, others: Mapping[Any, Values] = MappingProxyType({})) -> None:
        import sympy

        self.claim, self.others = claim, others
        self.rules = {"a": claim.source, "b": claim.target}
        self.programs = {"a": claim.source.program(claim.given), "b": claim.target.program()}
        counts = [list(map(len, program.queries)) for program in self.programs.values()]
        if counts[0] != counts[1]:
            raise InputError(f"{claim.source} and {claim.target} do not take the same gradients a step")
        self.symbols = {
            name: sympy.Symbol(name, real=True) for end, rule in self.rules.items() for name in states(end, rule)
        }
        self.point = sympy.Symbol("w0'", real=True)
        count = self.programs["a"].gradients
        self.gradients = [[sympy.Symbol(f"g{i}[{t}]", real=True) for i in range(count)] for t in range(claim.since + 1)]
        moving = [*self.symbols.values(), self.point, *(g for row in self.gradients for g in row)]
        self.functions = Functions(moving, self._interval)
        self.divisors: list[Any] = []
        self.radicands: list[Any] = []

    # -- what hyperparameters are --

    def _interval(self, expression: Any) -> Interval:
        """Interval of a symbol: of a hyperparameter of the source, a value of an unknown function, or t."""
        if expression == time():
            return Interval(Fraction(self.claim.since), math.inf, False)
        name = expression.name if expression.is_Symbol else expression.func.__name__
        return declared(self.claim.source.hyperparameters[name]) if name in self._own else Interval()

    @property
    def _own(self) -> Mapping[str, Hyperparameter]:
        return self.claim.source.hyperparameters

    def names(self, t: Any) -> dict[str, Any]:
        """Values of the names that texts may use at step t, in normal form: t, hyperparameters, functions of t."""
        import sympy

        functions, claim = self.functions, self.claim
        known: dict[str, Any] = {"t": t}
        for name in claim.source.hyperparameters:
            given = claim.given.get(name)
            if isinstance(given, str):
                known[name] = partial(self._schedule, given)
            elif given is not None:
                known[name] = number(given)
            elif name in claim.open:
                known[name] = lambda at, name=name: functions.plain(sympy.Function(name, real=True)(sympy.expand(at)))
            else:
                known[name] = sympy.Symbol(name, real=True)
        return known

    def _applied(self, node: Node, values: list[Any]) -> Any:
        """Value of a node of a text, from the values of its arguments in normal form."""
        if node.op == "first":
            return self.first(*values)
        if node.op == "where":
            return values[1 if values[0] else 2]
        self._demand(node, values)
        if node.op in _CALLED:
            return getattr(self.functions, node.op)(*map(self.functions.plain, values))
        return operate(node, values)

    def _demand(self, node: Node, values: list[Any]) -> None:
        """Note operands without states that must not be negative; logarithms' and powers' that must not be zero."""
        functions, of = self.functions, dict(zip(node.args, values, strict=True))
        for chosen, kept in ((radicands_of, self.radicands), (divisors_of, self.divisors)):
            for arg in chosen(node, lambda exponent: functions.written(of[exponent])) if node.op != "div" else ():
                if not functions.of_state(of[arg]):
                    kept.append(of[arg])

    def _schedule(self, text: str, t: Any) -> Any:
        own = {k: v for k, v in self.names(t).items() if k not in self.claim.source.hyperparameters}
        return self.read(text, {**own, "t": t})

    def first(self, step: Any) -> bool:
        """The condition first(t), decided for a step.

        Raises
        ------
        Early
            At a symbolic step, where it has no one value.
        """
        import sympy

        step = sympy.expand(step)
        if step.is_number:
            return bool(step == 0)
        begin = step.subs(time(), self.claim.since)
        if not (begin.is_number and begin > 0):
            raise Early(self.claim.since + 1 - int(begin))
        return False

    def read(self, text: str, names: Values) -> Any:
        """Value of a text, in normal form.

        Raises
        ------
        InputError
            If the text cannot be read, or divides by zero.
        """
        import sympy

        value = sympy.sympify(evaluated(text, names, number, self._applied))
        if not isinstance(value, sympy.Expr):
            raise InputError(f"cannot read {text!r}: what varies in time is written as a function, as {text}(t)")
        return self.functions.plain(value)

    def hyperparameters(self, end: str, t: Any) -> dict[str, Any]:
        """Values of a rule's hyperparameters at step t by name; names of unknown value are left out."""
        names, rule = self.names(t), self.rules[end]
        if end == "a":
            varying = {n for n in rule.hyperparameters if callable(names[n])}
            return {n: names[n](t) if n in varying else names[n] for n in self.programs["a"].reads}
        own = self.others.get(t, {})
        mapped = {name: own[name] if name in own else self.read(text, names) for name, text in self.claim.map.items()}
        return mapped | {name: names[name](t) for name in self.claim.shared}

    # -- runs --

    def related(self, t: Any, values: Values) -> dict[str, Any]:
        """Values of the related states at step t, from the relation and the values of all others."""
        names = {**self.names(t), **values}
        return {state: self.read(text, names) for state, text in self.claim.relation.items()}

    def start(self) -> dict[str, Any]:
        """Values of all states of both rules before step 0, by name as in the relation."""
        return {
            f"{end}[{name}]": self.point if name in rule.positions else number(rule.memories[name])
            for end, rule in self.rules.items()
            for name in rule.states
        }

    def step(self, t: Any, values: Values) -> tuple[dict[str, list[Any]], dict[str, Any]]:
        """One step of both rules.

        Parameters
        ----------
        t : the step, a number or a symbol.
        values : all states before the step, by name as in the relation.

        Returns
        -------
        shown : by rule, "a" and "b", the points queried.
        values : all states after the step.
        """
        shown: dict[str, list[Any]] = {}
        after: dict[str, Any] = {}
        gradients = self.gradients[int(t) if t.is_number else self.claim.since]
        for end in self.rules:
            shown[end], new = self._step(end, t, values, gradients)
            after |= new
        return shown, after

    def _step(self, end: str, t: Any, values: Values, gradients: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        program, given = self.programs[end], self.hyperparameters(end, t)

        def leaf(node: Node) -> Any:
            if node.op == "state":
                return values[f"{end}[{node.value}]"]
            if node.op == "gradient":
                return gradients[node.value]
            if node.op == "hyperparameter":
                if node.value not in given:
                    raise InputError(f"the map does not say what {node.value} of {self.rules[end]} is")
                return given[node.value]
            return t if node.op == "step" else number(node.value)

        def applied(node: Node, arguments: list[Any]) -> Any:
            if node.op == "first":
                return self.first(arguments[0])
            if node.op == "div" and not self.functions.of_state(arguments[1]):
                self.divisors.append(arguments[1])
            self._demand(node, arguments)
            return self.functions.apply(node, arguments)

        known: dict[int, Any] = {}
        points = [evaluate(point, leaf, applied, known) for stage in program.queries for point in stage]
        after = {f"{end}[{k}]": evaluate(node, leaf, applied, known) for k, node in program.updates.items()}
        return points, after

    def returned(self, values: Values) -> Any:
        """Difference of the points that the two rules return, in normal form."""
        one, other = (values[f"{end}[{rule.returns}]"] for end, rule in self.rules.items())
        return one - other


def prove(claim: Bisimulation) -> Proved:
    """Decide a bisimulation by symbolic steps of both rules, and confirm the verdict by runs in floating point.

    Returns
    -------
    Proved
        With `holds` true where all identities hold and random runs agree; otherwise with the reason.

    Raises
    ------
    InputError
        If a text of the claim cannot be read, or its relation begins at a step that is a case of its own.
    """
    for name in claim.unfollowed:
        return Proved(False, f"{name} of {claim.target} is no recurrence of {claim.source} at the same values")
    try:
        both = Both(claim)
        reason = next(_identities(both), None)
    except Beyond:
        return Proved(False, "an expression is too large, or does not exist")
    except RecursionError:
        return Proved(False, "an expression is nested too deeply")
    if reason is None:
        reason = next(_gaps(both), None)
    if reason is None:
        agreed, apart = runs(claim)
        if apart:
            return Proved(False, f"the identities hold, but {apart}")
        if agreed < DRAWS:
            return Proved(False, "the identities hold, but no run confirms them")
        since = f" from step {claim.since} on" if claim.since else ""
        words = f"the relation of states is kept by every step{since}, and {agreed} runs of {STEPS} steps agree"
        return Proved(True, f"{words} up to rounding", _conditions(both))
    return Proved(False, reason)


def _identities(both: Both) -> Iterator[str]:
    """Names of the identities of a claim that do not hold, with what is left of each."""
    import sympy

    claim, zero = both.claim, both.functions.vanishes
    values = both.start()
    for t in range(claim.since):
        if claim.returned and not zero(both.returned(values)):
            yield f"what is returned differs at t = {t}"
        shown, values = both.step(sympy.Integer(t), values)
        if not all(map(zero, _differences(shown))):
            yield f"the queries differ at t = {t}"
    yield from _apart(both, claim.since, sympy.Integer(claim.since), values)
    bound = both.related(time(), both.symbols)
    for state, value in bound.items():
        if value.free_symbols & {both.symbols[other] for other in bound}:
            yield f"{state} is written in states that are written in others themselves"
    here = {**both.symbols, **bound}
    if claim.returned and not zero(both.returned(here)):
        yield "what is returned differs"
    shown, after = both.step(time(), here)
    if not all(map(zero, _differences(shown))):
        yield "the queries differ"
    yield from _apart(both, None, time() + 1, after)


def _apart(both: Both, at: int | None, t: Any, values: Values) -> Iterator[str]:
    """Names of the states that differ from the relation at a step."""
    when = "after a step" if at is None else f"at t = {at}"
    for state, value in both.related(t, values).items():
        if not both.functions.vanishes(value - values[state]):
            yield f"{state} is not {both.claim.relation[state]} {when}"


def _differences(shown: Mapping[str, list[Any]]) -> list[Any]:
    return [one - other for one, other in zip(shown["a"], shown["b"], strict=True)]


def _needed(both: Both) -> list[Any]:
    """Expressions (SymPy) that have to be nonzero at every step, those before `since` included."""
    functions, found = both.functions, []
    texts = [*both.claim.map.values(), *both.claim.relation.values()]
    names = {**both.names(time()), **both.symbols}
    parts = list(both.divisors)
    parts += [functions.fraction(both.read(text, names))[1] for text in texts]
    for part in parts:
        for factor, _ in functions.factors(part)[1]:
            if not functions.interval(factor).nonzero and factor not in found:
                found.append(factor)
    return [functions.written(factor) for factor in found]


def _conditions(both: Both) -> tuple[str, ...]:
    """Texts of the expressions that have to be nonzero, less those that ranges already exclude from zero."""
    found = conditions(1 / value for value in _needed(both))
    return tuple(dict.fromkeys((*found, *_negative(both), *_without_value(both))))


def _negative(both: Both) -> Iterator[str]:
    """Conditions that radicands are not negative, where ranges do not prove it."""
    for value in both.radicands:
        if not both.functions.interval(value).nonnegative:
            written = both.functions.written(value)
            if not at_least_zero(written, both.claim.source):
                yield f"{written} >= 0"


def _without_value(both: Both) -> Iterator[str]:
    """Operands of the rules that states or gradients may make zero, or negative, where a rule has no value."""
    for end, program in both.programs.items():
        rule = both.rules[end]
        of, known = partial(declared_of, rule), signs(rule, program)
        for node in program.nodes:
            for each in divisors_of(node, _exponent):
                if moving(each) and not (of_node(each, of).nonzero or known[each.index] == POSITIVE):
                    yield f"{each!r} != 0 in {rule}"
            for each in radicands_of(node, _exponent):
                if moving(each) and not (of_node(each, of).nonnegative or known[each.index] >= NONNEGATIVE):
                    yield f"{each!r} >= 0 in {rule}"


def _exponent(node: Node) -> Any:
    """An exponent as a number (SymPy), or a symbol of which nothing is known where it is no constant."""
    import sympy

    return number(node.value) if node.op == "const" else sympy.Symbol("exponent", real=True)


def moving(node: Node) -> bool:
    """Dependence of a node on states (uniform ones too) or gradients: whether there is any."""
    return node.kind != "uniform" or any(leaf.op == "state" for leaf in reachable([node]))


def declared_of(rule: Optimizer, name: str) -> Interval:
    """Interval of a rule's hyperparameter, as declared."""
    return declared(rule.hyperparameters[name])


def _gaps(both: Both) -> Iterator[str]:
    """Divisors that are zero at some step from `since` on."""
    for value in _needed(both):
        if value.free_symbols == {time()}:
            yield from poles([1 / value.subs(time(), time() + both.claim.since)])


# -- the second route ---------------------------------------------------------------------------------------------


def runs(claim: Bisimulation) -> tuple[int, str | None]:
    """Random runs of both rules in floating point.

    Returns
    -------
    agreed : number of runs in which all queries agree to `NEAR`.
    difference : the first difference, in words; None where there is none.
    """
    agreed = 0
    if claim.unfollowed:
        return agreed, None
    for seed in range(TRIES):
        try:
            apart = differ(claim, seed)
        except (ArithmeticError, ValueError, InputError):
            continue  # a condition is violated there
        if apart is not None:
            return agreed, f"runs differ at t = {apart}"
        agreed += 1
        if agreed == DRAWS:
            break
    return agreed, None


def differ(claim: Bisimulation, seed: int) -> int | None:
    """One random run of both rules, in several coordinates.

    Returns
    -------
    The first step at which their queries differ by more than rounding; None where there is none.

    Raises
    ------
    ArithmeticError
        If a rule has no finite value in the run.
    """
    chance = np.random.default_rng([seed, 8])
    count = claim.source.program(claim.given).gradients
    sizes = [0.0, 1.0, 1.0, 3.0] if seed % 2 else [1.0, 3.0]  # some rules have no value without gradients
    coordinates = COORDINATES * math.lcm(*map(_rows, (claim.source, claim.target)))
    if coordinates > MOST_COORDINATES:
        raise ArithmeticError
    gradients = chance.normal(size=(STEPS, count, coordinates)) * chance.choice(sizes, (STEPS, 1, 1))
    first, second = tee(tuple(hyperparameters(claim, seed, t)) for t in range(STEPS))
    both = (
        _queries(claim.source, (row[0] for row in first), gradients, claim.returned),
        _queries(claim.target, (row[1] for row in second), gradients, claim.returned),
    )
    for t, (one, other) in enumerate(zip(*(map(np.array, each) for each in both), strict=True)):
        if not (np.isfinite(one).all() and np.isfinite(other).all()):
            raise ArithmeticError
        scale = max(1.0, float(np.abs(one).max()))
        if not np.allclose(one, other, rtol=NEAR, atol=NEAR * scale):
            return t
    return None


def _rows(rule: Optimizer) -> int:
    """Number of which a rule's coordinates must be a multiple."""
    return math.lcm(*(int(n.args[1].value) for n in rule.program().nodes if n.op == "orthogonalize"))


def _queries(rule: Optimizer, rows: Iterable[Values], gradients: Any, returned: bool) -> Iterator[tuple[Any, ...]]:
    """By step, the points that a rule queries, and where `returned` the point returned before the step."""
    state = rule.start(np.linspace(0.5, 1.5, gradients.shape[-1]))
    for t, row in enumerate(rows):
        asked: list[Any] = []

        def answer(points: tuple[Any, ...], t: int = t, asked: list[Any] = asked) -> tuple[Any, ...]:
            asked.extend(points)
            return tuple(gradients[t, len(asked) - len(points) : len(asked)])

        charge(NODE * len(rule.program(row).nodes))
        before = state[rule.returns]
        with np.errstate(all="ignore"):
            state = run(rule.program(row), state, float(t), row, answer, float)
        yield (*asked, before) if returned else tuple(asked)


def hyperparameters(claim: Bisimulation, seed: int, t: int) -> Iterator[dict[str, Any]]:
    """Hyperparameters of the source and of the target, by name, at step t of the random run of a seed."""
    source, functions = claim.source, claim.open

    def value(name: str, at: Any) -> Any:
        given, own = claim.given.get(name), source.hyperparameters[name]
        if own.switch:
            return source.value(name, given if given is not None else own.default)
        if given is not None:
            return float(evaluated(given, {"t": at}, float)) if isinstance(given, str) else float(given)
        place = f"{seed} {name} {at}" if name in functions else f"{seed} {name}"
        return float(drawn(own, place, PARTS))

    read = source.program(claim.given).reads
    names: dict[str, Any] = {"t": float(t)}
    for name in source.hyperparameters:
        called = name in functions or isinstance(claim.given.get(name), str)
        names[name] = partial(value, name) if called else (value(name, t) if name in read else 0.0)
    yield {name: value(name, float(t)) for name in read}
    switches = {k: v.default for k, v in claim.target.hyperparameters.items() if v.switch}
    shared = {name: value(name, float(t)) for name in claim.shared}
    yield switches | shared | {k: float(evaluated(text, names, float)) for k, text in claim.map.items()}
