"""An answer held against what was derived by hand: status, certificate, a run of both rules, the map's numbers."""

import json
from dataclasses import replace

from accelsim.errors import InputError
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.find.finder import equivalent
from own_cases import simulation
from own_cases.questions import UNDECIDED, UP_TO, YES, assigned

RIGHT = "right"


def fits(question, answer):
    """Whether a status is one that is expected."""
    conditional = answer.status == YES and bool(answer.conditions)
    return any(
        conditional if status == "condition" else answer.status == status for status in question.expect.split("|")
    )


def checked(answer, set_a=None, set_b=None, free=(), seed=0):
    """Raise AssertionError where an answer's certificate does not hold, or its map does not reproduce queries."""
    if answer.certificate:
        rules = {str(answer.a): answer.a, str(answer.b): answer.b}
        verified = verify_certificate(json.loads(json.dumps(answer.certificate)), rules.__getitem__)
        assert verified.holds, verified.reason
    if answer.map and answer.status != UP_TO:
        simulation.reproduces(answer, set_a or {}, set_b or {}, free, seed)


def judged(question, certified=True):
    """`RIGHT`, what keeps the answer to a question undecided, or what is wrong with it; its certificate, if asked."""
    try:
        answer = equivalent(*question.rules, **question.options)
    except InputError as error:
        return f"{UNDECIDED}: {error}"
    if answer.status == UNDECIDED:
        return f"{UNDECIDED}: {answer.reason}"
    if not fits(question, answer):
        return f"{answer.status}, not {question.expect}: {dict(answer.map)}, {answer.conditions}, {answer.reason}"
    checked(answer if certified else replace(answer, certificate=None), **question.options, seed=str(question))
    if question.constant is not None and set(question.constant.split()) != set(answer.schedules):
        return f"said of constant {set(answer.schedules)}, not of {question.constant!r}"
    for name, (said, derived) in numbers(question, answer).items():
        if abs(said - derived) > 1e-9 * (1 + abs(derived)):
            return f"{name} is {said}, not {derived}"
    return RIGHT


def numbers(question, answer):
    """By hyperparameter of B, what the map says at a step and what was derived; nothing where nothing was."""
    if not question.at:
        return {}
    step, known, expected = (part.strip() for part in question.at.split(":"))
    values = {name: float(simulation.value(text, {}, 0)) for name, text in assigned(known).items()}
    said = simulation.mapped_at(answer, question.options["set_a"], values, int(step))
    return {name: (said[name], float(simulation.value(text, {}, 0))) for name, text in assigned(expected).items()}
