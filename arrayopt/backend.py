"""What the Array API standard leaves to each library.

A library without an adapter of its own is served by `Backend` as it stands: whatever conforms, works.
An adapter overrides the few points where its library differs, and announces itself in the entry-point
group ``arrayopt.backends`` under the name of the library's top-level module.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from arrayopt.counts import PosingCount
from arrayopt.flow import Flow
from arrayopt.layout import Layout
from arrayopt.special import Special
from arrayopt.types import Array, DType, Namespace


class Backend(Flow, Special):
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

    def kinds(self) -> tuple[type[Any], ...]:
        """The types of its arrays that a compiler must know beforehand: it could not trace how they are found out."""
        return ()

    # -- points where libraries differ ---------------------------------------------------------------

    def counter(self, like: Any) -> Array:
        """A 0-d int32 zero that can meet ``like`` in arithmetic, wherever ``like`` lives."""
        return self.xp.zeros((), dtype=self.xp.int32, device=getattr(like, "device", None))

    def wide(self) -> DType:
        """The widest real dtype a 0-d array can have: schedules are computed in it."""
        return self.xp.float64

    def stepping(self, count: Any) -> Any:
        """A step count as a schedule is given it: an integer that meets Python floats in the widest real dtype."""
        return PosingCount(count, self)

    def settle(self, x: Any) -> Array:
        """``x`` as an array, where arithmetic on 0-d arrays may have made it a scalar."""
        return cast(Array, x)

    def copy(self, x: Any) -> Array:
        """The same values in memory of their own."""
        return self.xp.asarray(x, copy=True)

    def hand_on(self, x: Any, dtype: DType) -> Array:
        """``x`` cast for the next link of a chain; what records a step may wait with the rounding until the end."""
        return self.xp.astype(x, dtype)

    def each_leaf(
        self, rows: Sequence[tuple[Any, ...]], look: Callable[..., Any], work: Callable[..., Any]
    ) -> list[list[Any]]:
        """Looks at all leaves of an update, then works on each; what records a step does so once for leaves alike.

        Args:
          rows: for each leaf where it stands, its gradient, its slots, its parameter or None, and the scalars that
            are its own.
          look: raises if what it is given, such a row, does not go together.
          work: what the leaf becomes, the update and the new slots.
        """
        for row in rows:
            look(*row)
        return [work(*row) for row in rows]

    def owned(self, count: Any, g: Any) -> Array:
        """A parameter's own counter, that stays where its gradient is None: what records a step notes whose it is."""
        del g
        return cast(Array, count)

    def receive(self, x: Any) -> Array:
        """An array that a rule holds, or one of another library that is `takes`, as it can meet the library's own."""
        return cast(Array, x)

    def is_compiling(self) -> bool:
        """Whether what runs now is being compiled by something that cannot trace a warning."""
        return False

    def takes(self, x: Any) -> bool:
        """Whether an array of another library may stand among the library's own."""
        del x
        return False

    def cumulative_sum(self, x: Any, dtype: DType, include_initial: bool = False) -> Array:
        """Σ of the first k entries along the last axis, k = 1, 2, …; or from k = 0."""
        found: Array = self.xp.cumulative_sum(x, axis=-1, dtype=dtype, include_initial=include_initial)
        return found

    def number(self, value: Any, beside: Any = None) -> Array:
        """A Python number or bool as a 0-d array, in the widest real dtype if it is a float.

        Args:
          value: it.
          beside: an array of the library, on whose device it is to be.
        """
        kind = self.wide() if type(value) is float else None
        return self.xp.asarray(value, dtype=kind, device=getattr(beside, "device", None))

    def applied(self, params: Sequence[Any], updates: Sequence[Any]) -> None:
        """Called by ``apply_updates`` with the leaves of both; warns if a loop like that gets nowhere."""

    def dtype(self, name: str) -> DType:
        """The library's own dtype of that name."""
        try:
            return getattr(self.xp, name)
        except AttributeError:
            raise TypeError(f"{self.name} has no dtype {name}.") from None

    # -- for fused steps, which write in place -----------------------------------------------------------

    engines: Sequence[str] = ("eager",)
    """Names of the engines that may serve this library, the best first."""

    def can_assign(self, x: Any) -> bool:
        """Whether ``x`` is an array that can be written to."""
        del x
        return False

    def layout(self, x: Any) -> Layout | None:
        """How ``x`` lies in the host's or the device's memory; None if it is no plain array."""
        del x
        return None

    def span(self, x: Any) -> Layout | None:
        """How ``x`` lies in memory, also if it is of a subclass; None if it has none of its own."""
        return self.layout(x)

    def unusual(self, xs: Sequence[Any]) -> Any:
        """Some array among these that has no layout; None if all have one."""
        return next((x for x in xs if self.layout(x) is None), None)

    def addresses(self, xs: Sequence[Any]) -> list[int]:
        """Where C-contiguous arrays begin."""
        return [layout.address if (layout := self.layout(x)) else 0 for x in xs]

    def all_plain(self, xs: Sequence[Any]) -> bool:
        """Whether arrays are C-contiguous."""
        return all([layout is not None and layout.strides is None for layout in map(self.layout, xs)])

    def watch(self, xs: Sequence[Any]) -> Callable[[Sequence[Any]], bool]:
        """A question for later steps: whether arrays lie where these do, of the same shapes and dtypes, writable.

        Args:
          xs: arrays of the library; as many, of the same types, will be asked about. They are not kept alive.
        """

        def looks(ys: Sequence[Any]) -> list[Any]:
            return [(tuple(y.shape), y.dtype, self.layout(y)) for y in ys]

        seen = looks(xs)
        return lambda ys: looks(ys) == seen

    def alike(self, xs: Sequence[Any]) -> Callable[[Sequence[Any]], bool] | None:
        """A quick question for later steps: whether arrays are just such ones as these, wherever they lie.

        It answers True only where all are of the same types, shapes, dtypes, strides and devices, and none is a
        conjugated or negated view where these are not. None if the library cannot tell quickly.
        """
        del xs
        return None

    def devices_of(self, xs: Sequence[Any]) -> list[Any]:
        """The device of each array."""
        return [getattr(x, "device", None) for x in xs]

    def plain(self, x: Any) -> Array | None:
        """A copy of ``x`` that has a layout; None if its arithmetic is not that of an array of the library."""
        return self.copy(x) if self.layout(x) is not None else None

    def is_plain_kind(self, x: Any) -> bool:
        """Whether there may be such a copy, as far as the type of ``x`` says."""
        return self.layout(x) is not None

    def quiet(self) -> AbstractContextManager[Any]:
        """A context in which floating-point errors neither warn nor raise."""
        return nullcontext()

    def read(self, x: Any) -> Any:
        """The value of an array of one entry, as a Python number."""
        raise TypeError(f"{self.name}: values are not read in a fused step.")

    def assign(self, x: Any, value: Any) -> None:
        """Writes an array, or a number, into ``x``, rounded to its dtype."""
        raise TypeError(f"{self.name}: arrays are not written in place.")

    def written(self, xs: Sequence[Any]) -> None:
        """Called after memory has been written behind the library's back."""

    def shares_memory(self, x: Any, y: Any) -> bool:
        """Whether two arrays whose ranges of memory overlap have an entry in common."""
        del x, y
        return True

    def raw(self, x: Any) -> Any:
        """``x`` as something that may be written in place, outside of any derivative."""
        return x

    def word(self, op: str) -> tuple[Callable[..., Any], bool]:
        """An elementwise word as a function of arrays and scalars, and whether it takes ``out=``."""
        return getattr(self.xp, op), False

    def scalar(self, value: Any) -> Any:
        """A Python number, as the functions of `word` take it."""
        return value

    def empty(self, shape: tuple[int, ...], dtype: str, like: Any) -> Array:
        """New memory."""
        found: Array = self.xp.empty(shape, dtype=self.dtype(dtype), device=getattr(like, "device", None))
        return found

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
