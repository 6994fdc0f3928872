"""Strategies that find a map of hyperparameters and have the checker prove it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from accelsim.errors import InputError
from accelsim.symbolic.algebra.budget import OutOfTime
from accelsim.symbolic.algebra.field import infinite
from accelsim.symbolic.algebra.language import assignments, combination, from_first, state_text, text_of
from accelsim.symbolic.algebra.recurrences import Recursions, Texts
from accelsim.symbolic.check.equivalence import Equivalence, check, differs, needed, set_aside
from accelsim.symbolic.find import matching
from accelsim.symbolic.find.answer import OUTSIDE, SAME, Answer
from accelsim.symbolic.find.bisimilar import at_values, by_relation, claimed
from accelsim.symbolic.find.candidates import Candidate, Completion, sequence_texts
from accelsim.symbolic.find.comparison import Comparison, at_t
from accelsim.symbolic.find.first_step import Start, first_step
from accelsim.symbolic.find.obstacles import OBSTACLES, moves_unlike, only_b_is_given
from accelsim.symbolic.find.outcome import BUDGET, Findings, Outcome, Strategy, Task, decide
from accelsim.symbolic.find.preconditioner_ratios import Relating
from accelsim.symbolic.find.solver import Solver
from accelsim.symbolic.find.transforms import transforms
from accelsim.symbolic.find.unknowns import functions_in
from accelsim.symbolic.find.verdicts import equivalence, equivalent_by
from accelsim.symbolic.system.pair import Relation
from accelsim.symbolic.system.rule_sequences import reads

CONSTANTS, SCHEDULES = 0.5, 0.7  # of what is left of the budget for them; the rest is for a refutation
PROOF = 0.95  # of what is left where a solution is known but for where its sequences start
RELATED = 0.95  # of what is left for given sequences that are other formulas
SPECIAL = 3.0  # units for them where it is known already that the rules are not the same
HOPELESS = 1.0  # units for attempts that only show what is in the way, as no multiples were found
RELATION = 2.0  # units for a relation of states at one solution
INSIDE = 2.0  # units for schedules inside their ranges, where what was found is outside

Relate = Callable[[Task, Candidate], Answer | None]  # proves a candidate that no transform of states does


# -- strategies -------------------------------------------------------------------------------------------------------


def attempt(task: Task, known: Findings, way: matching.Way, share: float, relate: Relate | None = None) -> Outcome:
    """Strategy: equivalent, where the checker proves a solution of a way to match the rules.

    Parameters
    ----------
    way : one of `matching`.
    share : part of what is left of the budget.
    relate : proof by a relation of states, for candidates that no transform proves.
    """
    return Outcome() if known.no_solutions else _Attempt(task, relate).outcome(way, task.clock.left * share)


def schedules_inside_ranges(task: Task, known: Findings, relate: Relate | None = None) -> Outcome:
    """Strategy: equivalent at schedules inside their ranges, otherwise by the proof outside of them."""
    if known.outside is None:
        return Outcome()
    outcome = _Attempt(task, relate).outcome(matching.schedules, min(task.clock.left * SCHEDULES, INSIDE))
    return outcome if outcome.answer is not None else Outcome(known.outside, outcome.learnt)


def outside_ranges(task: Task, known: Findings) -> Outcome:
    """Strategy: equivalent by a proof that takes hyperparameters out of their ranges."""
    return Outcome(known.outside)


def multiples(task: Task, known: Findings) -> Outcome:
    """Strategy: equivalent, where given sequences of different formulas are multiples of one another."""
    compared = task.comparison
    if not compared.two_formulas:
        return Outcome()
    apart = known.first_steps is not None  # what is in the way is then looked for to tell special cases
    clock = task.clock.at_most(SPECIAL if apart else task.clock.left * RELATED)
    relating = Relating(task.question, (compared.a.part, compared.open), compared.two_formulas, clock)
    learnt = Findings()
    try:
        with clock.enforced():
            for relation in relating.relations():
                question = replace(task.question, relation=relation)
                there, outcome = replace(task, question=question, clock=clock, strategies=PROOFS), Outcome()
                with suppress(InputError):  # where multiples make no sense
                    outcome = decide(there)
                if outcome.answer is not None and outcome.answer.status in SAME:
                    return outcome
                if not outcome.learnt.claimed and relation.values.keys() & set(needed(compared.open)):
                    break
                if not outcome.learnt.claimed:  # the linear parts differ, whatever multiples these are
                    learnt = _unscaled(outcome.learnt, there.comparison)
                    break
    except OutOfTime:
        task.clock.check()
        task.tried.append("formulas of given sequences as multiples of one another: out of time")
    return Outcome(None, learnt | Findings(multiples_need=tuple(relating.obstructions)))


def _unscaled(learnt: Findings, compared: Comparison) -> Findings:
    """Findings about linear parts with multiples of given sequences, in the question's own terms."""
    own = tuple(map(compared.unscaled, learnt.obstructions))
    return Findings(obstructions=own, stuck=learnt.stuck, doubt=learnt.doubt, no_solutions=True)


def relation_of_states(task: Task, candidate: Candidate) -> Answer | None:
    """Answer at a candidate by a relation of both rules' states; None where none proves it."""
    compared = task.comparison
    if compared.relation is not None or candidate.recursions:
        return None
    texts = at_values(task.question, candidate.values, partial(_at_first, compared))
    return by_relation(task.question, claimed(task.question, texts), task.clock.at_most(RELATION))


# -- solutions, candidates, claims -------------------------------------------------------------------------------------


class _Attempt:
    """One way to match two rules, from its solutions to a proved claim."""

    def __init__(self, task: Task, relate: Relate | None) -> None:
        self.task, self.compared, self.relate = task, task.comparison, relate
        self.learnt = Findings()

    def outcome(self, way: matching.Way, units: float) -> Outcome:
        """The first answer inside ranges, within some units of the budget; one outside of them is learnt."""
        solver, completion = Solver(self.compared), Completion(self.compared, self.task.tried)
        answer = None
        try:
            answer = self._answer(way, solver, completion, units)
        except OutOfTime:
            self.task.clock.check()
            self.task.tried.append(f"{way.__name__.replace('_', ' ')}: out of time")
        except InputError:
            if self.compared.relation is None:
                raise
            self.learnt |= Findings(no_solutions=True)  # a claim makes no sense, as where a sequence is asked for early
        before = Findings(
            obstructions=tuple(solver.obstructions),
            stuck=tuple(solver.stuck),
            doubt=completion.doubt,
            but_for_recurrences=completion.but_for_recurrences,
        )
        return Outcome(answer, before | self.learnt)

    def _answer(self, way: matching.Way, solver: Solver, completion: Completion, units: float) -> Answer | None:
        task = self.task
        clock = task.clock.at_most(HOPELESS if self.compared.two_formulas else min(units, BUDGET))
        with clock.enforced():
            completed = [c for each in way(solver, clock, task.tried) for c in completion.candidates(each)]
            candidates = [realized for c in completed for realized in completion.realized(c)]
        if any(c.recursions for c in candidates):  # which is as much as a proof: what is left is to write it
            clock = task.clock.at_most(task.clock.left * PROOF)
        with clock.enforced():
            values, found = None, list[tuple[bool, Any]]()
            for candidate in sorted(candidates, key=lambda c: c.score):
                if values is not candidate.values:  # other starts of a sequence have the same
                    values, found = candidate.values, self._transforms(candidate)
                answer = self._proved(candidate, found)
                if answer is not None and answer.status != OUTSIDE:
                    return answer
                self.learnt |= Findings(outside=answer)
        return None

    def _proved(self, candidate: Candidate, found: list[tuple[bool, Any]]) -> Answer | None:
        """Answer at a candidate by one of the transforms (backward, matrix); None where none is proved."""
        compared, task = self.compared, self.task
        full = {**candidate.values, **candidate.recurrences}
        values = {k: compared.unscaled(v, candidate.following) for k, v in full.items()}
        target = compared.open
        target = replace(target, matrices=type(target.matrices)(*map(compared.unscaled, target.matrices)))
        recursions = self._recursions(candidate)
        for backward, transform in found:
            task.clock.check()
            free = partial(_at_first, compared)
            start = first_step(compared.a.part, target, values, transform, backward, free, task.clock, recursions)
            if recursions and start is None and infinite(recursions.at(transform, 0)):
                continue
            unclear = start is not None and any(map(infinite, (start.transform, *start.values.values())))
            if infinite(transform) or unclear:
                continue
            claim = self._claim(values, transform, backward, start, sequence_texts(recursions))
            self.learnt |= Findings(claimed=True)
            if (compared.a.part.sequences or compared.open.sequences) and differs(claim):
                task.tried.append(f"{assignments(claim.map)}: runs differ")
                continue
            verdict = check(claim)
            task.tried.append(f"{assignments(claim.map)} by a transform {claim.direction}: {verdict.status}")
            self.learnt |= Findings(doubt=verdict.reason)
            if not any(left != "0" for left in verdict.residuals.values()):
                self.learnt |= Findings(unconfirmed=f"the linear parts agree, but {verdict.reason}")
            if verdict.status == "proved":
                chosen = (name for name in candidate.chosen if name not in compared.derived)
                return equivalent_by(task.question, claim, verdict, chosen)
        return None if self.relate is None else self.relate(task, candidate)

    def _claim(
        self, values: dict[str, Any], transform: Any, backward: bool, start: Start | None, own: Texts
    ) -> Equivalence:
        compared, q = self.compared, self.compared.question
        table = compared.a.part.tableau
        taken = {"t", *q.a.hyperparameters, *table.uniform, *(f.symbol for f in table.factors.values()), *own}
        ends = [side.part.tableau.states for side in (compared.a, compared.b)]
        before, after = reversed(ends) if backward else ends
        first = transform if start is None else start.transform
        called = [state_text("b" if backward else "a", state, taken) for state in before]
        rows = {state: combination(transform.row(i), called, first.row(i)) for i, state in enumerate(after)}
        begun = {} if start is None else start.values
        texts = {k: from_first(text_of(v), begun.get(k)) for k, v in values.items() if k not in compared.derived}
        texts |= {k: str(v) for k, v in q.set_b.items()}
        for name in (*q.b.program().reads, *reads(q.b, {*q.free, *q.set_b})):  # that no matrix contains: any value does
            if name in compared.unknown and name not in texts and name not in compared.derived:
                texts[name] = text_of(compared.choices(name)[0])
        up_to = set_aside(compared.a.part, compared.open, values.values())
        claim = replace(equivalence(q, texts, rows, backward, up_to), sequences=own)
        return claim if compared.relation is None else _with_relation(claim, compared.relation)

    def _transforms(self, candidate: Candidate) -> list[tuple[bool, Any]]:
        """Transforms (backward, matrix) to try at a candidate, those that divide by least first."""
        import sympy

        compared, values = self.compared, {**candidate.values, **candidate.recurrences}
        source, target = compared.a.part, compared.at(values).defined(set(compared.derived) - set(values)).closed()
        states = [part.tableau.states for part in (source, target)]
        pairs = zip(target.matrices, source.matrices, strict=True)
        if states[0] == states[1] and all(x == y for x, y in pairs):
            return [(False, sympy.eye(len(states[0])))]
        plain = [(False, sympy.eye(len(states[0])))] if states[0] == states[1] and compared.open.sequences else []
        found = transforms(source, target, partial(at_t, following=candidate.following))
        unscaled = [(backward, compared.unscaled(matrix, candidate.following)) for backward, matrix in found]
        return plain + [(backward, matrix) for backward, matrix in unscaled if self._in_terms_of_a(matrix)]

    def _in_terms_of_a(self, matrix: Any) -> bool:
        """Whether a transform is free of names that only the second rule has."""
        compared = self.compared
        theirs = {*compared.derived, *(f.__name__ for f in compared.open.sequences.following)}
        theirs -= {*compared.question.functions, *compared.a.part.tableau.uniform}
        return not theirs & {f.func.__name__ for f in functions_in(matrix)}

    def _recursions(self, candidate: Candidate) -> Recursions:
        """Recursions in a candidate and in the known relation of given sequences."""
        if self.compared.relation is None:
            return candidate.recursions
        known, own = self.compared.relation.recursions, candidate.recursions
        return Recursions({**known.following, **own.following}, {**known.start, **own.start})


def _at_first(compared: Comparison, name: str) -> Any:
    """Value of a hyperparameter at the first step, where it may be anything."""
    return compared.choices(name)[-1 if compared.relation else 0]  # a multiple may be infinite where it is zero


def _with_relation(claim: Equivalence, relation: Relation) -> Equivalence:
    """Claim that also states the relation of given sequences."""
    scales = relation.scales.items()
    return replace(
        claim,
        map={**claim.map, **{name: text_of(value) for name, value in relation.values.items()}},
        preconditioners={name: combination([scale], [f"{name}(t)"], [scale]) for name, scale in scales},
        nonlinear=relation.nonlinear,
    )


PROOFS: tuple[Strategy, ...] = (
    *OBSTACLES,
    moves_unlike,
    only_b_is_given,
    multiples,
    partial(attempt, way=matching.equal_names, share=CONSTANTS),
    partial(attempt, way=matching.constants, share=CONSTANTS),
    schedules_inside_ranges,
    partial(attempt, way=matching.decaying_alike, share=CONSTANTS),
    partial(attempt, way=matching.schedules, share=SCHEDULES),
    outside_ranges,
)
