"""Torch: counters live on the CPU, where a 0-d tensor may meet tensors of every device without a copy or a sync."""

from __future__ import annotations

import importlib
from typing import Any

from arrayopt.backend import Backend


class TorchBackend(Backend):
    def counter(self, like: Any) -> Any:
        return self.xp.zeros((), dtype=self.xp.int32, device="cpu")

    def copy(self, x: Any) -> Any:
        return x.clone()  # asarray warns if a derivative is being taken

    def devices(self) -> list[Any]:
        torch = importlib.import_module("torch")
        cuda = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
        return [torch.device("cpu"), *cuda]

    def asarray(self, values: Any, dtype: str | None = None, device: Any = None) -> Any:
        if str(getattr(values, "dtype", None)) == "bfloat16":  # pytorch#109873, the other way
            torch = importlib.import_module("torch")
            x = torch.asarray(values.view("int16"), device=device, copy=True).view(torch.bfloat16)
        else:
            x = self.xp.asarray(values, device=device, copy=True)  # given a dtype too, it refuses 0-d NumPy arrays
        return x if dtype is None else self.xp.astype(x, self.dtype(dtype))

    def to_numpy(self, x: Any) -> Any:
        torch = importlib.import_module("torch")
        x = x.detach().cpu()
        if x.dtype is torch.bfloat16:  # pytorch#109873: NumPy has no such dtype to hand
            return x.view(torch.int16).numpy().view(importlib.import_module("ml_dtypes").bfloat16)
        return x.resolve_conj().numpy()


backend = TorchBackend("torch", "array_api_compat.torch", "arrayopt[torch]")
