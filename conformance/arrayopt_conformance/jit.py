"""Compiled by JAX, a rule is a program of the size and speed of Optax's.

    python -m arrayopt_conformance.jit [--rounds 7] [--steps 15] [--rule adam …]

prints for each rule and workload the number of HLO operations of both and the ratio of their times: one process,
donated buffers, steps interleaved in turns, medians, over several rounds with freshly allocated arrays (where the
pages happen to lie moves a memory-bound program by some per cent).
"""

from __future__ import annotations

import argparse
import importlib
import re
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import arrayopt
from arrayopt_conformance.rules import Rule, rules

WORKLOADS: dict[str, list[tuple[int, ...]]] = {"1x10M": [(2500, 4000)], "100x100k": [(250, 400)] * 100}
_OPERATION = re.compile(r"^\s*(ROOT )?%?[\w.\-]+ = ", re.MULTILINE)


class Pair(NamedTuple):
    """A rule and Optax's of the same name, as transforms with the arguments Optax's defaults give."""

    name: str
    ours: Any
    theirs: Any


def pairs() -> list[Pair]:
    """The optimizers that Optax has too, each at its defaults."""
    optax: Any = importlib.import_module("optax")
    found: list[Pair] = []
    for rule in rules():
        theirs = getattr(optax, rule.name, None) or getattr(optax.contrib, rule.name, None)
        if theirs is not None and "arrayopt.optimizers" in rule.make.__module__ and _is_optimizer(rule):
            found.append(Pair(rule.name, rule.make(learning_rate=1e-3), theirs(learning_rate=1e-3)))
    return found


def _is_optimizer(rule: Rule) -> bool:
    return not rule.name.startswith("scale_by_")


def stepper(tx: Any, apply: Callable[[Any, Any], Any]) -> Any:
    """The jitted step of a transform, parameters and state donated."""
    jax: Any = importlib.import_module("jax")

    def step(params: Any, state: Any, grads: Any) -> tuple[Any, Any]:
        updates, state = tx.update(grads, state, params)
        return apply(params, updates), state

    return jax.jit(step, donate_argnums=(0, 1))


def operations(tx: Any, apply: Callable[[Any, Any], Any], shapes: list[tuple[int, ...]]) -> int:
    """The number of HLO operations of the compiled step."""
    params = _arrays(shapes)
    compiled = stepper(tx, apply).lower(params, tx.init(params), params).compile()
    return len(_OPERATION.findall(compiled.as_text()))


def _arrays(shapes: list[tuple[int, ...]]) -> list[Any]:
    jnp: Any = importlib.import_module("jax.numpy")
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape, dtype=np.float32)) for shape in shapes]


class Run:
    """One of the two, with arrays of its own."""

    def __init__(self, tx: Any, apply: Callable[[Any, Any], Any], shapes: list[tuple[int, ...]], step: Any) -> None:
        self.step = step
        self.params, self.grads = _arrays(shapes), _arrays(shapes)
        self.state = tx.init(self.params)
        self.times: list[float] = []

    def once(self) -> None:
        """Takes a step and notes the time."""
        jax: Any = importlib.import_module("jax")
        start = time.perf_counter()
        self.params, self.state = jax.block_until_ready(self.step(self.params, self.state, self.grads))
        self.times.append(time.perf_counter() - start)


def ratio(pair: Pair, shapes: list[tuple[int, ...]], rounds: int, steps: int) -> float:
    """Our time over Optax's: the median over rounds of the ratio of medians over steps."""
    optax: Any = importlib.import_module("optax")
    sides = [(pair.ours, arrayopt.apply_updates), (pair.theirs, optax.apply_updates)]
    compiled = [stepper(tx, apply) for tx, apply in sides]
    found: list[float] = []
    for round_ in range(rounds):
        order = (0, 1) if round_ % 2 else (1, 0)
        runs = {i: Run(*sides[i], shapes, compiled[i]) for i in order}
        for _ in range(steps + 2):
            for i in order:
                runs[i].once()
        ours, theirs = [statistics.median(runs[i].times[2:]) for i in (0, 1)]
        found.append(ours / theirs)
    return statistics.median(found)


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    optax: Any = importlib.import_module("optax")
    parser = argparse.ArgumentParser(prog="python -m arrayopt_conformance.jit", description="jitted steps vs Optax's")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rule", action="append", default=[])
    chosen = parser.parse_args(argv)
    print(f"{'workload':10}{'rule':12}{'HLO ours':>10}{'Optax':>8}{'ratio':>8}{'time':>8}")
    for workload, shapes in WORKLOADS.items():
        for pair in pairs():
            if chosen.rule and pair.name not in chosen.rule:
                continue
            ours = operations(pair.ours, arrayopt.apply_updates, shapes)
            theirs = operations(pair.theirs, optax.apply_updates, shapes)
            times = ratio(pair, shapes, chosen.rounds, chosen.steps)
            print(f"{workload:10}{pair.name:12}{ours:>10}{theirs:>8}{ours / theirs:>8.3f}{times:>8.3f}", flush=True)


if __name__ == "__main__":
    main()
