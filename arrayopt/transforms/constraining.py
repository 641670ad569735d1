"""Updates kept from doing harm: NaN taken out of them, parameters kept from becoming negative."""

from __future__ import annotations

from typing import Any, NamedTuple

from arrayopt import checks, dtypes
from arrayopt.base import EmptyState, GradientTransformation, init_empty_state, remembering
from arrayopt.calls import by_call
from arrayopt.dispatch import backend, is_array, library, namespace
from arrayopt.lift import lift, parameters, settled
from arrayopt.mixed import Meeting, takes
from arrayopt.numerics import shortened, where
from arrayopt.tree.align import places
from arrayopt.tree.structure import flatten
from arrayopt.types import Array, OptState, Params, Updates

NonNegativeParamsState = EmptyState


class ZeroNansState(NamedTuple):
    """State of `zero_nans`."""

    found_nan: Any  # whether the last gradient of a parameter held NaN; like the parameters, of shape (), bool


def _without_nans(g: Array) -> Any:
    return where(namespace(g).isnan(g), namespace(g).zeros_like(g), g)


@by_call
def zero_nans() -> GradientTransformation:
    """Puts 0 where an update is NaN, and remembers which leaves held one.

    A complex entry of which either part is NaN becomes 0. Infinite entries stay.

    Returns:
      A transform with `ZeroNansState`.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.zero_nans()
      >>> params = {"w": np.ones(2), "b": np.ones(1)}
      >>> tx.update({"w": np.asarray([np.nan, 2.0]), "b": np.ones(1)}, tx.init(params))
      ({'w': array([0., 2.]), 'b': array([1.])}, ZeroNansState(found_nan={'w': array(True), 'b': array(False)}))
    """
    who = checks.speaker()

    def init(params: Params) -> ZeroNansState:
        leaves, spec = parameters(who, params)
        return ZeroNansState(spec.unflatten([backend(leaf).number(False, leaf) for leaf in leaves]))

    def update(updates: Updates, state: ZeroNansState, params: Params = None) -> tuple[Updates, ZeroNansState]:
        del params
        gs, spec = flatten(updates)
        updates = spec.unflatten(Meeting(gs, flatten(state.found_nan)[0]).received(gs))
        return lift(who, _without_nans, updates), ZeroNansState(_found(who, updates, state.found_nan))

    return remembering(who, ZeroNansState, init, update)


def _found(who: str, updates: Updates, old: Any) -> Any:
    """Whether there is NaN in each of the updates; what was found before where there is no update."""
    leaves, spec = parameters(who, updates, "gradient")
    flags, flags_spec = flatten(old)
    for place, g in zip(places(spec, flags_spec, f"{who}: the gradient", "its state"), leaves, strict=True):
        _check_flag(who, flags[place], g)
        flags[place] = settled(namespace(g).any(namespace(g).isnan(g)))
    return flags_spec.unflatten(flags)


def _check_flag(who: str, flag: Any, g: Array) -> None:
    if is_array(flag) and not takes(g, flag):
        raise TypeError(
            f"{who}: all arrays must be of one library; ZeroNansState.found_nan is of {library(flag)}, "
            f"the gradients of {library(g)}."
        )


@by_call
def keep_params_nonnegative() -> GradientTransformation:
    """Makes an update that would take a parameter below 0 take it to 0: u if p + u ≥ 0, else −p.

    To be the last of a chain. A parameter that is negative already is taken to 0. Of complex parameters it is the
    real part that is kept from becoming negative. Where an update has a narrower dtype than its parameter, what is to
    become 0 keeps up to 2⁻⁷ of itself: the update is rounded, and must not become the greater of the two.

    Returns:
      A transform with `EmptyState`.

    Raises:
      ValueError: from ``update``: the parameters are missing.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.chain(arrayopt.sgd(0.5), arrayopt.keep_params_nonnegative())
      >>> p = np.asarray([1.0, 1.0])
      >>> tx.update(np.asarray([1.0, 3.0]), tx.init(p), p)[0]
      array([-0.5, -1. ])
    """
    who = checks.speaker()

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        checks.need_params(who, params)
        return lift(who, _within, updates, params=params, narrow=_narrowest(updates, params)), state

    return GradientTransformation(init_empty_state, update)


def _within(g: Array, p: Array, *, narrow: str | None) -> Any:
    moved = p + g
    moved = namespace(moved).real(moved) if dtypes.is_complex(moved.dtype) else moved
    return where(moved < 0, -p if narrow is None else -shortened(p, narrow), g)


def _narrowest(updates: Updates, params: Params) -> str | None:
    """The narrowest dtype of an update, if it is not that of all updates and parameters."""
    kinds = [dtypes.name(g.dtype) for g in flatten(updates)[0] if is_array(g)]
    others = [dtypes.name(p.dtype) for p in flatten(params)[0] if is_array(p)]
    return min(kinds, key=dtypes.rank) if len({*kinds, *others}) > 1 else None
