"""One paper, one file. Every `Optimizer` in these files is known by its name; nothing is listed."""

from __future__ import annotations

from functools import cache

from accelsim import discovery
from accelsim.errors import InputError, UserCode, unknown
from accelsim.rule import Optimizer, collected_faults

_DEEPEST = 32  # combinators around a rule

_own: dict[str, Optimizer] = {}
_faults: dict[str, str] = {}  # of rules in users' files that could not be made


@cache
def shipped() -> dict[str, Optimizer]:
    """The optimizers of this package by name."""
    return {k: v for module in discovery.modules(__name__) for k, v in discovery.members(module, Optimizer).items()}


def add(path: str) -> dict[str, Optimizer]:
    """Make the optimizers of a user's file known by name, and return them.

    A rule that could not be made stops none of the others: it is told when it is asked for.
    """
    found, faults = _of_file(path)
    _own.update(found)
    _faults.update(faults)
    return found


def _of_file(path: str) -> tuple[dict[str, Optimizer], dict[str, str]]:
    """The optimizers that a file defines, and by name what is wrong with those that could not be made."""
    with collected_faults() as faults:
        module = discovery.load(path)
    with UserCode(path):
        found = discovery.members(module, Optimizer)
    faults = {name: f"{path}: {fault}" for name, fault in faults.items()}
    if not found:
        raise InputError(
            next(iter(faults.values()), f"{path} defines no optimizer; decorate a rule with accelsim.optimizer")
        )
    return found, faults


def faults() -> list[str]:
    """What is wrong with rules of users' files that could not be made."""
    return list(_faults.values())


def known() -> dict[str, Optimizer]:
    """Every optimizer by name."""
    return dict(sorted((shipped() | _own).items()))


def find(name: str | Optimizer, files: bool = True) -> Optimizer:
    """The optimizer of a name, of a file and a name in it, or of a combinator around one; an optimizer is itself.

    Parameters
    ----------
    name : such as ``sgd``, ``my_rules.py:mine``, ``tail_average(sgd)``.
    files : whether a name may be that of a file, which is then run.

    Raises
    ------
    InputError
        With the nearest name that exists, or the names in the file.
    """
    from accelsim.optimizers.averaging import COMBINATORS

    if isinstance(name, Optimizer):
        return name
    if name.count("(") > _DEEPEST:
        raise InputError(f"{name.count('(')} combinators are nested in one another: at most {_DEEPEST} can be")
    outer, bracket, rest = name.partition("(")
    if bracket and rest.endswith(")"):
        if outer not in COMBINATORS:
            raise unknown("combinator", outer, COMBINATORS)
        return COMBINATORS[outer](find(rest[:-1], files))
    file, colon, own = name.rpartition(":")
    if colon and files:
        found, faults = _of_file(file)
        if own in faults:
            raise InputError(faults[own])
        if own not in found:
            raise InputError(f"{file} defines no optimizer {own!r}; it defines {', '.join(sorted(found))}")
        return found[own]
    if name in _faults and name not in _own:
        raise InputError(_faults[name])
    if name not in known():
        raise unknown("optimizer", name, known())
    return known()[name]
