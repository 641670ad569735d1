"""The array libraries a rule is tried on, and the ways each can run it.

A library is here if it is installed and computes: those with an adapter in ``arrayopt.backends``, and
array-api-strict, which stands for every other conforming library. What is missing is not an error: the tests that
need it do not exist.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

import arrayopt
from arrayopt.backend import Backend
from arrayopt.dispatch import backend_named, backends

Numpy = npt.NDArray[Any]
Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

REALS = ("float64", "float32", "bfloat16", "float16")
COMPLEX = ("complex128", "complex64")


def as_is(f: Callable[..., Any]) -> Callable[..., Any]:
    """Eager: the function itself."""
    return f


@dataclass(frozen=True)
class Library:
    """One array library in one process.

    Attributes:
      name: of the backend.
      backend: its adapter.
      dtypes: names of the dtypes it can be tried with, widest first.
      modes: ways to run a pure function: ``{"eager": as_is, "jit": jax.jit, …}``.
    """

    name: str
    backend: Backend
    dtypes: tuple[str, ...]
    modes: dict[str, Wrapper] = field(default_factory=lambda: {"eager": as_is})

    def __str__(self) -> str:
        return self.name

    def asarray(self, x: Any, dtype: str | None = None) -> Any:
        """An array of this library from a NumPy array, its values rounded to the dtype named."""
        return self.backend.asarray(np.asarray(x), dtype)

    def tree(self, tree: Any, dtype: str | None = None) -> Any:
        """The tree with arrays of this library for NumPy's."""

        def here(x: Any) -> Any:
            return self.asarray(x, dtype)

        return arrayopt.tree.map(here, tree)

    def numpy(self, tree: Any) -> Any:
        """The tree with NumPy arrays for this library's; 16-bit ones widened to float32."""

        def there(x: Any) -> Numpy:
            return _wide(self.backend.to_numpy(x))

        return arrayopt.tree.map(there, tree)


def _wide(x: Numpy) -> Numpy:
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def has(module: str) -> bool:
    """Whether a module is installed."""
    return importlib.util.find_spec(module) is not None


@cache
def libraries() -> dict[str, Library]:
    """Every library that computes here, by name."""
    names = [name for name, found in backends().items() if found.missing() is None]
    if has("array_api_strict"):
        names.append("array_api_strict")
    return {name: _library(name) for name in names}


def _library(name: str) -> Library:
    if name == "array_api_strict":
        return Library(name, backend_named(name), ("float64", "float32", *COMPLEX))
    if name == "numpy" and not has("ml_dtypes"):
        return Library(name, backend_named(name), ("float64", "float32", "float16", *COMPLEX))
    if name == "numpy":
        importlib.import_module("ml_dtypes")  # teaches NumPy bfloat16
    if name == "jax":
        return _jax()
    modes: dict[str, Wrapper] = {"eager": as_is, "compile": _compiled} if name == "torch" else {"eager": as_is}
    return Library(name, backend_named(name), (*REALS, *COMPLEX), modes)


def _jax() -> Library:
    jax = importlib.import_module("jax")
    double = bool(jax.config.jax_enable_x64)
    dtypes = (*REALS, *COMPLEX) if double else ("float32", "bfloat16", "float16", "complex64")
    return Library("jax", backend_named("jax"), dtypes, {"eager": as_is, "jit": jax.jit})


def _compiled(f: Callable[..., Any]) -> Callable[..., Any]:
    torch = importlib.import_module("torch")
    return torch.compile(f, fullgraph=True, backend="aot_eager")  # type: ignore[no-any-return]


def double(library: Library) -> AbstractContextManager[Any]:
    """The context in which a library has float64: JAX must be asked, and all arrays must be made within."""
    if library.name != "jax":
        return nullcontext()
    jax = importlib.import_module("jax")
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")  # before 0.8
    enable: Callable[[bool], AbstractContextManager[Any]] = home.enable_x64
    return enable(True)
