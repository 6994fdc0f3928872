"""Noisy quadratic and Gaussian regression in JAX: jit, vmap over replicas, scan over steps.

The fastest of what was tried on a CPU: keys of the Threefry generator split ahead (rbg and unsafe_rbg take two to three
times as long; split or folded in along the way makes no difference), no unrolling (2 and 4 are no faster), each replica
its own keys (one key for all of them is no faster). In regression `lax.map` over replicas, whose batch then stays in
cache, takes half the time of vmap.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

jax.config.update("jax_enable_x64", True)  # else float64 means float32

Run = Callable[[int, int], Any]
Update = Callable[..., tuple[Any, ...]]  # of the states, the error first, the gradient, the step and hyperparameters
Mapped = Callable[..., Any]  # of a function and its arguments, stacked


def _vmapped(replica: Callable[..., Any], keys: Any) -> Any:
    return jax.vmap(replica)(keys)


def _accelerated_sgd(states: Any, g: Any, t: Any, *, eta: float, alpha: float, beta: float) -> tuple[Any, ...]:
    w, m = states
    m = beta * m + g
    return w - eta * m - alpha * g, m


def _adam(
    states: Any, g: Any, t: Any, *, lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> tuple[Any, ...]:
    w, m, v = states
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    direction = m / (1 - beta1 ** (t + 1)) / (jnp.sqrt(v / (1 - beta2 ** (t + 1))) + eps)
    return w - lr * direction, m, v


def _lion(states: Any, g: Any, t: Any, *, lr: float, beta1: float = 0.9, beta2: float = 0.99) -> tuple[Any, ...]:
    w, m = states
    return w - lr * jnp.sign(beta1 * m + (1 - beta1) * g), beta2 * m + (1 - beta2) * g


def _scanned(
    problem: Any, steps: int, dtype: str, memories: int, update: Update, gradient: Callable[..., Any], mapped: Mapped
) -> Run:
    """Risks (replicas,) after the last step, of a seed and a number of replicas."""
    spectrum, start = (jnp.asarray(x, dtype) for x in (problem.spectrum, problem.start))

    def replica(key: Any) -> Any:
        def step(states: Any, given: Any) -> Any:
            key, t = given
            return update(states, gradient(states[0], key), t), None

        states = (start, *[jnp.zeros_like(start)] * memories)
        given = (jax.random.split(key, steps), jnp.arange(steps, dtype=dtype))
        (error, *_), _ = jax.lax.scan(step, states, given)
        return spectrum @ error**2 / 2

    @partial(jax.jit, static_argnums=1)
    def risks(key: Any, replicas: int) -> Any:
        return mapped(replica, jax.random.split(key, replicas))

    return lambda seed, replicas: np.asarray(risks(jax.random.key(seed), replicas))


def _noisy_quadratic(memories: int, update: Update, problem: Any, steps: int, dtype: str, **values: float) -> Run:
    spectrum, noise = (jnp.asarray(x, dtype) for x in (problem.spectrum, problem.floor**0.5))

    def gradient(error: Any, key: Any) -> Any:
        return spectrum * error + noise * jax.random.normal(key, error.shape, dtype)

    return _scanned(problem, steps, dtype, memories, partial(update, **values), gradient, _vmapped)


accelerated_sgd = partial(_noisy_quadratic, 1, _accelerated_sgd)
adam = partial(_noisy_quadratic, 2, _adam)
lion = partial(_noisy_quadratic, 1, _lion)


def regression(problem: Any, steps: int, dtype: str, **values: float) -> Run:
    """Accelerated SGD on Gaussian regression, each batch drawn: inputs, labels' noise, residuals, gradient."""
    root = jnp.asarray(problem.spectrum**0.5, dtype)

    def gradient(error: Any, key: Any) -> Any:
        inputs, labels = jax.random.split(key)
        whitened = jax.random.normal(inputs, (problem.batch, problem.dim), dtype)
        noise = problem.label_noise**0.5 * jax.random.normal(labels, (problem.batch,), dtype)
        return root * ((whitened @ (root * error) + noise) @ whitened) / problem.batch

    return _scanned(problem, steps, dtype, 1, partial(_accelerated_sgd, **values), gradient, jax.lax.map)
