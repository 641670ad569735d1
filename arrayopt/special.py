"""Functions that losses are made of, in plain Array API words, for the libraries that have none of their own.

`Backend` has them all as methods: an adapter overrides those of which its library has a faster one, or one that is
differentiated better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayopt.types import Array, Namespace

Axis = int | tuple[int, ...] | None


class Special:
    """What every backend answers; ``xp`` is the namespace of its library."""

    name = ""

    @property
    def xp(self) -> Namespace:
        """The library's Array API namespace."""
        raise NotImplementedError

    def log_softmax(self, x: Array, axis: Axis) -> Array:
        """x − log Σ eˣ along the axes."""
        shifted = x - peak(self.xp, x, axis)
        return shifted - self.xp.log(self.xp.sum(self.xp.exp(shifted), axis=axis, keepdims=True))

    def logsumexp(self, x: Array, axis: int) -> Array:
        """Log Σ eˣ along an axis, which goes away; −∞ where all is −∞."""
        xp = self.xp
        greatest = peak(xp, x, axis)
        total = xp.log(xp.sum(xp.exp(x - greatest), axis=axis, keepdims=True))
        return xp.squeeze(greatest + total, axis=axis)

    def softmax(self, x: Array, axis: Axis) -> Array:
        """eˣ / Σ eˣ along the axes."""
        powers = self.xp.exp(x - peak(self.xp, x, axis))
        return powers / self.xp.sum(powers, axis=axis, keepdims=True)

    def log_sigmoid(self, x: Array) -> Array:
        """−log(1 + e⁻ˣ)."""
        xp, is_negative = self.xp, x < 0
        return xp.where(is_negative, x, xp.zeros_like(x)) - xp.log1p(xp.exp(-xp.abs(x)))

    def cross_entropy(self, x: Array, y: Array, axis: Axis) -> Array:
        """−Σ y `log_softmax` along the axes."""
        return -self.xp.sum(y * self.log_softmax(x, axis), axis=axis, dtype=x.dtype)

    def binary_cross_entropy(self, x: Array, y: Array) -> Array:
        """−y log σ(x) − (1 − y) log(1 − σ(x)), as x ([x ≥ 0] − y) + log(1 + e^(−|x|))."""
        xp: Any = self.xp
        is_positive = xp.astype(x >= 0, x.dtype)
        found: Array = x * (is_positive - y) + xp.log1p(xp.exp(x * (1 - 2 * is_positive)))
        return found

    def surprise(self, x: Array, at: Array, axis: int) -> Array:
        """−`log_softmax` along an axis at integers, as `picked` takes them."""
        return self.logsumexp(x, axis) - self.picked(x, at, axis)

    def picked(self, x: Array, at: Array, axis: int) -> Array:
        """The entries of x at integers along an axis, which goes away.

        Args:
          x: any array.
          at: of the shape of x without the axis, or one that broadcasts with it; negative ones count from the end.
          axis: not negative.

        Returns:
          The entries; NaN where there is none at that place.
        """
        xp, n = self.xp, x.shape[axis]
        wrapped: Any = xp.where(at < 0, at + n, at)
        inside: Any = (wrapped >= 0) & (wrapped < n)
        found = self.gathered(x, xp.where(inside, wrapped, xp.zeros_like(at)), axis)
        return xp.where(inside, found, xp.full_like(found, float("nan")))

    def gathered(self, x: Array, at: Array, axis: int) -> Array:
        """The same for integers 0 … n − 1."""
        xp = self.xp
        here = xp.expand_dims(at, axis=axis) == steps(xp, x, axis, at.dtype)
        return xp.sum(xp.where(here, x, xp.zeros_like(x)), axis=axis, dtype=x.dtype)

    def matmul(self, x: Array, y: Array) -> Array:
        """The product of matrices, in the precision of their dtype also where a device would rather not."""
        return self.xp.matmul(x, y)

    def is_known(self, x: Array) -> bool:
        """Whether the values of an array may be looked at: nothing is traced, and no device is waited for."""
        del x
        return False

    def value_and_grad(self, f: Callable[[Array], Any], x: Array) -> tuple[Any, Array]:
        """``f(x)``, and the derivative of the sum of its entries by x.

        Raises:
          NotImplementedError: the library differentiates nothing.
        """
        raise NotImplementedError(f"{self.name} differentiates nothing")


def peak(xp: Namespace, x: Array, axis: Axis) -> Array:
    """The greatest entry along the axes; 0 if it is infinite: what it is subtracted from must stay what it is."""
    found: Any = xp.max(x, axis=axis, keepdims=True)
    return xp.where(xp.isfinite(found), found, xp.zeros_like(found))


def steps(xp: Namespace, x: Array, axis: int, dtype: Any) -> Any:
    """0 … n − 1 along an axis of x, to broadcast with it."""
    shape = [size if k == axis else 1 for k, size in enumerate(x.shape)]
    return xp.reshape(xp.arange(x.shape[axis], dtype=dtype, device=getattr(x, "device", None)), tuple(shape))
