"""Closed forms of sequences, and of one sequence in another: each found by a formula and proved by induction.

A closed form y of a sequence x(0) = s, x(t+1) = F(x(t), t) has y(0) = s and y(t+1) = F(y(t), t). What is looked for:
the value of the step before (F does not read x), constants, sums of polynomials in t, powers s a^t and c + (s - c) a^t,
and one sequence as a u + b with constants a and b, u being another one or its inverse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from accelsim.symbolic.algebra.field import elsewhere, infinite, reduced, shifted, special_steps
from accelsim.symbolic.algebra.recurrences import Recursions, put
from accelsim.symbolic.system.tableau import time


def closed_forms(sequences: Recursions) -> dict[Any, Any]:
    """Closed forms of sequences.

    Returns
    -------
    dict by function of t, the closed form (SymPy) of each sequence that has one of the kinds above.
    """
    found: dict[Any, Any] = {}
    more = True
    while more:
        more = False
        for function in sequences.following:
            form = _closed(function, sequences)
            if form is not None:
                found[function] = form
                sequences = sequences.without({function}).replaced(partial(_with, found))
                more = True
    return found


def _closed(function: Any, sequences: Recursions) -> Any:
    import sympy

    here, (start, following) = function(time()), (sequences.start[function], sequences.following[function])
    others = sequences.following.keys() - {function}
    if _called(following, others) or _called(start, sequences.following):
        return None
    x = sympy.Dummy("x", real=True)
    onward = following.xreplace({here: x})
    if _called(onward, {function}):  # at another step
        return None
    for form in _candidates(start, onward, x):
        if not infinite(form) and proved(function, form, sequences):
            return form
    return None


def _candidates(start: Any, onward: Any, x: Any) -> Iterator[Any]:
    """Forms of x(0) = start, x(t+1) = onward."""
    import sympy

    t = time()
    if not onward.has(x):
        before = shifted(onward, -1)
        yield before
        yield sympy.Piecewise((start, sympy.Eq(t, 0)), (before, True))
        return
    first = onward.subs({t: 0, x: start})
    if reduced(first - start) == 0:
        yield start
    elif not first.has(t) and reduced(onward.subs({t: 1, x: first}) - first) == 0:
        yield sympy.Piecewise((start, sympy.Eq(t, 0)), (first, True))
    if not onward.is_polynomial(x):
        return
    factor, added = onward.diff(x), onward.subs(x, 0)
    if factor.has(x) or factor.has(t) or _functions(factor) or _functions(added):
        return
    if reduced(factor) == 1 and reduced(added).is_polynomial(t):
        s = sympy.Dummy("s", integer=True)
        yield reduced(start + sympy.summation(reduced(added).subs(t, s), (s, 0, t - 1)))
    elif not added.has(t):
        rest = sympy.Integer(0) if added == 0 else reduced(added / (1 - factor))
        if added == 0 or sympy.fraction(rest)[1].is_number:  # otherwise it would divide by what may be zero
            yield rest + (start - rest) * reduced(factor) ** t


def merged(expression: Any) -> Any:
    """An expression whose separate case at the first step is dropped where the general one has the same value there."""
    if special_steps(expression) != [0]:
        return expression
    general, first = elsewhere(expression), expression.subs(time(), 0)
    if first.has(time()) or infinite(first) or infinite(general.subs(time(), 0)):
        return expression
    return general if reduced(general.subs(time(), 0) - first) == 0 else expression


def related_forms(sequences: Recursions, among: Iterable[Any]) -> dict[Any, Any]:
    """Sequences as affine functions of earlier ones: x = a u + b, or a/u + b, with constants a and b.

    Returns
    -------
    dict by function of t, that form (SymPy) for each sequence in `among` that has one.
    """
    found: dict[Any, Any] = {}
    left, order = list(among), list(sequences.following)
    while left:
        forms = ((f, form) for f in left for form in _affine(f, order[: order.index(f)], sequences))
        one = next(((f, form) for f, form in forms if proved(f, form, sequences)), None)
        if one is None:
            break
        left.remove(one[0])
        order.remove(one[0])
        found = {f: put(e, dict([one])) for f, e in found.items()} | dict([one])
        sequences = sequences.without({one[0]}).replaced(partial(_with, found))
    return found


def _with(forms: Mapping[Any, Any], expression: Any) -> Any:
    """An expression with closed forms in place of sequences."""
    return merged(put(expression, forms))


def _affine(function: Any, others: Iterable[Any], sequences: Recursions) -> Iterator[Any]:
    zero, one = (sequences.at(function(time()), step) for step in (0, 1))
    for other in others:
        here = other(time())
        for unit in (here, 1 / here):
            values = [sequences.at(unit, step) for step in (0, 1)]
            if any(map(infinite, values)) or reduced(values[1] - values[0]) == 0:
                continue
            slope = reduced((one - zero) / (values[1] - values[0]))
            shift = reduced(zero - slope * values[0])
            if not _functions(slope) and not _functions(shift):
                yield slope * unit + shift


def proved(function: Any, form: Any, sequences: Recursions) -> bool:
    """Proof by induction that a form, in t and other sequences, is the value of a sequence at every step."""
    start = sequences.at(form, 0) - sequences.start[function]
    if infinite(start) or reduced(start) != 0:
        return False
    rest = sequences.without({function})
    step = shifted(form, 1) - put(sequences.following[function], {function: form})
    special = special_steps(step)
    values = [rest.at(step, t) for t in special if t >= 0] + [rest.onward(elsewhere(step))]
    return not any(map(infinite, values)) and all(reduced(value) == 0 for value in values)


def _functions(expression: Any) -> set[Any]:
    from sympy.core.function import AppliedUndef

    return set(expression.atoms(AppliedUndef))


def _called(expression: Any, functions: Iterable[Any]) -> bool:
    return bool({f.func for f in _functions(expression)} & set(functions))
