"""All questions whose verdicts were derived by hand, and pairs of rules composed by chance."""

import pytest
from own_cases.asking import RIGHT, checked, judged
from own_cases.chance import Pair
from own_cases.questions import NO, QUESTIONS, UNDECIDED, YES
from test_own_cases import marked

from accelsim.symbolic.find.finder import equivalent

PAIRS = 40  # each way


@pytest.mark.parametrize("question", [marked(question) for question in QUESTIONS])
def test_a_verdict_is_the_one_that_was_derived(question):
    said = judged(question)
    assert said == RIGHT or (question.undecided and said.startswith(UNDECIDED)), said


@pytest.mark.parametrize("known", [False, True], ids=["free", "known"])
@pytest.mark.parametrize("seed", range(PAIRS))
def test_the_same_in_other_words_is_never_refuted(seed, known):
    pair = Pair(seed, altered=False)
    numbers = dict(set_a=pair.set_a, set_b=pair.set_b) if known else {}
    answer = equivalent(pair.one, pair.two, **numbers)
    assert answer.status in (YES, UNDECIDED), answer.reason
    checked(answer, **numbers, seed=seed)


@pytest.mark.parametrize("known", [False, True], ids=["free", "known"])
@pytest.mark.parametrize("seed", range(PAIRS))
def test_what_differs_in_a_coefficient_is_never_the_same(seed, known):
    """Where B's numbers are free a schedule may make up for the coefficient: then the map has to do so in runs."""
    pair = Pair(seed, altered=True)
    numbers = dict(set_a=pair.set_a, set_b=pair.set_b) if known else {}
    answer = equivalent(pair.one, pair.two, **numbers)
    assert not known or answer.status in (NO, UNDECIDED), answer.reason
    checked(answer, **numbers, seed=seed)
