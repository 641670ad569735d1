"""Arrays in memory that is watched: with other bytes before, behind and between their entries."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

ROOM = 64  # bytes around an array; a multiple of every entry's size

LAYOUTS = ("C", "F", "strided", "negative", "unaligned", "expanded", "overlapping", "readonly", "owned")
"""How an array may lie; where a library or a shape knows no such thing, it lies plainly."""


class Block:
    """A piece of memory in which one array or several views of it lie."""

    def __init__(self, size: int, random: np.random.Generator) -> None:
        self.bytes: Bytes = random.integers(0, 256, size, np.uint8)
        self.address: int = self.bytes.ctypes.data
        self.before = self.bytes.copy()

    def remember(self) -> None:
        """Takes what the bytes are now for what they should be."""
        self.before = self.bytes.copy()

    def changed(self) -> Places:
        """The addresses of bytes that are not what they were."""
        return np.flatnonzero(self.bytes != self.before) + self.address


def strides_of(layout: str, shape: tuple[int, ...], size: int) -> list[int]:
    """Strides in bytes."""
    n = len(shape)
    if layout == "overlapping" and n > 1:
        return [size] * n
    strides, step = [0] * n, size * (2 if layout in ("strided", "negative") else 1)
    for a in range(n) if layout == "F" else reversed(range(n)):
        strides[a] = step
        step *= max(shape[a], 1)
    if layout == "negative":
        return [-s if a % 2 == 0 else s for a, s in enumerate(strides)]
    if layout in ("expanded", "overlapping") and n:
        strides[0] = 0
    return strides


class Memory:
    """Where the arrays of a case are made.

    Args:
      library: name of the library that the arrays are of.
      random: where values come from.
    """

    def __init__(self, library: str, random: np.random.Generator) -> None:
        self.library, self.random = library, random
        self.blocks: list[Block] = []

    def values(self, shape: tuple[int, ...], dtype: str) -> Any:
        """Standard-normal numbers, some of them zero; now and then all of them."""
        x = self.random.standard_normal(shape)
        if dtype.startswith("complex"):
            x = x + 1j * self.random.standard_normal(shape)
        kept = self.random.random(shape) < (0 if self.random.random() < 0.05 else 0.9)
        return np.asarray(np.where(kept, x, 0)).astype(numpy_dtype(dtype))

    def array(self, shape: tuple[int, ...], dtype: str, layout: str = "C", *, numpy: bool = False) -> Any:
        """An array of new values.

        Args:
          shape: its shape.
          dtype: name of its dtype.
          layout: how it is to lie.
          numpy: whether it is one of NumPy, whatever the library.
        """
        return self.put(self.values(shape, dtype), layout, numpy=numpy)

    def put(self, x: Any, layout: str = "C", *, numpy: bool = False) -> Any:
        """A copy of a NumPy array: one of the library.

        Raises:
          TypeError: its entries are objects, or nothing that the library knows.
        """
        if x.dtype.hasobject:
            raise TypeError("objects are not laid out in bytes")
        if self.library == "jax" and not numpy:
            return importlib.import_module("jax.numpy").asarray(x)
        if layout == "owned":
            return np.array(x) if self.library == "numpy" or numpy else owned_tensor(x)
        if self.library == "torch" and not numpy:
            view, tensor = self._torch(x, "C" if layout in ("negative", "unaligned", "readonly") else layout)
            view[...] = x
            return tensor
        view = self._numpy(x.shape, x.dtype, layout)
        view[...] = x
        if layout == "readonly":
            view.flags.writeable = False
        return view

    def _laid(self, shape: tuple[int, ...], size: int, layout: str) -> tuple[Block, int, list[int]]:
        strides = strides_of(layout, shape, size)
        reach = [(n - 1) * s for n, s in zip(shape, strides, strict=True)] if math.prod(shape) else []
        low, high = sum([r for r in reach if r < 0]), sum([r for r in reach if r > 0]) + size
        shift = 1 if layout == "unaligned" else 0
        block = Block((2 * ROOM + high - low + ROOM) // ROOM * ROOM, self.random)
        self.blocks.append(block)
        return block, ROOM - low + shift, strides

    def _numpy(self, shape: tuple[int, ...], dtype: Any, layout: str) -> Any:
        block, offset, strides = self._laid(shape, dtype.itemsize, layout)
        return np.ndarray(shape, dtype, buffer=block.bytes.data, offset=offset, strides=strides)

    def _torch(self, x: Any, layout: str) -> tuple[Any, Any]:
        """The same memory as an array of NumPy and as a tensor."""
        torch = importlib.import_module("torch")
        size, kind = x.dtype.itemsize, getattr(torch, x.dtype.name, None)
        if not isinstance(kind, torch.dtype):
            raise TypeError(f"Torch has no dtype {x.dtype.name}")
        block, offset, strides = self._laid(x.shape, size, layout)
        view = np.ndarray(x.shape, x.dtype, buffer=block.bytes.data, offset=offset, strides=strides)
        whole = torch.from_numpy(block.bytes).view(kind)
        return view, whole.as_strided(x.shape, [s // size for s in strides], offset // size)


def owned_tensor(x: Any) -> Any:
    """A tensor whose memory is Torch's own."""
    torch = importlib.import_module("torch")
    if x.dtype.name == "bfloat16":
        return torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16)
    return torch.from_numpy(np.array(x)).clone()


def numpy_dtype(name: str) -> Any:
    """NumPy's dtype of that name; bfloat16 is that of ml_dtypes."""
    if name == "bfloat16":
        return np.dtype(importlib.import_module("ml_dtypes").bfloat16)
    return np.dtype(name)


def window(x: Any) -> Any:
    """The memory of an array of NumPy, or of a tensor of the host, as NumPy's array of bytes; None of others."""
    if isinstance(x, np.ndarray):
        array: Any = x
        where, shape, strides, size = array.ctypes.data, array.shape, array.strides, array.dtype.itemsize
    elif is_tensor(x) and str(x.layout) == "torch.strided" and x.device.type == "cpu":
        try:
            where, size = x.data_ptr(), x.element_size()
        except RuntimeError:  # a wrapper without memory of its own
            return None
        shape, strides = tuple(x.shape), tuple([s * size for s in x.stride()])
    else:
        return None
    if not where or not size or not math.prod(shape):
        return None
    told = {"data": (where, True), "shape": shape, "strides": strides, "typestr": f"|V{size}", "version": 3}
    return np.asarray(SimpleNamespace(__array_interface__=told))


def places(x: Any) -> Places:
    """The addresses of the bytes of an array, one for each byte of each entry; none if it has no known memory."""
    seen = window(x)
    if seen is None:
        return np.zeros(0, np.int64)
    found = np.arange(seen.dtype.itemsize, dtype=np.int64) + int(seen.ctypes.data)
    for n, step in zip(reversed(seen.shape), reversed(seen.strides), strict=True):
        found = np.add.outer(np.arange(n, dtype=np.int64) * step, found)
    return found.reshape(-1)


def merged(arrays: Sequence[Any]) -> Places:
    """The addresses of the bytes of several arrays, in order."""
    found = np.concatenate([np.zeros(0, np.int64), *[places(x) for x in arrays]])
    found.sort()
    return found


def among(found: Places, known: Places) -> Any:
    """Which of some addresses are among others, which are in order."""
    if not known.size:
        return np.zeros(found.shape, bool)
    spots = np.minimum(np.searchsorted(known, found), known.size - 1)
    return known[spots] == found


def distinct(found: Places) -> bool:
    """Whether no address is there twice."""
    return not np.any(np.diff(np.sort(found)) == 0)


def is_tensor(x: Any) -> bool:
    """Whether it is a tensor of Torch, whose import may not have been asked for."""
    return type(x).__module__.split(".")[0] == "torch" or any([k.__module__ == "torch" for k in type(x).__mro__])
