"""Monte-Carlo arithmetic: doubles that err as float32 does, but at random.

A rule runs on them as on any NumPy array. Run several times, its results spread as far as the rounding of float32
may carry them: an ill-conditioned formula spreads far, a good one does not.

D. S. Parker, 1997: Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import numpy.typing as npt

from arrayopt.dispatch import backend_named

Array = npt.NDArray[Any]

HALF_ULP = 2.0**-24  # of float32, relative

# These choose among their inputs or change a sign, which rounds nothing.
EXACT = {np.negative, np.absolute, np.maximum, np.minimum, np.sign, np.floor, np.isnan, np.conjugate}


class Noisy(np.ndarray[Any, Any]):
    """A NumPy array; every inexact result is moved by up to half an ulp of float32, as is every Python float."""

    random: ClassVar[np.random.Generator]

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        plain = [shaken(x) if isinstance(x, float) else bare(x) for x in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(bare(x) for x in kwargs["out"])
        if ufunc is np.add and method == "reduce":
            return noisy(_sum(plain[0], **kwargs))
        if method == "__call__" and ufunc.__name__ in PRODUCTS and not kwargs:
            return noisy(PRODUCTS[ufunc.__name__](*plain))
        result = getattr(ufunc, method)(*plain, **kwargs)
        return noisy(result if ufunc in EXACT else shaken(result))

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.tensordot or (func is np.dot and all([np.ndim(x) in (1, 2) for x in args])):
            return noisy(_tensordot(*map(bare, args), **({"axes": 1} if func is np.dot else kwargs)))
        result: Any = super().__array_function__(func, types, args, kwargs)
        return noisy(result) if hasattr(result, "dtype") else result


def noisy(x: Any) -> Any:
    """The array as a noisy one, also where NumPy would make it a scalar."""
    return np.asarray(x).view(Noisy)


def bare(x: Any) -> Any:
    """The array as a plain one."""
    return np.asarray(x) if hasattr(x, "dtype") else x


def shaken(x: Any) -> Any:
    """Each entry moved by up to half an ulp of float32; what float32 has exactly stays, integers and bools too."""
    if not np.issubdtype(np.result_type(x), np.inexact):
        return x
    with np.errstate(over="ignore", under="ignore"):
        exact = np.float32(x) == x
    factor = 1 + HALF_ULP * Noisy.random.uniform(-1, 1, np.shape(x))
    return x * np.where(exact, 1.0, factor)


def _sum(x: Array, axis: int | tuple[int, ...] | None = 0, **kwargs: Any) -> Any:
    """A sum formed one by one, every partial sum rounded."""
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in np.atleast_1d(axis)]
    kept = [size for a, size in enumerate(x.shape) if a not in axes]
    rows = np.moveaxis(x, list(axes), list(range(-len(axes), 0))).reshape(*kept, -1)
    partial = np.add.accumulate(rows, axis=-1)
    plain = np.add.reduce(x, axis=axis, **kwargs)
    return plain + (shaken(partial) - partial).sum(axis=-1).reshape(np.shape(plain))


def _product(x: Array, y: Array) -> Any:
    """A matrix product, each of its entries a sum formed one by one: every term rounded, and every partial sum."""
    a, b = x[None, :] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y
    terms = a[..., :, :, None] * b[..., None, :, :]
    partial = np.add.accumulate(terms, axis=-2)
    lost = (shaken(terms) - terms + shaken(partial) - partial).sum(axis=-2)
    plain = np.matmul(x, y)
    return plain + lost.reshape(np.shape(plain))


def _inner(x: Array, y: Array) -> Any:
    return _product(np.conj(x)[..., None, :], y[..., :, None])[..., 0, 0]


def _left(a: Array, x: Array) -> Any:
    return _product(a, x[..., :, None])[..., 0]


def _right(x: Array, a: Array) -> Any:
    return _product(np.conj(x)[..., None, :], a)[..., 0, :]


def _tensordot(x: Array, y: Array, axes: Any = 2) -> Any:
    pairs: Any = (range(x.ndim - axes, x.ndim), range(axes)) if isinstance(axes, int) else map(np.atleast_1d, axes)
    here, there = [[int(a) % array.ndim for a in chosen] for array, chosen in zip((x, y), pairs, strict=True)]
    kept = [[a for a in range(array.ndim) if a not in gone] for array, gone in ((x, here), (y, there))]
    count = math.prod([x.shape[a] for a in here])
    rows, columns = x.transpose(kept[0] + here).reshape(-1, count), y.transpose(there + kept[1]).reshape(count, -1)
    shape = [array.shape[a] for array, axes in zip((x, y), kept, strict=True) for a in axes]
    return _product(rows, columns).reshape(shape)


PRODUCTS = {"matmul": _product, "vecdot": _inner, "matvec": _left, "vecmat": _right}


@contextmanager
def arithmetic(seed: int) -> Generator[Callable[[Array], Array]]:
    """Within it all that NumPy's backend makes of noisy arrays is noisy; gives the function that makes the first."""
    Noisy.random = np.random.default_rng(seed)
    numpy: Any = backend_named("numpy")
    plain_clip: Callable[..., Any] = numpy.xp.clip  # array-api-compat's own

    def clip(x: Any, *args: Any, **kwargs: Any) -> Any:
        return noisy(plain_clip(bare(x), *args, **kwargs))

    def counter(like: Any) -> Any:
        return noisy(np.zeros((), dtype=np.int32))

    with (
        mock.patch.object(numpy, "counter", counter),
        mock.patch.object(numpy, "settle", noisy),
        mock.patch.object(numpy.xp, "clip", clip),
    ):
        yield noisy
