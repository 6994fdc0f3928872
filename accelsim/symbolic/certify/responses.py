"""Verification of counterexamples in responses to impulses: linear parts are run in unknowns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import Field, cancelled, differs, vanishes
from accelsim.symbolic.algebra.language import expression
from accelsim.symbolic.certify.enclosed import Enclosed
from accelsim.symbolic.certify.impulses import answers, read
from accelsim.symbolic.certify.verdict import Verified
from accelsim.symbolic.check.counterexample import fraction
from accelsim.symbolic.check.responses import RETURNED, Identity, Impulses, Minor, Response, Scale
from accelsim.symbolic.system.homogeneity import LONG_ALIKE, blind_to_signs, long_alike, scale_free
from accelsim.symbolic.system.linear_part import LinearPart, left_behind, linear_part
from accelsim.symbolic.system.positivity import never_zero
from accelsim.symbolic.system.tableau import tableau

Known = Callable[[str, int], Any]  # a hyperparameter, recurrence or uniform state at a step, as a SymPy expression


def refuted_by_responses(
    found: Impulses, a: Optimizer, b: Optimizer, known: Known, sought: Known, seen: Callable[[], Sequence[Enclosed]]
) -> Verified:
    """Verdict on a counterexample in responses: rule a answers as it says, and rule b cannot.

    Parameters
    ----------
    known, sought : functions from name and step to values (SymPy): of rule a, numbers; of rule b, unknowns.
    seen : function that returns rule a's answers, run as it is.

    Raises
    ------
    InputError
        If the parts of the counterexample do not fit together.
    """
    _within(found, a, b)
    if not _answers_so(found, a, known, seen()):
        return Verified(False, f"{a} answers otherwise")
    if isinstance(found, Scale):
        return _scale(found, a, b)
    part, odd_part = linear_part(b), bool(found.gradients)
    if reason := _linear_parts_cannot_tell(part, found.answers, odd_part):
        return Verified(False, reason)

    def given(name: str, t: int, i: int) -> Any:
        import sympy

        return sympy.Symbol(f"{name}[{t}][{i}]")

    def ask() -> list[Any]:
        return answers(b, sought, given, found.answers, dict(enumerate(found.alike)), odd_part)

    one = [_expression(text, []) for text in found.values]
    if isinstance(found, Minor):
        return _minor(found, one, part, ask)
    assert isinstance(found, Identity)
    return _identity(found, one, ask(), b)


def _answers_so(found: Impulses, a: Optimizer, known: Known, seen: Sequence[Enclosed]) -> bool:
    """Agreement of rule a with the answers in a counterexample.

    Fractions have to be equal; where there are roots, the linear part of a linear rule has to give them too.
    """
    if all(value.fraction is not None for value in seen):
        return [str(value.fraction) for value in seen] == found.values
    if isinstance(found, Scale) or found.gradients or tableau(a).nonlinearity:
        return False
    exactly = answers(a, known, lambda name, t, i: 0, found.answers, {}, odd_part=False)
    near = (Enclosed(evaluated(text, {}, Enclosed)) for text in found.values)
    if any(x.apart(y) for x, y in zip(near, seen, strict=True)):
        return False
    return all(vanishes(_expression(text, []) - value) for text, value in zip(found.values, exactly, strict=True))


def _within(found: Impulses, a: Optimizer, b: Optimizer) -> None:
    """Raise `InputError` unless places of answers and gradients of a refutation exist, and none are missing."""
    keys, rows, alike = found.answers, found.gradients, found.alike
    steps, gradients = range(found.last + 1), range(min(tableau(rule).gradients for rule in (a, b)))
    coordinates = range(max(1, len(rows)))
    for t, query, at, gradient, i in keys:
        seen = query in (RETURNED, *gradients)
        inside = t >= 0 and at >= -1 and seen and gradient in gradients and i in (coordinates if at >= 0 else (0,))
        if not inside or (at < 0 < gradient):
            raise InputError(f"there is no answer of query {query} at t = {t} to gradient {gradient} at t = {at}")
        if at >= 0 and rows and (at not in steps or not fraction(rows[i][at][gradient])):
            raise InputError(f"the sign of no gradient of 0 is turned, as at t = {at}")
    if isinstance(found, Scale) and (rows or any(key.impulse < 0 for key in keys)):
        raise InputError("how long gradients are is not seen without gradients, nor with others")
    if len(found.values) != len(found.lengths if isinstance(found, Scale) else keys):
        raise InputError("there must be one value for each answer")
    used = {i for _, _, at, _, i in keys if at >= 0}
    if len(rows) != (max(used, default=-1) + 1) * bool(rows) or len(alike) != len(rows):
        raise InputError("there must be gradients in as many coordinates as there are answers in")
    for i, each in (*enumerate(rows), *enumerate(alike)):
        if list(map(len, each)) != ([len(gradients)] * len(steps) if i in used else []):
            raise InputError(f"there must be {len(gradients)} gradients at each of {len(steps)} steps")
    firsts = [row for each in alike for row in each]
    if any(row[g] not in range(g + 1) or row[row[g]] != row[g] for row in firsts for g in gradients):
        raise InputError("of each gradient it must be said which is the first one that it is")


def _linear_parts_cannot_tell(b: LinearPart, keys: Sequence[Response], odd_part: bool) -> str | None:
    """Sentence on why a rule may answer what its linear part cannot; None where it may not.

    Without gradients, what is set aside is multiplied by zero in a translation-equivariant rule.
    """
    if all(key.impulse < 0 for key in keys) and not left_behind(b) and not any(b.tableau.start):
        return None
    if b.tableau.maps:
        return f"{b.tableau.optimizer} applies {min(b.tableau.maps)[0]}, which knows no scale"
    if b.tableau.factors and any(key.impulse >= 0 for key in keys) and not (odd_part and blind_to_signs(b)):
        return f"what {b.tableau.optimizer} multiplies by depends on the signs of gradients, or on their sizes"
    return None


def _scale(found: Scale, a: Optimizer, b: Optimizer) -> Verified:
    """Verdict on two lengths of a first gradient."""
    (last, query, *impulse), *more = found.answers
    if more or last < 1 or (query, impulse) != (0, [0, 0, 0]):
        raise InputError("one query after the first step must be seen, after one gradient of each length")
    lengths = [fraction(text) for text in found.lengths]
    if len(set(found.values)) > 1 and min(lengths) > 0 and scale_free(b):
        return Verified(True, f"{b} queries the same points however long a gradient is, {a} does not")
    if len(set(found.values)) > 1 and min(lengths) >= 1 and last == 1 and long_alike(b):
        what = f"queries the same second point however long a first gradient is, from {LONG_ALIKE}"
        return Verified(True, f"{b} {what}, {a} does not")
    return Verified(False, "the length of gradients may matter to both rules or to neither")


def _minor(found: Minor, one: list[Any], b: LinearPart, ask: Callable[[], list[Any]]) -> Verified:
    import sympy

    keys, since = list(found.answers), found.since
    if len(since) > 1:
        return Verified(False, "differences are from one query, or from none")
    columns = sorted({key.impulse for key in keys})
    rows = sorted({key.step for key in keys} - set(since))
    ordered = all(c < t for c in columns for t in (*since, *rows)) and all(s < t for t in rows for s in since)
    places = [Response(row, 0, column, 0, 0) for row in (*since, *rows) for column in columns]
    if len(rows) != len(columns) or not ordered or sorted(keys) != sorted(places):
        return Verified(False, "these answers make no determinant of what the past shows")

    def determinant(shown_by: list[Any]) -> Any:
        at = dict(zip(keys, shown_by, strict=True))
        before = [sum(at[Response(t, 0, column, 0, 0)] for t in since) for column in columns]
        shown = [[at[Response(row, 0, c, 0, 0)] - s for c, s in zip(columns, before, strict=True)] for row in rows]
        field = Field(entry for line in shown for entry in line)
        return field.expression(field.matrix(sympy.Matrix(shown)).det())

    left = determinant(one)
    if not _is(found.determinant, left):
        return Verified(False, f"the determinant is {left}")
    states, rule = len(b.tableau.states) - (bool(since) and not left_behind(b)), b.tableau.optimizer
    if states >= len(rows) and found.relaxed:
        return Verified(False, f"it is not told what recurrences {rule} has")
    right = sympy.Integer(0) if states < len(rows) else determinant(ask())
    over = Field([right])
    factors = list(over.factors(over.element(right))) if right.free_symbols else []
    listed = [_expression(text, [right]) for text in found.unless]
    if not vanishes(_expression(found.other, [right]) - right) or not _alike(listed, factors):
        return Verified(False, f"the determinant of {rule} is {right}")
    if states < len(rows) and differs(left):
        return Verified(True, f"a determinant of answers is {left}; that of a rule with the states of {rule} is zero")
    if not factors and differs(left - right):
        return Verified(True, f"a determinant of answers is {left} for one and {right} for the other")
    if not factors or left != 0:
        return Verified(False, "the determinants may agree")
    words = " or ".join(found.unless)
    return Verified(True, f"a determinant of answers is {left}, which the other's is only if {words} is zero")


def _is(text: str, value: Any) -> bool:
    """Equality of a text with a number (SymPy)."""
    return vanishes(read(text, 0) - value)


def _alike(one: list[Any], other: list[Any]) -> bool:
    """Equality of two lists of polynomials up to order and signs."""
    import sympy

    def found(x: Any, among: list[Any]) -> bool:
        return any(0 in (sympy.expand(x - y), sympy.expand(x + y)) for y in among)

    return len(one) == len(other) and all(found(x, other) for x in one) and all(found(y, one) for y in other)


def _identity(found: Identity, one: list[Any], other: list[Any], b: Optimizer) -> Verified:
    import sympy

    shown = "answers, what is returned among them," if found.shows_returned else "answers"
    weights = [_expression(text, other) for text in found.cofactors]
    if len(weights) != len(one):
        return Verified(False, "there must be one cofactor an answer")
    field = Field([*weights, *other, *one])
    theirs, factors = ([field.element(x) for x in values] for values in (other, weights))
    divided = {f for value in theirs if value for f in field.factors(1 / value)}
    for factor in (f for weight in factors if weight for f in field.factors(1 / weight)):
        if factor not in divided and -factor not in divided and not differs(factor):
            return Verified(False, f"a cofactor divides by {factor}, which might be zero")
    differences = (y - field.element(x) for x, y in zip(one, theirs, strict=True))
    left = sum((w * d for w, d in zip(factors, differences, strict=True)), field.domain.zero)
    value = field.plain(left)
    if not vanishes(_expression(found.left, other) - value):
        return Verified(False, f"the combination of differences is {value}, not {found.left}")
    if not field.vanishes(left - field.domain.one):
        if not never_zero(sympy.fraction(cancelled(value))[0], b):
            return Verified(False, f"the combination of differences is {value}, not 1, and may be zero")
        return Verified(
            True, f"a combination of differences of {shown} is {value}, which has no zero in the ranges of {b}"
        )
    return Verified(True, f"a combination of differences of {shown} is 1, so they cannot all vanish")


def _expression(text: str, among: list[Any]) -> Any:
    """Expression of a text in the unknowns of some answers, never evaluated as Python."""
    names = {str(s): s for value in among for s in value.free_symbols}
    return expression(text, names)
