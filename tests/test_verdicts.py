"""A verdict says no more than was proved or seen: statuses, runs that are shown, ranges, constant step sizes."""

import copy
import json
import random
import sys
from fractions import Fraction

import pytest
from pairs import pair

from accelsim import cli
from accelsim.elementary import cos, maximum, minimum, sign, sqrt
from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.optimizers import find
from accelsim.rule import Hyperparameter, momentum, optimizer, positive, real, step, step_size, weight
from accelsim.symbolic import verify
from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.field import rational_root
from accelsim.symbolic.certify.enclosed import Enclosed
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.check.counterexample import Run
from accelsim.symbolic.check.equivalence import check
from accelsim.symbolic.find import verdicts
from accelsim.symbolic.find.answer import EQUIVALENT, OUTSIDE, REFUTED, SAME, UNDECIDED, UP_TO
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.refute.rational_gradients import rational_gradients
from accelsim.symbolic.refute.replay import queries, row_of
from accelsim.symbolic.system.homogeneity import blind_to_signs
from accelsim.symbolic.system.linear_part import linear_part
from accelsim.symbolic.system.normal_form import canonical
from accelsim.symbolic.system.positivity import NONNEGATIVE, UNKNOWN, condition, signs


def core(seed, factor=None):
    """A momentum rule made by chance, its step under a factor of the gradients, if any."""
    chance = random.Random(seed)
    a, b, c = (Fraction(chance.randint(1, 5), chance.randint(1, 5)) for _ in range(3))

    def run(s, t, h):
        g = yield s.w
        m = h.beta * s.m + a * g
        move, more = b * m + c * g, {}
        if factor is adam:
            more = {"v": h.rho * s.v + (1 - h.rho) * g * g}
            move = adam(move, more["v"], h)
        elif factor:
            move = factor(move)
        return dict(w=s.w - h.lr * move, m=m, **more)

    run.__name__ = f"core{'_' + factor.__name__ if factor else ''}"
    declared = dict(lr=step_size(), beta=momentum()) | (dict(rho=momentum(), eps=positive()) if factor is adam else {})
    return optimizer(positions="w", memories="m v" if factor is adam else "m", returns="w", **declared)(run)


def adam(move, v, h):
    return move / (sqrt(v) + h.eps)


def signed(move):
    return sign(move)


def held(answer):
    """The answer, once its certificate holds after a journey through JSON."""
    rules = {str(rule): rule for rule in (answer.a, answer.b)}
    verified = verify_certificate(json.loads(json.dumps(answer.certificate)), rules.__getitem__)
    assert verified.holds, verified.reason
    return answer


# -- statuses --


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("factor", [adam, signed], ids=lambda f: f.__name__)
def test_the_same_up_to_a_factor_is_a_verdict_of_its_own(seed, factor):
    bare, scaled = core(seed), core(seed, factor)
    up_to = held(equivalent(scaled, bare))
    assert (up_to.status, up_to.to_json()["status"], up_to.to_text()["status"]) == (UP_TO, UP_TO, UP_TO)
    assert up_to.to_json()["equivalent"] is None
    assert not up_to.to_text()["equivalent"].startswith("yes")
    assert equivalent(scaled, scaled).status == EQUIVALENT
    assert held(equivalent(bare, scaled)).status == REFUTED  # the second rule alone has the factor


@pytest.mark.parametrize(
    ("a", "b"), [("signum", "sgd"), ("heavy_ball", "laprop"), ("accelerated_sgd", "schedule_free_adamw")]
)
def test_no_headline_says_yes_to_rules_of_which_one_is_preconditioned(monkeypatch, capsys, a, b):
    monkeypatch.setattr(sys, "argv", ["accelsim", "equivalent", a, b])
    with pytest.raises(SystemExit):
        cli.main()
    told = capsys.readouterr().out
    assert "equivalent: yes" not in told
    assert "status: equivalent\n" not in told


def test_derivations_declare_what_they_are_up_to():
    for name, module in verify.known().items():
        claim = module.certificate()
        (found,) = verify.verify([name])
        assert tuple(found["up_to"]) == getattr(claim, "up_to", ())
        assert verify.told(found) == "proved" + (f" up to a {' and a '.join(found['up_to'])}" if found["up_to"] else "")


def test_coq_says_what_the_verdict_says(monkeypatch):
    from accelsim.symbolic.coq import coqc

    monkeypatch.setattr(coqc, "check", lambda claims: dict.fromkeys(claims, coqc.Proof("checked")))
    said = {v["name"]: v["coq"] for v in verify.verify(["lion", "laprop", "qhm"], coq=True)}
    assert said == {"lion": "checked up to a sign", "laprop": "checked up to a preconditioner", "qhm": "checked"}


# -- what is shown --


def stepped(rule, values, run):
    """What a rule queries, untraced, in fractions."""
    state, shown = rule.start(Fraction(run["start"])), []
    for t, gradients in enumerate(run["gradients"]):
        h = {name: evaluated(text, {"t": Fraction(t)}) for name, text in values.items()}

        def gradient(w, g=gradients[0]):
            shown.append(w)
            return Fraction(g)

        state = step(rule, state, Fraction(t), h, gradient)
    return shown


@pytest.mark.parametrize("seed", range(6))
def test_what_a_refutation_shows_is_what_both_rules_do(seed):
    answer = held(equivalent(*pair(seed, 1 + seed % 2, perturbed=True), budget=60))
    found = answer.counterexample
    apart = False
    for run in found["shown"]["runs"]:
        for end, rule, values in (
            ("a", answer.a, found["hyperparameters"]),
            ("b", answer.b, found["shown"]["hyperparameters"]),
        ):
            told = [float(Fraction(points[0])) for points in run[end]]
            assert told == pytest.approx(list(map(float, stepped(rule, values, run))), rel=1e-8)
        apart |= run["a"] != run["b"]
    assert apart


def test_what_runs_do_not_show_is_undecided(monkeypatch):
    monkeypatch.setattr(verdicts, "seen", lambda *_: None)
    answer = equivalent(find("heavy_ball"), find("nesterov"))
    assert answer.status == UNDECIDED
    assert "runs of both rules do not show it" in answer.reason


@pytest.mark.parametrize(
    ("a", "b"), [("heavy_ball", "nesterov"), ("heavy_ball", "laprop"), ("mars", "adamw"), ("sgd", "signum")]
)
def test_no_number_that_is_shown_can_be_changed(a, b):
    document = json.loads(json.dumps(held(equivalent(find(a), find(b))).certificate))
    shown = document["counterexample"]["shown"]
    for i, run in enumerate(shown["runs"]):
        for end in ("a", "b"):
            forged = copy.deepcopy(document)
            forged["counterexample"]["shown"]["runs"][i][end][-1][0] = str(Fraction(run[end][-1][0]) + 1)
            assert not verify_certificate(forged).holds
    forged = copy.deepcopy(document)
    forged["counterexample"]["shown"]["runs"] = shown["runs"][:-1]
    assert not verify_certificate(forged).holds
    beyond = copy.deepcopy(document)
    beyond["counterexample"]["shown"]["hyperparameters"][next(iter(shown["hyperparameters"]))] = "-1"
    with pytest.raises(InputError):
        verify_certificate(beyond)


def preconditioned(unit, rate):
    """Momentum over a root, which is taken in other units: the same rule at another step size and epsilon."""

    def run(s, t, h):
        g = yield s.w
        v = rate(h) * s.v + unit * g * g
        m = h.beta * s.m + g
        return dict(w=s.w - h.lr * m / (sqrt(v) + h.eps), m=m, v=v)

    run.__name__ = f"over_{unit.numerator}_{unit.denominator}"
    declared = dict(lr=step_size(), beta=momentum(), rho=momentum(), eps=positive())
    return optimizer(positions="w", memories="m v", returns="w", **declared)(run)


@pytest.mark.parametrize("unit", [Fraction(4), Fraction(2), Fraction(9, 25)], ids=str)
def test_parameters_of_a_formula_that_could_be_others_refute_nothing(unit):
    one, other = preconditioned(Fraction(1), lambda h: h.rho), preconditioned(unit, lambda h: h.rho)
    assert equivalent(one, other).status != REFUTED
    assert equivalent(one, preconditioned(unit, lambda h: 1 - h.rho)).status != REFUTED


def test_what_a_rule_multiplies_by_is_blind_to_signs_or_not():
    blind = ("adamw", "laprop", "nadam", "qhadam", "ademamix", "schedule_free_adamw", "heavy_ball")
    assert all(blind_to_signs(linear_part(find(name))) for name in blind)
    assert not any(blind_to_signs(linear_part(find(name))) for name in ("adan", "mars", "lion", "signum"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["adamw", "laprop", "adana"])
def test_gradients_are_found_on_which_roots_are_rational(name, seed):
    rule, chance = find(name), random.Random(seed)
    values = {k: str(Fraction(chance.randint(1, 9), 10)) for k in rule.program().reads}
    given, firsts = rational_gradients(rule, row_of(rule, values), 4, 1)
    assert len({abs(g) for (g,) in given}) > 1
    assert all(g and first == 0 for (g,), (first,) in zip(given, firsts, strict=True))
    shown = queries(rule, row_of(rule, values), Run(Fraction(0), tuple(given)))
    assert all(isinstance(point, Fraction) for points in shown for point in points)


# -- ranges --

NAMES = dict(lr=step_size(), beta=momentum(), c=weight(), e=positive(), r=real())


@optimizer(positions="w", memories="m", returns="w", **NAMES)
def named(s, t, h):
    """A rule with a hyperparameter of each kind of range."""
    g = yield s.w
    return dict(w=s.w - h.lr * h.c * h.e * h.r * g, m=h.beta * s.m + g)


def expression(chance, depth=3):
    if depth == 0 or chance.random() < 0.2:
        return chance.choice([*NAMES, *["lr", "beta", "c", "e"], "1", "2", "1/2", "t", "1/(t+1)"])
    one, other = (expression(chance, depth - 1) for _ in range(2))
    shape = chance.choice(
        ["({} + {})", "({} - {})", "{}*{}", "({})/(1 + ({})**2)", "(1 - {})*{}", "sqrt(({})**2 + ({})**2)"]
    )
    return shape.format(one, other)


def value(text, chance):
    def drawn(name, declared):
        low, high = max(declared.low, -3), min(declared.high, 3)
        ends = [*[low] * (not declared.open_low), *[high] * (not declared.open_high), low + 1e-9, high - 1e-9]
        return chance.choice([*ends, chance.uniform(low, high), chance.uniform(low, high)])

    names = {name: drawn(name, declared) for name, declared in NAMES.items()}
    return evaluated(text, {**names, "t": chance.choice([0, 1, 2, 50])}, float)


@pytest.mark.parametrize("seed", range(40))
def test_a_value_that_is_proved_inside_its_range_is_never_outside(seed):
    chance = random.Random(f"range {seed}")
    proved = 0
    for _ in range(12):
        text, declared = expression(chance), chance.choice(list(NAMES.values()))
        if condition("x", text, declared, named) is None:
            proved += 1
            assert ranges.note("x", text, declared, named) is None
            low = declared.low if not declared.open_low else declared.low - 1e-12
            high = declared.high if not declared.open_high else declared.high + 1e-12
            for _ in range(60):
                assert low - 1e-9 <= value(text, chance) <= high + 1e-9, text
    assert proved


@pytest.mark.parametrize(
    ("text", "declared", "proved"),
    [
        ("beta*c", weight(), True),
        ("beta*c", momentum(), True),
        ("c", momentum(), False),  # it may be 1
        ("1 - c", momentum(), False),
        ("1 - beta", positive(), True),
        ("1 - c", positive(), False),
        ("lr*(1 - beta)/(1 - beta**(t+1))", step_size(), True),
        ("lr*(1 - beta)/(1 - 2*beta**(t+1))", step_size(), False),
        ("e/sqrt(1 - beta)", positive(), True),
        ("e*lr", positive(), False),  # it may be 0
        ("r**2", step_size(), True),
        ("r**3", step_size(), False),
    ],
)
def test_ends_of_ranges_are_told_apart(text, declared, proved):
    assert (condition("x", text, declared, named) is None) == proved


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=Hyperparameter(low=0, high=0.5))
def short(s, t, h):
    """Heavy ball whose momentum is at most a half."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


@pytest.mark.parametrize(
    ("beta", "status"),
    [("0.9", OUTSIDE), ("0.5", EQUIVALENT), ("1/(t+2)", EQUIVALENT), ("2/(t+3)", OUTSIDE), (None, OUTSIDE)],
)
def test_a_map_that_leaves_a_range_is_a_verdict_of_its_own(beta, status):
    answer = held(equivalent(find("heavy_ball"), short, set_a={"beta": beta} if beta else {}))
    assert answer.status == status
    assert (answer.to_json()["equivalent"] is True) == (status == EQUIVALENT)
    assert any("range" in text for text in answer.conditions) == (status == OUTSIDE)


@optimizer(positions="w", returns="w", a=real())
def rooted(s, t, h):
    """SGD with the square of a root."""
    g = yield s.w
    return dict(w=s.w - sqrt(h.a) ** 2 * g)


@optimizer(positions="w", returns="w", a=real())
def plain(s, t, h):
    """SGD with a step of any sign."""
    g = yield s.w
    return dict(w=s.w - h.a * g)


def test_what_a_root_is_taken_of_is_not_negative():
    assert equivalent(plain, rooted).conditions == ("a >= 0",)
    assert equivalent(rooted, plain).conditions == ("a >= 0",)
    assert equivalent(find("sgd"), rooted).conditions == ()  # a step size is so


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), p=momentum(), q=momentum())
def root_of_product(s, t, h):
    """Heavy ball with the geometric mean of two rates."""
    g = yield s.w
    m = sqrt(h.p * h.q) * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


def product(other):
    @optimizer(positions="w", memories="m", returns="w", lr=step_size(), p=momentum(), q=momentum())
    def product_of_roots(s, t, h):
        """The same, or not quite."""
        g = yield s.w
        m = sqrt(h.p) * sqrt(h.q + other) * s.m + g
        return dict(w=s.w - h.lr * m, m=m)

    return product_of_roots


def test_roots_of_products_are_products_of_roots():
    same = held(equivalent(root_of_product, product(0)))
    assert (same.status, same.conditions) == (EQUIVALENT, ())
    other = equivalent(root_of_product, product(Fraction(1, 9)))
    assert other.status != EQUIVALENT or other.map["q"] != "q"


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), mu=momentum())
def cautious(s, t, h):
    """Heavy ball that moves only where buffer and gradient agree."""
    g = yield s.w
    m = h.mu * s.m + g
    return dict(w=s.w - h.lr * m * (1 + sign(m * g)) / 2, m=m)


@pytest.mark.parametrize(("move", "sign"), [(1, NONNEGATIVE), (-1, UNKNOWN)], ids=["counts up", "counts down"])
def test_a_state_that_only_the_step_moves_has_the_sign_of_its_start_only_if_it_keeps_it(move, sign):
    @optimizer(positions="w", memories="k v", returns="w", lr=step_size())
    def counting(s, t, h):
        g = yield s.w
        return dict(w=s.w - h.lr * g / (1 + s.v), k=s.k + move, v=s.v + g * g * s.k)

    program = counting.program()
    found = signs(counting)
    states = {node.value: found[node.index] for node in program.nodes if node.op == "state"}
    assert program.uniform == ("k",)
    assert (states["k"], states["v"]) == (sign, sign)


def test_a_mask_is_no_positive_sequence_and_a_preconditioner_is_one():
    def positive_ones(rule):
        part = linear_part(rule)
        return [factor.symbol in part.positive for factor in part.tableau.factors.values()]

    assert positive_ones(cautious) == positive_ones(find("cautious_heavy_ball")) == [False]
    assert positive_ones(core(0, adam)) == positive_ones(find("adamw")) == [True]
    answer = equivalent(cautious, find("heavy_ball"))
    assert answer.status == UP_TO
    assert not any("positive" in note for note in answer.assumptions)
    assert not any("positive" in note for note in canonical(find("cautious_lion")).assumptions)
    assert any("given positive" in note for note in canonical(find("mars"), clip=0, weight_decay=0).assumptions)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), mu=momentum(), damp=weight())
def damped(s, t, h):
    """Momentum with dampening, which the first gradient is spared."""
    from accelsim.elementary import first, where

    g = yield s.w
    m = where(first(t), g, h.mu * s.m + (1 - h.damp) * g)
    return dict(w=s.w - h.lr * m, m=m)


def test_a_normal_form_says_what_its_first_steps_divide_by():
    assert "1 - damp != 0" in canonical(damped).conditions
    assert not any("damp" in text for text in canonical(damped, damp=0.5).conditions)


@optimizer(positions="w", returns="w", b=real())
def squared(s, t, h):
    """A step of b squared along the gradient."""
    g = yield s.w
    return dict(w=s.w - h.b**2 * g)


def test_what_no_number_in_range_solves_is_refuted():
    answer = held(equivalent(plain, squared, set_a=dict(a=-1)))
    assert answer.status == REFUTED
    assert (
        "no zero in the ranges of squared"
        in verify_certificate(
            json.loads(json.dumps(answer.certificate)), {"plain": plain, "squared": squared}.__getitem__
        ).reason
    )
    assert equivalent(plain, squared, set_a=dict(a=4)).status != REFUTED


# -- step sizes that are constant --


def inside(scale):
    """Heavy ball with its step size in the buffer, or beside it."""

    def run(s, t, h):
        g = yield s.w
        m = h.mu * s.m + (h.lr if scale else 1) * g
        return dict(w=s.w - (1 if scale else h.lr) * m, m=m)

    run.__name__ = "inside" if scale else "beside"
    return optimizer(positions="w", memories="m", returns="w", lr=step_size(), mu=momentum())(run)


def test_a_map_for_constant_step_sizes_says_so():
    answer = equivalent(inside(True), find("heavy_ball"))
    assert answer.schedules == {"lr": {"beta": "mu*lr(t - 1)/lr(t)", "lr": "lr(t)"}}
    assert answer.to_text()["equivalent"] == "yes, for constant lr; under a schedule b.beta = a.mu*a.lr(t - 1)/a.lr(t)"
    assert answer.to_json()["schedules"] == answer.schedules
    for other in (equivalent(inside(False), find("heavy_ball")), equivalent(inside(True), inside(True))):
        assert (other.schedules, other.to_text()["equivalent"]) == ({}, "yes")
    assert equivalent(inside(True), find("heavy_ball"), set_a=dict(lr=0.1)).schedules == {}


def test_a_map_under_a_schedule_is_proved():
    answer = equivalent(inside(True), find("heavy_ball"), varying=["lr"])
    assert answer.status in SAME
    assert held(answer).map == equivalent(inside(True), find("heavy_ball")).schedules["lr"]


# -- numbers in which the verifier runs rules --


@pytest.mark.parametrize("seed", range(20))
def test_enclosed_numbers_hold_what_they_stand_for(seed):
    chance = random.Random(f"enclosed {seed}")
    x, y = (Fraction(chance.randint(1, 40), chance.randint(1, 9)) for _ in range(2))
    one, other = Enclosed(x), Enclosed(y)
    for made, true in (
        (one + other, x + y),
        (one - y, x - y),
        (x * other, x * y),
        (one / other, x / y),
        (one**3, x**3),
    ):
        assert made.fraction == true
    root = sqrt(one)
    assert (root.fraction is None) == (rational_root(x) is None)
    assert not (root * root).apart(one)
    assert (root * root + Fraction(1, 10**40)).apart(one)
    assert maximum(root, 0).apart(Enclosed(0))
    assert minimum(one, other).fraction == min(x, y)
    assert not (cos(one) ** 2 + cos(one - Fraction(0)) * 0 + (1 - cos(one) ** 2)).apart(Enclosed(1))
    assert sign(-root).fraction == -1


def test_what_is_too_near_to_tell_is_not_told():
    third = sqrt(Enclosed(2)) * sqrt(Enclosed(2)) - 2
    with pytest.raises(InputError, match="too near"):
        third.sign()
    with pytest.raises(InputError, match="too near"):
        Enclosed(1) / third
    with pytest.raises(InputError, match="negative"):
        sqrt(Enclosed(-1))


def test_a_claim_that_is_not_declared_up_to_anything_is_about_the_rules_as_they_are():
    claim = verify.known()["laprop"].certificate()
    from dataclasses import replace

    assert check(claim).status == "proved"
    assert check(replace(claim, up_to=())).status == "failed"
    assert check(replace(claim, up_to=("sign",))).status == "failed"


@optimizer(positions="w", returns="w", a=weight())
def growing_slowly(s, t, h):
    """A step size that grows without end, and is in [0, 1] for a hundred steps at least."""
    g = yield s.w
    return dict(w=s.w - h.a * (t + 1) / 100 * g)


@optimizer(positions="w", returns="w", b=weight())
def at_most_one(s, t, h):
    """A step size of at most 1."""
    g = yield s.w
    return dict(w=s.w - h.b * g)


def test_what_leaves_its_range_after_many_steps_is_outside():
    assert equivalent(growing_slowly, at_most_one).status == "equivalent outside ranges"
