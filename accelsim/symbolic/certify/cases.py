"""Verification of refutations by cases of sign (see `check.cases`): both rules are run again as they are.

The cases have to be complete: each polynomial that one of them names is looked at as positive, zero and negative. Each
case is excluded by ranges, or its premises lead to 1, line by line, dividing by nothing but nonzero polynomials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from accelsim.errors import InputError
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.language import expression
from accelsim.symbolic.certify.nonlinear import derived
from accelsim.symbolic.check.cases import Trial
from accelsim.symbolic.check.contradictions import Cases, Sign
from accelsim.symbolic.check.counterexample import fraction
from accelsim.symbolic.system.functions import Beyond

MOST = 5  # gradients of a sequence, signs of a case
SEVERAL = 81  # sequences, cases
SYMBOL = re.compile(r"[^\W\d]\w*\[\d+\]")


def refuted(found: Cases, a: Optimizer, b: Optimizer, set_b: Mapping[str, Any]) -> str | None:
    """Check that in each case the queries of both rules cannot agree.

    Returns
    -------
    Sentence on what is not shown; None where all is.

    Raises
    ------
    InputError
        If the parts of the counterexample do not fit together.
    """
    sequences = [[fraction(text) for text in row] for row in found.gradients]
    if not 0 < len(sequences) <= SEVERAL or any(not 0 < len(row) <= MOST for row in sequences):
        raise InputError(f"there must be 1 to {SEVERAL} sequences of 1 to {MOST} gradients")
    if len(found.cases) > SEVERAL:
        raise InputError(f"there are at most {SEVERAL} cases")
    cases = [(dict(map(_sign, case.signs)), case.lines) for case in found.cases]
    if not _complete([list(signs.items()) for signs, _ in cases]):
        return "these are not all cases"
    for signs, lines in cases:
        try:
            trial = Trial(a, b, found.hyperparameters, set_b, sequences, signs)
        except (Beyond, ZeroDivisionError):
            raise InputError("a rule has no value on the gradients of the refutation") from None
        if list(found.answers) != list(trial.shown):
            return "there must be an answer after each gradient"
        if found.values != [str(value) for value in trial.shown.values()]:
            return f"{a} answers otherwise"
        if trial.impossible:
            continue
        names = {str(x): x for premise in trial.premises for x in premise.free_symbols}
        if reason := derived(lines, trial.premises, names, trial.nonzero, b):
            return reason
    return None


def _sign(entry: Sign) -> tuple[Any, int]:
    """Polynomial in unknowns and roots (SymPy), and its sign.

    Raises
    ------
    InputError
        If it is no polynomial, or no sign.
    """
    import sympy

    names = {name: sympy.Symbol(name, real=True) for name in SYMBOL.findall(entry.of)}
    polynomial = expression(entry.of, names)
    if entry.sign not in (-1, 0, 1) or not isinstance(polynomial, sympy.Expr) or not polynomial.is_polynomial():
        raise InputError("a case says which polynomials are positive, zero or negative: 1, 0 or -1")
    return polynomial, entry.sign


def _complete(cases: Sequence[Sequence[tuple[Any, int]]]) -> bool:
    """Completeness of cases, each a list of signs: they are the leaves of a tree that decides one sign a level."""
    if not cases or len(cases[0]) > MOST:
        return False
    if not cases[0]:
        return len(cases) == 1
    polynomial, _ = cases[0][0]
    if any(not case or case[0][0] != polynomial for case in cases):
        return False
    return all(_complete([case[1:] for case in cases if case[0][1] == value]) for value in (1, 0, -1))
