"""Monte-Carlo arithmetic: doubles that err as float32 does, but at random.

A rule runs on them as on any NumPy array. Run several times, its results spread as far as the rounding of float32
may carry them: an ill-conditioned formula spreads far, a good one does not.

D. S. Parker, 1997: Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import numpy.typing as npt

from arrayopt.dispatch import backend_named

Array = npt.NDArray[Any]

HALF_ULP = 2.0**-24  # of float32, relative

# These choose among their inputs or change a sign, which rounds nothing.
EXACT = {
    np.negative, np.absolute, np.maximum, np.minimum, np.sign, np.floor, np.isnan, np.conjugate
}  # fmt: skip


class Noisy(np.ndarray[Any, Any]):
    """A NumPy array; every inexact result is moved by up to half an ulp of float32, as is every Python float."""

    random: ClassVar[np.random.Generator]

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        plain = [shaken(x) if isinstance(x, float) else bare(x) for x in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(bare(x) for x in kwargs["out"])
        if ufunc is np.add and method == "reduce":
            return noisy(_sum(plain[0], **kwargs))
        result = getattr(ufunc, method)(*plain, **kwargs)
        return noisy(result if ufunc in EXACT else shaken(result))

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        result = super().__array_function__(func, types, args, kwargs)
        return noisy(result) if isinstance(result, (np.ndarray, np.generic)) else result


def noisy(x: Any) -> Any:
    """The array as a noisy one, also where NumPy would make it a scalar."""
    return np.asarray(x).view(Noisy)


def bare(x: Any) -> Any:
    """The array as a plain one."""
    return x.view(np.ndarray) if isinstance(x, Noisy) else x


def shaken(x: Any) -> Any:
    """Each entry moved by up to half an ulp of float32; what float32 has exactly stays, integers and bools too."""
    if not np.issubdtype(np.result_type(x), np.inexact):
        return x
    with np.errstate(over="ignore", under="ignore"):
        exact = np.float32(x) == x
    return np.where(exact, x, x * (1 + HALF_ULP * Noisy.random.uniform(-1, 1, np.shape(x))))


def _sum(x: Any, axis: Any = 0, dtype: Any = None, **kwargs: Any) -> Any:
    """A sum formed one by one, every partial sum rounded."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    last = np.moveaxis(x, axes, range(x.ndim - len(axes), x.ndim)).reshape(*_kept(x.shape, axes), -1)
    partial = np.add.accumulate(last, axis=-1)
    errors = shaken(partial) - partial
    plain = np.add.reduce(x, axis=axis, dtype=dtype, **kwargs)
    return plain + errors.sum(axis=-1).reshape(np.shape(plain))


def _kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[int]:
    return [size for axis, size in enumerate(shape) if axis not in axes and axis - len(shape) not in axes]


@contextmanager
def arithmetic(seed: int) -> Iterator[Callable[[Array], Array]]:
    """Within it all that NumPy's backend makes of noisy arrays is noisy; gives the function that makes the first."""
    Noisy.random = np.random.default_rng(seed)
    numpy = backend_named("numpy")
    clip = numpy.xp.clip  # array-api-compat's own, which answers plain arrays
    with (
        mock.patch.object(numpy, "counter", lambda like: noisy(np.zeros((), dtype=np.int32))),
        mock.patch.object(numpy, "settle", noisy),
        mock.patch.object(numpy.xp, "clip", lambda *args, **kwargs: noisy(clip(*map(bare, args), **kwargs))),
    ):
        yield noisy
