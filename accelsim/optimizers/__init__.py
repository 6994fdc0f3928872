"""One paper, one file. Every `Optimizer` in these files is known by its name; nothing is listed."""

from __future__ import annotations

from functools import cache

from accelsim import discovery
from accelsim.errors import InputError, unknown
from accelsim.optimizer import Optimizer

_own: dict[str, Optimizer] = {}


@cache
def shipped() -> dict[str, Optimizer]:
    """The optimizers of this package by name."""
    return {k: v for module in discovery.modules(__name__) for k, v in discovery.members(module, Optimizer).items()}


def add(path: str) -> dict[str, Optimizer]:
    """Make the optimizers of a user's file known by name, and return them."""
    found = discovery.members(discovery.load(path), Optimizer)
    if not found:
        raise InputError(f"{path} defines no optimizer; decorate a rule with accelsim.optimizer")
    _own.update(found)
    return found


def known() -> dict[str, Optimizer]:
    """Every optimizer by name."""
    return dict(sorted((shipped() | _own).items()))


def find(name: str) -> Optimizer:
    """The optimizer of a name, or of a combinator around a name, as in ``tail_average(sgd)``.

    Raises
    ------
    InputError
        With the nearest name that exists.
    """
    from accelsim.optimizers.averaging import COMBINATORS

    outer, bracket, rest = name.partition("(")
    if bracket and rest.endswith(")"):
        if outer not in COMBINATORS:
            raise unknown("combinator", outer, COMBINATORS)
        return COMBINATORS[outer](find(rest[:-1]))
    if name not in known():
        raise unknown("optimizer", name, known())
    return known()[name]
