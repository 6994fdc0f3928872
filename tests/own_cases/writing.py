"""Rules whose literals, names and schedules are awkward."""

from accelsim import cos, exp, log, maximum, minimum, momentum, optimizer, positive, sqrt, step_size


def scheduled(name, factor, **declared):
    """SGD with lr times a function of (t, h)."""

    def rule(s, t, h):
        g = yield s.w
        return dict(w=s.w - h.lr * factor(t, h) * g)

    rule.__name__ = name
    return optimizer(positions="w", returns="w", lr=step_size(), **declared)(rule)


tenth_thrice = scheduled("tenth_thrice", lambda t, h: 0.1 + 0.2)  # Python: 0.30000000000000004
three_tenths = scheduled("three_tenths", lambda t, h: 0.3)
three_tenths_and_a_bit = scheduled("three_tenths_and_a_bit", lambda t, h: 0.3000001)
sevenths = scheduled("sevenths", lambda t, h: 3 / 7 + 1 / 7)
four_sevenths = scheduled("four_sevenths", lambda t, h: 4 / 7)
ramp = scheduled("ramp", lambda t, h: minimum(1, (t + 1) / 3))
ramp_rewritten = scheduled("ramp_rewritten", lambda t, h: minimum(3, t + 1) / 3)
ramp_from_zero = scheduled("ramp_from_zero", lambda t, h: minimum(1, t / 3))
ramp_by_maximum = scheduled("ramp_by_maximum", lambda t, h: 1 - maximum(0, 1 - (t + 1) / 3))
halving = scheduled("halving", lambda t, h: 0.5**t)
halving_by_exp = scheduled("halving_by_exp", lambda t, h: exp(-t * log(2)))
halving_by_inverse = scheduled("halving_by_inverse", lambda t, h: 2 ** (-t))
falling_by_exp = scheduled("falling_by_exp", lambda t, h: exp(-t / 2))
falling_by_product = scheduled("falling_by_product", lambda t, h: exp(-t / 3) * exp(-t / 6))
falling_otherwise = scheduled("falling_otherwise", lambda t, h: exp(-t / 3) * exp(-t / 5))
waving = scheduled("waving", lambda t, h: 1 + cos(t / 4) ** 2)
waving_by_double_angle = scheduled("waving_by_double_angle", lambda t, h: (3 + cos(t / 2)) / 2)
rooted = scheduled("rooted", lambda t, h: 1 / sqrt(t + 1))
rooted_rationally = scheduled("rooted_rationally", lambda t, h: sqrt(t + 1) / (t + 1))
rooted_late = scheduled("rooted_late", lambda t, h: 1 / sqrt(t + 2))
rooted_difference = scheduled("rooted_difference", lambda t, h: sqrt(t + 1) - sqrt(t))
rooted_sum = scheduled("rooted_sum", lambda t, h: 1 / (sqrt(t + 1) + sqrt(t)))
powered = scheduled("powered", lambda t, h: (t + 1) ** -h.power, power=positive())
powered_by_exp = scheduled("powered_by_exp", lambda t, h: exp(-h.power * log(t + 1)), power=positive())
rate_to_thousand = scheduled("rate_to_thousand", lambda t, h: h.b**1000, b=momentum())
rate_to_thousand_twice = scheduled("rate_to_thousand_twice", lambda t, h: h.b**500 * h.b**500, b=momentum())


def named(lr, beta, code=None):
    """Heavy ball with hyperparameters of awkward names."""

    def rule(s, t, h):
        g = yield s.w
        m = getattr(h, beta) * s.m + g
        return dict(w=s.w - getattr(h, lr) * m, m=m)

    rule.__name__ = code or f"named_{beta}"
    return optimizer(positions="w", memories="m", returns="w", **{lr: step_size(), beta: momentum()})(rule)


named_lambda = named("lr", "lambda")
named_greek = named("α", "β", "named_greek")
named_sympy = named("S", "Q", "named_sympy")
named_functions = named("gamma", "zeta", "named_functions")
named_constants = named("E", "I", "named_constants")
named_dunder = named("_", "__class", "named_dunder")
named_as_states = named("w0", "n", "named_as_states")
named_as_sequence = named("p", "g", "named_as_sequence")
named_python = named("None_", "is", "named_python")


@optimizer(positions="x", memories={"lambda": 0}, returns="x", lr=step_size(), beta=momentum())
def state_named_lambda(s, t, h):
    """Heavy ball with a memory called lambda."""
    g = yield s.x
    m = h.beta * getattr(s, "lambda") + g
    return {"x": s.x - h.lr * m, "lambda": m}


@optimizer(positions="E", memories="I", returns="E", pi_=step_size(), S=momentum())
def states_named_as_constants(s, t, h):
    """Heavy ball with states named as constants of mathematics."""
    g = yield s.E
    m = h.S * s.I + g
    return dict(E=s.E - h.pi_ * m, I=m)
