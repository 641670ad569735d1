"""NumPy: arithmetic on 0-d arrays makes scalars, and bfloat16 is a guest from ml_dtypes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from arrayopt.backend import Backend
from arrayopt.layout import Layout
from arrayopt_numpy.special import NumpySpecial


class NumpyBackend(NumpySpecial, Backend):
    engines = ("numba", "tiles", "eager")

    def settle(self, x: Any) -> Any:
        return self.xp.asarray(x)

    def stepping(self, count: Any) -> Any:
        return count  # as it should be by itself

    def cond(self, condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        return then() if condition else otherwise()

    def dtype(self, name: str) -> Any:
        import numpy as np

        try:
            return np.dtype(name)
        except TypeError:
            raise TypeError(f"numpy has no dtype {name}; import ml_dtypes to give it bfloat16.") from None

    # -- for fused steps -----------------------------------------------------------------------------------

    def can_assign(self, x: Any) -> bool:
        import numpy as np

        return isinstance(x, np.ndarray)

    def layout(self, x: Any) -> Layout | None:
        import numpy as np

        if type(x) is not np.ndarray:
            return None
        flags, dtype = x.flags, x.dtype
        strides = None if flags.c_contiguous else x.strides
        return Layout(self.addresses([x])[0], x.shape, dtype, strides, dtype.itemsize, flags.writeable)

    def span(self, x: Any) -> Layout | None:
        import numpy as np

        return self.layout(np.ndarray.view(x, np.ndarray)) if isinstance(x, np.ndarray) else None

    def unusual(self, xs: Sequence[Any]) -> Any:
        import numpy as np

        return next((x for x in xs if type(x) is not np.ndarray), None)

    def addresses(self, xs: Sequence[Any]) -> list[int]:
        if not _knows_struct():
            return [x.ctypes.data for x in xs]
        at, header = ctypes.c_ssize_t.from_address, object.__basicsize__
        return [at(id(x) + header).value for x in xs]

    def all_plain(self, xs: Sequence[Any]) -> bool:
        import numpy as np

        return all([type(x) is np.ndarray and x.flags.c_contiguous for x in xs])

    def watch(self, xs: Sequence[Any]) -> Callable[[Sequence[Any]], bool]:
        """Where the struct of an array is known, what it says of memory, dtype and flags is compared as bytes."""
        if not _knows_struct():
            return super().watch(xs)
        ids, struct = list(map(id, xs)), ctypes.c_char * _STRUCT
        heads = [struct.from_address(i + object.__basicsize__) for i in ids]
        seen, shapes = b"".join(heads), [x.shape for x in xs]
        odd = [(k, x.strides) for k, x in enumerate(xs) if not x.flags.c_contiguous]

        def same(ys: Sequence[Any]) -> bool:  # arrays of these addresses that live now: whose structs may be read
            return (
                list(map(id, ys)) == ids
                and b"".join(heads) == seen
                and [y.shape for y in ys] == shapes
                and all([ys[k].strides == strides for k, strides in odd])
            )

        return same

    def devices_of(self, xs: Sequence[Any]) -> list[Any]:
        return ["cpu"] * len(xs)

    def plain(self, x: Any) -> Any:
        import numpy as np

        return np.array(x) if self.is_plain_kind(x) else None

    def is_plain_kind(self, x: Any) -> bool:
        import numpy as np

        return type(x) is np.ndarray or isinstance(x, np.generic)

    def quiet(self) -> Any:
        import numpy as np

        return np.errstate(all="ignore")

    def read(self, x: Any) -> Any:
        return x.item()

    def assign(self, x: Any, value: Any) -> None:
        x[...] = value

    def shares_memory(self, x: Any, y: Any) -> bool:
        import numpy as np

        return bool(np.shares_memory(x, y))

    def word(self, op: str) -> tuple[Callable[..., Any], bool]:
        import numpy as np

        if op == "where":
            return _where, True
        found = getattr(np, op)
        return found, isinstance(found, np.ufunc)


_STRUCT = 56
"""Bytes of an array's struct: memory, number of axes, shape, strides, base, dtype, flags."""


@cache
def _knows_struct() -> bool:
    """Whether the struct of an array follows the object header, as NumPy's C interface has it.

    Asking the array takes ten times as long as reading it there, and a step asks every array.
    """
    import numpy as np

    if sys.implementation.name != "cpython" or type(np.empty(0)).__basicsize__ < object.__basicsize__ + _STRUCT:
        return False
    some: list[Any] = [np.empty(3), np.empty((4, 5), np.float32)[1:], np.empty((), np.int32), np.empty(9)[::-2]]
    some[0].setflags(write=False)
    at, number = ctypes.c_ssize_t.from_address, ctypes.c_int.from_address
    heads = [(id(x) + object.__basicsize__, x) for x in some]
    return all(
        [
            at(head).value == x.ctypes.data
            and number(head + 8).value == x.ndim
            and at(head + 40).value == id(x.dtype)
            and number(head + 48).value == x.flags.num
            for head, x in heads
        ]
    )


def _where(condition: Any, x: Any, y: Any, out: Any) -> Any:
    """``numpy.where`` into an array, which may be x or y itself."""
    import numpy as np

    if out is x:
        np.copyto(out, y, where=np.logical_not(condition))
        return out
    if out is not y:
        np.copyto(out, y)
    np.copyto(out, x, where=condition)
    return out


backend = NumpyBackend("numpy", "array_api_compat.numpy")
