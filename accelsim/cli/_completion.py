"""Completions in a shell: names of rules, problems, derivations, experiments and hyperparameters.

They are looked up without what is heavy: a shell waits for them at every press of a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import typer

from accelsim import discovery
from accelsim.errors import InputError

Completion = Callable[[typer.Context, str], list[tuple[str, str]]]


def rules(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Rules that are shipped or in the files of --rules, each with what it is."""
    return _beginning(incomplete, ((name, rule.doc) for name, rule in _known(ctx).items()))


def modules(package: str) -> Callable[[str], list[str]]:
    """Completion by the files of a package, of which each is one thing of its name."""
    return lambda incomplete: [name for name in discovery.names(package) if name.startswith(incomplete)]


def hyperparameters(of: slice = slice(None), after: str = "=") -> Completion:
    """Completion by the hyperparameters of rules, each with its range.

    Parameters
    ----------
    of : places of the rules among the arguments.
    after : what follows the name.
    """

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        return _beginning(incomplete, ((f"{name}{after}", h.range) for name, h in _declared(ctx, of)))

    return complete


def _declared(ctx: typer.Context, of: slice) -> Iterator[tuple[str, Any]]:
    from accelsim import optimizers

    _known(ctx)
    for name in ctx.args[of]:  # arguments have no names yet where an option has no value yet
        try:
            yield from optimizers.find(name).hyperparameters.items()
        except InputError:
            continue


def _known(ctx: typer.Context) -> dict[str, Any]:
    from accelsim import optimizers

    for file in ctx.params.get("rules") or ():
        try:
            optimizers.add(file)
        except InputError:  # which is for the command to say
            continue
    return optimizers.known()


def _beginning(text: str, found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, about) for name, about in dict(found).items() if name.startswith(text)]
