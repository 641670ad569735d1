"""`fused_step`: a whole optimizer step, at the speed of a kernel written for it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from arrayopt.backend import Backend
from arrayopt.base import moved, with_extra_args_support
from arrayopt.dispatch import backend_named, is_array
from arrayopt.fused import engines
from arrayopt.fused.blame import stopping_line
from arrayopt.fused.explain import Explanation, explained
from arrayopt.fused.holes import Filled, filled
from arrayopt.fused.plan import Shape, Trees, library_of, opaque, recording
from arrayopt.fused.run import Eagerly, InKernels, Way, Whole, check_devices
from arrayopt.types import OptState, Params, Updates


def fused_step(optimizer: Any, engine: str | None = None) -> FusedStep:
    """A function that takes a whole step: gradients in, parameters and state moved.

    In the first two steps on trees of one structure, ``update`` and ``apply_updates`` are run on recording arrays.
    What they computed becomes a few kernels that pass over memory as seldom as can be. It works for every transform,
    also one nobody has seen before; what cannot be recorded, or is not the same in both, is run as it is, and
    ``explain()`` says why. A step is taken whole or, if it raises, not at all.

    Parameters and state are donated: NumPy, Torch and CuPy arrays are written in place and returned, JAX arrays are
    given to the compiler and must not be used afterwards. Gradients are only read.

    Args:
      optimizer: a transform of arrayopt, of Optax on JAX, or anybody's.
      engine: the name of the engine to use: ``"numba"``, ``"tiles"``, ``"jit"``, ``"cuda"``, ``"eager"`` or one that
        another package announces; by default the best that serves the arrays at hand.

    Returns:
      A `FusedStep`: ``params, state = step(params, grads, state, **extra_args)``.

    Raises:
      ValueError: there is no engine of that name. From the step: the engine asked for cannot serve; a parameter or
        a state is read-only, overlaps itself or shares memory with another; whatever the optimizer's ``update`` says
        of trees that do not fit.
      TypeError: ``optimizer`` has no ``update``.

    Example:
      >>> import arrayopt, numpy as np
      >>> optimizer = arrayopt.adamw(0.1)
      >>> params = {"w": np.asarray([1.0, -2.0])}
      >>> state = optimizer.init(params)
      >>> step = arrayopt.fused_step(optimizer)
      >>> params, state = step(params, {"w": 2 * params["w"]}, state)
      >>> params["w"].round(4)
      array([ 0.9, -1.9])
    """
    if not hasattr(optimizer, "update"):
        raise TypeError(f"fused_step: optimizer must have an update; got {type(optimizer).__name__}.")
    if engine is not None and engine not in ("tiles", "eager", *engines.announced()):
        engines.engine(engine, backend_named("numpy"))  # raises
    return FusedStep(optimizer, engine)


KEPT = 16
"""How many structures of trees a step remembers, those met last."""


def _forget_oldest(known: dict[Any, Any]) -> None:
    while len(known) > KEPT:
        del known[next(iter(known))]


@dataclass
class Family:
    """Trees that differ in which gradients are None."""

    known: list[tuple[InKernels, Filled]]  # recorded each for itself
    serving: InKernels | None = None  # what runs all of them
    refused: bool = False  # whether it was seen that nothing can


def _completed(spread: Filled, other: Filled) -> Trees:
    """Trees in which a gradient that is None is taken to be as in others like them, or like its parameter."""
    leaves, spec, kinds = spread.trees
    a = spread.trees.counts[0]
    found = list(kinds)
    for i in spread.missing:
        found[i] = kinds[i - a] if i in other.missing else other.trees.kinds[i]
    return Trees(leaves, spec, found)


class FusedStep:
    """What `fused_step` makes: ``params, state = step(params, grads, state, **extra_args)``.

    It may be called from several threads at once, on trees that share no donated array. Ctrl-C within a step is
    raised after it.
    """

    def __init__(self, optimizer: Any, engine: str | None) -> None:
        self._optimizer = optimizer
        self._update: Callable[..., Any] = with_extra_args_support(optimizer).update
        self._engine = engine
        self._ways: dict[Any, Way] = {}
        self._families: dict[Any, Family] = {}
        self._recent: Way | None = None
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"fused_step({self._optimizer!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return fused_step, (self._optimizer, self._engine)  # what it has met is met again

    def __call__(self, params: Params, grads: Updates, state: OptState, **extra_args: Any) -> tuple[Params, OptState]:
        way = self._recent
        leaves = None if way is None else way.leaves_of(params, grads, state, extra_args)
        if way is None or leaves is None:
            way, leaves = self._way(Trees.of((params, grads, state, extra_args)))
            way.forget()
        return way.run(leaves, params, grads, state, extra_args)

    def explain(self) -> Explanation:
        """What is done in a step, and why: engine, kernels, bytes, barriers. Its ``repr`` is made to be read.

        Returns:
          An `Explanation` of the trees met last; before the first step, one that says so.
        """
        if self._recent is not None:
            self._recent.look()
        return explained(self._recent, len(self._ways), KEPT)

    def _way(self, trees: Trees) -> tuple[Way, list[Any]]:
        """How to run steps on such trees, and the leaves as it wants them."""
        key, leaves = trees.key, trees.leaves
        with self._lock:
            found = self._ways.pop(key, None)
            if found is None:
                found, leaves = self._met(trees)
                key = found.key
            self._ways[key] = self._recent = found  # the last one is the one met last
            _forget_oldest(self._ways)
            _forget_oldest(self._families)
        return found, leaves

    def _met(self, trees: Trees) -> tuple[Way, list[Any]]:
        """The same for trees that have not been met."""
        spread = filled(trees)
        family = None if spread is None else self._families.get(spread.key)
        if spread is not None and len(spread.missing) == trees.counts[0]:
            spread = family = None  # rules look whether there is any gradient at all: recorded for itself
        if spread is not None and family is not None and self._learnt(family, spread):
            assert family.serving is not None
            return family.serving, spread.trees.leaves
        made = self._made(trees)
        if spread is not None and isinstance(made, InKernels) and made.leaves_out:
            self._families.setdefault(spread.key, Family([])).known.append((made, spread.without_leaves()))
        return made, trees.leaves

    def _learnt(self, family: Family, spread: Filled) -> bool:
        """Whether such steps are run as those in which no gradient is None.

        For each gradient a step without it must have been recorded.
        """
        if family.serving is None and not family.refused:
            self._find_whole(family, spread)
        whole = family.serving
        if whole is None or family.refused:
            return False
        for way, other in [(way, other) for way, other in family.known if way.is_recorded and other.missing]:
            family.refused = family.refused or not whole.learn(way, other.names, other.missing)
            self._ways.pop(way.key, None)
        family.known = [(way, other) for way, other in family.known if not way.is_recorded]
        return not family.refused and whole.fits(spread.trees.leaves)

    def _find_whole(self, family: Family, spread: Filled) -> None:
        """Steps in which no gradient is None: recorded as they came, or as if they had come."""
        known = [(way, other) for way, other in family.known if way.is_recorded]
        family.serving = next((way for way, other in known if not other.missing), None)
        if family.serving is not None or len(known) < 2 or not spread.missing:
            return
        (first, other), (second, _), *_ = known
        made = self._made(_completed(spread, other)) if first.is_steady(second) else None
        if isinstance(made, InKernels) and made.record_whole(spread.trees.leaves):
            family.serving = made
        else:
            family.refused = True

    def _made(self, trees: Trees) -> Way:
        library = library_of(trees.leaves)
        if library is None:
            return Eagerly(self._step, None, trees, "eager", "the arrays are not all of one library", None)
        donated = set(trees.donated)
        written = [x for i, x in enumerate(trees.leaves) if i in donated]
        check_devices(trees, library)
        name, engine, reason = engines.choose(library, written, self._engine)
        plainly = Eagerly(self._step, library, trees, name, reason, None)
        odd = opaque(trees.leaves)
        if hasattr(engine, "compile") and (odd is None or callable(odd)):
            if any([type(x) in (float, complex) for i, x in enumerate(trees.leaves) if i in donated]):
                why = f"not {name}: the state holds a Python number, which would be rounded"
                return Eagerly(self._step, library, trees, "eager", why, None)
            shapes = Trees([Shape(x.shape, x.dtype) if is_array(x) else x for x in trees.leaves], trees.spec)
            record_later = functools.partial(self._described, library, shapes)
            compiled = engine.compile(self._step, trees)
            return Whole(compiled, self._step, record_later, library, trees, name, reason, None)
        if name == "eager":
            return plainly
        why_not = _why_not(trees, odd, library)
        if why_not is not None:
            return Eagerly(self._step, library, trees, "eager", f"not {name}: {why_not}", None)
        return InKernels(engine, self._update, plainly, library, trees, name, reason, None)

    def _described(self, library: Backend, shapes: Trees) -> tuple[Any, str | None]:
        """The schedule of a step on arrays of which only shapes and dtypes are left."""
        try:
            with recording(self._update, shapes, library) as found:
                return (None, found.stop) if found.stop is not None else (found.schedule(), None)
        except Exception as error:
            return None, f"it cannot be recorded: {error}; {stopping_line(error)}"

    def _step(self, params: Params, state: OptState, grads: Updates, extra_args: dict[str, Any]) -> Any:
        updates, state = self._update(grads, state, params, **extra_args)
        return moved(params, updates), state


def _why_not(trees: Trees, odd: Any, library: Backend) -> str | None:
    """What keeps trees from being recorded, whatever the rule; None if nothing does."""
    if odd is not None:
        return f"an argument is a {type(odd).__name__}, which may hold something else in each step"
    a, b, _, _ = trees.counts
    if any([type(x) in (int, float, complex) for x in trees.leaves[: a + b]]):
        return "a parameter or a gradient is a Python number"
    strange = [x for x in trees.leaves if is_array(x) and not library.is_plain_kind(x)]
    return f"kernels cannot look at a {type(strange[0]).__name__}" if strange else None
