"""Array recursions written from the papers, in nothing but NumPy: the oracle where there is no implementation.

Where a paper's momentum is a recursion, it is summed here over the whole past instead, so that both routes differ.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable

import numpy as np

from oracles.common import START, Gradient, Run

Pairs = Iterable[tuple[np.ndarray, np.ndarray]]


def discounted(past: list[np.ndarray], beta: float) -> np.ndarray:
    """Sum of beta^(t-k) g_k over the past."""
    powers = beta ** np.arange(len(past) - 1, -1, -1)
    return np.asarray(powers @ np.array(past))


def linear_in_the_past(direction: str, /, **p: float) -> Run:
    """w -= a direction that is a weighted sum of past gradients; which, by the paper's name."""
    directions = {
        # Morwani et al. 2025, Section 3
        "accelerated_sgd": lambda g: p["eta"] * discounted(g, p["beta"]) + p["alpha"] * g[-1],
        # Pagliardini et al. 2024, without preconditioner and bias correction
        "ademamix_sgd": lambda g: (
            p["lr"]
            * ((1 - p["beta1"]) * discounted(g, p["beta1"]) + p["alpha"] * (1 - p["beta3"]) * discounted(g, p["beta3"]))
        ),
        # The same with a third average, and the newest gradient mixed in
        "ema_mixture_sgd": lambda g: (
            p["lr"] * (1 - p["nu"]) * g[-1]
            + p["lr"] * p["nu"] * (1 - p["beta1"]) * discounted(g, p["beta1"])
            + p["lr"] * p["nu"] * p["alpha2"] * (1 - p["beta2"]) * discounted(g, p["beta2"])
            + p["lr"] * p["nu"] * p["alpha3"] * (1 - p["beta3"]) * discounted(g, p["beta3"])
        ),
        # Lee et al. 2024, Algorithm 1, the filter beginning at zero
        "grokfast": lambda g: p["lr"] * (g[-1] + p["lamb"] * (1 - p["alpha"]) * discounted(g, p["alpha"])),
        # Lucas et al. 2019, Equation 2
        "aggmo": lambda g: p["lr"] / 2 * (discounted(g, p["beta1"]) + discounted(g, p["beta2"])),
        # Morwani et al. 2025, without preconditioner
        "simplified_ademamix_sgd": lambda g: p["lr"] * (discounted(g, p["beta"]) + p["alpha"] * g[-1]),
    }

    def run(gradient: Gradient) -> Pairs:
        w, past = START, list[np.ndarray]()
        while True:
            past.append(gradient(len(past), w))
            query, w = w, w - directions[direction](past)
            yield query, w

    return run


def jain(alpha: float, beta: float, gamma: float, delta: float, burn_in: int | None = None) -> Run:
    """Jain et al. 2018, Algorithm 1; the last iterate, or with `burn_in` the average of iterates after it."""

    def run(gradient: Gradient) -> Pairs:
        w, v, iterates = START, START, []
        for j in range(1, 10**9):
            y = alpha * w + (1 - alpha) * v
            g = gradient(j - 1, y)
            w = y - delta * g
            z = beta * y + (1 - beta) * v
            v = z - gamma * g
            iterates.append(w)
            averaged = burn_in is not None and j > burn_in
            yield y, np.mean(iterates[burn_in:], axis=0) if averaged else w

    return run


def accsgd(short: float, kappa: float, xi: float) -> Run:
    """Kidambi et al. 2018, Algorithm 3."""

    def run(gradient: Gradient) -> Pairs:
        w, average = START, START
        alpha = 1 - 0.7**2 * xi / kappa
        for t in range(10**9):
            query, g = w, gradient(t, w)
            average = alpha * average + (1 - alpha) * (w - kappa * short / 0.7 * g)
            w = 0.7 / (0.7 + 1 - alpha) * (w - short * g) + (1 - alpha) / (0.7 + 1 - alpha) * average
            yield query, w

    return run


def mars(lr: float, beta: float, gamma: float) -> Run:
    """Yuan et al. 2024, Algorithm 1, both gradients on one sample, no preconditioner, clipping inactive."""

    def run(gradient: Gradient) -> Pairs:
        x, before, m = START, START, 0 * START
        for t in range(10**9):
            g, old = gradient(t, x), gradient(t, before)
            c = g + gamma * beta / (1 - beta) * (g - old)
            assert np.linalg.norm(c) <= 1, "the paper would clip here"
            m = beta * m + (1 - beta) * c
            before, x = x, x - lr * m
            yield before, x

    return run


def mars_adamw(lr: float, betas: tuple[float, float], gamma: float, eps: float, decay: float, clip: bool) -> Run:
    """MARS as its authors' code steps it (AGI-Arena/MARS), approximate, its clipping on or off."""

    def run(gradient: Gradient) -> Pairs:
        w, last, past = START, 0 * START, list[np.ndarray]()
        for t in range(1, 10**9):
            query, g = w, gradient(t - 1, w)
            c = (g - last) * (gamma * (betas[0] / (1 - betas[0]))) + g
            norm = np.linalg.norm(c)
            past.append(c / norm if clip and norm > 1 else c)
            last = g
            m = (1 - betas[0]) * discounted(past, betas[0])
            v = (1 - betas[1]) * discounted([c**2 for c in past], betas[1])
            update = m / ((np.sqrt(v) / math.sqrt(1 - betas[1] ** t) + eps) * (1 - betas[0] ** t))
            w = w - lr * (decay * w + update)
            yield query, w

    return run


def nadam(alpha: float, mu: float, decay: float, nu: float, eps: float) -> Run:
    """Dozat 2016, Algorithm 2: momenta of the warm-up in the average, and the second moment times nu."""

    def run(gradient: Gradient) -> Pairs:
        theta, m, squares = START, 0 * START, []
        for t in range(1, 10**9):
            query, g = theta, gradient(t - 1, theta)
            mus = mu * (1 - 0.5 * 0.96 ** (np.arange(1, t + 2) * decay))
            m = mus[t - 1] * m + (1 - mus[t - 1]) * g
            squares.append(g**2)
            n = (1 - nu) * discounted(squares, nu)
            direction = mus[t] * m / (1 - np.prod(mus)) + (1 - mus[t - 1]) * g / (1 - np.prod(mus[:-1]))
            theta = theta - alpha * direction / (np.sqrt(nu * n / (1 - nu**t)) + eps)
            yield query, theta

    return run


def radam(alpha: float, beta1: float, beta2: float, eps: float) -> Run:
    """Liu et al. 2020, Algorithm 2, epsilon beside the root."""

    def run(gradient: Gradient) -> Pairs:
        theta, past = START, list[np.ndarray]()
        limit = 2 / (1 - beta2) - 1
        for t in range(1, 10**9):
            query = theta
            past.append(gradient(t - 1, theta))
            step = alpha * (1 - beta1) * discounted(past, beta1) / (1 - beta1**t)
            rho = limit - 2 * t * beta2**t / (1 - beta2**t)
            if rho > 4:
                v = (1 - beta2) * discounted([g**2 for g in past], beta2) / (1 - beta2**t)
                variance = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
                step = step * math.sqrt(variance) / (np.sqrt(v) + eps)
            theta = theta - step
            yield query, theta

    return run


def laprop(lr: float, mu: float, nu: float, eps: float) -> Run:
    """Ziyin, Wang and Ueda 2020, Algorithm 1: preconditioned gradients are summed over the past."""

    def run(gradient: Gradient) -> Pairs:
        theta, squares, past = START, [], list[np.ndarray]()
        for t in range(1, 10**9):
            query, g = theta, gradient(t - 1, theta)
            squares.append(g**2)
            past.append(g / (np.sqrt((1 - nu) * discounted(squares, nu) / (1 - nu**t)) + eps))
            theta = theta - lr * (1 - mu) * discounted(past, mu) / (1 - mu**t)
            yield query, theta

    return run


def dana(g1: float, g2: float, g3: float, exponent: float, delta: int) -> Run:
    """Ferbach et al. 2025: each past gradient has been forgotten by the product of all later shares."""

    def run(gradient: Gradient) -> Pairs:
        w, past = START, list[np.ndarray]()
        for t in range(10**9):
            query = w
            past.append(gradient(t, w))
            kept = [math.prod(s / (delta + s) for s in range(k + 1, t + 1)) for k in range(t + 1)]
            w = w - g2 * past[-1] - g3 * (1 + t) ** -exponent * g1 * (np.array(kept) @ np.array(past))
            yield query, w

    return run


def adana(lr: float, delta: float, kappa: float, eps: float) -> Run:
    """Ferbach et al. 2026, no weight decay: log-time averages of gradients and of their squares."""

    def run(gradient: Gradient) -> Pairs:
        w, past = START, list[np.ndarray]()
        for t in range(10**9):
            query = w
            past.append(gradient(t, w))
            shares = [
                delta / (delta + k) * math.prod(s / (delta + s) for s in range(k + 1, t + 1)) for k in range(t + 1)
            ]
            m, v = shares @ np.array(past), shares @ np.array(past) ** 2
            w = w - lr * (past[-1] + (1 + t) ** (1 - kappa) * m) / (np.sqrt(v) + eps)
            yield query, w

    return run


def mass(lr: float, alpha: float, kappa: float) -> Run:
    """MaSS in three sequences, as its authors' code steps it (ts66395/MaSS, Equation 14 of the paper)."""

    def run(gradient: Gradient) -> Pairs:
        u, v = START, START
        for t in range(10**9):
            query, g = u, gradient(t, u)
            w = u - lr * g
            v = (1 - alpha) * v + alpha * u - lr / alpha / kappa * g
            u = alpha / (1 + alpha) * v + w / (1 + alpha)
            yield query, w

    return run


def agnes(eta: float, alpha: float, rho: float) -> Run:
    """Gupta, Siegel and Wojtowytsch 2024, Algorithm 1, the velocity summed over the past."""

    def run(gradient: Gradient) -> Pairs:
        x, past = START, list[np.ndarray]()
        for t in range(10**9):
            query = x - alpha * rho * discounted(past, rho) if past else x
            past.append(gradient(t, query))
            x = query - eta * past[-1]
            yield query, x

    return run


def nesterov_velocity(lr: float, mu: Callable[[int], float]) -> Run:
    """Sutskever et al. 2013, Equations 3 and 4: the velocity is the last step."""

    def run(gradient: Gradient) -> Pairs:
        w = [START, START]
        for t in range(10**9):
            ahead = w[-1] + mu(t) * (w[-1] - w[-2])
            w.append(ahead - lr * gradient(t, ahead))
            yield ahead, w[-1]

    return run


def nesterov_sequences(lr: float, mu: Callable[[int], float]) -> Run:
    """Nesterov 1983: y by a sum over all gradients, each of which moves it by products of momenta."""

    def run(gradient: Gradient) -> Pairs:
        past = list[np.ndarray]()
        for t in range(10**9):
            y = START - lr * sum(
                (sum(math.prod(mu(j) for j in range(k, i)) for i in range(k, t + 1)) * g for k, g in enumerate(past)),
                start=0 * START,
            )
            past.append(gradient(t, y))
            yield y, y - lr * past[-1]

    return run


def triple_momentum(alpha: float, beta: float, gamma: float, delta: float) -> Run:
    """Van Scoy, Freeman and Lynch 2018, as a method of two steps back in xi."""

    def run(gradient: Gradient) -> Pairs:
        xi = [START, START]
        for t in range(10**9):
            y = (1 + gamma) * xi[-1] - gamma * xi[-2]
            xi.append((1 + beta) * xi[-1] - beta * xi[-2] - alpha * gradient(t, y))
            yield y, (1 + delta) * xi[-1] - delta * xi[-2]

    return run


def acsa(gamma: float) -> Run:
    """Lan 2012, t from 1, beta_t = (t+1)/2 and gamma_t = (t+1)/2 gamma; the answer as one weighted mean of all x."""

    def run(gradient: Gradient) -> Pairs:
        x = [START]
        answer = START
        for t in range(1, 10**9):
            middle = 2 / (t + 1) * x[-1] + (t - 1) / (t + 1) * answer
            x.append(x[-1] - (t + 1) / 2 * gamma * gradient(t - 1, middle))
            answer = np.average(x[1:], axis=0, weights=np.arange(1, t + 1))
            yield middle, answer

    return run


def lookahead_of_heavy_ball(lr: float, beta: float, k: int, alpha: float) -> Run:
    """Zhang et al. 2019, Algorithm 1, its two loops around heavy ball, whose momentum is kept."""

    def run(gradient: Gradient) -> Pairs:
        phi, m, t = START, 0 * START, 0
        while True:
            theta = phi
            for i in range(k):
                query, m = theta, beta * m + gradient(t, theta)
                theta, t = theta - lr * m, t + 1
                if i == k - 1:
                    phi = phi + alpha * (theta - phi)
                yield query, phi

    return run


def lawa_of_sgd(lr: float, period: int) -> Run:
    """Kaddour 2022: the mean of a queue of six checkpoints, full of the initial point at first."""

    def run(gradient: Gradient) -> Pairs:
        w, queue = START, deque([START] * 6, maxlen=6)
        for t in range(10**9):
            query = w
            w = w - lr * gradient(t, w)
            if (t + 1) % period == 0:
                queue.append(w)
            yield query, np.mean(queue, axis=0)

    return run


def ema_of_sgd(lr: float, decay: float, share: float = 1) -> Run:
    """The exponential moving average of SGD's iterates, summed over the whole past, and the share that is returned."""

    def run(gradient: Gradient) -> Pairs:
        iterates = [START]
        for t in range(10**9):
            query = iterates[-1]
            iterates.append(query - lr * gradient(t, query))
            weights = (1 - decay) * decay ** np.arange(t + 1, -1, -1)
            weights[0] /= 1 - decay
            yield query, share * weights @ np.array(iterates) + (1 - share) * iterates[-1]

    return run


def adamw(alpha: float, beta1: float, beta2: float, eps: float, decay: float) -> Run:
    """Loshchilov and Hutter 2019, Algorithm 2 with multiplier 1: the decay is *not* multiplied by alpha."""

    def run(gradient: Gradient) -> Pairs:
        theta, past = START, []
        for t in range(1, 10**9):
            query = theta
            past.append(gradient(t - 1, theta))
            m = (1 - beta1) * discounted(past, beta1) / (1 - beta1**t)
            v = (1 - beta2) * discounted([g**2 for g in past], beta2) / (1 - beta2**t)
            theta = theta - (alpha * m / (np.sqrt(v) + eps) + decay * theta)
            yield query, theta

    return run


def _warmed(step: int, end: float, start: float, warmup: int) -> float:
    """The released half-life schedule, whose logarithms are shifted by 1e-8."""
    if step >= warmup:
        return end
    lives = [math.log(0.5) / math.log(rate + 1e-8) - 1 for rate in (start, end)]
    life = (1 - step / warmup) * lives[0] + step / warmup * lives[1]
    return float(0.5 ** (1 / (life + 1)))


def ademamix_released(
    lr: float, betas: tuple[float, float, float], alpha: float, warmup: int, eps: float, weight_decay: float
) -> Run:
    """AdEMAMix as the authors' code steps it (apple/ml-ademamix), alpha and beta3 warmed up over as many steps."""

    def run(gradient: Gradient) -> Pairs:
        w, past, slow = START, [], 0 * START
        for t in range(1, 10**9):
            query = w
            past.append(gradient(t - 1, w))
            beta3 = _warmed(t, betas[2], betas[0], warmup)
            slow = beta3 * slow + (1 - beta3) * past[-1]
            fast = (1 - betas[0]) * discounted(past, betas[0]) / (1 - betas[0] ** t)
            v = (1 - betas[1]) * discounted([g**2 for g in past], betas[1]) / (1 - betas[1] ** t)
            update = (fast + min(t / warmup, 1) * alpha * slow) / (np.sqrt(v) + eps)
            w = w - lr * (update + weight_decay * w)
            yield query, w

    return run


def simplified_ademamix_released(
    lr: float,
    betas: tuple[float, float],
    alpha: float,
    min_beta1: float,
    warmup: int,
    eps: float,
    weight_decay: float,
) -> Run:
    """Simplified-AdEMAMix as the authors' code steps it (DepenM/Simplified-AdEMAMix)."""

    def run(gradient: Gradient) -> Pairs:
        w, m, v, weights = START, 0 * START, 0 * START, 0.0
        for t in range(1, 10**9):
            query, g = w, gradient(t - 1, w)
            m = _warmed(t, betas[0], min_beta1, warmup) * m + g
            v = betas[1] * v + (1 - betas[1]) * g**2
            weights = betas[1] * weights + 1 - betas[1]
            update = (alpha * g + m) / (np.sqrt(v) + eps * math.sqrt(weights)) * math.sqrt(weights)
            w = w - lr * (update + weight_decay * w)
            yield query, w

    return run


def cautious_heavy_ball(lr: float, beta: float) -> Run:
    """Liang et al. 2024, Algorithm 1 around heavy ball: what moves moves by the mean over coordinates that move."""

    def run(gradient: Gradient) -> Pairs:
        w, past = START, list[np.ndarray]()
        while True:
            query = w
            past.append(gradient(len(past), w))
            m = discounted(past, beta)
            agree = m * past[-1] > 0
            w = np.where(agree, w - lr * m * agree.size / max(1, np.count_nonzero(agree)), w)
            yield query, w

    return run


def cautious_adamw_released(lr: float, betas: tuple[float, float], eps: float, decay: float) -> Run:
    """C-AdamW as its authors' code steps it (kyleliang919/C-Optim), one tensor at a time."""

    def run(gradient: Gradient) -> Pairs:
        w, past = START, list[np.ndarray]()
        for t in range(1, 10**9):
            query = w
            past.append(gradient(t - 1, w))
            m = (1 - betas[0]) * discounted(past, betas[0])
            v = (1 - betas[1]) * discounted([g**2 for g in past], betas[1])
            mask = np.where(m * past[-1] > 0, 1.0, 0.0)
            mask /= max(np.mean(mask), 1e-3)
            size = lr * math.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
            w = (1 - lr * decay) * w - size * m * mask / (np.sqrt(v) + eps)
            yield query, w

    return run


def gpa(lr: float, mu_x: float, mu_y: float) -> Run:
    """Defazio et al. 2025: the moving average as a weighted mean of all base iterates."""

    def run(gradient: Gradient) -> Pairs:
        base = [START]
        x = START
        for t in range(10**9):
            y = mu_y * x + (1 - mu_y) * base[-1]
            base.append(base[-1] - lr * gradient(t, y))
            weights = (1 - mu_x) * mu_x ** np.arange(t + 1, -1, -1)
            weights[0] /= 1 - mu_x
            x = weights @ np.array(base)
            yield y, x

    return run


def muon_of_a_row(lr: float, beta: float, weight_decay: float) -> Run:
    """Muon of a matrix of one row, whose polar factor is the row over its length."""

    def run(gradient: Gradient) -> Pairs:
        w, past = START, list[np.ndarray]()
        for t in range(10**9):
            query = w
            past.append(gradient(t, query))
            direction = (1 - beta) * past[-1] + beta * (1 - beta) * discounted(past, beta)
            w = w - lr * direction / np.sqrt(np.sum(direction**2)) - lr * weight_decay * w
            yield query, w

    return run


def ema_nesterov(lr: float, beta: float, gamma: float) -> Run:
    """Yau et al. 2026: the moving average summed over all past steps."""

    def run(gradient: Gradient) -> Pairs:
        w, steps = START, list[np.ndarray]()
        for t in range(10**9):
            ahead = w + beta * (1 - gamma) * discounted(steps, gamma) if steps else w
            new = ahead - lr * gradient(t, ahead)
            steps.append(new - w)
            w = new
            yield ahead, w

    return run


def overshoot(lr: float, mu: float, gamma: float) -> Run:
    """Kopal et al. 2025, in the weights ahead, as it is run: the base weights are what is behind them."""

    def run(gradient: Gradient) -> Pairs:
        ahead, past = START, list[np.ndarray]()
        for t in range(10**9):
            query = ahead
            past.append(gradient(t, ahead))
            m = discounted(past, mu)
            ahead = ahead - lr * ((gamma - gamma / mu + 1) * m + gamma / mu * past[-1])
            yield query, ahead + gamma * lr * m

    return run


def storm(lr: float, a: float) -> Run:
    """Cutkosky and Orabona 2019: every gradient and its correction are forgotten at the rate 1 - a."""

    def run(gradient: Gradient) -> Pairs:
        x, before = START, START
        terms = list[np.ndarray]()
        for t in range(10**9):
            g = gradient(t, x)
            terms.append(a * g + (1 - a) * (g - gradient(t, before)) if terms else g)
            before, x = x, x - lr * discounted(terms, 1 - a)
            yield before, x

    return run


def refined_schedule_free(lr: float, beta: float, scale: float, warmup: int) -> Run:
    """Song et al. 2025 around SGD, whose step size warms up linearly."""

    def run(gradient: Gradient) -> Pairs:
        x, z, total = START, START, 0.0
        for t in range(1, 10**9):
            step = lr * min(1, t / warmup)
            total += step**2
            c = min(step**2 / total * (1 - beta) * scale, 1)
            y = (1 - beta) * z + beta * x
            z = z - step * gradient(t - 1, y)
            x = (1 - c) * x + c * z
            yield y, x

    return run


def adagrad(lr: float, eps: float) -> Run:
    """Duchi, Hazan and Singer 2011, diagonal, epsilon outside the root."""

    def run(gradient: Gradient) -> Pairs:
        x, past = START, list[np.ndarray]()
        for t in range(10**9):
            query = x
            past.append(gradient(t, x))
            x = x - lr * past[-1] / (eps + np.linalg.norm(past, axis=0))
            yield query, x

    return run
