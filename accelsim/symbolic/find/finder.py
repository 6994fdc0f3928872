"""Is one rule another one? Finds the hyperparameters and the transform, and has the checker prove them.

Strategies are tried in order until one answers: maps read off names, then such as solve equations for what no change of
states alters, constants before schedules, and refutations where these are sooner found. Nothing is called equivalent
that `check` has not proved, and nothing refuted that runs of both rules have not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from accelsim.optimizers import find
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.budget import Clock, OutOfTime
from accelsim.symbolic.algebra.language import entered
from accelsim.symbolic.find import matching
from accelsim.symbolic.find.answer import SAME, UNDECIDED, Answer
from accelsim.symbolic.find.named_maps import identity_map, names_inside_functions, other_names
from accelsim.symbolic.find.obstacles import OBSTACLES
from accelsim.symbolic.find.outcome import BUDGET, Strategy, Task, decide
from accelsim.symbolic.find.proofs import (
    CONSTANTS,
    SCHEDULES,
    attempt,
    multiples,
    outside_ranges,
    relation_of_states,
    schedules_inside_ranges,
)
from accelsim.symbolic.find.refutations import (
    apart_without_decay,
    first_steps,
    not_found,
    nothing_to_choose,
    only_b_multiplies_itself,
    other_formulas,
    runs_alone,
    start_elsewhere,
)
from accelsim.symbolic.find.schedules import schedules
from accelsim.symbolic.system.pair import Question
from accelsim.symbolic.system.specialization import switched
from accelsim.symbolic.system.tableau import NoLinearPart

RUNS = 4.0  # units of work for a last refutation by runs of the rules as they are, beside the budget

AT_ONCE: tuple[Strategy, ...] = (nothing_to_choose, identity_map, other_names)
BY_EQUATIONS: tuple[Strategy, ...] = (
    *OBSTACLES,
    start_elsewhere,
    first_steps,
    only_b_multiplies_itself,
    multiples,
    partial(attempt, way=matching.equal_names, share=CONSTANTS, relate=relation_of_states),
    partial(attempt, way=matching.constants, share=CONSTANTS, relate=relation_of_states),
    partial(schedules_inside_ranges, relate=relation_of_states),
    apart_without_decay,
    other_formulas,
    partial(attempt, way=matching.decaying_alike, share=CONSTANTS, relate=relation_of_states),
    partial(attempt, way=matching.schedules, share=SCHEDULES, relate=relation_of_states),
    names_inside_functions,
    outside_ranges,
    not_found,
)
AT_LAST: tuple[Strategy, ...] = (runs_alone,)


def equivalent(
    a: Optimizer | str,
    b: Optimizer | str,
    /,
    set_a: Mapping[str, Any] | None = None,
    set_b: Mapping[str, Any] | None = None,
    returned: bool = False,
    varying: Iterable[str] = (),
    free: Iterable[str] = (),
    budget: float = BUDGET,
) -> Answer:
    """Decide if rule b, at some choice of its hyperparameters, is rule a, for every choice of a's.

    Rules may be the same only at choices that take something from either of them (a memory, its gradients). The answer
    is then no, with these choices as special cases. For more than one memory (with weight decay the query point counts
    as one) only constant hyperparameters of b are refuted, which the reason then says.

    Parameters
    ----------
    a, b : the rules, or their names.
    set_a, set_b : hyperparameters that are known: numbers, or schedules written in t.
    returned : whether the rules are to return the same, beside querying the same points.
    varying : hyperparameters of `a` that are unknown functions of t.
    free : recurrences of either rule that may be any functions of t; the others follow their recursions.
    budget : of the search, in units of work (see `algebra.budget`).

    Returns
    -------
    Answer
        Equivalent only where `check` has proved it, refuted only where runs of both rules show it, otherwise undecided.

    Raises
    ------
    InputError
        For unknown names or values out of range.
    """
    a, b = find(a), find(b)
    given_a = {name: entered(a, name, value) for name, value in (set_a or {}).items()}
    given_b = {name: entered(b, name, value) for name, value in (set_b or {}).items()}
    question = Question(a, switched(b, given_b), given_a, given_b, returned, tuple(varying), free=tuple(free))
    task = Task(question, Clock(budget), AT_ONCE)
    try:
        with task.clock.enforced():
            answer = decide(task).answer or decide(replace(task, strategies=BY_EQUATIONS)).answer
            if answer is not None and answer.status in SAME:
                return replace(answer, schedules=schedules(task, answer))
    except NoLinearPart as error:  # so that there are no equations
        answer = Answer(a, b, UNDECIDED, assumptions=question.assumptions, reason=str(error), tried=tuple(task.tried))
    except OutOfTime:
        reason = f"not decided within a budget of {budget:g}: --budget {2 * budget or BUDGET:g} asks for more"
        assumptions, tried = question.assumptions, tuple(task.tried)
        answer = Answer(a, b, UNDECIDED, assumptions=assumptions, reason=reason, tried=tried)
    assert answer is not None  # the last strategy answers
    if answer.status == UNDECIDED:
        return decide(Task(question, Clock(RUNS), AT_LAST)).answer or answer
    return answer
