"""For every law a transform that breaks it, and little else: a law that none of them breaks would be no law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import arrayopt
from arrayopt import GradientTransformation, clip_by_block_rms, clip_by_global_norm, dtypes, scale
from arrayopt.dispatch import backend, namespace
from arrayopt.tree.structure import flatten
from arrayopt.types import DType, MaskOrFn, Scalar
from arrayopt_conformance.harness.compare import by_path
from arrayopt_conformance.laws.recipe import Recipe

# -- ways to be wrong in what is done with a leaf ------------------------------------------------------------


def stateless(f: Callable[[Any], Any]) -> GradientTransformation:
    """The update is f of the gradient."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return arrayopt.tree.map(settled(f), updates), state

    return GradientTransformation(nothing, update)


def settled(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f, with an array for the scalar that NumPy makes of a 0-d one: whoever breaks another law keeps to this."""

    def kept(x: Any) -> Any:
        return _settle(f(x))

    return kept


def _settle(x: Any) -> Any:
    return backend(x).settle(x)


def keeping(first: Callable[[Any], Any], f: Callable[[Any, Any], tuple[Any, Any]]) -> GradientTransformation:
    """``f(gradient, slot) -> (update, slot)``, the slot first made of the parameter."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        gs, spec = flatten(updates)
        both = [f(g, m) for g, m in zip(gs, arrayopt.tree.leaves(state), strict=True)]
        return spec.unflatten([_settle(u) for u, _ in both]), spec.unflatten([_settle(m) for _, m in both])

    def init(params: Any) -> Any:
        return arrayopt.tree.map(first, params)

    return GradientTransformation(init, update)


def nothing(params: Any) -> Any:
    del params
    return ()


def zeros(p: Any) -> Any:
    return namespace(p).zeros_like(p)


def to_one(g: Any) -> Any:
    return g / abs(g)


def one_more(g: Any) -> Any:
    return g + 1.0


def by_the_greatest(g: Any) -> Any:
    return g * namespace(g).max(g)


def halved(g: Any) -> Any:
    return g * 0.5


def halved_in_place(g: Any) -> Any:
    g *= 0.5
    return g


def halved_by_numpy(g: Any) -> Any:
    return np.asarray(g) * 0.5


def doubled_in_width(g: Any) -> Any:
    return namespace(g).astype(g, namespace(g).float64)


def off_the_axis(g: Any) -> Any:
    return g + 0.1j if dtypes.is_complex(g.dtype) else g


def times_a_value(g: Any) -> Any:
    total: Any = namespace(g).sum(g)
    return g * float(total)


def times_ones(g: Any) -> Any:
    return g * namespace(g).ones(g.shape, dtype=g.dtype)


def times_a_bound_scalar(g: Any) -> Any:
    return g * namespace(g).asarray(0.5, dtype=g.dtype, device=g.device)


def summed(g: Any, m: Any) -> tuple[Any, Any]:
    return g + m, g + m


def summed_and_shared(g: Any, m: Any) -> tuple[Any, Any]:
    m = g + m
    return m, m


def squared(g: Any, m: Any) -> tuple[Any, Any]:
    return g, m + g * g


# -- ways to be wrong as a whole -----------------------------------------------------------------------------


def counting_in_secret() -> GradientTransformation:
    """The step is counted outside the state."""
    steps = [0]

    def times_step(g: Any) -> Any:
        return g * float(steps[0])

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        steps[0] += 1
        return arrayopt.tree.map(settled(times_step), updates), state

    return GradientTransformation(nothing, update)


def counting(first: Callable[[Any], Any]) -> GradientTransformation:
    """The step is counted in fractions, from what is made of the parameters."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return updates, {"count": _settle(state["count"] + 1.0)}

    def init(params: Any) -> Any:
        return {"count": first(params)}

    return GradientTransformation(init, update)


def whole_zero(params: Any) -> Any:
    p = arrayopt.tree.leaves(params)[0]
    return backend(p).counter(p)


def python_zero(params: Any) -> Any:
    del params
    return 0


def fading() -> GradientTransformation:
    """What is remembered fades also where there is no gradient."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        state = arrayopt.tree.map(settled(halved), state)
        gs, spec = flatten(updates)
        slots = by_path(state)
        return spec.unflatten([_settle(g + slots[path]) for path, g in zip(spec.paths(), gs, strict=True)]), state

    def init(params: Any) -> Any:
        return arrayopt.tree.map(settled(one_more), params)

    return GradientTransformation(init, update)


def blurring_what_is_empty() -> GradientTransformation:
    """Of a branch without leaves, only that is handed on."""

    def blurred(branch: Any) -> Any:
        return branch if arrayopt.tree.leaves(branch) else None

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return {key: blurred(branch) for key, branch in updates.items()}, state

    return GradientTransformation(nothing, update)


def shaped_by_the_state() -> GradientTransformation:
    """The update has the structure of the state, whatever that of the gradients."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del updates, params
        return arrayopt.tree.map(settled(one_more), state), state

    def init(params: Any) -> Any:
        return arrayopt.tree.map(zeros, params)

    return GradientTransformation(init, update)


def needing_a_leaf() -> GradientTransformation:
    """It takes the first leaf, and the parameters, for granted."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        decay = 0.1 * arrayopt.tree.leaves(params)[0].ndim + 0 * len(params)
        return arrayopt.tree.scale(decay, updates), state

    return GradientTransformation(nothing, update)


def one_slot_twice() -> GradientTransformation:
    """Two slots are the same array."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return updates, state

    def init(params: Any) -> Any:
        slot = arrayopt.tree.map(zeros, params)
        return slot, slot

    return GradientTransformation(init, update)


# -- ways to be wrong about arguments ------------------------------------------------------------------------


def careless(
    rate: Scalar = 0.5,
    switch: bool = False,
    kind: DType = "float32",
    function: Callable[..., Any] = abs,
    mask: MaskOrFn = None,
) -> GradientTransformation:
    """Takes whatever comes.

    Args:
      rate: in [0, 1).
      switch: on or off.
      kind: a dtype.
      function: a function.
      mask: a mask.
    """
    del rate, switch, kind, function, mask
    return scale(0.5)


def particular(rate: Scalar = 0.5) -> GradientTransformation:
    """Knows a number only when it is Python's."""
    return scale(rate if type(rate) is float else 0.25)


def beside_the_rate(learning_rate: Scalar = 0.5) -> GradientTransformation:
    """Takes a step that is not linear in the learning rate, and out of its type."""
    rate: Any = learning_rate
    return scale(float(rate) ** 2)


def narrow(mu_dtype: DType = "float32") -> GradientTransformation:
    """Hands out the slot in the dtype asked for it."""

    def first(p: Any) -> Any:
        return namespace(p).zeros_like(p, dtype=backend(p).dtype(dtypes.name(mu_dtype)))

    def step(g: Any, m: Any) -> tuple[Any, Any]:
        m = namespace(m).astype(g + m, m.dtype)
        return m, m

    return keeping(first, step)


def _of(maker: Callable[..., Any], *args: Any, name: str | None = None, reach: str | None = None) -> Recipe:
    def made() -> Any:
        return maker(*args)

    return Recipe(made, name=name, reach=reach)


PLANTED: dict[str, tuple[str, Recipe]] = {  # by law: a library to break it on, and who does
    "bad_arguments.arrays_of_another_library_are_refused": ("numpy", Recipe(careless)),
    "bad_arguments.dtypes_must_hold_fractions": ("numpy", Recipe(careless)),
    "bad_arguments.functions_must_be_callable": ("numpy", Recipe(careless)),
    "bad_arguments.numbers_must_be_finite_scalars": ("numpy", Recipe(careless)),
    "bad_arguments.ranges_are_those_of_the_docstring": ("numpy", Recipe(careless)),
    "bad_arguments.switches_and_counts_must_be_such": ("numpy", Recipe(careless)),
    "bad_entries.bad_entries_stay_where_they_are": ("numpy", _of(clip_by_block_rms, 1.0, reach="elementwise")),
    "bad_trees.a_state_of_something_else_is_refused": ("numpy", _of(keeping, zeros, summed)),
    "bad_trees.integers_have_no_gradient": ("numpy", _of(stateless, halved)),
    "bad_trees.libraries_do_not_mix": ("numpy", _of(stateless, halved_by_numpy)),
    "bad_trees.missing_parameters_are_asked_for": ("numpy", _of(needing_a_leaf, name="needing_a_leaf")),
    "bad_trees.shapes_must_fit": ("numpy", _of(keeping, zeros, summed)),
    "bad_trees.structures_must_fit": ("numpy", _of(shaped_by_the_state)),
    "complexes.a_turn_turns_updates_and_leaves_squares": ("numpy", _of(keeping, zeros, squared)),
    "complexes.reals_in_complex_step_as_reals": ("numpy", _of(stateless, off_the_axis)),
    "edges.empty_trees_pass": ("numpy", _of(needing_a_leaf)),
    "edges.small_leaves_are_leaves": ("numpy", _of(stateless, by_the_greatest)),
    "edges.zero_gradients_move_nothing": ("numpy", _of(stateless, to_one)),
    "edges.zeros_stay_zeros": ("numpy", _of(stateless, one_more)),
    "holes.a_hole_can_be_filled": ("numpy", _of(fading)),
    "holes.absent_parameters_pass": ("numpy", _of(blurring_what_is_empty)),
    "holes.none_leaves_a_parameter_alone": ("numpy", _of(fading)),
    "hyper.arrays_and_constant_schedules_are_numbers": ("numpy", Recipe(particular)),
    "hyper.numpy_scalars_are_numbers": ("numpy", Recipe(particular)),
    "hyper.steps_are_linear_in_the_learning_rate": ("numpy", Recipe(beside_the_rate)),
    "hyper.steps_can_be_differentiated": ("torch", Recipe(beside_the_rate)),
    "modes.compiling_changes_nothing_and_is_done_once": ("torch", _of(counting_in_secret)),
    "modes.jit_changes_nothing_and_traces_once": ("jax", _of(counting_in_secret)),
    "modes.scan_is_the_loop": ("jax", _of(counting_in_secret)),
    "modes.vmap_is_a_loop_over_the_batch": ("jax", _of(stateless, times_a_value)),
    "moving.a_run_goes_on_from_a_copy": ("numpy", _of(counting_in_secret)),
    "moving.a_run_goes_on_in_another_library": ("numpy", _of(counting_in_secret)),
    "nesting.any_nesting_will_do": ("numpy", _of(clip_by_global_norm, 0.1, reach="leafwise")),
    "portability.a_second_device_will_do": ("array_api_strict", _of(stateless, times_ones)),
    "portability.sharding_is_kept": ("jax", _of(stateless, times_a_bound_scalar)),
    "portability.values_are_not_needed": ("torch", _of(stateless, times_a_value)),
    "purity.inputs_stay_as_they_are": ("numpy", _of(stateless, halved_in_place)),
    "purity.outputs_have_memory_of_their_own": ("numpy", _of(keeping, zeros, summed_and_shared)),
    "purity.read_only_arrays_will_do": ("numpy", _of(stateless, halved_in_place)),
    "purity.runs_repeat_to_the_bit": ("numpy", _of(counting_in_secret)),
    "purity.state_can_be_donated": ("jax", _of(one_slot_twice)),
    "structure.dtype_arguments_are_kept_to": ("numpy", Recipe(narrow)),
    "structure.slots_are_wide": ("numpy", _of(keeping, zeros, summed)),
    "structure.state_is_of_arrays": ("numpy", _of(counting, python_zero)),
    "structure.state_stays_of_its_kind": ("numpy", _of(counting, whole_zero)),
    "structure.updates_are_like_gradients": ("numpy", _of(stateless, doubled_in_width)),
}
