"""The command line: every reading command has --json, errors are one line, exit codes 0, 1 (verdict) and 2 (input)."""

from __future__ import annotations

import functools
import inspect
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from accelsim.errors import InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Verify, predict and simulate optimizers as accelerated SGD.",
    epilog="An optimizer is a shipped name (accelsim list), a combinator such as 'tail_average(sgd)', or a rule of "
    "yours, as FILE:NAME, or by its name with --rules FILE.",
)

Name = Annotated[str, typer.Argument(metavar="OPTIMIZER", show_default=False)]
Set = Annotated[
    list[str], typer.Option("--set", metavar="K=V", help="A hyperparameter: a number or an expression in t.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Rules = Annotated[list[str], typer.Option("--rules", metavar="FILE", help="A Python file with rules of your own.")]
Size = Annotated[Literal["tiny", "full"], typer.Option(help="How large the experiments are.")]
Unit = Annotated[Literal["steps", "samples"], typer.Option("--x", help="What a run's length is counted in.")]


def _count(text: str) -> float:
    """A whole number, also as 1e9; what is none is refused where it is used, with the reason."""
    try:
        number = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number, such as 1000 or 1e9") from None
    return int(number) if number.is_integer() else number


Steps = Annotated[int, typer.Option(metavar="T", parser=_count, help="Number of steps.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]


def main() -> None:
    """Entry point: run a command; what goes wrong by the user's hand is one line and exit code 2."""
    # The matrices here are small: threads inside one product cost more than they gain, 6 times on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except MemoryError as error:
        _fail(f"this needs more memory than there is ({error}): take a smaller --dim, --batch or number of --seeds")
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except Exception as error:
        # The option parser's own exceptions know how to say what was wrong.
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message())
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int = 2) -> None:
    print(f"accelsim: {message}", file=sys.stderr)
    sys.exit(code)


def _pairs(assignments: Iterable[str], option: str = "--set") -> dict[str, str]:
    pairs = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise InputError(f"{option} {text!r} is not of the form name=value")
        if name.strip() in pairs:
            raise InputError(f"{option} {name.strip()} is given twice")
        pairs[name.strip()] = value.strip()
    return pairs


def _rules(files: Iterable[str]) -> None:
    from accelsim import optimizers

    for file in files:
        optimizers.add(file)


def _optimizer(name: str, rules: Iterable[str]) -> Any:
    from accelsim import optimizers

    _rules(rules)
    return optimizers.find(name)


def _emit(document: Any, as_json: bool, text: Callable[[], Any]) -> None:
    """Print a document: as JSON, or as the text (or rich renderable) made on demand."""
    if as_json:
        from accelsim.results import jsonable

        print(json.dumps(jsonable(document), indent=2, allow_nan=False))
        return
    from rich.console import Console

    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(text(), markup=False)


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Any:
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row))
    return table


# -- what there is ----------------------------------------------------------------------------------------------------


@app.command("list")
def list_(json_: Json = False, rules: Rules = []) -> None:  # noqa: B006 (typer reads the default, nobody changes it)
    """The optimizers, problems, derivations and experiments there are."""
    from accelsim import experiment, optimizers, problems
    from accelsim.symbolic import verify

    _rules(rules)
    found: dict[str, dict[str, str]] = {
        "optimizers": {name: optimizer.doc for name, optimizer in optimizers.known().items()},
        "problems": {name: (inspect.getdoc(p) or "").partition("\n")[0] for name, p in problems.known().items()},
        "derivations": {name: module.CLAIM for name, module in verify.known().items()},
        "experiments": {name: module.CLAIM for name, module in experiment.known().items()},
    }

    def text() -> Any:
        from rich.console import Group

        return Group(*(_table([kind, ""], [*named.items(), ("", "")]) for kind, named in found.items()))

    _emit({kind: list(named) for kind, named in found.items()}, json_, text)


# -- one optimizer ----------------------------------------------------------------------------------------------------


@app.command()
def show(
    optimizer: Name,
    set_: Set = [],  # noqa: B006
    latex_: Annotated[bool, typer.Option("--latex", help="A LaTeX document of rule and derivation instead.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the canonical coefficients over t instead.")] = False,
    steps: Annotated[int, typer.Option(metavar="T", help="Steps drawn.", min=2)] = 1000,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The drawing goes here.")] = Path("."),
    json_: Json = False,
    rules: Rules = [],  # noqa: B006
) -> None:
    """The rule, its matrices, its normal form, LaTeX, and its source as BibTeX; or its document, or its drawing."""
    rule, values = _optimizer(optimizer, rules), _pairs(set_)
    if latex_:
        from accelsim.symbolic.document import document

        text = document(rule, **values)
        print(json.dumps({"document": text})) if json_ else print(text, end="")
    elif plot:
        _emit(*_drawn(rule, values, steps, out, json_))
    else:
        _show(rule, values, json_)


def _drawn(
    rule: Any, values: dict[str, str], steps: int, out: Path, json_: bool
) -> tuple[Any, bool, Callable[[], Any]]:
    from accelsim import plotting
    from accelsim.symbolic.sequences import coefficients

    found = coefficients(rule, steps, **values)
    drawn = plotting.coefficients(rule.name, found.beta, found.eta, found.alpha)
    paths = plotting.save(drawn, out, f"{rule.name}_coefficients")
    document = {"drawn": list(map(str, paths)), "assumptions": list(found.assumptions)}
    return document, json_, lambda: "\n".join(_lines(document))


def _show(rule: Any, values: Mapping[str, str], json_: bool) -> None:
    from accelsim.symbolic import latex
    from accelsim.symbolic.tableau import tableau

    known = {name: rule.value(name, value) for name, value in values.items()}
    switches = {name: value for name, value in known.items() if rule.hyperparameters[name].switch}
    found = tableau(rule, **known)
    canonical = _canonical_or_reason(rule, known)
    document = {
        "optimizer": rule.name,
        "doc": rule.doc,
        "rule": inspect.getsource(rule.rule),
        "hyperparameters": {
            name: {"default": None if h.default is None else str(h.default), "range": h.range}
            for name, h in rule.hyperparameters.items()
        },
        "linear": found.nonlinearity is None,
        "nonlinearity": found.nonlinearity,
        "states": list(found.states),
        "matrices": {name: str(m.tolist()) for name, m in found.symbolic(**known)._asdict().items()},
        "canonical": canonical,
        "latex": {"rule": latex.rule_latex(rule, **switches), "matrices": latex.tableau_latex(found, **known)},
        "bibtex": latex.bibtex(rule),
    }

    def text() -> str:
        lines = [document["rule"].rstrip(), ""]
        lines += [f"{name}: {h['range']}, default {h['default']}" for name, h in document["hyperparameters"].items()]
        lines += ["", f"linear states: {', '.join(found.states)}"]
        lines += [f"not linear: {found.nonlinearity}"] if found.nonlinearity else []
        lines += [f"{name} = {matrix}" for name, matrix in document["matrices"].items()]
        lines += ["", *_lines(canonical), "", *document["latex"].values(), "", document["bibtex"]]
        return "\n".join(lines)

    _emit(document, json_, text)


def _canonical_or_reason(rule: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    from accelsim.symbolic.normal_form import canonical

    try:
        return canonical(rule, **values).to_json()
    except InputError as error:
        return {"reason": str(error)}


def _lines(document: Mapping[str, Any]) -> list[str]:
    """A flat document as lines, lists indented, what is absent left out."""
    lines = []
    for key, value in document.items():
        if isinstance(value, list | tuple):
            lines += [f"{key}:", *(f"  - {item}" for item in value)] if value else []
        elif isinstance(value, Mapping):
            lines += [f"{key}:", *(f"  {line}" for line in _lines(value) or ["none"])]
        elif value is not None:
            lines.append(f"{key}: {value}")
    return lines


@app.command()
def canonical(optimizer: Name, set_: Set = [], json_: Json = False, rules: Rules = []) -> None:  # noqa: B006
    """The normal form as accelerated SGD: beta_t, eta_t, alpha_t; the block form where there are more memories."""
    from accelsim.symbolic import normal_form

    found = normal_form.canonical(_optimizer(optimizer, rules), **_pairs(set_))
    document = found.to_json()
    _emit(document, json_, lambda: "\n".join(_lines(document)))


@app.command()
def equivalent(
    a: Annotated[str, typer.Argument(metavar="A", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", show_default=False)],
    set_a: Annotated[list[str], typer.Option("--set-a", metavar="K=V", help="A hyperparameter of A.")] = [],  # noqa: B006
    set_b: Annotated[list[str], typer.Option("--set-b", metavar="K=V", help="A hyperparameter of B.")] = [],  # noqa: B006
    returned: Annotated[bool, typer.Option("--returned", help="Compare what the rules return, too.")] = False,
    json_: Json = False,
    rules: Rules = [],  # noqa: B006
) -> None:
    """Whether A is B at some choice of B's hyperparameters: map and transform, or a refutation; exit 0 either way."""
    from accelsim.symbolic import finder

    one, other = (_optimizer(name, rules) for name in (a, b))
    found = finder.equivalent(one, other, set_a=_pairs(set_a), set_b=_pairs(set_b), returned=returned)
    _emit(found.to_json(), json_, lambda: "\n".join(_lines(found.to_text())))


@app.command()
def verify(
    names: Annotated[list[str], typer.Argument(metavar="[NAME...]", show_default=False)] = [],  # noqa: B006
    coq: Annotated[bool, typer.Option("--coq", help="Have Coq's kernel check the proofs, where it is.")] = False,
    json_: Json = False,
) -> None:
    """Check the derivations and refute their near misses; exit 0 only if every verdict is the expected one."""
    from accelsim.symbolic import verify as verification

    verdicts = verification.verify(list(names) or None, coq)

    def text() -> Any:
        from rich.console import Group

        keys = ["name", "status", "near_miss"] + ["coq"] * coq
        rows = [(*(v[key] for key in keys), f"{v['seconds']:.2f}") for v in verdicts]
        table = _table(["derivation", "status", "near miss", *keys[3:], "seconds"], rows)
        axioms = sorted({axiom for v in verdicts for axiom in v.get("coq_axioms", ())})
        notes = ["", f"Coq's proofs rest on {', '.join(axioms)}"] if axioms else []
        for v in verdicts:
            notes += ["", f"{v['name']}: {v['claim']}"]
            notes += [f"  assuming {item}" for item in v["assumptions"]] + [f"  if {item}" for item in v["conditions"]]
            notes += [f"  coq: {v['coq_message']}"] if v.get("coq_message") else []
        return Group(table, "\n".join(notes))

    _emit(verdicts, json_, text)
    if not all(v["holds"] for v in verdicts):
        sys.exit(1)


# -- one optimizer on one problem -------------------------------------------------------------------------------------

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


def on_problem(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that describe a problem, and hand it the optimizer, problem and hyperparameters."""

    @functools.wraps(command)
    def run(optimizer: str, set_: list[str], rules: list[str], **options: Any) -> Any:
        from accelsim import problems

        described = {name: options.pop(name) for name in _PROBLEM_OPTIONS}
        rule = _optimizer(optimizer, rules)
        name = described.pop("problem")
        problem = problems.make(name, **described)
        for notice in problem.notices:
            print(f"accelsim: {notice}", file=sys.stderr)
        return command(rule, problem, _pairs(set_), **options)

    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = get_type_hints(command, include_extras=True)
    declared = inspect.signature(command).parameters.values()
    own = [p.replace(annotation=hints[p.name]) for p in declared if p.kind is keyword]
    described = [inspect.Parameter(k, keyword, annotation=v, default=None) for k, v in _PROBLEM_OPTIONS.items()]
    described[0] = described[0].replace(default=inspect.Parameter.empty)
    lists = [inspect.Parameter(k, keyword, annotation=v, default=[]) for k, v in (("set_", Set), ("rules", Rules))]
    parameters = [inspect.Parameter("optimizer", keyword, annotation=Name), lists[0], *described, *own, lists[1]]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__
    return run


@app.command()
@on_problem
def rate(
    rule: Any,
    problem: Any,
    values: dict[str, Any],
    *,
    edge: Annotated[
        str | None, typer.Option(metavar="K", help="Bisect the edge of stability in K, not in the step size.")
    ] = None,
    mapped: Annotated[
        list[str], typer.Option("--map", metavar="K=LOW:HIGH", help="Map tau over two of these, with --out.")
    ] = [],  # noqa: B006
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The map goes here: .svg or .png.")] = None,
    json_: Json = False,
) -> None:
    """Spectral radius of the second moments, time constant tau in steps, edge of stability, and floor of the risk."""
    from accelsim.exact import rates

    _drawable(out)
    axes = _axes(rule, mapped, out)
    found = rates.rate(rule, problem, **values)
    name = edge or rates.step_size_of(rule)
    document: dict[str, Any] = {
        "rho": found.rho,
        "tau": found.tau,
        "stable": found.stable,
        "edge": {name: rates.edge(rule, problem, name, **values)} if name else None,
        "floor": rates.floor(rule, problem, **values),
        "assumptions": [*problem.assumptions, "floor: risk of the returned iterate, without its irreducible part"],
        "notices": list(problem.notices),
    }
    if out is not None:
        document["drawn"] = str(_drawn_map(rule, problem, axes, values, out))
    _emit(document, json_, lambda: "\n".join(_lines(document)))


def _axes(rule: Any, mapped: list[str], out: Path | None) -> dict[str, Any]:
    """Values of two hyperparameters between the bounds given, as label to (name, values, their place on the axis).

    They are spaced evenly in the logarithm, for bounded ones in that of the distance from the upper bound.
    """
    import numpy as np

    axes = {}
    for name, text in _pairs(mapped, "--map").items():
        try:
            low, high = (rule.value(name, part) for part in text.split(":"))
        except ValueError:
            raise InputError(f"--map {name}={text} must be two numbers LOW:HIGH, such as {name}=1e-3:1") from None
        bound = rule.hyperparameters[name].high
        first, last = (low, high) if bound == math.inf else (bound - high, bound - low)
        if not 0 < first < last:
            raise InputError(f"--map {name}={text} must be 0 < LOW < HIGH, HIGH below the bound of {name}")
        places = np.geomspace(first, last, 60)
        if bound == math.inf:
            axes[name] = name, places, places
        else:
            axes[f"{bound:g} - {name}"] = name, bound - places, places
    if len(axes) != (2 if out else 0):
        raise InputError("a map takes --map K=LOW:HIGH for two hyperparameters, and --out FILE")
    return axes


def _drawn_map(rule: Any, problem: Any, axes: dict[str, Any], values: dict[str, Any], out: Path) -> Path:
    from accelsim import plotting, results
    from accelsim.exact import rates

    over = {name: along for name, along, _ in axes.values()}
    fixed = {name: value for name, value in values.items() if name not in over}
    tau = rates.over_grid(rule, problem, over, **fixed)
    if not (tau < math.inf).any():
        raise InputError("every point of the map is unstable: take smaller values")
    drawn = plotting.stability(rule.name, {label: places for label, (_, _, places) in axes.items()}, tau)
    results.prepare(out.parent)
    results.write(out, drawn[out.suffix[1:]])
    return out


@app.command()
@on_problem
def risk(
    rule: Any,
    problem: Any,
    values: dict[str, str],
    *,
    steps: Steps,
    of: Annotated[str, typer.Option(metavar="returned|query", help="Of which point.")] = "returned",
    split: Annotated[bool, typer.Option("--split", help="The last risk by eigendirection instead.")] = False,
    x: Unit = "steps",
    json_: Json = False,
) -> None:
    """Exact expected risk of the returned iterate, as bias plus variance, on log-spaced steps, after 1e9 if need be."""
    from accelsim.exact import moments

    found = moments.risk(rule, problem, steps, of, **values)
    document = {
        "steps": found.steps,
        "risk": found.risk,
        "bias": found.bias,
        "variance": found.variance,
        **({"cross": found.cross} if problem.coupled else {}),
        "diverged": found.diverged,
        "way": found.way,
        "error": found.error,
        "assumptions": [*problem.assumptions, f"risk of the {moments.POINTS[of]}, without its irreducible part"],
        "notices": list(problem.notices),
    }
    _in_samples(document, x, problem.batch)
    columns = [x, "risk", "bias", "variance", "cross"]
    if split:
        document = {name: value for name, value in document.items() if name not in columns}
        columns = ["eigenvalue", *found.by_direction]
        document = {"step": found.steps[-1], "eigenvalue": problem.spectrum, **found.by_direction} | document
    _emit(document, json_, lambda: _columns(document, columns))


@app.command()
@on_problem
def tune(
    rule: Any,
    problem: Any,
    values: dict[str, Any],
    *,
    objective: Annotated[
        str, typer.Option(metavar="rate|risk@T|steps@TARGET", help="Minimised: tau, a risk, steps to a risk.")
    ],
    names: Annotated[list[str], typer.Option("--tune", metavar="K", help="Tune this one; else all not set.")] = [],  # noqa: B006
    families: Annotated[
        list[str],
        typer.Option("--schedule", metavar="K=FAMILY", help="Tune K as constant, 1/t, cosine, linear or warmup."),
    ] = [],  # noqa: B006
    budget: Annotated[
        int, typer.Option(metavar="N", help="Evaluations, for the rule and for the envelope each.")
    ] = 2000,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the points the search starts from.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the exact risks: .svg or .png.")] = None,
    json_: Json = False,
) -> None:
    """The best hyperparameters, without sampling, beside the best of all constant one-memory methods (the envelope)."""
    from accelsim.exact import tuning

    chosen = _pairs(families, "--schedule")
    _drawable(out)
    options: dict[str, Any] = dict(budget=budget, seed=seed)
    found = tuning.tune(rule, problem, objective, names or None, families=chosen, **options, **values)
    beside = tuning.envelope(problem, objective, **options)
    document = {
        "optimizer": rule.name,
        "objective": objective,
        **vars(found),
        "envelope": vars(beside),
        "assumptions": [*problem.assumptions, "the envelope is accelerated SGD with constant beta, eta and alpha free"],
        "notices": list(problem.notices),
    }
    if out is not None:
        document["drawn"] = str(_drawn_tuning(rule, problem, objective, found, beside, out))
    _emit(document, json_, lambda: "\n".join(_lines(document)))


def _drawable(out: Path | None) -> None:
    if out is not None and out.suffix not in (".svg", ".png"):
        raise InputError(f"--out {out} is no figure: end its name in .svg or .png")


def _drawn_tuning(rule: Any, problem: Any, objective: str, found: Any, beside: Any, out: Path) -> Path:
    """Draw the exact risks of a tuned rule and of the envelope."""
    from accelsim import plotting, results
    from accelsim.exact import goals, moments
    from accelsim.optimizers import find

    goal, longest = goals.parse(objective), max(found.value, beside.value)
    lengths = 2 if isinstance(goal, goals.StepsTo) else 20
    steps = goal.horizon or (math.ceil(lengths * longest) if math.isfinite(longest) else 1000)
    runs = [(rule, found), (find("accelerated_sgd"), beside)]
    risks = [moments.risk(one, problem, steps, **tuned.hyperparameters) for one, tuned in runs]
    drawn = plotting.against_envelope(rule.name, *((risk.steps, risk.risk) for risk in risks))
    results.prepare(out.parent)
    results.write(out, drawn[out.suffix[1:]])
    return out


def _in_samples(document: dict[str, Any], x: str, batch: int) -> None:
    """Count the steps of a document in samples too, where that was asked for."""
    if x == "samples":
        document["samples"] = document["steps"] * batch


def _columns(document: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The arrays of a document as the columns of a table, the rest as lines under it."""
    from rich.console import Group

    columns = [name for name in names if name in document]
    table = _table(columns, zip(*(document[name].tolist() for name in columns), strict=True))
    rest = {name: value for name, value in document.items() if name not in columns and name != "steps" and value}
    return Group(table, "", "\n".join(_lines(rest)))


@app.command()
@on_problem
def simulate(
    rule: Any,
    problem: Any,
    values: dict[str, Any],
    *,
    steps: Steps,
    seeds: Annotated[int, typer.Option(metavar="S", help="Number of replicas.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", help="Key of the random numbers.")] = 0,
    backend: Annotated[str, typer.Option(metavar="auto|numpy|cupy", help="Where the arrays live.")] = "auto",
    dtype: Annotated[str, typer.Option(metavar="float32|float64", help="Precision of the arrays.")] = "float64",
    x: Unit = "steps",
    exact: Annotated[bool, typer.Option("--exact", help="The exact risk beside it, with z-scores.")] = False,
    json_: Json = False,
) -> None:
    """Run replicas of the rule; risk of the returned iterate with standard errors, diverged replicas counted."""
    from accelsim import stats
    from accelsim.exact import moments
    from accelsim.simulation import engine

    found = engine.simulate(rule, problem, steps, seeds, seed=seed, backend=backend, dtype=dtype, **values)
    document = {
        "steps": found.steps,
        "risk": found.mean,
        "standard_error": found.standard_error,
        "quantiles": {str(level): row for level, row in found.quantiles.items()},
        "diverged": found.diverged,
        "replicas": found.replicas,
        "backend": found.backend,
        "assumptions": [*problem.assumptions, "risk of the returned iterate, without its irreducible part"],
        "notices": list(problem.notices),
    }
    _in_samples(document, x, problem.batch)
    if exact:
        predicted = moments.risk(rule, problem, steps, **values)
        document |= {"exact": predicted.risk, "z": stats.z_scores(found, predicted.risk)}
    table = {k: v for k, v in document.items() if k != "quantiles"}
    _emit(document, json_, lambda: _columns(table, [x, "risk", "standard_error", "diverged", "exact", "z"]))


# -- experiments ------------------------------------------------------------------------------------------------------


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], Callable[[float, str], None]]]:
    """A bar a task on stderr; without a terminal, a line a task; nothing where quiet."""
    if quiet:
        yield lambda name: lambda fraction, what: None
    elif not sys.stderr.isatty():

        def announce(name: str) -> Callable[[float, str], None]:
            print(f"accelsim: {name}", file=sys.stderr, flush=True)
            return lambda fraction, what: None

        yield announce
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        name, what = TextColumn("{task.description}"), TextColumn("{task.fields[what]}")
        with Progress(name, BarColumn(), what, TimeElapsedColumn(), console=Console(stderr=True)) as bars:

            def start(name: str) -> Callable[[float, str], None]:
                task = bars.add_task(name, total=1.0, what="")
                return lambda fraction, what: bars.update(task, completed=fraction, what=what)

            yield start


def _results(names: list[str], size: str, out: Path | None, quiet: bool) -> list[Any]:
    """Run experiments, storing each result as soon as it is there."""
    from accelsim import experiment, results

    chosen = experiment.select(names)
    if out is not None:
        results.prepare(out)
    found = []
    with _progress(quiet) as start:
        for name in chosen:
            report = start(name)
            found.append(experiment.run(name, size, report))
            report(1.0, "")
            if out is not None:
                results.save(found[-1], out)
    return found


_CLAIM_KEYS = ("name", "claim", "measured", "predicted", "published", "relation", "holds", "expected", "assumptions")


def _claims(found: Iterable[Any]) -> list[dict[str, Any]]:
    return [{key: getattr(result, key) for key in _CLAIM_KEYS} for result in found]


def _evidence(claim: dict[str, Any]) -> Iterator[Any]:
    """A claim, its numbers side by side, and what it assumes."""
    columns = [kind for kind in ("measured", "predicted", "published") if claim[kind]]
    labels = dict.fromkeys(label for kind in columns for label in claim[kind])
    yield f"{claim['name']}: {claim['claim']}"
    yield _table(["", *columns], [(label, *(claim[kind].get(label, "") for kind in columns)) for label in labels])
    yield "\n".join([*(f"assuming {item}" for item in claim["assumptions"]), ""])


def _claim_table(claims: list[dict[str, Any]]) -> Any:
    words = {True: "holds", False: "does not hold"}
    rows = [
        (c["name"], c["relation"], words[c["holds"]], "as expected" if c["holds"] == c["expected"] else "UNEXPECTED")
        for c in claims
    ]
    return _table(["experiment", "relation", "verdict", ""], rows)


@app.command()
def run(
    experiments: Annotated[list[str], typer.Argument(metavar="[EXPERIMENT...]", show_default=False)] = [],  # noqa: B006
    size: Size = "tiny",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Store the results here.")] = None,
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """Run experiments: measured beside predicted and published; exit 0 only if every verdict is the expected one."""
    found = _results(list(experiments), size, out, quiet)
    claims = _claims(found)

    def text() -> Any:
        from rich.console import Group

        return Group(*(part for claim in claims for part in _evidence(claim)), _claim_table(claims))

    _emit(claims, json_, text)
    if any(c["holds"] != c["expected"] for c in claims):
        sys.exit(1)


@app.command()
def figures(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of stored results.")] = Path("figures"),
    check: Annotated[bool, typer.Option("--check", help="Draw nothing; exit 1 if a drawing has drifted.")] = False,
    json_: Json = False,
) -> None:
    """Draw the figures and the gallery of stored results."""
    from accelsim import plotting

    paths = [str(path) for path in (plotting.drifted(out) if check else plotting.draw(out))]
    words = "drifted from its result" if check else "drawn"
    _emit({"drifted" if check else "drawn": paths}, json_, lambda: "\n".join(f"{path}: {words}" for path in paths))
    if check and paths:
        sys.exit(1)


@app.command()
def reproduce(
    size: Size = "tiny",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Results, figures and gallery go here.")] = Path(
        "accelsim-results"
    ),
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """The main job: verify every derivation, run every experiment, draw; exit 0 only if all is as expected."""
    from accelsim import plotting, results
    from accelsim.symbolic import verify as verification

    results.prepare(out)
    began = time.perf_counter()
    verdicts = []
    with _progress(quiet) as start:
        report = start("derivations")
        for verdict in verification.results():
            verdicts.append(verdict)
            report(len(verdicts) / len(verification.known()), verdict["name"])
    found = _results([], size, out, quiet)
    plotting.draw(out)
    claims = _claims(found)
    good = all(v["holds"] for v in verdicts) and all(c["holds"] == c["expected"] for c in claims)
    document = {"verify": verdicts, "run": claims, "out": str(out), "as_expected": good}

    def text() -> Any:
        from rich.console import Group

        rows = [(v["name"], v["status"], v["near_miss"]) for v in verdicts]
        proofs = _table(["derivation", "status", "near miss"], rows)
        seconds = time.perf_counter() - began
        verdict = "everything is as expected" if good else "NOT everything is as expected"
        close = f"{verdict}; figures and their gallery are in {out} ({seconds:.0f} s, size {size})"
        return Group(proofs, "", _claim_table(claims), "", close)

    _emit(document, json_, text)
    if not good:
        sys.exit(1)
