"""Loops on Torch: eagerly, within ``torch.func``, and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Loop = Callable[[Callable[[Any], Any], Callable[[Any], Any], list[Any]], list[Any]]

_lib: Any = torch  # whose parts used here have no complete types


def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], carry: list[Any]) -> list[Any]:
    """``carry = body(carry)`` as long as ``cond(carry)`` holds.

    Under ``torch.func.vmap`` it goes on until no row does, and a row that has stopped stays as it is, as on JAX.
    Compiled it is ``torch.while_loop``, or a graph break where that cannot be.
    """
    return _compiled(cond, body, carry) if torch.compiler.is_compiling() else _eager(cond, body, carry)


def _eager(cond: Callable[[Any], Any], body: Callable[[Any], Any], carry: list[Any]) -> list[Any]:
    while True:
        going = cond(carry)
        if not _any(going):
            return carry
        new = body(carry)
        carry = _kept(going, new, carry) if _is_batched(going) else new


def _compiled(cond: Callable[[Any], Any], body: Callable[[Any], Any], carry: list[Any]) -> list[Any]:
    """The loop as one operation, of which no input may be an output, nor two the same.

    Torch 2.13 gives what it closes over a wrong derivative, and no error, if some of the carry requires none
    (pytorch#184528 is of its scan).
    """

    def copied(*xs: Any) -> Any:
        return tuple([y.clone() for y in body(list(xs))])

    def holds(*xs: Any) -> Any:
        return cond(list(xs)).clone()

    if is_transformed():
        return _within_func(cond, body, carry)
    found = list(_lib.while_loop(holds, copied, tuple([x.clone() for x in carry])))
    if any([y.requires_grad for y in found]) and not all([_is_differentiated(x) for x in carry]):
        return _with_constants(cond, body, carry)
    return found


def _never_compiled(reason: str) -> Loop:
    """The loop in Python, as a function at which a compiled graph ends; with ``fullgraph`` that is an error."""

    def looped(cond: Callable[[Any], Any], body: Callable[[Any], Any], carry: list[Any]) -> list[Any]:
        return _eager(cond, body, carry)

    found: Loop = _lib.compiler.disable(looped, reason=reason)
    return found


_within_func = _never_compiled(
    "arrayopt: a while_loop within torch.func cannot be compiled; transform the function that is not compiled"
)
_with_constants = _never_compiled(
    "arrayopt: a compiled while_loop has a derivative only if all of its floating-point carry requires one"
)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator, unused-ignore]
def is_transformed() -> bool:
    """Whether a transform of ``torch.func`` is under way."""
    return bool(_lib._C._are_functorch_transforms_active())


def _is_differentiated(x: Any) -> bool:
    return bool(x.requires_grad or not (x.is_floating_point() or x.is_complex()))


def _is_batched(x: Any) -> bool:
    """Whether a 0-d tensor stands for many."""
    return isinstance(x, torch.Tensor) and bool(_unwrapped(x).ndim > 0)


def _any(x: Any) -> bool:
    return bool(_unwrapped(x).any()) if isinstance(x, torch.Tensor) else bool(x)


def _unwrapped(x: Any) -> Any:
    """What is within the wrappers of ``torch.func``."""
    functorch = _lib._C._functorch
    while functorch.is_functorch_wrapped_tensor(x):
        x = functorch.get_unwrapped(x)
    return x


def _kept(going: Any, new: list[Any], old: list[Any]) -> list[Any]:
    return [torch.where(going, x, y) for x, y in zip(new, old, strict=True)]
