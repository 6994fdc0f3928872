"""Whether an answer is right, refused, wide (it says that it does not know), or confidently wrong."""

import math

from accelsim.errors import InputError

RELATIVE = 1e-6
SMALL, ABSOLUTE = 1e-6, 1e-9  # gaps smaller than this are held to an absolute tolerance
ROUNDING = 1e-13
NOTHING = 1e-100  # references in whole multiples of 2^-420 know no smaller numbers
KINDS = ("right", "refused", "wide", "wrong")


def asked(question, *arguments, **options):
    """(answer, None), or (None, message) where it was refused."""
    try:
        return question(*arguments, **options), None
    except InputError as error:
        return None, str(error)


def of_rate(found, true):
    """Verdict and reason on a Rate, given the true rho - 1.

    rho is held by `tau`, which keeps the digits of a small gap, or by the bounds, where there are such.
    """
    true = float(true)
    tau = found.tau
    said = math.expm1(-1 / tau) if 0 < tau < math.inf else -1.0 if tau == 0 else found.rho - 1
    allowed = ABSOLUTE if abs(true) < SMALL else RELATIVE * abs(true)
    low, high = (getattr(found, name, None) for name in ("rho_low", "rho_high"))
    bounded = low is not None and high is not None
    if bounded and not _within(float(low) - 1, true, float(high) - 1):
        return "wrong", f"bounds {float(low) - 1:.12g} to {float(high) - 1:.12g} do not hold the gap {true:.12g}"
    wide = bounded and high - low > 4 * allowed + 1e-15
    if not abs(said - true) <= allowed and not wide:
        return "wrong", f"gap {said:.12g} where {true:.12g} is right"
    if found.stable is None:
        return ("wide", "stable is not said") if bounded and low <= 1 <= high else ("wrong", "stable is not said")
    if found.stable != (true < 0) and abs(true) > NOTHING:
        return "wrong", f"stable {found.stable} at a gap of {true:.6g}"
    return ("wide", f"bounds {high - low:.2g} apart at a gap of {true:.3g}") if wide else ("right", "")


def _within(low, true, high):
    """Whether a gap is between two bounds, which near 1 are rounded to 2e-16, and relatively to that elsewhere."""
    slack = 5e-16 * max(1, abs(true + 1))
    return low - slack <= true <= high + slack


def of_floor(found, true, gap, scale):
    """Verdict and reason on a floor, or None for one, given the true one (None where rho >= 1), rho - 1, and a risk.

    Roundings of 1e-16 in positions of that risk are no floor.
    """
    if found is None:
        return ("right", "") if true is None else ("wide", f"no floor is said, at a gap of {float(gap):.3g}")
    if true is None:
        return "wrong", f"floor {found:.9g} at a gap of {float(gap):.3g}"
    if not found >= 0 or not abs(found - true) <= RELATIVE * true + ROUNDING**2 * scale:
        return "wrong", f"floor {found:.9g} where {float(true):.9g} is right, at a gap of {float(gap):.3g}"
    return "right", ""


def of_risk(found, true, steps=None):
    """Verdict and reason on a Risk, given references at its recorded steps (or at some, by their places)."""
    places = range(len(found.steps)) if steps is None else steps
    worst = ("right", "")
    for row, place in enumerate(places):
        said = {name: float(getattr(found, name)[place]) for name in ("risk", "bias", "variance")}
        right = {name: float(getattr(true, name)[row]) for name in said}
        error = _error(found, place)
        for name, value in said.items():
            verdict = _of_number(name, value, right[name], right["risk"], error, found.steps[place])
            if KINDS.index(verdict[0]) > KINDS.index(worst[0]):
                worst = verdict
    return worst


def _error(found, place):
    """The absolute error claimed for a risk; a single number is one relative to it."""
    error = getattr(found, "error", None)
    if error is None:
        return 0.0
    return float(error[place]) if hasattr(error, "__len__") else float(error) * abs(float(found.risk[place]))


def _of_number(name, said, right, risk, error, step):
    what = f"{name} {said:.9g} at step {step} where {right:.9g} is right"
    if math.isinf(right) or right > 1e290:
        return ("right", "") if not said < 1e280 else ("wrong", what)
    if said < 0:
        return "wrong", f"{name} {said:.6g} at step {step}"
    off = abs(said - right)
    if off <= RELATIVE * (right if name == "risk" else risk) + NOTHING:
        return "right", ""
    if off <= error:
        return ("wide", f"{what}, error {error:.2g}") if error > 1e-3 * risk else ("right", "")
    return "wrong", f"{what}, error {error:.2g}" if error else what


def of_tuned(found, own, bound, least=None, scale=0.0):
    """Verdict and reason on a Tuned.

    Parameters
    ----------
    own : what the tuned hyperparameters really score.
    bound : what a grid found.
    least : what no linear method can go below, where that is known.
    scale : for a risk, that before the first step: roundings of it are no loss.
    """
    value = float(found.value)
    roundings = ROUNDING * scale if scale else 0.05 * (value < 0.1)  # tau below .1: rho is 0 but for roundings
    if not abs(value - float(own)) <= RELATIVE * abs(float(own)) + roundings:
        return "wrong", f"its value {value:.9g} is really {float(own):.9g}"
    if least is not None and value < float(least) * (1 - 1e-9):
        return "wrong", f"its value {value:.9g} is below the limit {float(least):.9g} of all linear methods"
    if not value <= 1.01 * float(bound) + roundings:
        return "wrong", f"its value {value:.6g} where a grid finds {float(bound):.6g}"
    return "right", ""


def of_steps(value, touched, passed, bound):
    """Verdict and reason on a number of steps to a target.

    Parameters
    ----------
    touched, passed : the first steps at which the risk is a little above, and a little below the target.
    bound : what a grid found.
    """
    if not touched <= value <= passed:
        return "wrong", f"{value:g} steps, but the risk is at the target after {touched}, and below it after {passed}"
    return ("right", "") if value <= 1.01 * bound else ("wrong", f"{value:g} steps where a grid finds {bound}")
