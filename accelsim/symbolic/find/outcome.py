"""Tasks for strategies, and outcomes of these: an answer, or what they learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.check.counterexample import Counterexample
from accelsim.symbolic.find.answer import Answer
from accelsim.symbolic.find.comparison import Comparison
from accelsim.symbolic.system.pair import Question

BUDGET = 10.0  # units of work


@dataclass(frozen=True)
class Findings:
    """Findings of attempts at a question that did not answer it.

    Attributes
    ----------
    obstructions : expressions (SymPy), one of which has to vanish for the rules to be the same.
    multiples_need : expressions, one of which has to vanish for given sequences to be multiples of one another.
    stuck : systems of equations at which elimination gave up, in words.
    doubt : why the last solution of the equations is no proof.
    unconfirmed : why the checker did not prove a solution at which the identities hold.
    but_for_recurrences : whether a solution failed only for the values of the second rule's recurrences.
    claimed : whether some claim was checked.
    no_solutions : whether all attempts at solutions have failed already, in other terms.
    outside : a proved equivalence that takes a hyperparameter out of its range; another map may do better.
    first_steps : a counterexample in first steps.
    """

    obstructions: tuple[Any, ...] = ()
    multiples_need: tuple[Any, ...] = ()
    stuck: tuple[str, ...] = ()
    doubt: str | None = None
    unconfirmed: str | None = None
    but_for_recurrences: bool = False
    claimed: bool = False
    no_solutions: bool = False
    outside: Answer | None = None
    first_steps: Counterexample | None = None

    def __or__(self, later: Findings) -> Findings:
        """Union of findings: of sentences the later ones, of answers and counterexamples the first."""
        return Findings(
            (*self.obstructions, *(o for o in later.obstructions if o not in self.obstructions)),
            (*self.multiples_need, *later.multiples_need),
            (*self.stuck, *later.stuck),
            later.doubt or self.doubt,
            later.unconfirmed or self.unconfirmed,
            self.but_for_recurrences or later.but_for_recurrences,
            self.claimed or later.claimed,
            self.no_solutions or later.no_solutions,
            self.outside or later.outside,
            self.first_steps or later.first_steps,
        )


@dataclass(frozen=True)
class Outcome:
    """Outcome of a strategy.

    Attributes
    ----------
    answer : the answer, which may be that the question is undecided; None where the strategy has none.
    learnt : what it found out.
    """

    answer: Answer | None = None
    learnt: Findings = field(default_factory=Findings)


@dataclass(frozen=True)
class Task:
    """Question to be answered within a budget.

    Attributes
    ----------
    question : the two rules and their settings.
    clock : the budget.
    strategies : tried in order, also for the questions that a strategy asks in its turn.
    tried : log for the reader of an answer, to which strategies append.
    """

    question: Question
    clock: Clock
    strategies: Sequence[Strategy]
    tried: list[str] = field(default_factory=list)

    @cached_property
    def comparison(self) -> Comparison:
        """The two rules' linear parts.

        Raises
        ------
        InputError
            Where a rule has none, or one rule calls what the other calls a state or hyperparameter.
        """
        return Comparison(self.question, self.clock)

    def about(self, question: Question) -> Task:
        """Task of another question, with the same strategies and budget."""
        return replace(self, question=question)


Strategy = Callable[[Task, Findings], Outcome]  # tries a question, of which earlier strategies found something out


def decide(task: Task) -> Outcome:
    """Try the strategies of a task until one answers.

    Returns
    -------
    Outcome
        The first answer, or None, and all that was learnt until then.

    Raises
    ------
    OutOfTime
        Past the budget.
    """
    known = Findings()
    for strategy in task.strategies:
        outcome = strategy(task, known)
        known |= outcome.learnt
        if outcome.answer is not None:
            return Outcome(outcome.answer, known)
    return Outcome(None, known)
