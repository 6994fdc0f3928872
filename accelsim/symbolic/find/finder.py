"""Is one rule another one? Finds the hyperparameters and the transform, and has the checker prove them.

What gradients do to later query points is matched, in what does not depend on how a rule is written: for one memory
its canonical coefficients at each step, for more the transfer function of the block form, for everything else the
response of each query to each gradient. These are rational equations in the other rule's hyperparameters, solved by
elimination, constants before schedules. The transform follows from what gradients reach, or from what queries show.
Nothing is called equivalent that `equivalence.check` has not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from accelsim.errors import InputError
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.elimination import Clock, OutOfTime
from accelsim.symbolic.algebra.field import Field, infinite
from accelsim.symbolic.algebra.language import assignments, combination, entered, from_first, text_of
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.certify import verifier as certificate
from accelsim.symbolic.check.bisimulation import prove
from accelsim.symbolic.check.equivalence import (
    Equivalence,
    Verdict,
    check,
    differs,
    given_sequences,
    needed,
    set_aside,
    set_aside_notes,
)
from accelsim.symbolic.find.answer import EQUIVALENT, OUTSIDE, REFUTED, SAME, UNDECIDED, UP_TO, Answer, varied
from accelsim.symbolic.find.first_step import Start, first_step
from accelsim.symbolic.find.matching import Candidate, Matching, Solution, sequence_texts
from accelsim.symbolic.find.preconditioner_ratios import Relating
from accelsim.symbolic.find.special_cases import defaults, roots, vanishing
from accelsim.symbolic.find.strategies import at_values, by_relation, claimed, last, range_notes, refuted, soon
from accelsim.symbolic.find.transforms import transforms
from accelsim.symbolic.refute.cases import FIRST, IMPULSES, refute_by_cases
from accelsim.symbolic.refute.impulses import Refuting, refute, scaled
from accelsim.symbolic.refute.nonlinear import refute_itself
from accelsim.symbolic.system.formulas import formulas
from accelsim.symbolic.system.functions import Beyond
from accelsim.symbolic.system.given_sequences import unlike
from accelsim.symbolic.system.gradients import RETURNED
from accelsim.symbolic.system.homogeneity import LONG_ALIKE, long_alike, scale_free
from accelsim.symbolic.system.linear_part import LinearPart, left_behind
from accelsim.symbolic.system.markov import silent, step_sizes
from accelsim.symbolic.system.pair import Question, Relation
from accelsim.symbolic.system.rule_sequences import reads, recurrences
from accelsim.symbolic.system.specialization import switched

BUDGET = 10.0  # seconds of computing
SHARE, MORE = 0.5, 0.7  # of what is left of them for constants, then for schedules; the rest is for a refutation
PROOF = 0.95  # of what is left of them where what would do is known but for where it starts
SCHEDULED = 4.0  # seconds of them for a refutation of all schedules, where one of all constants would do
FIRST_STEPS = 1.0  # seconds of them for a refutation by first steps
ITSELF = 3.0  # seconds of them for a refutation of the rules as they are
RELATED = 0.95  # of what is left of them for given sequences that are other formulas
HOPELESS = 1.0  # seconds of them for attempts that only show what is in the way, as no multiples were found
RELATION = 2.0  # seconds of them for a relation of states at one solution
SPECIAL = 3.0  # seconds of them for special cases
INSIDE = 2.0  # seconds of them for schedules inside their ranges, where what was found is outside
CASE = ("status", "map", "transform", "direction", "conditions", "assumptions")  # what is said of a special case
LONG = 30  # characters of an expression that is not worth a reason


def equivalent(
    a: Optimizer,
    b: Optimizer,
    /,
    set_a: Mapping[str, Any] | None = None,
    set_b: Mapping[str, Any] | None = None,
    returned: bool = False,
    varying: Iterable[str] = (),
    free: Iterable[str] = (),
    budget: float = BUDGET,
) -> Answer:
    """Decide whether, for every choice of a's hyperparameters, b is a at some choice of its own.

    Where only choices that take something from either rule (a memory, its gradients) make them the same, the answer is
    no, and they are its special cases. More memories than one (the query point is one where weight decay moves it) are
    refuted at constant hyperparameters of b, which the reason then says.

    Parameters
    ----------
    set_a, set_b : hyperparameters that are known: numbers, or schedules written in t.
    returned : whether the rules are to return the same, beside querying the same points.
    varying : hyperparameters of `a` that are unknown functions of t.
    free : recurrences of either rule that may be any functions of t; the others are what their recursions make of them.
    budget : of the search, in seconds of computing.

    Raises
    ------
    InputError
        For unknown names or values out of range, or a rule without a linear part.
    """
    given_a = {name: entered(a, name, value) for name, value in (set_a or {}).items()}
    given_b = {name: entered(b, name, value) for name, value in (set_b or {}).items()}
    question = Question(a, switched(b, given_b), given_a, given_b, returned, tuple(varying), free=tuple(free))
    clock, tried = Clock(budget), list[str]()
    try:
        with clock.enforced():
            answer = soon(question, clock)
            if answer is None or answer.status in SAME:
                finder = _Finder(question, clock, tried)
                answer = answer or finder.answer()
                answer = replace(answer, schedules=finder.schedules(answer)) if answer.status in SAME else answer
    except OutOfTime:
        reason = f"not decided within {budget:g} s"
        answer = Answer(a, b, UNDECIDED, assumptions=question.assumptions, reason=reason, tried=tuple(tried))
    return last(question) or answer if answer.status == UNDECIDED else answer


class _Finder(Matching):
    """One question's answer."""

    def __init__(self, question: Question, clock: Clock, tried: list[str], deep: bool = True) -> None:
        super().__init__(question, clock, tried)
        self.deep = deep
        self.complete = True  # whether all special cases were looked for
        self._looked_at: Mapping[str, Any] | None = None
        self._found: list[tuple[bool, Any]] = []
        self.needed: list[Any] = []  # what would have to be zero for given sequences to be multiples
        self.reached = False  # whether there was a claim to check
        self.outside: Answer | None = None  # what is proved, with a hyperparameter out of its range
        self.beside: str | None = None  # why the checker did not prove a solution, though the identities hold

    # -- the answer --

    def answer(self) -> Answer:
        """What `equivalent` returns."""
        counts = [side.part.tableau.stages for side in (self.a, self.b)]
        if counts[0] != counts[1]:
            words = [f"{rule} takes {_stages(c)}" for rule, c in zip((self.q.a, self.q.b), counts, strict=True)]
            return self._refuted(f"{words[0]} a step, {words[1]}")
        theirs = self.b.part.tableau.maps
        if theirs and theirs != self.a.part.tableau.maps:
            return self._signed(" and ".join(f"{name} {when} the momentum" for name, when in sorted(theirs)))
        if long := self._cut():
            return long
        if self.a.moves and self.b.decay and self._decay_is_zero():
            return self._without_decay()
        if self.b.moves and not self.a.moves:
            return self._standing_still()
        if self._only_theirs:
            return self._one_sided()
        if (related := self._related()) is not None:
            return related
        for attempt in (self._namesakes, self._with_constants):
            if found := self._attempted(attempt):
                return found
        if self.outside:
            return self._attempted(self._with_schedules, INSIDE) or self.outside
        return (
            self._apart_without_decay()
            or (self._themselves() if self._unlike() else None)
            or self._attempted(self._decaying_alike)
            or self._attempted(self._with_schedules)
            or self.outside
            or self._not_found()
        )

    @cached_property
    def _only_theirs(self) -> list[str]:
        """Given sequences of the second rule that the first one has none of: as they are, it is not that."""
        return sorted(given_sequences(self.open) - given_sequences(self.a.part))

    def _one_sided(self) -> Answer:
        """Refuted by runs of the rules as they are, if they show it."""
        what = f"{self._only_theirs[0]}(t), which depends on state or gradient"
        reason = f"{self.q.b} multiplies by {what}, {self.q.a} does not"
        if not self.deep:
            return self._undecided(reason)
        return self._apart_without_decay() or self._themselves() or self._by_linear_parts(reason)

    def _related(self) -> Answer | None:
        """What is proved where formulas of given sequences that are not one are multiples of one another."""
        if not self._two_formulas:
            return None
        apart = self._apart_at_first is not None  # what is in the way is then looked for to tell special cases
        clock = self.clock.at_most(SPECIAL if apart else self.clock.left * RELATED)
        relating = Relating(self.q, (self.a.part, self.open), self._two_formulas, clock)
        self.needed = relating.obstructions
        try:
            with clock.enforced():
                for relation in relating.relations():
                    finder = _Finder(replace(self.q, relation=relation), clock, self.tried, deep=False)
                    with suppress(InputError):  # where a claim makes no sense, as where a sequence is asked for early
                        if (answer := finder.answer()).status in SAME:
                            return answer
                    if not finder.reached and relation.values.keys() & set(needed(self.open)):
                        break
                    if not finder.reached:  # the linear parts differ, whatever multiples these are
                        return self._after(finder)
        except OutOfTime:
            self.clock.check()
            self.tried.append("formulas of given sequences as multiples of one another: out of time")
        return None

    @cached_property
    def _two_formulas(self) -> list[str]:
        """Given sequences of both rules that are two formulas, of which it is not known that they are multiples."""
        ours, theirs = formulas(self.a.part, self.q.set_a), formulas(self.open, self.q.set_b)
        return [] if self.related else [name for name in theirs if name in ours and ours[name] != theirs[name]]

    def _after(self, finder: _Finder) -> Answer:
        """The answer where another finder's attempts, which are as good as one's own, came to nothing."""
        self.obstructions += map(finder.unscaled, finder.obstructions)
        self.stuck, self.doubt = [*self.stuck, *finder.stuck], finder.doubt
        told = self._themselves() if self._unlike() else None
        return self._apart_without_decay() or told or self._not_found()

    def _attempted(self, attempt: Callable[[Clock], list[Solution]], most: float = BUDGET) -> Answer | None:
        """What an attempt proves in its share of the time, and in no more seconds than so many.

        What takes a hyperparameter out of its range is kept as `outside`: another choice may do better.
        """
        share = MORE if attempt == self._with_schedules else SHARE
        clock = self.clock.at_most(HOPELESS if self._two_formulas else min(self.clock.left * share, most))
        try:
            with clock.enforced():
                completed = [c for solution in attempt(clock) for c in self._completed(*solution)]
                candidates = [realized for c in completed for realized in self._realized(c)]
            if any(c.recursions for c in candidates):  # which is as much as a proof: what is left is to write it
                clock = self.clock.at_most(self.clock.left * PROOF)
            with clock.enforced():
                for candidate in sorted(candidates, key=lambda c: c.score):
                    found = self._proved(candidate)
                    if found is not None and found.status != OUTSIDE:
                        return found
                    self.outside = self.outside or found
        except OutOfTime:
            self.clock.check()
            self.tried.append(f"{attempt.__name__.strip('_').replace('_', ' ')}: out of time")
        return None

    def _signed(self, what: str) -> Answer:
        """Refuted where the length of gradients matters to the first rule and not to the second."""
        reason = f"{self.q.b} applies {what}, {self.q.a} does not"
        found = None if self.a.part.tableau.maps else scaled(self._refuting(scheduled=False))
        if found is None or not scale_free(self.q.b):
            return self._undecided(f"{reason}: linear parts cannot tell")
        return self._refuted(f"{reason}: to {self.q.b} it is all the same how long gradients are", found)

    def _cut(self) -> Answer | None:
        """Refuted where the length of a first long gradient matters to the first rule and not to the second."""
        part = self.b.part
        apart = given_sequences(part) - (set() if self._only_theirs else part.absorbed)
        if not apart or not long_alike(self.q.b):  # what both multiply gradients by is set aside
            return None
        found = scaled(self._refuting(scheduled=True), first_alone=True)
        reason = f"to {self.q.b} it is all the same how long a first gradient is, from {LONG_ALIKE}"
        return self._refuted(reason, found) if found else None

    def schedules(self, answer: Answer) -> dict[str, Mapping[str, str]]:
        """Step sizes of the first rule for which the map is only one as long as they are constant."""
        free = (set(self.a_names) | set(self.a.part.tableau.reads)) - {*self.q.set_a, *self._varying()}
        found = {}
        for name in step_sizes(self.a.part, self.clock) if answer.certificate else ():
            if name in free and not self._may_vary(answer, name):
                found[name] = self._under_a_schedule(name)
        return found

    def _may_vary(self, answer: Answer, name: str) -> bool:
        """Whether a claim that is proved for a constant holds for any function of t as well."""
        document = answer.certificate or {}
        texts = {k: varied(text, name) for k, text in answer.map.items()}
        states = {k: varied(text, name) for k, text in answer.transform.items()}
        with suppress(InputError, Beyond):
            if document["kind"] == "bisimulation":
                same = certificate.relation_of(document, answer.a, self.q.b)
                return prove(replace(same, map=texts, relation=states, varying=(*same.varying, name))).holds
            claim = certificate.claim_of(document, answer.a, self.q.b)
            varying = (*claim.varying, name)
            return check(replace(claim, map=texts, transform=states, varying=varying)).status == "proved"
        return False

    def _under_a_schedule(self, name: str) -> Mapping[str, str]:
        """A map that holds where a step size varies; empty where none is found soon."""
        clock = self.clock.at_most(INSIDE)
        try:
            with clock.enforced():
                question = replace(self.q, varying=(*self.q.varying, name))
                answer = _Finder(question, clock, [], deep=False).answer()
                return answer.map if answer.status in SAME else {}
        except OutOfTime:
            self.clock.check()
        return {}

    # -- when there is no solution --

    def _undecided(self, reason: str) -> Answer:
        tried = tuple(dict.fromkeys((*self.tried, *self.stuck)))
        notes = (*self.q.assumptions, *self._set_aside())
        return Answer(self.q.a, self.q.b, UNDECIDED, reason=reason, tried=tried, assumptions=notes)

    def _refuted(self, reason: str, counterexample: Mapping[str, Any] | None = None, special: Any = ()) -> Answer:
        """Refuted, once both rules as they are were run on the counterexample's gradients."""
        q = self.q
        notes = () if self.complete else ("time did not suffice to look for all special cases",)
        if counterexample:
            answer = refuted(q, reason, counterexample)
            if answer is None:
                return self._undecided(f"{reason}, by algebra; but runs of both rules do not show it")
        else:
            answer = Answer(q.a, q.b, REFUTED, reason=reason)
        return replace(answer, special=special, assumptions=(*q.assumptions, *notes))

    def _set_aside(self) -> tuple[str, ...]:
        parts = (self.a.part, self.b.part)
        notes = [f"{part.tableau.optimizer}: {note}" for part in parts for note in set_aside_notes(part)]
        return tuple(dict.fromkeys(notes))

    def _standing_still(self) -> Answer:
        """Refuted by a start elsewhere, which the second rule does not see."""
        import sympy

        self.obstructions = [sympy.Symbol(self.a.decay, real=True)] if self.a.decay else []
        if not self.deep:
            return self._undecided("no solution was found")
        found = refute(self._refuting(scheduled=True, still=True), self.clock)
        if found is None:
            return self._undecided("no counterexample was found")
        if self._beyond() and any(self.b.part.tableau.start):
            return self._undecided(f"a start elsewhere moves them apart, and {self._beyond()}")
        reason = f"{self.q.b} moves along with a translation of all positions, {self.q.a} does not"
        return self._refuted(reason, found, self._special())

    def _without_decay(self) -> Answer:
        """The second rule with its weight decay zero, which it must be where the first one has none."""
        return _Finder(self._less_decay(self.q), self.clock, self.tried, self.deep).answer()

    def _less_decay(self, question: Question) -> Question:
        """A question where the second rule's weight decay is zero."""
        name = str(self.b.decay)
        why = f", as {question.a} moves along with a translation of all positions"
        return replace(question, set_b={**question.set_b, name: 0}, forced={**question.forced, name: why})

    @cached_property
    def _both_decay(self) -> bool:
        """Whether weight decay stands against translation in both rules, the second one's where it is not zero."""
        return bool(self.a.decay and self.b.decay) and self._decay_is_zero()

    def _apart_without_decay(self) -> Answer | None:
        """Refuted where the rules differ without weight decay, which is far sooner seen."""
        if not (self.deep and self._both_decay and self.q.a.hyperparameters[str(self.a.decay)].holds(0)):
            return None
        question = self._less_decay(replace(self.q, set_a={**self.q.set_a, str(self.a.decay): 0}))
        answer = _Finder(question, self.clock, self.tried).answer()
        if answer.status != REFUTED:
            return None
        special = ({**case, "when": f"{self.a.decay} = 0, {case['when']}"} for case in answer.special)
        return replace(answer, special=tuple(special))

    def _decay_is_zero(self) -> bool:
        """Whether only weight decay of zero lets the second rule move along with a translation, and go on moving."""
        import sympy

        decay = sympy.Symbol(str(self.b.decay), real=True)
        for rest in left_behind(self.steady):  # all of which would have to be zero
            over = Field([rest])
            if all(f == decay or self._stops(f) for f in over.factors(over.element(rest))):
                return True
        return False

    def _stops(self, factor: Any) -> bool:
        """Whether the second rule follows no gradients wherever a factor is zero."""
        unknown = {s for s in factor.free_symbols if s.name in self.unknown}
        if factor not in unknown:
            return not unknown
        return silent(self.steady.replaced({factor: factor * 0}), self.clock)

    def _not_found(self) -> Answer:
        """Refuted, if there is a counterexample."""
        if not self.deep:
            return self._undecided("no solution was found")
        if self.beside:
            return found if (found := self._by_linear_parts()).status == REFUTED else self._undecided(self.beside)
        if self._fewer and self._both_decay:
            return self._undecided("no solution was found with weight decay")
        found = self._by_linear_parts()
        return found if found.status == REFUTED or self._unlike() else self._themselves() or found

    def _themselves(self) -> Answer | None:
        """Refuted by runs of the rules as they are, where the second one is given what the first one is not."""
        if not self.deep or (self._fewer and not self._only_theirs) or not given_sequences(self.open):
            return None
        found = self._apart_at_first
        clock = self.clock.at_most(ITSELF)
        try:
            with clock.enforced():
                found = found or refute_itself(self.q, self._varying(), clock)
        except OutOfTime:
            self.clock.check()
        if found is None:
            self.tried.append("runs of the rules as they are")
            return None
        if self._only_theirs:
            return self._refuted(self._reason(found), found)
        self.complete = self.clock.left > SPECIAL
        return self._refuted(self._reason(found), found, self._special() if self.complete else ())

    @cached_property
    def _apart_at_first(self) -> dict[str, Any] | None:
        """A refutation of rules that are not linear by their first steps alone."""
        if not self.deep or not all(part.tableau.nonlinearity for part in (self.a.part, self.open)):
            return None
        clock = self.clock.at_most(FIRST_STEPS)
        with suppress(OutOfTime), clock.enforced():
            return refute_by_cases(self.q, self._varying(), clock, (FIRST,))
        self.clock.check()
        return None

    @property
    def _fewer(self) -> bool:
        """Whether the first rule has fewer memories than the second."""
        return self.a.memory is not None and self.b.memory is not None and self.a.memory < self.b.memory

    def _by_linear_parts(self, otherwise: str = "neither a solution nor a counterexample was found") -> Answer:
        """Refuted, if linear parts tell; where the second rule has more memories, by that alone."""
        unreadable = tuple(k for k in self.q.claim.derived if k not in self._readable and k in needed(self.open))
        loosened = tuple(k for k in self.q.claim.derived if k in needed(self.open))
        anyhow = () if self.would_do else (loosened,)  # what is refuted whatever they are is so far sooner
        ways = [(s, loose) for s in ((False,) if self._fewer else (True, False)) for loose in (*anyhow, unreadable)]
        for scheduled, loose in dict.fromkeys(ways):
            try:
                some = (scheduled and not self._schedules_matter()) or loose != ways[-1][1]
                clock = self.clock.at_most(SCHEDULED) if some else self.clock
                with clock.enforced():
                    found = refute(replace(self._refuting(scheduled), loose=loose), clock)
            except OutOfTime:
                if not some:
                    raise
                continue
            if found is not None and found["unknown"] == "constant" and not self._fewer:
                return self._for_schedules()
            beyond = self._beyond()
            if found is not None and beyond:
                return self._undecided(f"the linear parts differ, and {beyond}, so they cannot tell")
            if found is not None:
                return self._refuted(self._reason(found), found, self._special())
        return self._undecided(self.doubt or otherwise)

    def _for_schedules(self) -> Answer:
        """Refuted for all schedules, where it is for all constants, if impulses show it."""
        clock, found = self.clock.at_most(SCHEDULED), None
        with suppress(OutOfTime), clock.enforced():
            found = refute_by_cases(self.q, self._varying(), clock, IMPULSES)
        self.clock.check()
        if found is None:
            words = f"no constants make {self.q.b} of {self.q.a}; whether schedules do is open"
            return self._undecided(f"{words}: a map in t, or gradients that no schedule follows, would decide it")
        return self._refuted(self._reason(found), found, self._special())

    @property
    def _readable(self) -> set[str]:
        """The second rule's recurrences that can be read as formulas."""
        return {f.__name__ for f in (*self.open.sequences.values, *self.open.forms)}

    def _schedules_matter(self) -> bool:
        """Whether schedules may do what constants cannot: with one memory, in what is returned, where a rule has t.

        Weight decay makes one more memory of the query point.
        """
        steady = self.a.constant and self.b.constant
        drifting = self.a.drift is not None and self.b.drift is not None
        return not steady or self.q.returned or (self.a.memory in (0, 1) and not drifting)

    def _beyond(self) -> str | None:
        """What may make rules the same whose linear parts differ."""
        if self.a.part.tableau.maps and self.b.part.tableau.maps:
            return "a sign knows no scale"
        return None

    def _unlike(self) -> list[str]:
        """Given sequences of the second rule that are none of the first one's."""
        return unlike(self.a.part, self.b.part, self.q.set_a, self.q.set_b)

    def _refuting(self, scheduled: bool, still: bool = False) -> Refuting:
        memories = (self.a.memory, self.b.memory)
        import sympy

        unknown, varying, returned = tuple(self.unknown), self._varying(), self.q.returned
        steady = () if scheduled else [name for name in unknown if name not in self.derived]
        b = self.open.put({sympy.Function(k, real=True): sympy.Symbol(k, real=True) for k in steady})
        known = (self.a.part, b, self.q.set_a, varying, unknown, scheduled, memories)
        return Refuting(*known, returned, still, set_b=self.q.set_b)

    def _varying(self) -> tuple[str, ...]:
        """The first rule's hyperparameters that are unknown functions of t."""
        return self.q.claim.anything

    def _reason(self, found: Mapping[str, Any]) -> str:
        a, b = self.q.a, self.q.b
        whatever = f"whatever {'constants' if found['unknown'] == 'constant' else 'schedules'} its hyperparameters are"
        if found["kind"] == "minor":
            memories = f"{a} has {_memories(self.a.memory)}, {b} {_memories(self.b.memory)}"
            positive = tuple(f"{name}[" for name in given_sequences(self.open))
            short = [text for text in found["unless"] if len(text) < LONG and not text.startswith(positive)]
            return memories + (f" unless it loses one, as where {' or '.join(short)} is zero" if short else "")
        if found["kind"] == "cases":
            return f"{b} is not {a}, as they are, {whatever}"
        if found["kind"] == "itself":
            others = ", ".join(f"{name}(t)" for name in self._unlike())
            return f"{b} is not {a}, as they are, {whatever}" + (
                f": {others} is another formula in it" if others else ""
            )
        for name in sorted(given_sequences(self.open)):
            whatever += f" and whatever its {name}(t) is"
        needs = next((o for o in map(self._without_killing, self.obstructions) if not o.is_number), None)
        where = "" if needs is None else f": it would need {needs} = 0"
        if any(key.get("query") == RETURNED for key in found["answers"]):
            return f"{b} does not return what {a} does where it queries the same points, {whatever}{where}"
        return f"{b} is not {a}, {whatever}{where}"

    def _without_killing(self, obstruction: Any) -> Any:
        """The obstruction without factors that vanish only where the first rule does not follow gradients any more."""
        import sympy

        return sympy.Mul(*(f for f in _factors(obstruction) if not self._kills(f)))

    def _kills(self, factor: Any) -> bool:
        """Whether a factor is zero only where gradients do nothing, or nowhere, as a power of t."""
        import sympy
        from sympy.core.function import AppliedUndef

        names = {x.name if x.is_Symbol else x.func.__name__ for x in factor.free_symbols | factor.atoms(AppliedUndef)}
        for name, value in roots(factor, self.q.a):
            fixed = self.a.part.replaced({sympy.Symbol(name, real=True): value})
            return silent(fixed.put({sympy.Function(name, real=True): value}), self.clock)
        return not names & set(self.q.a.hyperparameters)

    def _special(self) -> tuple[dict[str, Any], ...]:
        """Choices of either rule's hyperparameters that make the rules the same after all."""
        found: dict[str, dict[str, Any]] = {}
        clock = self.clock.at_most(SPECIAL)
        try:
            with clock.enforced():
                self._look_for_special(found)
        except OutOfTime:
            self.clock.check()
            self.complete = False
        return tuple(case for case in found.values() if case)

    def _look_for_special(self, found: dict[str, dict[str, Any]]) -> None:
        unmarked = {new: old for old, new in self._marked().items()}
        needed = dict.fromkeys(f for o in self.needed for f in _factors(o))
        obstructions = [*(f for f in needed if not f.is_Symbol), *self.obstructions]  # at 0 there is less of a rule
        for first, factor in vanishing(self.a, self.b.renamed(unmarked), obstructions):
            for name, value in roots(factor, self.q.a if first else self.q.b):
                self._look_at(first, name, text_of(value), found)
        for name, text in defaults(self.q.a):
            self._look_at(True, name, text, found)

    def _look_at(self, first: bool, name: str, text: str, found: dict[str, dict[str, Any]]) -> None:
        """What becomes of the answer where a hyperparameter of one of the rules is special."""
        when = f"{name} = {text}" + ("" if first else f" in {self.q.b}")
        if name in recurrences(self.q.a if first else self.q.b, self.q.free):  # which are what they are
            return
        if when in found or name in (self.q.set_a if first else self.q.set_b):
            return
        found[when] = {}
        for more, answer in self._specialized(first, {name: text}, deeper=first and name == self.a.decay):
            words = ", ".join([when, *more])
            found[words] = {"when": words, **answer}

    def _specialized(
        self, first: bool, values: Mapping[str, str], deeper: bool
    ) -> list[tuple[list[str], Mapping[str, Any]]]:
        """The answer at special hyperparameters; where the rules still differ, their special cases if so wished."""
        try:
            finder = _Finder(self.q.at(first, values), self.clock, [], deep=False)
            answer = finder.answer()
        except InputError:
            return []
        if answer.status in SAME:
            return [([], {k: getattr(answer, k) for k in CASE})]
        return [([case["when"]], {k: case[k] for k in CASE}) for case in finder._special()] if deeper else []

    # -- proofs --

    def _proved(self, candidate: Candidate) -> Answer | None:
        """The answer at a candidate, once the checker has proved it."""
        if self._looked_at is not candidate.values:  # other starts of a sequence have the same
            self._looked_at = candidate.values
            self._found = self._transforms({**candidate.values, **candidate.followed})
        values = {k: self.unscaled(v) for k, v in {**candidate.values, **candidate.followed}.items()}
        for backward, transform in self._found:
            self.clock.check()
            pair, free = (self.a.part, self._unscaled), self._free
            recursions = self._recursions(candidate)
            start = first_step(*pair, values, transform, backward, free, self.clock, recursions)
            if recursions and start is None and infinite(recursions.at(transform, 0)):
                continue
            unclear = start is not None and any(map(infinite, (start.transform, *start.values.values())))
            if infinite(transform) or unclear:
                continue
            claim = replace(self._claim(values, transform, backward, start), sequences=sequence_texts(recursions))
            self.reached = True
            if (self.a.part.sequences or self.open.sequences) and differs(claim):
                self.tried.append(f"{assignments(claim.map)}: runs differ")
                continue
            verdict = check(claim)
            self.tried.append(f"{assignments(claim.map)} by a transform {claim.direction}: {verdict.status}")
            self.doubt = verdict.reason
            if not any(left != "0" for left in verdict.residuals.values()):
                self.beside = f"the linear parts agree, but {verdict.reason}"
            if verdict.status == "proved":
                return self._equivalent(claim, verdict, candidate)
        return self._by_relation(candidate)

    def _by_relation(self, candidate: Candidate) -> Answer | None:
        """The answer at a candidate that no transform proves, if a relation of states does."""
        if self.related is not None or candidate.recursions or not self.deep:
            return None
        texts = at_values(self.q, candidate.values, self._free)
        return by_relation(self.q, claimed(self.q, texts), self.clock.at_most(RELATION))

    def _claim(self, values: dict[str, Any], transform: Any, backward: bool, start: Start | None) -> Equivalence:
        ends = [side.part.tableau.states for side in (self.a, self.b)]
        before, after = reversed(ends) if backward else ends
        first = transform if start is None else start.transform
        rows = {state: combination(transform.row(i), before, first.row(i)) for i, state in enumerate(after)}
        begun = {} if start is None else start.values
        texts = {k: from_first(text_of(v), begun.get(k)) for k, v in values.items() if k not in self.derived}
        texts |= {k: str(v) for k, v in self.q.set_b.items()}
        q = self.q
        for name in (*q.b.program().reads, *reads(q.b, {*q.free, *q.set_b})):  # that no matrix contains: any value does
            if name in self.unknown and name not in texts and name not in self.derived:
                texts[name] = text_of(self._choices(name)[0])
        up_to = set_aside(self.a.part, self.open, values.values())
        claim = replace(q.claim, map=texts, transform=rows, backward=backward, returned=q.returned, up_to=up_to)
        return claim if self.related is None else _with_relation(claim, self.related)

    def _transforms(self, values: dict[str, Any]) -> list[tuple[bool, Any]]:
        """Candidate transforms of states, those first that divide by least."""
        import sympy

        target = self._target(values).defined(set(self.derived) - set(values)).closed()
        states = [part.tableau.states for part in (self.a.part, target)]
        pairs = zip(target.matrices, self.a.part.matrices, strict=True)
        if states[0] == states[1] and all(x == y for x, y in pairs):
            return [(False, sympy.eye(len(states[0])))]
        plain = [(False, sympy.eye(len(states[0])))] if states[0] == states[1] and self.open.sequences else []
        found = [(backward, self.unscaled(matrix)) for backward, matrix in transforms(self.a.part, target, self.at_t)]
        return plain + [(backward, matrix) for backward, matrix in found if self._told(matrix)]

    def _told(self, matrix: Any) -> bool:
        """Whether a transform is written in nothing that only the second rule knows."""
        from sympy.core.function import AppliedUndef

        theirs = {*self.derived, *(f.__name__ for f in self.open.sequences.following)}
        theirs -= {*self.q.claim.open, *self.a.part.tableau.uniform}
        return not theirs & {f.func.__name__ for f in matrix.atoms(AppliedUndef)}

    def _free(self, name: str) -> Any:
        """What a hyperparameter is at the first step, where it may be anything."""
        return self._choices(name)[-1 if self.related else 0]  # a multiple may be infinite where it is zero

    @cached_property
    def _unscaled(self) -> LinearPart:
        """The second rule's part, in its unknowns and the first one's given sequences."""
        return replace(self.open, matrices=type(self.open.matrices)(*map(self.unscaled, self.open.matrices)))

    def _recursions(self, candidate: Candidate) -> Recursions:
        """All that follows a recursion in a candidate, and in what is known of given sequences."""
        if self.related is None:
            return candidate.recursions
        one, other = self.related.recursions, candidate.recursions
        return Recursions({**one.following, **other.following}, {**one.start, **other.start})

    def _equivalent(self, claim: Equivalence, verdict: Verdict, candidate: Candidate) -> Answer:
        outside, inside = range_notes(self.q, claim.map, claim.sequences)
        to = claim.source if claim.backward else claim.target
        start = dict.fromkeys(to.positions, "w0") | {k: str(v) for k, v in to.memories.items()}
        return Answer(
            self.q.a,
            self.q.b,
            UP_TO if verdict.up_to else OUTSIDE if outside else EQUIVALENT,
            map=claim.map,
            transform=claim.transform,
            direction=claim.direction,
            initial=start,
            free=tuple(name for name in candidate.left if name not in self.derived),
            conditions=(*verdict.conditions, *outside, *inside),
            assumptions=verdict.assumptions,
            reason=verdict.reason,
            certificate=certificate.of_equivalence(claim, verdict),
        )


def _with_relation(claim: Equivalence, relation: Relation) -> Equivalence:
    """A claim that also says what given sequences are."""
    scales = relation.scales.items()
    return replace(
        claim,
        map={**claim.map, **{name: text_of(value) for name, value in relation.values.items()}},
        preconditioners={name: combination([scale], [f"{name}(t)"], [scale]) for name, scale in scales},
        nonlinear=relation.nonlinear,
    )


def _factors(expression: Any) -> list[Any]:
    field = Field([expression])
    return field.factors(field.element(expression))


def _memories(count: int | None) -> str:
    return f"{count} {'memory' if count == 1 else 'memories'}"


def _stages(stages: tuple[int, ...]) -> str:
    return " and ".join(f"{n} gradient{'s' if n > 1 else ''}" for n in stages)
