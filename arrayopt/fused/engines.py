"""The engines, and which of them serves a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol

from arrayopt.backend import Backend
from arrayopt.fused.program import Launch
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

    def compile(self, step: Callable[..., Any], trees: Any) -> Callable[..., Any]:
        """From ``step(params, state, grads, extra) -> (params, state)`` to the same, faster."""
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
    for name in backend.engines:
        if name not in ("tiles", "eager", *announced()):
            passed_over.append(f"not {name}: it is not announced by an installed package")
            continue
        found = engine(name, backend)
        reason = found.missing(leaves)
        if reason is None:
            return name, found, "; ".join([found.about, *passed_over])
        passed_over.append(f"not {name}: {reason}")
    return "eager", engine("eager", backend), "; ".join(passed_over)


def _wanted(backend: Backend, leaves: Sequence[Any], wanted: str) -> Any:
    found = engine(wanted, backend)
    if wanted not in backend.engines:
        raise ValueError(
            f"fused_step: engine {wanted!r} does not serve {backend.name}; {backend.name} has "
            f"{', '.join(backend.engines)}."
        )
    reason = found.missing(leaves)
    if reason is not None:
        raise ValueError(f"fused_step: engine {wanted!r} cannot serve: {reason}.")
    return found
