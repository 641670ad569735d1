"""Transforms survive the harness: a device that is not the default, arrays without values, arrays on many devices."""

from __future__ import annotations

from arrayopt_conformance.harness import meta, sharded, strict
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library


@law(strict.NAME)
def a_second_device_will_do(make: Recipe, library: Library) -> None:
    """Under array-api-strict's guard: no look at a value, no write, nothing left on the default device."""
    strict.trial(make, library)


@law(meta.NAME)
def values_are_not_needed(make: Recipe, library: Library) -> None:
    """On Torch's meta device, which has the rules of CUDA and no values."""
    meta.trial(make, library)


@law(sharded.NAME, dear=True)
def sharding_is_kept(make: Recipe, library: Library) -> None:
    """In JAX over several devices, eagerly and jitted: updates and slots lie as the parameters do."""
    sharded.trial(make, library)
