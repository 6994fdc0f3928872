"""The gradients that a counterexample is about: sequences of them in one coordinate, and what its answers are in runs.

An answer to an impulse is a query after a gradient of 1 at one step alone, of which a linear rule's other queries are
made; or, where a rule is not linear in its gradients, half the difference that the sign of one gradient makes, over the
gradient: what a rule multiplies by is the same for either sign, if it does not see signs, and the rest is linear. An
answer of step -1 is a query after a start at 1 without gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from accelsim.errors import InputError
from accelsim.language import evaluated

RETURNED = -1  # in the place of a query's number: what the rule returns before the step
Key = tuple[int, int, int, int, int]  # step and number of query, of gradient (step -1: the start), coordinate
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Run:
    """One coordinate of a run: where it starts, and by step the gradients that a rule is answered with."""

    start: Fraction
    gradients: tuple[tuple[Fraction, ...], ...]


def runs(found: Mapping[str, Any], count: int) -> dict[Place, Run]:
    """The runs of a counterexample, to its last step; of the gradients of that step only earlier ones are seen.

    Parameters
    ----------
    count : gradients a step.

    Raises
    ------
    InputError
        If what it says does not fit together.
    """
    keys, last = found["answers"], max(key["step"] for key in found["answers"])
    if found["kind"] == "scale":
        return {(n,): _first_alone(fraction(text), last, count) for n, text in enumerate(found["lengths"])}
    if found["kind"] == "cases":
        return {
            (i,): Run(Fraction(0), (*((fraction(text),) for text in row), (Fraction(0),)))
            for i, row in enumerate(found["gradients"])
        }
    if found["kind"] == "itself":
        rows = [[fraction(text) for text in row] for row in found["gradients"]]
        lengths = list(map(fraction, found["lengths"]))
        wanted = {(key["gradients"], key["length"]) for key in keys}
        return {
            (i, n): Run(Fraction(0), (*((lengths[n] * g,) for g in rows[i][:last]), (Fraction(0),)))
            for i, n in sorted(wanted)
        }
    places = {place for key in map(place_of, keys) for place in _places(key, found)}
    return {place: _impulse(found, place, last, count) for place in sorted(places)}


def place_of(key: Mapping[str, int]) -> Key:
    """An answer's key as a tuple."""
    return key["step"], key["query"], key["impulse"], key["gradient"], key["coordinate"]


def _places(key: Key, found: Mapping[str, Any]) -> list[Place]:
    """The runs in which an answer is seen: that of an impulse or a start, or one with and one without a sign turned."""
    _, _, at, gradient, i = key
    if at < 0 or not found["gradients"]:
        return [(i, at, gradient)]
    return [(i,), (i, at, gradient)]


def _impulse(found: Mapping[str, Any], place: Place, last: int, count: int) -> Run:
    i, *impulse = place
    if impulse and impulse[0] < 0:
        return Run(Fraction(1), ((Fraction(0),) * count,) * (last + 1))
    if not found["gradients"]:
        rows = tuple(tuple(Fraction([t, g] == impulse) for g in range(count)) for t in range(last + 1))
        return Run(Fraction(0), rows)
    given = [tuple(map(fraction, row)) for row in found["gradients"][i]]
    if impulse:
        t, g = impulse
        firsts = found["alike"][i][t]
        given[t] = tuple(-x if first == g else x for first, x in zip(firsts, given[t], strict=True))
    return Run(Fraction(0), tuple(given))


def _first_alone(length: Fraction, last: int, count: int) -> Run:
    return Run(Fraction(0), ((length,) * count, *((Fraction(0),) * count,) * last))


def answers(found: Mapping[str, Any], queries: Mapping[Place, Sequence[tuple[Any, ...]]]) -> list[Any]:
    """A counterexample's answers, from what each run queries (and last returns) at each step."""
    if found["kind"] == "scale":
        step = found["answers"][0]["step"]
        return [shown[step][0] for shown in queries.values()]
    if found["kind"] == "cases":
        return [queries[(key["gradients"],)][key["step"]][0] for key in found["answers"]]
    if found["kind"] == "itself":
        return [queries[key["gradients"], key["length"]][key["step"]][0] for key in found["answers"]]
    return [_answer(key, found, queries) for key in map(place_of, found["answers"])]


def _answer(key: Key, found: Mapping[str, Any], queries: Mapping[Place, Sequence[tuple[Any, ...]]]) -> Any:
    step, query, at, gradient, i = key
    seen = [queries[place][step][query] for place in _places(key, found)]
    if len(seen) == 1:
        return seen[0]
    return (seen[0] - seen[1]) / (2 * fraction(found["gradients"][i][at][gradient]))


def fraction(text: str) -> Fraction:
    """A written rational number."""
    with suppress(ZeroDivisionError):
        if isinstance(value := evaluated(text, {}), Fraction):
            return value
    raise InputError(f"{text!r} is no rational number")
