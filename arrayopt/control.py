"""Loops and branches on values, written once: in Python where a library computes at once, staged where it compiles.

  while_loop(cond, body, init)     carry = init; while cond(carry): carry = body(carry)
  scan(f, init, xs)                for x in xs: carry, y = f(carry, x); the y stacked
  cond(pred, then, otherwise)      then() if pred else otherwise()

Carries, inputs and outputs are trees of arrays. On JAX, under any trace, these are ``lax``'s; compiled by Torch a
``while_loop`` is ``torch.while_loop`` and a scan is written out, step by step. The functions given must be pure, and
keep structure, shapes and dtypes of the carry, also where a library would not mind: so what runs eagerly compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from arrayopt import dtypes
from arrayopt.answers import described
from arrayopt.backend import Backend
from arrayopt.counts import bare
from arrayopt.dispatch import backend, is_array
from arrayopt.tree.structure import Spec, flatten
from arrayopt.types import Array, Tree


def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Tree) -> Tree:
    """The first of ``init, body(init), body(body(init)), …`` for which the condition does not hold.

    There is no derivative in reverse where the library's own loop has none: on JAX; and compiled by Torch, unless all
    of the floating-point carry requires one.

    Args:
      cond: from the carry to a 0-d bool.
      body: from the carry to the next one, of the same structure, shapes and dtypes.
      init: the first carry: a tree of arrays, one at least, and of numbers, which become 0-d arrays.

    Raises:
      TypeError: there is no array in ``init``.
      ValueError: ``body`` changes structure, shape or dtype; the condition is not 0-d.

    Example:
      >>> import numpy as np
      >>> from arrayopt.control import while_loop
      >>> while_loop(lambda c: c["x"] < 100, lambda c: {"x": c["x"] * 2}, {"x": np.asarray(3)})
      {'x': array(192)}
    """
    carry, spec, of = _opened("while_loop", init)

    def holds(xs: Any) -> Any:
        return _flag("while_loop", cond(spec.unflatten(list(xs))), of)

    def again(xs: Any) -> list[Any]:
        return _same("while_loop: body", spec, list(xs), body(spec.unflatten(list(xs))), of)

    return spec.unflatten(of.while_loop(holds, again, carry))


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Tree,
    xs: Tree = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Tree, Tree]:
    """Carries a state along the first axis of ``xs``, and stacks what each step puts out.

    Args:
      f: from the carry and a tree of entries ``x[i]`` to the next carry, and an output: a tree of arrays, or None.
      init: the first carry, as in `while_loop`.
      xs: a tree of arrays whose first axes are equally long; None if ``length`` is given.
      length: how many steps there are.
      reverse: whether to begin at the end; outputs stay where their inputs are.

    Returns:
      ``carry, ys``: the last carry, and the outputs with a new first axis. Of no steps it is an empty one, for which
      ``f`` is called once on zeros, to see what it puts out.

    Raises:
      TypeError: there is no array in ``init`` or ``xs``.
      ValueError: lengths differ, or none is given; ``f`` changes structure, shape or dtype of the carry.

    Example:
      >>> import numpy as np
      >>> from arrayopt.control import scan
      >>> total, sums = scan(lambda c, x: (c + x, c + x), np.asarray(0.0), np.asarray([1.0, 2.0, 3.0]))
      >>> float(total), sums
      (6.0, array([1., 3., 6.]))
    """
    rows, row_spec = flatten(xs)
    carry, spec, of = _opened("scan", init, rows)
    steps = _length([x.shape[:1] for x in rows], length)
    known: dict[str, Spec] = {}

    def step(c: Any, x: Any) -> tuple[list[Any], list[Any]]:
        new, out = f(spec.unflatten(list(c)), row_spec.unflatten(list(x)))
        leaves, known["out"] = _branch("scan: f", out, of, known.get("out"))
        return _same("scan: f", spec, list(c), new, of), leaves

    if steps == 0:
        return spec.unflatten(carry), _nothing(step, carry, rows, known, of)
    last, columns = of.scan(step, carry, rows, steps, reverse)
    return spec.unflatten(last), known["out"].unflatten(list(columns))


def cond(pred: Any, then: Callable[..., Any], otherwise: Callable[..., Any], *operands: Any) -> Tree:
    """``then(*operands)`` if a condition holds, else ``otherwise(*operands)``.

    A library that would have to wait for the value, or is compiled, may compute both and select: they must be pure,
    and a derivative that is not finite on one side may spoil the other's.

    Args:
      pred: a bool, or a 0-d array of them.
      then: answers with a tree of arrays.
      otherwise: answers with a tree of the same structure, shapes and dtypes.
      operands: what both are given.

    Raises:
      ValueError: the condition is not 0-d, or the answers' structures differ.

    Example:
      >>> import numpy as np
      >>> from arrayopt.control import cond
      >>> cond(np.asarray(2.0) > 1, lambda x: x + 1, lambda x: x - 1, np.asarray(10.0))
      array(11.)
    """
    if isinstance(pred, bool):
        return then(*operands) if pred else otherwise(*operands)
    of = backend(bare(pred))
    known: dict[str, Spec] = {}

    def answer(which: Callable[..., Any]) -> list[Any]:
        leaves, known["out"] = _branch("cond: then and otherwise", which(*operands), of, known.get("out"))
        return leaves

    flag = _flag("cond", bare(pred), of)
    leaves = of.cond(flag, lambda: answer(then), lambda: answer(otherwise))
    return known["out"].unflatten(list(leaves))


def _opened(who: str, tree: Tree, others: Sequence[Any] = ()) -> tuple[list[Any], Spec, Backend]:
    """The leaves of a carry as arrays, their structure, and the backend of the first array there is."""
    leaves, spec = flatten(tree)
    first = next((x for x in map(bare, [*leaves, *others]) if is_array(x)), None)
    if first is None:
        raise TypeError(f"{who}: there must be an array in init; got {described(tree)}.")
    of = backend(first)
    return [_array(x, of, first) for x in leaves], spec, of


def _array(x: Any, of: Backend, beside: Any) -> Array:
    """A leaf as an array: numbers as 0-d ones, and NumPy's scalars."""
    if type(x) in (bool, int, float):
        return of.number(x, beside)
    return of.settle(of.receive(bare(x)))


def _flag(who: str, condition: Any, of: Backend) -> Any:
    """A condition as a bool or a 0-d array."""
    if isinstance(condition, bool):
        return of.number(condition)
    if tuple(condition.shape) != ():
        raise ValueError(f"{who}: the condition must be 0-d; its shape is {tuple(condition.shape)}.")
    return of.settle(condition)


def _branch(who: str, tree: Tree, of: Backend, known: Spec | None) -> tuple[list[Any], Spec]:
    """What a function put out, as arrays, and its structure: that of other times."""
    leaves, spec = flatten(tree)
    if known is not None and spec != known:
        raise ValueError(f"{who} must put out the same structure each time; got {spec} after {known}.")
    first = next((x for x in leaves if is_array(x)), None)
    return [_array(x, of, first) for x in leaves], spec


def _same(who: str, spec: Spec, old: list[Any], tree: Tree, of: Backend) -> list[Any]:
    """The leaves of the next carry, which must look as those of the one before."""
    leaves, new_spec = flatten(tree)
    if new_spec != spec:
        raise ValueError(f"{who} must keep the structure of the carry, {spec}; got {new_spec}.")
    new = [_array(x, of, old[0]) for x in leaves]
    for place, (x, y) in enumerate(zip(old, new, strict=True)):
        if tuple(x.shape) != tuple(y.shape) or x.dtype != y.dtype:
            raise ValueError(
                f"{who} must keep shape and dtype of the carry; at {spec.path(place) or 'the root'} it is "
                f"{_look(x)}, and becomes {_look(y)}."
            )
    return new


def _look(x: Array) -> str:
    return f"{dtypes.name(x.dtype)}{list(x.shape)}"


def _length(shapes: Sequence[Any], length: int | None) -> int:
    found: set[int | None] = {x[0] if x else None for x in shapes}
    found |= set() if length is None else {length}
    if len(found) != 1 or None in found:
        told = "no length" if not found else f"lengths {sorted(map(str, found))}"
        raise ValueError(f"scan: the first axes of xs, or length, must say how many steps there are; got {told}.")
    return int(cast(int, found.pop()))


def _nothing(
    step: Callable[[Any, Any], Any], carry: list[Any], xs: list[Any], known: dict[str, Spec], of: Backend
) -> Tree:
    """The stacked outputs of no steps."""
    _, leaves = step(carry, [of.xp.zeros(x.shape[1:], dtype=x.dtype) for x in xs])
    empty = [of.xp.zeros((0, *y.shape), dtype=y.dtype) for y in leaves]
    return known["out"].unflatten(empty)
