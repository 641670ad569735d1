"""The array libraries announced to arrayopt: which can compute here, and what the others lack."""

from __future__ import annotations

import warnings
from importlib.metadata import EntryPoint, entry_points

from arrayopt.backend import Backend

_FLOATS = ("float16", "bfloat16", "float32", "float64")


def announced() -> dict[str, EntryPoint]:
    """Where each adapter is to be found, by name; NumPy first. Nothing is imported."""
    points = {point.name: point for point in entry_points(group="arrayopt.backends")}
    return dict(sorted(points.items(), key=lambda item: (item[0] != "numpy", item[0])))


def load(name: str) -> Backend:
    """The adapter of that name."""
    backend: Backend = announced()[name].load()
    return backend


def obstacle(name: str) -> str | None:
    """What keeps a library from computing here, or None if nothing does. Imports the library."""
    try:
        backend = load(name)
        lacking = backend.missing()
        if lacking is None:
            backend.to_numpy(backend.asarray([1.0], dtype="float32") + 1)
        return lacking
    except Exception as error:  # a broken installation may raise anything
        return f"a working installation ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def working() -> list[str]:
    """Every library that can compute here."""
    return [name for name in announced() if obstacle(name) is None]


def listing() -> list[str]:
    """A table, one line for each library: version, devices, floating-point dtypes, or what is missing."""
    rows = [("library", "version", "devices", "floating point"), *map(_row, announced())]
    first, second, third = (max(len(row[i]) for row in rows if i == 0 or row[2]) for i in range(3))
    return [f"{a:{first}}  {b:{second}}  {c:{third}}  {d}".rstrip() for a, b, c, d in rows]


def _row(name: str) -> tuple[str, str, str, str]:
    lacking = obstacle(name)
    if lacking:
        return name, f"missing: {lacking}", "", ""
    backend = load(name)
    return name, backend.version(), ", ".join(map(str, backend.devices())), " ".join(_floats(backend))


def _floats(backend: Backend) -> list[str]:
    return [name for name in _FLOATS if _holds(backend, name)]


def _holds(backend: Backend, dtype: str) -> bool:
    """Whether an array asked for in that dtype is of it: JAX gives float32 for float64, and a warning."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = backend.asarray([1.0], dtype=dtype)
        return str(made.dtype).rpartition(".")[2] == dtype
    except (TypeError, ValueError):
        return False
