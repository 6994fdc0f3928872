"""Commands that predict, without sampling: rate, risk, tune."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import typer

from accelsim.cli import _completion as completion
from accelsim.cli._common import Json, Steps, Unit, app, asked, assigned, emit, lines_of, settled
from accelsim.cli._output import Out, check_out, write_out, write_run, written
from accelsim.cli._problem import OnProblem, columns_of, in_samples, on_problem, on_problem_alone
from accelsim.cli._progress import shown
from accelsim.errors import InputError, unknown

_WIDEST = 1e100  # axis of a map, last over first
_BEST = "best_constant_one_memory"
_ENVELOPE = (
    "the best constant one-memory method is accelerated SGD with beta, eta and alpha free, which returns its query"
)


@app.command(cls=OnProblem)
@on_problem
def rate(
    rule: Any,
    problem: Any,
    values: dict[str, Any],
    *,
    edge: Annotated[
        str | None,
        typer.Option(
            metavar="K",
            help="Bisect the edge of stability in K, not in the step size.",
            autocompletion=completion.hyperparameters(after=""),
        ),
    ] = None,
    mapped: Annotated[
        list[str],
        typer.Option(
            "--map",
            metavar="K=LOW:HIGH",
            help="Map tau over two of these, with --out.",
            autocompletion=completion.hyperparameters(),
        ),
    ] = [],  # noqa: B006
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The map goes here: .svg or .png.")] = None,
    json_: Json = False,
) -> None:
    """Spectral radius of the second moments, time constant tau in steps, edge of stability, and floor of the risk."""
    from accelsim.exact.stationary import rates

    _drawable(out)
    axes = _axes(rule, mapped, out)
    if out and any(name not in values and rule.hyperparameters[name].default is None for name, _, _ in axes.values()):
        if edge:
            raise InputError("--edge is at values of all hyperparameters: --set those of the map too")
        drawn = {"drawn": str(_drawn_map(rule, problem, axes, values, out)), "assumptions": problem.assumptions}
        drawn |= {"notices": list(problem.notices), "inputs": asked({rule.name: values}, problem)}
        emit(drawn, json_, lambda: "\n".join(lines_of(drawn)))
        return
    with shown(f"the rate of {rule.name}"):
        found = rates.rate(rule, problem, **values)
    notices = [*problem.notices, *_uncertain(found)]
    try:
        with shown("the floor of the risk"):
            floor = rates.floor(rule, problem, **values)
    except InputError as none:  # which is no reason to withhold the rate
        floor, notices = None, [*notices, f"no floor: {none}"]
    try:
        with shown("the edge of stability"):
            at_edge = _edge(rule, problem, [edge] if edge else rates.step_sizes_of(rule), values)
    except InputError as none:
        if edge:
            raise
        at_edge, notices = None, [*notices, f"no edge: {none}"]
    document: dict[str, Any] = {
        **vars(found),
        "edge": at_edge,
        "floor": floor,
        "assumptions": [*problem.assumptions, "floor: risk of the returned iterate, without its irreducible part"],
        "notices": notices,
        "inputs": asked({rule.name: settled(rule, values)}, problem),
    }
    if out is not None:
        document["drawn"] = str(_drawn_map(rule, problem, axes, values, out))
    told = document if found.stable is not None else {**document, "stable": "unknown"}
    emit(document, json_, lambda: "\n".join(lines_of(told)))


def _uncertain(found: Any) -> list[str]:
    """Notices on bounds of a rate that lie apart."""
    apart = found.one_minus_rho_high - found.one_minus_rho_low
    if found.stable is None:
        return ["whether the run is stable is unknown: the bounds on rho lie on both sides of 1"]
    if math.isfinite(found.rho) and not apart <= 1e-6 * abs(found.one_minus_rho) + 1e-300:
        return [f"the bounds on 1 - rho are {apart:.2g} apart, as close as float64 certifies them"]
    return []


def _lost(found: Any) -> list[str]:
    """Notice on the first step from which on the error of a risk is at least as large as the risk."""
    lost = (found.error >= found.risk) & (found.risk > sys.float_info.min)
    return [f"rounding leaves no digit of the risk after {found.steps[lost.argmax()]} steps"] if lost.any() else []


def _edge(rule: Any, problem: Any, names: list[str], values: dict[str, Any]) -> dict[str, float | None] | None:
    """The edge of stability in the first of some hyperparameters that has one."""
    from accelsim.exact.stationary import rates

    for name in names:
        found = rates.edge(rule, problem, name, **values)
        if found is not None:
            return {name: found}
    return {names[0]: None} if names else None


def _axes(rule: Any, mapped: list[str], out: Path | None) -> dict[str, Any]:
    """Values of two hyperparameters between the bounds given, as label to (name, values, their place on the axis).

    They are spaced evenly in the logarithm, for bounded ones in that of the distance from the upper bound.
    """
    import numpy as np

    axes = {}
    for name, text in assigned(mapped, "--map").items():
        if name not in rule.hyperparameters:
            raise unknown(f"hyperparameter in --map {name}:", name, rule.hyperparameters)
        try:
            low, high = (float(rule.value(name, part)) for part in text.split(":"))
        except (ValueError, TypeError):  # a schedule is no number
            raise InputError(f"--map {name}={text} must be two numbers LOW:HIGH, such as {name}=1e-3:1") from None
        bound = rule.hyperparameters[name].high
        first, last = (low, high) if bound == math.inf else (bound - high, bound - low)
        if not 0 < first < last:
            raise InputError(f"--map {name}={text} must be 0 < LOW < HIGH, HIGH below the bound of {name}")
        if last / first > _WIDEST:
            raise InputError(f"--map {name}={text} is too wide to draw: take HIGH at most {_WIDEST:g} LOW")
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
    from accelsim.exact.stationary import rates

    over = {name: along for name, along, _ in axes.values()}
    fixed = {name: value for name, value in values.items() if name not in over}
    tau = rates.over_grid(rule, problem, over, **fixed)
    if not (tau < math.inf).any():
        raise InputError("every point of the map is unstable: take smaller values")
    drawn = plotting.stability(rule.name, {label: places for label, (_, _, places) in axes.items()}, tau)
    results.prepare(out.parent)
    results.write(out, drawn[out.suffix[1:]])
    return out


@app.command(cls=OnProblem)
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
    out: Out = [],  # noqa: B006
    json_: Json = False,
) -> None:
    """Exact expected risk of the returned iterate, as bias plus variance, on log-spaced steps, after 1e9 if need be."""
    from accelsim.exact import risk as exact

    check_out(out, steps)
    if split and any(path.suffix != ".csv" for path in out):
        raise InputError("--split is written as .csv alone: the figure is of the risk over steps")
    with shown(f"the risk of {rule.name}") as report:
        found = exact.risk(
            rule, problem, steps, of, progress=lambda done: report(done / steps, f"step {done:,}"), **values
        )
    document = {
        "steps": found.steps,
        "risk": found.risk,
        "bias": found.bias,
        "variance": found.variance,
        **({"cross": found.cross} if problem.coupled else {}),
        "diverged": found.diverged,
        "way": found.way,
        "error": found.error,
        "assumptions": [*problem.assumptions, f"risk of the {exact.POINTS[of]}, without its irreducible part"],
        "notices": [*problem.notices, *_lost(found)],
        "inputs": asked({rule.name: settled(rule, values)}, problem, steps=steps, of=of),
    }
    in_samples(document, x, problem.batch)
    columns = [x, "risk", "bias", "variance", "cross", "error"]
    if split:
        document = {name: value for name, value in document.items() if name not in columns}
        columns = ["eigenvalue", *found.by_direction]
        last = {"step": found.steps[-1], "error": found.error[-1]}
        document = last | {"eigenvalue": problem.spectrum, **found.by_direction} | document
    failed = written(document, out, partial(write_run, rule.name, document, columns, x))
    emit(document, json_, lambda: columns_of(document, columns))
    if failed:
        raise failed


@app.command(cls=OnProblem)
@on_problem
def tune(
    rule: Any,
    problem: Any,
    values: dict[str, Any],
    *,
    objective: Annotated[
        str, typer.Option(metavar="rate|risk@T|steps@TARGET", help="Minimised: tau, a risk, steps to a risk.")
    ],
    names: Annotated[
        list[str],
        typer.Option(
            "--tune",
            metavar="K",
            help="Tune this one; else all not set.",
            autocompletion=completion.hyperparameters(after=""),
        ),
    ] = [],  # noqa: B006
    families: Annotated[
        list[str],
        typer.Option(
            "--schedule",
            metavar="K=FAMILY",
            help="Tune K as constant, 1/t, cosine, linear or warmup.",
            autocompletion=completion.hyperparameters(),
        ),
    ] = [],  # noqa: B006
    budget: Annotated[
        int, typer.Option(metavar="N", help="Evaluations, for the rule and for the envelope each.", min=1, max=10**7)
    ] = 2000,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the points the search starts from.")] = 0,
    max_seconds: Annotated[
        float, typer.Option(metavar="S", help="End each search after this time, with the best found.")
    ] = math.inf,
    beside: Annotated[
        bool, typer.Option("--envelope", help="The best constant one-memory method too, as --out draws it.")
    ] = False,
    out: Out = [],  # noqa: B006
    json_: Json = False,
) -> None:
    """The best hyperparameters, without sampling; Ctrl-C prints the best so far.

    With --envelope beside the best of all constant one-memory methods that return the point they query; --out writes
    the exact risks of both.
    """
    from accelsim.exact.tune import tuning

    chosen = assigned(families, "--schedule")
    check_out(out)
    if not max_seconds > 0:
        raise InputError(f"--max-seconds must be above 0, not {max_seconds:g}")
    options: dict[str, Any] = dict(budget=budget, seed=seed, seconds=max_seconds)
    unfinished, envelope, notices, begun = False, None, list(problem.notices), time.perf_counter()
    try:
        with shown(f"tuning {rule.name}") as report:
            found = tuning.tune(
                rule,
                problem,
                objective,
                names or None,
                families=chosen,
                progress=lambda done, best: report(done / budget, f"{done} of {budget}, best {best:.6g}"),
                **options,
                **values,
            )
    except tuning.Unfinished as stopped:
        found, unfinished = stopped.found, True
        notices.append(f"interrupted after {found.evaluations} of {budget} evaluations: the best so far")
    if found.evaluations < budget and time.perf_counter() - begun > max_seconds and not unfinished:
        notices.append(f"time was up after {found.evaluations} of {budget} evaluations: the best so far")
    if found.agreement > tuning.AGREED:
        notices.append(f"{rule.name}: {tuning.doubt(found)}")
    if (beside or out) and not unfinished:
        envelope, unfinished = _best(problem, objective, options, notices)
    document = {"optimizer": rule.name, "objective": objective, **vars(found)}
    document |= {"over_limit": found.over_limit, "envelope": None}
    if envelope:  # which is none of what is better
        document["envelope" if envelope.value <= found.value else _BEST] = vars(envelope)
    document["assumptions"] = [*problem.assumptions, *[_ENVELOPE] * bool(envelope)]
    document["notices"] = notices
    own, at = settled(rule, found.hyperparameters), found.hyperparameters
    asking: dict[str, Any] = {"objective": objective, "budget": budget, "seed": seed}
    given = {name: value for name, value in own.items() if name in values or name not in at}
    document["inputs"] = asked({rule.name: given}, problem, **asking)
    failed: InputError | None = None
    if out and not unfinished:
        if envelope is None:
            failed = InputError(f"there is nothing to draw beside it, so leave --out away: {notices[-1]}")
        else:
            inputs = asked({rule.name: own, _BEST: envelope.hyperparameters}, problem, **asking)
            runs = cache(partial(_tuned_runs, rule, problem, objective, found, envelope))
            failed = written(document, out, partial(_write_tuned, rule.name, runs, inputs))
    emit(document, json_, lambda: "\n".join(lines_of(document)))
    if failed:
        raise failed
    if unfinished:
        sys.exit(130)


@app.command("limit", cls=OnProblem)
@on_problem_alone
def limit_(
    problem: Any,
    *,
    steps: Steps,
    out: Out = [],  # noqa: B006
    json_: Json = False,
) -> None:
    """The least risk that any linear method can have after T stochastic gradients, and its weights.

    Of methods that move along with translations, with one step size for all coordinates: momenta, averages and
    schedules of all kinds, no preconditioner, no weight decay. Where noise grows with the error it is a bound from
    below.
    """
    from accelsim import plotting
    from accelsim.exact.limit import limit

    check_out(out, steps)
    with shown("the limit of linear methods"):
        found = limit(problem, steps)
    document: dict[str, Any] = {
        "steps": steps,
        "limit": found.limit,
        "limit_low": found.limit_low,
        "exact": found.exact,
        "weights": found.weights,
        "assumptions": problem.assumptions,
        "notices": problem.notices,
        "inputs": asked({}, problem, steps=steps),
    }

    def write(path: Path) -> str:
        columns = found.table()
        rows = [*zip(*(values.tolist() for values in columns.values()), strict=True)]
        return write_out(path, document["inputs"], [*columns], rows, partial(plotting.figure, found.plot))

    failed = written(document, out, write)
    told = {name: value for name, value in document.items() if name != "weights"}
    emit(document, json_, lambda: "\n".join(lines_of(told)))
    if failed:
        raise failed


def _best(problem: Any, objective: str, options: dict[str, Any], notices: list[str]) -> tuple[Any, bool]:
    """The best one-memory method if there is one, and whether its search was interrupted; notices are added."""
    from accelsim.exact.tune import tuning

    try:
        with shown("tuning the best one-memory method"):
            envelope = tuning.envelope(problem, objective, **options)
    except InputError as none:  # which is no reason to withhold what was found
        notices.append(f"no envelope: {none}")
        return None, False
    except KeyboardInterrupt:  # which is none either
        notices.append("the best one-memory method is left out, as its search was interrupted")
        return None, True
    if envelope.agreement > tuning.AGREED:
        notices.append(f"the best one-memory method: {tuning.doubt(envelope)}")
    return envelope, False


def _drawable(out: Path | None) -> None:
    if out is not None and out.suffix not in (".svg", ".png"):
        raise InputError(f"--out {out} is no figure: end its name in .svg or .png")


def _tuned_runs(rule: Any, problem: Any, objective: str, found: Any, beside: Any) -> dict[str, Any]:
    """The exact risks of a tuned rule and of the envelope, by what they are called."""
    from accelsim.exact import risk as exact
    from accelsim.exact.tune import goals
    from accelsim.optimizers import find

    goal, longest = goals.parse(objective), max(found.value, beside.value)
    lengths = 2 if isinstance(goal, goals.StepsTo) else 20
    steps = goal.horizon or (math.ceil(lengths * longest) if math.isfinite(longest) else 1000)
    runs = {rule.name: (rule, found), _BEST: (find("accelerated_sgd"), beside)}
    return {name: exact.risk(one, problem, steps, **tuned.hyperparameters) for name, (one, tuned) in runs.items()}


def _write_tuned(name: str, runs: Callable[[], dict[str, Any]], inputs: Mapping[str, Any], path: Path) -> str:
    """Write such risks as a table, a row a rule and step, or as a figure; its name."""
    from accelsim import plotting

    found = runs()
    rows = [[n, *row] for n, r in found.items() for row in zip(r.steps.tolist(), r.risk.tolist(), strict=True)]
    drawn = [(risk.steps, risk.risk) for risk in (found[name], found[_BEST])]
    draw = partial(plotting.figure, lambda axes: plotting.against_envelope(axes, name, *drawn))
    return write_out(path, inputs, ["optimizer", "steps", "risk"], rows, draw)
