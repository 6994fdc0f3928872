"""The options that describe a problem, and documents over its steps."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from accelsim import discovery
from accelsim.cli import _completion as completion
from accelsim.cli._common import Name, Rules, Set, assigned, count, lines_of, load, optimizer_of, table_of
from accelsim.errors import InputError, unknown

_PROBLEM_OPTIONS: dict[str, Any] = {
    "problem": Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(discovery.names('accelsim.problems'))}.",
            autocompletion=completion.modules("accelsim.problems"),
        ),
    ],
    "dim": Annotated[
        int | None, typer.Option(metavar="D", help="Dimension; unless given that of the spectrum given, else 12.")
    ],
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
    "data": Annotated[
        str | None, typer.Option(metavar="F", help="A file, as CSV, or a table of scikit-learn's, as diabetes.")
    ],
    "target": Annotated[str | None, typer.Option(metavar="COL", help="Target column of the data: name or number.")],
    "drop": Annotated[list[str] | None, typer.Option(metavar="COL", help="A column of the data that is no feature.")],
    "skip_lines": Annotated[int | None, typer.Option(metavar="N", help="Lines of the data before the table.")],
}


class OnProblem(TyperCommand):
    """A command on a problem, whose help says which problems have an option, and what is its default there."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options into the help."""
        for option in self.params:
            if option.name in _PROBLEM_OPTIONS and option.name != "problem":
                option.help = f"{option.help} {_owned(option.name)}"  # type: ignore[attr-defined]
        super().format_options(ctx, formatter)


def _owned(option: str) -> str:
    """The problems that have an option, by its default there.

    The default is read off the problems, which is why they are imported: by the help of a command alone.
    """
    from accelsim import problems

    owners: dict[str, list[str]] = {}
    for name, kind in problems.known().items():
        if option in kind.options():
            owners.setdefault(_default(kind, option), []).append(name)
    return " ".join(f"[{_all_but(names)}{default}]" for default, names in owners.items())


def _default(kind: Any, option: str) -> str:
    if option in kind.required():
        return ": needed"
    default = getattr(kind, option)
    return (
        ""
        if default is None or default is False
        else f": {default:g}"
        if isinstance(default, float)
        else f": {default}"
    )


def _all_but(names: list[str]) -> str:
    """Names of problems, those that are not among them where these are fewer."""
    every = discovery.names("accelsim.problems")
    others = [name for name in every if name not in names]
    if len(others) >= len(names):
        return ", ".join(names)
    return f"all but {', '.join(others)}" if others else "all"


def on_problem(command: Callable[..., Any], default: Any = inspect.Parameter.empty) -> Callable[..., Any]:
    """Give a command the options that describe a problem, and hand it the optimizer, problem and hyperparameters.

    Parameters
    ----------
    default : the problem's name where none is given; without it one must be.
    """

    @functools.wraps(command)
    def run(optimizer: str, set_: list[str], rules: list[str], **options: Any) -> Any:
        rule = optimizer_of(optimizer, rules)
        return command(rule, _described(options), assigned(set_), **options)

    problem = {**_PROBLEM_OPTIONS, "problem": (_PROBLEM_OPTIONS["problem"], default)}
    return _with_options(run, command, {"optimizer": Name}, problem)


def on_problem_alone(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that describe a problem, and hand it the problem."""

    @functools.wraps(command)
    def run(**options: Any) -> Any:
        return command(_described(options), **options)

    problem = {**_PROBLEM_OPTIONS, "problem": (_PROBLEM_OPTIONS["problem"], inspect.Parameter.empty)}
    return _with_options(run, command, {}, problem, of_rules=False)


def over_batches(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that describe a problem of several batch sizes; hand it rules, problem, sizes, values.

    Values are by rule, then by hyperparameter: ``lr=0.1`` is for every rule that has it, ``sgd.lr=0.1`` for one.
    """

    @functools.wraps(command)
    def run(optimizers: list[str], set_: list[str], rules: list[str], **options: Any) -> Any:
        load(rules)
        chosen = [optimizer_of(name, ()) for name in optimizers]
        batches = _sizes(options["batch"]) if options["batch"] else None
        options["batch"] = batches[0] if batches else None
        problem = _described(options)
        values = by_rule(dict(zip(optimizers, chosen, strict=True)), assigned(set_))
        return command(chosen, problem, batches or [problem.batch], values, **options)

    batch = Annotated[str | None, typer.Option(metavar="B,B,...", help="Batch sizes in samples.")]
    argument = typer.Argument(metavar="OPTIMIZER", show_default=False, autocompletion=completion.rules)
    names = Annotated[list[str], argument]
    problem = {**_PROBLEM_OPTIONS, "problem": (_PROBLEM_OPTIONS["problem"], inspect.Parameter.empty), "batch": batch}
    return _with_options(run, command, {"optimizers": names}, problem)


def _described(options: dict[str, Any]) -> Any:
    """The problem that options describe, which are taken out of them."""
    from accelsim import problems

    described = {name: options.pop(name) for name in _PROBLEM_OPTIONS}
    described["drop"] = described["drop"] or None  # an empty list is what the parser makes of none
    problem = problems.make(described.pop("problem"), **described)
    for notice in problem.notices:
        print(f"accelsim: {notice}", file=sys.stderr)
    return problem


def _sizes(text: str) -> list[float]:
    try:
        return [count(part) for part in text.split(",")]
    except typer.BadParameter:
        raise InputError(f"--batch {text} must be whole numbers with commas between, such as 1,16,256") from None


def by_rule(chosen: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Hyperparameters by the name of their rule, from texts for one rule or for all that have them."""
    found: dict[str, dict[str, str]] = {rule.name: {} for rule in chosen.values()}
    owners = {**chosen, **{rule.name: rule for rule in chosen.values()}}
    for key, value in sorted(values.items(), key=lambda item: "." in item[0]):  # what is for one rule has the last word
        owner, _, name = key.rpartition(".")
        if owner not in owners and "." in key:
            raise unknown(f"rule in --set {key}:", owner, owners)
        having = [rule for rule in chosen.values() if name in rule.hyperparameters]
        if not owner and not having:
            every = {n for rule in chosen.values() for n in rule.hyperparameters}
            raise unknown(f"hyperparameter of {', '.join(found)}:", name, sorted(every))
        for rule in [owners[owner]] if owner else having:
            found[rule.name][name] = value
    return found


def _with_options(
    run: Callable[..., Any],
    command: Callable[..., Any],
    first: Mapping[str, Any],
    described: Mapping[str, Any],
    of_rules: bool = True,
) -> Callable[..., Any]:
    """The command with a signature for the parser: an argument, hyperparameters, a problem, its own options, rules.

    Parameters
    ----------
    of_rules : whether there are rules, which have hyperparameters.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = get_type_hints(command, include_extras=True)
    declared = inspect.signature(command).parameters.values()
    own = [p.replace(annotation=hints[p.name]) for p in declared if p.kind is keyword]

    def option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
        annotation, default = annotation if isinstance(annotation, tuple) else (annotation, default)
        return inspect.Parameter(name, keyword, annotation=annotation, default=default)

    parameters = [
        *(option(name, annotation, inspect.Parameter.empty) for name, annotation in first.items()),
        *[option("set_", Set, [])] * of_rules,
        *(option(name, annotation, None) for name, annotation in described.items()),
        *own,
        *[option("rules", Rules, [])] * of_rules,
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__  # type: ignore[attr-defined]
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
