"""Verification of refutations: both rules are run again, and contradictions are multiplied out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from accelsim.errors import InputError, unknown
from accelsim.language import evaluated
from accelsim.program import exact
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.language import expression, number, to_sympy, value_as_written
from accelsim.symbolic.certify.cases import refuted as refuted_by_cases
from accelsim.symbolic.certify.documents import pair_of
from accelsim.symbolic.certify.enclosed import Enclosed
from accelsim.symbolic.certify.impulses import itself, read
from accelsim.symbolic.certify.nonlinear import refuted
from accelsim.symbolic.certify.responses import refuted_by_responses
from accelsim.symbolic.certify.schema import read as read_counterexample
from accelsim.symbolic.certify.verdict import Verified
from accelsim.symbolic.check.apart import Apart, left_to_choose
from accelsim.symbolic.check.contradictions import Cases, Itself, OnSequence
from accelsim.symbolic.check.counterexample import Counterexample, Place, Run, Shown, fraction
from accelsim.symbolic.check.responses import Impulses
from accelsim.symbolic.system.pair import Pair
from accelsim.symbolic.system.rule_sequences import Followed, independent, reads, recurrences

TOLD = 10**8  # decimals that are told of a query are nearer to it than such a part of the largest in the run
Queries = Mapping[Place, list[tuple[Any, ...]]]


def refutation_holds(document: Mapping[str, Any], a: Optimizer, b: Optimizer) -> Verified:
    """Verdict on a certificate that rule b is not rule a.

    Both rules are run again as they are, and the contradiction is multiplied out.

    Parameters
    ----------
    document : the certificate, whose shape is checked already (see `schema.validate`).

    Raises
    ------
    InputError
        If the parts of the certificate do not fit together.
    """
    import sympy

    pair, found = pair_of(document, a, b), read_counterexample(document["counterexample"])
    shown = Shown.read(document["counterexample"]["shown"])

    def sought(name: str, t: int) -> Any:
        if name in pair.set_b:
            return read(pair.set_b[name], t)
        return sympy.Symbol(f"{name}[{t}]" if found.scheduled or name in found.relaxed else name)

    known = partial(_known, found)
    _names_fit(pair, found)
    _values_fit(pair, found)

    def stated(name: str, t: int) -> Enclosed:
        value = found.hyperparameters[name]
        return _number(value[t] if isinstance(value, list) else value, t)

    def mine() -> Queries:
        return {place: itself(a, stated, run) for place, run in found.runs(a.program().gradients).items()}

    theirs = _followed(b, {*pair.set_b, *pair.free, *found.relaxed}, sought)
    if isinstance(found, Impulses):
        own = _followed(a, recurrences(a), known)
        verified = refuted_by_responses(found, a, b, own, theirs, lambda: found.seen_in(mine()))
    elif isinstance(found, Apart):
        verified = _apart(found, pair, mine)
    elif isinstance(found, Itself):
        verified = _themselves(found, a, b, known, theirs)
    else:
        assert isinstance(found, Cases)
        verified = _by_cases(found, pair)
    if verified.holds and (reason := _shown_otherwise(pair, found, shown, mine())):
        return Verified(False, reason)
    return _about(pair, found, verified)


def _followed(
    rule: Optimizer, freed: Collection[str], hyperparameter: Callable[[str, int], Any]
) -> Callable[[str, int], Any]:
    """Function from name and step to hyperparameters, recurrences (unless freed) and uniform states."""
    own = Followed(rule, freed, hyperparameter, number, to_sympy)
    return lambda name, t: own.at(t)[name] if name in own.names else hyperparameter(name, t)


def _about(pair: Pair, found: Counterexample, verified: Verified) -> Verified:
    """Verdict that also says what is given and what may vary, where it holds."""
    known = [f"{name} = {value}" for name, value in pair.set_a.items()]
    known += [f"{name} = {value} in {pair.b}" for name, value in pair.set_b.items()]
    known += [f"{name} is any function of t" for name in (*pair.varying, *pair.free)]
    vary = "may vary from step to step" if found.scheduled else "are constant"
    known.append(f"the other hyperparameters of {pair.b} {vary}" if pair.set_b else f"those of {pair.b} {vary}")
    return replace(verified, reason=f"{verified.reason}; {', '.join(known)}") if verified.holds else verified


def _shown_otherwise(pair: Pair, found: Counterexample, shown: Shown, mine: Queries) -> str | None:
    """Sentence on runs in a certificate that are not those of the rules, or show no difference; None otherwise."""
    b, told, values, set_b = pair.b, shown.runs, shown.hyperparameters, pair.set_b
    made, freed = found.runs(pair.a.program().gradients), {*set_b, *pair.free}
    if wrong := {*independent(b, freed), *set_b} ^ set(values):
        raise InputError(f"there must be one value for each hyperparameter of {b}: {', '.join(sorted(wrong))}")
    for name in set_b:
        if values[name] != set_b[name]:
            raise InputError(f"{name} = {values[name]} is not what is given for it, {set_b[name]}")
    if [[run.start, run.gradients] for run in told] != [
        [str(run.start), [list(map(str, row)) for row in run.gradients]] for run in made.values()
    ]:
        return "the gradients that are told are not those of the refutation"

    theirs = _queries_of_b(pair, values, made)
    for rule, end, queries in ((pair.a, "a", mine), (b, "b", theirs)):
        for run, points in zip(told, queries.values(), strict=True):
            if not _alike_points(getattr(run, end), points):
                return f"{rule} queries otherwise"
    pairs = [zip(one, other, strict=True) for one, other in zip(mine.values(), theirs.values(), strict=True)]
    if any(x.apart(y) for pair in pairs for one, other in pair for x, y in zip(one, other, strict=True)):
        return None
    return "both rules query the same in the runs that are told"


def _queries_of_b(pair: Pair, values: Mapping[str, str], made: Mapping[Place, Run]) -> Queries:
    """Queries of rule b, as it is, by run; its recurrences follow their recursions unless they are given or free."""
    b = pair.b

    def known(name: str, t: int) -> Any:
        value = _number(values[name], t)
        b.check(name, value.fraction if value.fraction is not None else float(value.interval.mid), t)
        return value

    own = Followed(b, {*pair.set_b, *pair.free}, known, Enclosed)

    def at(name: str, t: int) -> Any:
        return own.at(t)[name] if name in own.own else known(name, t)

    return {place: itself(b, at, run, other=True) for place, run in made.items()}


def _alike_points(texts: Sequence[Sequence[str]], points: Sequence[Any]) -> bool:
    """Agreement of points in a certificate with points queried: equal fractions, or decimals up to rounding.

    Rounding is relative to the largest point of the run; if all are zero, to 1.
    """
    stated = [[Enclosed(fraction(text)) for text in row] for row in texts]
    size = max((abs(x.fraction or Fraction(0)) for row in stated for x in row), default=Fraction(0)) or Fraction(1)

    def close(text: str, told: Enclosed, value: Enclosed) -> bool:
        if "/" in text or told == value:
            return told == value
        return (abs(told - value) - size / TOLD).sign() < 0

    return list(map(len, texts)) == list(map(len, points)) and all(
        close(*each) for rows in zip(texts, stated, points, strict=True) for each in zip(*rows, strict=True)
    )


def _apart(found: Apart, pair: Pair, mine: Callable[[], Queries]) -> Verified:
    """Verdict on one run: rule b has no hyperparameter left to choose, and queries differ."""
    if found.scheduled or found.values:
        raise InputError(f"nothing of {pair.b} is unknown, and what both rules query stands in the runs that are told")
    if wrong := [*left_to_choose(pair), *found.relaxed]:
        return Verified(False, f"{wrong[0]} of {pair.b} is left to choose")
    made = found.runs(pair.a.program().gradients)
    if [*found.answers] != [OnSequence(0, len(made[0,].gradients) - 1)]:
        return Verified(False, "there must be one answer, after the last gradient")
    theirs = _queries_of_b(pair, {k: str(v) for k, v in pair.set_b.items()}, made)
    one, other = (queries[0,][found.last][:-1] for queries in (mine(), theirs))
    if not any(x.apart(y) for x, y in zip(one, other, strict=True)):
        return Verified(False, f"{pair.b} queries what {pair.a} does")
    return Verified(True, f"{pair.b}, which has nothing left to choose, queries apart after {found.last} steps")


def _by_cases(found: Cases, pair: Pair) -> Verified:
    """Verdict on a counterexample by cases of sign."""
    if not found.scheduled:
        raise InputError("rules as they are are refuted for all schedules")
    if reason := refuted_by_cases(found, pair.a, pair.b, pair.set_b):
        return Verified(False, reason)
    count = len(found.cases)
    words = "" if count == 1 else f" in each of {count} cases"
    return Verified(True, f"that {pair.b} queries what {pair.a} does leads to 1 = 0{words}")


def _themselves(found: Itself, a: Optimizer, b: Optimizer, known: Any, sought: Any) -> Verified:
    """Verdict on a derivation from queries of the rules as they are."""
    if reason := refuted(found, a, b, known, sought):
        return Verified(False, reason)
    many, last = len(found.lines), found.lines[-1].equals
    range_ = "" if last == "1" else f", which has no solution in the ranges of {b},"
    return Verified(
        True, f"that both rules, as they are, query the same points leads to {last} = 0{range_} in {many} lines"
    )


def _names_fit(pair: Pair, found: Counterexample) -> None:
    """Raise `InputError` unless the names in a refutation are hyperparameters or recurrences of the right rule."""
    a, b, set_a, set_b = pair.a, pair.b, pair.set_a, pair.set_b
    own = {*recurrences(b)} - {*set_b}
    for key, chosen, allowed in (("free", pair.free, own | {*recurrences(a)}), ("loose", found.relaxed, own)):
        if wrong := set(chosen) - allowed:
            raise InputError(f"what is {key} must be a recurrence, and {wrong.pop()} is none")
    for rule, known in ((a, set_a), (b, set_b)):
        for name, text in known.items():
            value_as_written(rule, name, text)
    freed = {*set_a, *pair.varying, *pair.free}
    names = {k for k in (*a.program().reads, *reads(a, freed)) if not a.hyperparameters[k].switch}
    if missing := (names | set(set_a)) ^ set(found.hyperparameters):
        raise InputError(f"there must be one value for each hyperparameter of {a}: {', '.join(sorted(missing))}")
    for name in pair.varying:
        if name not in a.hyperparameters:
            raise unknown(f"hyperparameter of {a}:", name, a.hyperparameters)


def _values_fit(pair: Pair, found: Counterexample) -> None:
    """Raise `InputError` unless rule a's hyperparameters are as given, in range, and follow their recurrences."""
    a, set_a, steps = pair.a, pair.set_a, range(found.last + 1)
    for name, value in found.hyperparameters.items():
        if name in set_a and value != set_a[name]:
            raise InputError(f"{name} = {value} is not what is given for it, {set_a[name]}")
        if name not in set_a and isinstance(value, str):
            expression(value, {})  # a number, as nothing says that it varies
        varies = name in pair.varying or name in recurrences(a)
        if isinstance(value, list) and not varies:
            raise InputError(f"{name} must be one number: it is not among what varies")
        if isinstance(value, list) and len(value) != len(steps):
            raise InputError(f"{name} must have a value for each of {len(steps)} steps, not {len(value)}")
        for t in steps:
            a.check(name, _known(found, name, t), t)
    followed = Followed(a, {*set_a, *pair.varying, *pair.free}, partial(_in_fractions, found))
    for name, each in followed.own.items():
        for t in steps:
            if followed.at(t)[name] != _in_fractions(found, name, t):
                raise InputError(f"{name} at t = {t} is not what the recurrence {each} makes of the other numbers")


def _known(found: Counterexample, name: str, t: int) -> Any:
    """A hyperparameter of rule a at step t, as a SymPy expression."""
    value = found.hyperparameters[name]
    return read(value[t] if isinstance(value, list) else value, t)


def _number(text: str, t: int) -> Enclosed:
    """Enclosed number that a text in t is at a step."""
    return Enclosed(evaluated(text, {"t": Enclosed(t)}, Enclosed))


def _in_fractions(found: Counterexample, name: str, t: int) -> Fraction:
    """Hyperparameter of rule a at a step, a fraction, as recurrences read it.

    Raises
    ------
    InputError
        If it is irrational.
    """
    value = _known(found, name, t)
    if not value.is_Rational:
        raise InputError(f"{name} = {value} is irrational at t = {t}, so that recurrences are")
    return exact(value)
