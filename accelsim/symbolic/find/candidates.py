"""Candidates for a map of hyperparameters: solutions with a choice for all that they leave open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, product
from typing import Any

from accelsim.errors import InputError
from accelsim.rule import Hyperparameter
from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.draws import drawn
from accelsim.symbolic.algebra.field import at_first, reduced
from accelsim.symbolic.algebra.language import assignments, given_value, number, text_of
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.check.equivalence import given_sequences
from accelsim.symbolic.find.comparison import Comparison, Following
from accelsim.symbolic.find.solver import PARTS, Solution
from accelsim.symbolic.find.unknowns import MARK, functions_in, substituted
from accelsim.symbolic.system.rule_sequences import Followed
from accelsim.symbolic.system.tableau import time

STARTS = 4  # of a sequence, that are tried
SHOWN = range(1, 4)  # steps at which recurrences are compared with what they have to be, before that is proved
NEAR = 1e-9  # up to which they then agree
MOST = 2000  # choices of hyperparameters that are compared so


@dataclass(frozen=True)
class Candidate:
    """Map of hyperparameters that may make the second rule the first one.

    Attributes
    ----------
    values : by hyperparameter of the second rule, an expression (SymPy).
    chosen : names of those that could have been chosen otherwise.
    outside : by name, the number of draws of the first rule's hyperparameters at which the value is out of range.
    recursions : of functions of t in the values.
    following : the same functions' values at t + 1 and t - 1 in those at t, and those of known sequences.
    recurrences : values that the second rule's recurrences and uniform states must have, which no map sets.
    """

    values: dict[str, Any]
    chosen: tuple[str, ...]
    outside: Mapping[str, int]
    recursions: Recursions
    following: Following
    recurrences: dict[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> tuple[int, int]:
        """Order of candidates, smallest first: how often values are out of range, then their length."""
        return sum(self.outside.values()), sum(int(value.count_ops()) for value in self.values.values())


class Completion:
    """Candidates of solutions.

    Attributes
    ----------
    doubt : why the last solution without a candidate has none.
    but_for_recurrences : whether a solution failed only for the values of the second rule's recurrences.
    """

    def __init__(self, comparison: Comparison, tried: list[str]) -> None:
        self.comparison, self.tried = comparison, tried
        self.doubt: str | None = None
        self.but_for_recurrences = False

    def candidates(self, solution: Solution) -> list[Candidate]:
        """Best choices of all that a solution leaves open, inside declared ranges if there are such."""
        import sympy

        compared, values = self.comparison, solution.values
        inside = {f.func.__name__.removesuffix(MARK) for v in values.values() for f in functions_in(v)}
        inside |= {x.name.removesuffix(MARK) for v in values.values() for x in v.free_symbols}
        left = [k for k in compared.in_matrices if k not in values and k not in solution.chosen]
        left = [k for k in left if k in inside or k not in compared.derived]
        found: list[Candidate] = []
        for choice in product(*map(compared.choices, left)):
            chosen = dict(zip(left, choice, strict=True))
            kinds = (sympy.Symbol, sympy.Function)
            unknowns = {kind(k + MARK, real=True): v for kind in kinds for k, v in chosen.items()}
            try:
                full = {k: reduced(substituted(v, unknowns)) for k, v in values.items()} | chosen
            except ZeroDivisionError:
                continue
            if any(v.has(sympy.zoo, sympy.nan) for v in full.values()):
                continue
            if not self._by_coordinate(full, solution):
                found += self._with_starts(full, (*solution.chosen, *left), solution.following)
            if found and not found[-1].score[0]:
                break
        return sorted(found, key=lambda c: c.score)[: STARTS if found and found[0].recursions else 1]

    def _by_coordinate(self, values: Mapping[str, Any], solution: Solution) -> bool:
        """Dependence of values on the coordinate, through given sequences, where the second rule must have none."""
        parts = (self.comparison.open, self.comparison.a.part) if solution.shared else (self.comparison.open,)
        sequences = set().union(*map(given_sequences, parts))
        following = solution.following
        found = {f.func for value in values.values() for f in functions_in(value)}
        found |= {f.func for own in found & following.keys() for f in functions_in(following[own][0])}
        if {f.__name__ for f in found} & sequences:
            self.doubt = f"{assignments({k: text_of(v) for k, v in values.items()})} would have to vary by coordinate"
            return True
        return False

    def _with_starts(
        self, values: dict[str, Any], chosen: tuple[str, ...], following: Following
    ) -> Iterator[Candidate]:
        """Candidates, one for each start of the sequences in values at which no early step divides by 0."""
        q, derived = self.comparison.question, self.comparison.derived
        own = {k: value for k, value in values.items() if k not in derived}
        used = {f.func for value in values.values() for f in functions_in(value)} & following.keys()
        onward = {f: following[f][0] for f in used}
        begun = tuple(f"{f.__name__}(0)" for f in onward)
        declared = q.b.hyperparameters
        for start in product(*(self._starts() for _ in used)):
            recursions = Recursions(onward, dict(zip(onward, start, strict=True)))
            texts = sequence_texts(recursions)
            places = ((text_of(value), declared[k], q.a, texts) for k, value in own.items())
            if not used or not any(ranges.nowhere(*each) for each in places):
                outside = {k: ranges.usually_outside(text_of(v), declared[k], q.a, texts) for k, v in own.items()}
                yield Candidate(values, (*chosen, *begun), outside, recursions, following)

    def _starts(self) -> list[Any]:
        """Starts of a sequence to try: multiples of the first rule's first step, and plain numbers."""
        import sympy

        numbers, compared = list(map(sympy.Rational, ("1/2", 1, 2))), self.comparison
        if compared.a.block is None:
            return numbers
        first = reduced(-at_first(compared.a.block.q[0], True).subs(time(), 0))
        given = given_sequences(compared.a.part) | given_sequences(compared.open)
        shared = not given.intersection(f.func.__name__ for f in functions_in(first))  # by all coordinates
        return [2 * first, first, *numbers] if shared else numbers

    # -- recurrences --

    def realized(self, candidate: Candidate) -> Iterator[Candidate]:
        """The candidate at values for which the second rule's recurrences are what they must be."""
        compared = self.comparison
        values = {k: v for k, v in candidate.values.items() if k not in compared.derived}
        wanted = {k: v for k, v in candidate.values.items() if k in compared.derived}
        rest = [k for k in compared.in_sequences if k not in values]
        if not wanted and not rest:
            yield candidate
            return
        found = list(islice(self._realizing(rest, values, wanted), STARTS))
        if not found:
            texts = assignments({k: text_of(v) for k, v in wanted.items()})
            self.but_for_recurrences = True
            self.doubt = f"{texts} would do, which no recursion of {compared.question.b} was found to give"
            self.tried.append(self.doubt)
        for chosen in found:
            yield replace(candidate, values={**values, **chosen}, recurrences=wanted)

    def _realizing(self, rest: list[str], values: dict[str, Any], wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Values of hyperparameters that recurrences alone read, for which sequences are as wanted at first steps."""
        q = self.comparison.question
        known = {k: given_value(v) for k, v in q.set_b.items()} | values
        try:
            numbers = {(k, t): self._at_step(v, t) for k, v in known.items() for t in range(SHOWN.stop)}
            aim = {(k, t): self._at_step(v, t) for k, v in wanted.items() for t in SHOWN}
            choices = {k: {x: self._at_step(x, 0) for x in self._plain(k)} for k in rest}
        except (TypeError, InputError):  # no number: it divides by zero
            return
        for chosen in islice(product(*choices.values()), MOST):
            self.comparison.clock.check()
            picked = dict(zip(rest, chosen, strict=True))
            here = {k: choices[k][x] for k, x in picked.items()}
            followed = Followed(q.b, {*q.free, *q.set_b}, partial(_number_of, here, numbers), float)
            with suppress(ArithmeticError, TypeError):
                if all(math.isclose(followed.at(t)[k], x, rel_tol=NEAR) for (k, t), x in aim.items()):
                    yield picked

    def _plain(self, name: str) -> list[Any]:
        """Values to try for a hyperparameter of recurrences: its namesake, its default, numbers, a's others."""
        compared = self.comparison
        set_a = {k: given_value(v) for k, v in compared.question.set_a.items()}
        same = {**compared.a_names, **compared.a_in_sequences, **set_a}
        plain = [*compared.choices(name), *map(number, (2, -1, 3, -2))]
        return list(dict.fromkeys([*([same[name]] if name in same else []), *plain, *same.values()]))

    def _at_step(self, expression: Any, t: int) -> float:
        """Number that an expression in the first rule's hyperparameters and sequences has at a step of a draw."""
        own = self.comparison.a.part.sequences
        here = own.at(own.defined(expression), t)
        declared, anything = self.comparison.question.a.hyperparameters, Hyperparameter(low=0)
        atoms = {x: x.name if x.is_Symbol else x.func.__name__ for x in (*here.free_symbols, *functions_in(here))}
        names = {x: number(drawn(declared.get(k, anything), f"followed {x}", PARTS)) for x, k in atoms.items()}
        return float(here.xreplace(names))


def sequence_texts(recursions: Recursions) -> dict[str, tuple[str, str]]:
    """Sequences in the language of claims: by name, the value at t = 0, and the one at t + 1 in values at t."""
    start = recursions.start
    return {f.__name__: (text_of(start[f]), text_of(value)) for f, value in recursions.following.items()}


def _number_of(chosen: Mapping[str, float], known: Mapping[tuple[str, int], float], name: str, t: int) -> float:
    """Number of a hyperparameter at a step: as chosen, or as known; 0 where it does not matter."""
    return chosen.get(name, known.get((name, t), 0.0))
