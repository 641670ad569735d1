"""Where arrays lie: on the GPU, by CuPy and by Torch; or in a rehearsal, on what the tests let stand for one."""

from __future__ import annotations

import importlib
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayopt_conformance.libraries import Library, libraries


@dataclass(frozen=True)
class OnDevice(Library):
    """A library whose arrays are made on a device.

    Attributes:
      device: the library's own word for it.
    """

    device: Any = None

    def asarray(self, x: Any, dtype: str | None = None) -> Any:
        """An array of this library from a NumPy array, its values rounded to the dtype named."""
        return self.backend.asarray(np.asarray(x), dtype, self.device)


@dataclass(frozen=True)
class Place:
    """A library, and how to deal with the machine that its arrays are on.

    Attributes:
      library: makes arrays there.
      real: whether it is a GPU.
    """

    library: Library
    real: bool

    def __str__(self) -> str:
        return self.library.name

    @property
    def module(self) -> Any:
        """The library itself."""
        return importlib.import_module(self.library.name)

    @property
    def is_torch(self) -> bool:
        """Whether it is Torch."""
        return self.library.name == "torch"

    def full(self, shape: tuple[int, ...], value: float, dtype: str) -> Any:
        """An array of one number, made on the device."""
        backend = self.library.backend
        found = backend.empty(shape, dtype, self.library.asarray([0.0], dtype))
        backend.assign(found, value)
        return found

    def wait(self) -> None:
        """Waits until the device has done everything; raises what went wrong there."""
        if self.real and self.is_torch:
            self.module.cuda.synchronize()
        elif self.real:
            self.module.cuda.Device().synchronize()

    def room(self) -> int:
        """Bytes of memory that are free."""
        if not self.real:
            return 1 << 24
        found = self.module.cuda.mem_get_info() if self.is_torch else self.module.cuda.Device().mem_info
        return int(found[0])

    def tidy(self) -> None:
        """Gives memory back that is kept for later."""
        importlib.import_module("gc").collect()
        if self.real and self.is_torch:
            self.module.cuda.empty_cache()
        elif self.real:
            self.module.get_default_memory_pool().free_all_blocks()

    def mark(self) -> Any:
        """A moment in the order of what the device does."""
        if not self.real:
            return time.perf_counter()
        cuda = self.module.cuda
        event = cuda.Event(enable_timing=True) if self.is_torch else cuda.Event()
        event.record()
        return event

    def between(self, first: Any, last: Any) -> float:
        """Seconds from one moment to another, once both are past."""
        if not self.real:
            return float(last - first)
        if self.is_torch:
            return float(first.elapsed_time(last)) / 1e3
        return float(self.module.cuda.get_elapsed_time(first, last)) / 1e3

    def stream(self) -> AbstractContextManager[Any]:
        """A stream of its own, current within the context."""
        if not self.real:
            return nullcontext()
        if self.is_torch:
            return self.module.cuda.stream(self.module.cuda.Stream())  # type: ignore[no-any-return]
        return self.module.cuda.Stream(non_blocking=True)  # type: ignore[no-any-return]

    def spin(self, seconds: float) -> None:
        """Keeps the device busy, the host not waiting for it."""
        if self.real and self.is_torch:
            self.module.cuda._sleep(int(seconds * 1.5e9))
        elif self.real:
            text = r"""extern "C" __global__ void spin(long long n) {
                for (const long long start = clock64(); clock64() - start < n;) ; }"""
            self.module.RawKernel(text, "spin")((1,), (1,), (np.int64(seconds * 1.5e9),))


def places(rehearse: bool) -> list[Place]:
    """Those that are here."""
    if rehearse:
        return [Place(found, False) for name, found in libraries().items() if name in ("numpy", "torch")]
    found: list[Place] = []
    if "torch" in libraries() and libraries()["torch"].backend.devices()[1:]:
        torch = libraries()["torch"]
        device = torch.backend.devices()[1]
        found.append(Place(OnDevice("torch", torch.backend, torch.dtypes, torch.modes, device), True))
    if "cupy" in libraries():
        found.append(Place(libraries()["cupy"], True))
    return found


@contextmanager
def waits_forbidden(place: Place) -> Generator[None]:
    """Where Torch itself has the host wait for the device, it raises."""
    if not (place.real and place.is_torch):
        yield
        return
    place.module.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        place.module.cuda.set_sync_debug_mode("default")


def machine() -> dict[str, Any]:
    """What the machine is, in words."""
    found: dict[str, Any] = {}
    for name in ("numpy", "torch", "cupy", "numba"):
        try:
            found[name] = str(importlib.import_module(name).__version__)
        except Exception as error:
            found[name] = repr(error)
    try:
        torch = importlib.import_module("torch")
        properties = torch.cuda.get_device_properties(0)
        found["gpu"] = f"{properties.name}, {properties.total_memory >> 20} MiB, CUDA {torch.version.cuda}"
    except Exception as error:
        found["gpu"] = repr(error)
    return found
