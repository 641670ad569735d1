"""What is done to the GPU itself: compiling, launching, uploading; all of it by CuPy, for arrays of Torch too."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Driver(Protocol):
    """What an engine needs of a GPU. Nothing here makes the host wait for it."""

    def missing(self) -> str | None:
        """What keeps it from working, or None if nothing does."""
        ...

    def place(self, x: Any) -> Any:
        """The device that an array lies on; None if that is the host."""
        ...

    def all_at(self, place: Any, xs: Sequence[Any]) -> bool:
        """Whether arrays of the library all lie on one device."""
        ...

    def on(self, like: Any) -> Any:
        """A context in which launches and uploads go to the device of an array, in the library's current stream.

        It gives something to tell that stream from others by.
        """
        ...

    def compile(self, text: str, name: str) -> Any:
        """The kernel of that name in a text."""
        ...

    def launch(self, kernel: Any, blocks: int, threads: int, args: Sequence[Any]) -> None:
        """Starts a kernel. Addresses and numbers are ints of 64 bits, structures are arrays of one entry."""
        ...

    def upload(self, values: npt.NDArray[Any], address: int) -> None:
        """Copies values to the device."""
        ...


class CupyDriver:
    """The GPU by way of CuPy.

    Args:
      library: whose arrays they are, ``"cupy"`` or ``"torch"``.
    """

    def __init__(self, library: str) -> None:
        self._library = library
        self._spare: dict[int, deque[_Pinned]] = {}
        self._lock = threading.Lock()
        self._stream = threading.local()

    def missing(self) -> str | None:
        """What keeps it from working, or None if nothing does."""
        if importlib.util.find_spec("cupy") is None:
            return "CuPy is not installed (pip install 'arrayopt[cupy]')"
        return None if self._cupy.is_available() else "CuPy finds no GPU"

    @property
    def _cupy(self) -> Any:
        return importlib.import_module("cupy")

    def place(self, x: Any) -> Any:
        """The index of the device that an array lies on; None if that is the host."""
        if self._library == "torch":
            return x.device.index if getattr(x, "is_cuda", False) else None
        return x.data.device_id if type(x) is self._cupy.ndarray else None

    def all_at(self, place: Any, xs: Sequence[Any]) -> bool:
        """Whether arrays of the library all lie on one device."""
        if self._library == "torch":
            return all([x.get_device() == place for x in xs])
        return all([x.data.device_id == place for x in xs])

    @contextmanager
    def on(self, like: Any) -> Generator[tuple[int, int]]:
        """Makes the array's device, and the library's stream there, those of CuPy.

        Raises:
          ValueError: the stream is being captured: a graph would repeat the numbers of one step for ever.
        """
        cuda, place = self._cupy.cuda, self.place(like)
        with cuda.Device(place):
            if self._library == "torch":
                torch = importlib.import_module("torch")
                stream = cuda.Stream.from_external(torch.cuda.current_stream(like.device))
            else:
                stream = cuda.get_current_stream()
            with stream:
                if stream.is_capturing():
                    raise ValueError(
                        "fused_step: a step cannot be captured in a CUDA graph, which would repeat the numbers of "
                        "one step; take it outside."
                    )
                yield place, stream.ptr

    def compile(self, text: str, name: str) -> Any:
        """The kernel of that name in a text, compiled by NVRTC; CuPy keeps it on disk."""
        return self._cupy.RawModule(code=text, options=("-std=c++17",)).get_function(name)

    def launch(self, kernel: Any, blocks: int, threads: int, args: Sequence[Any]) -> None:
        """Starts a kernel in the current stream."""
        kernel((blocks,), (threads,), tuple(args))

    def upload(self, values: npt.NDArray[Any], address: int) -> None:
        """Copies values by way of pinned memory, which a later upload uses again once the copy is done."""
        cuda = self._cupy.cuda
        stream, size = cuda.get_current_stream(), values.nbytes
        block = self._pinned(size)
        np.frombuffer(block.memory, np.uint8, size)[:] = np.frombuffer(values.tobytes(), np.uint8)
        cuda.runtime.memcpyAsync(address, block.memory.ptr, size, cuda.runtime.memcpyHostToDevice, stream.ptr)
        block.done.record(stream)
        with self._lock:
            self._spare[block.device].append(block)

    def _pinned(self, size: int) -> _Pinned:
        device = self._cupy.cuda.Device().id
        with self._lock:
            spare = self._spare.setdefault(device, deque())
            for _ in range(len(spare)):
                block = spare.popleft()
                if block.size >= size and block.done.done:
                    return block
                spare.append(block)
        return _Pinned(self._cupy, device, size)


class _Pinned:
    """A block of the host's memory that a device can copy from while the host goes on."""

    def __init__(self, cupy: Any, device: int, size: int) -> None:
        self.device, self.size = device, max(4096, 1 << (size - 1).bit_length())
        self.memory = cupy.cuda.alloc_pinned_memory(self.size)
        self.done = cupy.cuda.Event(disable_timing=True)
