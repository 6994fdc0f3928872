"""Is one rule another one? Finds the hyperparameters and the transform, and has the checker prove them.

What gradients do to later query points is matched, in what does not depend on how a rule is written: for one memory
its canonical coefficients at each step, for more the transfer function of the block form, for everything else the
response of each query to each gradient. These are rational equations in the other rule's hyperparameters, solved by
elimination, constants before schedules. The transform follows from what gradients reach, or from what queries show.
Nothing is called equivalent that `equivalence.check` has not proved.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, cached_property
from itertools import product
from typing import Any, NamedTuple

from accelsim.errors import InputError
from accelsim.optimizer import Hyperparameter, Optimizer
from accelsim.program import exact
from accelsim.schedules import Recurrence
from accelsim.symbolic import certificate
from accelsim.symbolic.algebra import Field, divisors, elsewhere, evaluated, reduced, shifted
from accelsim.symbolic.elimination import Clock, OutOfTime, solve
from accelsim.symbolic.equivalence import Equivalence, Verdict, check, needed
from accelsim.symbolic.linear_part import LinearPart, left_behind, linear_part, without_decay
from accelsim.symbolic.reduction import Block, Drift, Reduction
from accelsim.symbolic.refutation import Refuting, refute
from accelsim.symbolic.tableau import time

BUDGET = 20.0  # seconds
DRAWS = 12  # values of the first rule's hyperparameters at which ranges are looked at
CASE = ("map", "transform", "direction", "conditions")  # what is said of a special case
LONG = 30  # characters of an expression that is not worth a reason
MARK = "_"  # after the name of an unknown of the second rule, lest it be taken for one of the first


@dataclass(frozen=True)
class Answer:
    """Whether rule `a` is rule `b`.

    Attributes
    ----------
    status : "equivalent", "refuted" or "undecided".
    map : each hyperparameter of `b`, in t and the hyperparameters of `a`.
    transform : each state of one rule, in the states of the other; `direction` says which.
    initial : what each of these states starts at, ``w0`` being the initial point.
    free : hyperparameters of `b` that could have been chosen otherwise.
    conditions : what must not be zero, and what is outside its declared range.
    assumptions : what the answer is modulo of.
    special : cases in which rules that are not the same become so: `when`, and the answer there.
    reason : one line.
    counterexample : what refutes, replayable; None where the structure alone does.
    tried : what was tried, where undecided.
    certificate : document that `certificate.verify_certificate` checks, None where undecided.
    """

    a: Optimizer
    b: Optimizer
    status: str
    map: Mapping[str, str] = field(default_factory=dict)
    transform: Mapping[str, str] = field(default_factory=dict)
    direction: str | None = None
    initial: Mapping[str, str] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    special: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""
    counterexample: Mapping[str, Any] | None = None
    tried: tuple[str, ...] = ()
    certificate: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer as a document; `equivalent` is None where undecided."""
        found: dict[str, Any] = {
            "a": str(self.a),
            "b": str(self.b),
            "equivalent": {"equivalent": True, "refuted": False}.get(self.status),
            "status": self.status,
        }
        if self.status == "equivalent":
            for name in ("map", "transform", "direction", "initial", "free"):
                found[name] = getattr(self, name)
        found |= {"conditions": self.conditions, "assumptions": self.assumptions, "reason": self.reason}
        if self.status != "equivalent":
            found |= {"special": self.special, "counterexample": self.counterexample}
        return found | ({"tried": self.tried} if self.status == "undecided" else {})


def equivalent(
    a: Optimizer,
    b: Optimizer,
    /,
    set_a: Mapping[str, Any] | None = None,
    set_b: Mapping[str, Any] | None = None,
    returned: bool = False,
    varying: Iterable[str] = (),
    budget: float = BUDGET,
) -> Answer:
    """Decide whether, for every choice of a's hyperparameters, b is a at some choice of its own.

    Parameters
    ----------
    set_a, set_b : hyperparameters that are known: numbers, or schedules written in t.
    returned : whether the rules are to return the same, beside querying the same points.
    varying : hyperparameters of `a` that are unknown functions of t; recurrences always are.
    budget : of the search, in seconds.

    Raises
    ------
    InputError
        For unknown names or values out of range, or a rule without a linear part.
    """
    given_a, given_b = dict(set_a or {}), dict(set_b or {})
    for rule, given in ((a, given_a), (b, given_b)):
        for name, value in given.items():
            rule.value(name, value)
    question = Question(a, _switched(b, given_b), given_a, given_b, returned, tuple(varying))
    finder = _Finder(question, Clock(budget))
    try:
        return finder.answer()
    except OutOfTime:
        tried = tuple(finder.tried)
        return Answer(a, b, "undecided", reason=f"not decided within {budget:g} s", tried=tried)


def _switched(rule: Optimizer, values: dict[str, Any]) -> Optimizer:
    """The rule with its switches at what is given for them, which is taken out of the values."""
    switches = {k: v for k, v in rule.hyperparameters.items() if v.switch and k in values}
    if not switches:
        return rule
    known = {k: replace(v, default=rule.value(k, values.pop(k))) for k, v in switches.items()}
    return replace(rule, hyperparameters={**rule.hyperparameters, **known})


def specialized(rule: Optimizer, values: Mapping[str, str]) -> Optimizer:
    """The rule with hyperparameters written in its others, as ``{"beta1": "beta3"}``."""
    names = {text: _names(text) & set(rule.hyperparameters) for text in values.values()}

    def run(s: Any, t: Any, h: Any) -> Any:
        fixed = {k: evaluated(v, {"t": t, **{n: getattr(h, n) for n in names[v]}}) for k, v in values.items()}
        return (yield from rule.rule(s, t, _Overlaid(h, fixed)))

    run.__doc__ = rule.rule.__doc__
    kept = {k: v for k, v in rule.hyperparameters.items() if k not in values}
    return replace(rule, rule=run, hyperparameters=kept)


def _names(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


class _Overlaid:
    """Hyperparameters, some of them fixed; the others are read where they are asked for."""

    def __init__(self, h: Any, fixed: Mapping[str, Any]) -> None:
        self._h, self._fixed = h, fixed

    def __getattr__(self, name: str) -> Any:
        return self._fixed[name] if name in self._fixed else getattr(self._h, name)


@dataclass(frozen=True)
class Question:
    """What `equivalent` is asked; switches of `b` are its defaults."""

    a: Optimizer
    b: Optimizer
    set_a: Mapping[str, Any]
    set_b: Mapping[str, Any]
    returned: bool
    varying: tuple[str, ...]


class Drifting(NamedTuple):
    """The block form of a rule with weight decay, and kappa and d: SymPy matrices, kappa (1, 1)."""

    a: Any
    b: Any
    p: Any
    q: Any
    kappa: Any
    d: Any


@dataclass(frozen=True)
class Side:
    """One of the rules: its matrices, and what its gradients do to the query point.

    Attributes
    ----------
    decay : the hyperparameter that stands against translation (weight decay), None where none does.
    moves : whether the rule moves along with a translation of all positions.
    block : block form, without weight decay where the rule moves without it; None for several gradients a step.
    drift : kappa and d (see `reduction.Drift`) of the block form with weight decay; None where the rule moves.
    """

    part: LinearPart
    decay: str | None
    moves: bool
    block: Block | None
    drift: Drifting | None

    @property
    def memory(self) -> int | None:
        """Memories beside the query point."""
        return None if self.block is None else self.block.a.rows

    @property
    def constant(self) -> bool:
        """Whether its matrices do not vary in time."""
        return not any(m.has(time()) for m in self.part.matrices)

    def renamed(self, names: Mapping[Any, Any]) -> Side:
        """The side with symbols or functions replaced."""
        part = replace(self.part, matrices=_replaced(self.part.matrices, names))
        block, drift = (x and _replaced(x, names) for x in (self.block, self.drift))
        return replace(self, part=part, block=block, drift=drift)


def _replaced(matrices: Any, names: Mapping[Any, Any]) -> Any:
    from sympy.core.function import AppliedUndef

    def one(matrix: Any) -> Any:
        found = {f: names[f.func] for f in matrix.atoms(AppliedUndef) if f.func in names}
        functions = {f: new if new.is_Symbol else new.func(f.args[0]) for f, new in found.items()}
        return matrix.xreplace(functions | {s: names[s] for s in matrix.free_symbols if s in names})

    return type(matrices)(*map(one, matrices))


@cache
def _side(rule: Optimizer, varying: tuple[str, ...], given: tuple[tuple[str, Any], ...]) -> Side:
    part = linear_part(rule, varying, **dict(given))
    without, name = without_decay(part)
    still = not left_behind(without)
    moves = still and name is None
    if part.tableau.gradients > 1:
        return Side(part, name, moves, None, None)
    block = Reduction(without).block() if still else None
    drift = _drifting(part) if block is None or (not moves and block.a.rows <= 1) else None
    return Side(part, name, moves, block or Block(*drift[:4]) if drift else block, drift)


def _drifting(part: LinearPart) -> Drifting:
    import sympy

    block, kappa, d = Drift(part).drifting()
    return Drifting(*block, sympy.Matrix([kappa]), d)


class _Finder:
    """One question; `tried` says what was looked at."""

    def __init__(self, question: Question, clock: Clock, deep: bool = True) -> None:
        self.q, self.clock, self.deep = question, clock, deep
        self.tried: list[str] = []
        self.obstructions: list[Any] = []
        self.stuck: list[str] = []
        self.a = _side(question.a, question.varying, tuple(question.set_a.items()))
        constants = _side(question.b, (), tuple(question.set_b.items()))
        self.unknown = {k: h for k, h in question.b.hyperparameters.items() if not h.switch and k not in question.set_b}
        self.b = constants.renamed(self._constants())

    # -- unknowns --

    def _constants(self) -> dict[Any, Any]:
        import sympy

        marked = {k: sympy.Symbol(k + MARK, real=True) for k in self.unknown}
        plain = {sympy.Symbol(k, real=True): marked[k] for k in self.unknown}
        return plain | {sympy.Function(k, real=True): marked[k] for k in self.unknown}

    @cached_property
    def scheduled(self) -> Side:
        """The second rule, its hyperparameters unknown functions of t."""
        import sympy

        names = tuple(self.unknown)
        marked = {sympy.Function(k, real=True): sympy.Function(k + MARK, real=True)(time()) for k in names}
        return _side(self.q.b, names, tuple(self.q.set_b.items())).renamed(marked)

    # -- the answer --

    def answer(self) -> Answer:
        """What `equivalent` returns."""
        counts = [side.part.tableau.stages for side in (self.a, self.b)]
        if counts[0] != counts[1]:
            words = [f"{rule} takes {_stages(c)}" for rule, c in zip((self.q.a, self.q.b), counts, strict=True)]
            return self._refuted(f"{words[0]} a step, {words[1]}")
        if bool(self.a.part.absorbed) != bool(self.b.part.absorbed) and self._factors() == 2:
            reason = "one preconditions gradients before, the other after the momentum"
            return self._undecided(reason)
        if self.a.moves and self.b.decay:
            return self._without_decay()
        if self.b.moves and not self.a.moves:
            return self._standing_still()
        same = self._namesakes()
        if same and (found := self._proved(same)):
            return found
        for attempt in (self._with_constants, self._with_schedules):
            for solution in attempt():
                found = self._proved(solution)
                if found is not None:
                    return found
        return self._not_found()

    def _factors(self) -> int:
        return sum(bool(side.part.tableau.factors) for side in (self.a, self.b))

    def _with_constants(self) -> list[dict[str, Any]]:
        self.tried.append("constant hyperparameters")
        equations = self._equations(self.b)
        return [] if equations is None else self._solved(self.b, equations)

    def _with_schedules(self) -> list[dict[str, Any]]:
        one = self.a.memory in (0, 1) and self.a.memory == self.b.memory and self.a.moves
        if not one or not self.unknown or self.q.returned:
            return []
        self.tried.append("hyperparameters that are functions of t")
        equations = self._equations(self.scheduled)
        return [] if equations is None else self._solved(self.scheduled, equations)

    def _solved(self, side: Side, equations: list[Any]) -> list[dict[str, Any]]:
        import sympy
        from sympy.core.function import AppliedUndef

        found = set().union(*(e.free_symbols | e.atoms(AppliedUndef) for e in equations))
        constants = [sympy.Symbol(k + MARK, real=True) for k in self.unknown]
        functions = [sympy.Function(k + MARK, real=True)(time()) for k in self.unknown]
        called = {f.func for f in found if isinstance(f, AppliedUndef)}
        unknowns = [u for u in constants if u in found] + [f for f in functions if f.func in called]
        nonzero = {d for e in equations for d in divisors(sympy.together(e)) if d.has(*unknowns)} if unknowns else ()
        outcome = solve(equations, unknowns, self.clock, nonzero)
        self.obstructions += [o for o in outcome.obstructions if o not in self.obstructions]
        self.stuck += outcome.stuck
        plain = []
        for solution in outcome.solutions:
            names = {(u.name if u.is_Symbol else u.func.__name__): value for u, value in solution.items()}
            plain.append({name.removesuffix(MARK): value for name, value in names.items()})
        return plain

    # -- equations --

    def _equations(self, b: Side) -> list[Any] | None:
        """What vanishes where the rules are the same; None where their memories or movements cannot agree."""
        both = self.a.block is not None and b.block is not None
        if both and self.a.memory != b.memory:
            return None
        if both and (self.a.drift is None) == (b.drift is None):
            moving = not (self.a.constant and b.constant)
            one, other = (_invariants(side, moving, self.clock) for side in (self.a, b))
            equations = [x - y for x, y in zip(one, other, strict=True)]
        else:
            equations = _window(self.a.part, b.part, self.clock)
        if self.q.returned:
            equations += _window(self.a.part, b.part, self.clock, returned=True)
        return equations

    # -- when there is no solution --

    def _undecided(self, reason: str) -> Answer:
        tried = (*self.tried, *self.stuck)
        return Answer(self.q.a, self.q.b, "undecided", reason=reason, tried=tried)

    def _refuted(self, reason: str, counterexample: Mapping[str, Any] | None = None, special: Any = ()) -> Answer:
        q = self.q
        document = counterexample and certificate.of_refutation(q.a, q.b, q.set_a, q.set_b, counterexample)
        return Answer(
            self.q.a,
            self.q.b,
            "refuted",
            reason=reason,
            counterexample=counterexample,
            special=special,
            assumptions=self._set_aside(),
            certificate=document,
        )

    def _set_aside(self) -> tuple[str, ...]:
        parts = (self.a.part, self.b.part)
        return tuple(f"{part.tableau.optimizer}: {note}" for part in parts for note in part.assumptions)

    def _standing_still(self) -> Answer:
        """Refuted by a start elsewhere, which the second rule does not see."""
        import sympy

        self.obstructions = [sympy.Symbol(self.a.decay, real=True)] if self.a.decay else []
        if not self.deep:
            return self._undecided("no solution was found")
        found = refute(self._refuting(scheduled=True), self.clock)
        if found is None:
            return self._undecided("no counterexample was found")
        reason = f"{self.q.b} moves along with a translation of all positions, {self.q.a} does not"
        return self._refuted(reason, found, self._special())

    def _without_decay(self) -> Answer:
        """The second rule with its weight decay zero, which it must be where the first one has none."""
        given = {**self.q.set_b, str(self.b.decay): 0}
        finder = _Finder(replace(self.q, set_b=given), self.clock, self.deep)
        finder.tried = self.tried
        return finder.answer()

    def _namesakes(self) -> dict[str, Any] | None:
        """Every hyperparameter as the one of the same name, where that makes the same matrices."""
        names = self._open({})
        if not set(names) <= set(self.a_names) or self.q.a.states != self.q.b.states:
            return None
        values = {k: self.a_names[k] for k in names}
        same = all(x == y for x, y in zip(self._target(values).matrices, self.a.part.matrices, strict=True))
        return values if same else None

    @cached_property
    def a_names(self) -> dict[str, Any]:
        """The first rule's hyperparameters in its matrices: symbols, or functions of t."""
        from sympy.core.function import AppliedUndef

        found = set().union(*(m.free_symbols | m.atoms(AppliedUndef) for m in self.a.part.matrices))
        names = {(x.name if x.is_Symbol else x.func.__name__): x for x in sorted(found, key=str)}
        return {k: v if v.is_Symbol else v.func(time()) for k, v in names.items() if k in self.q.a.hyperparameters}

    def _not_found(self) -> Answer:
        """Refuted, if there is a counterexample."""
        if not self.deep:
            return self._undecided("no solution was found")
        fewer = self.a.memory is not None and self.b.memory is not None and self.a.memory < self.b.memory
        for scheduled in (False,) if fewer else (True, False):
            try:
                found = refute(self._refuting(scheduled), self.clock.part(3) if scheduled else self.clock)
            except OutOfTime:
                if not scheduled:
                    raise
                continue
            if found is not None:
                return self._refuted(self._reason(found), found, self._special())
        return self._undecided("neither a solution nor a counterexample was found")

    def _refuting(self, scheduled: bool) -> Refuting:
        names = tuple(self.unknown)
        b = linear_part(self.q.b, names if scheduled else (), **self.q.set_b)
        memories = (self.a.memory, self.b.memory)
        return Refuting(self.a.part, b, self.q.set_a, self.q.varying, names, scheduled, memories)

    def _reason(self, found: Mapping[str, Any]) -> str:
        a, b = self.q.a, self.q.b
        whatever = f"whatever {'constants' if found['unknown'] == 'constant' else 'schedules'} its hyperparameters are"
        if found["kind"] == "minor":
            memories = f"{a} has {_memories(self.a.memory)}, {b} {_memories(self.b.memory)}"
            short = [text for text in found["unless"] if len(text) < LONG]
            return memories + (f" unless it loses one, as where {' or '.join(short)} is zero" if short else "")
        where = f": it would need {self.obstructions[0]} = 0" if self.obstructions else ""
        return f"{b} is not {a}, {whatever}{where}"

    def _special(self) -> tuple[dict[str, Any], ...]:
        """Choices of either rule's hyperparameters that make the rules the same after all."""
        found: dict[str, dict[str, Any]] = {}
        for rule, factor in self._vanishing():
            for name, text in _roots(factor, rule):
                when = f"{name} = {text}" + ("" if rule is self.q.a else f" in {rule}")
                if when in found or name in self.q.set_a:
                    continue
                found[when] = {}
                for more, answer in self._specialized(rule, {name: text}, deeper=name == self.a.decay):
                    words = ", ".join([when, *more])
                    found[words] = {"when": words, **answer}
        return tuple(case for case in found.values() if case)

    def _vanishing(self) -> Iterator[tuple[Optimizer, Any]]:
        """What would have to vanish for the rules to be the same, irreducible, and whose it is."""
        for side, other, rule in ((self.a, self.b, self.q.a), (self.b, self.a, self.q.b)):
            if side.block is not None and other.memory is not None and (side.memory or 0) > other.memory:
                for factor in _minors(side.block):
                    yield rule, factor
        for obstruction in self.obstructions:
            field_ = Field([obstruction])
            for factor in field_.factors(field_.element(obstruction)):
                yield self.q.a, factor

    def _specialized(
        self, rule: Optimizer, values: Mapping[str, str], deeper: bool
    ) -> list[tuple[list[str], Mapping[str, Any]]]:
        """The answer at special hyperparameters; where the rules still differ, their special cases if so wished."""
        fixed = specialized(rule, values)
        varying = tuple(name for name in self.q.varying if name not in values)
        a, b = (fixed, self.q.b) if rule is self.q.a else (self.q.a, fixed)
        question = replace(self.q, a=a, b=b, varying=varying)
        try:
            finder = _Finder(question, self.clock, deep=False)
            answer = finder.answer()
        except InputError:
            return []
        if answer.status == "equivalent":
            return [([], {k: getattr(answer, k) for k in CASE})]
        return [([case["when"]], {k: case[k] for k in CASE}) for case in finder._special()] if deeper else []

    # -- proofs --

    def _proved(self, solution: dict[str, Any]) -> Answer | None:
        """The answer at a solution, once the checker has proved it."""
        for values, free, notes in self._completed(solution):
            for backward, transform in self._transforms(values):
                self.clock.check()
                claim = self._claim(values, transform, backward)
                verdict = check(claim)
                self.tried.append(f"{_written(claim.map)} by a transform {claim.direction}: {verdict.status}")
                if verdict.status == "proved":
                    return self._equivalent(claim, verdict, free, notes)
        return None

    def _completed(self, solution: dict[str, Any]) -> list[tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]]:
        """The solution with all that is left open in it chosen, inside declared ranges where that can be."""
        import sympy

        open_ = self._open(solution)
        found = []
        for choice in product(*(self._choices(name) for name in open_)):
            chosen = dict(zip(open_, choice, strict=True))
            names = {sympy.Symbol(k + MARK, real=True): v for k, v in chosen.items()}
            functions = {sympy.Function(k + MARK, real=True): v for k, v in chosen.items()}
            values = {k: _filled(v, names, functions) for k, v in solution.items()} | chosen
            if any(v.has(sympy.zoo, sympy.nan, sympy.oo) for v in values.values()):
                continue
            outside = self._outside(values)
            found.append((sum(outside.values()), values, outside))
            if not found[-1][0]:
                break
        found.sort(key=lambda f: f[0])
        return [(values, open_, _range_notes(self.q.b, values, outside)) for _, values, outside in found[:1]]

    def _open(self, solution: dict[str, Any]) -> tuple[str, ...]:
        part = linear_part(self.q.b, tuple(self.unknown))
        return tuple(k for k in needed(part) if k in self.unknown and k not in solution)

    def _choices(self, name: str) -> list[Any]:
        import sympy

        default = self.q.b.hyperparameters[name].default
        first = [] if default is None or isinstance(default, Recurrence) else [_number(default)]
        return list(dict.fromkeys([*first, *map(sympy.Rational, (0, 1, "1/2"))]))

    def _outside(self, values: dict[str, Any]) -> dict[str, int]:
        """At how many of some values of the first rule's hyperparameters each of the second's is out of range."""
        counts = dict.fromkeys(values, 0)
        for seed in range(DRAWS):
            for name, value in values.items():
                number = _drawn(value, self.q.a, seed)
                counts[name] += number is not None and not self.q.b.hyperparameters[name].holds(number)
        return counts

    def _claim(self, values: dict[str, Any], transform: Any, backward: bool) -> Equivalence:
        ends = [side.part.tableau.states for side in (self.a, self.b)]
        before, after = reversed(ends) if backward else ends
        rows = {state: _combination(transform.row(i), before) for i, state in enumerate(after)}
        texts = {k: _text(v) for k, v in values.items()} | {k: str(v) for k, v in self.q.set_b.items()}
        q = self.q
        return Equivalence(q.a, q.b, texts, rows, backward, q.varying, given=dict(q.set_a), returned=q.returned)

    def _transforms(self, values: dict[str, Any]) -> list[tuple[bool, Any]]:
        """Candidate transforms of states, those first that divide by least."""
        import sympy

        target = self._target(values)
        states = [part.tableau.states for part in (self.a.part, target)]
        pairs = zip(target.matrices, self.a.part.matrices, strict=True)
        if states[0] == states[1] and all(x == y for x, y in pairs):
            return [(False, sympy.eye(len(states[0])))]
        found = _transforms(self.a.part, target)
        return sorted(found, key=lambda f: (len(_divisors(f[1])), sympy.count_ops(f[1])))

    def _target(self, values: Mapping[str, Any]) -> LinearPart:
        """The second rule's matrices at values of its hyperparameters."""
        import sympy

        b = linear_part(self.q.b, tuple(self.unknown), **self.q.set_b)
        functions = {sympy.Function(k, real=True): v for k, v in values.items()}
        return replace(b, matrices=_put_functions(b.matrices, functions))

    def _equivalent(self, claim: Equivalence, verdict: Verdict, free: tuple[str, ...], notes: Any) -> Answer:
        to = claim.source if claim.backward else claim.target
        start = dict.fromkeys(to.positions, "w0") | {k: str(v) for k, v in to.memories.items()}
        functions = [] if self.q.returned else ["the query points are compared"]
        return Answer(
            self.q.a,
            self.q.b,
            "equivalent",
            map=claim.map,
            transform=claim.transform,
            direction=claim.direction,
            initial=start,
            free=free,
            conditions=(*verdict.conditions, *notes),
            assumptions=(*verdict.assumptions, *functions),
            reason=verdict.reason,
            certificate=certificate.of_equivalence(claim, verdict),
        )


def _memories(count: int | None) -> str:
    return f"{count} {'memory' if count == 1 else 'memories'}"


def _minors(block: Block) -> list[Any]:
    """Irreducible factors of what vanishes only where memories are lost: what is reached and what is shown."""
    import sympy

    a, b, p, _ = block
    size = a.rows
    reach, rows = [], []
    for age in range(size):
        column, row = shifted(b, -age), shifted(p, age)
        for step in range(1 - age, 1):
            column = shifted(a, step) * column
        for step in reversed(range(age)):
            row = row * shifted(a, step)
        reach.append(column)
        rows.append(row)
    found: list[Any] = []
    for matrix in (sympy.Matrix.hstack(*reach), sympy.Matrix.vstack(*rows)):
        field_ = Field([matrix.det()])
        found += [f for f in field_.factors(field_.element(matrix.det())) if f not in found]
    return found


def _roots(factor: Any, rule: Optimizer) -> Iterator[tuple[str, str]]:
    """Values of hyperparameters inside their ranges that make a factor zero, as (name, text)."""
    import sympy

    for symbol in sorted(factor.free_symbols, key=lambda s: (factor.count_ops(), str(s))):
        name = symbol.name.removesuffix(MARK)
        declared = rule.hyperparameters.get(name)
        if declared is None or not factor.is_polynomial(symbol) or sympy.degree(factor, symbol) != 1:
            continue
        value = reduced(sympy.solve(factor, symbol)[0])
        drawn = [_drawn(value, rule, seed) for seed in range(DRAWS)]
        if any(x is not None and declared.holds(x) for x in drawn):
            yield name, _text(value).replace(MARK, "")
            return


def _written(values: Mapping[str, str]) -> str:
    return ", ".join(f"{k} = {v}" for k, v in values.items())


def _number(value: Any) -> Any:
    import sympy

    return sympy.Rational(str(exact(value)))


def _filled(value: Any, names: Mapping[Any, Any], functions: Mapping[Any, Any]) -> Any:
    from sympy.core.function import AppliedUndef

    called = {f: functions[f.func] for f in value.atoms(AppliedUndef) if f.func in functions}
    return reduced(value.xreplace({**names, **called}))


def _put_functions(matrices: Any, functions: Mapping[Any, Any]) -> Any:
    """Matrices with unknown functions of t replaced by expressions in t."""
    from sympy.core.function import AppliedUndef

    def one(matrix: Any) -> Any:
        called = [f for f in matrix.atoms(AppliedUndef) if f.func in functions]
        return matrix.xreplace({f: shifted(functions[f.func], f.args[0] - time()) for f in called})

    return type(matrices)(*map(one, matrices))


def _invariants(side: Side, moving: bool, clock: Clock) -> list[Any]:
    """What the gradients do to the query point, in quantities that no change of memories alters.

    With weight decay, at more than one memory, its own part is left to the checker.
    """
    import sympy

    assert side.block is not None
    a, b, p, q = side.block
    found = []
    if side.drift is not None:
        found.append(side.drift.kappa[0])
        if a.rows == 1:
            a, b, p, q = side.drift[:4]
            found.append(shifted(p[0], 1) * side.drift.d[0])
    found.append(q[0])
    if a.rows == 1:
        found += [shifted(p[0], 1) * b[0], a[0] * shifted(b[0], -1) / b[0]]
    elif a.rows and moving:
        found += _chain(p, a, b, 2 * a.rows, clock)
    elif a.rows:
        found += list(a.charpoly(sympy.Dummy()).all_coeffs()[1:])
        for _ in range(a.rows):
            found.append((p * b)[0])
            p = p * a
    return found


def _chain(seen: Any, a: Any, b: Any, steps: int, clock: Clock) -> list[Any]:
    """What is seen 1, 2, ... steps after something entered by b at t, and went on by a."""
    near = [[shifted(m, ahead) for m in (seen, a)] for ahead in range(1, steps + 1)]
    field_ = Field(entry for m in [b, *(m for pair in near for m in pair)] for entry in m)
    state, found = field_.matrix(b), []
    for row, onward in near:
        clock.check()
        shown = field_.matrix(row) * state
        found += [field_.plain(shown[i, j].element) for i in range(shown.shape[0]) for j in range(shown.shape[1])]
        state = field_.matrix(onward) * state
    return found


def _window(a: LinearPart, b: LinearPart, clock: Clock, returned: bool = False) -> list[Any]:
    """Differences of what each query (or the returned state) shows of each gradient some steps before."""
    steps = len(a.tableau.states) + len(b.tableau.states)
    constant = not any(part.matrices.A.has(time()) for part in (a, b))
    one, other = (_responses(part, steps, clock, returned, constant) for part in (a, b))
    return [x - y for x, y in zip(one, other, strict=True)]


def _responses(part: LinearPart, steps: int, clock: Clock, returned: bool, constant: bool) -> list[Any]:
    import sympy

    a, b, c, d, f = map(elsewhere, part.matrices)
    seen = f if returned else c
    found = [] if returned else list(d)
    found += _chain(seen, a, b, steps, clock)
    if constant:
        for values in (part.tableau.translation, part.tableau.start):
            start = sympy.Matrix(list(map(_number, values)))
            found += [*(seen * start), *_chain(seen, a, a * start, steps, clock)]
    return found


def _transforms(a: LinearPart, b: LinearPart) -> list[tuple[bool, Any]]:
    """Transforms of states (backward, T) that fit what gradients reach, or what queries show."""
    from sympy.polys.matrices import DomainMatrix

    size = max(len(part.tableau.states) for part in (a, b))
    sides = [[elsewhere(m) for m in part.matrices] for part in (a, b)]
    near = [{(i, s): shifted(m, s) for i, m in enumerate(side[:3]) for s in range(-size, size + 1)} for side in sides]
    field_ = Field(entry for side in near for m in side.values() for entry in m)
    over = [{k: field_.matrix(m) for k, m in side.items()} for side in near]
    reach = [_reached(side, size) for side in over]
    show = [_shown(side, size) for side in over]
    if not left_behind(a) and not left_behind(b):
        import sympy

        for i, part in enumerate((a, b)):
            reach[i] = DomainMatrix.hstack(field_.matrix(sympy.Matrix(part.tableau.translation)), reach[i])
    found = []
    for backward, source, target in ((False, 0, 1), (True, 1, 0)):
        pivots = list(reach[source].rref()[1])
        every = range(reach[target].shape[0])
        if len(pivots) == reach[source].shape[0]:
            square = reach[source].extract(list(range(len(pivots))), pivots)
            found.append((backward, reach[target].extract(list(every), pivots) * square.inv()))
            continue
        pivots = list(show[target].transpose().rref()[1])
        if len(pivots) == len(every):
            square = show[target].extract(pivots, list(every))
            columns = list(range(show[source].shape[1]))
            found.append((backward, square.inv() * show[source].extract(pivots, columns)))
    return [(backward, _expressions(field_, matrix)) for backward, matrix in found]


def _reached(near: Mapping[Any, Any], size: int) -> Any:
    """Columns: what gradients of each age have made of the state at t."""
    from sympy.polys.matrices import DomainMatrix

    columns = []
    for age in range(1, size + 1):
        column = near[1, -age]
        for step in range(-age + 1, 0):
            column = near[0, step] * column
        columns.append(column)
    return DomainMatrix.hstack(*columns)


def _shown(near: Mapping[Any, Any], size: int) -> Any:
    """Rows: what queries from t on show of the state at t, without further gradients."""
    from sympy.polys.matrices import DomainMatrix

    rows = []
    for ahead in range(size):
        row = near[2, ahead]
        for step in reversed(range(ahead)):
            row = row * near[0, step]
        rows.append(row)
    return DomainMatrix.vstack(*rows)


def _expressions(field_: Field, matrix: Any) -> Any:
    import sympy

    rows, columns = matrix.shape
    return sympy.Matrix(rows, columns, lambda i, j: field_.expression(matrix[i, j].element))


def _divisors(matrix: Any) -> set[Any]:
    return {d for entry in matrix for d in divisors(entry)}


def _combination(row: Any, states: Iterable[str]) -> str:
    """A row of a transform, in states."""
    terms = []
    for entry, state in zip(row, states, strict=True):
        if entry == 0:
            continue
        text = _text(entry)
        terms.append(state if entry == 1 else f"({text})*{state}" if entry.is_Add else f"{text}*{state}")
    return " + ".join(terms) or "0"


def _text(expression: Any) -> str:
    """An expression in the language of claims."""
    from sympy.printing.str import StrPrinter

    class Printer(StrPrinter):
        def _print_Min(self, e: Any) -> str:
            return _nested("minimum", [self._print(x) for x in e.args])

        def _print_Max(self, e: Any) -> str:
            return _nested("maximum", [self._print(x) for x in e.args])

    return str(Printer().doprint(expression))


def _nested(name: str, texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{name}({texts[0]}, {_nested(name, texts[1:])})"


def _drawn(value: Any, rule: Optimizer, seed: int) -> Fraction | None:
    """The value of an expression at random hyperparameters of a rule and a random step; None where it has none."""
    import sympy
    from sympy.core.function import AppliedUndef

    chance = random.Random(f"ranges {seed}")
    step = chance.randint(3, 12)
    names: dict[Any, Any] = {}
    for leaf in sorted(value.free_symbols | value.atoms(AppliedUndef), key=str):
        name = leaf.name if leaf.is_Symbol else leaf.func.__name__
        declared = rule.hyperparameters.get(name, Hyperparameter(low=0))
        low, high = (exact(min(max(edge, -2.0), 2.0)) for edge in (declared.low, declared.high))
        names[leaf] = _number(low + (high - low) * Fraction(chance.randint(1, 11), 12))
    names[time()] = sympy.Integer(step)
    number = value.xreplace(names)
    return Fraction(str(number)) if number.is_Rational else None


def _range_notes(rule: Optimizer, values: Mapping[str, Any], outside: Mapping[str, int]) -> tuple[str, ...]:
    notes = []
    for name, count in outside.items():
        if count:
            how = "always" if count == DRAWS else "not always"
            where = f"{rule.hyperparameters[name].range}"
            inside = f"outside its range {where}" if count == DRAWS else f"inside its range {where}"
            notes.append(f"{name} = {_text(values[name])} is {how} {inside}")
    return tuple(notes)


def _stages(stages: tuple[int, ...]) -> str:
    return " and ".join(f"{n} gradient{'s' if n > 1 else ''}" for n in stages)
