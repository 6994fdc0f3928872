"""Answers at a known map of hyperparameters, by a relation between both rules' states."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from accelsim.errors import InputError
from accelsim.symbolic.algebra.budget import Clock, OutOfTime
from accelsim.symbolic.algebra.language import text_of
from accelsim.symbolic.certify.documents import of_bisimulation
from accelsim.symbolic.check.bisimulation import Bisimulation, prove, states
from accelsim.symbolic.check.equivalence import check
from accelsim.symbolic.find.answer import EQUIVALENT, OUTSIDE, Answer
from accelsim.symbolic.find.relations import related
from accelsim.symbolic.find.verdicts import equivalence, equivalent_by, range_notes
from accelsim.symbolic.system.pair import Question
from accelsim.symbolic.system.tableau import is_linear


def claimed(question: Question, texts: Mapping[str, str]) -> Bisimulation:
    """Claim that the second rule is the first one at a map, its relation of states still empty."""
    q = question
    return Bisimulation(
        q.a, q.b, texts, {}, varying=q.varying, given=q.set_a, returned=q.returned, free=q.free, replaced=q.replaced
    )


def at_values(question: Question, values: Mapping[str, Any], others: Callable[[str], Any]) -> dict[str, str]:
    """Map as texts.

    Parameters
    ----------
    values : by hyperparameter of the second rule, an expression (SymPy).
    others : function from the name of any other hyperparameter that is not given to an expression.
    """
    texts = {name: text_of(value) for name, value in values.items()}
    texts |= {name: str(value) for name, value in question.set_b.items()}
    mapped = claimed(question, {}).mapped
    return {name: texts[name] if name in texts else text_of(others(name)) for name in mapped}


def by_relation(question: Question, claim: Bisimulation, clock: Clock) -> Answer | None:
    """Search, within a budget, for a relation of states that proves a claim.

    Returns
    -------
    Answer
        Equivalent, with the relation; None where none was found.
    """
    found = None
    with suppress(OutOfTime, InputError), clock.enforced():
        found = related(claim, clock, question.set_b)
    return None if found is None else _equivalent(question, found)


def _equivalent(question: Question, claim: Bisimulation) -> Answer | None:
    outside, inside = range_notes(question, claim.map)
    if not outside and (answer := _by_transform(question, claim)) is not None:
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
        certificate=of_bisimulation(claim, proved),
    )


def _by_transform(question: Question, claim: Bisimulation) -> Answer | None:
    """Answer with a transform, where the relation of two linear rules gives all states of one in the other's."""
    if not all(map(is_linear, (claim.source, claim.target))):
        return None
    for backward, own, rule in ((False, "b", claim.target), (True, "a", claim.source)):
        if set(states(own, rule)) == set(claim.relation) and not any(f"{own}[" in x for x in claim.relation.values()):
            rows = {_bare(name): _bare(text) for name, text in claim.relation.items()}
            transformed = equivalence(question, claim.map, rows, backward)
            verdict = check(transformed)
            if verdict.status != "proved":
                return None
            return equivalent_by(question, transformed, verdict)
    return None


def _bare(text: str) -> str:
    """Text with states by their own names."""
    return re.sub(r"[ab]\[(\w+)\]", r"\1", text)
