"""NumPy: arithmetic on 0-d arrays makes scalars, and bfloat16 is a guest from ml_dtypes."""

from __future__ import annotations

from typing import Any

from arrayopt.backend import Backend


class NumpyBackend(Backend):
    def settle(self, x: Any) -> Any:
        return self.xp.asarray(x)

    def dtype(self, name: str) -> Any:
        import numpy as np

        try:
            return np.dtype(name)
        except TypeError:
            raise TypeError(f"numpy has no dtype {name}; import ml_dtypes to give it bfloat16.") from None


backend = NumpyBackend("numpy", "array_api_compat.numpy")
