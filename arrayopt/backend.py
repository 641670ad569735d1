"""What the Array API standard leaves to each library.

A library without an adapter of its own is served by `Backend` as it stands: whatever conforms, works.
An adapter overrides the few points where its library differs, and announces itself in the entry-point
group ``arrayopt.backends`` under the name of the library's top-level module.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any, cast

from arrayopt.types import Array, DType, Namespace


class Backend:
    """One array library, as seen from the core.

    Args:
      name: top-level module of the library, e.g. ``"torch"``.
      namespace: module holding its Array API functions, imported at first use.
      install: what to give pip to have it.
    """

    def __init__(self, name: str, namespace: str | None = None, install: str | None = None) -> None:
        self.name = name
        self._install = install or name
        self._module = namespace or name
        self._xp: Namespace | None = None

    def __repr__(self) -> str:
        return f"<arrayopt backend {self.name}>"

    @property
    def xp(self) -> Namespace:
        """The library's Array API namespace (imports the library at first use)."""
        return self._xp or self.load()

    def load(self) -> Namespace:
        """Imports it."""
        module: Any = importlib.import_module(self._module)
        self._xp = module
        return cast(Namespace, module)

    # -- points where libraries differ ---------------------------------------------------------------

    def counter(self, like: Any) -> Array:
        """A 0-d int32 zero that can meet ``like`` in arithmetic, wherever ``like`` lives."""
        return self.xp.zeros((), dtype=self.xp.int32, device=getattr(like, "device", None))

    def wide(self) -> DType:
        """The widest real dtype a 0-d array can have: schedules are computed in it."""
        return self.xp.float64

    def settle(self, x: Any) -> Array:
        """``x`` as an array, where arithmetic on 0-d arrays may have made it a scalar."""
        return cast(Array, x)

    def copy(self, x: Any) -> Array:
        """The same values in memory of their own."""
        return self.xp.asarray(x, copy=True)

    def dtype(self, name: str) -> DType:
        """The library's own dtype of that name."""
        try:
            return getattr(self.xp, name)
        except AttributeError:
            raise TypeError(f"{self.name} has no dtype {name}.") from None

    # -- for programs that move data: the demo, the conformance suite, checkpoints ----------------------

    def missing(self) -> str | None:
        """What keeps this library from computing here, or None if nothing does."""
        if importlib.util.find_spec(self.name) is None:
            return f"pip install '{self._install}'"
        return None

    def version(self) -> str:
        return str(importlib.import_module(self.name).__version__)

    def devices(self) -> Sequence[Any]:
        """The devices arrays can be put on, the default first."""
        return list(self.xp.__array_namespace_info__().devices())

    def asarray(self, values: Any, dtype: str | None = None, device: Any = None) -> Array:
        """An array of this library from a NumPy array (copied) or nested numbers."""
        kind = None if dtype is None else self.dtype(dtype)
        return self.xp.asarray(values, dtype=kind, device=device, copy=True)

    def to_numpy(self, x: Array) -> Any:
        """``x`` as a NumPy array."""
        return importlib.import_module("numpy").asarray(x)
