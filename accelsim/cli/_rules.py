"""Commands about rules: list, show, canonical, equivalent, verify."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from accelsim.cli import _completion as completion
from accelsim.cli._common import (
    Json,
    Name,
    Rules,
    Set,
    app,
    asked,
    assigned,
    emit,
    fixed,
    lines_of,
    load,
    optimizer_of,
    settled,
    table_of,
)
from accelsim.cli._output import FORMS, check_out, finite, write_out
from accelsim.cli._problem import OnProblem, by_rule, on_problem
from accelsim.errors import InputError

_DAY = 86400.0  # seconds: what a process is waited for at most


@app.command("list")
def list_(json_: Json = False, rules: Rules = []) -> None:  # noqa: B006 (typer reads the default, nobody changes it)
    """The optimizers, problems, derivations and experiments there are."""
    from accelsim import experiment, optimizers, problems
    from accelsim.optimizers.averaging import COMBINATORS
    from accelsim.symbolic import verify

    load(rules)
    for fault in optimizers.faults():
        typer.echo(f"accelsim: left out: {fault}", err=True)
    found: dict[str, dict[str, str]] = {
        "optimizers": {name: optimizer.doc for name, optimizer in optimizers.known().items()},
        "combinators": {f"{name}(OPTIMIZER)": _first_line(wrap) for name, wrap in sorted(COMBINATORS.items())},
        "problems": {name: _first_line(problem) for name, problem in problems.known().items()},
        "derivations": {name: module.CLAIM for name, module in verify.known().items()},
        "experiments": {name: module.CLAIM for name, module in experiment.known().items()},
    }

    def text() -> Any:
        from rich.console import Group

        return Group(*(table_of([kind, ""], [*named.items(), ("", "")]) for kind, named in found.items()))

    emit({kind: list(named) for kind, named in found.items()}, json_, text)


def _first_line(thing: Any) -> str:
    """The first line of what a docstring says."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


@app.command(cls=OnProblem)
@partial(on_problem, default="quadratic")
def show(
    rule: Any,
    problem: Any,
    values: dict[str, str],
    *,
    latex_: Annotated[bool, typer.Option("--latex", help="A LaTeX document of rule and derivation instead.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the canonical coefficients over t instead.")] = False,
    response: Annotated[
        bool, typer.Option("--response", help="The weights of past gradients in step T instead: drawn with --out.")
    ] = False,
    beside: Annotated[
        list[str],
        typer.Option(
            "--with",
            metavar="OPTIMIZER",
            help="Another rule in the same drawing of --response.",
            autocompletion=completion.rules,
        ),
    ] = [],  # noqa: B006
    steps: Annotated[int, typer.Option(metavar="T", help="Steps drawn.", min=2)] = 1000,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR", help="Table (.csv) or figure (.svg, .png, .pdf) of what is drawn, or a folder for it."
        ),
    ] = None,
    kernel: Annotated[
        Literal["numba", "cuda"] | None, typer.Option(help="The source of its step on the problem instead.")
    ] = None,
    json_: Json = False,
) -> None:
    """The rule, its matrices, its normal form, LaTeX, and its source as BibTeX; or its document, drawing or kernel."""
    if (kernel is not None) + latex_ + plot + response > 1:
        raise InputError("--latex, --plot, --kernel and --response each show something else: give one of them")
    if beside and not response:
        raise InputError("--with is for --response: other rules are shown one at a time")
    if out and not plot | response:
        raise InputError("--out is for a drawing: add --plot or --response")
    if out and out.suffix:
        check_out([out])
    if kernel is not None:
        source = _kernel(rule, problem, values, kernel)
        inputs = asked({rule.name: fixed(rule, values)}, problem)
        print(json.dumps({"kernel": kernel, "source": source, "inputs": inputs})) if json_ else print(source, end="")
    elif latex_:
        from accelsim.symbolic.latex.document import document

        text = document(rule, **values)
        inputs = asked({rule.name: fixed(rule, values)})
        print(json.dumps({"document": text, "inputs": inputs})) if json_ else print(text, end="")
    elif plot:
        emit(*_drawn(rule, values, steps, out or Path("."), json_))
    elif response:
        chosen = {rule.name: rule} | {name: optimizer_of(name, ()) for name in beside}
        if len({each.name for each in chosen.values()}) <= len(beside):
            raise InputError("a rule is shown once: give --with the names of others")
        _respond(chosen, by_rule(chosen, values), steps, out, json_)
    else:
        _show(rule, values, json_)


def _kernel(rule: Any, problem: Any, values: Mapping[str, str], language: str) -> str:
    """The source of a step in double precision, after what its numbers stand for."""
    from accelsim.simulation.cuda_source import CudaWriter
    from accelsim.simulation.joined import joined
    from accelsim.simulation.layout import Layout
    from accelsim.simulation.numba_source import Writer

    step = joined(rule, problem, {name: rule.value(name, value) for name, value in values.items()})
    cuda = language == "cuda"
    writer = CudaWriter(step, "float64") if cuda else Writer(step, Layout(problem.dim, "float64"))
    legend = [
        f"{'//' if cuda else '#'} {what}: {', '.join(f'{number} {name}' for number, name in enumerate(names))}\n"
        for what, names in writer.slots.legend().items()
        if names
    ]
    return "".join([*legend, writer.source])


def _drawn(
    rule: Any, values: dict[str, str], steps: int, out: Path, json_: bool
) -> tuple[Any, bool, Callable[[], Any]]:
    from accelsim import plotting
    from accelsim.symbolic.system.coefficients import coefficients

    found = coefficients(rule, steps, **values)
    series = {name: getattr(found, name) for name in ("beta", "eta", "alpha")}
    inputs = asked({rule.name: settled(rule, values)}, steps=steps)
    draw = partial(plotting.coefficients, rule.name, **series)
    paths = _saved(out, f"{rule.name}_coefficients", inputs, series, draw)
    document = {"drawn": paths, "assumptions": list(found.assumptions), "inputs": inputs}
    return document, json_, lambda: "\n".join(lines_of(document))


def _respond(
    chosen: Mapping[str, Any], values: Mapping[str, Mapping[str, str]], step: int, out: Path | None, json_: bool
) -> None:
    """Print what rules remember at a step, and draw it or write it as a table."""
    import numpy as np

    from accelsim import plotting
    from accelsim.exact.response import response

    found = [response(rule, step, **values[rule.name]) for rule in chosen.values()]
    series = {each.optimizer: each.weights for each in found}
    keys = ("total", "mean_age", "effective_sample_size")
    document: dict[str, Any] = {
        "step": step,
        "rules": [
            {
                "optimizer": each.optimizer,
                "hyperparameters": settled(rule, values[rule.name]),
                "weights": each.weights,
            }
            | {key: finite(getattr(each, key)) for key in keys}
            for each, rule in zip(found, chosen.values(), strict=True)
        ],
        "assumptions": ["weights by age in w(step) - w(step + 1), w the point where gradients are taken"],
        "inputs": asked({rule.name: settled(rule, values[rule.name]) for rule in chosen.values()}, step=step),
    }
    if out:
        draw = partial(plotting.rendered, lambda whole: plotting.responses(whole, step, series))
        table = {"age": np.arange(step + 1), **series}
        document["written"] = _saved(out, f"{'_'.join(series)}_response", document["inputs"], table, draw)

    def text() -> Any:
        from rich.console import Group

        rows = [(rule["optimizer"], *(rule[key] for key in keys)) for rule in document["rules"]]
        table = table_of(["rule", "sum of weights", "mean age in steps", "effective sample size"], rows)
        rest = {key: value for key, value in document.items() if key != "rules"}
        return Group(table, "", "\n".join(lines_of(rest)))

    emit(document, json_, text)


def _saved(
    out: Path, name: str, inputs: Mapping[str, Any], series: Mapping[str, Any], draw: Callable[..., dict[str, bytes]]
) -> list[str]:
    """Write arrays of one length as a table or figure, or their figure of that name into a folder; what was written."""
    from accelsim import plotting

    if out.suffix not in FORMS:
        return list(map(str, plotting.save(draw(), out, name)))
    rows = zip(*(values.tolist() for values in series.values()), strict=True)
    return [write_out(out, inputs, list(series), rows, lambda form: draw(forms=[form])[form])]


def _show(rule: Any, values: Mapping[str, str], json_: bool) -> None:
    from accelsim.symbolic.latex import writer as latex
    from accelsim.symbolic.system.tableau import tableau

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
        "inputs": asked({rule.name: fixed(rule, values)}),
    }

    def text() -> str:
        lines = [document["rule"].rstrip(), ""]
        lines += [f"{name}: {h['range']}, default {h['default']}" for name, h in document["hyperparameters"].items()]
        lines += ["", f"linear states: {', '.join(found.states)}"]
        lines += [f"not linear: {found.nonlinearity}"] if found.nonlinearity else []
        lines += [f"{name} = {matrix}" for name, matrix in document["matrices"].items()]
        lines += ["", *lines_of(canonical), "", *document["latex"].values(), "", document["bibtex"]]
        return "\n".join(lines)

    emit(document, json_, text)


def _canonical_or_reason(rule: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    from accelsim.symbolic.system.normal_form import canonical

    try:
        return canonical(rule, **values).to_json()
    except InputError as error:
        return {"reason": str(error)}


@app.command()
def canonical(optimizer: Name, set_: Set = [], json_: Json = False, rules: Rules = []) -> None:  # noqa: B006
    """The normal form as accelerated SGD: beta_t, eta_t, alpha_t; the block form where there are more memories."""
    from accelsim.symbolic.system import normal_form

    rule, values = optimizer_of(optimizer, rules), assigned(set_)
    found = normal_form.canonical(rule, **values)
    document = {**found.to_json(), "inputs": asked({rule.name: fixed(rule, values)})}
    emit(document, json_, lambda: "\n".join(lines_of(document)))


@app.command()
def equivalent(
    a: Annotated[str, typer.Argument(metavar="A", show_default=False, autocompletion=completion.rules)],
    b: Annotated[str, typer.Argument(metavar="B", show_default=False, autocompletion=completion.rules)],
    set_a: Annotated[
        list[str],
        typer.Option(
            "--set-a",
            metavar="K=V",
            help="A hyperparameter of A.",
            autocompletion=completion.hyperparameters(slice(0, 1)),
        ),
    ] = [],  # noqa: B006
    set_b: Annotated[
        list[str],
        typer.Option(
            "--set-b",
            metavar="K=V",
            help="A hyperparameter of B.",
            autocompletion=completion.hyperparameters(slice(1, 2)),
        ),
    ] = [],  # noqa: B006
    free: Annotated[
        list[str], typer.Option("--free", metavar="NAME", help="A recurrence that may be any function of t.")
    ] = [],  # noqa: B006
    returned: Annotated[bool, typer.Option("--returned", help="Compare what the rules return, too.")] = False,
    budget: Annotated[
        float | None,
        typer.Option(
            help="Units of work, each about a second: the same answer on every machine. [default: 10]", min=0, max=1e6
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="End the search after so many seconds, decided or not.", min=0)
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="A LaTeX document of the answer instead.")] = False,
    fragment: Annotated[
        bool, typer.Option("--fragment", help="What is inside that document instead, for one of yours.")
    ] = False,
    json_: Json = False,
    rules: Rules = [],  # noqa: B006
) -> None:
    """Whether A is B at some choice of B's hyperparameters: map and transform, or a refutation; exit 0 either way."""
    from accelsim.symbolic.find import finder
    from accelsim.symbolic.find.answer import UNDECIDED, Answer
    from accelsim.symbolic.find.outcome import BUDGET

    one, other = (optimizer_of(name, rules) for name in (a, b))
    known = assigned(set_a), assigned(set_b)
    budget = BUDGET if budget is None else budget
    if seconds is None:
        found = finder.equivalent(one, other, *known, returned=returned, free=free, budget=budget)
    else:
        named = {"--set-a": set_a, "--set-b": set_b, "--free": free, "--rules": rules}
        options = [part for option, values in named.items() for value in values for part in (option, value)]
        flags = {"--returned": returned, "--json": json_, "--latex": latex, "--fragment": fragment}
        options += [*(flag for flag, on in flags.items() if on), "--budget", str(budget)]
        if _ended([a, b, *options], seconds):
            return
        found = Answer(one, other, UNDECIDED, reason=f"not decided within {seconds:g} s: --seconds asks for more")
    settings = {end: fixed(rule, values, free) for end, rule, values in zip("ab", (one, other), known, strict=True)}
    inputs = asked(settings, returned=returned, free=free, budget=budget)
    if latex or fragment:
        text, kind = found.to_latex(fragment), "fragment" if fragment else "document"
        print(json.dumps({kind: text, "inputs": inputs})) if json_ else print(text, end="")
        return
    emit({**found.to_json(), "inputs": inputs}, json_, lambda: "\n".join(lines_of(found.to_text())))


def _ended(arguments: list[str], seconds: float) -> bool:
    """Whether a question that is asked in a process of its own is answered in time; the answer is passed on."""
    command = [sys.executable, "-P", "-m", "accelsim", "equivalent", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=min(seconds, _DAY), stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    typer.echo(done.stdout, nl=False)
    typer.echo(done.stderr, nl=False, err=True)
    if done.returncode:
        raise typer.Exit(done.returncode)
    return True


@app.command()
def verify(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME...]", show_default=False, autocompletion=completion.modules("accelsim.derivations")
        ),
    ] = [],  # noqa: B006
    coq: Annotated[bool, typer.Option("--coq", help="Have Coq's kernel check the proofs, where it is.")] = False,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check what `equivalent --json` printed, and nothing else.")
    ] = None,
    json_: Json = False,
    rules: Rules = [],  # noqa: B006
) -> None:
    """Check the derivations and refute their near misses; exit 0 only if every verdict is the expected one."""
    from accelsim.symbolic import verify as verification

    if certificate is not None:
        _verify_certificate(certificate, rules, coq, json_)
        return
    verdicts = verification.verify(list(names) or None, coq)

    def text() -> Any:
        from rich.console import Group

        keys = ["name", "status", "near_miss"] + ["coq"] * coq
        told = ({**v, "status": verification.told(v)} for v in verdicts)
        rows = [(*(v[key] for key in keys), f"{v['seconds']:.2f}") for v in told]
        table = table_of(["derivation", "status", "near miss", *keys[3:], "seconds"], rows)
        axioms = sorted({axiom for v in verdicts for axiom in v.get("coq_axioms", ())})
        notes = ["", f"Coq's proofs rest on {', '.join(axioms)}"] if axioms else []
        for v in verdicts:
            notes += ["", f"{v['name']}: {v['claim']}"]
            notes += [f"  assuming {item}" for item in v["assumptions"]] + [f"  if {item}" for item in v["conditions"]]
            notes += [f"  failed: {v['error']}"] if v["error"] else []
            notes += [f"  coq: {v['coq_message']}"] if v.get("coq_message") else []
            notes += [f"  coq has not checked {item}" for item in v.get("coq_unchecked", ())]
        return Group(table, "\n".join(notes))

    emit(verdicts, json_, text)
    if not all(v["holds"] for v in verdicts):
        sys.exit(1)


def _verify_certificate(path: Path, rules: list[str], coq: bool, json_: bool) -> None:
    """Check a stored certificate without searching for anything; exit 1 unless it holds, and Coq, if asked, agrees."""
    from accelsim.symbolic.certify.process import verify_file

    more: dict[str, Any] = {}
    if coq:
        from accelsim.symbolic.coq.certificate import check_file

        found, proof = check_file(path, rules)
        more = proof.to_json()
    else:
        found = verify_file(path, rules)
    verdict = {"certificate": str(path), "holds": found.holds, "reason": found.reason, **more}
    emit(verdict, json_, lambda: "\n".join(lines_of(verdict)))
    if not found.holds or (coq and not more["coq"].startswith(("checked", "absent"))):
        sys.exit(1)
