"""Ways to decide a question soon: functions of a question, tried in order, each of which answers or leaves it open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import product
from typing import Any

from accelsim.errors import InputError
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.elimination import Clock, OutOfTime
from accelsim.symbolic.algebra.language import text_of
from accelsim.symbolic.certify import verifier as certificate
from accelsim.symbolic.check.bisimulation import DRAWS, Bisimulation, prove, runs
from accelsim.symbolic.find.answer import Answer
from accelsim.symbolic.find.relations import related
from accelsim.symbolic.system.pair import Question

IDENTITY = 3.0  # seconds for a proof at hyperparameters of equal names
Strategy = Callable[[Question, Clock], Answer | None]


def soon(question: Question, clock: Clock) -> Answer | None:
    """The first answer of the strategies, None where they leave the question open."""
    for strategy in STRATEGIES:
        if (answer := strategy(question, clock)) is not None:
            return answer
    return None


def identity_map(question: Question, clock: Clock) -> Answer | None:
    """Equivalent with hyperparameters as those of equal names, the others at a default or a plain number."""
    if question.a == question.b:  # which matrices show, without a run
        return None
    for texts in _namesakes(question):
        claim = claimed(question, texts)
        with suppress(InputError, ArithmeticError, ValueError):
            if runs(claim) == (DRAWS, None):
                return by_relation(question, claim, clock.at_most(IDENTITY))
    return None


def _namesakes(question: Question) -> Iterator[dict[str, str]]:
    """Maps of hyperparameters to those of equal names, none where the second rule has a sequence of its own."""
    a, b = question.a, question.b
    functions = {*Bisimulation(a, b, {}, {}, varying=question.varying, given=question.set_a).open}
    functions |= {name for name, value in question.set_a.items() if isinstance(value, str)}
    choices: dict[str, list[str]] = {}
    for name in b.program().reads:
        declared = b.hyperparameters[name]
        if declared.switch:
            continue
        if name in question.set_b:
            choices[name] = [str(question.set_b[name])]
        elif isinstance(declared.default, Recurrence):
            same = name in a.hyperparameters and a.hyperparameters[name].default == declared.default
            choices[name] = [f"{name}(t)"] if same and name not in question.set_a else []
        elif name in a.hyperparameters:
            choices[name] = [f"{name}(t)" if name in functions else name]
        else:
            default = [] if declared.default is None else [str(declared.default)]
            choices[name] = list(dict.fromkeys(default + [str(x) for x in (0, 1) if declared.holds(x)]))
    return (dict(zip(choices, texts, strict=True)) for texts in product(*choices.values()))


def claimed(question: Question, texts: Mapping[str, str]) -> Bisimulation:
    """The claim that the second rule is the first one at a map, without a relation."""
    q = question
    return Bisimulation(q.a, q.b, texts, {}, varying=q.varying, given=q.set_a, returned=q.returned)


def at_values(question: Question, values: Mapping[str, Any], others: Callable[[str], Any]) -> dict[str, str]:
    """A map as texts, from values in SymPy and what is given; hyperparameters that are in neither from `others`."""
    texts = {name: text_of(value) for name, value in values.items()}
    texts |= {name: str(value) for name, value in question.set_b.items()}
    own = question.b.hyperparameters
    read = [name for name in question.b.program().reads if not own[name].switch]
    return {name: texts[name] if name in texts else text_of(others(name)) for name in read}


def by_relation(question: Question, claim: Bisimulation, clock: Clock) -> Answer | None:
    """The answer to a claim, if a relation of states proves it, with values that are inside their ranges."""
    found = None
    with suppress(OutOfTime, InputError), clock.enforced():
        found = related(claim, clock, question.set_b)
    return None if found is None or any(_outside(question, found)) else _equivalent(question, found)


def _outside(question: Question, claim: Bisimulation) -> Iterator[str]:
    """What mapped values are outside their ranges."""
    for name, text in claim.map.items():
        if name not in question.set_b and (note := ranges.note(name, text, claim.target.hyperparameters[name], claim.source)):
            yield note


def _equivalent(question: Question, claim: Bisimulation) -> Answer | None:
    proved = prove(claim)
    if not proved.holds:
        return None
    since = f", from t = {claim.since} on" if claim.since else ""
    return Answer(
        question.a,
        question.b,
        "equivalent",
        map=claim.map,
        transform=claim.relation,
        direction=f"{question.a} is a, {question.b} is b{since}",
        conditions=proved.conditions,
        assumptions=(*question.assumptions, "nothing is set aside: rules are compared as they are"),
        reason=proved.reason,
        certificate=certificate.of_bisimulation(claim, proved),
    )


STRATEGIES: tuple[Strategy, ...] = (identity_map,)
