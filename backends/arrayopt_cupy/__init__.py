"""CuPy: imports without a GPU, and then computes nothing; arrays move by ``get``, never by NumPy's protocol."""

from __future__ import annotations

import importlib
from typing import Any

from arrayopt.backend import Backend


class CupyBackend(Backend):
    def missing(self) -> str | None:
        absent = super().missing()
        if absent:
            return absent
        return None if importlib.import_module("cupy").is_available() else "a CUDA GPU and its driver"

    def counter(self, like: Any) -> Any:
        with like.device:  # zeros(device=) is not there yet (cupy#9848)
            return self.xp.zeros((), dtype=self.xp.int32)

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


backend = CupyBackend("cupy", "array_api_compat.cupy", "arrayopt[cupy]")
