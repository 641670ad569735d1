"""Softmax with fewer passes over memory than Array API words take: some write to what they just made."""

from __future__ import annotations

from typing import Any

from arrayopt.special import Axis, Special, peak

_SHORT = 1024  # along so few entries einsum, which sums them one after another, errs no more, and takes a quarter


class NumpySpecial(Special):
    """What `Special` says, by NumPy."""

    def log_softmax(self, x: Any, axis: Axis) -> Any:
        import numpy as np

        shifted = x - peak(self.xp, x, axis)
        with np.errstate(divide="ignore"):  # where all is −∞
            shifted -= np.log(_total(np.exp(shifted), axis))
        return shifted

    def cross_entropy(self, x: Any, y: Any, axis: Axis) -> Any:
        """As (log Σ eᶻ) Σ y − Σ y z, z = x − max x: only z takes memory."""
        import numpy as np

        if not isinstance(axis, int) or x.shape != y.shape:
            return super().cross_entropy(x, y, axis)
        vecdot: Any = np.vecdot
        shifted = x - peak(self.xp, x, axis)
        picked = vecdot(y, shifted, axis=axis)
        np.exp(shifted, out=shifted)
        with np.errstate(divide="ignore"):  # where all is −∞
            return np.squeeze(np.log(_total(shifted, axis)) * _total(y, axis), axis=axis) - picked

    def logsumexp(self, x: Any, axis: int) -> Any:
        import numpy as np

        greatest = peak(self.xp, x, axis)
        powers = x - greatest
        np.exp(powers, out=powers)
        with np.errstate(divide="ignore"):
            return np.squeeze(np.log(_total(powers, axis)) + greatest, axis=axis)

    def softmax(self, x: Any, axis: Axis) -> Any:
        import numpy as np

        powers = x - peak(self.xp, x, axis)
        np.exp(powers, out=powers)
        powers /= _total(powers, axis)
        return powers

    def gathered(self, x: Any, at: Any, axis: int) -> Any:
        import numpy as np

        return np.squeeze(np.take_along_axis(x, np.expand_dims(at, axis), axis=axis), axis=axis)

    def is_known(self, x: Any) -> bool:
        return True


def _total(x: Any, axis: Axis) -> Any:
    """The sum along axes, which stay."""
    import numpy as np

    if axis not in (-1, x.ndim - 1) or x.shape[-1] == 0:
        return x.sum(axis=axis, keepdims=True)
    count = x.shape[-1] // _SHORT if x.shape[-1] > _SHORT else 0
    rest = np.einsum("...i->...", x[..., count * _SHORT :])[..., None]
    if not count:
        return rest
    blocks = x[..., : count * _SHORT].reshape(*x.shape[:-1], count, _SHORT)  # a view: an axis is split
    return np.einsum("...i->...", blocks).sum(axis=-1, keepdims=True) + rest
