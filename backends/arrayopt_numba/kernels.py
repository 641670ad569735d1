"""Kernels by program: compiled once, and kept on disk for the next process."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from arrayopt.fused.program import Program
from arrayopt_numba import emit

_lock = threading.RLock()
_kernels: dict[Program, Callable[[int], None]] = {}


def kernel(program: Program) -> Callable[[int], None]:
    """The compiled ``run`` of a program, to be called with the address of a frame; it lets go of the interpreter."""
    found = _kernels.get(program)
    if found is None:
        with _lock:
            found = _kernels.get(program) or _loaded(emit.source(program))
            _kernels[program] = found
    return found


def _loaded(text: str) -> Callable[[int], None]:
    name = f"kernel_{hashlib.sha256((_runtime() + text).encode()).hexdigest()[:24]}"
    path = folder() / f"{name}.py"
    if not path.exists():
        _write(path, text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Numba looks its functions up there
    spec.loader.exec_module(module)
    return module.run.ctypes  # type: ignore[no-any-return]


def _write(path: Path, text: str) -> None:
    """In one go: another process may be about to read it."""
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(partial, path)


@cache
def _runtime() -> str:
    """What compiled kernels depend on beside their text: Numba does not see changes in other files."""
    import numba

    return f"{numba.__version__} {Path(__file__).with_name('runtime.py').read_text()}"


@cache
def folder() -> Path:
    """Where kernels are kept: ``ARRAYOPT_CACHE_DIR``, else the user's cache; a folder of this process if neither can
    be written to.
    """
    for path in (os.environ.get("ARRAYOPT_CACHE_DIR"), _user_cache()):
        if path:
            try:
                Path(path).mkdir(parents=True, exist_ok=True)
            except OSError:
                continue
            if os.access(path, os.W_OK):
                return Path(path)
    return Path(tempfile.mkdtemp(prefix="arrayopt-"))


def _user_cache() -> str:
    home = Path.home()
    places = {"win32": os.environ.get("LOCALAPPDATA", ""), "darwin": str(home / "Library" / "Caches")}
    base = places.get(sys.platform) or os.environ.get("XDG_CACHE_HOME") or str(home / ".cache")
    return str(Path(base) / "arrayopt")
