"""Transforms put together."""

from __future__ import annotations

from typing import Any, cast

from arrayopt.base import GradientTransformationExtraArgs, with_extra_args_support
from arrayopt.calls import by_call
from arrayopt.checks import speaker, transform
from arrayopt.types import OptState, Params, Transform, Updates


@by_call
def chain(*transforms: Transform) -> GradientTransformationExtraArgs:
    """Applies transforms one after another, each to what the one before made of the updates.

    All of them see the same parameters; extra arguments reach those that take them. The state is the tuple of
    their states. ``chain()`` is the identity.

    Args:
      *transforms: of arrayopt; on JAX also of Optax.

    Returns:
      A transform that takes extra arguments.

    Raises:
      TypeError: one of them is no transform.
      ValueError: from ``update``, if the state has not one entry for each transform.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.scale(-0.1))
      >>> tx.update(np.asarray([3.0, 4.0]), tx.init(np.zeros(2)))[0]
      array([-0.06, -0.08])
    """
    who = speaker()
    links = [with_extra_args_support(transform(f"transform {i}", tx)) for i, tx in enumerate(transforms)]

    def init(params: Params) -> OptState:
        return tuple([link.init(params) for link in links])

    def update(
        updates: Updates, state: OptState, params: Params = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        if not isinstance(state, (tuple, list)) or len(cast(Any, state)) != len(links):
            raise ValueError(
                f"{who}: the state must be a tuple of {len(links)}; got {_size(state)}. Call init first."
            )
        new_state: list[OptState] = []
        for link, old in zip(links, cast(Any, state), strict=True):
            updates, new = link.update(updates, old, params, **extra_args)
            new_state.append(new)
        return updates, tuple(new_state)

    return GradientTransformationExtraArgs(init, update)


def _size(state: Any) -> str:
    return f"one of {len(cast(Any, state))}" if isinstance(state, (tuple, list)) else type(state).__name__
