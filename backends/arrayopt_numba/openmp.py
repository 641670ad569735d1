"""Threads of an OpenMP runtime that another library has brought into the process, Torch above all.

Such threads wait for work by spinning, for some milliseconds after each region. Threads of ours would have to share
the cores with them; so where there is such a runtime, kernels run on it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any


class OpenMP:
    """A runtime that starts a parallel region the way code compiled by GCC asks for one.

    Args:
      library: the runtime's path.
    """

    def __init__(self, library: str) -> None:
        runtime = ctypes.CDLL(library)
        self._threads: Any = runtime.omp_get_max_threads
        self._parallel: Any = runtime.GOMP_parallel
        self._parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        self._parallel.restype = None
        self._process = os.getpid()

    def ready(self) -> bool:
        """A forked child must not enter a region: the threads did not come along."""
        return os.getpid() == self._process

    def threads(self) -> int:
        """As many as it is told to use, ``torch.set_num_threads`` included."""
        return int(self._threads())

    def together(self, function: int, argument: int, threads: int) -> None:
        """Calls a C function of one pointer, by its address, on so many threads, and waits for all."""
        self._parallel(function, argument, threads, 0)


def open_mp() -> OpenMP | None:
    """The runtime at hand, Torch's if there is one; None if there is none."""
    return _open_mp("torch" in sys.modules)


@cache
def _open_mp(with_torch: bool) -> OpenMP | None:
    del with_torch  # asked again once Torch has come
    for path in _loaded():
        try:
            return OpenMP(path)
        except (OSError, AttributeError):
            continue
    return None


def _loaded() -> list[str]:
    """Paths of the runtimes in this process."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return []
    found = {line.split()[-1] for line in maps.read_text().splitlines() if "libgomp" in line or "libiomp5" in line}
    return sorted(found, key=lambda path: ("torch" not in path, path))
