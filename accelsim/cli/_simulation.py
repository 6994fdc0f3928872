"""The command that measures: simulate."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from accelsim.cli._common import Json, Steps, Unit, app, emit
from accelsim.cli._problem import columns_of, in_samples, on_problem


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
    from accelsim.simulation import driver

    found = driver.simulate(rule, problem, steps, seeds, seed=seed, backend=backend, dtype=dtype, **values)
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
    in_samples(document, x, problem.batch)
    if exact:
        predicted = moments.risk(rule, problem, steps, **values)
        document |= {"exact": predicted.risk, "z": stats.z_scores(found, predicted.risk)}
    table = {k: v for k, v in document.items() if k != "quantiles"}
    emit(document, json_, lambda: columns_of(table, [x, "risk", "standard_error", "diverged", "exact", "z"]))
