"""Refutations that can be replayed: finitely many sequences of gradients that no choice of hyperparameters follows.

Each sequence is an impulse, gradient 1 at one step and 0 at all others, from the start w = 0; or, where one of the
rules is not linear, one of two that differ in the sign of one gradient (see `gradients`). What rule `a` itself answers,
at rational hyperparameters, are numbers; what `b` answers are rational functions of its own hyperparameters, constants
or one unknown a step, and of whatever it multiplies by. Three kinds of contradiction are looked for:

* a *minor*: the determinant of some of these answers is one number for `a`, and for `b` another whatever its
  hyperparameters are, as it is zero for every rule of fewer memories;
* an *identity* 1 = sum of cofactors times (b's answer minus a's), cleared of denominators: by linear algebra where
  numbers are cofactors enough, otherwise by Buchberger's algorithm;
* a *scale*: to a rule that applies a sign it is all the same how long gradients are, to one that cuts long gradients
  how long such a first one is; rule `a` itself is run.

One sequence alone never refutes a rule whose step size may vary from step to step: it could follow anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise, product
from typing import Any, NamedTuple

from accelsim.errors import InputError
from accelsim.program import exact
from accelsim.rule import Hyperparameter, Optimizer
from accelsim.symbolic.algebra.cofactors import Member, bare, combination, combined, spanned, without_units
from accelsim.symbolic.algebra.elimination import Clock
from accelsim.symbolic.algebra.field import Field, cancelled, determinant, differs, reduced
from accelsim.symbolic.algebra.language import given_value, number, text_of, to_sympy
from accelsim.symbolic.algebra.nonvanishing import turns
from accelsim.symbolic.check.equivalence import given_sequences
from accelsim.symbolic.check.positivity import never_zero
from accelsim.symbolic.refute.rational_gradients import rational_gradients
from accelsim.symbolic.refute.replay import queries, row_of
from accelsim.symbolic.system.gradients import RETURNED, Key, answers, runs
from accelsim.symbolic.system.homogeneity import blind_to_signs
from accelsim.symbolic.system.linear_part import LinearPart, left_behind
from accelsim.symbolic.system.rule_sequences import Followed, in_exponents, reads, recurrences, values_of
from accelsim.symbolic.system.specialization import switched
from accelsim.symbolic.system.tableau import time

LONGEST = 7  # steps of a refutation
LATEST = 130  # step at which a minimum or maximum of t may turn to refute something after that
NEAR = 2  # steps about it, and about the first, whose gradients are looked at
COORDINATES = 2  # in which gradients are taken where a rule is not linear
CANONICAL = 3  # steps that show a coefficient of each kind, of rules of one memory
LENGTHS = ((Fraction(1), Fraction(2)), (Fraction(1, 64), Fraction(1, 32)))  # the latter are not clipped
PARTS = 20  # of a range, in numbers that are short
SHORT = 4  # terms of a difference that is looked at in ranges
SEEDS = 3  # choices of rational hyperparameters that are tried


@dataclass(frozen=True)
class Refuting:
    """What is to be refuted: no choice of b's hyperparameters makes it a.

    Attributes
    ----------
    a, b : the rules' linear parts, all that is not given being symbols or unknown functions of t.
    set_a, set_b, varying : what is known of the rules' hyperparameters, and what varies of those of a.
    unknown : the hyperparameters of b.
    scheduled : whether those may vary from step to step; b's part then has functions of t for them.
    memories : of a and b, beside the query point; None where unknown.
    returned : whether what the rules return is compared, beside their queries.
    loose : recurrences of b that may be anything; the others are what their recursions make of b's hyperparameters.
    still : whether starts alone may be looked at, as what a sign is applied to says nothing of the rules themselves.
    """

    a: LinearPart
    b: LinearPart
    set_a: Mapping[str, Any]
    varying: tuple[str, ...]
    unknown: tuple[str, ...]
    scheduled: bool
    memories: tuple[int | None, int | None]
    returned: bool = False
    still: bool = False
    loose: tuple[str, ...] = ()
    set_b: Mapping[str, Any] = field(default_factory=dict)

    @property
    def given(self) -> set[str]:
        """The given sequences of b: to b they may be anything, but for either sign of a gradient the same."""
        return given_sequences(self.b)

    @property
    def turned(self) -> bool:
        """Whether answers are what the sign of a gradient makes: one of the rules is not linear, or asks for more."""
        return bool(self.given or given_sequences(self.a) or self.a.tableau.gradients > 1)

    @property
    def rule(self) -> Optimizer:
        """Rule a, with its switches as they are given."""
        return switched(self.a.tableau.optimizer, dict(self.set_a))

    @property
    def b_rule(self) -> Optimizer:
        """Rule b."""
        return self.b.tableau.optimizer

    @property
    def known(self) -> dict[str, str]:
        """What is known of rule a's hyperparameters, in texts."""
        declared = self.a.tableau.optimizer.hyperparameters
        return {k: str(v) for k, v in self.set_a.items() if not declared[k].switch}


def refute(claim: Refuting, clock: Clock) -> dict[str, Any] | None:
    """A counterexample as a document (see `verifier.verify_certificate`), None where none was found.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
    """
    if claim.given and not (claim.still or blind_to_signs(claim.b)):
        return None
    draws = list(_realized(claim))
    for attempt, real in product((_minor, _identity, _late), draws):
        with suppress(InputError):  # a root of rule a is irrational, or an answer has too many digits
            if found := attempt(claim, real, clock):
                return found
    return None


def _realized(claim: Refuting) -> Iterator[Realized]:
    """Choices of rational numbers at which rule a is run, where its roots are rational."""
    rule = claim.rule
    for seed in range(SEEDS):
        with suppress(InputError):  # a recurrence is irrational, or there is none
            plain = numbers(rule, claim.set_a, claim.varying, seed)
            if not claim.turned:
                yield Realized(plain, [], [])
                continue
            for squared in ({}, {"complement": False}, {"complement": True}):
                values = _squared(claim, plain, **squared) if squared else plain
                row = row_of(rule, {**values, **claim.known})
                rows = [rational_gradients(rule, row, LONGEST, i) for i in range(COORDINATES)]
                found = [each for each in rows if each]
                if len(found) == len(rows):
                    yield Realized(values, [row for row, _ in found], [alike for _, alike in found])
                    break


def scaled(claim: Refuting, first_alone: bool = False) -> dict[str, Any] | None:
    """Two lengths of a first gradient: what refutes rules to which the length of gradients is all the same.

    That of the first alone, from 1 on, if `first_alone`; then the second query must show it.
    """
    pairs, longest = (LENGTHS[:1], 1) if first_alone else (LENGTHS, LONGEST)
    choices = []
    with suppress(InputError):  # a recurrence is irrational
        choices.append(numbers(claim.rule, claim.set_a, claim.varying, seed=0))
        choices.append(_squared(claim, choices[0]))
    for values, pair in product(choices, pairs):
        for last in range(1, longest + 1):
            found = {
                "kind": "scale",
                **_document(claim, Realized(values, [], []), [(last, 0, 0, 0, 0)]),
                "lengths": list(map(str, pair)),
            }
            # where a root is irrational nothing is exact any more, and some rules divide by gradients
            with suppress(InputError, ArithmeticError):
                shown = _seen(claim, values, found)
                if shown[0] != shown[1]:
                    return {**found, "values": list(map(str, shown))}
    return None


def _seen(claim: Refuting, values: Mapping[str, Any], found: Mapping[str, Any]) -> list[Fraction]:
    """What rule a itself answers."""
    row, made = row_of(claim.rule, {**values, **claim.known}), runs(found, claim.a.tableau.gradients)
    return answers(found, {place: queries(claim.rule, row, run) for place, run in made.items()})


def _squared(claim: Refuting, values: Mapping[str, Any], complement: bool = False) -> dict[str, Any]:
    """The squares of numbers, of which roots are rational, or 1 less those, where these are in their ranges too."""
    rule, freed = claim.rule, {*claim.set_a, *claim.varying}
    own = recurrences(rule, freed)

    def one(name: str, text: str) -> str:
        square = Fraction(text) ** 2
        square = 1 - square if complement else square
        return str(square) if rule.hyperparameters[name].holds(square) else text

    drawn = {k: v for k, v in values.items() if k not in own}
    found = {k: [one(k, x) for x in v] if isinstance(v, list) else one(k, v) for k, v in drawn.items()}
    return found | values_of(rule, freed, {**claim.set_a, **found}, 2 * LONGEST)


Leaf = Callable[[str, int | None], Any]  # what a symbol is, or a function at a step
Shared = Mapping[tuple[int, int], int]  # of the gradients of a step, the first one that is taken at the same point


class Realized(NamedTuple):
    """Hyperparameters of rule a, and the gradients on which it is run: in each coordinate, by step."""

    values: Mapping[str, Any]
    gradients: list[list[tuple[Fraction, ...]]]
    alike: list[list[list[int]]]

    @property
    def shared(self) -> list[Shared]:
        return [{(t, g): f for t, row in enumerate(rows) for g, f in enumerate(row)} for rows in self.alike]


def _mine(claim: Refuting, real: Realized, steps: int, coordinates: int, begin: int = 0) -> dict[Key, Any]:
    """What rule a answers, run as it is: numbers; nothing of a start alone where it divides by zero then.

    Where roots of t are irrational in a linear rule, it is what its linear part answers, roots and all. Where it does
    not begin at the first step, there is no start.

    Raises
    ------
    InputError
        Where another root in it is irrational.
    """
    count = claim.a.tableau.gradients
    shown = [*range(count), *([RETURNED] if claim.returned else [])]
    starts = [(-1, 0, 0)] * (not begin)
    impulses = [
        (s, g, i)
        for i in range(coordinates * (not claim.still))
        for s in range(begin, steps + 1)
        for g in range(count)
        if not real.alike or real.alike[i][s][g] == g
    ]
    found: dict[Key, Any] = {}
    for part in (starts, impulses):
        times = [(t, *at) for at in part for t in range(max(at[0], 0), steps + 1)]
        keys = [(t, query, *at) for t, *at in times for query in shown if query != RETURNED or t > at[0]]
        with suppress(ZeroDivisionError) if part is starts else nullcontext():
            try:
                values = _seen(claim, real.values, {"kind": "identity", **_document(claim, real, keys)}) if keys else []
            except InputError:
                if claim.turned or claim.a.tableau.nonlinearity:
                    raise
                return _with_roots(claim, real, steps, begin)
            found |= {key: number(value) for key, value in zip(keys, values, strict=True)}
    return found


def _with_roots(claim: Refuting, real: Realized, steps: int, begin: int) -> dict[Key, Any]:
    """What the linear part of rule a answers, which is linear, in SymPy."""

    def known(name: str, step: int | None) -> Any:
        if name in claim.set_a:
            return given_value(claim.set_a[name]).subs(time(), step or 0)
        value = real.values[name]
        return number(Fraction(value if isinstance(value, str) else value[step or 0]))

    here = _with(Followed(claim.rule, recurrences(claim.rule), known, number, to_sympy), known)
    parts = (dict[Any, int](),) if begin else (None, dict[Any, int]())
    shown = [_run(claim.a, (here, here), steps, claim, alike, begin) for alike in parts]
    found = {(*key, 0): value for run in shown for key, value in run.items()}
    return {key: value for key, value in found.items() if key[2] < 0 or not claim.still}


def _theirs(claim: Refuting, real: Realized, steps: int, coordinates: int, begin: int = 0) -> dict[Key, Any]:
    """What rule b answers, in its unknowns, which are the same in all coordinates."""
    import sympy

    def unknown(name: str, step: int | None) -> Any:
        varies = step is not None and (claim.scheduled or name in claim.loose)
        return sympy.Symbol(unknown_at(name, step) if varies else name)

    def known(name: str, step: int) -> Any:
        return given_value(claim.set_b[name]).subs(time(), step) if name in claim.set_b else unknown(name, step)

    own = Followed(claim.b_rule, {*claim.loose, *claim.set_b}, known, number, to_sympy)
    part, here = claim.b, _with(own, unknown)
    for name in part.absorbed:
        factor = sympy.Function(name, positive=True)(time())
        part = replace(part, matrices=part.matrices._replace(B=part.matrices.B * factor))
    shared = real.shared or [{}] * coordinates
    found: dict[Key, Any] = {}
    for i in range(0 if begin else -1, coordinates):  # in none of them (-1) the start alone

        def given(name: str, step: int | None, coordinate: int = i) -> Any:
            return sympy.Symbol(unknown_at(name, step, coordinate))

        if i < 0 or not claim.still:
            run = _run(part, (here, given), steps, claim, None if i < 0 else shared[i], begin)
            found |= {(*key, max(i, 0)): value for key, value in run.items()}
    return found


def _with(own: Followed, other: Leaf) -> Leaf:
    """What hyperparameters are at a step, and recurrences and uniform states."""
    return lambda name, step: own.at(step)[name] if step is not None and name in own.names else other(name, step)


def unknown_at(name: str, *places: int | None) -> str:
    """The name of an unknown at a step (and in a coordinate), that no hyperparameter can have."""
    return name + "".join(f"[{place}]" for place in places)


def _run(
    part: LinearPart,
    leaves: tuple[Leaf, Leaf],
    steps: int,
    claim: Refuting,
    shared: Shared | None,
    begin: int = 0,
) -> dict[tuple[int, int, int, int], Any]:
    """What each query (and what is returned) shows of each impulse; of a start at 1 alone where nothing is shared.

    Gradients of one sample at one point are one. Where answers are what a sign makes, what the rule does without
    gradients is no part of them.
    """
    import sympy

    systems = [[_at(m, step, *leaves) for m in part.matrices] for step in range(begin, steps + 1)]
    field = Field(entry for system in systems for m in system for entry in m)
    over = [[field.matrix(m) for m in system] for system in systems]
    count = part.tableau.gradients
    start, begun = (
        field.matrix(sympy.Matrix(list(map(number, values))))
        for values in (part.tableau.translation, part.tableau.start)
    )
    found: dict[tuple[int, int, int, int], Any] = {}
    running: dict[tuple[int, int], Any] = {(-1, 0): start + begun} if shared is None else {}
    zero = begun - begun if claim.turned else begun
    for t, (a, b, c, d, f) in enumerate(over, begin):
        for (s, g), state in running.items():
            for query in range(count):
                found[t, query, s, g] = (c * state)[query, 0].element
            if claim.returned:
                found[t, RETURNED, s, g] = (f * state)[0, 0].element
        columns: dict[int, tuple[Any, Any]] = {}
        for g in range(count if shared is not None else 0):
            first, onto, within = (shared or {}).get((t, g), g), b[:, g : g + 1], d[:, g : g + 1]
            if first in columns:
                onto, within = columns[first][0] + onto, columns[first][1] + within
            columns[first] = onto, within
        for g, (_, within) in columns.items():
            for query in range(count):
                found[t, query, t, g] = (c * zero + within)[query, 0].element
        running = {key: a * state for key, state in running.items()}
        for g, (onto, _) in columns.items():
            running[t, g] = a * zero + onto
        zero = a * zero
    return {key: field.plain(value) for key, value in found.items()}


def _at(matrix: Any, step: int, known: Leaf, given: Leaf) -> Any:
    """A matrix at a step, its symbols and functions replaced; given sequences are those that are positive."""
    from sympy.core.function import AppliedUndef

    here = matrix.subs(time(), step)
    leaf = {True: given, None: known}
    names = {f: leaf[f.is_positive](f.func.__name__, int(f.args[0])) for f in here.atoms(AppliedUndef)}
    return here.xreplace(names | {s: known(s.name, None) for s in here.free_symbols})


def _document(claim: Refuting, real: Realized, keys: Sequence[Key]) -> dict[str, Any]:
    last, used = max(key[0] for key in keys), {i for *_, at, _, i in keys if at >= 0}

    def kept(rows: list[list[Any]]) -> list[list[Any]]:
        return [row[: last + 1] if i in used else [] for i, row in enumerate(rows) if i <= max(used, default=-1)]

    names = ("step", "query", "impulse", "gradient", "coordinate")
    return {
        "hyperparameters": {**real.values, **claim.known},
        "gradients": [[list(map(str, row)) for row in rows] for rows in kept(real.gradients)],
        "alike": kept(real.alike),
        "unknown": "one a step" if claim.scheduled else "constant",
        "loose": [name for name in claim.loose if name in recurrences(claim.b.tableau.optimizer)],
        "answers": [dict(zip(names, key, strict=True)) for key in keys],
    }


def _minor(claim: Refuting, real: Realized, clock: Clock) -> dict[str, Any] | None:
    """The determinant of what queries show of impulses: for rules that move with a translation, since a query before.

    The position is no memory then; otherwise it counts as one more.
    """
    import sympy

    counts = [m for m in claim.memories if m is not None]
    if len(counts) < 2 or counts[0] == counts[1] or claim.still:
        return None
    moving = not (left_behind(claim.a) or left_behind(claim.b))
    size = min(counts) + (1 if moving else 2)
    small = len(claim.b.tableau.states) - moving < size  # so b's determinants vanish, whatever varies
    if not small and (claim.scheduled or claim.loose):
        return None
    for first in (0, 1) if _has_sequences(claim) else (0,):  # the first step's weight of an average forgets a gradient
        clock.check()
        columns = range(first, first + size)
        rows = range(first + size + moving, first + 2 * size + moving)
        before = [first + size] if moving else []
        one = _mine(claim, real, rows[-1], 1)
        other = {} if small else _theirs(claim, real, rows[-1], 1)
        keys = [(row, 0, column, 0, 0) for row in (*before, *rows) for column in columns]

        def shown(run: Mapping[Key, Any], at: Sequence[int] = (*before, *rows), columns: range = columns) -> Any:
            """What the past shows: for rules that move, from one query to the next, which is the same determinant."""
            seen = [[run[row, 0, j, 0, 0] for j in columns] for row in at]
            if moving:
                seen = [[y - x for x, y in zip(*pair, strict=True)] for pair in pairwise(seen)]
            return sympy.Matrix(seen)

        left, right = determinant(shown(one)), sympy.Integer(0) if small else determinant(shown(other))
        if left != 0 if right.free_symbols else not differs(left - right):
            continue
        over = Field([right])
        return {
            "kind": "minor",
            **_document(claim, real, keys),
            "values": [text_of(one[key]) for key in keys],
            "since": before,
            "determinant": text_of(left),
            "other": text_of(right),
            "unless": list(map(text_of, over.factors(over.element(right)))) if right.free_symbols else [],
        }
    return None


def _has_sequences(claim: Refuting) -> bool:
    """Whether a rule has sequences, which may be others later."""
    return any(recurrences(part.tableau.optimizer) or part.tableau.uniform for part in (claim.a, claim.b))


def _identity(claim: Refuting, real: Realized, clock: Clock) -> dict[str, Any] | None:
    longest = min(LONGEST, len(claim.a.tableau.states) + len(claim.b.tableau.states) + 1)
    if _has_sequences(claim):
        longest = LONGEST
    canonical = claim.memories == (1, 1) and not left_behind(claim.a) and not left_behind(claim.b)
    coordinates = COORDINATES if claim.turned and (claim.scheduled or claim.given) else 1
    for last in range(1, longest + 1):
        clock.check()
        run = _mine(claim, real, last, coordinates), _theirs(claim, real, last, coordinates)
        one, other, numbers = _polynomial(*run)
        ideal = _differences(one, other)
        divided = [*_divided(other.values()), *numbers]
        members = [bare(m, divided) for m in ideal]
        weights, left = _apart(members, numbers), "1"
        if weights is None and (sure := next(_never_zero(claim, ideal), None)):
            weights, left = dict(sure.weights), text_of(sure.polynomial)
        weights = weights or spanned(members, divided)
        if canonical and last >= CANONICAL:
            shown = [m for m in ideal if any(key[1] == RETURNED for key in m.weights)]
            ideal = [m for i in range(coordinates) for m in _one_memory(one, other, last, i, divided)] + shown
        if ideal and weights is None and (not canonical or last >= CANONICAL):
            weights = combined([bare(m, divided) for m in ideal], divided, clock)
        if weights:
            return _combination(claim, real, one, weights, left)
    return None


def _never_zero(claim: Refuting, ideal: Iterable[Member]) -> Iterator[Member]:
    """Short differences that have no zero at hyperparameters of rule b in their ranges."""
    import sympy

    for member in ideal:
        short = len(sympy.Add.make_args(member.polynomial)) <= SHORT
        if short and never_zero(sympy.fraction(cancelled(member.polynomial))[0], claim.b_rule):
            yield member


def _polynomial(
    one: Mapping[Key, Any], other: Mapping[Key, Any]
) -> tuple[dict[Key, Any], dict[Key, Any], dict[Any, Any]]:
    """Answers in which a root, a logarithm and the like is a symbol that goes by what it is; those that are numbers."""
    import sympy

    field = Field([*one.values(), *other.values()])
    opaque = {generator: e for generator, e in field.generators().items() if not e.is_Symbol}
    names = {generator: sympy.Symbol(_called(e)) for generator, e in opaque.items()}
    if names:
        one, other = (
            {key: field.domain.to_sympy(field.element(value)).xreplace(names) for key, value in run.items()}
            for run in (one, other)
        )
    return dict(one), dict(other), {names[generator]: e for generator, e in opaque.items() if differs(e)}


def _called(e: Any) -> str:
    """What is no rational function as text that can stand anywhere."""
    import sympy

    text = text_of(e)
    return text if isinstance(e, sympy.Function) and not e.is_Piecewise else f"({text})"


def _late(claim: Refuting, real: Realized, clock: Clock) -> dict[str, Any] | None:
    """Answers about the first steps and about one at which a minimum or maximum of t turns."""
    starts = (*claim.a.tableau.start, *claim.b.tableau.start)
    constant = all(isinstance(value, str) for value in real.values.values())
    if claim.still or claim.turned or any(starts) or not constant:
        return None
    at = set().union(*(turns(entry) for part in (claim.a, claim.b) for m in part.matrices for entry in m))
    for turn in sorted(at & {*range(LONGEST, LATEST)}):
        clock.check()
        mine: dict[Key, Any] = {}
        theirs: dict[Key, Any] = {}
        for begin in (0, turn - NEAR):
            mine |= _mine(claim, real, begin + 2 * NEAR, 1, begin)
            theirs |= _theirs(claim, real, begin + 2 * NEAR, 1, begin)
        one, other, numbers = _polynomial(mine, theirs)
        divided = [*_divided(other.values()), *numbers]
        ideal = [bare(m, divided) for m in _differences(one, other)]
        weights = _apart(ideal, numbers) or spanned(ideal, divided) or (ideal and combined(ideal, divided, clock))
        if weights:
            return _combination(claim, real, one, weights)
    return None


def _apart(ideal: Iterable[Member], numbers: Mapping[Any, Any]) -> dict[Key, Any] | None:
    """The weight of a member that is a number other than zero, as symbols for roots and the like show in digits."""
    for member in ideal:
        if member.polynomial.free_symbols <= numbers.keys() and differs(member.polynomial.xreplace(numbers)):
            return {key: reduced(weight / member.polynomial) for key, weight in member.weights.items()}
    return None


def _differences(one: Mapping[Key, Any], other: Mapping[Key, Any]) -> list[Member]:
    import sympy

    return [Member(other[key] - one[key], {key: sympy.Integer(1)}) for key in one if one[key] != other[key]]


def _combination(
    claim: Refuting, real: Realized, one: Mapping[Key, Any], weights: Mapping[Key, Any], left: str = "1"
) -> dict[str, Any]:
    """Weights of differences between answers of which the sum is 1, or has no zero, as a document."""
    chosen = [key for key, weight in weights.items() if weight != 0]
    return {
        "kind": "identity",
        **_document(claim, real, chosen),
        "values": [text_of(one[key]) for key in chosen],
        "cofactors": [text_of(weights[key]) for key in chosen],
        "left": left,
    }


def _divided(values: Collection[Any]) -> list[Any]:
    """What values divide by, irreducible."""
    field = Field(values)
    elements = [field.element(value) for value in values]
    return list(dict.fromkeys(f for element in elements if element for f in field.factors(1 / element)))


def _one_memory(
    one: Mapping[Key, Any], other: Mapping[Key, Any], last: int, coordinate: int, apart: Sequence[Any]
) -> Iterator[Member]:
    """Of rules of one memory: what differences of moves, and of beta and alpha, make zero, for each step that is seen.

    With q the move at an impulse, m the one after it, and r the one after that, m' being the later of two moves that
    two impulses share,

        beta = r/m',    eta = -m/beta,    alpha = -q - eta,

    these are combinations of differences of answers: where A is the one rule's, B the other's and d their difference,

        m'_A (beta_B - beta_A) = dr - beta_A dm' - (beta_B - beta_A) dm',
        r_A (alpha_A - alpha_B) = r_B dq - m_B dm' - m'_A dm + (q_A + alpha_A) dr - (alpha_A - alpha_B) dr.
    """

    def move(step: int, impulse: int) -> tuple[Any, Any, Member]:
        places = ((step + 1, 0, impulse, 0, coordinate), (step, 0, impulse, 0, coordinate))
        at = dict(zip(places, (1, -1), strict=True))
        mine, theirs = (sum(w * run[key] for key, w in at.items()) for run in (one, other))
        return mine, theirs, combination((1, Member(theirs - mine, at)))

    moves = [bare(move(s + lag, s)[2], apart) for lag in (0, 1) for s in range(last - lag)]
    moves = [m for m in moves if m.polynomial != 0]
    yield from moves
    for s in range(last - 2):
        (r_one, r_other, late), (q_one, _, newest) = move(s + 2, s), move(s + 1, s + 1)
        (m_one, m_other, after), (m_next, m_shared, following) = move(s + 1, s), move(s + 2, s + 1)
        if m_next == 0:
            continue
        decay = combination((1, late), (-r_one / m_next, following))
        found = [_freed(decay, m_shared, m_next, following)]
        if r_one:
            alpha = m_one * m_next / r_one - q_one
            parts = ((r_other, newest), (-m_other, following), (-m_next, after), (q_one + alpha, late))
            found.append(_freed(combination(*parts), r_other, r_one, late))
        yield from (without_units(bare(m, apart), moves, apart) for m in found if m.polynomial != 0)


def _freed(member: Member, factor: Any, number: Any, difference: Member) -> Member:
    """The numerator n of a member that is n/d times a factor, of which a number is the value, up to a difference."""
    import sympy

    field = Field([member.polynomial, factor])
    n, d = sympy.fraction(field.expression(field.element(member.polynomial) / field.element(factor)))
    return combination((d / number, member), (-n / number, difference))


def numbers(rule: Optimizer, given: Mapping[str, Any], varying: Sequence[str], seed: int) -> dict[str, Any]:
    """Rational values of a rule's hyperparameters inside their ranges; by step for those that vary, and recurrences.

    Raises
    ------
    InputError
        If a recurrence is irrational, or does not exist, at what was drawn.
    """
    found: dict[str, Any] = {}
    freed, whole = {*given, *varying}, in_exponents(rule, given)
    own = recurrences(rule, freed)
    for name in dict.fromkeys((*rule.program(given).reads, *reads(rule, freed))):
        declared = rule.hyperparameters[name]
        if name in given or declared.switch or name in own:
            continue

        def draw(key: int, declared: Hyperparameter = declared, name: str = name) -> str:
            choices = [n for n in range(-2, 4) if declared.holds(n)] if name in whole else []
            place = f"{seed} {name} {key}"
            return str(random.Random(place).choice(choices) if choices else drawn(declared, place))

        if name in varying:
            found[name] = list(map(draw, range(2 * LONGEST)))
            continue
        tried = list(map(draw, range(LONGEST)))
        found[name] = next((x for x in tried if x not in found.values()), tried[0])
    return found | values_of(rule, freed, {**given, **found}, 2 * LONGEST)


def drawn(declared: Hyperparameter, key: str) -> Fraction:
    """A short number inside a range, not beyond 2 from 0, that depends on the key alone."""
    low, high = (exact(min(max(edge, -2.0), 2.0)) for edge in (declared.low, declared.high))
    return low + (high - low) * Fraction(random.Random(key).randint(1, PARTS - 1), PARTS)
