"""What an optimizer is: a pair of pure functions, and how one is applied."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from arrayopt.calls import ByCall, by_call, same_call
from arrayopt.checks import transform
from arrayopt.dispatch import backend, is_array
from arrayopt.each import mode
from arrayopt.lift import lift
from arrayopt.states import gathered, known
from arrayopt.tree.structure import flatten
from arrayopt.types import Array, OptState, Params, Transform, Updates

TransformInitFn = Callable[[Params], OptState]
TransformUpdateFn = Callable[..., tuple[Updates, OptState]]


class _Pair(NamedTuple):
    init: TransformInitFn
    update: TransformUpdateFn


def _as_optax_knows_it(tx: Any) -> type[Any]:
    """The class of Optax of that name where Optax is imported, else the transform's own."""
    kind: type[Any] = cast(Any, type(tx))
    optax = sys.modules.get("optax")
    if optax is None:
        return kind
    named = next((k.__name__ for k in kind.__mro__ if k.__module__ == __name__), "")
    found: type[Any] = getattr(optax, named, kind)
    return found


class GradientTransformation(ByCall, _Pair):
    """A pair of pure functions that turns gradients into updates.

    Where Optax is imported it is an instance of Optax's class of that name too, for those who ask by ``isinstance``.

    Attributes:
      init: ``init(params) -> state``.
      update: ``update(updates, state, params=None) -> (updates, state)``.
    """

    __class__: Any = property(_as_optax_knows_it)  # what isinstance asks for when the type itself will not do

    def __repr__(self) -> str:
        return super().__repr__() if self.call is None else repr(self.call)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) is True or (isinstance(other, ByCall) and same_call(self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return super().__hash__() if self.call is None else hash(self.call.key)

    def _reduced(self, protocol: Any) -> tuple[type[Any], tuple[Any, ...]]:
        del protocol  # pickle's own way compares type and __class__
        return type(self), tuple(self)


class GradientTransformationExtraArgs(GradientTransformation):
    """One whose update also takes keyword arguments, and ignores those it does not know.

    ``update(updates, state, params=None, **extra_args) -> (updates, state)``.
    """


def remembering(
    who: str, kind: type[Any], init: TransformInitFn, update: TransformUpdateFn
) -> GradientTransformation:
    """A transform whose state is looked at before each update.

    Args:
      who: its name, for messages.
      kind: class of its state, a NamedTuple; the names of its counters begin with ``count``.
      init: ``init(params) -> state``.
      update: ``update(updates, state, params=None) -> (updates, state)``.
    """

    def checked(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        state, updates = known(who, kind, state, updates)
        if not mode.per_parameter:
            return update(updates, state, params)
        new, after = update(updates, state, params)
        return new, gathered(state, after, updates)

    return GradientTransformation(init, checked)


class EmptyState(NamedTuple):
    """The state of a transform that remembers nothing."""


def init_empty_state(params: Params) -> EmptyState:
    """The ``init`` of a transform that remembers nothing."""
    del params
    return EmptyState()


def takes_extra_args(tx: Any) -> bool:
    """Whether a transform, ours or Optax's, declares that its update takes extra arguments."""
    return any(kind.__name__ == "GradientTransformationExtraArgs" for kind in type(tx).__mro__)


def with_extra_args_support(tx: Transform) -> GradientTransformationExtraArgs:
    """The same transform, accepting extra arguments; they are dropped if it has no use for them.

    Args:
      tx: a transform of arrayopt, of Optax, or anything with ``init`` and ``update``.

    Returns:
      ``tx`` itself if it takes extra arguments already, else a transform with its state.

    Raises:
      TypeError: ``tx`` has not ``init`` and ``update``.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.with_extra_args_support(arrayopt.scale(2.0))
      >>> tx.update(np.ones(2), tx.init(np.ones(2)), value=0.1)[0]
      array([2., 2.])
    """
    if issubclass(type(tx), GradientTransformationExtraArgs):
        found: GradientTransformationExtraArgs = cast(Any, tx)
        return found
    transform("a transform", tx)
    if takes_extra_args(tx):
        return _supported(tx, tx.update)

    def update(
        updates: Updates, state: OptState, params: Params = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del extra_args
        return tx.update(updates, state, params)

    return _supported(tx, update)


def _supported(tx: Transform, update: TransformUpdateFn) -> GradientTransformationExtraArgs:
    found = GradientTransformationExtraArgs(tx.init, update)
    found.made_by = with_extra_args_support, (tx,), {}  # not decorated, since it may hand back what it is given
    return found


@by_call
def identity() -> GradientTransformation:
    """Hands the updates on as they are.

    Returns:
      A transform with `EmptyState`.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.identity()
      >>> tx.update(np.ones(2), tx.init(np.ones(2)))
      (array([1., 1.]), EmptyState())
    """

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        del params
        return updates, state

    return GradientTransformation(init_empty_state, update)


def apply_updates(params: Params, updates: Updates) -> Params:
    """The parameters moved: p + u.

    The sum is formed in at least float32 and rounded once, to the parameter's dtype. A parameter whose update
    is None stays as it is. Nothing is written to the inputs.

    On Torch it warns, once in a process, of a loop that would train nothing: where grad mode is on, a parameter is a
    leaf that requires a gradient and no update has one, the new parameters are no leaves, and ``backward()`` leaves
    their ``.grad`` at None; and where all updates are None.

    Args:
      params: tree of floating-point or complex arrays.
      updates: tree of the same structure and shapes, with None for a parameter that does not move.

    Returns:
      A tree like ``params``.

    Raises:
      StructureError: the trees differ in structure.
      ValueError: an update has not the shape of its parameter.
      TypeError: a leaf is no floating-point or complex array, or the two are of different libraries.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.apply_updates({"w": np.ones(2), "b": np.zeros(1)}, {"w": np.full(2, -0.5), "b": None})
      {'w': array([0.5, 0.5]), 'b': array([0.])}
    """
    new = moved(params, updates)
    leaves = flatten(params)[0]
    if leaves and is_array(leaves[0]):
        backend(leaves[0]).applied(leaves, flatten(updates)[0])
    return new


def moved(params: Params, updates: Updates) -> Params:
    """The same without a warning."""
    _, new = lift("apply_updates", _moved, updates, params, what="update", holder="parameter")
    return new


def _moved(u: Array, p: Array) -> tuple[Array, Array]:
    return u, p + u
