"""Every law can be broken: each has a transform planted that breaks it. And ``check`` says so."""

from __future__ import annotations

import doctest
import sys
from collections.abc import Callable
from typing import Any

import pytest

import arrayopt
from arrayopt_conformance import check
from arrayopt_conformance.harness import heedless, planted
from arrayopt_conformance.laws import laws
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import has, libraries
from arrayopt_conformance.oracles.adam import adam


def _of(maker: Callable[..., Any], *args: Any, name: str | None = None, reach: str | None = None) -> Recipe:
    def made() -> Any:
        return maker(*args)

    return Recipe(made, name=name, reach=reach)


PLANTED: dict[str, tuple[str, Recipe]] = {  # by law: a library to break it on, and who does
    "bad_arguments.arrays_of_another_library_are_refused": ("numpy", Recipe(heedless.careless)),
    "bad_arguments.dtypes_must_hold_fractions": ("numpy", Recipe(heedless.careless)),
    "bad_arguments.functions_must_be_callable": ("numpy", Recipe(heedless.careless)),
    "bad_arguments.numbers_must_be_finite_scalars": ("numpy", Recipe(heedless.careless)),
    "bad_arguments.ranges_are_those_of_the_docstring": ("numpy", Recipe(heedless.careless)),
    "bad_arguments.switches_and_counts_must_be_such": ("numpy", Recipe(heedless.careless)),
    "bad_arguments.transforms_must_be_such": ("numpy", Recipe(heedless.trusting, {"inner": arrayopt.identity()})),
    "bad_entries.bad_entries_stay_where_they_are": (
        "numpy",
        _of(arrayopt.clip_by_block_rms, 1.0, reach="elementwise"),
    ),
    "bad_trees.a_state_of_something_else_is_refused": ("numpy", _of(planted.keeping, planted.zeros, planted.summed)),
    "bad_trees.integers_have_no_gradient": ("numpy", _of(planted.stateless, planted.halved)),
    "bad_trees.libraries_do_not_mix": ("numpy", _of(planted.stateless, planted.halved_by_numpy)),
    "bad_trees.missing_parameters_are_asked_for": ("numpy", _of(planted.needing_a_leaf, name="needing_a_leaf")),
    "bad_trees.numpys_arrays_are_jaxs_beside_jaxs": ("jax", _of(planted.stateless, planted.less_in_numpy)),
    "bad_trees.shapes_must_fit": ("numpy", _of(planted.keeping, planted.zeros, planted.summed)),
    "bad_trees.structures_must_fit": ("numpy", _of(planted.shaped_by_the_state)),
    "complexes.a_turn_turns_updates_and_leaves_squares": (
        "numpy",
        _of(planted.keeping, planted.zeros, planted.squared),
    ),
    "complexes.complex_gradients_of_real_parameters_are_refused": (
        "numpy",
        _of(planted.stateless, planted.real_part),
    ),
    "complexes.real_gradients_step_complex_parameters": ("numpy", _of(planted.stateless, planted.doubled_if_real)),
    "complexes.reals_in_complex_step_as_reals": ("numpy", _of(planted.stateless, planted.off_the_axis)),
    "edges.empty_trees_pass": ("numpy", _of(planted.needing_a_leaf)),
    "edges.small_leaves_are_leaves": ("numpy", _of(planted.stateless, planted.by_the_greatest)),
    "edges.zero_gradients_move_nothing": ("numpy", _of(planted.stateless, planted.to_one)),
    "edges.zeros_stay_zeros": ("numpy", _of(planted.stateless, planted.one_more)),
    "fused.compiled_steps_are_eager_steps": ("numpy", _of(planted.counting_late)),
    "fused.fused_steps_are_eager_steps": ("numpy", _of(planted.counting_late)),
    "fused.fused_steps_leave_alone_what_has_no_gradient": ("numpy", _of(planted.fading)),
    "fused.fused_steps_repeat_to_the_bit": ("numpy", _of(planted.counting_in_secret)),
    "fused.fused_steps_take_complex_numbers": ("numpy", _of(planted.counting_late)),
    "fused.fused_steps_write_in_place_and_read_gradients": ("numpy", _of(planted.stateless, planted.halved_in_place)),
    "holes.a_hole_can_be_filled": ("numpy", _of(planted.fading)),
    "holes.absent_parameters_pass": ("numpy", _of(planted.blurring_what_is_empty)),
    "holes.none_leaves_a_parameter_alone": ("numpy", _of(planted.fading)),
    "hyper.arrays_and_constant_schedules_are_numbers": ("numpy", Recipe(heedless.particular)),
    "hyper.numpy_scalars_are_numbers": ("numpy", Recipe(heedless.particular)),
    "hyper.steps_are_linear_in_the_learning_rate": ("numpy", Recipe(heedless.beside_the_rate)),
    "hyper.steps_can_be_differentiated": ("torch", Recipe(heedless.beside_the_rate)),
    "modes.compiling_changes_nothing_and_is_done_once": ("torch", _of(planted.counting_in_secret)),
    "modes.jit_changes_nothing_and_traces_once": ("jax", _of(planted.counting_in_secret)),
    "modes.scan_is_the_loop": ("jax", _of(planted.counting_in_secret)),
    "modes.vmap_is_a_loop_over_the_batch": ("jax", _of(planted.stateless, planted.times_a_value)),
    "moving.a_run_goes_on_from_a_copy": ("numpy", _of(planted.counting_in_secret)),
    "moving.a_run_goes_on_in_another_library": ("numpy", _of(planted.counting_in_secret)),
    "nesting.any_nesting_will_do": ("numpy", _of(arrayopt.clip_by_global_norm, 0.1, reach="leafwise")),
    "portability.doubles_do_not_leak": ("jax", _of(planted.stateless, planted.times_a_double)),
    "portability.the_default_dtype_does_not_matter": (
        "torch",
        _of(planted.stateless, planted.times_ones_of_the_default),
    ),
    "portability.a_second_device_will_do": ("array_api_strict", _of(planted.stateless, planted.times_ones)),
    "portability.sharding_is_kept": ("jax", _of(planted.stateless, planted.times_a_bound_scalar)),
    "portability.values_are_not_needed": ("torch", _of(planted.stateless, planted.times_a_value)),
    "purity.inputs_stay_as_they_are": ("numpy", _of(planted.stateless, planted.halved_in_place)),
    "purity.outputs_have_memory_of_their_own": (
        "numpy",
        _of(planted.keeping, planted.zeros, planted.summed_and_shared),
    ),
    "purity.read_only_arrays_will_do": ("numpy", _of(planted.stateless, planted.halved_in_place)),
    "purity.runs_repeat_to_the_bit": ("numpy", _of(planted.counting_in_secret)),
    "purity.state_can_be_donated": ("jax", _of(planted.one_slot_twice)),
    "sizes.finite_gradients_make_no_nan": ("numpy", _of(planted.keeping, planted.zeros, planted.squared)),
    "sizes.nor_do_they_compiled": ("jax", _of(planted.keeping, planted.zeros, planted.squared)),
    "sizes.nor_do_they_fused": ("numpy", _of(planted.keeping, planted.zeros, planted.squared)),
    "sizes.what_overflows_makes_no_leap": ("numpy", _of(planted.stateless, planted.by_its_square)),
    "structure.dtype_arguments_are_kept_to": ("numpy", Recipe(heedless.narrow)),
    "structure.slots_are_wide": ("numpy", _of(planted.keeping, planted.zeros, planted.summed)),
    "structure.state_is_of_arrays": ("numpy", _of(planted.counting, planted.python_zero)),
    "structure.state_stays_of_its_kind": ("numpy", _of(planted.counting, planted.whole_zero)),
    "structure.updates_are_like_gradients": ("numpy", _of(planted.stateless, planted.doubled_in_width)),
}

OF_TWO_LIBRARIES = {
    "bad_arguments.arrays_of_another_library_are_refused",
    "bad_trees.libraries_do_not_mix",
    "bad_trees.numpys_arrays_are_jaxs_beside_jaxs",
    "moving.a_run_goes_on_in_another_library",
}


OF_NUMBA = {"fused.compiled_steps_are_eager_steps"}


def test_every_law_has_somebody_who_breaks_it() -> None:
    assert PLANTED.keys() == {str(law) for law in laws()}


@pytest.mark.parametrize("name", PLANTED)
def test_a_law_notices_who_breaks_it(name: str) -> None:
    library, make = PLANTED[name]
    if library not in libraries():
        pytest.skip(f"needs {library}")
    if name in OF_NUMBA and not has("numba"):
        pytest.skip("needs numba")
    if name in OF_TWO_LIBRARIES and len(libraries()) == 1:
        pytest.skip("needs a second library")
    (law,) = [law for law in laws() if str(law) == name]
    broken = False
    try:
        law.holds(make, libraries()[library])
    except Exception:  # a law may be broken in any way; that good transforms keep it, test_laws shows
        broken = True
    assert broken


def test_check_accepts_what_is_right() -> None:
    check(arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adam(0.1)))


def test_check_names_the_laws_that_are_broken() -> None:
    with pytest.raises(AssertionError, match=r"numpy: purity\.inputs_stay_as_they_are: update writes"):
        check(planted.stateless(planted.halved_in_place))
    pytest.importorskip("torch")
    with pytest.raises(AssertionError, match=r"torch: purity\.runs_repeat_to_the_bit"):
        check(planted.counting_in_secret, library="torch")


def test_check_compares_with_an_oracle() -> None:
    check(arrayopt.adam, arguments={"learning_rate": 0.1}, oracle=adam)
    with pytest.raises(AssertionError, match=r"numpy: oracle: the update of w in step 0 is off"):
        check(arrayopt.sgd, arguments={"learning_rate": 0.1}, oracle=adam)


def test_the_example_of_check_runs() -> None:
    assert not doctest.testmod(sys.modules[check.__module__]).failed
