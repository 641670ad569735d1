"""Steps against ``torch.optim``'s on the same machine, and against a copy that moves as many bytes."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import arrayopt
from arrayopt_conformance.gpu.places import Place
from arrayopt_conformance.gpu.right import Cases

ROUNDS, STEPS = 15, 5


class Race(NamedTuple):
    """A rule of ours, and what ``torch.optim`` has for it.

    Attributes:
      ours: makes the transform.
      torch: name and arguments of the optimizer, or None.
      ways: those that it has.
      clip: the norm to clip to first, or None.
      square: whether leaves have two axes.
    """

    ours: Callable[[], Any]
    torch: tuple[str, dict[str, Any]] | None = None
    ways: tuple[str, ...] = ("fused", "foreach")
    clip: float | None = None
    square: bool = False


RACES: dict[str, Race] = {
    "adamw": Race(lambda: arrayopt.adamw(1e-3), ("AdamW", {"lr": 1e-3})),
    "momentum": Race(lambda: arrayopt.sgd(1e-3, momentum=0.9), ("SGD", {"lr": 1e-3, "momentum": 0.9})),
    "clip and adamw": Race(
        lambda: arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adamw(1e-3)),
        ("AdamW", {"lr": 1e-3}),
        clip=1.0,
    ),
    "adabelief": Race(lambda: arrayopt.adabelief(1e-3)),
    "lion": Race(lambda: vars(arrayopt)["lion"](1e-3)),  # raced once there is one
    "adafactor": Race(lambda: arrayopt.adafactor(1e-3), ("Adafactor", {"lr": 1e-3}), ("foreach",), square=True),
}
SIZES = {"1 x 100M": (1, 10_000), "1000 x 100k": (1000, 316), "1000 x 1k": (1000, 32)}  # leaves, side of each


def cases(places: list[Place]) -> Cases:
    """Torch first; the rules in order of worth."""
    for place in sorted(places, key=lambda place: not place.is_torch):
        for name in ("adamw", "clip and adamw"):
            for size in ("1000 x 100k", "1000 x 1k"):
                leaves, side = SIZES[size] if place.real else (6, 8)
                yield f"{place} without some gradients, {name}, {size}", partial(holes_of, place, name, leaves, side)
        for dtype in ("float32", "bfloat16"):
            for name, race in RACES.items():
                for size, (leaves, side) in SIZES.items():
                    if not place.real:
                        leaves, side = min(leaves, 3), 8
                    if hasattr(arrayopt, name) or name != "lion":
                        yield f"{place} {dtype} {name}, {size}", partial(race_of, place, dtype, race, leaves, side)


def race_of(place: Place, dtype: str, race: Race, leaves: int, side: int) -> dict[str, Any]:
    """Medians over the rounds, in which the contenders take turns."""
    place.tidy()
    if place.real and place.room() < 60 * leaves * side * side:
        return {"left out": "too little memory"}
    ours = Ours(place, dtype, race, leaves, side)
    contenders: dict[str, Callable[[], Any]] = {"ours": ours.step}
    if race.torch is not None and place.is_torch and place.real:
        for way in race.ways:
            contenders[f"torch {way}"] = peer(place, dtype, race, leaves, side, way)
    contenders["copy"] = copy(place, ours.moved)
    found = measured(place, contenders)
    table: dict[str, Any] = {name: times._asdict() for name, times in found.items()}
    table["ratios"] = {
        f"ours / {name}": round(found["ours"].device / times.device, 3)
        for name, times in found.items()
        if name != "ours"
    }
    return {"engine": ours.engine, "bytes": ours.moved, **table}


class Ours:
    """A fused step. The first two are taken, so that everything is compiled.

    Attributes:
      grads: of the next step.
      engine: what runs it.
      moved: bytes.
    """

    def __init__(self, place: Place, dtype: str, race: Race, leaves: int, side: int) -> None:
        tx = race.ours()
        self._params: Any = tree(place, dtype, race, leaves, side)
        self.grads: list[Any] = tree(place, dtype, race, leaves, side)
        self._state, self._step = tx.init(self._params), arrayopt.fused_step(tx, "cuda")
        for _ in range(2):
            self.step()
        found = self._step.explain()
        self.engine, self.moved = found.engine, found.bytes_minimum

    def step(self) -> None:
        """Takes one."""
        self._params, self._state = self._step(self._params, self.grads, self._state)


MOST = 3.0
"""Times a full step that one without some gradients may take, whichever they are."""


def holes_of(place: Place, name: str, leaves: int, side: int) -> dict[str, Any]:
    """Steps in which half of the gradients are None, the same or others each time, against full ones."""
    place.tidy()
    if place.real and place.room() < 60 * leaves * side * side:
        return {"left out": "too little memory"}
    ours = Ours(place, "float32", RACES[name], leaves, side)
    whole, turns = ours.grads, itertools.count()
    random = np.random.default_rng(0)
    some = [
        [g if keep else None for g, keep in zip(whole, random.random(leaves) < 0.5, strict=True)] for _ in range(20)
    ]
    learn = [[g if k % 2 == first else None for k, g in enumerate(whole)] for first in (0, 1)]

    def step(grads: Any) -> None:
        ours.grads = grads
        ours.step()

    for grads in (*learn, learn[0], *some):  # each has been None; later steps record nothing
        step(grads)
    contenders: dict[str, Callable[[], Any]] = {
        "all": lambda: step(whole),
        "the same": lambda: step(some[0]),
        "others each time": lambda: step(some[next(turns) % len(some)]),
    }
    found = measured(place, contenders)
    full = found.pop("all")
    ratios = {who: round(times.device / full.device, 3) for who, times in found.items()}
    assert not place.real or max(ratios.values()) <= MOST, ratios
    return {
        "engine": ours.engine,
        "all": full._asdict(),
        **{k: t._asdict() for k, t in found.items()},
        "ratios": ratios,
    }


def tree(place: Place, dtype: str, race: Race, leaves: int, side: int) -> list[Any]:
    """Leaves of small numbers on the device."""
    shape = (side, side) if race.square else (side * side,)
    return [place.full(shape, 0.01, dtype) for _ in range(leaves)]


def peer(place: Place, dtype: str, race: Race, leaves: int, side: int, way: str) -> Callable[[], Any]:
    """An optimizer of ``torch.optim``; whatever it must clip first, all at once."""
    torch = place.module
    assert race.torch is not None
    params = [torch.nn.Parameter(x) for x in tree(place, dtype, race, leaves, side)]
    for p, g in zip(params, tree(place, dtype, race, leaves, side), strict=True):
        p.grad = g
    name, arguments = race.torch
    optimizer = getattr(torch.optim, name)(params, **arguments, **{way: True})

    def step() -> None:
        if race.clip is not None:
            torch.nn.utils.clip_grad_norm_(params, race.clip, foreach=True)
        optimizer.step()

    return step


def copy(place: Place, moved: int) -> Callable[[], Any]:
    """Reads half of so many bytes, and writes the other half."""
    a, b = [place.full((max(moved // 8, 1),), 0.0, "float32") for _ in range(2)]
    return lambda: place.library.backend.assign(a, b)


class Times(NamedTuple):
    """Milliseconds of a step: on the device, steps following one another; the host's part; one alone, waited for."""

    device: float
    host: float
    alone: float


def measured(place: Place, contenders: dict[str, Callable[[], Any]]) -> dict[str, Times]:
    """The medians."""
    rounds = ROUNDS if place.real else 1
    times: dict[str, list[Times]] = {name: [] for name in contenders}
    for k in range(rounds + 1):
        for name, step in contenders.items():
            found = timed(place, step)
            if k:
                times[name].append(found)
    return {
        name: Times(*[round(1e3 * statistics.median(column), 5) for column in zip(*rows, strict=True)])
        for name, rows in times.items()
    }


def timed(place: Place, step: Callable[[], Any]) -> Times:
    """Some steps in a row, and one alone."""
    place.wait()
    begun, first = time.perf_counter(), place.mark()
    for _ in range(STEPS):
        step()
    handed, last = time.perf_counter() - begun, place.mark()
    place.wait()
    alone = time.perf_counter()
    step()
    place.wait()
    return Times(place.between(first, last) / STEPS, handed / STEPS, time.perf_counter() - alone)
