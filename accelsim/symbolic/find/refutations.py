"""Strategies that refute, by gradients on which no hyperparameters of the second rule follow the first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from accelsim.symbolic.algebra.budget import Clock, OutOfTime
from accelsim.symbolic.check.contradictions import Cases, Itself
from accelsim.symbolic.check.counterexample import Counterexample
from accelsim.symbolic.check.equivalence import given_sequences, needed
from accelsim.symbolic.check.responses import Minor
from accelsim.symbolic.find.answer import REFUTED, Answer
from accelsim.symbolic.find.comparison import Comparison
from accelsim.symbolic.find.obstacles import decay_of, less_decay, only_b_multiplies, refuting
from accelsim.symbolic.find.outcome import Findings, Outcome, Task, decide
from accelsim.symbolic.find.special_cases import factors, roots, special_cases
from accelsim.symbolic.find.unknowns import functions_in
from accelsim.symbolic.find.verdicts import refuted_by, refuted_or_undecided, undecided
from accelsim.symbolic.refute.cases import FIRST, IMPULSES, refute_by_cases
from accelsim.symbolic.refute.impulses import refute
from accelsim.symbolic.refute.nonlinear import refute_itself
from accelsim.symbolic.refute.single_run import refute_by_a_run
from accelsim.symbolic.system.markov import silent

SCHEDULED = 4.0  # units for a refutation of all schedules, where one of all constants would do
FIRST_STEPS = 1.0  # units for a refutation by first steps
ITSELF = 3.0  # units for a refutation of the rules as they are
SPECIAL = 3.0  # units that must be left to look for special cases of that
LONG = 30  # characters of an expression that is not worth a reason


def start_elsewhere(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted by a start elsewhere, which a translation-equivariant second rule does not see."""
    q, compared = task.question, task.comparison
    if compared.a.moves or not compared.b.moves:
        return Outcome()
    known |= Findings(obstructions=decay_of(compared))
    found = refute(refuting(compared, scheduled=True, still=True), task.clock)
    if found is None:
        return Outcome(undecided(task, known, "no counterexample was found"))
    if _scale_unknown(compared) and any(compared.b.part.tableau.start):
        reason = f"a start elsewhere moves them apart, and {_scale_unknown(compared)}"
        return Outcome(undecided(task, known, reason))
    reason = f"{q.b} moves along with a translation of all positions, {q.a} does not"
    return Outcome(_with_special_cases(task, known, reason, found))


def first_steps(task: Task, known: Findings) -> Outcome:
    """Strategy: learns a counterexample in first steps, where given sequences have two formulas."""
    found = _first_steps(task) if task.comparison.two_formulas else None
    return Outcome(None, Findings(first_steps=found))


def _first_steps(task: Task) -> Counterexample | None:
    """Counterexample in first steps alone, for rules that are not linear; None where there is none."""
    compared = task.comparison
    if not all(part.tableau.nonlinearity for part in (compared.a.part, compared.open)):
        return None
    clock = task.clock.at_most(FIRST_STEPS)
    with suppress(OutOfTime), clock.enforced():
        return refute_by_cases(task.question, clock, (FIRST,))
    task.clock.check()
    return None


def only_b_multiplies_itself(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted, if by anything, where only the second rule has given sequences."""
    if not task.comparison.only_b_has:
        return Outcome()
    for strategy in (apart_without_decay, apart_as_they_are):
        outcome = strategy(task, known)
        if outcome.answer is not None:
            return outcome
    return Outcome(_by_impulses(task, known, only_b_multiplies(task)))


def apart_without_decay(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted where the rules differ at weight decay zero, which is sooner seen."""
    q, compared = task.question, task.comparison
    if not (compared.both_decay and q.a.hyperparameters[str(compared.a.decay)].holds(0)):
        return Outcome()
    question = replace(q, set_a={**q.set_a, str(compared.a.decay): 0})
    answer = decide(task.about(less_decay(question, str(compared.b.decay)))).answer
    if answer is None or answer.status != REFUTED:
        return Outcome()
    special = ({**case, "when": f"{compared.a.decay} = 0, {case['when']}"} for case in answer.special)
    return Outcome(replace(answer, special=tuple(special)))


def other_formulas(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted by runs of the rules, where the second's given sequences are none of the first's."""
    return apart_as_they_are(task, known) if task.comparison.unlike else Outcome()


def apart_as_they_are(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted by runs of the rules as they are, where the second one has given sequences."""
    compared = task.comparison
    if (_fewer(compared) and not compared.only_b_has) or not given_sequences(compared.open):
        return Outcome()
    found = known.first_steps if compared.two_formulas else _first_steps(task)
    clock = task.clock.at_most(ITSELF)
    try:
        with clock.enforced():
            found = found or refute_itself(task.question, clock)
    except OutOfTime:
        task.clock.check()
    if found is None:
        task.tried.append("runs of the rules as they are")
        return Outcome()
    reason = _reason(task, known, found)
    if compared.only_b_has:
        return Outcome(refuted_or_undecided(task, known, reason, found))
    if task.clock.left > SPECIAL:
        return Outcome(_with_special_cases(task, known, reason, found))
    return Outcome(refuted_or_undecided(task, known, reason, found, complete=False))


def not_found(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted, if there is a counterexample; otherwise undecided."""
    compared = task.comparison
    if known.unconfirmed:
        found = _by_impulses(task, known)
        return Outcome(found if found.status == REFUTED else undecided(task, known, known.unconfirmed))
    if _fewer(compared) and compared.both_decay:
        return Outcome(undecided(task, known, "no solution was found with weight decay"))
    found = _by_impulses(task, known)
    if found.status == REFUTED or compared.unlike:
        return Outcome(found)
    return Outcome(apart_as_they_are(task, known).answer or found)


def nothing_to_choose(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted by one run, where the second rule has no hyperparameter left to choose."""
    q, found = task.question, refute_by_a_run(task.question)
    reason = f"{q.b} has nothing left to choose, and queries other points than {q.a}"
    return Outcome(None if found is None else refuted_by(q, reason, found))


def runs_alone(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted by runs of the rules as they are on a few gradients, whatever the schedules."""
    q, found = task.question, None
    with suppress(OutOfTime), task.clock.enforced():
        found = refute_by_cases(q, task.clock)
    reason = f"{q.b} is not {q.a}, as they are, whatever schedules its hyperparameters are"
    return Outcome(None if found is None else refuted_by(q, reason, found))


# -- linear parts -----------------------------------------------------------------------------------------------------


def _by_impulses(
    task: Task, known: Findings, otherwise: str = "neither a solution nor a counterexample was found"
) -> Answer:
    """Answer from responses of linear parts to impulses; with more memories in b, only for constants."""
    q, compared = task.question, task.comparison
    relaxable = tuple(k for k in q.derived if k in needed(compared.open))
    unreadable = tuple(k for k in relaxable if k not in compared.readable)
    anyhow = () if known.but_for_recurrences else (relaxable,)  # what is refuted whatever they are is so far sooner
    fewer = _fewer(compared)
    ways = [(s, relaxed) for s in ((False,) if fewer else (True, False)) for relaxed in (*anyhow, unreadable)]
    for scheduled, relaxed in dict.fromkeys(ways):
        try:
            some = (scheduled and not _schedules_matter(compared)) or relaxed != ways[-1][1]
            clock = task.clock.at_most(SCHEDULED) if some else task.clock
            with clock.enforced():
                found = refute(replace(refuting(compared, scheduled), relaxed=relaxed), clock)
        except OutOfTime:
            if not some:
                raise
            continue
        if found is not None and not found.scheduled and not fewer:
            return _for_schedules(task, known)
        beyond = _scale_unknown(compared)
        if found is not None and beyond:
            return undecided(task, known, f"the linear parts differ, and {beyond}, so they cannot tell")
        if found is not None:
            return _with_special_cases(task, known, _reason(task, known, found), found)
    return undecided(task, known, known.doubt or otherwise)


def _for_schedules(task: Task, known: Findings) -> Answer:
    """Answer for all schedules, where constants are refuted; undecided where impulses do not show it."""
    q, clock, found = task.question, task.clock.at_most(SCHEDULED), None
    with suppress(OutOfTime), clock.enforced():
        found = refute_by_cases(q, clock, IMPULSES)
    task.clock.check()
    if found is None:
        words = f"no constants make {q.b} of {q.a}; whether schedules do is open"
        reason = f"{words}: a map in t, or gradients that no schedule follows, would decide it"
        return undecided(task, known, reason)
    return _with_special_cases(task, known, _reason(task, known, found), found)


def _with_special_cases(task: Task, known: Findings, reason: str, found: Counterexample) -> Answer:
    special, complete = special_cases(task, known)
    return refuted_or_undecided(task, known, reason, found, special, complete)


def _fewer(compared: Comparison) -> bool:
    """Whether the first rule has fewer memories than the second."""
    memories = compared.a.memory, compared.b.memory
    return memories[0] is not None and memories[1] is not None and memories[0] < memories[1]


def _schedules_matter(compared: Comparison) -> bool:
    """Whether schedules may do what constants cannot: with one memory, in returned points, for varying coefficients.

    Weight decay makes one more memory of the query point.
    """
    a, b = compared.a, compared.b
    drifting = a.drift is not None and b.drift is not None
    return not (a.constant and b.constant) or compared.question.returned or (a.memory in (0, 1) and not drifting)


def _scale_unknown(compared: Comparison) -> str | None:
    """Sentence on why rules whose linear parts differ may be the same; None where they are not."""
    if compared.a.part.tableau.maps and compared.b.part.tableau.maps:
        return "a sign knows no scale"
    return None


# -- reasons ----------------------------------------------------------------------------------------------------------


def _reason(task: Task, known: Findings, found: Counterexample) -> str:
    """Sentence on why the second rule is not the first one, from a counterexample."""
    (a, b), compared = (task.question.a, task.question.b), task.comparison
    whatever = f"whatever {'schedules' if found.scheduled else 'constants'} its hyperparameters are"
    if isinstance(found, Minor):
        memories = f"{a} has {_memories(compared.a.memory)}, {b} {_memories(compared.b.memory)}"
        positive = tuple(f"{name}[" for name in given_sequences(compared.open))
        short = [text for text in found.unless if len(text) < LONG and not text.startswith(positive)]
        return memories + (f" unless it loses one, as where {' or '.join(short)} is zero" if short else "")
    if isinstance(found, Cases):
        return f"{b} is not {a}, as they are, {whatever}"
    if isinstance(found, Itself):
        others = ", ".join(f"{name}(t)" for name in compared.unlike)
        return f"{b} is not {a}, as they are, {whatever}" + (f": {others} is another formula in it" if others else "")
    for name in sorted(given_sequences(compared.open)):
        whatever += f" and whatever its {name}(t) is"
    needs = (_without_stops(compared, o, task.clock) for o in known.obstructions)
    need = next((o for o in needs if not o.is_number), None)
    where = "" if need is None else f": it would need {need} = 0"
    if found.shows_returned:
        return f"{b} does not return what {a} does where it queries the same points, {whatever}{where}"
    return f"{b} is not {a}, {whatever}{where}"


def _memories(count: int | None) -> str:
    return f"{count} {'memory' if count == 1 else 'memories'}"


def _without_stops(compared: Comparison, obstruction: Any, clock: Clock) -> Any:
    """An obstruction without factors that vanish only where the first rule follows no gradients."""
    import sympy

    return sympy.Mul(*(f for f in factors(obstruction) if not _stops(compared, f, clock)))


def _stops(compared: Comparison, factor: Any, clock: Clock) -> bool:
    """Whether a factor is zero only where gradients have no effect, or nowhere, as a power of t."""
    import sympy

    a = compared.question.a
    names = {x.name if x.is_Symbol else x.func.__name__ for x in factor.free_symbols | functions_in(factor)}
    for name, value in roots(factor, a):
        fixed = compared.a.part.replaced({sympy.Symbol(name, real=True): value})
        return silent(fixed.put({sympy.Function(name, real=True): value}), clock)
    return not names & set(a.hyperparameters)
