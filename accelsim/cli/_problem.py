"""The options that describe a problem, and documents over its steps."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, get_type_hints

import typer

from accelsim.cli._common import Name, Rules, Set, assigned, lines_of, optimizer_of, table_of

_PROBLEM_OPTIONS: dict[str, Any] = {
    "problem": Annotated[
        str, typer.Option(metavar="NAME", help="quadratic, linear_regression, independent, one_hot, plrf, dataset.")
    ],
    "dim": Annotated[int | None, typer.Option(metavar="D", help="Dimension.")],
    "batch": Annotated[int | None, typer.Option(metavar="B", help="Batch size in samples.")],
    "spectrum": Annotated[
        str | None, typer.Option(metavar="SPEC", help="Eigenvalues of H: power:A, geometric:K or file:lam.npy.")
    ],
    "init": Annotated[
        str | None, typer.Option(metavar="SPEC", help="Initial error by eigendirection: ones, power:A or file:w0.npy.")
    ],
    "label_noise": Annotated[float | None, typer.Option(metavar="V", help="Variance of the label noise.")],
    "direct": Annotated[
        bool | None,
        typer.Option("--direct", help="Draw the inputs of linear_regression one by one.", show_default=False),
    ],
    "grad_noise": Annotated[float | None, typer.Option(metavar="V", help="Scale of additive gradient noise.")],
    "noise_shape": Annotated[
        str | None, typer.Option(metavar="H|I|FILE", help="Covariance of additive gradient noise.")
    ],
    "kurtosis": Annotated[
        str | None, typer.Option(metavar="C", help="Kurtosis of inputs by coordinate: a number or file:c.npy.")
    ],
    "probabilities": Annotated[
        str | None, typer.Option(metavar="SPEC", help="Chances of one-hot inputs: uniform or file:p.npy.")
    ],
    "data_exponent": Annotated[float | None, typer.Option(metavar="A", help="Inputs of random features: j^-A.")],
    "target_exponent": Annotated[float | None, typer.Option(metavar="B", help="Target coefficients there: j^-B.")],
    "features_seed": Annotated[
        int | None, typer.Option(metavar="N", help="Seed of random features; without it their deterministic proxy.")
    ],
    "hidden": Annotated[int | None, typer.Option(metavar="V", help="Inputs of random features; 4 D unless given.")],
    "data": Annotated[str | None, typer.Option(metavar="F", help="CSV or NPY file, or diabetes, digits.")],
    "target": Annotated[str | None, typer.Option(metavar="COL", help="Target column of the data: name or number.")],
}


def on_problem(command: Callable[..., Any], default: Any = inspect.Parameter.empty) -> Callable[..., Any]:
    """Give a command the options that describe a problem, and hand it the optimizer, problem and hyperparameters.

    Parameters
    ----------
    default : the problem's name where none is given; without it one must be.
    """

    @functools.wraps(command)
    def run(optimizer: str, set_: list[str], rules: list[str], **options: Any) -> Any:
        from accelsim import problems

        described = {name: options.pop(name) for name in _PROBLEM_OPTIONS}
        rule = optimizer_of(optimizer, rules)
        name = described.pop("problem")
        problem = problems.make(name, **described)
        for notice in problem.notices:
            print(f"accelsim: {notice}", file=sys.stderr)
        return command(rule, problem, assigned(set_), **options)

    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = get_type_hints(command, include_extras=True)
    declared = inspect.signature(command).parameters.values()
    own = [p.replace(annotation=hints[p.name]) for p in declared if p.kind is keyword]
    described = [inspect.Parameter(k, keyword, annotation=v, default=None) for k, v in _PROBLEM_OPTIONS.items()]
    described[0] = described[0].replace(default=default)
    lists = [inspect.Parameter(k, keyword, annotation=v, default=[]) for k, v in (("set_", Set), ("rules", Rules))]
    parameters = [inspect.Parameter("optimizer", keyword, annotation=Name), lists[0], *described, *own, lists[1]]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__
    return run


def in_samples(document: dict[str, Any], x: str, batch: int) -> None:
    """Count the steps of a document in samples too, where that was asked for."""
    if x == "samples":
        document["samples"] = document["steps"] * batch


def columns_of(document: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The arrays of a document as the columns of a table, the rest as lines under it."""
    from rich.console import Group

    columns = [name for name in names if name in document]
    table = table_of(columns, zip(*(document[name].tolist() for name in columns), strict=True))
    rest = {name: value for name, value in document.items() if name not in columns and name != "steps" and value}
    return Group(table, "", "\n".join(lines_of(rest)))
