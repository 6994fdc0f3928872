"""Array recursions written from the papers, in nothing but NumPy: the oracle where there is no implementation.

Where a paper's momentum is a recursion, it is summed here over the whole past instead, so that both routes differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

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


def ema_of_sgd(lr: float, decay: float) -> Run:
    """The exponential moving average of SGD's iterates, summed over the whole past from the initial point."""

    def run(gradient: Gradient) -> Pairs:
        iterates = [START]
        for t in range(10**9):
            query = iterates[-1]
            iterates.append(query - lr * gradient(t, query))
            weights = (1 - decay) * decay ** np.arange(t + 1, -1, -1)
            weights[0] /= 1 - decay
            yield query, weights @ np.array(iterates)

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
