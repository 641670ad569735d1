"""The values of what was recorded, computed by the library as it would have been without a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.dispatch import is_array
from arrayopt.fused import host, words
from arrayopt.fused.traced import Traced, Unforeseen


class Values:
    """Values by recorded node.

    Args:
      backend: the library's adapter.
      leaves: what lies at the places of the trees.
    """

    def __init__(self, backend: Backend, leaves: Sequence[Any]) -> None:
        self._backend, self._leaves = backend, leaves
        self._like = next((x for x in leaves if is_array(x)), None)

    def compute(self, tape: list[Traced]) -> None:
        """Computes all that a tape holds, and empties it, so that what nobody needs any more is freed."""
        tape.reverse()
        while tape:
            self.of(tape.pop())

    def of(self, node: Any) -> Any:
        """The value of one node; of anything else, itself."""
        if not isinstance(node, Traced):
            return node
        if node.value is None:
            node.value = (self._found(node),)
            node.args, node.attrs = (), None
        return node.value[0]

    def _found(self, node: Traced) -> Any:
        op = node.op
        if op == "input":
            x = self._leaves[node.attrs]
            if not is_array(x) and hasattr(x, "shape"):
                raise Unforeseen("the value of an array is asked for that is not there")
            return self._backend.raw(x) if is_array(x) else x
        if op == "captured":
            return node.attrs
        if op == "formula":
            return self._formula(node)
        if op == "call":
            return node.attrs.run(self._backend.xp, self.of)
        args = [self.of(x) for x in node.args]
        return args[0][node.attrs] if op == "part" else self._made(node, args)

    def _formula(self, node: Traced) -> Any:
        """A result of a formula that was written down for another leaf alike."""
        take, given, j = node.attrs
        made = {id(a): self.of(b) for a, b in zip(take.given, given, strict=True)}
        for inner in take.needed(j):
            args = [made[id(x)] if id(x) in made else self.of(take.number(x)) for x in inner.args]
            made[id(inner)] = self._made(inner, args)
        return made[id(take.outs[j])]

    def _made(self, node: Traced, args: list[Any]) -> Any:
        """What an operation answers, in the dtype and shape that were recorded."""
        if node.op == "numbers":
            return None
        if isinstance(node.dtype, type):  # a Python number
            return host.FUNCTIONS[node.op](*args)
        found = self._word(node, args)
        if not hasattr(found, "dtype"):
            return self._full(node, found)
        if tuple(found.shape) != node.shape:
            found = self._backend.xp.reshape(found, node.shape)
        if found.dtype != node.dtype:
            found = self._backend.xp.astype(found, node.dtype)
        return self._backend.settle(found) if not node.shape else found

    def _word(self, node: Traced, args: list[Any]) -> Any:
        xp, op = self._backend.xp, node.op
        if op in ("astype", "hand_on", "view", "owned"):
            return args[0]
        if op == "full":
            return self._full(node, args[0])
        if op == "copy":
            same = tuple(getattr(args[0], "shape", ())) == node.shape
            return self._backend.copy(args[0]) if same else xp.broadcast_to(args[0], node.shape)
        if op == "fold":
            axes = tuple([a for a, n in enumerate(node.attrs) if n == 1])
            return xp.sum(args[0], axis=axes, dtype=node.dtype)
        word = words.OPERATORS.get(op)
        return word(*args) if word is not None else getattr(xp, op)(*args)

    def _full(self, node: Traced, value: Any) -> Any:
        found = self._backend.empty(node.shape, dtypes.name(node.dtype), self._like)
        self._backend.assign(found, value)
        return found
