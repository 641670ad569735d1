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

    name: str

    @property
    def xp(self) -> Namespace:
        """The library's Array API namespace."""
        raise NotImplementedError

    def log_softmax(self, x: Array, axis: Axis) -> Array:
        """x − log Σ eˣ along the axes."""
        shifted = x - _peak(self.xp, x, axis)
        return shifted - self.xp.log(self.xp.sum(self.xp.exp(shifted), axis=axis, keepdims=True))

    def logsumexp(self, x: Array, axis: int) -> Array:
        """Log Σ eˣ along an axis, which goes away; −∞ where all is −∞."""
        xp = self.xp
        peak = _peak(xp, x, axis)
        total = xp.log(xp.sum(xp.exp(x - peak), axis=axis, keepdims=True))
        return xp.squeeze(peak + total, axis=axis)

    def softmax(self, x: Array, axis: Axis) -> Array:
        """eˣ / Σ eˣ along the axes."""
        powers = self.xp.exp(x - _peak(self.xp, x, axis))
        return powers / self.xp.sum(powers, axis=axis, keepdims=True)

    def log_sigmoid(self, x: Array) -> Array:
        """−log(1 + e⁻ˣ)."""
        xp = self.xp
        return xp.where(x < 0, x, xp.zeros_like(x)) - xp.log1p(xp.exp(-xp.abs(x)))

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
        shape = [n if k == axis else 1 for k in range(x.ndim)]
        places = xp.reshape(xp.arange(n, dtype=at.dtype, device=getattr(x, "device", None)), tuple(shape))
        here: Any = places == xp.expand_dims(xp.where(at < 0, at + n, at), axis=axis)
        found = xp.sum(xp.where(here, x, xp.zeros_like(x)), axis=axis, dtype=x.dtype)
        return self.valid(found, at, n)

    def valid(self, x: Array, at: Array, n: int) -> Array:
        """x; NaN where an integer is none of −n … n − 1."""
        inside: Array = (at >= -n) & (at < n)
        return self.xp.where(inside, x, self.xp.full_like(x, float("nan")))

    def matmul(self, x: Array, y: Array) -> Array:
        """The product of matrices, in the precision of their dtype also where a device would rather not."""
        found: Array = self.xp.matmul(x, y)
        return found

    def is_known(self, x: Array) -> bool:
        """Whether the values of an array may be looked at, at no cost: it is on the host, and nothing is traced."""
        del x
        return False

    def value_and_grad(self, f: Callable[[Array], Any], x: Array) -> tuple[Any, Array]:
        """``f(x)``, and the derivative of the sum of its entries by x.

        Raises:
          TypeError: the library differentiates nothing.
        """
        raise TypeError(f"{self.name} differentiates nothing")


def _peak(xp: Namespace, x: Array, axis: Axis) -> Array:
    """The greatest entry along the axes; 0 if it is infinite: what it is subtracted from must stay what it is."""
    found: Any = xp.max(x, axis=axis, keepdims=True)
    return xp.where(xp.isfinite(found), found, xp.zeros_like(found))
