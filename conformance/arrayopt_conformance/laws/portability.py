"""Where and under what settings an update runs does not matter.

On a device that is not the default, on arrays without values or spread over devices, with doubles on or off.
"""

from __future__ import annotations

import importlib
from dataclasses import replace

from arrayopt_conformance.harness import meta, runs, sharded, strict
from arrayopt_conformance.harness.compare import assert_same
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import COMPLEX, REALS, Library, double


@law(strict.NAME)
def a_second_device_will_do(make: Recipe, library: Library) -> None:
    """Under array-api-strict's guard: no look at a value, no write, nothing left on the default device."""
    strict.trial(make, library)


@law(meta.NAME, dear=True)
def values_are_not_needed(make: Recipe, library: Library) -> None:
    """On Torch's meta device, which has the rules of CUDA and no values."""
    meta.trial(make, library)


@law(sharded.NAME, dear=True)
def sharding_is_kept(make: Recipe, library: Library) -> None:
    """In JAX over several devices, eagerly and jitted: updates and slots lie as the parameters do."""
    sharded.trial(make, library)


@law("torch")
def the_default_dtype_does_not_matter(make: Recipe, library: Library) -> None:
    """Torch's default dtype may be double: float32 is stepped to the same bits."""
    torch = importlib.import_module("torch")
    params, days = parameters(library, shapes=SMALL), gradients(library, shapes=SMALL)
    usual, default = runs.run(make(), params, days), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert_same(runs.run(make(), params, days), usual, "with float64 for Torch's default, ")
    finally:
        torch.set_default_dtype(default)


@law("jax", dear=True)
def doubles_do_not_leak(make: Recipe, library: Library) -> None:
    """In JAX with float64 switched on, float32 stays float32, jitted too."""  # of float64 the fused laws speak
    with double(library):
        wide = replace(library, dtypes=(*REALS, *COMPLEX))
        params, days = parameters(wide, "float32", SMALL), gradients(wide, "float32", SMALL)
        runs.trial(make(), params, days, library.modes["jit"])
