"""Refutations that can be replayed: finitely many sequences of gradients that no choice of hyperparameters follows.

Each sequence is an impulse: gradient 1 at one step, 0 at all others, from the start w = 0. What rule `a` answers, at
rational hyperparameters, are numbers; what `b` answers are rational functions of its own hyperparameters, constants
or one unknown a step. Three kinds of contradiction are looked for:

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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, pairwise, product
from typing import Any

from accelsim.errors import InputError
from accelsim.program import exact
from accelsim.rule import Hyperparameter, Optimizer, step
from accelsim.symbolic.algebra.cofactors import Member, bare, combination, combined, spanned, without_units
from accelsim.symbolic.algebra.elimination import Clock
from accelsim.symbolic.algebra.field import Field, determinant, evaluated
from accelsim.symbolic.system.given_sequences import taken_alike
from accelsim.symbolic.system.linear_part import LinearPart, left_behind
from accelsim.symbolic.system.tableau import time

LONGEST = 7  # steps of a refutation
RETURNED = -1  # in the place of a query's number: what the rule returns before the step
CANONICAL = 3  # steps that show a coefficient of each kind, of rules of one memory
LENGTHS = ((Fraction(1), Fraction(2)), (Fraction(1, 64), Fraction(1, 32)))  # the latter are not clipped
SEEDS = 3  # choices of rational hyperparameters that are tried


@dataclass(frozen=True)
class Refuting:
    """What is to be refuted: no choice of b's hyperparameters makes it a.

    Attributes
    ----------
    a, b : the rules' linear parts, all that is not given being symbols or unknown functions of t.
    set_a, varying : what is known of a's hyperparameters, and what varies.
    unknown : the hyperparameters of b.
    scheduled : whether those may vary from step to step; b's part then has functions of t for them.
    memories : of a and b, beside the query point; None where unknown.
    unlike : given sequences of b that are none of a's: to b they may be anything.
    returned : whether what the rules return is compared, beside their queries.
    still : whether starts alone may be looked at, as what a sign is applied to says nothing of the rules themselves.
    """

    a: LinearPart
    b: LinearPart
    set_a: Mapping[str, Any]
    varying: tuple[str, ...]
    unknown: tuple[str, ...]
    scheduled: bool
    memories: tuple[int | None, int | None]
    unlike: frozenset[str] = frozenset()
    returned: bool = False
    still: bool = False


def refute(claim: Refuting, clock: Clock) -> dict[str, Any] | None:
    """A counterexample as a document (see `verifier.verify_certificate`), None where none was found.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
    """
    draws = [numbers(claim.a.tableau.optimizer, claim.set_a, claim.varying, seed) for seed in range(SEEDS)]
    minors = (_minor(claim, values, seed) for seed, values in enumerate(draws))
    identities = (_identity(claim, values, seed, clock) for seed, values in enumerate(draws))
    return next((found for found in chain(minors, identities) if found is not None), None)


def scaled(claim: Refuting, first_alone: bool = False) -> dict[str, Any] | None:
    """Two lengths of a first gradient: what refutes rules to which the length of gradients is all the same.

    That of the first alone, from 1 on, if `first_alone`; then the second query must show it.
    """
    rule = claim.a.tableau.optimizer
    plain = numbers(rule, claim.set_a, claim.varying, seed=0)
    pairs, longest = (LENGTHS[:1], 1) if first_alone else (LENGTHS, LONGEST)
    for values, pair in product((plain, _squared(rule, plain)), pairs):
        for last in range(1, longest + 1):
            with suppress(InputError):  # where a root is irrational nothing is exact any more
                shown = [_after(rule, values, claim.set_a, length, last) for length in pair]
                if shown[0] != shown[1]:
                    return {
                        "kind": "scale",
                        **_document(claim, values, 0, [(last, 0, 0, 0, 0)]),
                        "given": {},
                        "lengths": list(map(str, pair)),
                        "values": list(map(str, shown)),
                    }
    return None


def _squared(rule: Optimizer, values: Mapping[str, Any]) -> dict[str, Any]:
    """The squares of numbers, of which roots are rational, where these are in their ranges too."""

    def one(name: str, text: str) -> str:
        square = Fraction(text) ** 2
        return str(square) if rule.hyperparameters[name].holds(square) else text

    return {k: [one(k, x) for x in v] if isinstance(v, list) else one(k, v) for k, v in values.items()}


def _after(
    rule: Optimizer, values: Mapping[str, Any], given: Mapping[str, Any], length: Fraction, last: int
) -> Fraction:
    """Where the rule itself queries first at a step, from 0, after one gradient at the first step, exactly."""
    state = {name: exact(value) for name, value in rule.start(Fraction(0)).items()}
    declared = rule.hyperparameters.items()
    switches = {k: rule.value(k, given.get(k, h.default)) for k, h in declared if h.switch}
    queries: list[tuple[Fraction, ...]] = []

    def gradient(*points: Fraction) -> Any:
        found = tuple(length * (not queries and point == points[0]) for point in points)
        queries.append(points)
        return found if len(found) > 1 else found[0]

    for t in range(last + 1):
        first = len(queries)
        known = {k: v[t] if isinstance(v, list) else v for k, v in values.items()}
        h = {k: evaluated(str(v), {"t": Fraction(t)}) for k, v in {**known, **given}.items() if k not in switches}
        with suppress(InputError) if t == last else nullcontext():  # of the last step the query alone is wanted
            state = step(rule, state, t, h | switches, gradient)
    return queries[first][0]


# step and number of query (RETURNED: what is returned before the step), of gradient (step -1: the start), coordinate
Key = tuple[int, int, int, int, int]
Leaf = Callable[[str, int | None], Any]  # what a symbol is, or a function at a step
Shared = Mapping[tuple[int, int], int]  # of the gradients of a step, the first one that is taken at the same point


def _mine(
    claim: Refuting, values: Mapping[str, Any], seed: int, steps: int, coordinates: int = 1
) -> tuple[dict[Key, Any], list[Shared]]:
    """What rule a answers: numbers; and in each coordinate, which of its gradients are one."""
    import sympy

    def known(name: str, step: int | None) -> Any:
        value = values[name]
        return sympy.Rational(value if isinstance(value, str) else value[step or 0])

    leaves = [_leaves(known, seed, coordinate) for coordinate in range(coordinates)]
    runs = [_run(claim.a, *leaf, steps, claim.returned) for leaf in leaves]
    answers = {(*key, i): value for i, (run, _) in enumerate(runs) for key, value in run.items()}
    return answers, [shared for _, shared in runs]


def _theirs(claim: Refuting, seed: int, steps: int, shared: Sequence[Shared]) -> dict[Key, Any]:
    """What rule b answers, in its unknowns, which are the same in all coordinates."""
    import sympy

    def unknown(name: str, step: int | None) -> Any:
        return sympy.Symbol(unknown_at(name, step) if claim.scheduled and step is not None else name)

    part = claim.b
    for name in claim.unlike & part.absorbed:
        factor = sympy.Function(name, positive=True)(time())
        part = replace(part, matrices=part.matrices._replace(B=part.matrices.B * factor))
    leaves = [_leaves(unknown, seed, coordinate, claim.unlike) for coordinate in range(len(shared))]
    runs = [_run(part, *leaf, steps, claim.returned, one)[0] for leaf, one in zip(leaves, shared, strict=True)]
    return {(*key, i): value for i, run in enumerate(runs) for key, value in run.items()}


def _leaves(other: Leaf, seed: int, coordinate: int, unlike: Set[str] = frozenset()) -> tuple[Leaf, Leaf]:
    """What hyperparameters are, and given sequences in a coordinate."""
    import sympy

    def given(name: str, step: int | None) -> Any:
        if name in unlike:
            return sympy.Symbol(unknown_at(name, step, coordinate))
        return sympy.Rational(str(given_sequence(name, step or 0, seed, coordinate)))

    return other, given


def given_sequence(name: str, step: int, seed: int, coordinate: int) -> Fraction:
    """A given positive sequence at a step, the same in both rules."""
    return drawn(Hyperparameter(low=0), f"{seed} given {name} {step} {coordinate}")


def unknown_at(name: str, *places: int | None) -> str:
    """The name of an unknown at a step (and in a coordinate), that no hyperparameter can have."""
    return name + "".join(f"[{place}]" for place in places)


def _sequences(part: LinearPart) -> set[str]:
    return {factor.symbol for factor in part.tableau.factors.values()}


def _run(
    part: LinearPart, known: Leaf, given: Leaf, steps: int, returned: bool, shared: Shared | None = None
) -> tuple[dict[tuple[int, int, int, int], Any], Shared]:
    """What each query (and what is returned) shows of each impulse, and of a start at 1 without gradients.

    Gradients of one sample at one point are one: if it is not said which those are, they are those that are always
    taken at the same point in this rule.
    """
    import sympy

    systems = [[_at(m, step, known, given) for m in part.matrices] for step in range(steps + 1)]
    field = Field(entry for system in systems for m in system for entry in m)
    over = [[field.matrix(m) for m in system] for system in systems]
    count = part.tableau.gradients
    start, zero = (
        field.matrix(sympy.Matrix([sympy.Rational(str(exact(v))) for v in values]))
        for values in (part.tableau.translation, part.tableau.start)
    )
    found: dict[tuple[int, int, int, int], Any] = {}
    running: dict[tuple[int, int], Any] = {(-1, 0): start + zero}
    firsts = dict(shared or {})
    for t, (a, b, c, d, f) in enumerate(over):
        free = zero
        for (s, g), state in running.items():
            for query in range(count):
                found[t, query, s, g] = (c * state)[query, 0].element
            if returned:
                found[t, RETURNED, s, g] = (f * state)[0, 0].element
        if shared is None:
            seen = [c * state for state in (free, *running.values())]
            points = [[each[g, 0].element for each in seen] for g in range(count)]
            inside = [[d[g, h].element for h in range(count)] for g in range(count)]
            firsts |= {(t, g): first for g, first in enumerate(taken_alike(part.tableau.stages, points, inside))}
        columns: dict[int, tuple[Any, Any]] = {}
        for g in range(count):
            first, onto, within = firsts[t, g], b[:, g : g + 1], d[:, g : g + 1]
            if first in columns:
                onto, within = columns[first][0] + onto, columns[first][1] + within
            columns[first] = onto, within
        for g, (_, within) in columns.items():
            for query in range(count):
                found[t, query, t, g] = (c * free + within)[query, 0].element
        running = {key: a * state for key, state in running.items()}
        for g, (onto, _) in columns.items():
            running[t, g] = a * free + onto
        zero = a * zero
    return {key: field.domain.to_sympy(value) for key, value in found.items()}, firsts


def _at(matrix: Any, step: int, known: Leaf, given: Leaf) -> Any:
    """A matrix at a step, its symbols and functions replaced; given sequences are those that are positive."""
    from sympy.core.function import AppliedUndef

    here = matrix.subs(time(), step)
    leaf = {True: given, None: known}
    names = {f: leaf[f.is_positive](f.func.__name__, int(f.args[0])) for f in here.atoms(AppliedUndef)}
    return here.xreplace(names | {s: known(s.name, None) for s in here.free_symbols})


def _document(claim: Refuting, values: Mapping[str, Any], seed: int, keys: Sequence[Key]) -> dict[str, Any]:
    taken = claim.a.absorbed | claim.b.absorbed  # into the gradient
    steps, coordinates = (range(max(key[place] for key in keys) + 1) for place in (0, 4))

    def told(name: str) -> list[list[str]]:
        return [[str(1 if name in taken else given_sequence(name, t, seed, i)) for t in steps] for i in coordinates]

    names = ("step", "query", "impulse", "gradient", "coordinate")
    return {
        "hyperparameters": {**values, **{k: str(v) for k, v in claim.set_a.items()}},
        "given": {name: told(name) for name in sorted(_sequences(claim.a) | _sequences(claim.b))},
        "unknown": "one a step" if claim.scheduled else "constant",
        "answers": [dict(zip(names, key, strict=True)) for key in keys],
    }


def _minor(claim: Refuting, values: Mapping[str, Any], seed: int) -> dict[str, Any] | None:
    """The determinant of what queries show of impulses: for rules that move with a translation, since a query before.

    The position is no memory then; otherwise it counts as one more.
    """
    import sympy

    counts = [m for m in claim.memories if m is not None]
    if len(counts) < 2 or counts[0] == counts[1] or claim.still:
        return None
    moving = not (left_behind(claim.a) or left_behind(claim.b))
    size = min(counts) + (1 if moving else 2)
    rows, columns = range(size + moving, 2 * size + moving), range(size)
    small = len(claim.b.tableau.states) - moving < size  # so b's determinants vanish, whatever varies
    if not small and claim.scheduled:
        return None
    one, shared = _mine(claim, values, seed, rows[-1])
    other = {} if small else _theirs(claim, seed, rows[-1], shared)
    before = [size] if moving else []
    keys = [(row, 0, column, 0, 0) for row in (*before, *rows) for column in columns]

    def shown(run: Mapping[Key, Any]) -> Any:
        """What the past shows: for rules that move, from one query to the next, which is the same determinant."""
        seen = [[run[row, 0, j, 0, 0] for j in columns] for row in (*before, *rows)]
        if moving:
            seen = [[y - x for x, y in zip(*pair, strict=True)] for pair in pairwise(seen)]
        return sympy.Matrix(seen)

    left, right = determinant(shown(one)), sympy.Integer(0) if small else determinant(shown(other))
    if left == right or (right.free_symbols and left != 0):
        return None
    return {
        "kind": "minor",
        **_document(claim, values, seed, keys),
        "values": [str(one[key]) for key in keys],
        "since": before,
        "determinant": str(left),
        "other": str(right),
        "unless": [str(f) for f, _ in sympy.factor_list(sympy.fraction(right)[0])[1]] if right.free_symbols else [],
    }


def _identity(claim: Refuting, values: Mapping[str, Any], seed: int, clock: Clock) -> dict[str, Any] | None:
    import sympy

    longest = min(LONGEST, len(claim.a.tableau.states) + len(claim.b.tableau.states) + 1)
    canonical = claim.memories == (1, 1) and not left_behind(claim.a) and not left_behind(claim.b)
    several = claim.scheduled or claim.unlike
    taken = (claim.a.absorbed | claim.b.absorbed) - claim.unlike  # into the gradient: any coordinate will do
    coordinates = 2 if several and (_sequences(claim.a) | _sequences(claim.b)) - taken else 1
    for last in range(1, longest + 1):
        clock.check()
        one, shared = _mine(claim, values, seed, last, coordinates)
        other = _theirs(claim, seed, last, shared)
        if claim.still:
            one, other = ({key: run[key] for key in run if key[2] < 0} for run in (one, other))
        ideal = [Member(other[key] - one[key], {key: sympy.Integer(1)}) for key in one if one[key] != other[key]]
        divided = _divided(other.values())
        weights = spanned([bare(m, divided) for m in ideal], divided)
        if canonical and last >= CANONICAL:
            shown = [m for m in ideal if any(key[1] == RETURNED for key in m.weights)]
            ideal = [m for i in range(coordinates) for m in _one_memory(one, other, last, i, divided)] + shown
        if ideal and weights is None and (not canonical or last >= CANONICAL):
            weights = combined([bare(m, divided) for m in ideal], divided, clock)
        if weights:
            chosen = [key for key, weight in weights.items() if weight != 0]
            return {
                "kind": "identity",
                **_document(claim, values, seed, chosen),
                "values": [str(one[key]) for key in chosen],
                "cofactors": [str(weights[key]) for key in chosen],
            }
    return None


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
    """Rational values of a rule's hyperparameters inside their ranges; by step for those that vary."""
    found: dict[str, Any] = {}
    for name in rule.program(given).reads:
        declared = rule.hyperparameters[name]
        if name in given or declared.switch:
            continue
        steps = [str(drawn(declared, f"{seed} {name} {t}")) for t in range(-LONGEST, 2 * LONGEST)]
        found[name] = steps[LONGEST:] if name in varying else steps[0]
    return found


def drawn(declared: Hyperparameter, key: str) -> Fraction:
    """A rational number inside a range, not beyond 2 from 0, that depends on the key alone."""
    low, high = (exact(min(max(edge, -2.0), 2.0)) for edge in (declared.low, declared.high))
    return low + (high - low) * Fraction(random.Random(key).randint(1, 36), 37)
