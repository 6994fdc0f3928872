"""Refutation of a rule without a hyperparameter left to choose: one run in which queries differ."""

from __future__ import annotations

from contextlib import suppress

from accelsim.errors import InputError
from accelsim.symbolic.check.apart import Apart, left_to_choose
from accelsim.symbolic.check.contradictions import OnSequence
from accelsim.symbolic.check.counterexample import CONSTANT
from accelsim.symbolic.refute.cases import SEEDS, numbers
from accelsim.symbolic.refute.replay import first_difference
from accelsim.symbolic.system.pair import Pair

# impulse, steady gradients, and such as momentum turns round
GRADIENTS = (("1", "0", "0", "0", "0"), ("1", "1", "1", "1", "1"), ("1", "-11/20", "1/3", "2", "-1"))


def refute_by_a_run(pair: Pair) -> Apart | None:
    """Search for a run of both rules, as they are, in which their queries differ.

    Returns
    -------
    Apart
        The counterexample; None where none was found, or rule b has hyperparameters left to choose.
    """
    programs = pair.a.program(pair.set_a), pair.b.program(pair.set_b)
    if left_to_choose(pair) or any(program.gradients != 1 for program in programs):
        return None
    for seed in range(SEEDS):
        for row in GRADIENTS:
            with suppress(InputError, ArithmeticError, ValueError, TypeError):  # no number, or none of few digits
                found = Apart(numbers(pair, seed), CONSTANT, (), [row], [OnSequence(0, len(row))])
                step = first_difference(pair, found)
                if step is not None:
                    return Apart(found.hyperparameters, CONSTANT, (), [row[:step]], [OnSequence(0, step)])
    return None
