"""Adapters: an optimizer of torch's or optax's kind as a run; the libraries are imported only when it starts."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from oracles.common import START, Gradient, Run


def found(path: str) -> Any:
    """What a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def torch_like(path: str, /, widened: bool = False, **options: Any) -> Run:
    """An optimizer in torch's manner; `lr` may be a function of the step, set before each one.

    Where it has `eval` and `train` (Schedule-Free), the returned iterate is what a user sees after `eval`.
    `widened` keeps its single-precision counters in double precision, as everything else here is.
    """
    schedule = options["lr"] if callable(options["lr"]) else None

    def run(gradient: Gradient) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        import torch

        torch.set_default_dtype(torch.float64)
        point = torch.nn.Parameter(torch.tensor(START))
        optimizer = found(path)([point], **{**options, "lr": schedule(0) if schedule else options["lr"]})
        averages = hasattr(optimizer, "eval")
        if averages:
            optimizer.train()
        if widened:
            point.grad = torch.zeros_like(point)
            optimizer.init_group(optimizer.param_groups[0])
            state = optimizer.state[point]
            state.update({name: value.double() for name, value in state.items()})
        t = 0
        while True:
            query = point.detach().numpy().copy()
            if schedule:
                optimizer.param_groups[0]["lr"] = schedule(t)
            point.grad = torch.tensor(gradient(t, query))
            optimizer.step()
            after = point.detach().clone()
            if averages:
                optimizer.eval()
            returned = point.detach().numpy().copy()
            if averages:
                optimizer.train()
                point.data.copy_(after)  # eval and train are inverse only up to rounding
            yield query, returned
            t += 1

    return run


def momentum_of(path: str, buffer: str, /, lr: float, **options: Any) -> Run:
    """Plain steps along a momentum buffer of torch's kind, whatever the optimizer itself does with it."""

    def run(gradient: Gradient) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        import torch

        point = torch.nn.Parameter(torch.tensor(START))
        optimizer = found(path)([point], lr=lr, **options)
        t = 0
        while True:
            query = point.detach().clone()
            point.grad = torch.tensor(gradient(t, query.numpy()))
            optimizer.step()
            point.data.copy_(query - lr * optimizer.state[point][buffer])
            yield query.numpy(), point.detach().numpy().copy()
            t += 1

    return run


def optax_like(path: str, /, **options: Any) -> Run:
    """A gradient transformation of optax; Schedule-Free's returned iterate is recovered as optax says."""

    def run(gradient: Gradient) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        import jax
        import optax

        jax.config.update("jax_enable_x64", True)
        optimizer = found(path)(**options)
        update = jax.jit(optimizer.update)
        point = jax.numpy.array(START)
        state = optimizer.init(point)
        t = 0
        while True:
            query = np.asarray(point)
            steps, state = update(jax.numpy.array(gradient(t, query)), state, point)
            point = optax.apply_updates(point, steps)
            averages = hasattr(state, "z")
            returned = optax.contrib.schedule_free_eval_params(state, point) if averages else point
            yield query, np.asarray(returned)
            t += 1

    return run


def lookahead_of_torch(base: str, lr: float, momentum: float, k: int, alpha: float) -> Run:
    """pytorch_optimizer's Lookahead around an optimizer of torch's; what it returns are the slow weights."""

    def run(gradient: Gradient) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        import torch
        from pytorch_optimizer import Lookahead

        point = torch.nn.Parameter(torch.tensor(START))
        optimizer = Lookahead(found(base)([point], lr=lr, momentum=momentum), k=k, alpha=alpha)
        t = 0
        while True:
            query = point.detach().numpy().copy()
            point.grad = torch.tensor(gradient(t, query))
            optimizer.step()
            yield query, optimizer.state[point]["slow_params"].numpy().copy()
            t += 1

    return run


def outer_of_torch(path: str, period: int, inner: Mapping[str, float], **outer: Any) -> Run:
    """DiLoCo with one worker, both of its loops by one of torch's optimizers; what it returns are the slow weights."""

    def run(gradient: Gradient) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        import torch

        slow, fast = (torch.nn.Parameter(torch.tensor(START)) for _ in range(2))
        inside, outside = found(path)([fast], **inner), found(path)([slow], **outer)
        t = 0
        while True:
            query = fast.detach().numpy().copy()
            fast.grad = torch.tensor(gradient(t, query))
            inside.step()
            t += 1
            if t % period == 0:
                slow.grad = (slow - fast).detach()
                outside.step()
                fast.data.copy_(slow)
            yield query, slow.detach().numpy().copy()

    return run


def lookahead_of_optax(base: str, k: int, alpha: float, **options: float) -> Run:
    """optax's lookahead around one of its optimizers; what it returns are the slow weights."""

    def run(gradient: Gradient) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        import jax
        import optax

        jax.config.update("jax_enable_x64", True)
        optimizer = optax.lookahead(found(base)(**options), k, alpha)
        update = jax.jit(optimizer.update)
        both = optax.LookaheadParams.init_synced(jax.numpy.array(START))
        state = optimizer.init(both)
        t = 0
        while True:
            query = np.asarray(both.fast)
            steps, state = update(jax.numpy.array(gradient(t, query)), state, both)
            both = optax.apply_updates(both, steps)
            yield query, np.asarray(both.slow)
            t += 1

    return run


def filtered_by_torch(path: str, base: str, lr: float, **options: float) -> Run:
    """A filter of gradients that keeps its averages in a mapping, around an optimizer of torch's."""

    def run(gradient: Gradient) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        import torch

        model = torch.nn.ParameterDict({"point": torch.nn.Parameter(torch.tensor(START))})
        optimizer, averages, t = found(base)(model.parameters(), lr=lr), None, 0
        while True:
            query = model["point"].detach().numpy().copy()
            model["point"].grad = torch.tensor(gradient(t, query))
            averages = found(path)(model, averages, **options)
            optimizer.step()
            yield query, model["point"].detach().numpy().copy()
            t += 1

    return run
