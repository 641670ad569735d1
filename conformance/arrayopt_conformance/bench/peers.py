"""The peers: torch.optim in its three ways, and Optax under jit."""

from __future__ import annotations

import importlib
from typing import Any

from arrayopt.demo import libraries
from arrayopt_conformance.bench.contenders import Entry, Start, Turns
from arrayopt_conformance.bench.rules import Rule
from arrayopt_conformance.jit import stepper

_WAYS: dict[str, dict[str, bool]] = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "for-loop": {"foreach": False, "fused": False},
}


class Torch:
    """An optimizer of torch.optim; the gradient of each parameter is set before the step."""

    def __init__(self, given: Start, way: str) -> None:
        torch: Any = importlib.import_module("torch")
        backend = libraries.load("torch")
        assert given.rule.torch is not None
        name, arguments = given.rule.torch
        self._numpy = backend.to_numpy
        self._params = [torch.nn.Parameter(backend.asarray(x)) for x in given.params]
        self._turns = Turns(given, backend)
        self._optimizer = getattr(torch.optim, name)(self._params, **arguments, **_WAYS[way])

    def prepare(self) -> None:
        """Gradients arrive."""
        for p, g in zip(self._params, self._turns.next(), strict=True):
            p.grad = g

    def step(self) -> None:
        """One step."""
        self._optimizer.step()

    def result(self) -> list[Any]:
        """The parameters."""
        return [self._numpy(x) for x in self._params]

    def explained(self) -> dict[str, Any]:
        """Nothing."""
        return {}


class Optax:
    """Optax's rule, compiled, parameters and state donated."""

    def __init__(self, given: Start) -> None:
        backend = libraries.load("jax")
        optax: Any = importlib.import_module("optax")
        tx = given.rule.optax()
        self._finish: Any = importlib.import_module("jax").block_until_ready
        self._step = stepper(tx, optax.apply_updates)
        self._numpy = backend.to_numpy
        self._params: Any = [backend.asarray(x) for x in given.params]
        self._state = tx.init(self._params)
        self._turns = Turns(given, backend)
        self._grads: list[Any] = []

    def prepare(self) -> None:
        """Gradients arrive."""
        self._grads = self._turns.next()

    def step(self) -> None:
        """One step, to its end."""
        self._params, self._state = self._finish(self._step(self._params, self._state, self._grads))

    def result(self) -> list[Any]:
        """The parameters."""
        return [self._numpy(x) for x in self._params]

    def explained(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def entries(rule: Rule) -> list[Entry]:
    """The peers that have the rule."""
    found = [_torch(way) for way in _WAYS] if rule.torch else []
    return [*found, Entry("Optax jit", "peer", "jax", Optax, ("jax", "optax"), wide=False)]


def _torch(way: str) -> Entry:
    def make(given: Start) -> Torch:
        return Torch(given, way)

    return Entry(f"torch.optim {way}", "peer", "torch", make, ("torch",), wide=False, copies=way != "fused")
