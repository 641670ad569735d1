"""Who takes part: one way to take the step each, with arrays of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Protocol

import numpy as np

import arrayopt
from arrayopt.backend import Backend
from arrayopt.demo import libraries
from arrayopt_conformance.bench.choices import Workload
from arrayopt_conformance.bench.rules import Rule

TITLES = {"numpy": "NumPy", "torch": "Torch", "jax": "JAX"}


@dataclass(frozen=True)
class Start:
    """What all contenders start from, as NumPy arrays: parameters, and gradients of one step or of several."""

    rule: Rule
    dtype: str
    params: list[Any]
    turns: list[list[Any]]
    fresh: bool = True  # whether each step gets new array objects as gradients, as in training


def start(rule: Rule, shapes: Sequence[tuple[int, ...]], dtype: str, turns: int = 1, fresh: bool = True) -> Start:
    """Random parameters of size 0.01 and gradients of size 1, the same at each call."""
    rng = np.random.default_rng(0)
    params = [_rounded(rng.standard_normal(shape, np.float32) * np.float32(0.01), dtype) for shape in shapes]
    grads = [[_rounded(rng.standard_normal(shape, np.float32), dtype) for shape in shapes] for _ in range(turns)]
    return Start(rule, dtype, params, grads, fresh)


def _rounded(x: Any, dtype: str) -> Any:
    return x if dtype == "float32" else x.astype(importlib.import_module("ml_dtypes").bfloat16)


class Contender(Protocol):
    """One way to take the step."""

    def prepare(self) -> None:
        """What is not timed: gradients arrive."""

    def step(self) -> None:
        """What is timed; when it returns, the parameters have moved."""

    def result(self) -> list[Any] | None:
        """The parameters, as NumPy arrays; None if they mean nothing."""

    def explained(self) -> dict[str, Any]:
        """What is known of its engine."""
        ...


class Ours:
    """A step on one of our libraries.

    Args:
      given: values to start from.
      library: to compute on.
      of: makes the step from the transform: ``step(params, grads, state) -> (params, state)``.
    """

    def __init__(self, given: Start, library: str, of: Callable[[Any], Any]) -> None:
        backend = libraries.load(library)
        tx = given.rule.ours()
        self._numpy = backend.to_numpy
        self._taken = of(tx)
        self._params: Any = [backend.asarray(x) for x in given.params]
        self._state: Any = tx.init(self._params)
        self._turns = Turns(given, backend)
        self._grads: list[Any] = []
        self._finish: Callable[[Any], Any] = _as_it_is
        if library == "jax":
            self._finish = importlib.import_module("jax").block_until_ready

    def prepare(self) -> None:
        """Gradients arrive."""
        self._grads = self._turns.next()

    def step(self) -> None:
        """One step, to its end."""
        self._params, self._state = self._finish(self._taken(self._params, self._grads, self._state))

    def result(self) -> list[Any]:
        """The parameters."""
        return [self._numpy(x) for x in self._params]

    def explained(self) -> dict[str, Any]:
        """What ``step.explain()`` says, if there is one."""
        explain = getattr(self._taken, "explain", None)
        return {} if explain is None else _fields(explain())


def _as_it_is(x: Any) -> Any:
    return x


_FIELDS = ("engine", "reason", "bytes_read", "bytes_written", "bytes_minimum", "kernels")


def _fields(explained: Any) -> dict[str, Any]:
    found = {name: getattr(explained, name, None) for name in _FIELDS}
    return found | {"kernels": len(found["kernels"] or ())}


class Turns:
    """Gradients, in turn; new array objects on the same memory each time if wanted."""

    def __init__(self, given: Start, backend: Backend) -> None:
        self._all = cycle([[backend.asarray(g) for g in grads] for grads in given.turns])
        self._new = _NEW.get(backend.name) if given.fresh else None

    def next(self) -> list[Any]:
        """Those of the next step."""
        grads = next(self._all)
        return grads if self._new is None else [self._new(g) for g in grads]


# JAX's arrays are never written to: that they are the same objects gains nothing there
_NEW: dict[str, Callable[[Any], Any]] = {"numpy": lambda g: g.view(), "torch": lambda g: g.view_as(g)}


def eager(tx: Any) -> Any:
    """The step as it is written without fused_step."""

    def step(params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        updates, state = tx.update(grads, state, params)
        return arrayopt.apply_updates(params, updates), state

    return step


def fused(engine: str) -> Callable[[Any], Any]:
    """Makes the step by an engine of fused_step."""

    def of(tx: Any) -> Any:
        return arrayopt.fused_step(tx, engine=engine)

    return of


@dataclass(frozen=True)
class Entry:
    """A contender before it has arrays.

    Attributes:
      name: for tables.
      kind: ``"ours"``, ``"eager"``, ``"peer"`` or ``"limit"``.
      library: whose arrays it uses.
      make: gives it arrays.
      needs: modules that must be installed.
      engine: of fused_step, if it is one of ours.
      wide: whether slots of 16-bit parameters are float32.
      copies: arrays like the parameters that it needs beside those of the rule.
    """

    name: str
    kind: str
    library: str
    make: Callable[[Start], Contender]
    needs: tuple[str, ...] = ()
    engine: str | None = None
    wide: bool = True
    copies: int = 0

    def element(self, workload: Workload) -> Callable[[str], int]:
        """Bytes of an element of each array: parameter and gradient in the dtype of the workload."""
        narrow = 2 if workload.dtype == "bfloat16" else 4
        return lambda letter: narrow if letter in "pg" or not self.wide else 4
