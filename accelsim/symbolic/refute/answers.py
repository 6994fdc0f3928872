"""Responses of two rules to impulses: of rule a in numbers, run as it is; of rule b's linear part in its unknowns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

from accelsim.errors import InputError
from accelsim.rule import Hyperparameter, Optimizer
from accelsim.symbolic.algebra.draws import drawn, drawn_whole
from accelsim.symbolic.algebra.field import Field
from accelsim.symbolic.algebra.language import given_value, number, to_sympy
from accelsim.symbolic.check.counterexample import CONSTANT, SCHEDULED
from accelsim.symbolic.check.equivalence import given_sequences
from accelsim.symbolic.check.responses import RETURNED, Impulses, Response
from accelsim.symbolic.refute.rational_gradients import rational_gradients
from accelsim.symbolic.refute.replay import queries, row_of
from accelsim.symbolic.system.linear_part import LinearPart
from accelsim.symbolic.system.pair import Pair
from accelsim.symbolic.system.rule_sequences import Followed, in_exponents, independent, recurrences, values_of
from accelsim.symbolic.system.specialization import switched
from accelsim.symbolic.system.tableau import time

LONGEST = 7  # steps of a refutation
COORDINATES = 2  # in which gradients are taken where a rule is not linear
PARTS = 20  # of a range, in numbers that are short
SEEDS = 3  # choices of rational hyperparameters that are tried


@dataclass(frozen=True)
class Refuting:
    """Claim to be refuted: some choice of b's hyperparameters makes it a.

    Attributes
    ----------
    pair : the rules and their settings.
    a, b : the rules' linear parts, in symbols or unknown functions of t for all that is not given.
    unknown : names of b's hyperparameters.
    scheduled : whether these are one unknown a step; b's part then has functions of t for them.
    memories : numbers of memories of a and b, beside the query point; None where unknown.
    still : whether starts without gradients may refute, as they do not depend on what a sign is applied to.
    relaxed : recurrences of b whose recursions are not used, so that they may be any functions of t.
    """

    pair: Pair
    a: LinearPart
    b: LinearPart
    unknown: tuple[str, ...]
    scheduled: bool
    memories: tuple[int | None, int | None]
    still: bool = False
    relaxed: tuple[str, ...] = ()

    @property
    def exogenous(self) -> set[str]:
        """Names of the given sequences of b: arbitrary for its linear part, but equal for either sign of a gradient."""
        return given_sequences(self.b)

    @property
    def odd_part(self) -> bool:
        """Whether answers are odd parts in one gradient: a rule is not linear, or takes several gradients a step."""
        return bool(self.exogenous or given_sequences(self.a) or self.a.tableau.gradients > 1)

    @property
    def rule(self) -> Optimizer:
        """Rule a with its switches as given."""
        return switched(self.pair.a, dict(self.pair.set_a))

    @property
    def known(self) -> dict[str, str]:
        """Given hyperparameters of rule a, as texts."""
        declared = self.pair.a.hyperparameters
        return {k: str(v) for k, v in self.pair.set_a.items() if not declared[k].switch}


Leaf = Callable[[str, int | None], Any]  # what a symbol is, or a function at a step
Shared = Mapping[tuple[int, int], int]  # of the gradients of a step, the first one that is taken at the same point


class Realized(NamedTuple):
    """Rule a at rational numbers, with gradients on which its roots are rational.

    Attributes
    ----------
    values : by hyperparameter, a text, or a list of one text a step.
    gradients : fractions, shape (coordinates, steps, gradients a step); empty where each impulse is the only gradient.
    alike : indices of that shape: of each gradient of a step, the first one taken at the same point.
    """

    values: Mapping[str, Any]
    gradients: list[list[tuple[Fraction, ...]]]
    alike: list[list[list[int]]]

    @property
    def shared(self) -> list[Shared]:
        """By coordinate, a mapping from (step, gradient) to the first gradient at the same point."""
        return [{(t, g): f for t, row in enumerate(rows) for g, f in enumerate(row)} for rows in self.alike]


def realized(claim: Refuting) -> Iterator[Realized]:
    """Choices of rational hyperparameters of rule a, each with gradients on which its roots are rational."""
    rule = claim.rule
    for seed in range(SEEDS):
        with suppress(InputError):  # a recurrence is irrational, or there is none
            plain = numbers(rule, claim.pair.set_a, claim.pair.anything, seed)
            if not claim.odd_part:
                yield Realized(plain, [], [])
                continue
            for squared in ({}, {"complement": False}, {"complement": True}):
                values = squares_of(claim, plain, **squared) if squared else plain
                row = row_of(rule, {**values, **claim.known})
                rows = [rational_gradients(rule, row, LONGEST, i) for i in range(COORDINATES)]
                found = [each for each in rows if each]
                if len(found) == len(rows):
                    yield Realized(values, [row for row, _ in found], [alike for _, alike in found])
                    break


def squares_of(claim: Refuting, values: Mapping[str, Any], complement: bool = False) -> dict[str, Any]:
    """Hyperparameters at squares of given numbers, which have rational roots, or at 1 less these, if in range.

    Returns
    -------
    Texts by name; of recurrences and of what varies, lists of one text a step.
    """
    rule, freed = claim.rule, {*claim.pair.set_a, *claim.pair.anything}
    own = recurrences(rule, freed)

    def one(name: str, text: str) -> str:
        square = Fraction(text) ** 2
        square = 1 - square if complement else square
        return str(square) if rule.hyperparameters[name].holds(square) else text

    drawn = {k: v for k, v in values.items() if k not in own}
    found = {k: [one(k, x) for x in v] if isinstance(v, list) else one(k, v) for k, v in drawn.items()}
    return found | values_of(rule, freed, {**claim.pair.set_a, **found}, 2 * LONGEST)


def seen_by_a(claim: Refuting, values: Mapping[str, Any], found: Impulses) -> list[Fraction]:
    """Answers of rule a, run as it is on the gradients of a counterexample.

    Raises
    ------
    InputError, ArithmeticError
        If it cannot be run in fractions.
    """
    row, made = row_of(claim.rule, {**values, **claim.known}), found.runs(claim.a.tableau.gradients)
    return found.seen_in({place: queries(claim.rule, row, run) for place, run in made.items()})


def answers_of_a(claim: Refuting, real: Realized, steps: int, coordinates: int, begin: int = 0) -> dict[Response, Any]:
    """Responses of rule a, run as it is.

    A start without gradients is left out where the rule divides by zero on it. If roots of t are irrational in a linear
    rule, responses are those of its linear part, with roots.

    Parameters
    ----------
    steps : the last step.
    coordinates : number of coordinates.
    begin : the first step; if it is not 0, there is no start.

    Returns
    -------
    SymPy numbers by place.

    Raises
    ------
    InputError
        If another root is irrational.
    """
    count = claim.a.tableau.gradients
    shown = [*range(count), *([RETURNED] if claim.pair.returned else [])]
    starts = [(-1, 0, 0)] * (not begin)
    impulses = [
        (s, g, i)
        for i in range(coordinates * (not claim.still))
        for s in range(begin, steps + 1)
        for g in range(count)
        if not real.alike or real.alike[i][s][g] == g
    ]
    found: dict[Response, Any] = {}
    for part in (starts, impulses):
        times = [(t, *at) for at in part for t in range(max(at[0], 0), steps + 1)]
        keys = [Response(t, query, *at) for t, *at in times for query in shown if query != RETURNED or t > at[0]]
        with suppress(ZeroDivisionError) if part is starts else nullcontext():
            try:
                values = seen_by_a(claim, real.values, Impulses(**in_common(claim, real, keys))) if keys else []
            except InputError:
                if claim.odd_part or claim.a.tableau.nonlinearity:
                    raise
                return _with_roots(claim, real, steps, begin)
            found |= {key: number(value) for key, value in zip(keys, values, strict=True)}
    return found


def _with_roots(claim: Refuting, real: Realized, steps: int, begin: int) -> dict[Response, Any]:
    """Responses of the linear part of rule a, a linear rule, as SymPy expressions by place."""

    def known(name: str, step: int | None) -> Any:
        if name in claim.pair.set_a:
            return given_value(claim.pair.set_a[name]).subs(time(), step or 0)
        value = real.values[name]
        return number(Fraction(value if isinstance(value, str) else value[step or 0]))

    here = _with(Followed(claim.rule, recurrences(claim.rule), known, number, to_sympy), known)
    parts = (dict[Any, int](),) if begin else (None, dict[Any, int]())
    shown = [_run(claim.a, (here, here), steps, claim, alike, begin) for alike in parts]
    found = {Response(*key, 0): value for run in shown for key, value in run.items()}
    return {key: value for key, value in found.items() if key.impulse < 0 or not claim.still}


def answers_of_b(claim: Refuting, real: Realized, steps: int, coordinates: int, begin: int = 0) -> dict[Response, Any]:
    """Responses of rule b's linear part, in its unknowns, which are the same in all coordinates.

    Parameters
    ----------
    steps, coordinates, begin : as in `answers_of_a`.

    Returns
    -------
    SymPy expressions by place.
    """
    import sympy

    def unknown(name: str, step: int | None) -> Any:
        varies = step is not None and (claim.scheduled or name in claim.relaxed)
        return sympy.Symbol(unknown_at(name, step) if varies else name)

    set_b = claim.pair.set_b

    def known(name: str, step: int) -> Any:
        return given_value(set_b[name]).subs(time(), step) if name in set_b else unknown(name, step)

    own = Followed(claim.pair.b, {*claim.relaxed, *set_b}, known, number, to_sympy)
    part, here = claim.b, _with(own, unknown)
    for name in part.absorbed:
        factor = sympy.Function(name, positive=True)(time())
        part = replace(part, matrices=part.matrices._replace(B=part.matrices.B * factor))
    shared = real.shared or [{}] * coordinates
    found: dict[Response, Any] = {}
    for i in range(0 if begin else -1, coordinates):  # in none of them (-1) the start alone

        def given(name: str, step: int | None, coordinate: int = i) -> Any:
            return sympy.Symbol(unknown_at(name, step, coordinate))

        if i < 0 or not claim.still:
            run = _run(part, (here, given), steps, claim, None if i < 0 else shared[i], begin)
            found |= {Response(*key, max(i, 0)): value for key, value in run.items()}
    return found


def _with(own: Followed, other: Leaf) -> Leaf:
    """Function from name and step to hyperparameters, recurrences and uniform states."""
    return lambda name, step: own.at(step)[name] if step is not None and name in own.names else other(name, step)


def unknown_at(name: str, *places: int | None) -> str:
    """Name of an unknown at a step (and in a coordinate), which no hyperparameter can have."""
    return name + "".join(f"[{place}]" for place in places)


def _run(
    part: LinearPart,
    leaves: tuple[Leaf, Leaf],
    steps: int,
    claim: Refuting,
    shared: Shared | None,
    begin: int = 0,
) -> dict[tuple[int, int, int, int], Any]:
    """Responses of each query, and of the returned point, to each impulse, and to a start at 1 if nothing is shared.

    Gradients of one sample at one point are equal. If answers are odd parts, constant terms of the rule do not
    contribute.
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
    zero = begun - begun if claim.odd_part else begun
    for t, (a, b, c, d, f) in enumerate(over, begin):
        for (s, g), state in running.items():
            for query in range(count):
                found[t, query, s, g] = (c * state)[query, 0].element
            if claim.pair.returned:
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
    """Matrix at a step, symbols and functions replaced; positive functions are given sequences."""
    from sympy.core.function import AppliedUndef

    here = matrix.subs(time(), step)
    leaf = {True: given, None: known}
    names = {f: leaf[f.is_positive](f.func.__name__, int(f.args[0])) for f in here.atoms(AppliedUndef)}
    return here.xreplace(names | {s: known(s.name, None) for s in here.free_symbols})


def in_common(claim: Refuting, real: Realized, keys: Sequence[Response]) -> dict[str, Any]:
    """Fields that all counterexamples in responses share, up to the last answer, by name."""
    last, used = max(key.step for key in keys), {key.coordinate for key in keys if key.impulse >= 0}

    def kept(rows: list[list[Any]]) -> list[list[Any]]:
        return [row[: last + 1] if i in used else [] for i, row in enumerate(rows) if i <= max(used, default=-1)]

    return {
        "hyperparameters": {**real.values, **claim.known},
        "gradients": [[list(map(str, row)) for row in rows] for rows in kept(real.gradients)],
        "alike": kept(real.alike),
        "unknown": SCHEDULED if claim.scheduled else CONSTANT,
        "relaxed": [name for name in claim.relaxed if name in recurrences(claim.b.tableau.optimizer)],
        "answers": keys,
    }


def numbers(rule: Optimizer, given: Mapping[str, Any], varying: Sequence[str], seed: int) -> dict[str, Any]:
    """Rational values of a rule's hyperparameters inside their ranges, integers in exponents.

    Parameters
    ----------
    given : known hyperparameters, which are left out.
    varying : hyperparameters with one value a step.
    seed : of the draw.

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
        if name in given:
            continue

        def draw(key: int, declared: Hyperparameter = rule.hyperparameters[name], name: str = name) -> str:
            place = f"{seed} {name} {key}"
            picked = drawn_whole(declared, place) if name in whole else None
            return str(drawn(declared, place, PARTS) if picked is None else picked)

        if name in varying:
            found[name] = list(map(draw, range(2 * LONGEST)))
            continue
        tried = list(map(draw, range(LONGEST)))
        found[name] = next((x for x in tried if x not in found.values()), tried[0])
    return found | values_of(rule, freed, {**given, **found}, 2 * LONGEST)
