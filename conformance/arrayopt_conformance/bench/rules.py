"""The rules that are timed: the same arguments for us, for Optax and for torch.optim, and the arrays each moves."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import arrayopt
from arrayopt.base import GradientTransformation
from arrayopt.lift import counter, lift, slots_like
from arrayopt.numerics import at, ema, magnitude, safe_increment, where

_RATE, _DECAY = 1e-3, 1e-2
_FACTORED = 128  # Adafactor keeps means of rows and columns for matrices of at least that many of each
_MEANS = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
_TORCH_MEANS = {"lr": _RATE, "betas": (0.9, 0.999), "eps": 1e-8}


class Pass(NamedTuple):
    """One walk over the arrays of all leaves: p, g, and a letter for each slot."""

    reads: str
    writes: str


def _once(slots: str) -> tuple[Pass, ...]:
    """What a rule without reductions needs: everything read once, all but the gradient written once."""
    return (Pass("pg" + slots, "p" + slots),)


@dataclass(frozen=True)
class Rule:
    """A rule with its arguments.

    Attributes:
      name: as in Optax, or of a chain.
      walks: the passes over the arrays that cannot be avoided.
      arguments: for us and for Optax.
      torch: class in torch.optim and its arguments, where it has the rule.
      unfactored: the passes for leaves with an axis shorter than 128, if those are others. Such a rule is given
        matrices, the others vectors.
      jumps: whether its update jumps where a mean is zero, so that a few elements may differ by a whole step.
    """

    name: str
    walks: tuple[Pass, ...]
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    torch: tuple[str, dict[str, Any]] | None = None
    unfactored: tuple[Pass, ...] = ()
    jumps: bool = False

    def ours(self) -> Any:
        """Our transform."""
        return self._of(arrayopt)

    def optax(self) -> Any:
        """Optax's, or None."""
        return self._of(importlib.import_module("optax"))

    def _of(self, library: Any) -> Any:
        if self.name == "clip":
            return library.chain(library.clip_by_global_norm(1.0), library.adamw(**self.arguments))
        make = getattr(library, self.name, None) or getattr(library.contrib, self.name, None)
        if make is None and library is arrayopt and self.name == "lion":
            make = _lion
        return None if make is None else make(**self.arguments)

    def passes(self, shape: tuple[int, ...]) -> tuple[Pass, ...]:
        """The passes over leaves of that shape."""
        return self.unfactored if self.unfactored and min(shape) < _FACTORED else self.walks

    def moved(self, shape: tuple[int, ...], sizes: Callable[[str], int]) -> int:
        """Bytes read and written for each element, given the bytes of an element of each array."""
        return sum(sizes(letter) for one in self.passes(shape) for letter in one.reads + one.writes)

    def letters(self, shape: tuple[int, ...]) -> str:
        """Every array of a leaf that has as many elements as the parameter."""
        return "".join(dict.fromkeys("pg" + "".join(one.reads for one in self.passes(shape))))


# -- a rule that the project need not have: a user's own -----------------------------------------------------------


class _LionState(NamedTuple):
    count: Any
    mu: Any


def _direction(g: Any, mu: Any, *, b1: Any, b2: Any) -> tuple[Any, Any]:
    mixed = ema(mu, g, b1)
    size = magnitude(mixed)
    return mixed / where(size > 0, size, 1.0), ema(mu, g, b2)


def _lion(learning_rate: float, b1: float, b2: float, weight_decay: float) -> Any:
    """Lion (arXiv 2302.06675, Algorithm 2)."""

    def init(params: Any) -> _LionState:
        return _LionState(counter(params), slots_like("lion", params, None))

    def update(updates: Any, state: _LionState, params: Any = None) -> tuple[Any, _LionState]:
        del params
        u, mu = lift("lion", _direction, updates, state.mu, **at(state.count, b1=b1, b2=b2))
        return u, _LionState(safe_increment(state.count), mu)

    return arrayopt.chain(
        GradientTransformation(init, update),
        arrayopt.add_decayed_weights(weight_decay),
        arrayopt.scale_by_learning_rate(learning_rate),
    )


# -- all of them ---------------------------------------------------------------------------------------------------

_ADAMW: dict[str, Any] = {"learning_rate": _RATE, **_MEANS, "weight_decay": _DECAY}
_ADAMW_PASSES = _once("mv")
_LION: dict[str, Any] = {"learning_rate": _RATE, "b1": 0.9, "b2": 0.99, "weight_decay": _DECAY}
_SGD: dict[str, Any] = {"lr": _RATE, "momentum": 0.9}

_ALL = (
    Rule("adamw", _ADAMW_PASSES, _ADAMW, ("AdamW", {**_TORCH_MEANS, "weight_decay": _DECAY})),
    Rule("adam", _ADAMW_PASSES, {"learning_rate": _RATE, **_MEANS}, ("Adam", _TORCH_MEANS)),
    Rule("adabelief", _once("ms"), {"learning_rate": _RATE}),
    Rule("adopt", _once("mv"), {"learning_rate": _RATE}),
    Rule("ademamix", _once("abv"), {"learning_rate": _RATE}),
    Rule("sgd", _once("m"), {"learning_rate": _RATE, "momentum": 0.9}, ("SGD", _SGD)),
    # the norm of all gradients must be known before the first parameter moves
    Rule("clip", (Pass("g", ""), *_ADAMW_PASSES), _ADAMW),
    Rule("lion", _once("m"), _LION, jumps=True),
    # the means of the squares, then the norm of the update they give, then the step; rows and columns are small
    Rule(
        "adafactor",
        (Pass("pg", ""), Pass("g", ""), Pass("pg", "p")),
        {"learning_rate": _RATE},
        unfactored=(Pass("pgv", "v"), Pass("pgv", "p")),
    ),
)
RULES = {rule.name: rule for rule in _ALL}
