"""Losses beside those of Optax, Torch and SciPy: how long they take on the same logits.

    python -m arrayopt_conformance.bench.losses [--rows 10000] [--classes 100] [--rounds 31] [--library jax …]

On JAX both are jitted; there and on Torch the derivative is taken too. NumPy has no cross entropy: there the peer is
SciPy's ``log_softmax``, which is less. One process, both in turn, medians after a warm-up; the ratio is the median of
the ratios of each round.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from arrayopt import losses
from arrayopt_conformance.bench import machine
from arrayopt_conformance.libraries import has, libraries

WARM_UP = 5
LIBRARIES = ("numpy", "jax", "torch")


class Pair(NamedTuple):
    """A loss of ours and one of a peer, each as a call that waits for its end."""

    library: str
    loss: str
    peer: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]


class Times(NamedTuple):
    """Medians in seconds, and the median of the ratios of each round."""

    ours: float
    theirs: float
    ratio: float


class Data(NamedTuple):
    """NumPy arrays in float32: logits, chances, numbers of classes."""

    logits: Any
    chances: Any
    labels: Any


def data(rows: int, classes: int) -> Data:
    """Normal logits."""
    random = np.random.default_rng(0)
    logits = 3 * random.standard_normal((rows, classes))
    powers = np.exp(random.standard_normal((rows, classes)))
    chances = powers / powers.sum(axis=1, keepdims=True)
    return Data(logits.astype("float32"), chances.astype("float32"), random.integers(classes, size=rows))


def pairs(library: str, given: Data) -> Iterator[Pair]:
    """The losses that a library's peer has."""
    yield from {"numpy": _numpy, "jax": _jax, "torch": _torch}[library](given)


CROSS_ENTROPIES = {
    "softmax_cross_entropy": "chances",
    "softmax_cross_entropy_with_integer_labels": "labels",
    "sigmoid_binary_cross_entropy": "chances",
}


def _numpy(given: Data) -> Iterator[Pair]:
    log_softmax: Any = importlib.import_module("scipy.special").log_softmax
    peer = partial(log_softmax, given.logits, axis=-1)
    for name in list(CROSS_ENTROPIES)[:2]:
        ours = partial(getattr(losses, name), given.logits, getattr(given, CROSS_ENTROPIES[name]))
        yield Pair("numpy", name, "scipy log_softmax", ours, peer)


def _jax(given: Data) -> Iterator[Pair]:
    jax: Any = importlib.import_module("jax")
    optax: Any = importlib.import_module("optax")
    for name, labels in CROSS_ENTROPIES.items():
        arrays = [jax.numpy.asarray(x) for x in (given.logits, getattr(given, labels))]
        both = [getattr(losses, name), getattr(optax, name)]
        plain = [_jitted(jax.jit(f), arrays) for f in both]
        yield Pair("jax", name, "optax", *plain)
        derived = [_jitted(jax.jit(jax.value_and_grad(_mean(f))), arrays) for f in both]
        yield Pair("jax", f"{name}, derivative", "optax", *derived)


def _mean(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *xs: f(*xs).mean()


def _jitted(f: Any, arrays: list[Any]) -> Callable[[], Any]:
    return lambda: importlib.import_module("jax").block_until_ready(f(*arrays))


def _torch(given: Data) -> Iterator[Pair]:
    torch: Any = importlib.import_module("torch")
    functional: Any = torch.nn.functional
    peers = [functional.cross_entropy] * 2 + [functional.binary_cross_entropy_with_logits]
    logits = torch.asarray(given.logits)
    for (name, labels), peer in zip(CROSS_ENTROPIES.items(), peers, strict=True):
        y = torch.asarray(getattr(given, labels))

        def theirs(x: Any, y: Any, peer: Any = peer) -> Any:
            return peer(x, y, reduction="none")

        both = [_backward(f, logits, y) for f in (getattr(losses, name), theirs)]
        yield Pair("torch", f"{name}, derivative", peer.__name__, *both)


def _backward(f: Callable[..., Any], x: Any, y: Any) -> Callable[[], Any]:
    def run() -> Any:
        leaf = x.detach().requires_grad_(True)
        f(leaf, y).mean().backward()
        return leaf.grad

    return run


def measured(pair: Pair, rounds: int) -> Times:
    """Both in turn; who goes first changes from round to round."""
    seconds: list[tuple[float, float]] = []
    gc.collect()
    gc.disable()
    try:
        for round_ in range(-WARM_UP, rounds):
            if round_ % 2:
                theirs, ours = _timed(pair.theirs), _timed(pair.ours)
            else:
                ours, theirs = _timed(pair.ours), _timed(pair.theirs)
            if round_ >= 0:
                seconds.append((ours, theirs))
    finally:
        gc.enable()
    mine, its = zip(*seconds, strict=True)
    return Times(statistics.median(mine), statistics.median(its), statistics.median([a / b for a, b in seconds]))


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def able(library: str) -> bool:
    """Whether a library and its peer are here."""
    return library in libraries() and has({"numpy": "scipy", "jax": "optax", "torch": "torch"}[library])


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m arrayopt_conformance.bench.losses",
        description="Losses beside those of Optax, Torch and SciPy.",
    )
    parser.add_argument("--rows", type=int, default=10_000, help="of logits (default: %(default)s)")
    parser.add_argument("--classes", type=int, default=100, help="logits in a row (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=31, help="that count (default: %(default)s)")
    parser.add_argument("--library", nargs="+", choices=LIBRARIES, default=[name for name in LIBRARIES if able(name)])
    args = parser.parse_args(arguments)
    about = machine.described()
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}")
    print(", ".join([f"{name} {version}" for name, version in about["versions"].items()]))
    print(f"{args.rows} × {args.classes} logits, float32; milliseconds\n")
    print(f"{'':6} {'':54} {'ours':>8} {'peer':>8} {'ratio':>6}")
    given = data(args.rows, args.classes)
    for library in args.library:
        for pair in pairs(library, given):
            ours, theirs, ratio = measured(pair, args.rounds)
            print(f"{library:6} {pair.loss:54} {1e3 * ours:8.2f} {1e3 * theirs:8.2f} {ratio:6.2f}  {pair.peer}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
