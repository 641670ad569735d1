"""CuPy: imports without a GPU, and then computes nothing; arrays move by ``get``, never by NumPy's protocol."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from arrayopt.backend import Backend
from arrayopt.layout import Layout


class CupyBackend(Backend):
    engines = ("cuda", "eager")

    def missing(self) -> str | None:
        absent = super().missing()
        if absent:
            return absent
        return None if importlib.import_module("cupy").is_available() else "a CUDA GPU and its driver"

    def counter(self, like: Any) -> Any:
        with like.device:  # zeros(device=) is not there yet (cupy#9848)
            return self.xp.zeros((), dtype=self.xp.int32)

    def stepping(self, count: Any) -> Any:
        return count  # as it should be by itself

    def gathered(self, x: Any, at: Any, axis: int) -> Any:
        cupy = importlib.import_module("cupy")
        return cupy.squeeze(cupy.take_along_axis(x, cupy.expand_dims(at, axis), axis=axis), axis=axis)

    def dtype(self, name: str) -> Any:
        import numpy as np

        return np.dtype(name)

    def devices(self) -> list[Any]:
        cuda = importlib.import_module("cupy").cuda
        return [cuda.Device(i) for i in range(cuda.runtime.getDeviceCount())]

    def asarray(self, values: Any, dtype: str | None = None, device: Any = None) -> Any:
        kind = None if dtype is None else self.dtype(dtype)
        with device or self.devices()[0]:
            return self.xp.asarray(values, dtype=kind, copy=True)

    def to_numpy(self, x: Any) -> Any:
        return x.get()

    # -- for fused steps -----------------------------------------------------------------------------------

    def can_assign(self, x: Any) -> bool:
        return isinstance(x, importlib.import_module("cupy").ndarray)

    def layout(self, x: Any) -> Layout | None:
        if type(x) is not importlib.import_module("cupy").ndarray:
            return None
        strides = None if x.flags.c_contiguous else x.strides
        return Layout(x.data.ptr, x.shape, x.dtype, strides, x.itemsize)

    def addresses(self, xs: Sequence[Any]) -> list[int]:
        return [x.data.ptr for x in xs]

    def all_plain(self, xs: Sequence[Any]) -> bool:
        return all([x.flags.c_contiguous for x in xs])

    def read(self, x: Any) -> Any:
        return x.item()  # waits for the GPU

    def assign(self, x: Any, value: Any) -> None:
        x[...] = value

    def shares_memory(self, x: Any, y: Any) -> bool:
        return bool(importlib.import_module("cupy").shares_memory(x, y))

    def empty(self, shape: tuple[int, ...], dtype: str, like: Any) -> Any:
        with like.device:  # as in counter
            return self.xp.empty(shape, dtype=self.dtype(dtype))


backend = CupyBackend("cupy", "array_api_compat.cupy", "arrayopt[cupy]")
