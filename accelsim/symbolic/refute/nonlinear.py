"""Refutations of rules as they are, roots and all: gradients that no choice of hyperparameters follows.

Linear parts leave open what a rule multiplies by, as Adam's 1/(sqrt(v) + eps). Here both rules are run themselves, on
several sequences of gradients that share hyperparameters: rule a at rational ones, rule b with one unknown a step, and
either with an unknown for each root that is no rational number, of which the square is known. Gradients twice as long
make roots twice as long: that parts what is added to a root from its factor.

Where rule b queries a position, that position is rule a's: it is supposed to have queried the same points until then.
So the differences at each step contain few unknowns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache, partial
from itertools import chain
from typing import Any

from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.program import Node, evaluate, exact
from accelsim.rule import Hyperparameter, Optimizer
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.division import division
from accelsim.symbolic.algebra.draws import drawn
from accelsim.symbolic.algebra.factor import factors
from accelsim.symbolic.algebra.field import number_of, rational_root
from accelsim.symbolic.algebra.groebner import Elimination, Line, divided, made, premises
from accelsim.symbolic.check.contradictions import AtLength, Itself, Term
from accelsim.symbolic.check.contradictions import Line as Derived
from accelsim.symbolic.check.counterexample import SCHEDULED
from accelsim.symbolic.system.pair import Pair
from accelsim.symbolic.system.positivity import never_zero
from accelsim.symbolic.system.rule_sequences import in_exponents, independent, recurrences, values_of
from accelsim.symbolic.system.specialization import switched

# each alone, two that meet, and none, where a rule divides by what is added to a root
GRADIENTS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (0, 0, 0))
# steps, and lengths at which gradients are taken, each with other hyperparameters of rule a: one step is soon looked at
TRIES = ((1, (1, 2)), (1, (1, 2, 3)), (3, (1, 2)), (3, (1, 2, 3)))
ROOTED = ("sqrt", "abs", "maximum", "minimum")  # of each of these there is a root
SHORT = 4  # terms of a polynomial that is looked at in ranges
PARTS = 16  # of a range, in numbers that are short


Root = tuple[str, int, int, int]  # of which rule, at which step, on which sequence, which of the step
Place = tuple[int, int, int]  # step, sequence, length


class _Beyond(Exception):
    """An operation of a rule that runs here do not support."""


def refute_itself(pair: Pair, clock: Clock) -> Itself | None:
    """Search for gradients on which rule b, as it is, cannot query what rule a does, with an unknown for each root.

    Returns
    -------
    Itself
        The counterexample; None where none was found.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.

    References
    ----------
    Buchberger 1965, doi:10.1016/j.jsc.2005.09.007. Hilbert 1893, doi:10.1007/BF01444162 (Nullstellensatz).
    """
    for seed, (steps, lengths) in enumerate(TRIES):
        with suppress(_Beyond, InputError, ZeroDivisionError):
            runs = _Runs(pair, seed, steps, lengths, clock)
            found = _Equations(runs).contradiction(clock)
            if found:
                return _counterexample(runs, found)
    return None


class _Runs:
    """Runs of both rules on each sequence of gradients, in rule b's unknowns and roots of either rule.

    Attributes
    ----------
    unknowns : rule b's hyperparameters, by name and step.
    roots : unknown and square of each root, by rule, step, sequence and number among those of the step. Roots of
        different sequences share names: no difference has both.
    divisors : expressions that are divided by.
    idle : sequences without gradients, if the rules do not divide by zero on them.
    points, differences : rule a's queries, and rule b's less these, by step, sequence and length.
    """

    def __init__(self, pair: Pair, seed: int, steps: int, lengths: Sequence[int], clock: Clock) -> None:
        import sympy

        from accelsim.symbolic.algebra.rings import Fractions

        self.pair, self.lengths, self.steps = pair, lengths, steps
        self.gradients = list(dict.fromkeys(gradients[:steps] for gradients in GRADIENTS))
        self.programs = {"a": pair.a.program(pair.set_a), "b": pair.b.program()}
        if any(program.gradients > 1 for program in self.programs.values()):
            raise _Beyond
        self.values = numbers(pair.a, pair.set_a, pair.anything, seed, steps)
        declared = pair.b.hyperparameters
        free = [k for k in self.programs["b"].reads if k not in pair.set_b and not declared[k].switch]
        asked = steps + (self.programs["b"].queries[0][0].op != "state")  # the last query may take some
        self.unknowns = [f"{name}[{t}]" for name in free for t in range(asked)]
        each = sum(node.op in ROOTED for program in self.programs.values() for node in program.nodes)
        self.spare = [f"root{i}" for i in range(each * steps * len(lengths))]
        self.field = Fractions([*self.spare, *self.unknowns], sympy.QQ)
        self.symbols = dict(zip(self.unknowns, self.field.gens[len(self.spare) :], strict=True))
        self.roots: dict[Root, tuple[Any, Any]] = {}
        self.divisors: set[Any] = set()
        self._uniform: dict[tuple[str, int], dict[int, Any]] = {}
        self.points: dict[Place, Any] = {}
        self.differences: dict[Place, Any] = {}
        self.idle: list[int] = []
        for i, gradients in enumerate(self.gradients):
            with suppress(ZeroDivisionError):  # rules that divide by gradients are looked at on others
                self._compare(i, gradients, clock)
                self.idle += [i] * (not any(gradients))

    def _compare(self, i: int, gradients: Sequence[int], clock: Clock) -> None:
        """Run both rules on a sequence of gradients, at all lengths."""
        for n, length in enumerate(self.lengths):
            clock.check()
            here = [length * g for g in gradients]
            mine = self._run("a", here, i)
            theirs = self._run("b", here, i, mine)
            for t, (x, y) in enumerate(zip(mine, theirs, strict=True)):
                self.points[t, i, n] = x
                if x != y:
                    self.differences[t, i, n] = y - x

    def _run(self, end: str, gradients: Sequence[int], i: int, points: list[Any] | None = None) -> list[Any]:
        """Queries of a rule on gradients; a position that it queries is set to `points`, if given."""
        rule, program = (self.pair.a if end == "a" else self.pair.b), self.programs[end]
        query = program.queries[0][0]
        state = {name: self.number(value) for name, value in rule.start(Fraction(0)).items()}
        shown = []
        for t in range(self.steps + 1):
            known = dict(self._uniform.setdefault((end, t), {}))
            leaf, operation = partial(self._leaf, end, t, state, gradients[t : t + 1]), self._operation(end, t, i)
            shown.append(evaluate(query, leaf, operation, known))
            if t == self.steps:
                break
            if points and query.op == "state":
                state[query.value] = known[query.index] = points[t]
            state = {name: evaluate(node, leaf, operation, known) for name, node in program.updates.items()}
            same = {node.index for node in program.nodes if node.kind == "uniform"} & known.keys()
            self._uniform[end, t] = {index: known[index] for index in same}
        return shown

    def _leaf(self, end: str, t: int, state: Mapping[str, Any], gradient: Sequence[int], node: Node) -> Any:
        if node.op == "state":
            return state[node.value]
        if node.op == "hyperparameter":
            return self._hyperparameter(end, node.value, t)
        if node.op == "gradient":
            return self.number(gradient[0])
        return self.number(t if node.op == "step" else node.value)

    def _hyperparameter(self, end: str, name: str, t: int) -> Any:
        known = self.values if end == "a" else self.pair.set_b
        if name not in known:
            return self.symbols[f"{name}[{t}]"]
        value = known[name]
        return self.number(evaluated(str(value[t] if isinstance(value, list) else value), {"t": Fraction(t)}))

    def number(self, value: Any) -> Any:
        """Element of the field that a number is."""
        fraction = exact(value)
        return self.field(self.field.domain(fraction.numerator, fraction.denominator))

    def _operation(self, end: str, t: int, i: int) -> Callable[[Node, list[Any]], Any]:
        def divide(x: Any, y: Any) -> Any:
            self.divisors.add(y)
            return x / y

        def power(x: Any, y: Any) -> Any:
            exponent = number_of(y)
            if exponent is None or exponent.denominator != 1:
                raise _Beyond
            if exponent == 0:  # also of 0
                return self.field.one
            return x ** int(exponent) if exponent > 0 else divide(self.field.one, x ** -int(exponent))

        def remainder(x: Any, y: Any) -> Any:
            of, period = number_of(x), number_of(y)
            if of is None or period is None:
                raise _Beyond
            return self.number(of % period)

        def size(x: Any) -> Any:
            """The absolute value, as a root."""
            return self._root(end, t, i, x * x)

        half = self.number(Fraction(1, 2))
        known: dict[str, Callable[..., Any]] = {
            "add": lambda x, y: x + y,
            "sub": lambda x, y: x - y,
            "mul": lambda x, y: x * y,
            "neg": lambda x: -x,
            "div": divide,
            "pow": power,
            "mod": remainder,
            "sqrt": lambda x: self._root(end, t, i, x),
            "abs": size,
            "maximum": lambda x, y: (x + y + size(x - y)) * half,
            "minimum": lambda x, y: (x + y - size(x - y)) * half,
            "total": lambda x: x,  # over one coordinate
            "first": lambda x: t == 0,
            "where": lambda condition, x, y: x if condition else y,
        }

        def apply(node: Node, values: list[Any]) -> Any:
            if node.op not in known:
                raise _Beyond
            return known[node.op](*values)

        return apply

    def _root(self, end: str, t: int, i: int, square: Any) -> Any:
        """Square root of an element: a multiple of an earlier root of the rule, or an unknown of its own."""
        plain = number_of(square)
        if plain is not None and (root := rational_root(plain)) is not None:
            return self.number(root)
        if (plain is None or plain < 0) if end == "a" else self.has_root(square):
            raise _Beyond
        here = [key for key in self.roots if key[2] == i]
        for key in here:
            symbol, earlier = self.roots[key]
            ratio = number_of(square / earlier) if key[0] == end and key[1] <= t else None
            if ratio is not None and (root := rational_root(ratio)) is not None:
                return symbol * self.number(root)
        place = sum(key[:2] == (end, t) for key in here)
        symbol = self.field.gens[len(here)]
        self.roots[end, t, i, place] = symbol, square
        return symbol

    def called(self, i: int) -> list[str]:
        """Names of the field's generators on a sequence."""
        roots = [root_name(*key) for key in self.roots if key[2] == i]
        return [*roots, *self.spare[len(roots) :], *self.unknowns]

    def names(self, element: Any) -> set[str]:
        """Names of the unknowns in an element, roots left out."""
        found = {k for part in (element.numer, element.denom) for m in part for k, power in enumerate(m) if power}
        return {self.unknowns[k - len(self.spare)] for k in found if k >= len(self.spare)}

    def has_root(self, element: Any) -> bool:
        """Whether a root occurs in an element."""
        return any(any(m[: len(self.spare)]) for part in (element.numer, element.denom) for m in part)


class _Equations:
    """Lines of a derivation in rule b's unknowns alone, step by step, from the differences of runs.

    Unknowns are ordered for elimination: roots, unknowns outside of all radicands, all others.
    """

    def __init__(self, runs: _Runs) -> None:
        self.runs = runs
        self.ring = self._ordered()
        self.places = {str(s): i for i, s in enumerate(self.ring.symbols)}
        self.given = {key: Line(None, (), key) for key in runs.roots}

    def _ordered(self) -> Any:
        """Polynomial ring with the roots first."""
        import sympy
        from sympy.polys.orderings import ProductOrder, grevlex

        from accelsim.symbolic.algebra.rings import Ring

        runs = self.runs
        squares = {name for (end, *_), (_, square) in runs.roots.items() if end == "b" for name in runs.names(square)}
        alone = {name for d in runs.divisors if len(d.numer) == 1 for name in runs.names(d)}

        def late(unknown: str) -> int:
            steps = {f"{unknown.partition('[')[0]}[{t}]" for t in range(runs.steps + 1)}
            return 2 if steps & alone else int(bool(steps & squares))

        rest = sorted(runs.unknowns, key=late)
        i = len(runs.roots)
        j = i + sum(late(name) == 0 for name in rest)
        blocks = ((grevlex, lambda m: m[:i]), (grevlex, lambda m: m[i:j]), (grevlex, lambda m: m[j:]))
        symbols = [sympy.Symbol(name) for name in (*(root_name(*key) for key in runs.roots), *rest)]
        return Ring(symbols, sympy.QQ, cache(ProductOrder(*blocks)))

    def _moved(self, polynomial: Any, i: int = 0) -> Any:
        """Polynomial of the runs on a sequence, in this ring."""
        called = self.runs.called(i)
        places = [self.places.get(name, -1) for name in called]
        size = len(self.places)

        def monomial(m: Any) -> tuple[int, ...]:
            powers = [0] * size
            for place, power in zip(places, m, strict=True):
                if power:
                    powers[place] = power
            return tuple(powers)

        return self.ring({monomial(m): c for m, c in polynomial.terms()})

    def contradiction(self, clock: Clock) -> Line | None:
        """The line 1, or one without a zero in range, from the steps one after the other; None without any."""
        elimination = Elimination(self._units(), clock)
        for t in range(1, self.runs.steps + 1):
            lines: dict[Any, Line] = {}
            for i in range(len(self.runs.gradients)):
                clock.check()
                for line in self._without_roots(t, i, elimination.units):
                    lines.setdefault(line.polynomial, line)
            short = (line for line in lines.values() if len(line.polynomial) <= SHORT)
            sure = (line for line in short if never_zero(line.polynomial.as_expr(), self.runs.pair.b))
            found = next(chain(self._divided_by_zero(lines.values()), sure), None)
            found = found or elimination.contradiction(lines.values())
            if found:
                return found
        return None

    def _divided_by_zero(self, lines: Iterable[Line]) -> Iterator[Line]:
        """The line 1 over the square of a root that is divided by, where this square would vanish."""
        for key, (symbol, square) in self.runs.roots.items():
            if symbol not in self.runs.divisors:
                continue
            above, below = (self._moved(part, key[2]) for part in (square.numer, square.denom))
            root = self.ring.gens[self.places[root_name(*key)]]
            for line in lines:
                if line.polynomial.monic() == above.monic():
                    scale = above.LC / line.polynomial.LC
                    yield made(self.ring.one, (self.given[key], below), (line, scale), over=below * root**2)

    def _units(self) -> list[Any]:
        """Irreducible divisors without roots."""
        found = dict[Any, None]()
        for divisor in self.runs.divisors:
            if not self.runs.has_root(divisor) and not divisor.numer.is_ground:
                found |= {self._moved(factor): None for factor, _ in factors(divisor.numer)[1]}
        return list(found)

    def _without_roots(self, t: int, i: int, units: list[Any]) -> Iterator[Line]:
        """Lines without roots that follow from the differences of a step on a sequence."""
        lines = list[Line]()
        for n in range(len(self.runs.lengths)):
            difference = self.runs.differences.get((t, i, n))
            if difference is not None:
                above, below = (self._moved(part, i) for part in (difference.numer, difference.denom))
                lines += _less(made(above, (Line(above, (), (t, i, n)), below)), lines)
        lines = self._without_own_roots(lines, i)
        free = [divided(line, units) for line in lines if not self._roots_of(line)]
        yield from free
        for line in lines:
            if self._roots_of(line):
                line = _remainder(line, free)
                for key in self._roots_of(line):
                    line = self._squared(line, key)
                line = _remainder(line, free)
                if line.polynomial:
                    yield divided(line, units)

    def _without_own_roots(self, lines: list[Line], i: int) -> list[Line]:
        """The lines less multiples of each other, without roots that only one of them has."""
        own = [
            [key for key in self._roots_of(line) if sum(key in self._roots_of(x) for x in lines) == 1] for line in lines
        ]
        if sum(map(bool, map(self._roots_of, lines))) == 1:
            return lines
        fewer = list[Line]()
        for line, keys in zip(lines, own, strict=True):
            for key in keys:
                line = self._squared(line, key)
            for key in self._roots_of(line):
                line = self._squared(line, key, conjugate=False)
            fewer += _less(line, fewer)
        return fewer

    def _roots_of(self, line: Line) -> list[Root]:
        return [key for i, key in enumerate(self.runs.roots) if any(m[i] for m in line.polynomial)]

    def _squared(self, line: Line, key: Root, conjugate: bool = True) -> Line:
        """The line with a root's square in its place, multiplied by its conjugate in that root if `conjugate`."""
        i, p, square = self.places[root_name(*key)], line.polynomial, self.runs.roots[key][1]
        above, below = (self._moved(part, key[2]) for part in (square.numer, square.denom))
        conjugated = self.ring({m: -c if m[i] % 2 else c for m, c in p.terms()})
        factor = conjugated if conjugate and conjugated != p else self.ring.one
        product = p * factor
        top = max((m[i] for m in product), default=0) // 2
        kept = self.ring.zero
        for m, c in product.terms():
            rest = (*m[:i], m[i] % 2, *m[i + 1 :])
            kept += self.ring({rest: c}) * above ** (m[i] // 2) * below ** (top - m[i] // 2)
        if kept == p:
            return line
        vanishing = self.ring.gens[i] ** 2 * below - above  # below times what is given as zero
        quotient = (product * below**top - kept).quo(vanishing)
        return made(kept, (line, factor * below**top), (self.given[key], -quotient * below))


def _remainder(line: Line, others: Sequence[Line]) -> Line:
    if not others or not line.polynomial:
        return line
    quotients, rest = division(line.polynomial, [other.polynomial for other in others])
    return made(rest, (line, 1), *((x, -q) for x, q in zip(others, quotients, strict=True)))


def _less(line: Line, lines: Sequence[Line]) -> list[Line]:
    """The line less multiples of others with its leading terms; empty if nothing is left."""
    for other in lines:
        lead = other.polynomial.LM
        factor = line.polynomial.get(lead, 0) / other.polynomial[lead]
        if factor:
            line = made(line.polynomial - other.polynomial * factor, (line, 1), (other, line.polynomial.ring(-factor)))
    return [line] if line.polynomial else []


def root_name(end: str, t: int, sequence: int, place: int) -> str:
    """Name of the unknown for a root, which no hyperparameter can have."""
    return f"{end}[{t}][{sequence}][{place}]"


def numbers(rule: Optimizer, given: Mapping[str, Any], varying: Sequence[str], seed: int, last: int) -> dict[str, Any]:
    """Short rational values of a rule's hyperparameters inside their ranges, given ones among them.

    For one step they are 1 less a square, so that 1 less a rate has a rational root. Exponents are integers.

    Parameters
    ----------
    varying : hyperparameters with one value a step.
    last : the last step.

    Returns
    -------
    Texts by name; of recurrences and of what varies, lists of one text a step.

    Raises
    ------
    InputError
        If a recurrence is irrational, or does not exist, at these values.
    """
    found: dict[str, Any] = {}
    freed, whole = {*given, *varying}, in_exponents(rule, given)
    for name in independent(switched(rule, dict(given)), freed):
        declared = rule.hyperparameters[name]
        numbers = [drawn(declared, f"{seed} {name} {t}", PARTS) for t in range(last + 1)]
        if name in whole:
            numbers = [next((n for n in map(Fraction, (1, 0)) if declared.holds(n)), x) for x in numbers]
        steps = [str(_less_a_square(x, declared) if last == 1 and name not in whole else x) for x in numbers]
        found[name] = str(given[name]) if name in given else steps if name in varying else steps[0]
    return found | values_of(rule, freed, {**given, **found}, last + 1)


def _less_a_square(x: Fraction, declared: Hyperparameter) -> Fraction:
    return 1 - x * x if declared.holds(1 - x * x) else x


# -- the counterexample -----------------------------------------------------------------------------------------------


def _counterexample(runs: _Runs, last: Line) -> Itself:
    """Counterexample from a contradiction, with the sequences that it uses and one without gradients."""
    import sympy

    given, lines = premises(last)
    keys = {line.name for line in given}
    answers = [key for key in sorted(runs.differences) if key in keys]
    roots = [key for key in runs.roots if key in keys]
    kept = sorted({i for _, i, _ in answers} | {*runs.idle})
    names = {root_name(*key): root_name(*key[:2], kept.index(key[2]), key[3]) for key in runs.roots if key[2] in kept}
    number: dict[Any, int] = {key: i for i, key in enumerate([*answers, *roots])}
    places = {line: number[line.name] for line in given} | {line: len(number) + i for i, line in enumerate(lines)}
    symbols = [sympy.Symbol(names.get(str(s), str(s))) for s in last.polynomial.ring.symbols]

    def text(element: Any, called: Sequence[Any] = symbols) -> str:
        return str(element.as_expr(*called))

    def called(i: int) -> list[Any]:
        return [sympy.Symbol(names.get(name, name)) for name in runs.called(i)]

    def term(line: Line, above: Any, below: Any) -> Term:
        return Term(places[line], str(above.as_expr(*symbols) / sympy.factor(below.as_expr(*symbols))))

    return Itself(
        hyperparameters=runs.values | {k: str(v) for k, v in runs.pair.set_a.items() if k not in runs.values},
        unknown=SCHEDULED,
        relaxed=list(recurrences(runs.pair.b, runs.pair.set_b)),
        gradients=[list(map(str, runs.gradients[i][: answers[-1][0]])) for i in kept],
        lengths=list(map(str, runs.lengths)),
        answers=[AtLength(t, kept.index(i), n) for t, i, n in answers],
        values=[text(runs.points[place], called(place[1])) for place in answers],
        roots={names[root_name(*key)]: text(runs.roots[key][1], called(key[2])) for key in roots},
        lines=[Derived(text(line.polynomial), [term(x, *factor) for x, factor in line.terms]) for line in lines],
    )
