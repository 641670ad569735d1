"""Names and signatures beside Optax's: ``python -m arrayopt_conformance.optax_names`` prints the differences."""

from __future__ import annotations

import importlib
import inspect
import sys
from importlib.metadata import version
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
    "tree_utils.NamedTupleKey": "paths are text here; it comes with the rest of the core",
}
"""What is not there yet, each with what it comes with. An entry that is there is a difference."""

NAMESPACES = ("losses", "projections", "schedules", "tree", "tree_utils", "")
"""Those that are to have all that Optax has; at the top level, what is of the others, and `SMALL`."""

SMALL = (
    "incremental_update periodic_update clip ClipState set_to_zero stateless stateless_with_tree_map zero_nans "
    "ZeroNansState keep_params_nonnegative NonNegativeParamsState safe_increment safe_int32_increment global_norm "
    "safe_norm safe_root_mean_squares scale_gradient apply_updates"
).split()

OLD = tuple(int(part) for part in version("optax").split(".")[:3]) < (0, 2, 9)

# (function, argument): why it differs. An entry that no longer differs is a difference too.
NEW = {
    ("adabelief", "weight_decay"): "new in Optax 0.2.9",
    ("adabelief", "weight_decay_mask"): "new in Optax 0.2.9",
}
EXCEPTIONS = {
    **(NEW if OLD else {}),
    ("adafactor", "dtype_momentum"): "the dtype's name: no library is imported for a default",
    ("tree.sum", "associative_reduction"): "how to add up is the array library's affair",
    ("tree_utils.tree_sum", "associative_reduction"): "how to add up is the array library's affair",
}


def later(namespace: str, name: str) -> str:
    """With which issue a name of Optax comes; empty if it is to be there."""
    return LATER.get(f"{namespace}.{name}".lstrip("."), "")


def public(package: str, namespace: str) -> dict[str, Any]:
    """The functions and classes of a namespace by name; empty if there is no such namespace."""
    module: Any = importlib.import_module(package)
    module = getattr(module, namespace, None) if namespace else module
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {name: value for name, value in found.items() if callable(value) and not isinstance(value, ModuleType)}


def differences(namespace: str) -> list[str]:
    """What is missing or other in one of `NAMESPACES`, a line each."""
    found: list[str] = []
    ours = public("arrayopt", namespace)
    for name, theirs in sorted(wanted(namespace).items()):
        full, reason = f"{namespace}.{name}".lstrip("."), later(namespace, name)
        if name not in ours and not reason:
            found.append(f"{full}: missing")
        elif name in ours and reason:
            found.append(f"{full}: it is there; the list of what comes later has it still")
        elif name in ours:
            found += [f"{full}: {line}" for line in differing(full, ours[name], theirs)]
    return found


def wanted(namespace: str) -> dict[str, Any]:
    """What Optax has there, by name."""
    there = public("optax", namespace)
    if namespace:
        return there
    elsewhere = {id(value) for name in NAMESPACES if name for value in public("optax", name).values()}
    return {k: x for k, x in there.items() if k in SMALL or (id(x) in elsewhere and not _later(k))}


def _later(name: str) -> bool:
    return any([later(namespace, name) for namespace in NAMESPACES])


def differing(name: str, ours: Any, theirs: Any) -> list[str]:
    """How a function is called otherwise, or which fields a state has that the other has not."""
    if hasattr(theirs, "_fields"):
        mine = getattr(ours, "_fields", None)
        return [] if mine == theirs._fields else [f"has the fields {mine}, there {theirs._fields}"]
    if inspect.isclass(theirs) or hasattr(theirs, "__origin__"):  # a type
        return []
    mine, others = described(ours), described(theirs)
    excused = {argument for function, argument in EXCEPTIONS if function == name}
    found = [
        f"{argument} is excused, and the same" for argument in excused if mine.get(argument) == others.get(argument)
    ]
    here, there = [[item for item in table.items() if item[0] not in excused] for table in (mine, others)]
    return found if here == there else [*found, f"takes {_written(here)}, there {_written(there)}"]


def _written(arguments: list[tuple[str, tuple[Any, Any]]]) -> str:
    def one(name: str, kind: Any, default: Any) -> str:
        text = name if default is inspect.Parameter.empty else f"{name}={default!r}"
        return text if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD else f"{text} ({kind.description})"

    return f"({', '.join([one(name, *rest) for name, rest in arguments])})"


def described(function: Any) -> dict[str, tuple[Any, Any]]:
    """Kind and default of every argument, in order. The name of ``*args`` is nobody's business."""
    found: dict[str, tuple[Any, Any]] = {}
    for argument in inspect.signature(function).parameters.values():
        name = "*" if argument.kind is argument.VAR_POSITIONAL else argument.name
        found[name] = (argument.kind, comparable(argument.default))
    return found


def comparable(default: Any) -> Any:
    """Of two functions only that they are functions can be compared; what they compute, the oracles say."""
    return "a function" if inspect.isfunction(default) else default


def main(namespaces: list[str]) -> int:
    """Prints the differences in the namespaces named, by default in all; answers whether there is one."""
    found = {name: differences(name) for name in namespaces or NAMESPACES}
    for name, lines in found.items():
        print(f"{name or 'top level'}: {len(wanted(name))} names, {len(lines)} differences", *lines, sep="\n  ")
    print(f"later: {', '.join(sorted(LATER))}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
