"""Kernels on disk: whatever becomes of the files, a step is right, and nothing is run that we did not write."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

numba: Any = pytest.importorskip("numba")
kernels: Any = importlib.import_module("arrayopt_numba.kernels")

TEXT = """from arrayopt_numba.runtime import *

@njit(**OPTIONS)
def body(x):
    return x + 1

@cfunc(types.int64(types.int64), **CALLED)
def run(x):
    return body(x)
"""


@pytest.fixture(params=["beside", "apart"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where kernels are kept; Numba keeps what is its own beside them, or in a folder apart."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "" if request.param == "beside" else str(tmp_path / "numba"))
    return kept_in(tmp_path / "kept", monkeypatch)


@pytest.fixture(autouse=True)
def fresh() -> Any:
    """The folder is chosen anew before each test, and after it."""
    kernels.folder.cache_clear()
    yield
    kernels.folder.cache_clear()


def kept_in(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARRAYOPT_CACHE_DIR", str(path))
    return path


def files(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.parent.rglob(f"kernel_*{kind}"))


def stamps(folder: Path) -> dict[Path, int]:
    """When what Numba keeps was written."""
    return {path: path.stat().st_mtime_ns for path in files(folder, ".nb?")}


def half(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def other_in_the_middle(whole: bytes) -> bytes:
    """As a disk may lose a block: as long as before, and the end as it was."""
    n = len(whole) // 3
    return whole[:n] + bytes([255 - b for b in whole[n : 2 * n]]) + whole[2 * n :]


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "half of it": half,
    "nothing": lambda whole: b"",
    "zeros": lambda whole: bytes(len(whole)),
    "other bytes in the middle": other_in_the_middle,
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("kind", [".py", ".nbi", ".nbc", ".sum"])
def test_a_file_that_is_not_what_it_was_is_made_anew(folder: Path, kind: str, harm: str) -> None:
    assert kernels._loaded(TEXT)(41) == 42
    assert files(folder, kind)
    for path in files(folder, kind):
        path.write_bytes(HARMS[harm](path.read_bytes()))
    assert kernels._loaded(TEXT)(41) == 42
    sound = stamps(folder)
    assert kernels._loaded(TEXT)(41) == 42
    assert stamps(folder) == sound, "it is compiled a third time"
    assert [path.read_text() for path in files(folder, ".py")] == [TEXT]


def test_what_is_sound_is_not_compiled_again(folder: Path) -> None:
    assert kernels._loaded(TEXT)(41) == 42
    sound = stamps(folder)
    assert len(sound) == 4
    assert kernels._loaded(TEXT)(41) == 42
    assert stamps(folder) == sound


def test_a_text_that_somebody_put_there_is_not_run(folder: Path, tmp_path: Path) -> None:
    assert kernels._loaded(TEXT)(41) == 42
    (path,) = files(folder, ".py")
    path.write_text(f"open({str(tmp_path / 'run')!r}, 'w').close()\n{TEXT.replace('x + 1', 'x + 2')}")
    assert kernels._loaded(TEXT)(41) == 42
    assert not (tmp_path / "run").exists()
    assert path.read_text() == TEXT


def test_a_folder_that_has_gone_comes_back(folder: Path) -> None:
    assert kernels._loaded(TEXT)(41) == 42
    shutil.rmtree(folder)
    other = TEXT.replace("x + 1", "x + 3")
    assert kernels._loaded(other)(41) == 44
    assert [path.read_text() for path in files(folder, ".py")] == [other]


def test_where_nothing_can_be_written_it_is_compiled_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache lies below a file, as does the user's; and the folder for what is temporary is full."""
    (tmp_path / "file").write_text("")
    below = kept_in(tmp_path / "file" / "cache", monkeypatch)
    monkeypatch.setattr(kernels, "_user_cache", lambda: str(below))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(below))
    assert kernels._loaded(TEXT)(41) == 42  # in a folder of this process, without Numba's cache
    monkeypatch.setattr(kernels.tempfile, "mkdtemp", full)
    kernels.folder.cache_clear()
    assert kernels._loaded(TEXT)(41) == 42


def full(*args: Any, **kwargs: Any) -> Any:
    raise OSError(28, "No space left on device")


def test_a_folder_of_others_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there is run, so nobody else may put it there."""
    monkeypatch.setattr(kernels, "_user_cache", lambda: str(tmp_path / "user"))
    open_to_all = kept_in(tmp_path / "open", monkeypatch)
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    if hasattr(os, "getuid"):
        assert kernels.folder() == tmp_path / "user"
        kernels.folder.cache_clear()
        own = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: own + 1)
        assert kernels.folder() not in (open_to_all, tmp_path / "user")


def test_the_folder_stays_when_the_directory_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    kept_in(Path("kept"), monkeypatch)
    monkeypatch.chdir(tmp_path / "first")
    assert kernels._loaded(TEXT)(41) == 42
    monkeypatch.chdir(tmp_path / "second")
    assert kernels._loaded(TEXT.replace("x + 1", "x + 3"))(41) == 44
    assert len(files(tmp_path / "first" / "kept", ".py")) == 2
    assert not list((tmp_path / "second").iterdir())


def test_a_text_that_does_not_compile_says_so(folder: Path) -> None:
    with pytest.raises(numba.core.errors.TypingError):
        kernels._loaded(TEXT.replace("x + 1", "x.size"))


# -- in processes of their own ---------------------------------------------------------------------------------------

STEP = """
import sys
import numpy as np, arrayopt
tx, p = arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.sgd(0.5)), np.ones(4, "f4")
step = arrayopt.fused_step(tx)
print(step(p, np.ones(4, "f4"), tx.init(p))[0].tolist())
print(step.explain())
"""


def start(before: str = "", **env: str) -> subprocess.Popen[str]:
    whole = {**os.environ, **env}
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", before + STEP], env=whole, text=True, **pipes)


def said(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert out.startswith("[0.75, 0.75, 0.75, 0.75]"), out
    return out


def test_several_processes_at_once(tmp_path: Path) -> None:
    places = {"ARRAYOPT_CACHE_DIR": str(tmp_path / "kept"), "NUMBA_CACHE_DIR": ""}
    for process in [start(**places) for _ in range(2)]:
        assert said(process).splitlines()[1].startswith("numba on numpy")


def test_a_full_disk(tmp_path: Path) -> None:
    """No process may write a byte to a file here."""
    pytest.importorskip("resource")
    no_bytes = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    found = said(start(no_bytes, ARRAYOPT_CACHE_DIR=str(tmp_path / "kept"), NUMBA_CACHE_DIR=str(tmp_path / "numba")))
    assert found.splitlines()[1].startswith("numba on numpy")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


BROKEN = "import sys; sys.path.insert(0, {path!r})\n"


@pytest.mark.parametrize("what", ["broken", "none", "switched off"])
def test_without_a_compiler_the_next_engine_serves_and_explain_says_why(what: str, tmp_path: Path) -> None:
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text("raise ImportError('Numba needs NumPy 2.3 or less.')")
    before, env, why = {
        "broken": (BROKEN.format(path=str(tmp_path)), {}, "Numba cannot be imported: Numba needs NumPy 2.3 or less."),
        "none": ("import sys; sys.modules['numba'] = None\n", {}, "Numba is not installed"),
        "switched off": ("", {"NUMBA_DISABLE_JIT": "1"}, "Numba's compiler is switched off (NUMBA_DISABLE_JIT)"),
    }[what]
    told = said(start(before, **env)).splitlines()[1]
    assert told.startswith("tiles on numpy: ") and f"not numba: {why}" in told
