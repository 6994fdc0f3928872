"""Strategies that read a map off the names of hyperparameters, before any equations are solved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, permutations, product

from accelsim.errors import InputError
from accelsim.symbolic.check.bisimulation import DRAWS, differ, runs
from accelsim.symbolic.find.answer import EQUIVALENT, Answer
from accelsim.symbolic.find.bisimilar import by_relation, claimed
from accelsim.symbolic.find.outcome import Findings, Outcome, Task
from accelsim.symbolic.system.linear_part import linear_part, without_decay
from accelsim.symbolic.system.pair import Question
from accelsim.symbolic.system.rule_sequences import recurrences
from accelsim.symbolic.system.tableau import NoLinearPart, is_linear

MOST_NAMES = 200  # ways to name hyperparameters that are tried
IDENTITY = 3.0  # units for a proof at one map


def identity_map(task: Task, known: Findings) -> Outcome:
    """Strategy: equivalent at the map of equal names, other hyperparameters being at a default or a plain number.

    It answers only where a relation of states proves it and no value leaves its range.
    """
    question = task.question
    if question.a == question.b:  # which matrices show, without a run
        return Outcome()
    for texts in _equal_names(question):
        claim = claimed(question, texts)
        with suppress(InputError, ArithmeticError, ValueError):
            if runs(claim) == (DRAWS, None):
                return Outcome(_inside(by_relation(question, claim, task.clock.at_most(IDENTITY))))
    return Outcome()


def other_names(task: Task, known: Findings) -> Outcome:
    """Strategy for rules that are not linear: equivalent at a map of hyperparameters h to others, or to 1 - h.

    It answers only where a relation of states proves it and no value leaves its range.
    """
    question = task.question
    if any(map(is_linear, (question.a, question.b))):
        return Outcome()
    for texts in islice(_renamings(question), MOST_NAMES):
        task.clock.check()
        claim = claimed(question, texts)
        with suppress(InputError, ArithmeticError, ValueError):
            if differ(claim, 0) is None and runs(claim) == (DRAWS, None):
                answer = _inside(by_relation(question, claim, task.clock.at_most(IDENTITY)))
                if answer is not None:
                    return Outcome(answer)
    return Outcome()


def names_inside_functions(task: Task, known: Findings) -> Outcome:
    """Equivalent with hyperparameters as those of equal names inside functions, the others as they have to be.

    It is looked for where linear parts agree, as factors in formulas of given sequences do not show in these.
    """
    question = task.question
    if known.unconfirmed is None:
        return Outcome()
    for texts in _equal_names(question):
        answer = _inside(by_relation(question, claimed(question, texts), task.clock.at_most(IDENTITY)))
        if answer is not None:
            return Outcome(answer)
    return Outcome()


def _inside(answer: Answer | None) -> Answer | None:
    """The answer, if it takes no hyperparameter out of its range; otherwise None, as another map may do better."""
    return answer if answer is not None and answer.status == EQUIVALENT else None


def _equal_names(question: Question) -> Iterator[dict[str, str]]:
    """Maps of hyperparameters to those of equal names; the others are at their defaults.

    Weight decay alone may be zero, since any other zero takes something from the second rule. A hyperparameter that is
    a recurrence by default has no such map.
    """
    a, b = question.a, question.b
    claim = claimed(question, {})
    functions = {*claim.open}
    functions |= {name for name, value in question.set_a.items() if isinstance(value, str)}
    decay = None
    with suppress(NoLinearPart):
        _, decay = without_decay(linear_part(b))
    choices: dict[str, list[str]] = {}
    for name in claim.mapped:
        default = b.hyperparameters[name].default
        if name in question.set_b:
            choices[name] = [str(question.set_b[name])]
        elif name in a.hyperparameters:
            choices[name] = [f"{name}(t)" if name in functions else name]
        else:
            known = default and name not in recurrences(b)
            choices[name] = ["0"] if name == decay else [str(default)] if known else []
    return (dict(zip(choices, texts, strict=True)) for texts in product(*choices.values()))


def _renamings(question: Question) -> Iterator[dict[str, str]]:
    """Maps of the second rule's hyperparameters to different ones of the first rule, all constant."""
    theirs = question.a.hyperparameters
    read = [name for name in claimed(question, {}).mapped if name not in question.set_b]
    given = {name: str(value) for name, value in question.set_b.items()}
    varies = {*question.varying, *(name for name, value in question.set_a.items() if isinstance(value, str))}
    if {*recurrences(question.b)} - {*question.set_b}:
        return
    varies |= {*recurrences(question.a)}
    reads = question.a.program(question.set_a).reads
    known = [name for name in reads if not theirs[name].switch and name not in varies]
    for chosen in permutations(known, len(read)):
        forms = [[name] if theirs[name].high != 1 else [name, f"1 - {name}"] for name in chosen]
        for texts in product(*forms):
            if tuple(texts) != tuple(read):
                yield {**dict(zip(read, texts, strict=True)), **given}
