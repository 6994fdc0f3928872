"""Is one rule another one? Finds the hyperparameters and the transform, and has the checker prove them.

What gradients do to later query points is matched, in what does not depend on how a rule is written: for one memory
its canonical coefficients at each step, for more the transfer function of the block form, for everything else the
response of each query to each gradient. These are rational equations in the other rule's hyperparameters, solved by
elimination, constants before schedules. The transform follows from what gradients reach, or from what queries show.
Nothing is called equivalent that `equivalence.check` has not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from accelsim.errors import InputError
from accelsim.optimizer import Optimizer
from accelsim.schedules import Recurrence
from accelsim.symbolic import certificate, ranges
from accelsim.symbolic.algebra import Field, divisors, reduced
from accelsim.symbolic.answer import Answer
from accelsim.symbolic.elimination import Clock, Outcome, OutOfTime, solve
from accelsim.symbolic.equivalence import Equivalence, Verdict, check, formulas, linear_parts, needed
from accelsim.symbolic.first_step import Start, first_step
from accelsim.symbolic.linear_part import LinearPart
from accelsim.symbolic.question import Question
from accelsim.symbolic.refutation import RETURNED, Refuting, drawn, refute, scaled
from accelsim.symbolic.responses import Side, invariants, side_of, silent, window
from accelsim.symbolic.special import defaults, roots, vanishing
from accelsim.symbolic.specialized import switched
from accelsim.symbolic.tableau import time
from accelsim.symbolic.transforms import transforms
from accelsim.symbolic.written import combination, from_first, given_value, number, put_functions, text_of

BUDGET = 10.0  # seconds of computing
SHARE = 0.5  # of what is left of them for constants, then for schedules; the rest is for a refutation
CHOICES = 1.0  # seconds of them for other choices where hyperparameters are left free
SCHEDULED = 3.0  # seconds of them for a refutation of all schedules, before one of all constants
SPECIAL = 3.0  # seconds of them for special cases
CASE = ("map", "transform", "direction", "conditions", "assumptions")  # what is said of a special case
LONG = 30  # characters of an expression that is not worth a reason
MARK = "_"  # after the name of an unknown of the second rule, lest it be taken for one of the first


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
    budget : of the search, in seconds of computing.

    Raises
    ------
    InputError
        For unknown names or values out of range, or a rule without a linear part.
    """
    given_a, given_b = dict(set_a or {}), dict(set_b or {})
    for rule, given in ((a, given_a), (b, given_b)):
        for name, value in given.items():
            rule.value(name, value)
    question = Question(a, switched(b, given_b), given_a, given_b, returned, tuple(varying))
    clock, tried = Clock(budget), list[str]()
    try:
        with clock.enforced():
            return _Finder(question, clock, tried).answer()
    except OutOfTime:
        reason = f"not decided within {budget:g} s"
        return Answer(a, b, "undecided", assumptions=question.assumptions, reason=reason, tried=tuple(tried))


Solution = tuple[dict[str, Any], tuple[str, ...]]  # values of hyperparameters, and which of them were chosen


@dataclass(frozen=True)
class Candidate:
    """Values of the second rule's hyperparameters; which were chosen; how often each is out of its range."""

    values: dict[str, Any]
    left: tuple[str, ...]
    outside: Mapping[str, int]

    @property
    def score(self) -> tuple[int, int]:
        """The better the smaller."""
        return sum(self.outside.values()), sum(int(value.count_ops()) for value in self.values.values())


class _Finder:
    """One question; `tried` says what was looked at."""

    def __init__(self, question: Question, clock: Clock, tried: list[str], deep: bool = True) -> None:
        self.q, self.clock, self.tried, self.deep = question, clock, tried, deep
        self.obstructions: list[Any] = []
        self.stuck: list[str] = []
        self.complete = True  # whether all special cases were looked for
        self.doubt: str | None = None  # why the checker did not prove the last solution
        self.beside: str | None = None  # why it did not, though the identities hold
        declared = question.b.hyperparameters.items()
        self.unknown = [k for k, h in declared if not h.switch and k not in question.set_b]
        source, self.open = self._parts()
        self.a = side_of(source)
        self.b = side_of(self.steady).renamed(self._marked())

    # -- unknowns --

    def _parts(self) -> tuple[LinearPart, LinearPart]:
        """The linear parts, the second one's unknowns being functions of t."""
        import sympy

        q = self.q
        source, target = linear_parts(Equivalence(q.a, q.b, {}, {}, varying=q.varying, given=q.set_a))
        given = {sympy.Function(k, real=True): given_value(v) for k, v in q.set_b.items()}
        matrices = put_functions(target.matrices, given)
        return source, replace(target, matrices=matrices, fixed=frozenset(q.set_b))

    @cached_property
    def steady(self) -> LinearPart:
        """The second rule's part, its unknowns being symbols."""
        import sympy

        symbols = {sympy.Function(k, real=True): sympy.Symbol(k, real=True) for k in self.unknown}
        return replace(self.open, matrices=put_functions(self.open.matrices, symbols))

    def _marked(self) -> dict[Any, Any]:
        import sympy

        return {sympy.Symbol(k, real=True): sympy.Symbol(k + MARK, real=True) for k in self.unknown}

    @cached_property
    def scheduled(self) -> Side:
        """The second rule, its hyperparameters unknown functions of t."""
        import sympy

        marked = {sympy.Function(k, real=True): sympy.Function(k + MARK, real=True)(time()) for k in self.unknown}
        return side_of(self.open).renamed(marked)

    # -- the answer --

    def answer(self) -> Answer:
        """What `equivalent` returns."""
        counts = [side.part.tableau.stages for side in (self.a, self.b)]
        if counts[0] != counts[1]:
            words = [f"{rule} takes {_stages(c)}" for rule, c in zip((self.q.a, self.q.b), counts, strict=True)]
            return self._refuted(f"{words[0]} a step, {words[1]}")
        theirs = self.b.part.tableau.maps
        if theirs and theirs != self.a.part.tableau.maps:
            return self._signed(" and ".join(f"{name} {when} the momentum" for name, when in sorted(theirs)))
        if self.a.moves and self.b.decay:
            return self._without_decay()
        if self.b.moves and not self.a.moves:
            return self._standing_still()
        for attempt in (self._namesakes, self._with_constants, self._with_schedules):
            found = self._attempted(attempt)
            if found is not None:
                return found
        return self._not_found()

    def _attempted(self, attempt: Callable[[Clock], list[Solution]]) -> Answer | None:
        """What an attempt proves in its share of the time."""
        clock = self.clock.at_most(self.clock.left * SHARE)
        try:
            with clock.enforced():
                candidates = [c for solution in attempt(clock) for c in self._completed(*solution)]
                for candidate in sorted(candidates, key=lambda c: c.score):
                    found = self._proved(candidate)
                    if found is not None:
                        return found
        except OutOfTime:
            self.clock.check()
            self.tried.append(f"{attempt.__name__.strip('_').replace('_', ' ')}: out of time")
        return None

    def _signed(self, what: str) -> Answer:
        """Refuted where the length of gradients matters to the first rule and not to the second."""
        reason = f"{self.q.b} applies {what}, {self.q.a} does not"
        found = None if self.a.part.tableau.maps else scaled(self._refuting(scheduled=False))
        if found is None or not certificate.scale_free(self.q.b):
            return self._undecided(f"{reason}: linear parts cannot tell")
        return self._refuted(f"{reason}: to {self.q.b} it is all the same how long gradients are", found)

    def _with_constants(self, clock: Clock) -> list[Solution]:
        self.tried.append("constant hyperparameters")
        equations = self._equations(self.b)
        if equations is None:
            return []
        solutions = self._solved(equations, clock)
        found: list[Solution] = [(solution, ()) for solution in solutions]
        best = self._completed(*found[0]) if found else []
        if best and best[0].left and best[0].score[0]:  # another choice may lie inside the ranges
            self._pin(found, equations, clock.at_most(CHOICES))
        return found

    def _pin(self, found: list[Solution], equations: list[Any], clock: Clock) -> None:
        """Add solutions with one hyperparameter at its default or a plain number."""
        import sympy

        names = [k for k in needed(self.open) if k in self.unknown]
        try:
            with clock.enforced():
                for name, choice in ((k, choice) for k in names for choice in self._choices(k)):
                    fixed = {sympy.Symbol(name + MARK, real=True): choice}
                    left = [e.xreplace(fixed) for e in equations]
                    if not any(e.has(sympy.zoo, sympy.nan) for e in left):
                        found += [({name: choice, **s}, (name,)) for s in self._solved(left, clock)]
        except OutOfTime:
            self.clock.check()

    def _with_schedules(self, clock: Clock) -> list[Solution]:
        one = self.a.memory in (0, 1) and self.a.memory == self.b.memory
        if not one or not self.unknown or self.q.returned:
            return []
        self.tried.append("hyperparameters that are functions of t")
        equations = self._equations(self.scheduled)
        if equations is None or not self._outcome(self._at_numbers(equations), clock).solutions:
            return []
        return [(solution, ()) for solution in self._solved(equations, clock)]

    def _at_numbers(self, equations: list[Any]) -> list[Any]:
        """The equations at one choice of the first rule's constants; what has no solution there has none at all."""
        symbols = [s for s in self.a_names.values() if s.is_Symbol]
        chosen = {s: number(drawn(self.q.a.hyperparameters[s.name], f"one choice {s}")) for s in symbols}
        return [e.xreplace(chosen) for e in equations]

    def _solved(self, equations: list[Any], clock: Clock) -> list[dict[str, Any]]:
        outcome = self._outcome(equations, clock)
        self.obstructions += [o for o in outcome.obstructions if o not in self.obstructions]
        self.stuck += outcome.stuck
        plain = []
        for solution in outcome.solutions:
            names = {(u.name if u.is_Symbol else u.func.__name__): value for u, value in solution.items()}
            plain.append({name.removesuffix(MARK): value for name, value in names.items()})
        return plain

    def _outcome(self, equations: list[Any], clock: Clock) -> Outcome:
        import sympy
        from sympy.core.function import AppliedUndef

        found = set().union(*(e.free_symbols | e.atoms(AppliedUndef) for e in equations))
        constants = [sympy.Symbol(k + MARK, real=True) for k in self.unknown]
        functions = [sympy.Function(k + MARK, real=True)(time()) for k in self.unknown]
        called = {f.func for f in found if isinstance(f, AppliedUndef)}
        unknowns = [u for u in constants if u in found] + [f for f in functions if f.func in called]
        below = [d for e in equations for term in sympy.Add.make_args(e) for d in divisors(term)]
        nonzero = list(dict.fromkeys(d for d in below if unknowns and d.has(*unknowns)))
        return solve(equations, unknowns, clock, nonzero)

    # -- equations --

    def _equations(self, b: Side) -> list[Any] | None:
        """What vanishes where the rules are the same; None where their memories or movements cannot agree."""
        both = self.a.block is not None and b.block is not None
        if both and self.a.memory != b.memory:
            return None
        if both and (self.a.drift is None) == (b.drift is None):
            moving = not (self.a.constant and b.constant)
            one, other = (invariants(side, moving, self.clock) for side in (self.a, b))
            equations = [x - y for x, y in zip(one, other, strict=True)]
        else:
            equations = window(self.a.part, b.part, self.clock)
        if self.q.returned:
            equations += window(self.a.part, b.part, self.clock, returned=True)
        return equations

    # -- when there is no solution --

    def _undecided(self, reason: str) -> Answer:
        tried = tuple(dict.fromkeys((*self.tried, *self.stuck)))
        notes = (*self.q.assumptions, *self._set_aside())
        return Answer(self.q.a, self.q.b, "undecided", reason=reason, tried=tried, assumptions=notes)

    def _refuted(self, reason: str, counterexample: Mapping[str, Any] | None = None, special: Any = ()) -> Answer:
        q = self.q
        document = counterexample and certificate.of_refutation(q.a, q.b, q.set_a, q.set_b, counterexample)
        notes = self._set_aside() if counterexample and _takes_linear_parts(counterexample) else ()
        if not self.complete:
            notes = (*notes, "time did not suffice to look for all special cases")
        return Answer(
            self.q.a,
            self.q.b,
            "refuted",
            reason=reason,
            counterexample=counterexample,
            special=special,
            assumptions=(*q.assumptions, *notes),
            certificate=document,
        )

    def _set_aside(self) -> tuple[str, ...]:
        parts = (self.a.part, self.b.part)
        notes = [f"{part.tableau.optimizer}: {note}" for part in parts for note in part.assumptions]
        return tuple(dict.fromkeys(notes))

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
        name = str(self.b.decay)
        why = f", as {self.q.a} moves along with a translation of all positions"
        question = replace(self.q, set_b={**self.q.set_b, name: 0}, forced={**self.q.forced, name: why})
        return _Finder(question, self.clock, self.tried, self.deep).answer()

    def _namesakes(self, clock: Clock) -> list[Solution]:
        """Every hyperparameter as the one of the same name, where that makes the same matrices."""
        names = self._left({})
        known = {k: given_value(v) for k, v in self.q.set_a.items() if k in names} | self.a_names
        if not set(names) <= set(known) or self.q.a.states != self.q.b.states:
            return []
        values = {k: known[k] for k in names}
        same = all(x == y for x, y in zip(self._target(values).matrices, self.a.part.matrices, strict=True))
        return [(values, ())] if same else []

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
        if self.beside:
            return self._undecided(self.beside)
        fewer = self.a.memory is not None and self.b.memory is not None and self.a.memory < self.b.memory
        if fewer and self.a.decay and self.b.decay:  # what refutes them without decay is far shorter, and enough
            question = replace(self.q, set_a={**self.q.set_a, self.a.decay: 0})
            answer = _Finder(question, self.clock, self.tried)._without_decay()
            return answer if answer.status == "refuted" else self._undecided("no solution was found with weight decay")
        for scheduled in (False,) if fewer else (True, False):
            try:
                clock = self.clock.at_most(SCHEDULED) if scheduled else self.clock
                with clock.enforced():
                    found = refute(self._refuting(scheduled), clock)
            except OutOfTime:
                if not scheduled:
                    raise
                continue
            if found is not None and found["unknown"] == "constant" and not self.a.constant and not fewer:
                return self._undecided(f"no constants make {self.q.b} of {self.q.a}; whether schedules do is open")
            beyond = self._beyond()
            if found is not None and beyond:
                return self._undecided(f"the linear parts differ, and {beyond}, so they cannot tell")
            if found is not None:
                return self._refuted(self._reason(found), found, self._special())
        return self._undecided(self.doubt or "neither a solution nor a counterexample was found")

    def _beyond(self) -> str | None:
        """What may make rules the same whose linear parts differ."""
        if self.a.part.tableau.maps and self.b.part.tableau.maps:
            return "a sign knows no scale"
        taken = [name for name in self._unlike() if name in self.b.part.absorbed]
        return f"{taken[0]}(t) is not the same formula in both" if taken else None

    def _unlike(self) -> list[str]:
        """Given sequences that go by one name in both rules and are not one formula."""
        ours, theirs = formulas(self.a.part, self.q.set_a), formulas(self.b.part, self.q.set_b)
        return [name for name in ours if name in theirs and ours[name] != theirs[name]]

    def _refuting(self, scheduled: bool) -> Refuting:
        memories = (self.a.memory, self.b.memory)
        b, unknown = self.open if scheduled else self.steady, tuple(self.unknown)
        unlike = frozenset(self._unlike())
        varying, returned = self._varying(), self.q.returned
        return Refuting(self.a.part, b, self.q.set_a, varying, unknown, scheduled, memories, unlike, returned)

    def _varying(self) -> tuple[str, ...]:
        """The first rule's hyperparameters that are unknown functions of t."""
        return tuple(name for name, value in self.a_names.items() if not value.is_Symbol)

    def _reason(self, found: Mapping[str, Any]) -> str:
        a, b = self.q.a, self.q.b
        whatever = f"whatever {'constants' if found['unknown'] == 'constant' else 'schedules'} its hyperparameters are"
        if found["kind"] == "minor":
            memories = f"{a} has {_memories(self.a.memory)}, {b} {_memories(self.b.memory)}"
            positive = tuple(f"{name}_" for name in self._unlike())
            short = [text for text in found["unless"] if len(text) < LONG and not text.startswith(positive)]
            return memories + (f" unless it loses one, as where {' or '.join(short)} is zero" if short else "")
        for name in self._unlike():
            whatever += f" and whatever positive numbers its {name}(t), another formula than that of {a}, are"
        needs = next((o for o in map(self._without_killing, self.obstructions) if not o.is_number), None)
        where = "" if needs is None else f": it would need {needs} = 0"
        if any(key["query"] == RETURNED for key in found["answers"]):
            return f"{b} does not return what {a} does where it queries the same points, {whatever}{where}"
        return f"{b} is not {a}, {whatever}{where}"

    def _without_killing(self, obstruction: Any) -> Any:
        """The obstruction without factors that vanish only where the first rule does not follow gradients any more."""
        import sympy

        over = Field([obstruction])
        return sympy.Mul(*(f for f in over.factors(over.element(obstruction)) if not self._kills(f)))

    def _kills(self, factor: Any) -> bool:
        """Whether a factor is zero only where gradients do nothing, or nowhere, as a power of t."""
        import sympy
        from sympy.core.function import AppliedUndef

        names = {x.name if x.is_Symbol else x.func.__name__ for x in factor.free_symbols | factor.atoms(AppliedUndef)}
        for name, value in roots(factor, self.q.a):
            fixed = self.a.part.replaced({sympy.Symbol(name, real=True): value})
            matrices = put_functions(fixed.matrices, {sympy.Function(name, real=True): value})
            return silent(replace(fixed, matrices=matrices), self.clock)
        return not names & set(self.q.a.hyperparameters)

    def _special(self) -> tuple[dict[str, Any], ...]:
        """Choices of either rule's hyperparameters that make the rules the same after all."""
        found: dict[str, dict[str, Any]] = {}
        clock = self.clock.at_most(SPECIAL)
        try:
            with clock.enforced():
                self._look_for_special(found)
        except OutOfTime:
            self.clock.check()
            self.complete = False
        return tuple(case for case in found.values() if case)

    def _look_for_special(self, found: dict[str, dict[str, Any]]) -> None:
        unmarked = {new: old for old, new in self._marked().items()}
        for first, factor in vanishing(self.a, self.b.renamed(unmarked), self.obstructions):
            for name, value in roots(factor, self.q.a if first else self.q.b):
                self._look_at(first, name, text_of(value), found)
        for name, text in defaults(self.q.a):
            self._look_at(True, name, text, found)

    def _look_at(self, first: bool, name: str, text: str, found: dict[str, dict[str, Any]]) -> None:
        """What becomes of the answer where a hyperparameter of one of the rules is special."""
        when = f"{name} = {text}" + ("" if first else f" in {self.q.b}")
        if when in found or name in (self.q.set_a if first else self.q.set_b):
            return
        found[when] = {}
        for more, answer in self._specialized(first, {name: text}, deeper=first and name == self.a.decay):
            words = ", ".join([when, *more])
            found[words] = {"when": words, **answer}

    def _specialized(
        self, first: bool, values: Mapping[str, str], deeper: bool
    ) -> list[tuple[list[str], Mapping[str, Any]]]:
        """The answer at special hyperparameters; where the rules still differ, their special cases if so wished."""
        try:
            finder = _Finder(self.q.at(first, values), self.clock, [], deep=False)
            answer = finder.answer()
        except InputError:
            return []
        if answer.status == "equivalent":
            return [([], {k: getattr(answer, k) for k in CASE})]
        return [([case["when"]], {k: case[k] for k in CASE}) for case in finder._special()] if deeper else []

    # -- proofs --

    def _proved(self, candidate: Candidate) -> Answer | None:
        """The answer at a candidate, once the checker has proved it."""
        for backward, transform in self._transforms(candidate.values):
            self.clock.check()
            pair, free = (self.a.part, self.open), lambda name: self._choices(name)[0]
            start = first_step(*pair, candidate.values, transform, backward, free, self.clock)
            claim = self._claim(candidate.values, transform, backward, start)
            verdict = check(claim)
            self.tried.append(f"{_written(claim.map)} by a transform {claim.direction}: {verdict.status}")
            self.doubt = verdict.reason
            if not any(left != "0" for left in verdict.residuals.values()):
                self.beside = f"the linear parts agree, but {verdict.reason}"
            if verdict.status == "proved":
                return self._equivalent(claim, verdict, candidate)
        return None

    def _completed(self, solution: dict[str, Any], pinned: tuple[str, ...]) -> list[Candidate]:
        """The solution with all that is left open in it chosen, inside declared ranges where that can be."""
        import sympy

        left = self._left(solution)
        found = []
        for choice in product(*(self._choices(name) for name in left)):
            chosen = dict(zip(left, choice, strict=True))
            names = {sympy.Symbol(k + MARK, real=True): v for k, v in chosen.items()}
            functions = {sympy.Function(k + MARK, real=True): v for k, v in chosen.items()}
            try:
                values = {k: _filled(v, names, functions) for k, v in solution.items()} | chosen
            except ZeroDivisionError:
                continue
            if any(v.has(sympy.zoo, sympy.nan) for v in values.values()):
                continue
            if not self._by_coordinate(values):
                found.append(Candidate(values, (*pinned, *left), self._outside(values)))
            if found and not found[-1].score[0]:
                break
        return sorted(found, key=lambda c: c.score)[:1]

    def _by_coordinate(self, values: Mapping[str, Any]) -> bool:
        """Whether the second rule, with a preconditioner of its own, would need hyperparameters of each coordinate."""
        from sympy.core.function import AppliedUndef

        sequences = {factor.symbol for factor in self.open.tableau.factors.values()}
        called = {f.func.__name__ for value in values.values() for f in value.atoms(AppliedUndef)}
        if called & sequences:
            self.doubt = f"{_written({k: text_of(v) for k, v in values.items()})} would have to vary by coordinate"
        return bool(called & sequences)

    def _left(self, solution: dict[str, Any]) -> tuple[str, ...]:
        return tuple(k for k in needed(self.open) if k in self.unknown and k not in solution)

    def _choices(self, name: str) -> list[Any]:
        import sympy

        if name in self._within_formulas:
            return [self._within_formulas[name]]
        default = self.q.b.hyperparameters[name].default
        first = [] if default is None or isinstance(default, Recurrence) else [number(default)]
        return list(dict.fromkeys([*first, *map(sympy.Rational, (0, 1, "1/2"))]))

    @cached_property
    def _within_formulas(self) -> dict[str, Any]:
        """The first rule's hyperparameters that both rules have in the formula of a given sequence alone."""
        import sympy

        parts = (self.a.part, self.open)
        one, other = ({factor.symbol for factor in part.tableau.factors.values()} for part in parts)
        both = set(self.q.a.program(self.q.set_a).reads) & set(self.q.b.program().reads)
        if not one & other:
            return {}
        found = {}
        for name in both - set(self.a_names) - set(needed(self.open)):
            known, varies = self.q.set_a.get(name), self.q.a.hyperparameters[name].default
            function = name in self.q.varying or isinstance(varies, Recurrence)
            symbol = sympy.Function(name, real=True)(time()) if function else sympy.Symbol(name, real=True)
            found[name] = symbol if known is None else given_value(known)
        return found

    def _outside(self, values: dict[str, Any]) -> dict[str, int]:
        """At how many of some values of the first rule's hyperparameters each of the second's is out of range."""
        declared = self.q.b.hyperparameters
        return {k: ranges.usually_outside(text_of(value), declared[k], self.q.a) for k, value in values.items()}

    def _claim(self, values: dict[str, Any], transform: Any, backward: bool, start: Start | None) -> Equivalence:
        ends = [side.part.tableau.states for side in (self.a, self.b)]
        before, after = reversed(ends) if backward else ends
        first = transform if start is None else start.transform
        rows = {state: combination(transform.row(i), before, first.row(i)) for i, state in enumerate(after)}
        begun = {} if start is None else start.values
        texts = {k: from_first(text_of(v), begun.get(k)) for k, v in values.items()}
        texts |= {k: str(v) for k, v in self.q.set_b.items()}
        q = self.q
        for name in q.b.program().reads:  # that no matrix contains, so that any value does
            if name in self.unknown and name not in texts:
                texts[name] = text_of(self._choices(name)[0])
        return Equivalence(q.a, q.b, texts, rows, backward, q.varying, given=dict(q.set_a), returned=q.returned)

    def _transforms(self, values: dict[str, Any]) -> list[tuple[bool, Any]]:
        """Candidate transforms of states, those first that divide by least."""
        import sympy

        target = self._target(values)
        states = [part.tableau.states for part in (self.a.part, target)]
        pairs = zip(target.matrices, self.a.part.matrices, strict=True)
        if states[0] == states[1] and all(x == y for x, y in pairs):
            return [(False, sympy.eye(len(states[0])))]
        return transforms(self.a.part, target)

    def _target(self, values: Mapping[str, Any]) -> LinearPart:
        """The second rule's matrices at values of its hyperparameters."""
        import sympy

        functions = {sympy.Function(k, real=True): v for k, v in values.items()}
        return replace(self.open, matrices=put_functions(self.open.matrices, functions))

    def _range_notes(self, claim: Equivalence) -> Iterator[str]:
        """What mapped values, as they are written, are outside their ranges."""
        for name, text in claim.map.items():
            declared = self.q.b.hyperparameters[name]
            found = None if name in self.q.set_b else ranges.note(name, text, declared, self.q.a)
            if found:
                yield found

    def _equivalent(self, claim: Equivalence, verdict: Verdict, candidate: Candidate) -> Answer:
        to = claim.source if claim.backward else claim.target
        start = dict.fromkeys(to.positions, "w0") | {k: str(v) for k, v in to.memories.items()}
        return Answer(
            self.q.a,
            self.q.b,
            "equivalent",
            map=claim.map,
            transform=claim.transform,
            direction=claim.direction,
            initial=start,
            free=candidate.left,
            conditions=(*verdict.conditions, *self._range_notes(claim)),
            assumptions=verdict.assumptions,
            reason=verdict.reason,
            certificate=certificate.of_equivalence(claim, verdict),
        )


def _memories(count: int | None) -> str:
    return f"{count} {'memory' if count == 1 else 'memories'}"


def _written(values: Mapping[str, str]) -> str:
    return ", ".join(f"{k} = {v}" for k, v in values.items())


def _filled(value: Any, names: Mapping[Any, Any], functions: Mapping[Any, Any]) -> Any:
    from sympy.core.function import AppliedUndef

    called = {f: functions[f.func] for f in value.atoms(AppliedUndef) if f.func in functions}
    return reduced(value.xreplace({**names, **called}))


def _takes_linear_parts(counterexample: Mapping[str, Any]) -> bool:
    """Whether a counterexample is about linear parts: rules are run as they are, or without gradients, in others."""
    return counterexample["kind"] != "scale" and any(key["impulse"] >= 0 for key in counterexample["answers"])


def _stages(stages: tuple[int, ...]) -> str:
    return " and ".join(f"{n} gradient{'s' if n > 1 else ''}" for n in stages)
