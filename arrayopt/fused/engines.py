"""The engines, and which of them serves a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol

from arrayopt.backend import Backend
from arrayopt.fused.program import Launch, Schedule
from arrayopt.fused.tiles import Tiles
from arrayopt.layout import Spots


class Engine(Protocol):
    """What runs the kernels of a recorded step."""

    @property
    def about(self) -> str:
        """What it is, for people."""
        ...

    def missing(self, leaves: Sequence[Any]) -> str | None:
        """What keeps it from serving these arrays, or None if nothing does."""
        ...

    def prepare(self, schedule: Schedule, like: Any) -> None:
        """Makes all kernels of a step, before the first of them writes; ``like`` is an array of the device.

        Raises:
          Unforeseen: it cannot.
        """
        ...

    def launch(
        self, launch: Launch, arrays: Sequence[Any], spots: Spots, scalars: list[Any]
    ) -> Sequence[Sequence[Any]]:
        """Applies a program to all its sites; for each, the results of its reductions."""
        ...


class WholeStep(Protocol):
    """What runs a step as it is, without its kernels."""

    @property
    def about(self) -> str:
        """What it is, for people."""
        ...

    def missing(self, leaves: Sequence[Any]) -> str | None:
        """What keeps it from serving these arrays, or None if nothing does."""
        ...

    def compile(self, step: Callable[..., Any], trees: Any) -> CompiledStep:
        """From ``step(params, state, grads, extra) -> (params, state)`` to the same, faster."""
        ...


class CompiledStep(Protocol):
    """A step on trees of one structure, as the library itself has compiled it."""

    def leaves_of(self, given: tuple[Any, ...]) -> list[Any] | None:
        """The leaves of all arguments, in its own order, if they are as in the first step; or None."""
        ...

    def run(self, params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[tuple[Any, Any], str | None]:
        """New parameters and state; and what shows that later steps must be run eagerly, or None."""
        ...


NAMES = ("numba", "tiles", "jit", "cuda", "eager")

Factory = Callable[[Backend], Any]


@cache
def announced() -> dict[str, Any]:
    """The engines that installed packages announce in the group ``arrayopt.engines``, by name; none is imported."""
    return {point.name: point for point in entry_points(group="arrayopt.engines")}


_made: dict[tuple[str, str], Any] = {}


def engine(name: str, backend: Backend) -> Any:
    """The engine of a name for a library: an `Engine`, a `WholeStep`, or None for ``"eager"``.

    Raises:
      ValueError: there is none of that name.
    """
    key = (name, backend.name)
    if key not in _made:
        if name not in ("tiles", "eager", *announced()):
            known = ", ".join(sorted({"tiles", "eager", *announced()}))
            raise ValueError(f"fused_step: engine must be one of {known}; got {name!r}.")
        factories: dict[str, Factory] = {"tiles": Tiles, "eager": Eager}
        factory = factories.get(name) or announced()[name].load()
        _made[key] = factory(backend)
    return _made[key]


class Eager:
    """Plain update and apply_updates, the results written back where the library writes in place."""

    about = "the library's own operations, one after another"

    def __init__(self, backend: Backend) -> None:
        del backend

    def missing(self, leaves: Sequence[Any]) -> str | None:
        """Nothing ever is."""
        del leaves
        return None


def choose(backend: Backend, leaves: Sequence[Any], wanted: str | None) -> tuple[str, Any, str]:
    """The engine for some arrays: its name, itself, and why it is this one.

    Raises:
      ValueError: the one wanted cannot serve; the message says why.
    """
    if wanted is not None:
        return wanted, _wanted(backend, leaves, wanted), "asked for"
    passed_over: list[str] = []
    for name in (*others(), *backend.engines):
        reason = _obstacle(name, backend, leaves)
        if reason is None:
            found = engine(name, backend)
            return name, found, "; ".join([found.about, *passed_over])
        passed_over.append(f"not {name}: {reason}")
    return "eager", engine("eager", backend), "; ".join(passed_over)


def others() -> list[str]:
    """The engines that packages beside arrayopt announce; they are asked first, since somebody installed them."""
    return [name for name in announced() if name not in NAMES]


def _obstacle(name: str, backend: Backend, leaves: Sequence[Any]) -> str | None:
    """What keeps an engine from serving; None if nothing does. One that does not load serves nobody."""
    if name not in ("tiles", "eager", *announced()):
        return "it is not announced by an installed package"
    try:
        found = engine(name, backend)
    except Exception as error:
        return f"it does not load: {type(error).__name__}: {error}"
    reason: str | None = found.missing(leaves)
    return reason


def _wanted(backend: Backend, leaves: Sequence[Any], wanted: str) -> Any:
    served = (*others(), *backend.engines)
    if wanted not in served:
        engine(wanted, backend)  # raises if there is none of that name
        raise ValueError(
            f"fused_step: engine {wanted!r} does not serve {backend.name}; {backend.name} has {', '.join(served)}."
        )
    reason = _obstacle(wanted, backend, leaves)
    if reason is not None:
        raise ValueError(f"fused_step: engine {wanted!r} cannot serve: {reason}.")
    return engine(wanted, backend)
