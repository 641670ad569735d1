"""Names and signatures beside Optax's: ``python -m arrayopt_conformance.optax_names`` prints the differences."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

LATER = {
    **{
        f"schedules.{name}": "hyper-parameters in the state come with the rest of the core"
        for name in (
            "inject_hyperparams",
            "inject_stateful_hyperparams",
            "InjectHyperparamsState",
            "InjectStatefulHyperparamsState",
            "WrappedSchedule",
            "StatefulSchedule",
        )
    },
    **{
        f"{namespace}{name}": "random trees come with noise"
        for namespace in ("tree.", "tree_utils.tree_")
        for name in ("random_like", "split_key_like", "unwrap_random_key_data")
    },
}
"""What is not there yet, each with what it comes with."""


def later(namespace: str, name: str) -> str:
    """With which issue a name of Optax comes; empty if it is to be there."""
    return LATER.get(f"{namespace}.{name}".lstrip("."), "")


def public(package: str, namespace: str) -> dict[str, Any]:
    """The functions and classes of a namespace by name; empty if there is no such namespace."""
    module: Any = importlib.import_module(package)
    module = getattr(module, namespace, None) if namespace else module
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {name: value for name, value in found.items() if callable(value) and not isinstance(value, ModuleType)}
