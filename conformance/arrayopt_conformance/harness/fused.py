"""A transform stepped by `fused_step`, on each of the engines that serve a library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import arrayopt
from arrayopt.dispatch import backend, is_array, namespace
from arrayopt.fused import engines
from arrayopt_conformance.libraries import Library, libraries

_FROM_INIT: Any = object()


class Steps(NamedTuple):
    """What parameters and state were after each step, copied."""

    params: list[Any]
    states: list[Any]
    step: arrayopt.FusedStep


def serving(library: Library) -> list[str]:
    """The names of the engines that serve a library here, the best first; ``"eager"`` is among them."""
    sample = [library.asarray([0.0, 0.0], "float32")]
    return [name for name in library.backend.engines if _serves(name, library, sample)]


def _serves(name: str, library: Library, sample: list[Any]) -> bool:
    if name not in ("tiles", "eager", *engines.announced()):
        return False
    return engines.engine(name, library.backend).missing(sample) is None


def kernel_engines(*names: str) -> list[Any]:
    """Every pair of a library of these and an engine that has kernels for it, for ``pytest.mark.parametrize``."""
    found = [libraries()[name] for name in names if name in libraries()]
    return [(library, engine) for library in found for engine in serving(library) if engine != "eager"]


def stepped(
    make: Callable[[], Any],
    library: Library,
    params: Any,
    gradients: Iterable[Any],
    engine: str | None,
    state: Any = _FROM_INIT,
    **extra_args: Any,
) -> Steps:
    """The parameters and states after each step; parameters and state given are copied first, and stay."""
    tx = make()
    step = arrayopt.fused_step(tx, engine=engine)
    state = copied(tx.init(params) if state is _FROM_INIT else state, library)
    params = copied(params, library)
    done = Steps([], [], step)
    for gs in gradients:
        params, state = step(params, gs, state, **extra_args)
        done.params.append(copied(params, library))
        done.states.append(copied(state, library))
    return done


def copied(tree: Any, library: Library) -> Any:
    """The tree, each of its arrays with memory of its own."""

    def copy(x: Any) -> Any:
        return backend(x).copy(x) if is_array(x) else x

    return arrayopt.tree.map(copy, tree)


Formula = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def rule(formula: Formula, *slots: Any) -> arrayopt.GradientTransformation:
    """A transform of a bare array, ``formula(xp, g, slots, p) -> (update, slots)``; the slots as given."""

    def init(params: Any) -> Any:
        del params
        return slots

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return formula(namespace(updates), updates, state, params)

    return arrayopt.GradientTransformation(init, update)
