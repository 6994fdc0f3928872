"""Random small questions of all `KINDS`, many of them where numbers are hard, each from (seed, place)."""

import math
import random
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from accelsim import optimizers
from accelsim.optimizers.averaging import COMBINATORS
from accelsim.problems import make
from reference.own_rules import OWN
from reference.rules import constant_step
from reference.search import rough

# What a hyperparameter is, by rule.
CONSTANT = {
    "sgd": dict(lr="step"),
    "heavy_ball": dict(lr="step", beta="momentum"),
    "nesterov": dict(lr="step", beta="momentum"),
    "accelerated_sgd": dict(eta="step", alpha="step", beta="momentum"),
    "accsgd": dict(lr="step", kappa="large", xi="large"),
    "aggmo": dict(lr="step", beta1="momentum", beta2="momentum"),
    "agnes": dict(lr="step", alpha="step", rho="momentum"),
    "ademamix_sgd": dict(lr="step", beta1="momentum", beta3="momentum", alpha="gain"),
    "jain": dict(alpha="weight", beta="weight", gamma="step", delta="step"),
    "mars_sgd": dict(lr="step", beta="momentum", gamma="gain"),
    "mars_exact_sgd": dict(lr="step", beta="momentum", gamma="gain"),
    "mass": dict(eta1="step", eta2="step", gamma="momentum"),
    "qhm": dict(lr="step", beta="momentum", nu="weight"),
    "simplified_ademamix_sgd": dict(lr="step", beta="momentum", alpha="gain"),
    "triple_momentum": dict(alpha="step", beta="momentum", gamma="gain", delta="gain"),
    "schedule_free": dict(lr="step", beta="weight", c="weight"),
    "ema(sgd)": dict(lr="step", decay="momentum"),
    "ema(heavy_ball)": dict(lr="step", beta="momentum", decay="momentum"),
    "extragradient": dict(lr="step", ahead="step"),
    "optimistic": dict(lr="step", past="step"),
    "with_dead_memory": dict(lr="step", beta="momentum"),
    "with_idle_states": dict(lr="step", beta="momentum"),
    "decayed": dict(lr="step", beta="momentum", decay="gain"),
    "shrunk_pair": dict(lr="step", beta="momentum", decay="gain"),
}
IN_TIME = {
    "schedule_free": dict(lr="step", beta="weight"),
    "acsa": dict(lr="step"),
    "dana": dict(g2="step", g3="step", delta="large"),
    "tail_average(sgd)": dict(lr="step"),
    "tail_average(heavy_ball)": dict(lr="step", beta="momentum"),
    "lookahead(sgd)": dict(lr="step", slow="weight"),
    "lookahead(heavy_ball)": dict(lr="step", beta="momentum", slow="weight"),
    "windowed": dict(lr="step", beta="weight", power="gain"),
    "tail_average(windowed)": dict(lr="step", beta="weight", power="gain"),
}
STATES = {"sgd": 1, "extragradient": 1, "accsgd": 2, "windowed": 3, "ademamix_sgd": 3, "mars_exact_sgd": 3}
STATES |= {"mars_sgd": 3, "aggmo": 3, "triple_momentum": 3, "ema(heavy_ball)": 3, "tail_average(heavy_ball)": 3}
STATES |= {"lookahead(heavy_ball)": 3, "tail_average(windowed)": 4, "with_idle_states": 3}
STATES |= {"decayed": 3, "shrunk_pair": 3}
KINDS = dict(rate=0.4, risk=0.4, floor=0.12, edge=0.06, tune=0.02)
PROBLEMS = ("quadratic", "linear_regression", "independent", "one_hot", "plrf", "dataset")
SETTINGS = ("ordinary", "ordinary", "critical", "edge", "tiny", "large batch", "boundary", "swelling", "near one")
RISING = ("{p}*cosine(t,{n})", "{p}*linear(t,{n})", "{p}*warmup(t,{n})", "{p}/(1+t/{n})", "{p}/sqrt(t+1)")
FORMS = (*RISING, "{p}*(1+cos(t))", "{p}+{p}*exp(-((t-{n})/2)**2)")
TABLES = ("normal", "repeated", "dominant", "collinear", "dependent")


@dataclass
class Question:
    """One question: `kind` is one of `KINDS`; `long` a risk after so many steps that they are not followed.

    `name` is the hyperparameter of an edge, `event` are the steps between which the coefficients of a long run vary.
    """

    kind: str
    rule: object
    problem: object
    options: dict
    values: dict
    setting: str
    steps: int = 0
    of: str = "returned"
    long: bool = False
    event: tuple | None = None
    objective: str = ""
    names: list = field(default_factory=list)
    name: str = ""

    def __str__(self):
        command = "rate" if self.kind in ("floor", "edge") else self.kind
        words = [command, repr(str(self.rule)) if "(" in str(self.rule) else str(self.rule)]
        words += [f"--set {k}={v!r}" for k, v in self.values.items()]
        words += [f"--{k.replace('_', '-')} {_text(v)}" for k, v in self.options.items() if v is not None]
        if self.kind == "risk":
            words += [f"--steps {self.steps}"] + ["--of query"] * (self.of == "query")
        if self.kind == "edge":
            words += [f"--edge {self.name}"]
        if self.kind == "tune":
            words += [f"--objective {self.objective}"]
        return " ".join(words)


def _text(value):
    return str(value.tolist()).replace(" ", "") if isinstance(value, np.ndarray) else str(value)


def find(name):
    """A shipped rule, a combinator of one, or one of our own."""
    outer, bracket, inner = name.partition("(")
    if bracket and inner[:-1] in OWN:
        return COMBINATORS[outer](OWN[inner[:-1]])
    return OWN.get(name) or optimizers.find(name)


def question(seed, place, folder):
    """The question of that place; tables are written into a folder."""
    chance = random.Random(f"{seed}/{place}")
    kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
    if kind == "tune":
        return _tuning(chance, folder, place)
    long = kind == "risk" and chance.random() < 0.1
    roles = CONSTANT if kind != "risk" or long or chance.random() < 0.5 else IN_TIME
    name = chance.choice(list(roles))
    rule, setting = find(name), chance.choice(SETTINGS)
    problem, options = _problem(chance, setting, STATES.get(name, 2), folder, place, not long, kind == "floor")
    values = {k: _value(chance, role, problem, setting, long) for k, role in roles[name].items()}
    asked = Question(kind, rule, problem, options, values, setting, long=long)
    if setting == "critical" and roles is CONSTANT:
        _make_critical(chance, asked, roles[name])
    if setting == "edge" and kind != "risk":
        with suppress(NotImplementedError):
            _to_the_edge(chance, asked, roles[name])
    if kind == "risk":
        _make_run(chance, asked, roles[name])
    if kind == "edge":
        asked.name = chance.choice(list(roles[name]))
    return asked


def _make_run(chance, asked, roles):
    most = 1.7 if asked.problem.coupled else 2.48
    asked.steps = round(10 ** chance.uniform(0.3, most))
    asked.of = chance.choice(["returned", "returned", "query"]) if not asked.long else "returned"
    if asked.long:
        asked.steps = round(10 ** chance.uniform(3.5, 9))
        if chance.random() < 0.2 and not str(asked.rule).startswith("with_"):
            asked.steps = min(asked.steps, round(10 ** chance.uniform(3.5, 6)))
            _add_event(chance, asked, roles)
    elif chance.random() < 0.3:
        name = chance.choice([k for k, role in roles.items() if role == "step"])
        peak, length = asked.values[name], chance.randint(2, asked.steps + 1)
        asked.values[name] = chance.choice(FORMS).format(p=repr(peak), n=length)
    names = asked.rule.hyperparameters
    if "start" in names and chance.random() < 0.5:
        asked.values["start"] = chance.randint(0, asked.steps)
    if "period" in names:
        asked.values["period"] = chance.randint(1, 7)


def _add_event(chance, asked, roles):
    """A short swelling of a step size, somewhere in a long run."""
    name = chance.choice([k for k, role in roles.items() if role == "step"])
    middle, width = chance.randint(200, asked.steps - 200), chance.choice([0.5, 1, 3])
    radius = math.ceil(18 * width)  # beyond it exp(-18^2) is less than what is kept
    low = asked.values[name]
    asked.values[name] = f"{low!r}+{low * chance.uniform(-0.9, 9)!r}*exp(-((t-{middle})/{width})**2)"
    asked.event = (middle - radius, middle + radius + 1)


def _tuning(chance, folder, place):
    name = chance.choice(["sgd", "heavy_ball", "nesterov", "schedule_free", "ema(sgd)", "simplified_ademamix_sgd"])
    objective = chance.choice(["rate" if name != "schedule_free" else "risk", "risk", "steps"])
    if objective == "risk":
        objective = f"risk@{chance.randint(3, 30)}"
    names = dict(sgd=["lr"], heavy_ball=["lr", "beta"], nesterov=["lr", "beta"], schedule_free=["lr", "beta"])
    names = names.get(name, ["lr", "decay"] if name == "ema(sgd)" else ["lr", "beta"])
    problem, options = _problem(chance, "ordinary", 2, folder, place)
    values = dict(alpha=10 ** chance.uniform(-1, 1)) if name.startswith("simplified") else {}
    if objective == "steps":
        first = float((problem.spectrum * (problem.start @ _basis(problem)) ** 2).sum() / 2)
        objective = f"steps@{first * 10 ** chance.uniform(-2.5, -0.1)!r}"
    return Question("tune", find(name), problem, options, values, "tuning", objective=objective, names=names)


def _basis(problem):
    return np.eye(problem.dim) if problem.basis is None else problem.basis


def _problem(chance, setting, states, folder, place, table=True, noisy=False):
    name = chance.choice([*PROBLEMS, "dataset"] if table else PROBLEMS[:-1])
    batch = round(2 ** chance.uniform(10, 50)) if setting == "large batch" else chance.choice([1, 1, 2, 3, 8, 64, 4096])
    dim = chance.randint(1, max(1, min(4, 6 // states) if states > 1 else 4))
    options = dict(problem=name, batch=batch)
    noise = chance.choice([0.0, 10 ** chance.uniform(-6, 1)] + [10 ** chance.uniform(-6, 1)] * 6 * noisy)
    if name == "dataset":
        options.update(data=_table(chance, folder, place, dim), target=dim)
    elif name == "plrf":
        options.update(dim=dim, data_exponent=chance.uniform(0.1, 1.3), target_exponent=chance.uniform(-0.5, 1.5))
        if chance.random() < 0.7:
            options.update(features_seed=chance.randrange(10**6))
    else:
        options.update(_spectrum(chance, dim))
        options["grad_noise" if name == "quadratic" else "label_noise"] = noise
        if chance.random() < 0.3:
            options["init"] = np.array([chance.gauss(0, 10 ** chance.uniform(-2, 2)) for _ in range(dim)])
    if name == "quadratic" and chance.random() < 0.3:
        options["noise_shape"] = "I"
    if name == "independent":
        options["kurtosis"] = chance.choice([1.0, 3.0, 1 + 10 ** chance.uniform(-2, 2)])
    if name == "one_hot" and dim > 1 and chance.random() < 0.5:
        raw = [chance.uniform(0.05, 1) for _ in range(dim)]
        options["probabilities"] = np.array([x / sum(raw) for x in raw])
    given = {k: v for k, v in options.items() if k != "problem"}
    return make(name, **given), options


def _spectrum(chance, dim):
    form = chance.choice(["power", "geometric", "array", "repeated"])
    if form == "power":
        return dict(dim=dim, spectrum=f"power:{chance.uniform(0, 3)!r}")
    if form == "geometric":
        return dict(dim=dim, spectrum=f"geometric:{10 ** chance.uniform(0, 4)!r}")
    scale = 10 ** chance.uniform(-3, 3)
    lam = [scale * 10 ** chance.uniform(-3, 0) for _ in range(dim)]
    if form == "repeated":
        lam = [chance.choice(lam) for _ in range(dim)]
    return dict(spectrum=np.array(lam))


def _table(chance, folder, place, features):
    kind, rows = chance.choice(TABLES), chance.randint(features + 2, 10)
    table = [[chance.gauss(0, 1) for _ in range(features + 1)] for _ in range(rows)]
    if kind == "repeated":
        table = [list(chance.choice(table)) for _ in range(rows)]
    if kind == "dominant":
        scale = 10 ** chance.uniform(1, 3)
        table[0] = [scale * value for value in table[0]]
    if kind in ("collinear", "dependent") and features > 1:
        off = 10 ** chance.uniform(-4, -1) if kind == "collinear" else 0
        for row in table:
            row[1] = 2 * row[0] + off * row[1]
    if any(len({row[k] for row in table}) < 2 for k in range(features + 1)):
        table = [[value + chance.gauss(0, 1) for value in row] for row in table]
    path = Path(folder) / f"table-{place}.npy"
    np.save(path, np.array(table))
    return str(path)


def _scale(problem):
    """A step size that is large without noise, and small enough for the noise of a batch."""
    lam = np.asarray(problem.spectrum, float)
    noise = lam.sum() / problem.batch if problem.multiplicative else 0
    return float(1 / (lam.max() + noise))


def _value(chance, role, problem, setting, long):
    if setting == "boundary" and chance.random() < 0.4:
        ends = dict(step=[0.0, 1e-300, 1e-12], momentum=[0.0, 1e-12, 1 - 1e-9, 1 - 2**-53], weight=[0.0, 1.0, 1e-9])
        ends |= dict(gain=[0.0, 1e-9, 1e3], large=[1.0, 1e6])
        return chance.choice(ends[role])
    if role == "step":
        low, high = dict(tiny=(-9, -4), swelling=(0, 1.2)).get(setting, (-3, 0.5))
        return _scale(problem) * 10 ** chance.uniform(low, high)
    if setting == "near one" and role in ("momentum", "weight") and chance.random() < 0.7:
        return 1 - 10 ** chance.uniform(-12, -5)
    if role == "momentum":
        return 1 - 10 ** chance.uniform(-9 if long else -4, 0)
    if role == "weight":
        return chance.choice([chance.random(), 10 ** chance.uniform(-4, 0), 1 - 10 ** chance.uniform(-4, 0)])
    return 10 ** (chance.uniform(-2, 1) if role == "gain" else chance.uniform(0, 3))


def _make_critical(chance, asked, roles):
    """Scale the step sizes to a double root in one eigendirection, or next to one."""
    lam = float(chance.choice(list(asked.problem.spectrum)))
    near = 1 + chance.choice([0, 0, 1e-15, 1e-12, 1e-9, 1e-6]) * chance.choice([-1, 1])
    scales = np.geomspace(1e-3, 1e2, 24) * (1 + 1e-3 * chance.random())
    signs = [_discriminant(asked, roles, lam, scale) > 0 for scale in scales]
    changes = [k for k in range(len(signs) - 1) if signs[k] != signs[k + 1]]
    if not changes:
        return
    k = chance.choice(changes)
    low, high = scales[k], scales[k + 1]
    for _ in range(50):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if (_discriminant(asked, roles, lam, middle) > 0) == signs[k] else (low, middle)
    asked.values = _scaled(asked, roles, float(low) * near)


def _scaled(asked, roles, by):
    """The hyperparameters with step sizes scaled."""
    return {k: v * by if roles[k] == "step" else v for k, v in asked.values.items()}


def _discriminant(asked, roles, lam, by):
    """Of the characteristic polynomial of the rule's mean in a direction: it changes sign at double roots."""
    step = constant_step(asked.rule, _scaled(asked, roles, by))
    states = np.eye(step.states)
    for queries in step.queries:
        states = np.vstack([states, lam * queries.astype(float) @ states])
    roots = np.linalg.eigvals(step.update.astype(float) @ states)
    return math.prod((x - y) ** 2 for x, y in combinations(roots, 2)).real


def _to_the_edge(chance, asked, roles):
    """Scale the step sizes to the edge of stability, then a little off it."""

    def stable(by):
        return rough(asked.rule, asked.problem, **_scaled(asked, roles, by)) < 1

    low, high = 1e-4, 1e4
    if not stable(low) or stable(high):
        return
    for _ in range(45):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if stable(middle) else (low, middle)
    asked.values = _scaled(asked, roles, low * (1 + chance.choice([-1, 1]) * 10 ** chance.uniform(-14, -2)))
