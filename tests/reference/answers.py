"""A question put to the tool and to the references."""

import numpy as np

import accelsim
from reference import inputs, limit, long_runs, moments, radius, rules, search, verdict


def judge(asked):
    """(verdict, reason) on what the tool answers; ``skipped`` where there is no reference."""
    return {"rate": _rate, "risk": _risk, "tune": _tune}[asked.kind](asked)


def _rate(asked):
    try:
        true = radius.gap(asked.rule, asked.problem, **asked.values)
    except NotImplementedError as none:
        return "skipped", str(none)
    found, refusal = verdict.asked(accelsim.rate, asked.rule, asked.problem, **asked.values)
    return ("refused", refusal) if refusal else verdict.of_rate(found, true)


def _risk(asked):
    arguments = asked.rule, asked.problem, asked.steps
    try:
        if asked.long and _grows(asked):
            return "skipped", "a long run that grows"
        true = None if asked.long else moments.risks(*arguments, asked.of, **asked.values)
    except NotImplementedError as none:
        return "skipped", str(none)
    found, refusal = verdict.asked(accelsim.risk, *arguments, asked.of, **asked.values)
    if refusal:
        return "refused", refusal
    if asked.long:
        places, first = [len(found.steps) - 1], asked.event[1] if asked.event else 0
        places += [
            k for k in [int(np.searchsorted(found.steps, first)), len(found.steps) // 2] if found.steps[k] >= first
        ]
        setting = asked.rule, asked.problem
        each = [long_runs.risk_at(*setting, int(found.steps[k]), asked.event, **asked.values) for k in places]
        true = moments.Risks(*np.array(each, dtype=object).T)
        return verdict.of_risk(found, true, places)
    steps = found.steps
    true = moments.Risks(true.risk[steps], true.bias[steps], true.variance[steps])
    return verdict.of_risk(found, true)


def _grows(asked):
    if asked.event is None:
        return radius.gap(asked.rule, asked.problem, **asked.values) >= 0
    quiet = rules.step_at(asked.rule, asked.values, 0)
    return radius.gap_of(quiet, inputs.read(asked.problem)) >= 0


def _tune(asked):
    setting = asked.rule, asked.problem, asked.objective
    try:
        bound, _ = search.best(*setting, asked.names, asked.values)
    except NotImplementedError as none:
        return "skipped", str(none)
    found, refusal = verdict.asked(accelsim.tune, *setting, asked.names, **asked.values)
    if refusal:
        return "refused", refusal
    own = search.value_of(*setting, **{**asked.values, **found.hyperparameters})
    least, scale = None, 0.0
    if asked.objective.startswith("risk@"):
        scale = float(moments.risks(asked.rule, asked.problem, 0, **{**asked.values, **found.hyperparameters}).risk[0])
    noisy = asked.problem.name == "quadratic" and asked.problem.grad_noise > 0
    if noisy and asked.objective.startswith("risk@"):
        least = limit.least_risk(asked.problem, int(asked.objective.partition("@")[2]))
    return verdict.of_tuned(found, own, bound, least, scale)
