"""The line of somebody's code that stopped a recording, for people."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path


def calling_line() -> str:
    """The line that has led here: ``file:line: text``."""
    return _line(traceback.extract_stack())


def stopping_line(error: BaseException) -> str:
    """The line that raised an error: ``file:line: text``."""
    return _line(traceback.extract_tb(error.__traceback__))


def is_ours(error: BaseException) -> bool:
    """Whether it was arrayopt that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _HOME in Path(frames[-1].filename).parents


def _line(frames: Sequence[traceback.FrameSummary]) -> str:
    theirs = [f for f in frames if _HOME not in Path(f.filename).parents]
    frame = ([f for f in theirs if _LIBRARIES.isdisjoint(Path(f.filename).parts)] or theirs or frames)[-1]
    return f"{frame.filename}:{frame.lineno}: {frame.line}"


_HOME = Path(__file__).parents[1]
_LIBRARIES = frozenset({"array_api_compat", "array_api_strict", "numpy", "torch", "jax", "cupy"})
