"""What lies on the table between two steps: the arguments of the next one, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import arrayopt
from arrayopt.dispatch import is_array
from arrayopt.tree.structure import flatten
from arrayopt_conformance.fuzz.cases import TREES, Case, Leaf
from arrayopt_conformance.fuzz.compare import dtype_name, host, repeats
from arrayopt_conformance.fuzz.memory import Memory, is_tensor, owned_tensor
from arrayopt_conformance.fuzz.rules import RULES, World, prepared
from arrayopt_conformance.libraries import libraries

FLOATING = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")


def _kind(x: Any) -> Any:
    return dtype_name(x), tuple(getattr(x, "shape", ()))


class Table:
    """The arguments of the next step.

    Attributes:
      params: the parameters.
      grads: the gradients.
      state: the state.
      extra: extra arguments.
      tx: the transform that is fused.
      shadow: the same transform in a world of its own, for eager steps.
      around: how the next step is called, by a context manager.
      undo: what is to be done after the next step.
    """

    def __init__(self, case: Case) -> None:
        self.case, self.random = case, np.random.default_rng(case.seed)
        self.library = libraries()[case.library]
        self.memory = Memory(case.library, self.random)
        self.world, self.other_world = World(), World()
        prepared(self.world, self.library)
        self.tx, self.shadow = RULES[case.rule](self.world), RULES[case.rule](self.other_world)
        self.step = arrayopt.fused_step(self.tx, case.engine)
        self.tree = case.tree
        self.params = TREES[case.tree]([self.parameter(leaf) for leaf in case.leaves])
        self.state = self.initial()
        self.grads: Any = None
        self.usual: list[Any] = []
        self.extra: dict[str, Any] = {}
        self.around: list[Any] = []
        self.undo: list[Callable[[], Any]] = []
        self.beside: Callable[[], None] | None = None
        self.renew()

    def parameter(self, leaf: Leaf) -> Any:
        """A new parameter."""
        return self.memory.array(leaf.shape, leaf.dtype, leaf.layout)

    def initial(self) -> Any:
        """A new state, in watched memory."""
        return self.watched(self.tx.init(self.params))

    def watched(self, tree: Any, layout: str = "C") -> Any:
        """The tree with copies of its arrays in watched memory."""

        def moved(x: Any) -> Any:
            try:
                return self.same(x, layout) if is_array(x) else x
            except (TypeError, NotImplementedError):  # of words or objects, on meta
                return x

        leaves, spec = flatten(tree)
        return spec.unflatten([moved(x) for x in leaves])

    def renew(self) -> None:
        """Takes new gradients: in every other case new values, or the old ones, in the arrays of before."""
        leaves, spec = flatten(self.params)
        if self.case.seed % 2 and list(map(_kind, self.usual)) == list(map(_kind, leaves)):
            if self.random.random() < 0.5:
                for g in self.usual:
                    self.refill(g)
        else:
            self.usual = [self.gradient(x, i) for i, x in enumerate(leaves)]
        self.grads = spec.unflatten(list(self.usual))

    def refill(self, x: Any) -> None:
        """Writes new values into an array, where that can be."""
        values = self.memory.values(tuple(x.shape), dtype_name(x))
        if is_tensor(x) and not repeats(x):
            x.copy_(owned_tensor(values))
        elif isinstance(x, np.ndarray) and x.flags.writeable:
            x[...] = values

    def gradient(self, p: Any, place: int, layout: str | None = None, dtype: str | None = None) -> Any:
        """A gradient like a parameter; how it lies is said by the case."""
        leaf = self.case.leaves[place % len(self.case.leaves)]
        shape = tuple(p.shape) if hasattr(p, "shape") else leaf.shape
        own = dtype_name(p) if dtype_name(p) in FLOATING else leaf.dtype
        layout = layout or leaf.gradients
        if self.case.rule == "edits_gradients" and layout in ("expanded", "overlapping", "readonly"):
            layout = "C"
        return self.memory.array(shape, dtype or own, layout)

    # -- leaves of the three trees -----------------------------------------------------------------------------------

    def leaf(self, tree: str, which: int) -> tuple[Any, int]:
        """A leaf of a tree and its place.

        Raises:
          LookupError: the tree has none.
        """
        leaves, _ = flatten(getattr(self, tree))
        if not leaves:
            raise LookupError(tree)
        return leaves[which % len(leaves)], which % len(leaves)

    def put(self, tree: str, place: int, leaf: Any) -> None:
        """Puts a leaf in the place of another."""
        leaves, spec = flatten(getattr(self, tree))
        if 0 <= place < len(leaves):
            leaves[place] = leaf
            setattr(self, tree, spec.unflatten(leaves))

    def array(self, tree: str, which: int) -> tuple[Any, int]:
        """An array of a tree and its place.

        Raises:
          LookupError: the tree has none.
        """
        leaves, _ = flatten(getattr(self, tree))
        arrays = [(x, i) for i, x in enumerate(leaves) if is_array(x)]
        if not arrays:
            raise LookupError(tree)
        return arrays[which % len(arrays)]

    def donated(self) -> list[Any]:
        """The leaves of parameters and state."""
        return [*flatten(self.params)[0], *flatten(self.state)[0]]

    def leaves(self) -> list[Any]:
        """All leaves."""
        return [*self.donated(), *flatten(self.grads)[0], *flatten(self.extra)[0]]

    def rebuilt(self, tree: str, leaves: list[Any]) -> None:
        """Goes on with parameters in another tree, and a new state."""
        self.tree = tree
        self.params = TREES[tree](leaves)
        self.state = self.initial()
        self.renew()

    def like(self, x: Any, layout: str = "C") -> Any:
        """New values in an array of the same shape and dtype."""
        return self.memory.array(tuple(x.shape), dtype_name(x), layout)

    def same(self, x: Any, layout: str = "C") -> Any:
        """The same values in another array."""
        values = host(x)
        if not isinstance(values, np.ndarray):
            raise NotImplementedError(f"{type(x).__name__} has no values")
        if dtype_name(x) == "bfloat16":
            values = values.astype(self.memory.values((), "bfloat16").dtype)
        return self.memory.put(np.asarray(values), layout)
