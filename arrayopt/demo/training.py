"""One run: an optimizer trains the network on a library."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayopt import tree
from arrayopt.backend import Backend
from arrayopt.base import GradientTransformation, apply_updates
from arrayopt.demo import data, network

Step = Callable[..., Any]


@dataclass(frozen=True)
class Plan:
    """What all runs have in common."""

    steps: int = 1500
    batch_size: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """What came of a run."""

    optimizer: str
    library: str
    losses: list[float]  # of the batch, at each step
    accuracy: float  # on the test images
    seconds: float  # of training
    params: Any  # the final parameters, as NumPy arrays


def _step_of(optimizer: GradientTransformation) -> Step:
    """``step(params, state, images, labels) -> (params, state, loss)``."""

    def step(params: Any, state: Any, images: Any, labels: Any) -> tuple[Any, Any, Any]:
        loss, gradient = network.value_and_gradient(params, images, labels)
        updates, state = optimizer.update(gradient, state, params)
        return apply_updates(params, updates), state, loss

    return step


def _compiled(step: Step, library: str) -> Step:
    """The step as its library likes it best: JAX asks to see the whole of it before it runs."""
    if library != "jax":
        return step
    jitted: Step = importlib.import_module("jax").jit(step)
    return jitted


def run(
    name: str,
    optimizer: GradientTransformation,
    backend: Backend,
    plan: Plan,
    tick: Callable[[], object] = lambda: None,
) -> Result:
    """Trains from the plan's seed: every run meets the same parameters and the same batches.

    Args:
      name: of the optimizer, for the result.
      optimizer: what trains.
      backend: of the library to compute on.
      plan: steps, batch size and seed.
      tick: called after each step.
    """
    train, test = data.load(plan.seed)
    params = tree.map(backend.asarray, network.initial(plan.seed))
    with _one_thread(), np.errstate(over="ignore", invalid="ignore"):  # a run that diverges says so by its loss
        losses, seconds, params = _train(optimizer, backend, plan, params, train, tick)
        accuracy = network.accuracy(params, *map(backend.asarray, test))
    return Result(name, backend.name, losses, accuracy, seconds, tree.map(backend.to_numpy, params))


def _train(
    optimizer: GradientTransformation,
    backend: Backend,
    plan: Plan,
    params: Any,
    train: data.Digits,
    tick: Callable[[], object],
) -> tuple[list[float], float, Any]:
    step = _compiled(_step_of(optimizer), backend.name)
    state = optimizer.init(params)
    step(params, state, *_first(train, plan, backend))  # dropped: compilation does not count as training
    losses: list[float] = []
    start = time.perf_counter()
    for batch in data.batches(train, plan.batch_size, plan.steps, plan.seed):
        params, state, loss = step(params, state, *map(backend.asarray, batch))
        losses.append(float(loss))
        tick()
    return losses, time.perf_counter() - start, params


def _first(train: data.Digits, plan: Plan, backend: Backend) -> list[Any]:
    [batch] = data.batches(train, plan.batch_size, 1, plan.seed)
    return [backend.asarray(x) for x in batch]


def _one_thread() -> Any:
    """Arrays this small gain nothing by threads, and lose much where other programs want the processor too."""
    return importlib.import_module("threadpoolctl").threadpool_limits(1)  # comes with scikit-learn


def difference(one: Result, other: Result) -> float:
    """The largest difference between the final parameters of two runs."""
    pairs = zip(tree.leaves(one.params), tree.leaves(other.params), strict=True)
    with np.errstate(invalid="ignore"):  # inf − inf
        return float(np.max([np.max(np.abs(a - b)) for a, b in pairs]))
