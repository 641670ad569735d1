"""What a user may ask of the bench: each function reads one argument, or says what it must be."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from arrayopt.demo import libraries as announced
from arrayopt_conformance.bench import rules as known

_USUAL = ("1x50M", "1x10M", "10x1M", "100x100k", "1000x1k", "300x100", "100x100k:bfloat16")
_WORKLOAD = re.compile(r"([1-9]\d*)x([1-9]\d*)([kM]?)(?::(float32|bfloat16))?")
_UNITS = {"": 1, "k": 1_000, "M": 1_000_000}
_PARTS = ("steps", "once")
LIBRARIES = ("numpy", "torch", "jax")


@dataclass(frozen=True)
class Workload:
    """So many leaves of so many elements each."""

    leaves: int
    size: int
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """As the user writes it: ``100x100k:bfloat16``."""
        unit = max((u for u in _UNITS if self.size % _UNITS[u] == 0), key=lambda u: _UNITS[u])
        kind = "" if self.dtype == "float32" else f":{self.dtype}"
        return f"{self.leaves}x{self.size // _UNITS[unit]}{unit}{kind}"

    @property
    def elements(self) -> int:
        """Of all leaves."""
        return self.leaves * self.size

    def shapes(self, matrices: bool) -> list[tuple[int, ...]]:
        """One shape for each leaf: a vector, or the matrix of that size that is nearest to a square."""
        return [square(self.size) if matrices else (self.size,)] * self.leaves


def square(size: int) -> tuple[int, ...]:
    """The two factors of a size that are nearest to each other."""
    rows = next(n for n in range(math.isqrt(size), 0, -1) if size % n == 0)
    return rows, size // rows


def workloads(text: str) -> list[Workload]:
    """Workloads such as ``100x100k`` or ``1x10M:bfloat16``, separated by commas; ``all`` for the usual ones."""
    if text.strip() != "all":
        return list(dict.fromkeys(_workload(part.strip()) for part in text.split(",")))
    usual = [_workload(part) for part in _USUAL]
    return [w for w in usual if w.dtype != "bfloat16" or find_spec("ml_dtypes") is not None]


def _workload(text: str) -> Workload:
    match = _WORKLOAD.fullmatch(text)
    if match is None:
        raise ArgumentTypeError(f"must be workloads such as {_USUAL[3]} or {_USUAL[-1]}; got {text!r}.")
    leaves, size, unit, dtype = match.groups()
    return Workload(int(leaves), int(size) * _UNITS[unit], dtype or "float32")


def rules(text: str) -> list[str]:
    """Names of rules, separated by commas."""
    return _names(text, known.RULES, "rules")


def parts(text: str) -> list[str]:
    """Parts of the bench, separated by commas."""
    return _names(text, _PARTS, "parts")


def libraries(text: str) -> list[str]:
    """Names of array libraries that can compute here, separated by commas; ``all`` for all of them."""
    if text.strip() == "all":
        return [name for name in LIBRARIES if announced.obstacle(name) is None]
    names = _names(text, LIBRARIES, "array libraries")
    for name in names:
        lacking = announced.obstacle(name)
        if lacking:
            raise ArgumentTypeError(f"must name libraries that work here; {name} lacks: {lacking}.")
    return names


def _names(text: str, names: Iterable[str], what: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",")]
    for name in chosen:
        if name not in names:
            raise ArgumentTypeError(f"must name {what} out of {', '.join(names)}; got {name!r}.")
    return list(dict.fromkeys(chosen))


def record(text: str) -> Path:
    """A .json file that can be written; tried now, not after the measurements."""
    path = Path(text)
    if path.suffix.lower() != ".json":
        raise ArgumentTypeError(f"must end in .json; got {text!r}.")
    existed = path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise ArgumentTypeError(f"must be a file that can be written; got {text!r}: {error.strerror}.") from None
    if not existed:
        path.unlink()
    return path
