"""Experiments: one claim, one file in experiments/, discovered like everything else.

A file holds ``CLAIM`` (one falsifiable sentence), ``ASSUMPTIONS``, ``EXPECTED`` (the verdict our evidence gives),
a frozen ``Config`` with the instances ``FULL`` and ``TINY``, ``run(config, progress) -> Outcome`` and
``draw(result, figure)``. Running measures and predicts; drawing sees the stored `Result` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any

from accelsim import discovery
from accelsim.errors import InputError, reason, unknown
from accelsim.results import Result

SIZES = ("tiny", "full")
Progress = Callable[[float, str], None]  # fraction done, what is being done


@dataclass(frozen=True)
class Outcome:
    """Measured and predicted numbers of an experiment, and its verdict: the value of `run`.

    Attributes
    ----------
    measured, predicted, published : numbers by label; `published` holds those printed by others.
    relation : the comparison that was made, in words.
    holds : whether the claim holds.
    series : arrays for the figure.
    """

    measured: Mapping[str, Any]
    predicted: Mapping[str, Any]
    relation: str
    holds: bool
    published: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Any] = field(default_factory=dict)


def known() -> dict[str, ModuleType]:
    """Every experiment by name."""
    return {module.__name__.rpartition(".")[2]: module for module in discovery.modules("accelsim.experiments")}


def select(names: list[str]) -> dict[str, ModuleType]:
    """Experiments by name; all for an empty list.

    Raises
    ------
    InputError
        For an unknown name.
    """
    every = known()
    for name in names:
        if name not in every:
            raise unknown("experiment", name, every)
    return {name: every[name] for name in names} if names else every


def run(name: str, size: str, progress: Progress = lambda fraction, what: None) -> Result:
    """Run one experiment and return its result, not yet stored.

    Raises
    ------
    InputError
        For an unknown experiment or size.
    """
    outcome = select([name])[name].run(_config(name, size), progress)
    return _result(name, size, **vars(outcome))


def attempt(name: str, size: str, progress: Progress = lambda fraction, what: None) -> Result:
    """As `run`; where the experiment raises, a result without a verdict that says why."""
    _config(name, size)  # a name or a size that does not exist is no failure of an experiment
    try:
        return run(name, size, progress)
    except (Exception, SystemExit) as error:
        failure = reason(error)
    return _result(name, size, measured={}, predicted={}, relation="", holds=None, error=failure)


def _config(name: str, size: str) -> Any:
    if size not in SIZES:
        raise InputError(f"size must be one of {', '.join(SIZES)}, not {size!r}")
    return getattr(select([name])[name], size.upper())


def _result(name: str, size: str, **outcome: Any) -> Result:
    module = select([name])[name]
    return Result(
        name=name,
        claim=module.CLAIM,
        assumptions=module.ASSUMPTIONS,
        expected=module.EXPECTED,
        config={"size": size, **asdict(_config(name, size))},
        **outcome,
    )
