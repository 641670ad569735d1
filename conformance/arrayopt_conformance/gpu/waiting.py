"""Does the host ever wait for the device, and what becomes of a step in a CUDA graph?"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import arrayopt
from arrayopt_conformance.gpu.places import Place, waits_forbidden
from arrayopt_conformance.gpu.right import Cases

SPIN = 0.5
"""Seconds that the device is kept busy: the host must be done with its steps long before."""

RULES: dict[str, Callable[[], Any]] = {
    "adamw": lambda: arrayopt.adamw(0.1),
    "clipped": lambda: arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adamw(0.1)),
    "scheduled": lambda: arrayopt.adamw(arrayopt.schedules.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10)),
    "adafactor": lambda: arrayopt.adafactor(0.1, min_dim_size_to_factor=4),
    "momentum": lambda: arrayopt.sgd(0.1, momentum=0.9),
}


def cases(places: list[Place]) -> Cases:
    """Each rule in each place, then graphs."""
    for place in places:
        for name in RULES:
            yield f"{place}: the host goes on, {name}", partial(host_goes_on, place, name)
        for name in ("adamw", "clipped"):
            yield (
                f"{place}: the host goes on, other gradients are None, {name}",
                partial(host_goes_on, place, name, True),
            )
        for name in ("adamw", "momentum"):
            yield f"{place}: captured in a graph, {name}", partial(captured, place, name)


class Running:
    """Steps of a rule, the first taken; each with gradients of its own, of which some may be None."""

    def __init__(self, place: Place, name: str, holes: bool = False) -> None:
        self.tx, here = RULES[name](), place.library
        self.params = {f"w{k}": here.asarray(np.ones((40, 30 + k)), "float32") for k in range(20)}
        self.days: list[dict[str, Any]] = [{key: 0.5 * x for key, x in self.params.items()} for _ in range(4)]
        if holes:
            self.days = [
                {key: g if n % 4 != k else None for n, (key, g) in enumerate(day.items())}
                for k, day in enumerate(self.days)
            ]
        self.state = self.tx.init(self.params)
        self.step = arrayopt.fused_step(self.tx, "cuda")
        for k in range(6 if holes else 2):
            self.take(k)
        place.wait()

    def take(self, k: int) -> None:
        """One step."""
        self.params, self.state = self.step(self.params, self.days[k % 4], self.state)


def host_goes_on(place: Place, name: str, holes: bool = False) -> str:
    """Steps are handed over while the device is busy with something else."""
    running = Running(place, name, holes)
    with waits_forbidden(place):
        place.spin(SPIN)
        start = time.perf_counter()
        for k in range(3):
            running.take(k)
        handed = time.perf_counter() - start
    place.wait()
    done = time.perf_counter() - start
    if not place.real:
        return "needs a GPU"
    assert done > SPIN / 3, f"the device was not busy: {done:.3f} s"
    assert handed < done / 2, f"the host waited: {handed:.3f} s of {done:.3f} s"
    return f"3 steps handed over in {1e3 * handed:.2f} ms, the device done after {1e3 * done:.0f} ms"


def captured(place: Place, name: str) -> str:
    """A step within a graph is refused; or played back it does what steps do."""
    if not place.real:
        return "needs a GPU"
    running, twin = Running(place, name), Running(place, name)
    try:
        replay = _capture(place, lambda: running.take(0))
    except Exception as error:
        running.take(1)
        twin.take(1)
        place.wait()
        _alike(place, running, twin)
        return f"refused: {error!r}, after {error.__context__!r}"
    for _ in range(3):
        replay()
        twin.take(0)
    place.wait()
    _alike(place, running, twin)
    return "played back as eagerly"


def _alike(place: Place, running: Running, twin: Running) -> None:
    got, wanted = place.library.numpy(running.params), place.library.numpy(twin.params)
    for key in got:
        np.testing.assert_allclose(got[key], wanted[key], rtol=1e-6, err_msg=key)


def _capture(place: Place, act: Callable[[], Any]) -> Callable[[], Any]:
    cuda = place.module.cuda
    if place.is_torch:
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            act()
        return graph.replay  # type: ignore[no-any-return]
    stream = cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            act()
        finally:
            graph = stream.end_capture()
    return lambda: graph.launch(stream)
