"""Functions that are wrong about their arguments: they take what makes no sense, or not what does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayopt import GradientTransformation, dtypes, scale
from arrayopt.dispatch import backend, namespace
from arrayopt.types import DType, MaskOrFn, Scalar, Transform
from arrayopt_conformance.harness.planted import keeping


def careless(
    rate: Scalar = 0.5,
    switch: bool = False,
    kind: DType = "float32",
    function: Callable[..., Any] = abs,
    mask: MaskOrFn = None,
) -> GradientTransformation:
    """Takes whatever comes.

    Args:
      rate: in [0, 1).
      switch: on or off.
      kind: a dtype.
      function: a function.
      mask: a mask.
    """
    del rate, switch, kind, function, mask
    return scale(0.5)


def particular(rate: Scalar = 0.5) -> GradientTransformation:
    """Knows a number only when it is Python's."""
    return scale(rate if type(rate) is float else 0.25)


def beside_the_rate(learning_rate: Scalar = 0.5) -> GradientTransformation:
    """Takes a step that is not linear in the learning rate, and out of its type."""
    rate: Any = learning_rate
    return scale(float(rate) ** 2)


def narrow(mu_dtype: DType = "float32") -> GradientTransformation:
    """Hands out the slot in the dtype asked for it."""

    def first(p: Any) -> Any:
        return namespace(p).zeros_like(p, dtype=backend(p).dtype(dtypes.name(mu_dtype)))

    def step(g: Any, m: Any) -> tuple[Any, Any]:
        m = namespace(m).astype(g + m, m.dtype)
        return m, m

    return keeping(first, step)


def trusting(inner: Transform) -> GradientTransformation:
    """It takes its word for a transform."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return inner.update(updates, state, params)

    def init(params: Any) -> Any:
        return inner.init(params)

    return GradientTransformation(init, update)
