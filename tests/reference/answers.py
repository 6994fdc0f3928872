"""A question put to the tool and to the references."""

import numpy as np

import accelsim
from accelsim.exact.stationary import rates
from reference import edges, floors, inputs, limit, long_runs, moments, radius, rules, search, verdict

TOUCH = 1e-9
MOST_FOLLOWED = 3000  # steps of a tuned run


def judge(asked):
    """(verdict, reason) on what the tool answers; ``skipped`` where there is no reference."""
    return {"rate": _rate, "risk": _risk, "floor": _floor, "edge": _edge, "tune": _tune}[asked.kind](asked)


def _rate(asked):
    try:
        true = radius.gap(asked.rule, asked.problem, **asked.values)
    except NotImplementedError as none:
        return "skipped", str(none)
    found, refusal = verdict.asked(accelsim.rate, asked.rule, asked.problem, **asked.values)
    return ("refused", refusal) if refusal else verdict.of_rate(found, true)


def _floor(asked):
    found, refusal = verdict.asked(rates.floor, asked.rule, asked.problem, **asked.values)
    if refusal:
        return "refused", refusal
    try:
        true, gap = floors.floor(asked.rule, asked.problem, **asked.values)
    except NotImplementedError as none:
        return "skipped", str(none)
    return verdict.of_floor(found, true, gap, _first(asked.rule, asked.problem, asked.values))


def _first(rule, problem, values):
    """The risk before the first step."""
    return float(moments.risks(rule, problem, 0, **values).risk[0])


def _edge(asked):
    setting = asked.rule, asked.problem, asked.name
    found, refusal = verdict.asked(rates.edge, *setting, **asked.values)
    if refusal:
        return "refused", refusal
    try:
        why = edges.fault(*setting, found, **asked.values)
    except NotImplementedError as none:
        return "skipped", str(none)
    return ("wrong", why) if why else ("right", "")


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
    found, refusal = verdict.asked(accelsim.tune, *setting, asked.names, **asked.values)
    most = search.STEPS if refusal else min(search.STEPS, int(found.value))
    try:
        bound, _ = search.best(*setting, asked.names, asked.values, most)
    except NotImplementedError as none:
        return "skipped", str(none)
    if refusal:
        reached = asked.objective.startswith("steps@") and bound < np.inf
        return ("wrong", f"{refusal}; but a grid finds {bound} steps") if reached else ("refused", refusal)
    values = {**asked.values, **found.hyperparameters}
    if asked.objective.startswith("steps@"):
        return _of_steps(asked, found, values, bound)
    own = search.value_of(*setting, **values)
    risk = asked.objective.startswith("risk@")
    scale = _first(asked.rule, asked.problem, values) if risk else 0.0
    noisy = asked.problem.name == "quadratic" and asked.problem.grad_noise > 0
    least = limit.least_risk(asked.problem, int(asked.objective.partition("@")[2])) if noisy and risk else None
    return verdict.of_tuned(found, own, bound, least, scale)


def _of_steps(asked, found, values, bound):
    """A risk that touches its target within roundings may count as there or not."""
    if found.value > MOST_FOLLOWED:
        return "skipped", "too many steps to follow"
    target, steps = float(asked.objective.partition("@")[2]), int(found.value)
    touched, passed = (
        search.first_step(asked.rule, asked.problem, target * (1 + by), steps + 1, **values) for by in (TOUCH, -TOUCH)
    )
    return verdict.of_steps(found.value, touched, passed, bound)
