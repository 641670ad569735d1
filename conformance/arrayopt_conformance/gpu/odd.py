"""What is out of the ordinary: layouts, memory shared, nothing in a leaf, other devices, streams, sizes."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import arrayopt
from arrayopt.dispatch import namespace
from arrayopt_conformance.gpu.places import Place
from arrayopt_conformance.gpu.right import Cases
from arrayopt_conformance.harness.compare import assert_near
from arrayopt_conformance.harness.fused import stepped
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.libraries import libraries

FEW = 32 * 2.0**-52

RULES: dict[str, Callable[[], Any]] = {
    "adamw": lambda: arrayopt.adamw(0.1),
    "clipped": lambda: arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adamw(0.1)),
}


def cases(places: list[Place]) -> Cases:
    """Each trial in each place."""
    for name, trial in TRIALS.items():
        for place in places:
            yield f"{place}: {name}", partial(trial, place)


def _numbers(shape: tuple[int, ...], seed: int) -> Any:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def _laid(place: Place, x: Any, how: str) -> Any:
    """An array on the device, laid out in some way."""
    xp = place.library.backend.xp
    if how == "turned":
        return xp.permute_dims(place.library.asarray(x.T), tuple(range(x.ndim))[::-1])
    wide = place.library.asarray(np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1)))
    found = wide[..., : 2 * x.shape[-1] : 2] if how == "spread" else wide[..., 1 : 1 + x.shape[-1]]
    if how == "shifted":  # contiguous, but it begins one entry after a multiple of 16 bytes
        flat = place.library.asarray(np.zeros(x.size + 1))
        found = xp.reshape(flat[1:], x.shape)
    place.library.backend.assign(found, place.library.asarray(x))
    return found


def layouts(place: Place) -> str:
    """Parameters and gradients in other orders than row by row, or off the multiples of 16 bytes."""
    shape = (33, 17)
    first, days = {"w": _numbers(shape, 0)}, [{"w": _numbers(shape, 1 + k)} for k in range(2)]
    for name, make in RULES.items():
        plain = run(make(), first, days)
        for of_params in ("turned", "spread", "shifted"):
            for of_gradients in ("turned", "spread", "shifted"):
                params, tx = {"w": _laid(place, first["w"], of_params)}, make()
                kept, step, state = params["w"], arrayopt.fused_step(tx, "cuda"), tx.init(params)
                for k, day in enumerate(days):
                    params, state = step(params, {"w": _laid(place, day["w"], of_gradients)}, state)
                    assert params["w"] is kept
                    assert_near(params, plain.params[k], FEW, f"{name}, {of_params}, {of_gradients}: step {k} ")
    return "as eagerly"


def aliases(place: Place) -> str:
    """A gradient that is the parameter, or a part of it turned around, is read before it is written."""
    base, tx = np.linspace(-2.0, 3.0, 16).reshape(4, 4), RULES["clipped"]()
    ways: list[Callable[[Any], Any]] = [lambda p: p, lambda p: p.T]
    for grad_of in ways:
        p, plain = place.library.asarray(base), base.copy()
        state, wanted, step = tx.init([p]), tx.init([plain]), arrayopt.fused_step(tx, "cuda")
        for _ in range(3):
            updates, wanted = tx.update([grad_of(plain).copy()], wanted, [plain])
            [plain] = arrayopt.apply_updates([plain], updates)
            _, state = step([p], [grad_of(p)], state)
        np.testing.assert_allclose(place.library.numpy(p), plain, rtol=1e-12)
    return "as eagerly"


def shared_state(place: Place) -> str:
    """A state that is the parameter is refused."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return updates, arrayopt.tree.map(operator.add, state, updates)

    params = {"w": place.library.asarray(np.ones(3))}
    step = arrayopt.fused_step(_transform(update), "cuda")
    return _refused(lambda: step(params, {"w": place.library.asarray(np.ones(3))}, params), "share memory")


def read_after(place: Place) -> str:
    """What is read right after a step, without waiting by hand, is what the step wrote."""
    tx, big = RULES["adamw"](), 1 << 22 if place.real else 1 << 12
    params = {"w": place.library.asarray(np.ones(big))}
    grads, state, step = {"w": params["w"] * 0.5}, tx.init(params), arrayopt.fused_step(tx, "cuda")
    plain = run(tx, {"w": np.ones(4)}, [{"w": np.full(4, 0.5)}] * 3)
    for k in range(3):
        params, state = step(params, grads, state)
        assert_near({"w": params["w"][-4:]}, plain.params[k], FEW, f"step {k} ")
    return "what was written"


def nothing(place: Place) -> str:
    """Leaves without entries, leaves without axes, and both alone."""
    for shapes in ({"a": (0,), "b": (3, 0)}, {"s": ()}, {"z": (0, 4), "s": (), "w": (5,)}):
        for make in RULES.values():
            first = {key: _numbers(shape, 0) for key, shape in shapes.items()}
            days = [{key: _numbers(shape, 1 + k) for key, shape in shapes.items()} for k in range(2)]
            plain, here = run(make(), first, days), place.library
            done = stepped(make, here, here.tree(first), [here.tree(day) for day in days], "cuda")
            assert_near(done.params, plain.params, FEW, "the parameters of step ")
            assert_near(done.states, plain.states, FEW, "the state of step ")
    return "as eagerly"


HOLED: dict[str, Callable[[], Any]] = {
    **RULES,
    "adafactor": lambda: arrayopt.adafactor(0.1, min_dim_size_to_factor=4),
    "block rms": lambda: arrayopt.chain(arrayopt.clip_by_block_rms(0.1), arrayopt.sgd(0.1, momentum=0.9)),
}


def holes(place: Place) -> str:
    """None as a gradient: the same leaves in each step, others in each step, all of them; the rule is seldom run."""
    here, shapes = place.library, {"a": (33, 17), "b": (33, 17), "c": (20_001,), "d": (), "e": (0, 3)}
    patterns = [
        "b",
        "b",
        "b",
        "",
        "acd",
        "e",
        "ac",
        "bd",
        "abcd",
        "ac",
        "ac",
        "abcde",
        "ce",
        "",
        "bd",
        "c",
        "a",
        "de",
    ]
    first = {key: _numbers(shape, k) for k, (key, shape) in enumerate(shapes.items())}
    told: list[str] = []
    for name, make in HOLED.items():
        days = [
            {key: None if key in none else _numbers(shape, 9 + t) for key, shape in shapes.items()}
            for t, none in enumerate(patterns)
        ]
        plain, calls = run(make(), first, days), [0]

        def counted(make: Any = make, calls: Any = calls) -> Any:
            tx = make()

            def update(updates: Any, state: Any, params: Any = None) -> Any:
                calls[0] += 1
                return tx.update(updates, state, params)

            return arrayopt.GradientTransformation(tx.init, update)

        given = [{key: None if x is None else here.asarray(x) for key, x in day.items()} for day in days]
        done = stepped(counted, here, here.tree(first), given, "cuda")
        assert_near(done.params, plain.params, FEW, f"{name}: the parameters of step ")
        assert_near(done.states, plain.states, FEW, f"{name}: the state of step ")
        assert calls[0] <= 12, f"{name} was run {calls[0]} times in {len(days)} steps"
        told.append(f"{name}: run {calls[0]} times in {len(days)} steps")
    return "; ".join(told)


def elsewhere(place: Place) -> str:
    """A gradient in the host's memory, in the first step or a later one, is an error before anything is written."""
    if not place.real:
        return "needs a GPU"
    here, host = place.library, libraries()["torch" if place.is_torch else "numpy"]
    said: list[str] = []
    for steps in (0, 2):
        tx = RULES["adamw"]()
        params = {key: here.asarray(_numbers((50,), k)) for k, key in enumerate("abc")}
        good = {key: here.asarray(_numbers((50,), 3)) for key in params}
        step, state = arrayopt.fused_step(tx, "cuda"), tx.init(params)
        for _ in range(steps):
            params, state = step(params, good, state)
        before, bad = here.numpy(params), {**good, "b": host.asarray(np.ones(50))}
        try:
            step(params, bad, state)
        except Exception as error:
            said.append(f"after {steps} steps: {type(error).__name__}: {error}")
        else:
            raise AssertionError("nothing is said")
        after = here.numpy(params)
        assert all([np.array_equal(after[key], before[key]) for key in before]), f"half a step is taken; {said}"
    return "; ".join(said)


def streams(place: Place) -> str:
    """Steps in two streams, in turns; and in threads, each with a stream of its own."""
    tx, first = RULES["clipped"](), {"w": _numbers((100_000 if place.real else 1000,), 0)}
    day = {"w": _numbers(first["w"].shape, 1)}
    plain, here = run(tx, first, [day] * 10), place.library
    step = arrayopt.fused_step(tx, "cuda")
    trees = [[here.tree(first), here.tree(day), tx.init(here.tree(first))] for _ in range(4)]
    contexts = [place.stream() for _ in trees]
    place.wait()

    def take(k: int, steps: int) -> None:
        with contexts[k]:
            for _ in range(steps):
                trees[k][0], trees[k][2] = step(trees[k][0], trees[k][1], trees[k][2])

    for _ in range(10):
        take(0, 1)
        take(1, 1)
    threads = [threading.Thread(target=take, args=(k, 10)) for k in (2, 3)]
    for thread in threads:
        thread.start()
        if not place.real:
            thread.join()
    for thread in threads:
        thread.join()
    place.wait()
    for k in range(4):
        assert_near(trees[k][0], plain.params[-1], FEW, f"in stream {k} ")
    return "as eagerly"


def held(place: Place) -> str:
    """An array that the rule holds, and that the step overwrites, is read as it was."""
    here = place.library
    held, plain = here.asarray(np.arange(1.0, 9.0)), [np.arange(1.0, 9.0), np.zeros(8)]

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        xp = namespace(updates["a"])
        return {"a": updates["a"] + held, "b": updates["b"] * held + xp.sum(held)}, state

    params, step = {"a": held, "b": here.asarray(np.zeros(8))}, arrayopt.fused_step(_transform(update), "cuda")
    for _ in range(3):
        a, b = plain
        plain = [a + (1.0 + a), b + (2 * a + a.sum())]
        step(params, {"a": here.asarray(np.ones(8)), "b": here.asarray(np.full(8, 2.0))}, ())
        assert_near(here.numpy([params["a"], params["b"]]), plain, FEW, "the parameters ")
    return step.explain().engine


def huge(place: Place) -> str:
    """A leaf of more entries than 31 bits count."""
    n = 2**31 + 8 if place.real else 2**14 + 8
    if place.room() < 8 * n:
        return "too little memory"
    p, g = place.full((n,), 1.0, "float16"), place.full((n,), 0.5, "float16")
    tx = arrayopt.chain(arrayopt.clip_by_global_norm(1e9), arrayopt.sgd(0.25))
    step, state = arrayopt.fused_step(tx, "cuda"), tx.init(p)
    for _ in range(2):
        p, state = step(p, g, state)
    for part in (p[:5], p[n // 2 - 3 : n // 2 + 3], p[-9:]):
        np.testing.assert_allclose(place.library.numpy(part), 0.75)
    assert bool((p == 0.75).all())
    del p, g
    place.tidy()
    return f"{n} entries: right"


def _transform(update: Any) -> Any:
    def init(params: Any) -> Any:
        return ()

    return arrayopt.GradientTransformation(init, update)


def _refused(act: Callable[[], Any], words: str) -> str:
    try:
        act()
    except ValueError as error:
        assert words in str(error), str(error)
        return f"refused: {error}"
    raise AssertionError("it is not refused")


TRIALS: dict[str, Callable[[Place], str]] = {
    "layouts": layouts,
    "a gradient that is the parameter": aliases,
    "a state that is the parameter": shared_state,
    "read after a step": read_after,
    "leaves of nothing": nothing,
    "None as a gradient": holes,
    "a gradient in the host's memory": elsewhere,
    "streams and threads": streams,
    "held by the rule and overwritten": held,
    "2**31 + 8 entries": huge,
}
