"""The transforms that are stepped: the project's own, and rules as users write them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import arrayopt
import arrayopt.contrib
from arrayopt import GradientTransformation, dtypes
from arrayopt.dispatch import backend, is_array, namespace
from arrayopt.tree.structure import flatten


class Boom(Exception):
    """What a rule raises when it is told to."""


class World:
    """What a rule finds around it, and may change in the course of a run.

    Attributes:
      held: arrays that the rule holds.
      random: what it draws noise from.
      failing: whether it is to raise.
    """

    def __init__(self) -> None:
        self.held: dict[Any, Any] = {}
        self.random = np.random.default_rng(5)
        self.failing = False

    def follow(self, other: World) -> None:
        """Becomes a copy of another."""
        self.held = {key: _copy(x) for key, x in other.held.items()}
        self.random.bit_generator.state = other.random.bit_generator.state
        self.failing = other.failing


def _copy(x: Any) -> Any:
    return backend(x).copy(x) if is_array(x) else x


Make = Callable[[World], Any]
RULES: dict[str, Make] = {}
"""By name: what makes a rule that stands in a world."""

ELSEWHERE: dict[str, tuple[str, ...]] = {}
"""Rules that are not for every library: the names of those that they are for."""


def rule(*libraries: str) -> Callable[[Make], Make]:
    """Registers a rule under the name of its function."""

    def register(make: Make) -> Make:
        name = make.__name__
        RULES[name] = make
        if libraries:
            ELSEWHERE[name] = libraries
        return make

    return register


def _matrices(params: Any) -> Any:
    return each(lambda p: p.ndim > 1, params)


def _half_cosine() -> Any:
    return arrayopt.warmup_cosine_decay_schedule(0.0, 0.1, 2, 9)


RULES.update(
    {
        "sgd": lambda _: arrayopt.sgd(0.1),
        "momentum": lambda _: arrayopt.sgd(0.1, momentum=0.9),
        "nesterov": lambda _: arrayopt.sgd(0.1, momentum=0.9, nesterov=True),
        "adam": lambda _: arrayopt.adam(0.1),
        "adamw": lambda _: arrayopt.adamw(_half_cosine(), weight_decay=0.1, mask=_matrices),
        "adabelief": lambda _: arrayopt.adabelief(0.1),
        "adafactor": lambda _: arrayopt.adafactor(0.1, min_dim_size_to_factor=2),
        "ademamix": lambda _: arrayopt.contrib.ademamix(0.1),
        "adopt": lambda _: arrayopt.contrib.adopt(0.1),
        "clipped": lambda _: arrayopt.chain(arrayopt.clip_by_global_norm(0.5), arrayopt.adamw(0.1, eps=0.01)),
        "block_clipped": lambda _: arrayopt.chain(arrayopt.clip_by_block_rms(0.5), arrayopt.sgd(0.1)),
        "masked": lambda _: arrayopt.chain(
            arrayopt.masked(arrayopt.trace(0.9), _matrices), arrayopt.masked(arrayopt.ema(0.9), _matrices), _down()
        ),
        "averaged": lambda _: arrayopt.chain(arrayopt.ema(0.9), _down()),
    }
)


def _down() -> Any:
    return arrayopt.scale(-0.1)


def _nothing(params: Any) -> Any:
    return ()


def then_down(update: Callable[..., Any], init: Callable[[Any], Any] = _nothing) -> Any:
    """A chain of a rule of the user's and a step of a tenth."""
    return arrayopt.chain(GradientTransformation(init, update), _down())


def _none(x: Any) -> bool:
    return x is None


One = Callable[[Any], Any]
Two = Callable[[Any, Any], Any]


def each(f: One, updates: Any) -> Any:
    """The tree of updates with ``f(g)``; None stays."""
    gs, spec = flatten(updates, _none)
    return spec.unflatten([None if g is None else f(g) for g in gs])


def along(f: Two, updates: Any, other: Any) -> Any:
    """The tree of updates with ``f(g, leaf of the other)``; None stays."""
    gs, spec = flatten(updates, _none)
    others = flatten(other, _none)[0]
    return spec.unflatten([None if g is None else _of_two(f, g, x) for g, x in zip(gs, others, strict=True)])


def _of_two(f: Two, x: Any, y: Any) -> Any:
    """``f(x, y)``, but not of a column and a row of 70,001 entries each: broadcast, they take 20 GB."""
    sizes = [math.prod(getattr(z, "shape", ())) for z in (x, y)]
    if getattr(x, "shape", ()) != getattr(y, "shape", ()) and math.prod(sizes) > 10**8:
        raise ValueError("the rule: two arrays of other shapes, too large to be broadcast")
    return f(x, y)


def kept(f: Two, updates: Any, slots: Any) -> Any:
    """The tree of slots with ``f(g, slot)``; the slot itself where there is no gradient."""
    gs, olds = flatten(updates, _none)[0], flatten(slots, _none)
    return olds[1].unflatten([m if g is None else _of_two(f, g, m) for g, m in zip(gs, olds[0], strict=True)])


def _zeros(params: Any) -> Any:
    return each(_zero, params)


def _zero(p: Any) -> Any:
    return namespace(p).zeros_like(p)


@rule()
def counts_gradients(_: World) -> Any:
    """Its Python looks at how many gradients there are."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        n = len(flatten(updates)[0]) + 1
        return each(lambda g: g / n, updates), state

    return then_down(update)


@rule()
def looks_at_first(_: World) -> Any:
    """Its Python looks at whether the first gradient is there."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        first = flatten(updates, _none)[0][0]
        return each(lambda g: g * (2 if first is None else 1), updates), state

    return then_down(update)


@rule()
def raises_when_told(world: World) -> Any:
    """After it has looked at the first half of the leaves."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        new = kept(lambda g, m: m / 2 + g, updates, state)
        if world.failing:
            raise Boom("told to")
        return along(lambda g, m: m * 1, updates, new), new

    return then_down(update, _zeros)


@rule()
def raises_on_a_shape(_: World) -> Any:
    """A rule that is not for single numbers."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def one(g: Any) -> Any:
            if tuple(g.shape) == (1,):
                raise Boom("one entry")
            return g * 1.5

        return each(one, updates), state

    return then_down(update)


def _mask(world: World, g: Any) -> Any:
    """A mask for gradients of that shape, which the rule makes once and holds."""
    key = ("mask", tuple(g.shape))
    if key not in world.held:
        pattern = np.asarray(np.arange(int(np.prod(g.shape, dtype=int))) % 3 > 0).reshape(g.shape)
        home = backend_of(world, g)
        world.held[key] = pattern if home.name == "jax" else home.asarray(pattern)  # JAX may be tracing
    return world.held[key]


def backend_of(world: World, g: Any) -> Any:
    """The adapter of the library of a run."""
    return world.held.get("backend") or backend(g)


@rule()
def prunes(world: World) -> Any:
    """Holds a mask for each shape."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return each(lambda g: namespace(g).where(_mask(world, g), g, 0.0), updates), state

    return arrayopt.chain(GradientTransformation(_nothing, update), arrayopt.sgd(0.1, momentum=0.9))


@rule("numpy", "torch")
def anchored(world: World) -> Any:
    """Holds the parameters themselves, which are donated."""

    def init(params: Any) -> Any:
        world.held = {key: x for key, x in world.held.items() if not isinstance(key, int)}
        world.held.update(enumerate(flatten(params, _none)[0]))
        return ()

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        anchors = [world.held[i] for i in range(len(flatten(params, _none)[0]))]
        return along(lambda g, a: (g + a) / 2, updates, anchors), state

    return then_down(update, init)


@rule("numpy", "torch")
def held_rate(world: World) -> Any:
    """Holds a learning rate of one number, in an array."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        rate = world.held.get("rate")
        return each(lambda g: namespace(g).astype(g * rate, g.dtype), updates), state

    return then_down(update)


@rule("numpy", "torch")
def noisy(world: World) -> Any:
    """Draws an array of noise for each gradient."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def one(g: Any) -> Any:
            noise = np.asarray(world.random.normal(size=tuple(g.shape)))
            return g + backend(g).xp.astype(backend_of(world, g).asarray(noise), g.dtype)

        return each(one, updates), state

    return then_down(update)


@rule("numpy", "torch")
def noisy_number(world: World) -> Any:
    """Draws a number for each step."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        factor = float(world.random.uniform(0.5, 1.5))
        return each(lambda g: g * factor, updates), state

    return then_down(update)


@rule()
def odd_state(_: World) -> Any:
    """Bools, numbers, strings and lists in the state."""

    def init(params: Any) -> Any:
        return {"flag": True, "k": 0, "f": 1.5, "tags": ["a", ("b", None)], "m": _zeros(params)}

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        m = kept(lambda g, m: m / 2 + g * state["f"] if state["flag"] else m - g, updates, state["m"])
        new = {"flag": not state["flag"], "k": state["k"] + 1, "f": state["f"] / 2, "tags": state["tags"], "m": m}
        return along(lambda g, m: m * 1, updates, m), new

    return then_down(update, init)


@rule()
def growing(_: World) -> Any:
    """Remembers another gradient for each step, up to three."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return updates, (*state, each(lambda g: g * 1, updates))[-3:]

    return then_down(update)


@rule("numpy", "torch")
def edits_gradients(_: World) -> Any:
    """Writes into its gradients."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        for g in flatten(updates)[0]:
            g *= 2
        return each(lambda g: g + 1, updates), state

    return then_down(update)


@rule("numpy", "torch")
def edits_state(_: World) -> Any:
    """Writes into its state."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def one(g: Any, m: Any) -> Any:
            m[...] = m / 2 + g
            return m

        new = kept(one, updates, state)
        return along(lambda g, m: m * 1, updates, new), new

    return then_down(update, _zeros)


@rule()
def history(_: World) -> Any:
    """Every slot takes what another one held; the first is the gradient itself."""

    def init(params: Any) -> Any:
        return _zeros(params), each(lambda p: _zero(p) + 1, params), each(lambda p: _zero(p) + 2, params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        first, second, third = state
        out = along(lambda g, m: g - m, updates, third)
        return out, (kept(lambda g, m: g, updates, first), first, second)

    return then_down(update, init)


@rule()
def remembers_parameters(_: World) -> Any:
    """The state becomes the parameters as they were."""

    def init(params: Any) -> Any:
        return each(lambda p: p * 1, params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return along(lambda g, d: g + d, updates, along(lambda p, m: p - m, params, state)), params

    return then_down(update, init)


@rule()
def row_normalised(_: World) -> Any:
    """Sums along an axis."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def one(g: Any) -> Any:
            xp = namespace(g)
            if g.ndim < 2 or g.shape[-1] == 0:
                return g
            size = xp.sum(xp.abs(g), axis=-1, keepdims=True)
            return g / (xp.astype(size, g.dtype) + 1)

        return each(one, updates), state

    return arrayopt.chain(GradientTransformation(_nothing, update), arrayopt.sgd(0.1, momentum=0.5))


@rule()
def counts_and_marks(_: World) -> Any:
    """Arrays of integers and of bools in the state, and a comparison with None."""

    def init(params: Any) -> Any:
        def one(p: Any) -> Any:
            xp = namespace(p)
            count = xp.astype(xp.zeros_like(p.real if "complex" in str(p.dtype) else p), xp.int32)
            return {"count": count, "seen": count > 0}

        return each(one, params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        gs, spec = flatten(updates, _none)
        olds, states = flatten(state, lambda x: x is None or (isinstance(x, dict) and "seen" in x))
        new = [m if g is None else _marked(g, m) for g, m in zip(gs, olds, strict=True)]
        moved = [None if g is None else _where(m["seen"], g) for g, m in zip(gs, new, strict=True)]
        return spec.unflatten(moved), states.unflatten(new)

    return then_down(update, init)


def _marked(g: Any, m: Any) -> Any:
    large = namespace(g).abs(g) > 0.5
    return {"count": m["count"] + namespace(g).astype(large, m["count"].dtype), "seen": large | m["seen"]}


def _where(seen: Any, g: Any) -> Any:
    return namespace(g).where(seen, g, g / 2)


@rule()
def several_precisions(_: World) -> Any:
    """Slots of other dtypes than the gradient's."""

    def init(params: Any) -> Any:
        return each(lambda p: namespace(p).astype(_zero(p), _half(p)), params), _zeros(params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        short, long = state
        new = kept(lambda g, m: namespace(g).astype(m / 2 + g, m.dtype), updates, short)
        longer = kept(lambda g, m: namespace(g).astype(m / 2 + g, m.dtype), updates, long)
        out = along(lambda g, m: namespace(g).astype(m * 1, g.dtype), updates, longer)
        return along(lambda g, m: g + namespace(g).astype(m, g.dtype), out, new), (new, longer)

    return then_down(update, init)


def _half(p: Any) -> Any:
    return p.dtype if "complex" in str(p.dtype) else namespace(p).float16


@rule()
def library_calls(_: World) -> Any:
    """Flips, concatenates and sums in the library's own words, between a clip and a momentum."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def one(g: Any) -> Any:
            xp = namespace(g)
            if g.ndim < 1:
                return g
            turned = xp.flip(g, axis=0)
            return turned + xp.concat([g[1:, ...], g[:1, ...]], axis=0) / 2

        return each(one, updates), state

    middle = GradientTransformation(_nothing, update)
    return arrayopt.chain(arrayopt.clip_by_global_norm(1.0), middle, arrayopt.sgd(0.1, momentum=0.5))


@rule()
def by_value(_: World) -> Any:
    """Reads an extra argument."""

    def update(updates: Any, state: Any, params: Any = None, *, value: Any = 1.0, **_: Any) -> Any:
        if isinstance(value, str):
            return updates, state
        return each(lambda g: g * value, updates), state

    tx = arrayopt.GradientTransformationExtraArgs(_nothing, update)
    return arrayopt.chain(tx, _down())


@rule()
def looks_at_values(_: World) -> Any:
    """Cannot be recorded."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def one(g: Any) -> Any:
            xp = namespace(g)
            size: Any = xp.sum(xp.abs(g))
            return g / 2 if g.shape and float(size) > 1 else g * 1

        return each(one, updates), kept(lambda g, m: m + g, updates, state)

    return then_down(update, _zeros)


@rule()
def leaves_one_out(_: World) -> Any:
    """Hands on no update for the first leaf."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        gs, spec = flatten(updates, _none)
        return spec.unflatten([None, *gs[1:]]), state

    return then_down(update)


@rule()
def one_for_all(_: World) -> Any:
    """All leaves of a shape are given one and the same array."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        known: dict[Any, Any] = {}

        def one(g: Any) -> Any:
            return known.setdefault((tuple(g.shape), str(g.dtype)), g)

        return each(one, updates), state

    return then_down(update)


@rule()
def spread_out(_: World) -> Any:
    """Updates, and a state, that are one number broadcast, the mean."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def one(g: Any) -> Any:
            xp = namespace(g)
            wide = xp.astype(g, xp.float32) if dtypes.name(g.dtype) in ("float16", "bfloat16") else g
            mean = xp.sum(wide, dtype=wide.dtype) / max(math.prod(g.shape), 1)  # NumPy adds bfloat16 one by one
            return xp.broadcast_to(backend(g).settle(xp.astype(mean, g.dtype)), tuple(g.shape))

        out = each(one, updates)
        return out, kept(lambda g, m: g, out, state)

    return then_down(update, _zeros)


def prepared(world: World, library: Any) -> None:
    """Gives a world what its rules may ask for."""
    world.held["backend"] = library.backend
    world.held["rate"] = library.asarray(np.asarray(0.25), "float32")
