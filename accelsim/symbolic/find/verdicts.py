"""Answers from proofs: claims that the checker has proved, or counterexamples that runs have shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.language import put_in
from accelsim.symbolic.algebra.recurrences import Texts
from accelsim.symbolic.certify.documents import of_equivalence, of_refutation
from accelsim.symbolic.check.counterexample import Counterexample
from accelsim.symbolic.check.equivalence import Equivalence, Verdict
from accelsim.symbolic.find.answer import EQUIVALENT, OUTSIDE, REFUTED, UNDECIDED, UP_TO, Answer
from accelsim.symbolic.find.outcome import Findings, Task
from accelsim.symbolic.refute.replay import seen
from accelsim.symbolic.system.pair import Pair, Question
from accelsim.symbolic.system.positivity import condition

INCOMPLETE = "time did not suffice to look for all special cases"


def equivalence(
    pair: Pair, values: Mapping[str, str], transform: Mapping[str, str], backward: bool, up_to: tuple[str, ...] = ()
) -> Equivalence:
    """Claim that the second rule of a pair is the first one, by a map and a transform."""
    return Equivalence(
        pair.a,
        pair.b,
        values,
        transform,
        backward=backward,
        varying=pair.varying,
        given=pair.set_a,
        returned=pair.returned,
        free=pair.free,
        replaced=pair.replaced,
        up_to=up_to,
    )


def equivalent_by(question: Question, claim: Equivalence, verdict: Verdict, free: Iterable[str] = ()) -> Answer:
    """Answer from a proved claim.

    Parameters
    ----------
    free : hyperparameters, and starts of sequences, that could have been chosen otherwise.
    """
    outside, inside = range_notes(question, claim.map, claim.sequences)
    to = claim.source if claim.backward else claim.target
    return Answer(
        question.a,
        question.b,
        UP_TO if verdict.up_to else OUTSIDE if outside else EQUIVALENT,
        map=claim.map,
        transform=claim.transform,
        direction=claim.direction,
        initial=dict.fromkeys(to.positions, "w0") | {k: str(v) for k, v in to.memories.items()},
        free=tuple(free),
        conditions=(*verdict.conditions, *outside, *inside),
        assumptions=verdict.assumptions,
        reason=verdict.reason,
        certificate=of_equivalence(claim, verdict),
    )


def range_notes(
    question: Question, values: Mapping[str, str], sequences: Texts = ranges.NONE
) -> tuple[list[str], list[str]]:
    """Sentences on mapped values and their declared ranges.

    Returns
    -------
    outside : on values that are, or may be, outside their ranges.
    inside : on values that have to be inside, as it is not proved that they are.
    """
    outside, inside = [], []
    for name, text in values.items():
        if name in question.set_b:
            continue
        about = name, put_in(text, question.set_a), question.b.hyperparameters[name], question.a, sequences
        if note := ranges.note(*about):
            outside.append(note)
        elif stated := condition(*about):
            inside.append(stated)
    return outside, inside


def refuted_by(question: Question, reason: str, counterexample: Counterexample) -> Answer | None:
    """Answer from a counterexample; None where runs of both rules, as they are, do not show it."""
    q = question
    shown = seen(q, counterexample)
    if shown is None:
        return None
    document = of_refutation(q, counterexample, shown)
    found, assumed = document["counterexample"], q.assumptions
    return Answer(q.a, q.b, REFUTED, reason=reason, counterexample=found, assumptions=assumed, certificate=document)


def refuted_or_undecided(
    task: Task,
    known: Findings,
    reason: str,
    counterexample: Counterexample,
    special: Iterable[Mapping[str, Any]] = (),
    complete: bool = True,
) -> Answer:
    """Refutation with its special cases; undecided where runs of both rules do not show it.

    Parameters
    ----------
    special : cases in which the rules are the same.
    complete : whether all special cases were looked for.
    """
    answer = refuted_by(task.question, reason, counterexample)
    if answer is None:
        return undecided(task, known, f"{reason}, by algebra; but runs of both rules do not show it")
    notes = () if complete else (INCOMPLETE,)
    return replace(answer, special=tuple(special), assumptions=(*answer.assumptions, *notes))


def undecided(task: Task, known: Findings, reason: str) -> Answer:
    """Answer that the question is undecided, with all that was tried and set aside."""
    q, compared = task.question, task.comparison
    tried = tuple(dict.fromkeys((*task.tried, *known.stuck)))
    parts = (compared.a.part, compared.b.part)
    notes = (f"{part.tableau.optimizer}: {note}" for part in parts for note in part.assumptions)
    assumptions = (*q.assumptions, *dict.fromkeys(notes))
    return Answer(q.a, q.b, UNDECIDED, reason=reason, tried=tried, assumptions=assumptions)
