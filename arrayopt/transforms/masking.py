"""A transform applied to some of the parameters only."""

from __future__ import annotations

from typing import Any, NamedTuple

from arrayopt import checks, dtypes
from arrayopt.base import GradientTransformationExtraArgs, with_extra_args_support
from arrayopt.calls import by_call
from arrayopt.dispatch import is_array
from arrayopt.states import at_home, known
from arrayopt.tree.align import subtrees
from arrayopt.tree.structure import flatten
from arrayopt.types import MaskOrFn, OptState, Params, Transform, Tree, Updates


class MaskedNode(NamedTuple):
    """Stands where a masked transform is not to look; it holds no array."""


class MaskedState(NamedTuple):
    """State of `masked`."""

    inner_state: Any  # the inner transform's, with MaskedNode for what it does not see


@by_call
def masked(
    inner: Transform, mask: MaskOrFn, *, mask_compatible_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Applies a transform where the mask is True; elsewhere the updates pass through unchanged.

    Args:
      inner: the transform.
      mask: a tree of bools with the structure of the parameters, a prefix of one (a bool stands for all below
        it), or a function that makes such a tree from the parameters. The function is called in ``init`` and in
        every ``update`` (there with the parameters, or with the updates if it is given none), and must depend on
        structure, shapes and dtypes only.
      mask_compatible_extra_args: whether extra arguments with the structure of the updates are masked as well.

    Returns:
      A transform with `MaskedState`.

    Raises:
      TypeError: ``inner`` is no transform, or a mask leaf is not True or False.
      StructureError: the mask is no prefix of the parameters.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.masked(arrayopt.scale(-1.0), {"w": True, "b": False})
      >>> g = {"w": np.ones(2), "b": np.ones(1)}
      >>> tx.update(g, tx.init(g))[0]
      {'w': array([-1., -1.]), 'b': array([1.])}
    """
    checks.flag("mask_compatible_extra_args", mask_compatible_extra_args)
    who, tx = checks.speaker(), with_extra_args_support(checks.transform("inner", inner))
    is_function = _is_function(mask)  # asked once: torch.compile cannot trace the question
    given: Any = mask if is_function else _with_plain_flags(mask)

    def made_for(params: Params) -> Tree:
        return given(params) if is_function else given

    def init(params: Params) -> MaskedState:
        seen = _hidden(who, made_for(params), params)
        return MaskedState(_counted(who, tx.init(seen), seen, params))

    def update(
        updates: Updates, state: MaskedState, params: Params = None, **extra_args: Any
    ) -> tuple[Updates, MaskedState]:
        state, updates = known(who, MaskedState, state, updates)
        made = made_for(updates if params is None else params)
        seen = _hidden(who, made, updates)
        seen_params = None if params is None else _hidden(who, made, params)
        if mask_compatible_extra_args:
            extra_args = {name: _hidden_if_alike(who, made, value, updates) for name, value in extra_args.items()}
        inner_state = _counted(who, state.inner_state, seen, updates)
        new, inner_state = tx.update(seen, inner_state, seen_params, **extra_args)
        return _merged(who, made, new, updates), MaskedState(inner_state)

    return GradientTransformationExtraArgs(init, update)


def _is_function(mask: Any) -> bool:
    """An Equinox module of bools is callable too, and yet no function that makes a mask."""
    return callable(mask) and not (
        flatten(mask)[0] and all([_is_flag(leaf) or _is_flag_array(leaf) for leaf in flatten(mask)[0]])
    )


def _with_plain_flags(mask: Tree) -> Tree:
    """The mask with bools where it has 0-d arrays of them; their values are known here and not in ``update``."""
    flags, spec = flatten(mask)
    return spec.unflatten([bool(flag) if _is_flag_array(flag) else flag for flag in flags])


def _counted(who: str, state: OptState, seen: Tree, whole: Tree) -> OptState:
    """The inner state; where nothing is seen, with its counters in the library of what is hidden."""
    return state if flatten(seen)[0] else at_home(who, state, whole)


def _hidden(who: str, mask: Tree, tree: Tree) -> Tree:
    """The tree with MaskedNode where the mask is False."""

    def seen(flag: bool, below: Tree) -> Tree:
        return below if flag else MaskedNode()

    return _choose(who, mask, seen, tree)


def _hidden_if_alike(who: str, mask: Tree, value: Any, updates: Updates) -> Any:
    return _hidden(who, mask, value) if flatten(value)[1] == flatten(updates)[1] else value


def _merged(who: str, mask: Tree, new: Tree, old: Tree) -> Tree:
    """The new updates where the mask is True, the old ones elsewhere."""

    def merged(flag: bool, a: Tree, b: Tree) -> Tree:
        return a if flag else b

    spec = flatten(old)[1]  # None for a whole subtree stays one None
    return spec.unflatten(subtrees(spec, _choose(who, mask, merged, new, old), who, everywhere=False))


def _choose(who: str, mask: Tree, pick: Any, *trees: Tree) -> Tree:
    flags, spec = flatten(mask)
    for place, flag in enumerate(flags):
        if not _is_flag(flag):
            _refuse(who, flag, spec.path(place))
    below = [subtrees(spec, tree, f"{who}: the tree") for tree in trees]
    return spec.unflatten([pick(flag, *subs) for flag, *subs in zip(flags, *below, strict=True)])


def _is_flag(leaf: Any) -> bool:
    return isinstance(leaf, bool) or type(leaf).__name__ in ("bool", "bool_")  # the latter are NumPy's


def _is_flag_array(leaf: Any) -> bool:
    """Whether it is a 0-d array of bools, such as JAX's modules have."""
    return is_array(leaf) and tuple(leaf.shape) == () and dtypes.name(leaf.dtype) == "bool"


def _refuse(who: str, flag: Any, path: str) -> None:
    where = f" at {path}" if path else ""
    raise TypeError(f"{who}: the mask{where} must be True or False; got {type(flag).__name__} {flag!r}.")
