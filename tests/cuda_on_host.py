"""What stands for a GPU and its driver where there is none: kernels compiled by g++ and run in the host's memory."""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from arrayopt_cuda.engine import CudaEngine

from arrayopt.dispatch import backend_named
from arrayopt.fused import engines


class OnHost:
    """Stands for a GPU: kernels run in the host's memory.

    Args:
      in_host: whether an array counts as one of the host's memory, as Torch's counters do.
    """

    def __init__(self, in_host: Callable[[Any], bool] = lambda x: False) -> None:
        self.in_host = in_host
        self.launched: list[str] = []
        self.texts: dict[tuple[str, str], None] = {}
        self.uploads = self.reads = 0

    def missing(self) -> str | None:
        return None

    def place(self, x: Any) -> int | None:
        return None if not hasattr(x, "dtype") or self.in_host(x) else 0

    def all_at(self, place: Any, xs: Sequence[Any]) -> bool:
        return all([self.place(x) == place for x in xs])

    @contextmanager
    def on(self, like: Any) -> Iterator[int]:
        assert self.place(like) == 0
        yield 0

    def compile(self, text: str, name: str) -> Any:
        self.texts[text, name] = None
        return built(text, name)

    def launch(self, kernel: Any, blocks: int, threads: int, args: Sequence[Any]) -> None:
        start, name, waits = kernel
        self.launched.append(name)
        held = [x if isinstance(x, np.ndarray) else np.array([x], np.int64) for x in args]
        start(blocks, threads, waits, (ctypes.c_void_p * len(held))(*[x.ctypes.data for x in held]))

    def upload(self, values: Any, address: int) -> None:
        self.uploads += 1
        ctypes.memmove(address, values.tobytes(), values.nbytes)


@cache
def built(text: str, name: str) -> tuple[Any, str, bool]:
    """A kernel as a function of the host, and whether its threads wait for one another."""
    header = Path(__file__).with_name("cuda_on_host.h")
    begins = text.index("// What the text of every kernel begins with")
    whole = f'{text[:begins]}#include "{header}"\n{text[begins:]}'
    whole += (
        f'extern "C" void start(int b, int t, bool waits, void **args) {{ launch({name}, b, t, waits, args); }}\n'
    )
    path = folder() / f"{hashlib.sha256(whole.encode()).hexdigest()[:20]}.cpp"
    path.write_text(whole)
    effort = "-O0" if name == "numbers" else "-O1"
    command = ["g++", effort, "-std=c++17", "-w", "-shared", "-fPIC", str(path), "-o", str(path.with_suffix(".so"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(path.with_suffix(".so"))).start, name, "reduced<" in text.split('extern "C"', 1)[1]


@cache
def folder() -> Path:
    path = tempfile.mkdtemp(prefix="arrayopt-cuda-on-host-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return Path(path)


def is_counter(x: Any) -> bool:
    """What Torch keeps in the host's memory."""
    return x.ndim == 0 and str(x.dtype).endswith("int32")


def emulate(library: str, monkeypatch: Any, in_host: Callable[[Any], bool] | None = None) -> OnHost:
    """Has a library served by the engine ``cuda`` on `OnHost`."""
    backend = backend_named(library)
    driver = OnHost(in_host or (is_counter if library == "torch" else lambda x: False))
    monkeypatch.setattr(type(backend), "engines", ("cuda", "tiles", "eager"))
    monkeypatch.setitem(engines._made, ("cuda", library), CudaEngine(backend, driver))
    read = backend.read

    def counted(x: Any) -> Any:
        driver.reads += driver.place(x) is not None
        return read(x)

    monkeypatch.setattr(backend, "read", counted)
    return driver


def serve(library: str) -> OnHost:
    """Has a library served by the engine ``cuda`` on `OnHost`, for good."""
    backend = backend_named(library)
    driver = OnHost(is_counter if library == "torch" else lambda x: False)
    type(backend).engines = ("cuda", "tiles", "eager")
    engines._made["cuda", library] = CudaEngine(backend, driver)
    return driver
