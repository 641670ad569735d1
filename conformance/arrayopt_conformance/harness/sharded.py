"""JAX arrays spread over several devices: what is made beside them must not be tied to one device.

The plugin forces four CPU devices. State and updates must be spread as the parameters are.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import arrayopt
from arrayopt_conformance.harness import runs
from arrayopt_conformance.harness.compare import by_path
from arrayopt_conformance.harness.data import SHARDABLE, Shapes, gradients, parameters
from arrayopt_conformance.libraries import Library

NAME = "jax"


def devices() -> int:
    """How many there are to shard over."""
    return int(importlib.import_module("jax").device_count())


def spread(tree: Any) -> Any:
    """The tree with the first axis of every array over all devices."""
    jax = importlib.import_module("jax")
    mesh = jax.sharding.Mesh(jax.devices(), ("rows",))
    by_rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))

    def placed(x: Any) -> Any:
        return jax.device_put(x, by_rows)

    return arrayopt.tree.map(placed, tree)


def trial(make: Callable[[], Any], library: Library, shapes: Shapes = SHARDABLE) -> None:
    """Steps a transform there, eagerly and jitted; raises if it cannot or gathers what was spread."""
    params = spread(parameters(library, shapes=shapes))
    days = [spread(gs) for gs in gradients(library, shapes=shapes)]
    for mode in library.modes.values():
        state = runs.trial(make(), params, days, mode)
        _assert_spread(state, params)


def _assert_spread(state: Any, params: Any) -> None:
    """A slot of its parameter's shape lies as that does."""
    for path, leaf in by_path(state).items():
        for name, p in by_path(params).items():
            if path.endswith(name) and leaf.shape == p.shape:
                assert leaf.sharding.is_equivalent_to(p.sharding, p.ndim), f"the state{path} lies as {leaf.sharding}"
