"""Ways to decide a question soon: functions of a question, tried in order, each of which answers or leaves it open."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice, permutations, product
from typing import Any

from accelsim.errors import InputError
from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.elimination import Clock, OutOfTime
from accelsim.symbolic.algebra.language import text_of
from accelsim.symbolic.algebra.recurrences import Texts
from accelsim.symbolic.certify import verifier as certificate
from accelsim.symbolic.check.bisimulation import DRAWS, Bisimulation, differ, prove, runs, states
from accelsim.symbolic.check.equivalence import check
from accelsim.symbolic.check.positivity import condition
from accelsim.symbolic.find.answer import EQUIVALENT, OUTSIDE, REFUTED, Answer
from accelsim.symbolic.find.relations import related
from accelsim.symbolic.refute.cases import refute_by_cases
from accelsim.symbolic.refute.replay import seen
from accelsim.symbolic.system.linear_part import linear_part, without_decay
from accelsim.symbolic.system.pair import Question
from accelsim.symbolic.system.rule_sequences import recurrences
from accelsim.symbolic.system.specialization import switched
from accelsim.symbolic.system.tableau import tableau

CASES = 4.0  # seconds for a refutation by runs of the rules as they are
MOST_NAMES = 200  # ways to name hyperparameters that are tried
IDENTITY = 3.0  # seconds for a proof at hyperparameters of equal names
Strategy = Callable[[Question, Clock], Answer | None]


def soon(question: Question, clock: Clock) -> Answer | None:
    """The first answer of the strategies, None where they leave the question open."""
    for strategy in STRATEGIES:
        if (answer := strategy(question, clock)) is not None:
            return answer
    return None


def last(question: Question) -> Answer | None:
    """What runs of the rules as they are decide where nothing else did, on their own time."""
    return cases(question, Clock(CASES))


def _not_linear(question: Question) -> bool:
    """Whether neither rule is linear."""
    return all(tableau(rule).nonlinearity for rule in (question.a, question.b))


def identity_map(question: Question, clock: Clock) -> Answer | None:
    """Equivalent with hyperparameters as those of equal names, the others at a default or a plain number."""
    if question.a == question.b:  # which matrices show, without a run
        return None
    for texts in _namesakes(question):
        claim = claimed(question, texts)
        with suppress(InputError, ArithmeticError, ValueError):
            if runs(claim) == (DRAWS, None):
                return _inside(by_relation(question, claim, clock.at_most(IDENTITY)))
    return None


def _inside(answer: Answer | None) -> Answer | None:
    """An answer that takes no hyperparameter out of its range: others may do better then."""
    return answer if answer is not None and answer.status == EQUIVALENT else None


def other_names(question: Question, clock: Clock) -> Answer | None:
    """Equivalent with hyperparameters as others of the first rule, or one less these, where rules are not linear."""
    if not _not_linear(question):
        return None
    for texts in islice(_renamings(question), MOST_NAMES):
        clock.check()
        claim = claimed(question, texts)
        with suppress(InputError, ArithmeticError, ValueError):
            alike = differ(claim, 0) is None and runs(claim) == (DRAWS, None)
            if alike and (answer := _inside(by_relation(question, claim, clock.at_most(IDENTITY)))) is not None:
                return answer
    return None


def _renamings(question: Question) -> Iterator[dict[str, str]]:
    """Maps of the second rule's hyperparameters to different ones of the first rule, at constants."""
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


def cases(question: Question, clock: Clock) -> Answer | None:
    """Refuted where, run as they are on a few gradients, the second rule cannot query what the first one does."""
    q = question
    found = None
    with suppress(OutOfTime), clock.enforced():
        found = refute_by_cases(q, q.claim.anything, clock)
    reason = f"{q.b} is not {q.a}, as they are, whatever schedules its hyperparameters are"
    return None if found is None else refuted(q, reason, found)


def refuted(question: Question, reason: str, counterexample: Mapping[str, Any]) -> Answer | None:
    """Refuted, if both rules as they are, run on a counterexample's gradients, show it."""
    q = question
    shown = seen(switched(q.a, dict(q.set_a)), q.b, q.set_b, counterexample, q.free)
    if shown is None:
        return None
    known = (q.a, q.b, q.set_a, q.set_b, q.varying)
    document = certificate.of_refutation(*known, {**counterexample, "shown": shown}, q.free)
    found, assumed = document["counterexample"], q.assumptions
    return Answer(q.a, q.b, REFUTED, reason=reason, counterexample=found, assumptions=assumed, certificate=document)


def _namesakes(question: Question) -> Iterator[dict[str, str]]:
    """Maps of hyperparameters to those of equal names; others are their defaults, none of them zero but weight decay.

    A zero takes something from the second rule. One that has a sequence of its own has no such map.
    """
    a, b = question.a, question.b
    claim = claimed(question, {})
    functions = {*claim.open}
    functions |= {name for name, value in question.set_a.items() if isinstance(value, str)}
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


def claimed(question: Question, texts: Mapping[str, str]) -> Bisimulation:
    """The claim that the second rule is the first one at a map, without a relation."""
    q = question
    replaced = q.claim.replaced
    return Bisimulation(
        q.a, q.b, texts, {}, varying=q.varying, given=q.set_a, returned=q.returned, free=q.free, replaced=replaced
    )


def at_values(question: Question, values: Mapping[str, Any], others: Callable[[str], Any]) -> dict[str, str]:
    """A map as texts, from values in SymPy and what is given; hyperparameters that are in neither from `others`."""
    texts = {name: text_of(value) for name, value in values.items()}
    texts |= {name: str(value) for name, value in question.set_b.items()}
    mapped = claimed(question, {}).mapped
    return {name: texts[name] if name in texts else text_of(others(name)) for name in mapped}


def by_relation(question: Question, claim: Bisimulation, clock: Clock) -> Answer | None:
    """The answer to a claim, if a relation of states proves it."""
    found = None
    with suppress(OutOfTime, InputError), clock.enforced():
        found = related(claim, clock, question.set_b)
    return None if found is None else _equivalent(question, found)


def range_notes(
    question: Question, values: Mapping[str, str], sequences: Texts = ranges.NONE
) -> tuple[list[str], list[str]]:
    """What mapped values, as they are written, are or may be outside their ranges, and which must be inside."""
    outside, inside = [], []
    for name, text in values.items():
        if name in question.set_b:
            continue
        about = name, text, question.b.hyperparameters[name], question.a, sequences
        if note := ranges.note(*about):
            outside.append(note)
        elif stated := condition(*about):
            inside.append(stated)
    return outside, inside


def _equivalent(question: Question, claim: Bisimulation) -> Answer | None:
    outside, inside = range_notes(question, claim.map)
    if not outside and (answer := _by_transform(question, claim, inside)) is not None:
        return answer
    proved = prove(claim)
    if not proved.holds:
        return None
    since = f", from t = {claim.since} on" if claim.since else ""
    return Answer(
        question.a,
        question.b,
        OUTSIDE if outside else EQUIVALENT,
        map=claim.map,
        transform=claim.relation,
        direction=f"{question.a} is a, {question.b} is b{since}",
        conditions=(*proved.conditions, *outside, *inside),
        assumptions=(*question.assumptions, "nothing is set aside: rules are compared as they are"),
        reason=proved.reason,
        certificate=certificate.of_bisimulation(claim, proved),
    )


def _by_transform(question: Question, claim: Bisimulation, inside: Iterable[str]) -> Answer | None:
    """The answer where linear rules' relation writes all states of one rule in those of the other: as a transform."""
    if any(tableau(rule).nonlinearity for rule in (claim.source, claim.target)):
        return None
    for backward, own, rule in ((False, "b", claim.target), (True, "a", claim.source)):
        if set(states(own, rule)) == set(claim.relation) and not any(f"{own}[" in x for x in claim.relation.values()):
            rows = {_bare(name): _bare(text) for name, text in claim.relation.items()}
            transformed = replace(
                question.claim, map=claim.map, transform=rows, backward=backward, returned=claim.returned
            )
            verdict = check(transformed)
            if verdict.status != "proved":
                return None
            return Answer(
                question.a,
                question.b,
                EQUIVALENT,
                map=claim.map,
                transform=rows,
                direction=transformed.direction,
                initial=dict.fromkeys(rule.positions, "w0") | {k: str(v) for k, v in rule.memories.items()},
                conditions=(*verdict.conditions, *inside),
                assumptions=verdict.assumptions,
                reason=verdict.reason,
                certificate=certificate.of_equivalence(transformed, verdict),
            )
    return None


def _bare(text: str) -> str:
    """A text with states by their own names."""
    return re.sub(r"[ab]\[(\w+)\]", r"\1", text)


STRATEGIES: tuple[Strategy, ...] = (identity_map, other_names)
