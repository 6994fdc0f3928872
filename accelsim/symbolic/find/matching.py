"""What the second of two rules' hyperparameters would have to be, for it to be the first.

Two rules are matched in quantities that do not depend on how they are written (see `markov`); what those are in the
second rule's unknowns are equations, solved by elimination.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import combinations, count, islice, product
from typing import Any

from accelsim.errors import InputError
from accelsim.rule import Hyperparameter
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.elimination import Clock, Outcome, OutOfTime, followed, solve
from accelsim.symbolic.algebra.field import at_first, divisors, reduced, shifted, vanishes
from accelsim.symbolic.algebra.language import assignments, given_value, number, text_of
from accelsim.symbolic.algebra.radicals import Roots
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.check.equivalence import linear_parts, needed
from accelsim.symbolic.refute.impulses import drawn
from accelsim.symbolic.system.linear_part import LinearPart
from accelsim.symbolic.system.markov import Side, current, invariants, side_of, window
from accelsim.symbolic.system.pair import Question
from accelsim.symbolic.system.rule_sequences import Followed
from accelsim.symbolic.system.tableau import time

STARTS = 4  # of a sequence, that are tried
ENOUGH = 2  # solutions after which no more are looked for
ALIKE = 1.0  # seconds for memories that decay alike
CONSTANT = 3.0  # seconds for functions beside a constant, before such as follow a recursion
RELATED = 0.5  # the same, where given sequences of both rules are known multiples
SHOWN = range(1, 4)  # steps at which recurrences are compared with what they have to be, before that is proved
NEAR = 1e-9  # up to which they then agree
MOST = 2000  # choices of hyperparameters that are compared so
CHOICES = 1.0  # seconds for other choices where hyperparameters are left free
THREE = 3  # functions determine a rule of one memory
PRODUCT = 2  # of two hyperparameters, where it may be any
MARK = "′"  # after the name of an unknown of the second rule, lest it be taken for one of the first


Solution = tuple[dict[str, Any], tuple[str, ...]]  # values of hyperparameters, and which of them were chosen


@dataclass(frozen=True)
class Candidate:
    """Values of the second rule's hyperparameters; what in them was chosen; how often each is out of its range.

    Attributes
    ----------
    followed : what its recurrences and uniform states have to be, which no map says.
    """

    values: dict[str, Any]
    left: tuple[str, ...]
    outside: Mapping[str, int]
    recursions: Recursions = field(default_factory=lambda: Recursions({}, {}))
    followed: dict[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> tuple[int, int]:
        """The better the smaller."""
        return sum(self.outside.values()), sum(int(value.count_ops()) for value in self.values.values())


class Matching:
    """One question's unknowns and equations; `tried` says what was looked at."""

    def __init__(self, question: Question, clock: Clock, tried: list[str]) -> None:
        self.q, self.clock, self.tried = question, clock, tried
        self.obstructions: list[Any] = []
        self.following: dict[Any, tuple[Any, Any]] = {}  # of functions in solutions, what is next and what was before
        self.stuck: list[str] = []
        if question.relation:
            onward, back = question.relation.recursions.following, question.relation.back
            self.following |= {f: (onward[f], back[f]) for f in back}
        self.shared = False  # whether schedules must be those of all coordinates, though the second rule is linear
        self.doubt: str | None = None  # why the last solution is none
        self.would_do = False  # whether there was a solution but for what recurrences of the second rule are
        declared = question.b.hyperparameters.items()
        self.related = question.relation
        known = {*question.set_b, *(self.related.values if self.related else ())}
        self.unknown = [k for k, h in declared if not h.switch and k not in known]
        self.derived = question.claim.derived  # recurrences of the second rule, which need not be what would do
        source, self.open = self._parts()
        uniform = [f.__name__ for f in self.open.sequences.following if f.__name__ in self.open.tableau.uniform]
        self.unknown += uniform
        self.derived = (*self.derived, *uniform)
        self.a = side_of(source)
        self.b = side_of(self.steady).renamed(self._marked())

    def _parts(self) -> tuple[LinearPart, LinearPart]:
        """The linear parts, the second one's unknowns being functions of t."""
        import sympy

        q = self.q
        source, target = linear_parts(q.claim)
        given = {k: given_value(v) for k, v in q.set_b.items()} | dict(self.related.values if self.related else {})
        target = target.put({sympy.Function(k, real=True): v for k, v in given.items()})
        target = replace(target, fixed=frozenset(given))
        return source, self._rescaled(target) if self.related else target

    def _rescaled(self, part: LinearPart) -> LinearPart:
        """The second rule with multiples of the first one's given sequences, by factors that stand for themselves."""
        import sympy

        for name, scale in self.scales.items():
            sequence = sympy.Function(name, positive=True)(time())
            if name in part.absorbed:
                part = replace(part, matrices=part.matrices._replace(B=part.matrices.B * scale))
            else:
                part = part.replaced({sequence: scale * sequence})
        return part

    @cached_property
    def scales(self) -> dict[str, Any]:
        """What stands for the second rule's given sequences over the first one's, where these are known multiples."""
        import sympy
        from sympy.core.function import AppliedUndef

        taken = {x for rule in (self.q.a, self.q.b) for x in (*rule.states, *rule.hyperparameters)}
        found = {}
        for name, value in (self.related.scales if self.related else {}).items():
            called = next(text for i in count() if (text := f"scale_{name}" + "_" * i) not in taken)
            kind = sympy.Function if value.has(time()) or value.atoms(AppliedUndef) else sympy.Symbol
            found[name] = kind(called, positive=True)
            found[name] = found[name](time()) if kind is sympy.Function else found[name]
        return found

    def unscaled(self, expression: Any) -> Any:
        """An expression or matrix with what those factors are in the first rule, all sequences' values being at t."""
        from sympy.core.function import AppliedUndef

        if not self.scales:
            return expression
        for name, scale in self.scales.items():
            value = self.related.scales[name] if self.related else scale
            here = [scale] if scale.is_Symbol else [f for f in expression.atoms(AppliedUndef) if f.func == scale.func]
            shifts = {f: value if scale.is_Symbol else shifted(value, f.args[0] - time()) for f in here}
            expression = expression.xreplace(shifts)
        return self.at_t(expression)

    @cached_property
    def steady(self) -> LinearPart:
        """The second rule's part, its unknowns being symbols."""
        import sympy

        symbols = {sympy.Function(k, real=True): sympy.Symbol(k, real=True) for k in self.unknown}
        return self.open.put(symbols)

    def _marked(self) -> dict[Any, Any]:
        import sympy

        return {sympy.Symbol(k, real=True): sympy.Symbol(k + MARK, real=True) for k in self.unknown}

    @cached_property
    def scheduled(self) -> Side:
        """The second rule, its hyperparameters unknown functions of t."""
        import sympy

        marked = {sympy.Function(k, real=True): sympy.Function(k + MARK, real=True)(time()) for k in self.unknown}
        return side_of(self.open).renamed(marked)

    @cached_property
    def a_names(self) -> dict[str, Any]:
        """The first rule's hyperparameters in its matrices: symbols, or functions of t."""
        from sympy.core.function import AppliedUndef

        found = set().union(*(m.free_symbols | m.atoms(AppliedUndef) for m in self.a.part.matrices))
        names = {(x.name if x.is_Symbol else x.func.__name__): x for x in sorted(found, key=str)}
        return {k: v if v.is_Symbol else v.func(time()) for k, v in names.items() if k in self.q.a.hyperparameters}

    # -- attempts --

    def _namesakes(self, clock: Clock) -> list[Solution]:
        """Every hyperparameter as the one of the same name, where that makes the same matrices."""
        names = [k for k in (*self._left({}), *self._beside) if k not in self.derived]
        known = {k: given_value(v) for k, v in self.q.set_a.items() if k in names} | self.a_names | self._a_beside
        if not set(names) <= set(known) or self.a.part.tableau.states != self.open.tableau.states:
            return []
        values = {k: known[k] for k in names}
        pairs = zip(self._target(values).matrices, self.a.part.matrices, strict=True)
        same = all(x == y or (x.shape == y.shape and all(map(_zero, x - y))) for x, y in pairs)
        return [(values, tuple(self.derived))] if same or self.open.sequences or self.a.part.forms else []

    @cached_property
    def _beside(self) -> list[str]:
        """The second rule's hyperparameters that its recurrences and uniform states read, and no matrix does."""
        own = self.open.sequences
        read = {f.func.__name__ for e in (*own.following.values(), *own.values.values()) for f in _functions(e)}
        return [k for k in self.unknown if k in read and k not in (*self._left({}), *self.derived)]

    @cached_property
    def _a_beside(self) -> dict[str, Any]:
        """The first rule's hyperparameters in its sequences: symbols, or functions of t."""
        own = self.a.part.sequences
        read = [*own.following.values(), *own.values.values(), *self.a.part.forms.values()]
        found = {s.name: s for e in read for s in e.free_symbols if s != time()}
        found |= {f.func.__name__: f.func(time()) for e in read for f in _functions(e)}
        return {k: v for k, v in found.items() if k in self.q.a.hyperparameters}

    def _with_constants(self, clock: Clock) -> list[Solution]:
        self.tried.append("constant hyperparameters")
        equations = self._equations(self.b)
        if equations is None:
            return []
        equations += self._about_returned(self.b)
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

    def _decaying_alike(self, clock: Clock) -> list[Solution]:
        """Where there are more hyperparameters than functions of t that determine a rule: memories that decay alike."""
        if not self._several:
            return []
        self.tried.append("memories that decay alike")
        blocks = [side.block for side in (self.a, self.scheduled) if side.block is not None]
        alike = reduced(blocks[0].a[0] - blocks[1].a[0])
        equations = [*(self._scheduled_equations or []), alike]
        return self._in_time(lambda clock: self._determined_or_beside(equations, clock), clock.at_most(ALIKE))

    def _determined_or_beside(self, equations: list[Any], clock: Clock) -> Iterator[Solution]:
        """Solutions of equations that determine all, or beside a constant."""
        if self._outcome(self._at_numbers(equations), clock).solutions:
            yield from ((solution, ()) for solution in self._solved(equations, clock))
        else:
            yield from self._with_one_constant(equations, clock)

    def _in_time(self, solutions: Callable[[Clock], Iterator[Solution]], clock: Clock) -> list[Solution]:
        """The solutions that are found in time."""
        found: list[Solution] = []
        with suppress(OutOfTime), clock.enforced():
            for solution in solutions(clock):
                found.append(solution)  # one by one, so that those that were in time stay
        self.clock.check()
        return found

    def _with_schedules(self, clock: Clock) -> list[Solution]:
        equations = self._scheduled_equations
        if equations is None:
            return []
        self.tried.append("hyperparameters that are functions of t")
        found = self._as_schedules(equations, clock)
        if self.q.returned:  # what queries leave open, what is returned may determine
            found += self._as_schedules([*equations, *self._about_returned(self.scheduled)], clock)
        return found

    @cached_property
    def _scheduled_equations(self) -> list[Any] | None:
        """What vanishes where the rules of one memory are the same; None where no schedules make them so."""
        one = self.a.memory in (0, 1) and self.a.memory == self.b.memory
        return self._equations(self.scheduled) if one and self.unknown else None

    @cached_property
    def _several(self) -> bool:
        """Whether more hyperparameters are unknown than determine a rule of one memory that is kept."""
        if self.a.memory != 1 or self._scheduled_equations is None:
            return False
        blocks = (self.a.block, self.scheduled.block)
        kept = all(block is not None and block.a[0] != 0 for block in blocks)
        return kept and len(self._left({})) > THREE

    def _as_schedules(self, equations: list[Any], clock: Clock) -> list[Solution]:
        if self._several:
            found = self._found_beside(equations, clock)
            return found or list(self._by_recursion(self._with_products(equations), clock))
        outcome = self._outcome(self._at_numbers(equations), clock)
        if outcome.solutions:
            return [(solution, ()) for solution in self._solved(equations, clock)]
        if not outcome.stuck:
            return []
        return self._found_beside(equations, clock) or list(self._by_recursion([equations], clock))

    def _found_beside(self, equations: list[Any], clock: Clock) -> list[Solution]:
        """What is found in time beside a constant."""
        some = clock.at_most(RELATED if self.related else CONSTANT)
        return self._in_time(lambda clock: self._with_one_constant(equations, clock), some)

    def _by_recursion(self, systems: Iterable[list[Any]], clock: Clock) -> Iterator[Solution]:
        """Solutions of the first system of equations that has some, among them such as follow a recursion."""
        for equations in systems:
            if self._outcome(self._at_numbers(equations), clock, recursive=True).solutions:
                self.tried.append("functions of t that follow a recursion")
                self.shared = True
                found = self._solved(equations, clock, recursive=True)
                yield from ((solution, ()) for solution in found)
                if found:
                    return

    def _with_products(self, equations: list[Any]) -> Iterator[list[Any]]:
        """The equations where the product of two hyperparameters is a number."""
        import sympy
        from sympy.core.function import AppliedUndef

        one, other = (current(side.block) for side in (self.a, self.scheduled) if side.block is not None)
        equations = [*equations, reduced(one - other)]
        found = set().union(*(e.atoms(AppliedUndef) for e in equations))
        for name, second in combinations(reversed(self._left({})), 2):  # step sizes are declared first
            function = sympy.Function(second + MARK, real=True)
            other_way = {f: PRODUCT / function(f.args[0]) for f in found if f.func.__name__ == name + MARK}
            tied = sympy.Function(name + MARK, real=True)(time()) - PRODUCT / function(time())
            yield [*(e.xreplace(other_way) for e in equations), tied]

    def _with_one_constant(self, equations: list[Any], clock: Clock) -> Iterator[Solution]:
        """Solutions where one hyperparameter is a constant: what is left open then determines the others."""
        import sympy
        from sympy.core.function import AppliedUndef

        found = set().union(*(e.atoms(AppliedUndef) for e in equations))
        for name in self._left({}):
            steady = {f: sympy.Symbol(name + MARK, real=True) for f in found if f.func.__name__ == name + MARK}
            fewer = [e.xreplace(steady) for e in equations]
            if self._outcome(self._at_numbers(fewer), clock).solutions:
                self.tried.append(f"functions of t beside a constant {name}")
                yield from ((solution, ()) for solution in self._solved(fewer, clock))

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
        return equations

    def _about_returned(self, b: Side) -> list[Any]:
        """What vanishes where the rules return the same, too; nothing where that is not asked."""
        return window(self.a.part, b.part, self.clock, returned=True) if self.q.returned else []

    def _at_numbers(self, equations: list[Any]) -> list[Any]:
        """The equations at one choice of the first rule's constants; what has no solution there has none at all."""
        symbols = [s for s in self.a_names.values() if s.is_Symbol]
        chosen = {s: number(drawn(self.q.a.hyperparameters[s.name], f"one choice {s}")) for s in symbols}
        return [e.xreplace(chosen) for e in equations]

    def _solved(self, equations: list[Any], clock: Clock, recursive: bool = False) -> list[dict[str, Any]]:
        import sympy

        outcome = self._outcome(equations, clock, recursive)
        called = {f: sympy.Function(self._sequence_name(f.__name__), real=True) for f in outcome.following}
        for f, (onward, back) in outcome.following.items():
            self.following[called[f]] = tuple(_called(e, called) for e in (onward, back))
        self.obstructions += [o for o in outcome.obstructions if o not in self.obstructions]
        self.stuck += outcome.stuck
        plain = []
        for solution in outcome.solutions:
            names = {(u.name if u.is_Symbol else u.func.__name__): value for u, value in solution.items()}
            plain.append({name.removesuffix(MARK): _called(value, called) for name, value in names.items()})
        return plain

    def _sequence_name(self, marked: str) -> str:
        """A name that nothing else has, of a sequence that a hyperparameter follows."""
        base = re.sub(r"\W", "_", f"{marked.partition(MARK)[0]}_{self.q.b}")
        rules = (self.q.a, self.q.b)
        taken = {f.__name__ for f in self.following} | {x for r in rules for x in (*r.states, *r.hyperparameters)}
        return next(name for name in (base + "_" * i for i in count()) if name not in taken)

    def _outcome(self, equations: list[Any], clock: Clock, recursive: bool = False) -> Outcome:
        import sympy
        from sympy.core.function import AppliedUndef

        found = set().union(*(e.free_symbols | e.atoms(AppliedUndef) for e in equations))
        constants = [sympy.Symbol(k + MARK, real=True) for k in self.unknown]
        functions = [sympy.Function(k + MARK, real=True)(time()) for k in self.unknown]
        called = {f.func for f in found if isinstance(f, AppliedUndef)}
        unknowns = [u for u in constants if u in found] + [f for f in functions if f.func in called]
        below = [d for e in equations for term in sympy.Add.make_args(e) for d in divisors(term)]
        nonzero = list(dict.fromkeys(d for d in below if unknowns and d.has(*unknowns)))
        return solve(equations, unknowns, clock, nonzero, 1 if recursive else ENOUGH, recursive)

    # -- solutions --

    def _completed(self, solution: dict[str, Any], pinned: tuple[str, ...]) -> list[Candidate]:
        """The solution with all that is left open in it chosen, inside declared ranges where that can be."""
        import sympy

        inside = {f.func.__name__.removesuffix(MARK) for v in solution.values() for f in _functions(v)}
        inside |= {x.name.removesuffix(MARK) for v in solution.values() for x in v.free_symbols}
        left = tuple(k for k in self._left(solution) if k not in pinned and (k in inside or k not in self.derived))
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
                found += [
                    Candidate(values, (*pinned, *left, *begun), self._outside(values, recursions), recursions)
                    for recursions, begun in self._begun(values)
                ]
            if found and not found[-1].score[0]:
                break
        return sorted(found, key=lambda c: c.score)[: STARTS if found and found[0].recursions else 1]

    def _realized(self, candidate: Candidate) -> Iterator[Candidate]:
        """The candidate with values with which the second rule's recurrences are what they have to be."""
        values = {k: v for k, v in candidate.values.items() if k not in self.derived}
        wanted = {k: v for k, v in candidate.values.items() if k in self.derived}
        rest = [k for k in self._beside if k not in values]
        if not wanted and not rest:
            yield candidate
            return
        found = list(islice(self._followed(rest, values, wanted), STARTS))
        if not found:
            texts = assignments({k: text_of(v) for k, v in wanted.items()})
            self.would_do = True
            self.doubt = f"{texts} would do, which no recursion of {self.q.b} was found to give"
            self.tried.append(self.doubt)
        for chosen in found:
            yield replace(candidate, values={**values, **chosen}, followed=wanted)

    def _followed(self, rest: list[str], values: dict[str, Any], wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Values of what recurrences alone read with which sequences are as wanted, at numbers and the first steps."""
        chance = self._at_step
        known = {k: given_value(v) for k, v in self.q.set_b.items()} | values
        try:
            numbers = {(k, t): chance(v, t) for k, v in known.items() for t in range(SHOWN.stop)}
            aim = {(k, t): chance(v, t) for k, v in wanted.items() for t in SHOWN}
            choices = {k: {x: chance(x, 0) for x in self._plain_choices(k)} for k in rest}
        except (TypeError, InputError):  # no number: it divides by zero
            return
        for chosen in islice(product(*choices.values()), MOST):
            self.clock.check()
            picked = dict(zip(rest, chosen, strict=True))
            here = {k: choices[k][x] for k, x in picked.items()}
            freed = {*self.q.free, *self.q.set_b}
            followed = Followed(self.q.b, freed, partial(_number_of, here, numbers), float)
            with suppress(ArithmeticError, TypeError):
                if all(math.isclose(followed.at(t)[k], x, rel_tol=NEAR) for (k, t), x in aim.items()):
                    yield picked

    def _plain_choices(self, name: str) -> list[Any]:
        """Candidates for a hyperparameter of recurrences: its namesake, its default, plain numbers, a's others."""
        same = {**self.a_names, **self._a_beside, **{k: given_value(v) for k, v in self.q.set_a.items()}}
        plain = [*self._choices(name), *map(number, (2, -1, 3, -2))]
        return list(dict.fromkeys([*([same[name]] if name in same else []), *plain, *same.values()]))

    def _at_step(self, expression: Any, t: int) -> float:
        """An expression in the first rule's hyperparameters and sequences at a step, at numbers that are drawn."""
        own = self.a.part.sequences
        here = own.at(own.defined(expression), t)
        declared, anything = self.q.a.hyperparameters, Hyperparameter(low=0)
        atoms = {x: x.name if x.is_Symbol else x.func.__name__ for x in (*here.free_symbols, *_functions(here))}
        names = {x: number(drawn(declared.get(k, anything), f"followed {x}")) for x, k in atoms.items()}
        return float(here.xreplace(names))

    def _begun(self, values: Mapping[str, Any]) -> Iterator[tuple[Recursions, tuple[str, ...]]]:
        """The sequences in values from each start that might do, so that nothing early divides by zero; the starts."""
        from sympy.core.function import AppliedUndef

        used = {f.func for value in values.values() for f in value.atoms(AppliedUndef)} & self.following.keys()
        following = {f: self.following[f][0] for f in used}
        chosen = tuple(f"{f.__name__}(0)" for f in following)
        for start in product(*(self._starts() for _ in used)):
            recursions = Recursions(following, dict(zip(following, start, strict=True)))
            declared, texts = self.q.b.hyperparameters, sequence_texts(recursions)
            own = {k: value for k, value in values.items() if k not in self.derived}
            places = ((text_of(value), declared[k], self.q.a, texts) for k, value in own.items())
            if not used or not any(ranges.nowhere(*each) for each in places):
                yield recursions, chosen

    def _starts(self) -> list[Any]:
        """What a sequence may begin at: in units of the first rule's first step, and numbers."""
        import sympy
        from sympy.core.function import AppliedUndef

        numbers = list(map(sympy.Rational, ("1/2", 1, 2)))
        if self.a.block is None:
            return numbers
        first = reduced(-at_first(self.a.block.q[0], True).subs(time(), 0))
        given = {factor.symbol for part in (self.a.part, self.open) for factor in part.tableau.factors.values()}
        shared = not given.intersection(f.func.__name__ for f in first.atoms(AppliedUndef))  # by all coordinates
        return [2 * first, first, *numbers] if shared else numbers

    def at_t(self, expression: Any) -> Any:
        """An expression or matrix with sequences' values near t in those at t."""
        for f, (onward, back) in self.following.items():
            expression = followed(expression, f, onward, back)
        return expression

    def _by_coordinate(self, values: Mapping[str, Any]) -> bool:
        """Whether the second rule would need hyperparameters of each coordinate, where it must not."""
        from sympy.core.function import AppliedUndef

        parts = (self.open, self.a.part) if self.shared else (self.open,)
        sequences = {factor.symbol for part in parts for factor in part.tableau.factors.values()}
        found = {f.func for value in values.values() for f in value.atoms(AppliedUndef)}
        found |= {f.func for own in found & self.following.keys() for f in self.following[own][0].atoms(AppliedUndef)}
        if {f.__name__ for f in found} & sequences:
            self.doubt = f"{assignments({k: text_of(v) for k, v in values.items()})} would have to vary by coordinate"
            return True
        return False

    def _left(self, solution: dict[str, Any]) -> tuple[str, ...]:
        return tuple(k for k in self._in_matrices if k not in solution)

    @cached_property
    def _in_matrices(self) -> list[str]:
        uniform = [k for k in self.derived if k in self.open.tableau.uniform]
        called = {f.func.__name__ for m in self.open.matrices for f in _functions(m)}
        return [k for k in needed(self.open) if k in self.unknown] + [k for k in uniform if k in called]

    def _choices(self, name: str) -> list[Any]:
        import sympy

        if name in self._within_formulas:
            return [self._within_formulas[name]]
        if name in self.derived:
            same = [f(time()) for f in (sympy.Function(name, real=True),) if name in self.q.claim.open]
            return [*same, *map(sympy.Rational, (0, 1, "1/2"))]
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

    def _outside(self, values: dict[str, Any], recursions: Recursions) -> dict[str, int]:
        """At how many of some values of the first rule's hyperparameters each of the second's is out of range."""
        declared, texts = self.q.b.hyperparameters, sequence_texts(recursions)
        own = {k: v for k, v in values.items() if k not in self.derived}
        return {k: ranges.usually_outside(text_of(v), declared[k], self.q.a, texts) for k, v in own.items()}

    def _target(self, values: Mapping[str, Any]) -> LinearPart:
        """The second rule's matrices at values of its hyperparameters."""
        import sympy

        functions = {sympy.Function(k, real=True): v for k, v in values.items()}
        return self.open.put(functions)


def sequence_texts(recursions: Recursions) -> dict[str, tuple[str, str]]:
    """Sequences in the language of claims."""
    start = recursions.start
    return {f.__name__: (text_of(start[f]), text_of(value)) for f, value in recursions.following.items()}


def _number_of(chosen: Mapping[str, float], known: Mapping[tuple[str, int], float], name: str, t: int) -> float:
    """A hyperparameter's number at a step: what is chosen for it, or known; what does not matter is 0."""
    return chosen.get(name, known.get((name, t), 0.0))


def _functions(expression: Any) -> set[Any]:
    from sympy.core.function import AppliedUndef

    return set(expression.atoms(AppliedUndef))


def _called(value: Any, names: Mapping[Any, Any]) -> Any:
    """An expression with functions called otherwise."""
    from sympy.core.function import AppliedUndef

    return value.xreplace({f: names[f.func](*f.args) for f in value.atoms(AppliedUndef) if f.func in names})


def _filled(value: Any, names: Mapping[Any, Any], functions: Mapping[Any, Any]) -> Any:
    from sympy.core.function import AppliedUndef

    called = {f: functions[f.func] for f in value.atoms(AppliedUndef) if f.func in functions}
    return reduced(value.xreplace({**names, **called}))


def _zero(expression: Any) -> bool:
    """Whether an expression is zero, once roots are products of independent ones."""
    return vanishes(expression) or bool(Roots([]).left(expression) == 0)
