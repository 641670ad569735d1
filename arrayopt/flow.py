"""Loops, branches and derivatives of a backend, on lists of arrays; `arrayopt.control` makes them fit for trees.

`Backend` has them all as methods: an adapter overrides those that its library stages, or differentiates otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from arrayopt.types import Namespace


class Flow:
    """What every backend answers; here a library computes at once, and takes no derivatives."""

    @property
    def xp(self) -> Namespace:
        """The library's Array API namespace."""
        raise NotImplementedError

    def cond(self, condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        """``then()`` if a 0-d condition holds, else ``otherwise()``, an array or a list of them.

        Here both are computed, and one is selected. A library that can tell without waiting for the value computes
        only that one.
        """
        x, y = then(), otherwise()
        if isinstance(x, list):
            return [self.xp.where(condition, a, b) for a, b in zip(cast(Any, x), y, strict=True)]
        return self.xp.where(condition, x, y)

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], carry: list[Any]) -> list[Any]:
        """``carry = body(carry)`` as long as ``cond(carry)`` holds; here in Python, which waits for each answer."""
        while cond(carry):
            carry = body(carry)
        return carry

    def scan(
        self, step: Callable[[Any, Any], Any], carry: list[Any], xs: list[Any], length: int, reverse: bool
    ) -> tuple[list[Any], list[Any]]:
        """``carry, y = step(carry, x)`` for each entry x along the first axis, of which there is one at least.

        Returns:
          the carry, and each output of all steps, stacked.
        """
        rows: list[list[Any]] = []
        for i in range(length - 1, -1, -1) if reverse else range(length):
            carry, row = step(carry, [x[i, ...] for x in xs])
            rows.append(row)
        ordered = rows[::-1] if reverse else rows
        return carry, [self.xp.stack(list(column)) for column in zip(*ordered, strict=True)]

    def vmap(self, f: Callable[[Any], Any], xs: Any) -> Any:
        """``f(x)`` for each entry x along the first axis, of which there is one at least, stacked."""
        return self.xp.stack([f(xs[i, ...]) for i in range(xs.shape[0])])

    def stop_gradient(self, x: Any) -> Any:
        """The same values, as a constant to whatever takes derivatives."""
        return x

    def custom_jvp(self, function: Callable[..., Any], jvp: Callable[..., Any], xs: tuple[Any, ...]) -> Any:
        """``function(*xs)``, whose derivative along tangents is ``jvp(xs, tangents)``, where there are any."""
        del jvp
        return function(*xs)
