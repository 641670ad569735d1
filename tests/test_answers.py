"""What schedules are given, and what comes back from them: the same on every library and under every default."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.libraries import Library

import arrayopt
from arrayopt import numerics
from arrayopt.dispatch import backend

TABLE = np.asarray([0.1, 0.2, 0.3, 0.4])

SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "a power": lambda k: 1e-3 * 0.999**k,
    "a line": lambda k: 0.5 + 0.03 * k,
    "a quotient": lambda k: 1 / (1 + k),
    "a root": lambda k: (1 + k) ** -0.5,
    "an integer power": lambda k: 0.1 / (1 + k) ** 2,
    "whole and rest": lambda k: 0.1 * (k // 2) + 0.01 * (k % 2),
    "itself": lambda k: k,
    "a mixture": lambda k: (k / 7) * k - k,
    "a size": lambda k: abs(1 - k) * 0.1,
    "a bool": lambda k: 0.1 + 0.2 * numerics.where(k < 2, 1.0, 0.0),
    "a choice": lambda k: numerics.where((k > 0) & (k != 2), 0.1, 0.3),
    "words": lambda k: numerics.exp(numerics.at_most(k * 1.0, 2.5)) + numerics.cos(-k / 3),
    "joined": arrayopt.join_schedules([lambda k: 0.1 * k, lambda k: 0.3, lambda k: 0.7**k], [1, 2]),
    "joined constants": arrayopt.join_schedules([arrayopt.constant_schedule(v) for v in (0.1, 0.2)], [2]),
    "steps down": arrayopt.piecewise_constant_schedule(0.3, {1: 0.5, 3: 0.1}),
    "lines": arrayopt.piecewise_interpolate_schedule("linear", 0.3, {2: 0.5, 3: 0.1}),
    "a cycle": arrayopt.cosine_onecycle_schedule(4, 0.3, 0.5),
    "restarts": arrayopt.sgdr_schedule(
        [{"init_value": 0.1, "peak_value": 0.5, "warmup_steps": 1, "decay_steps": 2}] * 2
    ),
    "of a scalar": lambda k: np.float32(0.25) * k + np.float64(0.1),
}
OF_VALUES: dict[str, Callable[[Any], Any]] = {
    "a table": lambda k: TABLE[k],
    "a table of Python": lambda k: [0.1, 0.2, 0.3, 0.4][k],
    "if": lambda k: 0.1 if k < 2 else 0.2,
    "math": lambda k: math.cos(k / 3) + math.exp(-float(k)),
    "the lesser": lambda k: 0.1 * min(k, 2),
    "NumPy": lambda k: np.where(int(k) < 2, 0.1, 0.2),
    "a NumPy scalar": lambda k: np.float32(0.5),
    "an integer": lambda k: int(k),
    "text": lambda k: float(f"{int(k)}"),
}


def rates(library: Library, schedule: Callable[[Any], Any], steps: int = 4) -> list[float]:
    """The learning rates of the first steps, as they show in double."""
    one = library.asarray([1.0], "float64" if "float64" in library.dtypes else "float32")
    tx, found = arrayopt.sgd(schedule), []
    state = tx.init(one)
    for _ in range(steps):
        u, state = tx.update(one, state)
        found.append(-float(library.numpy(u)[0]))
    return found


@pytest.mark.parametrize("name", [*SCHEDULES, *OF_VALUES])
def test_a_schedule_is_the_same_on_every_library(name: str, library: Library) -> None:
    schedule = {**SCHEDULES, **OF_VALUES}[name]
    wanted = [float(schedule(k)) for k in range(4)]
    rtol = 1e-14 if "float64" in library.dtypes else 1e-6
    np.testing.assert_allclose(rates(library, schedule), wanted, rtol=rtol, atol=rtol)


def torch_rates(schedule: Callable[[Any], Any], transformed: Callable[[Any], Any] = lambda f: f) -> list[float]:
    torch = pytest.importorskip("torch")
    one = torch.ones(1, dtype=torch.float64, device="cpu")
    tx, found = arrayopt.sgd(schedule), []
    state, update = tx.init(one), transformed(tx.update)
    for _ in range(4):
        u, state = update(one, state)
        found.append(-u.item())
    return found


def compiled(update: Callable[..., Any]) -> Callable[..., Any]:
    torch = pytest.importorskip("torch")
    torch._dynamo.reset()  # it compiles so many optimizers in a process, and no more
    found: Callable[..., Any] = torch.compile(update, fullgraph=True, backend="aot_eager")
    return found


@contextmanager
def default(**wanted: Any) -> Iterator[None]:
    """Torch with another default dtype or device."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(getattr(torch, wanted.get("dtype", "float32")))
        torch.set_default_device(wanted.get("device"))
        yield
    finally:
        torch.set_default_dtype(before)
        torch.set_default_device(None)


@pytest.mark.parametrize("name", [*SCHEDULES, *OF_VALUES])
@pytest.mark.parametrize("ambient", [{"dtype": "bfloat16"}, {"dtype": "float64"}, {"device": "meta"}])
def test_a_schedule_is_the_same_under_every_default(name: str, ambient: dict[str, Any]) -> None:
    schedule = {**SCHEDULES, **OF_VALUES}[name]
    with default(**ambient):
        found = torch_rates(schedule)
    np.testing.assert_allclose(found, [float(schedule(k)) for k in range(4)], rtol=1e-14, atol=1e-14)


def of_torch() -> dict[str, Callable[[Any], Any]]:
    torch = pytest.importorskip("torch")
    return {
        "where": lambda k: torch.where(k < 2, 0.1, 0.2),
        "cos": lambda k: torch.cos(k * 0.1),
        "clamp": lambda k: torch.clamp(0.1 * k, max=0.25),
        "a flag": lambda k: 0.1 + 0.1 * (k < 2),
        "pow": lambda k: torch.pow(0.9, k),
        "stack": lambda k: torch.stack([k * 0.1, k * 0.2]).sum(),
        "a method": lambda k: k.to(torch.float64) * 0.1,
        "take": lambda k: torch.take(torch.tensor(TABLE, device="cpu"), k.long()),
        "a tensor": lambda k: torch.tensor(0.1, dtype=torch.float64, device="cpu") * k,
    }


WANTED: dict[str, Any] = {
    "where": [0.1, 0.1, 0.2, 0.2],
    "cos": [math.cos(0.1 * k) for k in range(4)],
    "clamp": [0.0, 0.1, 0.2, 0.25],
    "a flag": [0.2, 0.2, 0.1, 0.1],
    "pow": [0.9**k for k in range(4)],
    "stack": [0.1 * k + 0.2 * k for k in range(4)],
    "a method": [0.1 * k for k in range(4)],
    "take": TABLE,
    "a tensor": [0.1 * k for k in range(4)],
}


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.parametrize("ambient", [{}, {"dtype": "bfloat16"}, {"device": "meta"}])
def test_functions_of_torch_take_the_count(name: str, ambient: dict[str, Any]) -> None:
    with default(**ambient):
        np.testing.assert_allclose(torch_rates(of_torch()[name]), WANTED[name], rtol=1e-14)


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.filterwarnings("ignore")
def test_functions_of_torch_compile(name: str) -> None:
    schedule = of_torch()[name]
    with default(dtype="bfloat16"):
        np.testing.assert_allclose(torch_rates(schedule, compiled), WANTED[name], rtol=1e-14)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "of a scalar"])
@pytest.mark.filterwarnings("ignore")
def test_schedules_compile_and_map(name: str) -> None:
    torch = pytest.importorskip("torch")
    schedule = SCHEDULES[name]
    wanted = [float(schedule(k)) for k in range(4)]

    np.testing.assert_allclose(torch_rates(schedule, compiled), wanted, rtol=1e-14, atol=1e-14)
    tx, ones = arrayopt.sgd(schedule), torch.ones(4, 1, dtype=torch.float64)
    state = tx.init(ones[0])
    states = arrayopt.tree.map(lambda x: torch.arange(4, dtype=x.dtype), state)
    mapped, _ = torch.func.vmap(tx.update)(ones, states)
    np.testing.assert_allclose(-mapped[:, 0].numpy(), wanted, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", [*SCHEDULES, *OF_VALUES])
def test_a_fused_step_takes_the_same_schedule(name: str, library: Library) -> None:
    schedule = {**SCHEDULES, **OF_VALUES}[name]
    one = library.asarray([1.0], "float32")
    step, p = arrayopt.fused_step(arrayopt.sgd(schedule)), library.asarray([0.0], "float32")
    state = arrayopt.sgd(schedule).init(p)
    for _ in range(4):
        p, state = step(p, one, state)
    np.testing.assert_allclose(library.numpy(p), [-sum(float(schedule(k)) for k in range(4))], rtol=1e-6)


def test_schedules_of_optax_are_taken() -> None:
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")
    one = jax.numpy.ones(1)
    for schedule in (
        optax.linear_schedule(0.1, 0.0, 3),
        optax.cosine_decay_schedule(0.1, 3),
        optax.warmup_cosine_decay_schedule(0.0, 0.1, 1, 3),
        optax.exponential_decay(0.1, 2, 0.5, staircase=True),
        optax.piecewise_constant_schedule(0.1, {1: 0.5}),
    ):
        ours, theirs = arrayopt.sgd(schedule), optax.sgd(schedule)
        a, b = ours.init(one), theirs.init(one)
        for _ in range(4):
            u, a = jax.jit(ours.update)(one, a)
            v, b = theirs.update(one, b)
            np.testing.assert_allclose(u, v, rtol=1e-6, atol=1e-8)  # compiled, and not


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "nothing": (lambda k: None, TypeError, r"must answer with a real number or a 0-d array; got NoneType None\."),
    "text": (lambda k: "0.1", TypeError, r"must answer with a real number or a 0-d array; got str 0\.1\."),
    "a bool": (lambda k: True, TypeError, r"must answer with a real number or a 0-d array; got bool True\."),
    "a complex number": (lambda k: 1j, TypeError, r"must answer with a real number or a 0-d array; got complex 1j\."),
    "a list": (lambda k: [0.1], TypeError, r"must answer with a real number or a 0-d array; got list \[0\.1\]\."),
    "a vector": (lambda k: np.ones(2), ValueError, r"must answer with a scalar; got an array of shape \(2,\)\."),
    "a complex array": (lambda k: np.complex64(1), TypeError, r"must answer .* got an array of complex64\."),
    "a bool of NumPy": (lambda k: np.bool_(True), TypeError, r"must answer .* got an array of bool\."),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("fused", [False, True])
def test_an_answer_that_is_no_number_is_refused(what: str, fused: bool, library: Library) -> None:
    answer, kind, message = BAD[what]
    x = library.asarray([1.0], "float32")
    for name, tx in {
        "sgd: learning_rate": arrayopt.sgd(answer),
        "adamw: weight_decay": arrayopt.adamw(0.1, weight_decay=answer),
        "adam: b1": arrayopt.adam(0.1, b1=answer),
        "scale_by_schedule: step_size_fn": arrayopt.scale_by_schedule(answer),
        "adafactor: eps": arrayopt.adafactor(0.1, eps=answer),
        "scale_by_factored_rms: decay_rate_fn": arrayopt.scale_by_factored_rms(decay_rate_fn=lambda i, c: answer(i)),
        "adopt: clip_value_fn": arrayopt.contrib.adopt(0.1, clip_value_fn=answer),
    }.items():
        with pytest.raises(kind, match=f"^{name} {message}$"):
            if fused:
                arrayopt.fused_step(tx)(x + 0.0, x, tx.init(x))
            else:
                tx.update(x, tx.init(x), x)


def test_an_answer_of_another_library_is_refused(library: Library) -> None:
    torch = pytest.importorskip("torch")
    if library.name == "torch":
        pytest.skip("its own")
    x = library.asarray([1.0], "float32")
    tx = arrayopt.sgd(lambda k: torch.tensor(0.1))
    with pytest.raises(
        TypeError, match=rf"^sgd: learning_rate must answer .* library, {library.name}; got .* torch\.$"
    ):
        tx.update(x, tx.init(x))


def test_functions_of_real_numbers_may_answer_with_numpy(library: Library) -> None:
    x = library.asarray([1.0, 2.0], "float32")
    plain = arrayopt.scale_by_factored_rms(decay_rate_fn=lambda i, c: 0.5)
    numpy = arrayopt.scale_by_factored_rms(decay_rate_fn=lambda i, c: np.float64(0.5))
    a, b = (library.numpy(tx.update(x, tx.init(x), x)[0]) for tx in (plain, numpy))
    np.testing.assert_allclose(a, b, rtol=1e-7)


def test_a_rule_without_checks_has_its_schedules_looked_at(library: Library) -> None:
    count = backend(library.asarray([1.0], "float32")).counter(library.asarray([1.0], "float32"))
    with pytest.raises(TypeError, match=r"^b1 must answer with a real number"):
        numerics.at(count, b1=lambda k: None)
    assert numerics.at(count, b1=0.5, b2=lambda k: np.float64(0.25))["b2"] == 0.25


def test_counts_are_shown_and_copied_as_their_arrays() -> None:
    import copy

    torch = pytest.importorskip("torch")
    count = backend(torch.ones(1)).stepping(torch.tensor(3, dtype=torch.int32))
    assert f"{count}" == "3" and repr(count) == "tensor(3, dtype=torch.int32)"
    assert int(copy.copy(count)) == 3 and list(range(10))[count] == 3
    assert (count.shape, count.dtype, count.item()) == ((), torch.int32, 3)
    assert (count == None) is False  # noqa: E711
    assert np.asarray(count).dtype == np.int32 and np.cos(count) == np.cos(3)


def test_the_default_device_moves_no_counter() -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(2, device="cpu")
    for make in (
        arrayopt.adam,
        arrayopt.adamw,
        arrayopt.contrib.ademamix,
        arrayopt.adafactor,
        arrayopt.contrib.adopt,
    ):
        tx = make(arrayopt.warmup_cosine_decay_schedule(0.0, 1.0, 2, 4))
        with default(device="meta"):
            state = tx.init(x)
            u, state = tx.update(x, state, x)
        assert {leaf.device.type for leaf in arrayopt.tree.flatten(state)[0]} == {"cpu"}
        assert u.device.type == "cpu"
