"""What stands for a GPU and its driver where there is none: kernels compiled by g++ and run in the host's memory."""

from __future__ import annotations

import atexit
import ctypes
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from arrayopt_cuda import emit
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
        elsewhere = not hasattr(x, "dtype") or str(getattr(x, "device", "cpu")) != "cpu"
        return None if elsewhere or self.in_host(x) else 0

    def all_at(self, place: Any, xs: Sequence[Any]) -> bool:
        return all([self.place(x) == place for x in xs])

    @contextmanager
    def on(self, like: Any) -> Iterator[int]:
        assert self.place(like) == 0
        yield 0

    def compile(self, text: str, name: str) -> Any:
        self.texts[text, name] = None
        return compiled(text, name)

    def launch(self, kernel: Any, blocks: int, threads: int, args: Sequence[Any]) -> None:
        self.launched.append(kernel.name)
        held = [x if isinstance(x, np.ndarray) else np.array([x], np.int64) for x in args]
        kernel.start(blocks, threads, kernel.waits, (ctypes.c_void_p * len(held))(*[x.ctypes.data for x in held]))

    def upload(self, values: Any, address: int) -> None:
        self.uploads += 1
        ctypes.memmove(address, values.tobytes(), values.nbytes)


class Kernel:
    """A kernel of a text, as a function of the host.

    It is compiled when the first one that waits with it is launched: what g++ costs is the call, and a step has
    several kernels.

    Attributes:
      name: its name.
      waits: whether its threads wait for one another.
    """

    def __init__(self, text: str, name: str) -> None:
        self.name, self.body = name, text.removeprefix(emit.preamble())
        assert self.body != text
        self.waits = "reduced<" in self.body
        self._start: Any = None
        waiting.append(self)

    @property
    def start(self) -> Any:
        if self._start is None:
            build(self)
        return self._start

    @start.setter
    def start(self, function: Any) -> None:
        self._start = function

    def source(self, k: int) -> str:
        """Its text among those of others, whose kernels have the same names."""
        names = [name for name in KERNELS if f"void {name}(" in self.body]
        before = "".join([f"#define {name} {name}_{k}\n" for name in names])
        after = "".join([f"#undef {name}\n" for name in names])
        start = f"void start_{k}(int b, int t, bool waits, void **args) {{ launch({self.name}, b, t, waits, args); }}"
        return f'{before}namespace kernel_{k} {{\n{self.body}\nextern "C" {start}\n}}\n{after}'


KERNELS = ("run", "numbers", "set", "combine")
waiting: list[Kernel] = []
compiled, number = cache(Kernel), itertools.count()


def build(wanted: Kernel) -> None:
    """Compiles a kernel, and those that wait."""
    path, some = folder() / f"kernels_{next(number)}.cpp", list(dict.fromkeys([wanted, *waiting]))
    waiting.clear()  # a text that cannot be compiled is not tried with others again
    path.write_text(f'#include "{header()}"\n' + "".join([one.source(k) for k, one in enumerate(some)]))
    gplusplus("-shared", "-nostdlib", str(path), "-lgcc", "-o", str(path.with_suffix(".so")))
    library = ctypes.CDLL(str(path.with_suffix(".so")))
    for k, one in enumerate(some):
        one.start = library[f"start_{k}"]


@cache
def header() -> Path:
    """What is the same for all kernels, compiled once."""
    path, known, given = folder() / "kernel.h", emit.preamble(), Path(__file__).with_name("cuda_on_host.h")
    begins = known.index("// What the text of every kernel begins with")
    path.write_text(f'{known[:begins]}#include "{given}"\n{known[begins:]}')
    gplusplus(str(path), "-o", f"{path}.gch")
    return path


def gplusplus(*options: str) -> None:
    command = ["g++", "-O0", "-std=c++17", "-w", "-fPIC", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]


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
