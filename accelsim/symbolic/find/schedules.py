"""Maps under step size schedules, for step sizes that a map supposes to be constant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from accelsim.errors import InputError
from accelsim.symbolic.algebra.budget import OutOfTime
from accelsim.symbolic.certify.documents import claim_of, relation_of
from accelsim.symbolic.check.bisimulation import prove
from accelsim.symbolic.check.equivalence import check, differs
from accelsim.symbolic.find.answer import SAME, Answer, varied
from accelsim.symbolic.find.outcome import Task, decide
from accelsim.symbolic.find.proofs import PROOFS
from accelsim.symbolic.system.functions import Beyond
from accelsim.symbolic.system.markov import step_sizes
from accelsim.symbolic.system.rule_sequences import recurrences
from accelsim.symbolic.system.tableau import NoLinearPart

SCHEDULED = 2.0  # units for a map under a schedule


def schedules(task: Task, answer: Answer) -> dict[str, Mapping[str, str]]:
    """Step sizes of the first rule that the map of an answer supposes to be constant.

    Returns
    -------
    dict by name, a map that holds where the step size varies; empty where none was found soon. A step size for which
    the answer's own map holds under every schedule is left out.
    """
    steps = _step_sizes(task) if answer.certificate else []
    return {name: _under_a_schedule(task, name) for name in steps if not _may_vary(task, answer, name)}


def _step_sizes(task: Task) -> list[str]:
    """The first rule's step sizes that are constants; of a rule without a linear part, what is at least 0 for one."""
    q = task.question
    try:
        compared = task.comparison
    except NoLinearPart:
        declared = ((name, q.a.hyperparameters[name]) for name in q.a.program(q.set_a).reads)
        names = [name for name, h in declared if (h.low, h.high) == (0, math.inf) and not h.switch]
        constant = {*names} - {*q.set_a, *q.varying, *recurrences(q.a)}
    else:
        names = step_sizes(compared.a.part, task.clock)
        constant = {*compared.a_names, *compared.a.part.tableau.reads} - {*q.set_a, *compared.varying}
    return [name for name in names if name in constant]


def _may_vary(task: Task, answer: Answer, name: str) -> bool:
    """Proof that a claim about a constant step size holds for any function of t in its place."""
    document, b = answer.certificate or {}, task.question.b
    texts = {k: varied(text, name) for k, text in answer.map.items()}
    states = {k: varied(text, name) for k, text in answer.transform.items()}
    with suppress(InputError, Beyond):
        if document["kind"] == "bisimulation":
            same = relation_of(document, answer.a, b)
            return prove(replace(same, map=texts, relation=states, varying=(*same.varying, name))).holds
        claim = claim_of(document, answer.a, b)
        claim = replace(claim, map=texts, transform=states, varying=(*claim.varying, name))
        return not differs(claim) and check(claim).status == "proved"  # runs are far sooner done
    return False


def _under_a_schedule(task: Task, name: str) -> Mapping[str, str]:
    """Map that holds where a step size varies; empty where none is found soon."""
    clock = task.clock.at_most(SCHEDULED)
    try:
        with clock.enforced():
            question = replace(task.question, varying=(*task.question.varying, name))
            answer = decide(replace(task, question=question, clock=clock, strategies=PROOFS, tried=[])).answer
            return answer.map if answer is not None and answer.status in SAME else {}
    except OutOfTime:
        task.clock.check()
    return {}
