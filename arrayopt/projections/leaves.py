"""The trees that a projection is called with, leaf by leaf: of one library, of shapes that go together."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from arrayopt import dtypes
from arrayopt.counts import bare
from arrayopt.dispatch import is_array
from arrayopt.operands import Operands, operands
from arrayopt.tree.align import subtrees
from arrayopt.tree.structure import Spec, flatten
from arrayopt.types import Array, Tree


class Leaves(NamedTuple):
    """What a projection computes with.

    Attributes:
      given: knows the library, and the dtypes that all leaves together have.
      spec: the structure of the tree.
      xs: its leaves, in the dtype to compute in.
      others: the leaves of each further tree, in the order of ``xs``; None where nothing was given.
      number: the scalar, if one was asked for.
      kinds: for each leaf the dtypes it was given in, its own and those of the further trees' there.
    """

    given: Operands
    spec: Spec
    xs: list[Array]
    others: list[list[Any]]
    number: Any
    kinds: list[list[str]]

    def promoted(self, answers: list[Array]) -> Tree:
        """The tree of answers, all in the dtype of all arguments together."""
        return self.spec.unflatten([self.given.rounded(x) for x in answers])

    def kept(self, answers: list[Array]) -> Tree:
        """The tree of answers, each in the dtype of its leaf and of what was given for that leaf."""
        pairs = zip(answers, self.kinds, strict=True)
        return self.spec.unflatten([self.given._replace(dtype=self._met(kinds)).rounded(x) for x, kinds in pairs])

    def _met(self, kinds: list[str]) -> str:
        """The dtype that dtypes promote to; Python numbers alone are computed in the wide one, and stay there."""
        given = self.given
        return dtypes.name(given.xp.result_type(*[given.backend.dtype(kind) for kind in kinds or [given.wide]]))


def leaves(who: str, name: str, tree: Tree, columns: dict[str, list[Any]] | None = None, **number: Any) -> Leaves:
    """The leaves of a tree, with what belongs to each.

    Args:
      who: name of the function, for messages.
      name: of its first argument, for messages.
      tree: the first argument; it has one leaf at least.
      columns: what belongs to each leaf, by the name of the argument it came in.
      **number: a scalar by its name.

    Raises:
      TypeError: something is not floating point, or of another library than the rest.
      ValueError: the scalar is none.
    """
    found, spec = flatten(tree)
    rows = {name: found, **(columns or {})}
    paths = spec.paths()
    named = {f"{arg}{path}": x for arg, column in rows.items() for path, x in zip(paths, column, strict=True)}
    given = operands(who, named, number)
    parts = [given.values[i : i + len(found)] for i in range(0, len(named), len(found))]
    kinds = [[_kind(given, x) for x in row if is_array(bare(x))] for row in zip(*rows.values(), strict=True)]
    return Leaves(given, spec, parts[0], parts[1 : len(rows)], _scalar(who, given, number), kinds)


def _kind(given: Operands, x: Any) -> str:
    return dtypes.name(given.backend.receive(bare(x)).dtype)


def _scalar(who: str, given: Operands, number: dict[str, Any]) -> Any:
    """The scalar in the dtype to compute in; None if there is none."""
    for name, value in number.items():
        if value is None or not dtypes.is_real(given.values[-1].dtype):
            raise TypeError(f"{who}: {name} must be a real number; got {value!r}.")
        if tuple(given.values[-1].shape) != ():
            raise ValueError(
                f"{who}: {name} must be a scalar; got an array of shape {tuple(given.values[-1].shape)}."
            )
        return given.widened(given.values[-1])
    return None


def alike(who: str, names: tuple[str, str], x: Tree, other: Tree) -> list[Any]:
    """The leaves of a second tree of the structure and shapes of the first.

    Raises:
      StructureError: it has another structure.
      ValueError: a leaf has another shape.
    """
    found, spec = flatten(x)
    column = subtrees(spec, other, f"{who}: {names[1]}")
    for place, (a, b) in enumerate(zip(found, column, strict=True)):
        if _shape(a) != _shape(b):
            path = spec.path(place)
            raise ValueError(
                f"{who}: {names[1]}{path} must have the shape of {names[0]}{path}, {_shape(a)}; got {_shape(b)}."
            )
    return column


def bounds(who: str, name: str, tree: Tree, bound: Tree) -> list[Any]:
    """The bound of each leaf, from a tree of them, or from one that is for all.

    Raises:
      StructureError: the bounds are a tree of another structure.
      ValueError: a bound does not broadcast to the shape of its leaf.
    """
    found, spec = flatten(tree)
    is_single = bound is None or type(bound) in (float, int) or is_array(bare(bound))
    column = [bound] * len(found) if is_single else subtrees(spec, bound, f"{who}: {name}")
    for place, (x, low) in enumerate(zip(found, column, strict=True)):
        inner, outer = _shape(low)[::-1], _shape(x)[::-1]
        if len(inner) > len(outer) or any([n not in (1, m) for n, m in zip(inner, outer, strict=False)]):
            path = spec.path(place)
            raise ValueError(f"{who}: {name}{path} must broadcast to {_shape(x)}, the leaf; got {_shape(low)}.")
    return column


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(cast(Any, getattr(x, "shape", ())))


def check_scale(who: str, scale: Any) -> None:
    """Raises if it is a negative Python number: no set is meant by that. The value of an array is not looked at."""
    if type(scale) in (float, int) and not scale >= 0:
        raise ValueError(f"{who}: scale must be at least 0; got {scale!r}.")
