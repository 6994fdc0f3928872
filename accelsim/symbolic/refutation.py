"""Refutations that can be replayed: finitely many sequences of gradients that no choice of hyperparameters follows.

Each sequence is an impulse: gradient 1 at one step, 0 at all others, from the start w = 0. What rule `a` answers, at
rational hyperparameters, are numbers; what `b` answers are rational functions of its own hyperparameters, constants
or one unknown a step. Three kinds of contradiction are looked for:

* a *minor*: the determinant of some of these answers is one number for `a`, and for `b` another whatever its
  hyperparameters are, as it is zero for every rule of fewer memories;
* an *identity* 1 = sum of cofactors times (b's answer minus a's), cleared of denominators: by linear algebra where
  numbers are cofactors enough, otherwise by Buchberger's algorithm;
* a *scale*: to a rule that applies a sign it is all the same how long gradients are; rule `a` itself is run.

One sequence alone never refutes a rule whose step size may vary from step to step: it could follow anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, combinations_with_replacement, pairwise
from typing import Any

from accelsim.errors import InputError
from accelsim.optimizer import Hyperparameter, Optimizer, step
from accelsim.program import exact
from accelsim.symbolic.algebra import Field, determinant, evaluated
from accelsim.symbolic.elimination import Clock
from accelsim.symbolic.given import taken_alike
from accelsim.symbolic.linear_part import LinearPart, left_behind
from accelsim.symbolic.tableau import time

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
    """A counterexample as a document (see `certificate.verify_certificate`), None where none was found.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
    """
    draws = [numbers(claim.a.tableau.optimizer, claim.set_a, claim.varying, seed) for seed in range(SEEDS)]
    minors = (_minor(claim, values, seed) for seed, values in enumerate(draws))
    identities = (_identity(claim, values, seed, clock) for seed, values in enumerate(draws))
    return next((found for found in chain(minors, identities) if found is not None), None)


def scaled(claim: Refuting) -> dict[str, Any] | None:
    """Two lengths of a first gradient: what refutes rules to which the length of gradients is all the same."""
    rule = claim.a.tableau.optimizer
    values = numbers(rule, claim.set_a, claim.varying, seed=0)
    for pair in LENGTHS:
        for last in range(1, LONGEST + 1):
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
    coordinates = 2 if several and (_sequences(claim.a) or _sequences(claim.b)) else 1
    for last in range(1, longest + 1):
        clock.check()
        one, shared = _mine(claim, values, seed, last, coordinates)
        other = _theirs(claim, seed, last, shared)
        if claim.still:
            one, other = ({key: run[key] for key in run if key[2] < 0} for run in (one, other))
        ideal = [_Member(other[key] - one[key], {key: sympy.Integer(1)}) for key in one if one[key] != other[key]]
        below = [sympy.fraction(sympy.cancel(value))[1] for value in other.values()]
        divided = list(dict.fromkeys(f for d in below for f, _ in sympy.factor_list(d)[1]))
        weights = _spanned([_bare(m, divided) for m in ideal], divided)
        if canonical and last >= CANONICAL:
            shown = [m for m in ideal if any(key[1] == RETURNED for key in m.weights)]
            ideal = [*(m for i in range(coordinates) for m in _one_memory(one, other, last, i)), *ideal[:2], *shown]
        if ideal and weights is None and (not canonical or last >= CANONICAL):
            weights = _combined([_bare(m, divided) for m in ideal], divided, clock)
        if weights:
            chosen = [key for key, weight in weights.items() if weight != 0]
            return {
                "kind": "identity",
                **_document(claim, values, seed, chosen),
                "values": [str(one[key]) for key in chosen],
                "cofactors": [str(weights[key]) for key in chosen],
            }
    return None


def _spanned(ideal: Sequence[_Member], apart: Sequence[Any]) -> dict[Key, Any] | None:
    """Numbers c with sum c (polynomial) = 1, or a product of what is not zero: enough where unknowns enter alike."""
    import sympy
    from sympy.polys.matrices import DomainMatrix

    symbols = sorted(set().union(*(m.polynomial.free_symbols for m in ideal)), key=str)
    if not symbols:
        return None
    wanted = [sympy.Integer(1), *apart, *(f * g for f, g in combinations_with_replacement(apart, 2))]
    wanted = [w for w in wanted if w.free_symbols <= set(symbols)]
    polynomials = [*(m.polynomial for m in ideal), *wanted]
    terms = [sympy.Poly(p, *symbols, domain=sympy.QQ).as_dict(native=True) for p in polynomials]
    rows = [[each.get(power, sympy.QQ.zero) for each in terms] for power in sorted(set().union(*terms))]
    matrix, size = DomainMatrix(rows, (len(rows), len(terms)), sympy.QQ), len(ideal)
    for i, product in enumerate(wanted):
        columns = [*range(size), size + i]
        nothing = matrix.extract(list(range(len(rows))), columns).nullspace().to_Matrix()
        for *weights, scale in nothing.tolist():
            if scale:
                pairs = zip(weights, ideal, strict=True)
                found = _sum(*((-w / (scale * product), member) for w, member in pairs if w))
                return {key: sympy.factor(weight) for key, weight in found.weights.items()}
    return None


@dataclass(frozen=True)
class _Member:
    """A polynomial (or a fraction) that vanishes with the differences of answers: the sum of weights times them."""

    polynomial: Any
    weights: Mapping[Key, Any]


def _sum(*terms: tuple[Any, _Member]) -> _Member:
    """A combination of members."""
    import sympy

    weights: dict[Key, Any] = {}
    for factor, member in terms:
        for key, weight in member.weights.items():
            weights[key] = weights.get(key, 0) + factor * weight
    return _Member(sympy.cancel(sum(factor * member.polynomial for factor, member in terms)), weights)


def _bare(member: _Member, apart: Sequence[Any]) -> _Member:
    """The member as a polynomial, without denominator and without factors that are not zero."""
    import sympy

    above, below = sympy.fraction(sympy.cancel(member.polynomial))
    factors = [f**power for f, power in sympy.factor_list(above)[1] if f in apart or -f in apart]
    product = sympy.Mul(*factors) / below
    return _Member(sympy.cancel(member.polynomial / product), {k: w / product for k, w in member.weights.items()})


def _one_memory(one: Mapping[Key, Any], other: Mapping[Key, Any], last: int, coordinate: int) -> Iterator[_Member]:
    """Of rules of one memory: numerators of differences of beta, eta and alpha, for each step that is seen.

    With mu the move one step after an impulse, q the move at it, m the later of two moves that two impulses share,

        beta = m'/m = n/d,    eta = -mu/beta,    alpha = -q - eta,

    these are combinations of differences of answers: where A is the one rule's, n/d is the other's beta,

        m_A (n - beta_A d) = d (m'_B - m'_A) - n (m_B - m_A),
        -beta_A d (eta_B - eta_A) = d (mu_B - mu_A) + eta_B (n - beta_A d),

    the latter -d mu_A where beta_A is zero.
    """
    import sympy

    def move(step: int, impulse: int) -> tuple[Any, Any, _Member]:
        places = ((step + 1, 0, impulse, 0, coordinate), (step, 0, impulse, 0, coordinate))
        at = dict(zip(places, (sympy.Integer(1), sympy.Integer(-1)), strict=True))
        mine, theirs = (sum(w * run[key] for key, w in at.items()) for run in (one, other))
        return mine, theirs, _Member(sympy.cancel(theirs - mine), at)

    for s in range(last - 2):
        (m_before, b_before, before), (m_here, b_here, here) = move(s + 2, s), move(s + 2, s + 1)
        (_, b_mu, apart), (_, _, newest) = move(s + 1, s), move(s + 1, s + 1)
        if m_here == 0 or b_before == 0 or b_here == 0:
            continue
        beta = m_before / m_here
        n, d = sympy.fraction(sympy.cancel(b_before / b_here))
        decay = _sum((d / m_here, before), (-n / m_here, here))
        momentum = _sum((d, apart), (sympy.cancel(-b_mu * d / n), decay))
        yield from (decay, momentum)
        if beta:
            yield _sum((-d * beta, newest), (1, momentum))


def _combined(ideal: Sequence[_Member], apart: Sequence[Any], clock: Clock) -> dict[Key, Any] | None:
    """Rational functions c with sum c (difference) = 1, dividing by nothing but what the answers divide by."""
    import sympy

    inverses = [sympy.Dummy(f"inverse{i}") for i in range(len(apart))]
    members = [m for m in ideal if m.polynomial != 0]
    above = [m.polynomial for m in members] + [z * f - 1 for z, f in zip(inverses, apart, strict=True)]
    symbols = sorted(set().union(*(p.free_symbols for p in above)), key=str)
    if symbols:
        ring = sympy.QQ.poly_ring(*symbols, order="grevlex").ring
        found = cofactors([ring.from_expr(sympy.expand(p)) for p in above], clock)
        if found is None:
            return None
        back = {z: 1 / f for z, f in zip(inverses, apart, strict=True)}
        factors = [c.as_expr().xreplace(back) for c in found[: len(members)]]
    else:
        factors = [1 / above[0], *[sympy.Integer(0)] * (len(members) - 1)]
    weights: dict[Key, Any] = {}
    for factor, member in zip(factors, members, strict=True):
        for key, weight in member.weights.items():
            weights[key] = weights.get(key, 0) + factor * weight
    return {key: sympy.factor(weight) for key, weight in weights.items()}


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


def cofactors(polynomials: Sequence[Any], clock: Clock) -> list[Any] | None:
    """Polynomials c with sum c p = 1, None where there are none.

    Parameters
    ----------
    polynomials : elements of one SymPy ring over the rationals.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
    """
    ring = polynomials[0].ring
    basis: list[tuple[Any, list[Any]]] = []
    pairs: list[tuple[int, int]] = []

    def reduce(polynomial: Any, weights: list[Any]) -> tuple[Any, list[Any]]:
        quotients, rest = polynomial.div([p for p, _ in basis])
        for quotient, (_, other) in zip(quotients, basis, strict=True):
            if quotient:
                weights = [w - quotient * o for w, o in zip(weights, other, strict=True)]
        return rest, weights

    def add(polynomial: Any, weights: list[Any]) -> None:
        lead = polynomial.LC
        pairs.extend((i, len(basis)) for i in range(len(basis)))
        basis.append((polynomial.quo_ground(lead), [w.quo_ground(lead) for w in weights]))

    for i, polynomial in sorted(enumerate(polynomials), key=lambda item: (item[1].degree(), len(item[1]))):
        clock.check()
        unit = [ring.one if j == i else ring.zero for j in range(len(polynomials))]
        rest, weights = reduce(polynomial, unit) if basis else (polynomial, unit)
        if rest:
            add(rest, weights)
            if rest.is_ground:
                return basis[-1][1]
    while pairs:
        clock.check()
        pairs.sort(key=lambda pair: sum(_lcm(basis, *pair)), reverse=True)
        i, j = pairs.pop()
        lcm = _lcm(basis, i, j)
        (one, left), (other, right) = basis[i], basis[j]
        if sum(lcm) == sum(one.LM) + sum(other.LM):
            continue  # coprime leading monomials: their combination reduces to zero
        factors = [ring({tuple(x - y for x, y in zip(lcm, p.LM, strict=True)): ring.domain.one}) for p in (one, other)]
        combined = factors[0] * one - factors[1] * other
        weights = [factors[0] * x - factors[1] * y for x, y in zip(left, right, strict=True)]
        if not combined:
            continue
        rest, weights = reduce(combined, weights)
        if rest:
            add(rest, weights)
            if rest.is_ground:
                return basis[-1][1]
    return None


def _lcm(basis: list[tuple[Any, list[Any]]], i: int, j: int) -> tuple[int, ...]:
    return tuple(map(max, basis[i][0].LM, basis[j][0].LM))
