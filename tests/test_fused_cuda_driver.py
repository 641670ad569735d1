"""The driver of the engine ``cuda`` where there is no GPU: what it asks for, and what it tells a CuPy stand-in."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.libraries import libraries
from arrayopt_cuda.driver import CupyDriver
from arrayopt_cuda.engine import CudaEngine

from arrayopt.dispatch import backend_named


def test_what_is_missing_is_said() -> None:
    """Arrays in the host's memory are not for this engine, whether there is a GPU or not."""
    for name in {"torch"} & set(libraries()):
        engine = CudaEngine(backend_named(name))
        assert engine.missing([libraries()[name].asarray(np.ones(3))]) == "no array lies on a GPU"


def test_cupy_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cupy" else found(name))
    assert CupyDriver("torch").missing() == "CuPy is not installed (pip install 'arrayopt[cupy]')"
    engine = CudaEngine(backend_named("torch"))
    elsewhere = types.SimpleNamespace(is_cuda=True, device=types.SimpleNamespace(index=1))
    monkeypatch.setattr(sys.modules[CudaEngine.__module__], "is_array", lambda x: True)
    assert engine.missing([elsewhere]) == "CuPy is not installed (pip install 'arrayopt[cupy]')"
    other = types.SimpleNamespace(is_cuda=True, device=types.SimpleNamespace(index=0))
    assert str(engine.missing([elsewhere, other])).startswith("the arrays lie on several devices: ")


def test_a_gpu_is_asked_for() -> None:
    cupy = pytest.importorskip("cupy")
    if cupy.is_available():
        pytest.skip("there is one")
    assert CupyDriver("cupy").missing() == "CuPy finds no GPU"


def shell(x: Any) -> Any:
    """A CuPy array around memory of the host: enough to be asked where it lies, not to be computed with."""
    cupy = pytest.importorskip("cupy")
    memory = cupy.cuda.UnownedMemory(x.ctypes.data, x.nbytes, x, 0)
    return cupy.ndarray(x.shape, x.dtype, memptr=cupy.cuda.MemoryPointer(memory, 0), strides=x.strides)


def test_cupy_arrays_tell_where_they_lie() -> None:
    library = backend_named("cupy")
    pytest.importorskip("cupy")
    x = np.arange(12.0).reshape(3, 4)
    for plain in (x, x[1:], x.reshape(-1)[:1]):
        found = library.layout(shell(plain))
        assert found == backend_named("numpy").layout(plain)
        assert library.addresses([shell(plain)]) == [plain.ctypes.data]
        assert library.all_plain([shell(plain)])
    across = library.layout(shell(x.T))
    assert across is not None and across.strides == (8, 32)
    assert not library.all_plain([shell(x), shell(x.T)])
    assert library.layout(x) is None  # NumPy's
    driver = CupyDriver("cupy")
    assert driver.place(shell(x)) == 0 and driver.place(x) is None and driver.all_at(0, [shell(x), shell(x)])


# -- the driver, on a stand-in for CuPy --------------------------------------------------------------------------


class StandIn(types.SimpleNamespace):
    """As much of CuPy as the driver calls, over the host's memory."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[Any] = []
        self.copying = True  # copies take time: events are not done
        self.streams: list[Any] = [types.SimpleNamespace(ptr=7)]
        self.capturing = False
        self.pinned = 0
        stand_in = self

        class Event:
            def __init__(self, *, disable_timing: bool) -> None:
                assert disable_timing

            def record(self, stream: Any) -> None:
                assert stream is stand_in.streams[-1]

            @property
            def done(self) -> bool:
                return not stand_in.copying

        class Module:
            def __init__(self, *, code: str, options: tuple[str, ...]) -> None:
                assert code == "text" and options == ("-std=c++17",)

            def get_function(self, name: str) -> Any:
                return lambda *args: stand_in.launches.append((name, *args))

        self.RawModule = Module
        self.is_available = lambda: True
        runtime = types.SimpleNamespace(memcpyHostToDevice=1, memcpyAsync=self.copy)
        self.cuda = types.SimpleNamespace(
            Device=self.device,
            Event=Event,
            Stream=types.SimpleNamespace(from_external=lambda stream: self.entered(stream.cuda_stream)),
            get_current_stream=lambda: self.streams[-1],
            alloc_pinned_memory=self.memory,
            runtime=runtime,
        )

    def device(self, index: int = 0) -> Any:
        @contextmanager
        def current() -> Iterator[None]:
            yield

        found: Any = current()
        found.id = index
        return found

    def entered(self, ptr: int) -> Any:
        @contextmanager
        def current() -> Iterator[None]:
            self.streams.append(types.SimpleNamespace(ptr=ptr))
            yield
            self.streams.pop()

        found: Any = current()
        found.ptr, found.is_capturing = ptr, lambda: self.capturing
        return found

    def memory(self, size: int) -> Any:
        self.pinned += 1
        return Pinned(size)

    def copy(self, to: int, source: int, size: int, direction: int, stream: int) -> None:
        assert direction == 1 and stream == self.streams[-1].ptr
        ctypes.memmove(to, source, size)


class Pinned(bytearray):
    """Memory that tells its address."""

    @property
    def ptr(self) -> int:
        return ctypes.addressof((ctypes.c_char * len(self)).from_buffer(self))


def test_the_driver_launches_in_torchs_stream_and_uploads_by_way_of_pinned_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    cupy, driver = StandIn(), CupyDriver("torch")
    monkeypatch.setattr(CupyDriver, "_cupy", cupy)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: types.SimpleNamespace(cuda_stream=99))
    tensor = types.SimpleNamespace(is_cuda=True, device=types.SimpleNamespace(index=3))
    assert driver.all_at(-1, [torch.ones(2)]) and not driver.all_at(3, [torch.ones(2)])
    assert driver.place(tensor) == 3 and driver.place(torch.ones(2)) is None and driver.place(1.5) is None
    with driver.on(tensor) as stream:
        assert stream == (3, 99)
        driver.launch(driver.compile("text", "run"), 5, 256, [1, 2])
        assert cupy.launches == [("run", (5,), (256,), (1, 2))]
        for k in range(4):
            found, given = np.zeros(700), np.arange(700.0) + k
            driver.upload(given, found.ctypes.data)
            np.testing.assert_array_equal(found, given)
            cupy.copying = k == 0  # then the first two are done
    assert cupy.pinned == 2
    cupy.capturing = True
    with pytest.raises(ValueError, match=r"^fused_step: a step cannot be captured"), driver.on(tensor):
        pass
