"""Strategies for obstacles that are seen at once, before any solution is looked for."""

from __future__ import annotations

from dataclasses import replace

from accelsim.symbolic.check.equivalence import given_sequences
from accelsim.symbolic.find.answer import REFUTED, Answer
from accelsim.symbolic.find.comparison import Comparison
from accelsim.symbolic.find.outcome import Findings, Outcome, Strategy, Task, decide
from accelsim.symbolic.find.verdicts import refuted_or_undecided, undecided
from accelsim.symbolic.refute.answers import Refuting
from accelsim.symbolic.refute.impulses import scaled
from accelsim.symbolic.system.homogeneity import LONG_ALIKE, long_alike, scale_free
from accelsim.symbolic.system.pair import Question


def other_gradients(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted where the rules take different numbers of gradients a step."""
    q, compared = task.question, task.comparison
    counts = [side.part.tableau.stages for side in (compared.a, compared.b)]
    if counts[0] == counts[1]:
        return Outcome()
    words = [f"{rule} takes {_stages(c)}" for rule, c in zip((q.a, q.b), counts, strict=True)]
    reason = f"{words[0]} a step, {words[1]}"
    return Outcome(Answer(q.a, q.b, REFUTED, reason=reason, assumptions=q.assumptions))


def _stages(stages: tuple[int, ...]) -> str:
    return " and ".join(f"{n} gradient{'s' if n > 1 else ''}" for n in stages)


def other_signs(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted where only the second rule applies a sign, and the first one sees lengths of gradients."""
    q, compared = task.question, task.comparison
    ours, theirs = (side.part.tableau.maps for side in (compared.a, compared.b))
    if not theirs or theirs == ours:
        return Outcome()
    what = " and ".join(f"{name} {when} the momentum" for name, when in sorted(theirs))
    reason = f"{q.b} applies {what}, {q.a} does not"
    found = None if ours else scaled(refuting(compared, scheduled=False))
    if found is None or not scale_free(q.b):
        return Outcome(undecided(task, known, f"{reason}: linear parts cannot tell"))
    reason = f"{reason}: to {q.b} it is all the same how long gradients are"
    return Outcome(refuted_or_undecided(task, known, reason, found))


def long_first_gradient(task: Task, known: Findings) -> Outcome:
    """Strategy: refuted where only the first rule sees the length of a first gradient of at least 1."""
    q, compared = task.question, task.comparison
    part = compared.b.part
    apart = given_sequences(part) - (set() if compared.only_b_has else part.absorbed)
    if not apart or not long_alike(q.b):  # what both multiply gradients by is set aside
        return Outcome()
    found = scaled(refuting(compared, scheduled=True), first_alone=True)
    reason = f"to {q.b} it is all the same how long a first gradient is, from {LONG_ALIKE}"
    return Outcome(refuted_or_undecided(task, known, reason, found) if found else None)


def without_weight_decay(task: Task, known: Findings) -> Outcome:
    """Strategy: the outcome at zero of the second rule's weight decay, where the first rule has none."""
    compared = task.comparison
    if not (compared.a.moves and compared.b.decay and compared.decay_is_zero):
        return Outcome()
    return decide(task.about(less_decay(task.question, str(compared.b.decay))))


def less_decay(question: Question, name: str) -> Question:
    """Question with the second rule's weight decay, of the given name, at zero."""
    why = f", as {question.a} moves along with a translation of all positions"
    return replace(question, set_b={**question.set_b, name: 0}, forced={**question.forced, name: why})


OBSTACLES: tuple[Strategy, ...] = (other_gradients, other_signs, long_first_gradient, without_weight_decay)


def moves_unlike(task: Task, known: Findings) -> Outcome:
    """Strategy: no proof, where only the second rule is translation-equivariant."""
    compared = task.comparison
    if compared.a.moves or not compared.b.moves:
        return Outcome()
    return Outcome(undecided(task, known, "no solution was found"), Findings(obstructions=decay_of(compared)))


def decay_of(compared: Comparison) -> tuple[object, ...]:
    """The first rule's weight decay as an obstruction (SymPy), in a tuple; empty where it has none."""
    import sympy

    return (sympy.Symbol(compared.a.decay, real=True),) if compared.a.decay else ()


def only_b_is_given(task: Task, known: Findings) -> Outcome:
    """Strategy: no proof, where only the second rule has given sequences (preconditioners)."""
    if not task.comparison.only_b_has:
        return Outcome()
    return Outcome(undecided(task, known, only_b_multiplies(task)))


def only_b_multiplies(task: Task) -> str:
    """Sentence on why the rules differ, where only the second one has given sequences."""
    what = f"{task.comparison.only_b_has[0]}(t), which depends on state or gradient"
    return f"{task.question.b} multiplies by {what}, {task.question.a} does not"


def refuting(compared: Comparison, scheduled: bool, still: bool = False) -> Refuting:
    """Claim that impulses would have to refute: the second rule is the first one.

    Parameters
    ----------
    scheduled : whether its hyperparameters are schedules rather than constants.
    still : whether starts elsewhere without gradients are enough to refute it.
    """
    import sympy

    memories = compared.a.memory, compared.b.memory
    steady = () if scheduled else [name for name in compared.unknown if name not in compared.derived]
    b = compared.open.put({sympy.Function(k, real=True): sympy.Symbol(k, real=True) for k in steady})
    return Refuting(compared.question, compared.a.part, b, tuple(compared.unknown), scheduled, memories, still)
