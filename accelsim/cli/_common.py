"""What the commands share: the application, options, and how documents are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

import typer

from accelsim.cli import _completion as completion
from accelsim.errors import InputError

_PIPED = 100_000  # columns where nobody looks: what is piped is not wrapped

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Verify, predict and simulate optimizers as accelerated SGD.",
    epilog="An optimizer is a shipped name (accelsim list), a combinator such as 'tail_average(sgd)', or a rule of "
    "yours, as FILE:NAME, or by its name with --rules FILE.",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"accelsim {version('accelsim')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Verify, predict and simulate optimizers as accelerated SGD."""


Name = Annotated[str, typer.Argument(metavar="OPTIMIZER", show_default=False, autocompletion=completion.rules)]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="K=V",
        help="A hyperparameter: a number or an expression in t.",
        autocompletion=completion.hyperparameters(),
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Rules = Annotated[list[str], typer.Option("--rules", metavar="FILE", help="A Python file with rules of your own.")]
Size = Annotated[Literal["tiny", "full"], typer.Option(help="How large the experiments are.")]
Unit = Annotated[Literal["steps", "samples"], typer.Option("--x", help="What a run's length is counted in.")]


def count(text: str) -> float:
    """A whole number, also as 1e9; what is none is refused where it is used, with the reason."""
    with suppress(ValueError):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number, such as 1000 or 1e9") from None
    return int(number) if number.is_integer() else number


Steps = Annotated[int, typer.Option(metavar="T", parser=count, help="Number of steps.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]


def assigned(assignments: Iterable[str], option: str = "--set") -> dict[str, str]:
    pairs = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise InputError(f"{option} {text!r} is not of the form name=value")
        if name.strip() in pairs:
            raise InputError(f"{option} {name.strip()} is given twice")
        pairs[name.strip()] = value.strip()
    return pairs


def load(files: Iterable[str]) -> None:
    from accelsim import optimizers

    for file in files:
        optimizers.add(file)


def optimizer_of(name: str, rules: Iterable[str]) -> Any:
    from accelsim import optimizers

    load(rules)
    return optimizers.find(name)


def emit(document: Any, as_json: bool, text: Callable[[], Any]) -> None:
    """Print a document: as JSON, or as the text (or rich renderable) made on demand."""
    if as_json:
        from accelsim.results import jsonable

        print(json.dumps(jsonable(document), indent=2, allow_nan=False))
        return
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED)
    with console.capture() as printed:
        console.print(text(), markup=False)
        if "problem" in (inputs := document.get("inputs", {}) if isinstance(document, Mapping) else {}):
            console.print(_sentence(inputs), markup=False)
    print("\n".join(line.rstrip() for line in printed.get().removesuffix("\n").split("\n")))


def settled(rule: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """All hyperparameters of a rule, those not given at their defaults, as numbers and text."""
    from accelsim.rule import spelled

    return spelled(rule.resolve(**values))


def fixed(rule: Any, values: Mapping[str, Any], free: Iterable[str] = ()) -> dict[str, Any]:
    """The hyperparameters of a rule that are no symbols: those given, and switches and recurrences by default."""
    from accelsim.schedules import Recurrence

    known = {
        name: declared.default if declared.switch else str(declared.default)
        for name, declared in rule.hyperparameters.items()
        if declared.switch or (isinstance(declared.default, Recurrence) and name not in free)
    }
    return {**known, **values}


def asked(rules: Mapping[str, Mapping[str, Any]], problem: Any = None, **others: Any) -> dict[str, Any]:
    """What an answer is of: rules with their hyperparameters, the problem with its options if any, and the version."""
    from importlib.metadata import version

    on = {"problem": problem.described} if problem is not None else {}
    return {"hyperparameters": dict(rules), **on, **others, "version": version("accelsim")}


def _sentence(inputs: Mapping[str, Any]) -> str:
    """The same in a sentence."""

    def listed(values: Mapping[str, Any]) -> str:
        return ", ".join(f"{name} = {value}" for name, value in values.items())

    problem = {name: value for name, value in inputs["problem"].items() if name != "name"}
    given = inputs["hyperparameters"].items()
    rules = [f"{rule} with {listed(values)}" if values else rule for rule, values in given]
    others = {key: value for key, value in inputs.items() if key not in ("hyperparameters", "problem", "version")}
    parts = [*rules, f"{inputs['problem']['name']} with {listed(problem)}", *[listed(others)] * bool(others)]
    return f"asked: {'; '.join(parts)}; accelsim {inputs['version']}"


def table_of(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Any:
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row))
    return table


def lines_of(document: Mapping[str, Any]) -> list[str]:
    """A flat document as lines, lists indented, what is absent left out, and its inputs, which are told last."""
    lines = []
    for key, value in document.items():
        if key == "inputs":
            continue
        if isinstance(value, list | tuple):
            lines += [f"{key}:", *(f"  - {item}" for item in value)] if value else []
        elif isinstance(value, Mapping):
            lines += [f"{key}:", *(f"  {line}" for line in lines_of(value) or ["none"])]
        elif value is not None:
            lines.append(f"{key}: {value}")
    return lines
