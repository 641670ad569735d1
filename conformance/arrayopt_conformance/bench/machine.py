"""The machine and what is installed on it."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PACKAGES = ("arrayopt", "numpy", "scipy", "torch", "jax", "optax", "numba", "llvmlite", "ml_dtypes")


def described() -> dict[str, Any]:
    """Processor, cores, system, and versions of all that takes part."""
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "system": platform.system() + " " + platform.release(),
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    lines = _lines("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int | None:
    """Bytes that a process can still have, or None where that is not known."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def can_confine() -> bool:
    """Whether this system lets a process give up cores."""
    return hasattr(os, "sched_setaffinity")


@contextmanager
def confined(threads: int | None) -> Generator[int]:
    """Runs on so many cores: the threads of all libraries are kept to them.

    Args:
      threads: how many; None for all there are.
    """
    if threads is None:
        _tell_torch(cores())
        yield cores()
        return
    before = os.sched_getaffinity(0)
    _move(sorted(before)[:threads])
    try:
        _tell_torch(cores())
        yield cores()
    finally:
        _move(sorted(before))


def _move(to: list[int]) -> None:
    """Puts every thread there is on these cores; those that will be started inherit it."""
    running = (
        [int(task.name) for task in Path("/proc/self/task").iterdir()] if Path("/proc/self/task").exists() else [0]
    )
    for thread in running:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(thread, to)


def _tell_torch(threads: int) -> None:
    """Torch takes half the cores where it believes that they are shared."""
    if find_spec("torch") is not None:
        importlib.import_module("torch").set_num_threads(threads)
