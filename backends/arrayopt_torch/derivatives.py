"""Derivatives of our own on Torch: for autograd, ``torch.func`` in both modes, of any order, and compiled.

Torch's compiler traces a class only if the arguments of ``forward`` are named, and if it has no forward mode: hence
one for each number of arguments, twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_lib: Any = torch  # whose parts used here have no complete types


def custom_jvp(function: Callable[..., Any], jvp: Callable[..., Any], xs: tuple[Any, ...]) -> Any:
    """``function(*xs)``, its derivative along tangents being ``jvp(xs, tangents)``.

    Raises:
      TypeError: there are more than three arguments, for which no class is written.
    """
    if not 1 <= len(xs) <= len(_Plain):
        raise TypeError(f"custom_jvp: on Torch a function takes 1 to {len(_Plain)} arrays; got {len(xs)}.")
    if not torch.compiler.is_compiling():
        depth = _forward_depth()
        if depth > 2:
            raise NotImplementedError("custom_jvp: on Torch forward mode within forward mode goes to second order.")
        return _composed(function, jvp, xs) if depth == 2 else _Forward[len(xs) - 1].apply(function, jvp, *xs)
    from arrayopt_torch.control import is_transformed  # which imports the compiler

    if is_transformed():
        return _composed(function, jvp, xs)
    return _Plain[len(xs) - 1].apply(function, jvp, *xs)


def _forward_depth() -> int:
    """How many forward modes of `torch.func` are within one another: of two, Torch drops the inner one's tangents."""
    levels: Any = _lib._C._functorch.get_interpreter_stack() or []
    return sum([level.key() == _lib._C._functorch.TransformType.Jvp for level in levels])


def _composed(function: Callable[..., Any], jvp: Callable[..., Any], xs: tuple[Any, ...]) -> Any:
    """The same for `torch.func` within a compiled function, where Torch 2.13 forgets the derivative of a class.

    With d = x − x₀, x₀ being x as a constant: y = f(x₀) + ½ (J(x) d + J(x₀) d), and d = 0, so y' = J(x), y'' = J'(x).
    Derivatives of the third order are not right.
    """
    still = tuple([x.detach() for x in xs])
    steps = tuple(
        [torch.where(torch.isfinite(x), x - x0, torch.zeros_like(x)) for x, x0 in zip(xs, still, strict=True)]
    )
    nothing = 0.5 * (jvp(xs, steps) + jvp(still, steps))
    return function(*still) + torch.where(torch.isfinite(nothing), nothing, torch.zeros_like(nothing))


class _Own(torch.autograd.Function):
    """What the classes below share: backward is the transpose of ``jvp``."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        del output
        _, ctx.tangent, *xs = inputs
        ctx.save_for_backward(*xs)
        ctx.save_for_forward(*xs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        xs, jvp = ctx.saved_tensors, ctx.tangent

        def along(*tangents: Any) -> Any:
            return jvp(xs, tangents)

        _, transposed = _lib.func.vjp(along, *[torch.zeros_like(x) for x in xs])
        return None, None, *transposed(*grads)


def _apart(answer: Any, *xs: Any) -> Any:
    """The answer, as another tensor where it is one of the arguments: Torch cannot save what it returns."""
    return answer.view_as(answer) if any([answer is x for x in xs]) else answer


class _Of1(_Own):
    @staticmethod
    def forward(function: Any, jvp: Any, x: Any) -> Any:
        return _apart(function(x), x)


class _Of2(_Own):
    @staticmethod
    def forward(function: Any, jvp: Any, x: Any, y: Any) -> Any:
        return _apart(function(x, y), x, y)


class _Of3(_Own):
    @staticmethod
    def forward(function: Any, jvp: Any, x: Any, y: Any, z: Any) -> Any:
        return _apart(function(x, y, z), x, y, z)


class _Along:
    """Forward mode."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        xs = ctx.saved_tensors
        given = [torch.zeros_like(x) if t is None else t for x, t in zip(xs, tangents[2:], strict=True)]
        return ctx.tangent(xs, tuple(given))


class _Forward1(_Along, _Of1): ...


class _Forward2(_Along, _Of2): ...


class _Forward3(_Along, _Of3): ...


_Plain: Any = [_Of1, _Of2, _Of3]
_Forward: Any = [_Forward1, _Forward2, _Forward3]
