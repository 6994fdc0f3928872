"""Solutions of the equations for the second rule's hyperparameters at which it is the first rule."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.draws import drawn
from accelsim.symbolic.algebra.elimination import Outcome, solve
from accelsim.symbolic.algebra.field import divisors
from accelsim.symbolic.algebra.language import number
from accelsim.symbolic.find.comparison import Comparison, Following
from accelsim.symbolic.find.unknowns import MARK, functions_in, substituted
from accelsim.symbolic.system.tableau import time

PARTS = 20  # of a range, in a choice of hyperparameters
SCALES = (1, 8, 64)  # of constants that are drawn
ENOUGH = 2  # solutions after which no more are looked for


@dataclass(frozen=True)
class Solution:
    """Solution of the equations.

    Attributes
    ----------
    values : by hyperparameter of the second rule, an expression (SymPy).
    chosen : names of hyperparameters that could have been chosen otherwise.
    following : by function of t in the values that is known by a recursion alone, its values at t + 1 and t - 1.
    shared : whether schedules have to be equal in all coordinates, though the second rule is linear.
    """

    values: dict[str, Any]
    chosen: tuple[str, ...] = ()
    following: Following = field(default_factory=dict)
    shared: bool = False


class Solver:
    """Solver of equations (see `Comparison.equations`) for the second rule's unknowns.

    Attributes
    ----------
    obstructions : expressions, one of which has to vanish for some equations to have a solution.
    stuck : systems of equations at which elimination gave up, in words.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.obstructions, self.stuck = list[Any](), list[str]()

    def solvable(self, equations: list[Any], clock: Clock, recursive: bool = False) -> bool:
        """Existence of solutions at one draw of the first rule's constants; without any there are none at all."""
        return bool(self.at_numbers(equations, clock, recursive).solutions)

    def at_numbers(self, equations: list[Any], clock: Clock, recursive: bool = False) -> Outcome:
        """Outcome of elimination at one random choice of the first rule's constants."""
        return self._outcome(self._drawn(equations), clock, recursive)

    def _drawn(self, equations: list[Any]) -> list[Any]:
        """Equations at random constants, larger ones where a minimum or maximum would be decided from some step on.

        A warm-up shorter than the steps that the equations relate is over in some of them and not in others.
        """
        declared = self.comparison.question.a.hyperparameters
        symbols = [s for s in self.comparison.a_names.values() if s.is_Symbol]
        chosen = {s: drawn(declared[s.name], f"one choice {s}", PARTS) for s in symbols}
        put = equations
        for scale in SCALES:
            larger = {s: v * scale if declared[s.name].holds(v * scale) else v for s, v in chosen.items()}
            put = [e.xreplace({s: number(v) for s, v in larger.items()}) for e in equations]
            if sum(map(_choices, put)) == sum(map(_choices, equations)):
                break
        return put

    def solutions(self, equations: list[Any], clock: Clock, recursive: bool = False) -> list[Solution]:
        """First solutions, generic ones before special ones.

        Parameters
        ----------
        recursive : whether functions of t may be given by recursions.

        Raises
        ------
        OutOfTime
            Past the budget.
        """
        import sympy

        outcome = self._outcome(equations, clock, recursive)
        named = {f: sympy.Function(self._sequence_name(f.__name__), real=True)(time()) for f in outcome.following}
        following = {}
        for f, (onward, back) in outcome.following.items():
            following[named[f].func] = substituted(onward, named), substituted(back, named)
        self.obstructions += [o for o in outcome.obstructions if o not in self.obstructions]
        self.stuck += outcome.stuck
        found = []
        for solution in outcome.solutions:
            values = {(u.name if u.is_Symbol else u.func.__name__): value for u, value in solution.items()}
            plain = {name.removesuffix(MARK): substituted(value, named) for name, value in values.items()}
            found.append(Solution(plain, following={**self.comparison.following, **following}, shared=recursive))
        return found

    def _sequence_name(self, marked: str) -> str:
        """Unused name for a sequence that a hyperparameter follows."""
        q = self.comparison.question
        base = re.sub(r"\W", "_", f"{marked.partition(MARK)[0]}_{q.b}")
        taken = {f.__name__ for f in self.comparison.following}
        taken |= {x for rule in (q.a, q.b) for x in (*rule.states, *rule.hyperparameters)}
        return next(name for name in (base + "_" * i for i in count()) if name not in taken)

    def _outcome(self, equations: list[Any], clock: Clock, recursive: bool) -> Outcome:
        import sympy

        unknown = self.comparison.unknown
        found = set().union(*(e.free_symbols | functions_in(e) for e in equations))
        constants = [sympy.Symbol(k + MARK, real=True) for k in unknown]
        functions = [sympy.Function(k + MARK, real=True)(time()) for k in unknown]
        called = {f.func for f in found if f.is_Function}
        unknowns = [u for u in constants if u in found] + [f for f in functions if f.func in called]
        below = [d for e in equations for term in sympy.Add.make_args(e) for d in divisors(term)]
        nonzero = list(dict.fromkeys(d for d in below if unknowns and d.has(*unknowns)))
        return solve(equations, unknowns, clock, nonzero, 1 if recursive else ENOUGH, recursive)


def _choices(expression: Any) -> int:
    """Number of minima and maxima in an expression."""
    import sympy

    return len(expression.atoms(sympy.Min, sympy.Max))
