"""Runs of rules as they are in exact expressions, by which the verifier of certificates sees what they query.

A rule is stepped itself, untraced, in rational functions of its hyperparameters and of unknowns for roots. The root of
a rational square is a number. Otherwise the first root of its kind on a sequence of gradients is an unknown of at
least 0, of which the square is known, and roots of rational squares times that square, taken at that step or later,
are multiples of it.

A counterexample compares the queries of two rules on several sequences of gradients, each at several lengths. Where
rule b queries a position, that position is rule a's from then on: it is supposed to have queried the same points so
far. From the differences and the squares of roots lines follow, each the sum of earlier ones times fractions that
divide by nothing but what the rules divide by, and the last of them is 1: the differences cannot all vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from numbers import Real
from typing import Any

from accelsim.errors import InputError
from accelsim.program import exact, run
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import Field, number_of, rational_root
from accelsim.symbolic.algebra.language import expression
from accelsim.symbolic.check.contradictions import Itself, Line
from accelsim.symbolic.check.counterexample import fraction
from accelsim.symbolic.system.positivity import never_zero

ROOTED = ("sqrt", "abs", "maximum", "minimum")  # of each of these there is a root
Place = tuple[str, int, int]  # of a root: rule, step, and place among those of the step
Hyperparameters = Callable[[str, int], Any]  # a hyperparameter at a step, as a SymPy expression


@dataclass
class _Ground:
    """Field, and records, of the runs of both rules on one sequence of gradients.

    Attributes
    ----------
    field : of rational functions.
    names : of the unknowns that may stand for roots, by rule, step and number among those of the step.
    roots : unknown and square of each root, in the order in which they are taken.
    divisors : by rule, expressions that it divides by, numbers left out.
    """

    field: Any
    names: Mapping[Place, Any]
    roots: dict[Place, tuple[Any, Any]] = field(default_factory=dict)
    divisors: dict[str, set[Any]] = field(default_factory=lambda: {"a": set(), "b": set()})


class _Value:
    """Number of a run: an element of the field, with the run and step that it belongs to."""

    __array_ufunc__ = None

    def __init__(self, run: _Run, element: Any) -> None:
        self.run, self.element = run, element

    def _with(self, other: Any, operation: Callable[[Any, Any], Any]) -> _Value:
        return _Value(self.run, operation(self.element, self.run.lifted(other)))

    def __add__(self, other: Any) -> _Value:
        return self._with(other, lambda x, y: x + y)

    def __sub__(self, other: Any) -> _Value:
        return self._with(other, lambda x, y: x - y)

    def __rsub__(self, other: Any) -> _Value:
        return self._with(other, lambda x, y: y - x)

    def __mul__(self, other: Any) -> _Value:
        return self._with(other, lambda x, y: x * y)

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other: Any) -> _Value:
        return self._with(other, self.run.quotient)

    def __rtruediv__(self, other: Any) -> _Value:
        return self._with(other, lambda x, y: self.run.quotient(y, x))

    def __neg__(self) -> _Value:
        return _Value(self.run, -self.element)

    def __pow__(self, power: Any) -> _Value:
        exponent = exact(power) if isinstance(power, Real) else number_of(power.element)
        if exponent is None or exponent.denominator != 1:
            raise InputError("a power that is no whole number is no rational function")
        if exponent >= 0:
            return _Value(self.run, self.element ** int(exponent))
        return 1 / _Value(self.run, self.element ** -int(exponent))

    def __rpow__(self, base: Any) -> _Value:
        return _Value(self.run, self.run.lifted(base)) ** self

    def __abs__(self) -> _Value:
        return _Value(self.run, self.run.root(self.element**2))

    def traced_call(self, name: str, *values: Any) -> Any:
        """Value of an elementary function."""
        if name == "sqrt":
            return _Value(self.run, self.run.root(self.element))
        if name in ("maximum", "minimum"):
            one, other = (_Value(self.run, self.run.lifted(value)) for value in values)
            apart = abs(one - other)
            return (one + other + (apart if name == "maximum" else -apart)) * Fraction(1, 2)
        if name == "total":  # over one coordinate
            return self
        if name == "where" and isinstance(values[0], bool):
            return values[1] if values[0] else values[2]
        raise InputError(f"{name}() is no rational function")


class _Run:
    """Run of one rule on one sequence of gradients."""

    def __init__(self, ground: _Ground, end: str) -> None:
        self.ground, self.end, self.step = ground, end, 0

    def lifted(self, value: Any) -> Any:
        """A value as an element of the field."""
        if isinstance(value, _Value):
            return value.element
        if not isinstance(value, Real):
            raise InputError(f"{value!r} is no number")
        number = exact(value)
        return self.ground.field(self.ground.field.domain(number.numerator, number.denominator))

    def quotient(self, above: Any, below: Any) -> Any:
        """Quotient of two elements; the divisor is recorded."""
        if number_of(below) is None:
            self.ground.divisors[self.end].add(below)
        return above / below

    def root(self, square: Any) -> Any:
        """The root of an element."""
        plain = number_of(square)
        if plain is not None and (number := rational_root(plain)) is not None:
            return self.lifted(number)
        if self.end == "a" and (plain is None or plain < 0):
            raise InputError("a root in a rule at numbers is that of a number of at least 0")
        for (end, t, _), (symbol, earlier) in self.ground.roots.items():
            ratio = number_of(square / earlier) if end == self.end and t <= self.step else None
            if ratio is not None and (number := rational_root(ratio)) is not None:
                return symbol * self.lifted(number)
        here = self.end, self.step
        place = *here, sum(taken[:2] == here for taken in self.ground.roots)
        self.ground.roots[place] = self.ground.names[place], square
        return self.ground.names[place]

    def queries(
        self, rule: Optimizer, hyperparameter: Hyperparameters, gradients: list[Fraction], points: list[Any] | None
    ) -> list[Any]:
        """Queries before each gradient and after the last; a position that is queried is set to `points`, if given."""
        shown: list[Any] = []
        program, last = rule.program(), len(gradients)
        query = program.queries[0][0]
        state = {name: _Value(self, self.lifted(value)) for name, value in rule.start(Fraction(0)).items()}
        switches = {name: h.default for name, h in rule.hyperparameters.items() if h.switch}

        def gradient(asked: tuple[Any, ...]) -> tuple[Any, ...]:
            if not moved:
                shown.append(self.lifted(asked[0]))
            if self.step == last:
                raise _Seen
            return (_Value(self, self.lifted(gradients[self.step])),)

        moved = points is not None and query.op == "state"
        with suppress(_Seen):
            for self.step in range(last + 1):
                if points and moved:
                    shown.append(state[query.value].element)
                    state[query.value] = _Value(self, points[self.step])
                names = [name for name in program.reads if name not in switches]
                h = {name: self._element(hyperparameter(name, self.step)) for name in names}
                state = run(program, state, Fraction(self.step), h | switches, gradient, exact)
        return shown

    def _element(self, expression: Any) -> _Value:
        try:
            return _Value(self, self.ground.field.from_expr(expression))
        except ValueError:
            raise InputError(f"{expression} is no rational number") from None


class _Seen(Exception):
    """The last point has been queried."""


def refuted(found: Itself, a: Optimizer, b: Optimizer, known: Hyperparameters, sought: Hyperparameters) -> str | None:
    """Check a counterexample of rules as they are: both are run again, and the derivation is multiplied out.

    Parameters
    ----------
    known, sought : functions from name and step to a hyperparameter of rule a (a number), and of rule b (an unknown).

    Returns
    -------
    Sentence on what is not shown; None where all is.

    Raises
    ------
    InputError
        If the parts of the counterexample do not fit together, or a rule is not made of fractions and roots.
    """
    sequences, keys = _laid_out(found, a, b)
    last = max(t for t, *_ in keys)
    points, differences = dict[Any, Any](), dict[Any, Any]()
    names, squares, divided = dict[str, Any](), dict[str, Any](), dict[str, set[Any]](a=set(), b=set())
    for i, runs in enumerate(sequences):
        ground = _ground(a, b, sought, last, i, len(runs))
        for n, gradients in enumerate(runs):
            try:
                mine = _Run(ground, "a").queries(a, known, gradients, None)
                theirs = _Run(ground, "b").queries(b, sought, gradients, mine)
            except ZeroDivisionError:
                raise InputError(f"a rule divides by zero on the gradients {i} of the refutation") from None
            for t in range(last + 1):
                points[t, i, n], differences[t, i, n] = mine[t], theirs[t] - mine[t]
        names |= {str(symbol): symbol for symbol in ground.field.symbols}
        for symbol, square in ground.roots.values():
            squares[str(symbol)] = symbol.as_expr(), square.as_expr()
        for end, each in ground.divisors.items():
            divided[end] |= {divisor.numer.as_expr() for divisor in each}
    if any(map(partial(_may_vanish, squares=squares), divided["a"])):
        return f"{a} may divide by zero"
    for key, text in zip(keys, found.values, strict=True):
        if not _equal(_read(text, names), points[key].as_expr()):
            return f"{a} answers otherwise"
    given = [differences[key].as_expr() for key in keys]
    for name, text in found.roots.items():
        if name not in squares or not _equal(_read(text, names), squares[name][1]):
            return f"{name} is not the root of {text}"
        symbol, square = squares[name]
        given.append(symbol**2 - square)
    return derived(found.lines, given, names, _factors(divided["a"] | divided["b"]), b)


def _laid_out(found: Itself, a: Optimizer, b: Optimizer) -> tuple[list[list[list[Fraction]]], list[Any]]:
    """Gradients by sequence and length, and the answers compared, by step, sequence and length."""
    if any(rule.program().gradients != 1 for rule in (a, b)):
        raise InputError("rules that are run as they are take one gradient a step")
    keys, last = list(found.answers), found.last
    rows = [[fraction(text) for text in row] for row in found.gradients]
    lengths = [fraction(text) for text in found.lengths]
    if any(len(row) != last for row in rows) or not all(length > 0 for length in lengths):
        raise InputError(f"there must be {last} gradients in each sequence, and lengths above 0")
    inside = all(t >= 0 and i in range(len(rows)) and n in range(len(lengths)) for t, i, n in keys)
    if not inside or len(set(keys)) < len(keys) or len(found.values) != len(keys):
        raise InputError("there must be one value for each answer, and one answer at a step to gradients of a length")
    idle = [row for i, row in enumerate(rows) if any(row) and all(i != sequence for _, sequence, _ in keys)]
    if idle or len(set(map(tuple, rows))) < len(rows) or len(set(lengths)) < len(lengths):
        raise InputError("each sequence of gradients and each length is there once, and for an answer")
    return [[[length * g for g in row] for length in lengths] for row in rows], keys


def _ground(a: Optimizer, b: Optimizer, sought: Hyperparameters, last: int, sequence: int, lengths: int) -> _Ground:
    """Field of the runs on one sequence of gradients."""
    import sympy

    from accelsim.symbolic.algebra.rings import Fractions

    roots = [
        (end, t, place)
        for end, rule in (("a", a), ("b", b))
        for t in range(last + 1)
        for place in range(lengths * sum(node.op in ROOTED for node in rule.program().nodes))
    ]
    names = [name for name in b.program().reads if not b.hyperparameters[name].switch]
    unknown = {s for name in names for t in range(last + 1) for s in sympy.sympify(sought(name, t)).free_symbols}
    called = [sympy.Symbol(f"{end}[{t}][{sequence}][{place}]") for end, t, place in roots]
    symbols = [*called, *sorted(unknown, key=str)]
    field = Fractions(symbols, sympy.QQ)
    return _Ground(field, dict(zip(roots, field.gens[: len(roots)], strict=True)))


def _may_vanish(divisor: Any, squares: Mapping[str, Any]) -> bool:
    """Vanishing of a polynomial in roots for some choice of their signs, as far as its norm shows."""
    import sympy

    for symbol, square in squares.values():
        if symbol in divisor.free_symbols:
            divisor = sympy.resultant(divisor, symbol**2 - square, symbol)
    return bool(divisor == 0)


def derived(
    lines: Sequence[Line], given: list[Any], names: Mapping[str, Any], divided: Container[Any], b: Optimizer
) -> str | None:
    """Check a derivation of a contradiction from polynomials that are supposed to vanish.

    Each line is a combination of premises and earlier lines with rational functions that divide by nonzero polynomials
    alone; the last one is 1, or has no zero in rule b's ranges. So the premises have no common zero there.

    Parameters
    ----------
    given : premises (SymPy polynomials); terms count them before the lines.
    names : by name, the symbols that lines may use.
    divided : container of irreducible nonzero factors.

    Returns
    -------
    Sentence on what is wrong; None for a valid derivation.

    Raises
    ------
    InputError
        If a line refers to one that is not there before it, or is no rational function.

    References
    ----------
    Hilbert 1893, doi:10.1007/BF01444162 (Nullstellensatz).
    """
    values = list(given)
    for line in lines:
        terms, stated = line.terms, _read(line.equals, names)
        if not all(term.of in range(len(values)) for term in terms):
            raise InputError("each line must be made of what is given and of earlier lines")
        weights, parts = [_read(term.times, names) for term in terms], [values[term.of] for term in terms]
        over = Field([*weights, *parts, stated])
        elements = [over.element(weight) for weight in weights]
        for factor in (f for element in elements if element for f in over.factors(1 / element)):
            if factor not in divided and -factor not in divided:
                return f"a line divides by {factor}, which might be zero"
        products = (element * over.element(part) for element, part in zip(elements, parts, strict=True))
        if sum(products, over.domain.zero) != over.element(stated):
            return f"a line is not {line.equals}"
        values.append(stated)
    if lines and (values[-1] == 1 or never_zero(values[-1], b)):
        return None
    return "the last line is not 1, and may be zero"


def _factors(polynomials: Iterable[Any]) -> set[Any]:
    """Irreducible factors."""
    import sympy

    return {factor for polynomial in polynomials for factor, _ in sympy.factor_list(polynomial)[1]}


def _read(text: str, names: Mapping[str, Any]) -> Any:
    """Expression of a text (SymPy), never evaluated as Python."""
    import sympy

    value = expression(text, names)
    if value.is_rational_function() and not value.has(sympy.zoo, sympy.nan):
        return value
    raise InputError(f"{text:.40} is no rational function")


def _equal(one: Any, other: Any) -> bool:
    import sympy

    return bool(sympy.cancel(one - other) == 0)
