"""Kernels by program: compiled once, and kept on disk for the next process.

Nothing on disk is trusted. A kernel's text is never read back: its file is there for Numba, which asks how old it is.
Machine code is used if it is what was written down, by its hash. Whatever goes wrong with files, the kernel is
compiled all the same.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import threading
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from arrayopt.fused.program import Program
from arrayopt_numba import emit

_lock = threading.RLock()
_kernels: dict[Program, Callable[[int], None]] = {}

_IMPORT = "from arrayopt_numba.runtime import *"
_IN_MEMORY = 'OPTIONS, CALLED = [{**given, "cache": False} for given in (OPTIONS, CALLED)]'
_SETTLED = f"""{_IMPORT}

@cfunc(types.boolean(types.int64, types.int64), **CALLED)
def run(counter, tasks):
    for _ in range(100_000):
        if fetch_add(counter + 16, 0) >= tasks:
            return True
    return False
"""


def kernel(program: Program) -> Callable[[int], None]:
    """The compiled ``run`` of a program, to be called with the address of a frame; it lets go of the interpreter."""
    found = _kernels.get(program)
    if found is None:
        with _lock:
            found = _kernels.get(program) or _loaded(emit.source(program))
            _kernels[program] = found
    return found


@cache
def settled() -> Callable[[int, int], bool]:
    """A function that waits until so many tasks are done, but not for long: whether they are."""
    with _lock:
        return _loaded(_SETTLED)


def _loaded(text: str) -> Callable[..., Any]:
    """The compiled ``run`` of a text."""
    name = f"kernel_{hashlib.sha256((_runtime() + text).encode()).hexdigest()[:24]}"
    try:
        return _with_files(name, text)
    except Exception:  # a full disk, a folder that has gone, a file that is not what it was: the next try has none
        found: Callable[..., Any] = _run(name, text.replace(_IMPORT, f"{_IMPORT}\n{_IN_MEMORY}", 1), f"<{name}>")
        return found


def _run(name: str, text: str, file: str) -> Any:
    """Compiles a text: what is executed is ours, whatever the file of that name holds."""
    module = types.ModuleType(name)
    sys.modules[name] = module  # Numba looks its functions up there
    exec(compile(text, file, "exec"), module.__dict__)
    return module.run.ctypes


# -- on disk -----------------------------------------------------------------------------------------------------


def _with_files(name: str, text: str) -> Callable[..., Any]:
    path = folder() / f"{name}.py"
    _write(path, text)
    kept = _Kept(path)
    kept.drop_unsound()
    try:
        found: Callable[..., Any] = _run(name, text, str(path))
    except BaseException:
        kept.drop()
        raise
    kept.note()
    return found


def _write(path: Path, text: str) -> None:
    """In one go, if it is not there: another process may be about to read it."""
    with contextlib.suppress(OSError, ValueError):
        if path.read_text() == text:
            return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # it may have been cleared away since
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


class _Kept:
    """What Numba keeps of a kernel's file, and the hashes of it as it was when it was written.

    Numba unpickles whatever it finds; half a file raises, other bytes in its place may do anything.
    """

    def __init__(self, path: Path) -> None:
        self._name, self._folder = path.stem, _folder_of_numba(path)
        self._hashes = self._folder / f"{path.stem}.{sys.implementation.cache_tag}.sum"

    def _files(self) -> list[Path]:
        version = f"py{sys.version_info.major}{sys.version_info.minor}"
        return sorted([*self._folder.glob(f"{self._name}.*.{version}*.nb[ic]")])

    def _sum(self) -> str:
        return "".join([f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.name}\n" for file in self._files()])

    def drop_unsound(self) -> None:
        """Removes files that are not as they were."""
        try:
            sound = self._hashes.read_text() == self._sum()
        except (OSError, ValueError):
            sound = False
        if not sound:
            self.drop()

    def drop(self) -> None:
        """Removes the files."""
        for file in (self._hashes, *self._files()):
            file.unlink(missing_ok=True)

    def note(self) -> None:
        """Notes the hashes."""
        with contextlib.suppress(OSError):  # then the next process compiles anew
            now = self._sum()
            if not self._hashes.exists() or self._hashes.read_text() != now:
                _write(self._hashes, now)


def _folder_of_numba(path: Path) -> Path:
    """Where Numba keeps machine code of the functions of a file: it tells of any such function."""
    from numba import njit

    found: dict[str, Any] = {}
    exec(compile("def probe(): pass", str(path), "exec"), found)
    where = njit(cache=True)(found["probe"]).stats.cache_path
    if where is None:
        raise OSError("Numba keeps nothing")
    return Path(where)


@cache
def _runtime() -> str:
    """What compiled kernels depend on beside their text: Numba does not see changes in other files."""
    import numba

    return f"{numba.__version__} {Path(__file__).with_name('runtime.py').read_text()}"


@cache
def folder() -> Path:
    """Where kernels are kept: ``ARRAYOPT_CACHE_DIR``, else the user's cache; a folder of this process if neither can
    be written to, or if others can write to it.
    """
    for given in (os.environ.get("ARRAYOPT_CACHE_DIR"), _user_cache()):
        if given:
            path = Path(given).absolute()  # a process may change its directory
            try:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                if os.access(path, os.W_OK | os.X_OK) and _is_ours(path):
                    return path
            except OSError:
                continue
    own = tempfile.mkdtemp(prefix="arrayopt-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)


def _is_ours(path: Path) -> bool:
    """Whether nobody else puts files there: what lies there is run."""
    found = path.stat()
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & stat.S_IWOTH)


def _user_cache() -> str | None:
    places = {"win32": os.environ.get("LOCALAPPDATA", ""), "darwin": "~/Library/Caches"}
    base = os.path.expanduser(places.get(sys.platform) or os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return None if base.startswith("~") else str(Path(base) / "arrayopt")  # a user without a home
