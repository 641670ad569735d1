"""The engine ``cuda``; its figures are on the page on fused steps."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from arrayopt.backend import Backend
from arrayopt.dispatch import is_array
from arrayopt.fused.program import Launch, Schedule
from arrayopt.fused.runner import carry_out
from arrayopt.fused.tiles import Tiles
from arrayopt.fused.traced import Unforeseen
from arrayopt.layout import Spots
from arrayopt_cuda.bound import Bound
from arrayopt_cuda.driver import CupyDriver, Driver
from arrayopt_cuda.room import Room
from arrayopt_cuda.step import Step


class CudaEngine:
    """The engine on one library.

    Args:
      backend: the library's adapter.
      driver: of the device; CuPy's by default.
    """

    about = "CUDA kernels, one launch for all leaves alike"
    leaves_out = True

    def __init__(self, backend: Backend, driver: Driver | None = None) -> None:
        self.backend = backend
        self.driver: Driver = driver or CupyDriver(backend.name)
        self._tiles = Tiles(backend, None)
        self._reading = Tiles(backend)
        self._kernels: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def missing(self, leaves: Sequence[Any]) -> str | None:
        """What keeps it from serving these arrays."""
        arrays = [x for x in leaves if is_array(x)]
        places = {self.driver.place(x): x for x in arrays}
        where = [str(getattr(x, "device", "")) for place, x in places.items() if place is not None]
        if len(where) != 1:
            return f"the arrays lie on several devices: {', '.join(where)}" if where else "no array lies on a GPU"
        return self.driver.missing() or self._reading.missing(arrays)

    def prepare(self, schedule: Schedule, like: Any) -> None:
        """Sees to it that the library can do what there is no kernel for."""
        self._reading.prepare(schedule, like)

    def launch(self, launch: Launch, arrays: Sequence[Any], spots: Spots, scalars: list[Any]) -> list[list[Any]]:
        """Applies a program by the library's operations: for steps whose numbers the host must know."""
        return self._reading.launch(launch, arrays, spots, scalars)

    def carry_out(self, schedule: Schedule, leaves: list[Any], spots: Spots) -> dict[int, Any]:
        """Runs a step; for each place that holds a Python number, the number that belongs there now."""
        like = next((x for x in leaves if self.driver.place(x) is not None), None)
        if like is None:
            raise ValueError(
                "fused_step: arrays must lie on the device that they lay on at first; none lies on a GPU."
            )
        with self.driver.on(like) as stream:
            bound: Bound | None = schedule.bound
            if bound is None:
                bound = schedule.bound = self._bound(schedule, leaves, like, spots.missing)
            if bound.why_not is not None:
                return carry_out(schedule, self, self.backend, leaves, spots)
            rooms = bound.rooms.made  # launches of one thread in one stream run one after another
            if stream not in rooms:
                rooms[stream] = Room(bound, self.backend, self.driver, like)
            return Step(rooms[stream], self._tiles, leaves, spots).run()

    def _bound(self, schedule: Schedule, leaves: list[Any], like: Any, missing: frozenset[int]) -> Bound:
        """A schedule with all its kernels; what has none is tried, on little."""
        arrays = {place: x for place, x in enumerate(leaves) if place not in missing} | dict(schedule.captured)
        host = frozenset([place for place, x in arrays.items() if not self._can_address(x)])
        try:
            found = Bound(schedule, arrays, host, self._kernel)
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            raise Unforeseen(f"a kernel cannot be compiled: {type(error).__name__}: {text}") from error
        if found.why_not is None:
            for stage, bound in zip(schedule.stages, found.stages, strict=False):
                for launch, one in zip(stage.launches, bound.launches, strict=True):
                    if one.kernel is None:
                        self._tiles.attempt(launch, like)
        return found

    def _can_address(self, x: Any) -> bool:
        """Whether a kernel can look at it; if not, the host must."""
        return self.driver.place(x) is not None and self.backend.layout(x) is not None

    def _kernel(self, text: str, name: str) -> Any:
        """A kernel, compiled at first use."""
        found = self._kernels.get((text, name))
        if found is None:
            with self._lock:
                found = self._kernels.get((text, name)) or self.driver.compile(text, name)
                self._kernels[text, name] = found
        return found
