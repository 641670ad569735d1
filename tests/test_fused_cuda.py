"""The engine ``cuda`` where there is no GPU.

Every test here is an emulation, but for that of nvcc: the kernels are compiled by g++ with ``cuda_on_host.h``, and
run in the host's memory by `OnHost`, which stands for a GPU and its driver. Nothing here has met a GPU.
"""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import assert_near, assert_same
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.harness.fused import rule, stepped
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.rules import Rule, rules
from arrayopt_cuda import emit
from arrayopt_cuda.words import WORDS
from cuda_on_host import OnHost, emulate, is_counter

import arrayopt
from arrayopt.dispatch import namespace
from arrayopt.fused import engines, words
from arrayopt.fused.program import Arithmetic, Instruction, Number, Operation, Program, Schedule, Stage
from arrayopt.fused.program import kind as kind_of
from arrayopt.fused.scalars import function
from arrayopt.layout import Spots

FEW = 8 * 2.0**-52
emulated = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> OnHost:
    """NumPy's arrays count as CuPy's do: all of them lie on the device, counters too."""
    return emulate("numpy", monkeypatch)


@pytest.fixture(params=["numpy", "torch"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Library:
    """NumPy as CuPy would be, and Torch with its counters in the host's memory."""
    if request.param not in libraries():
        pytest.skip(f"{request.param} is not installed")
    emulate(request.param, monkeypatch)
    return libraries()[request.param]


def numpy() -> Library:
    return libraries()["numpy"]


def driver_of(library: Library) -> OnHost:
    driver: OnHost = engines._made["cuda", library.name].driver
    return driver


# -- whole steps -----------------------------------------------------------------------------------------------


@emulated
@pytest.mark.parametrize("one", rules(), ids=str)
def test_emulated_every_rule_steps_as_eagerly(one: Rule, gpu: OnHost) -> None:
    make = lambda: one.make(**one.usual)  # noqa: E731
    params, days = parameters(numpy(), "float64"), gradients(numpy(), "float64")
    plain, done = run(make(), params, days), stepped(make, numpy(), params, days, "cuda")
    assert done.step.explain().engine == "cuda", done.step.explain().reason
    assert_near(done.params, plain.params, FEW, "the parameters of step ")
    assert_near(done.states, plain.states, FEW, "the state of step ")
    assert gpu.reads == 0


FAMOUS: dict[str, Callable[[], Any]] = {
    "adamw": lambda: arrayopt.adamw(0.1),
    "adopt": lambda: arrayopt.contrib.adopt(0.1),
    "ademamix": lambda: arrayopt.contrib.ademamix(0.1),
    "adabelief": lambda: arrayopt.adabelief(0.1),
    "sgd": lambda: arrayopt.sgd(0.1),
    "momentum": lambda: arrayopt.sgd(0.1, momentum=0.9, nesterov=True),
    "clipped": lambda: arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adamw(0.1)),
    "scheduled": lambda: arrayopt.adamw(arrayopt.schedules.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10)),
    "adafactor": lambda: arrayopt.adafactor(0.1, min_dim_size_to_factor=4),
}
LONG = {"w": (120, 150), "b": (4097,), "s": (), "z": (0, 4)}


@emulated
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", FAMOUS)
def test_emulated_long_leaves_of_every_dtype(name: str, dtype: str, library: Library) -> None:
    """As the tile engine has them: it widens 16-bit numbers too, and rounds them where they are stored."""
    params, days = parameters(library, dtype, LONG), gradients(library, dtype, LONG)
    tiles = stepped(FAMOUS[name], library, params, days, "tiles")
    done = stepped(FAMOUS[name], library, params, days, "cuda")
    unit = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    assert_near(done.params, tiles.params, 16 * 2.0**-23 if dtype == "float32" else unit, "the parameters of step ")
    assert_near(done.states, tiles.states, 16 * 2.0**-23 if dtype == "float32" else unit, "the state of step ")


@emulated
def test_emulated_two_runs_are_the_same_to_the_bit(library: Library) -> None:
    make = FAMOUS["clipped"]
    params, days = parameters(library, "float32", LONG), gradients(library, "float32", LONG)
    first, second = [stepped(make, library, params, days, "cuda") for _ in range(2)]
    assert_same(second[:2], first[:2], "in a second run ")


@emulated
def test_emulated_the_best_engine_is_this_one(library: Library) -> None:
    step = stepped(FAMOUS["sgd"], library, parameters(library), gradients(library), None).step
    assert step.explain().engine == "cuda"
    assert step.explain().reason == "CUDA kernels, one launch for all leaves alike"


# -- what a step costs the host --------------------------------------------------------------------------------


@emulated
@pytest.mark.parametrize(
    ("name", "wanted"),
    [("adamw", ["numbers", "run"]), ("clipped", ["numbers", "run", "combine", "numbers", "run"])],
)
def test_emulated_a_step_is_a_few_launches(name: str, wanted: list[str], gpu: OnHost) -> None:
    """However many leaves there are; numbers that lie on the device are never read."""
    params = {f"w{k}": np.ones(3 + k, np.float32) for k in range(40)}
    grads = {key: np.full_like(x, 0.5) for key, x in params.items()}
    tx = FAMOUS[name]()
    state, step = tx.init(params), arrayopt.fused_step(tx, engine="cuda")
    step(params, grads, state)
    gpu.launched, gpu.uploads = [], 0
    step(params, grads, state)
    assert (gpu.launched, gpu.uploads) == (wanted, 0)
    step(params, {key: x.copy() for key, x in grads.items()}, state)
    assert gpu.uploads == (1 if name == "adamw" else 2)  # a table for each stage that reads gradients
    assert gpu.reads == 0


@emulated
def test_emulated_the_hosts_numbers_are_handed_over_with_a_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    gpu, library = emulate("torch", monkeypatch), libraries()["torch"]
    step = stepped(FAMOUS["adamw"], library, parameters(library), gradients(library), "cuda")
    assert gpu.launched == ["set", *["set", "run"] * 3]  # constants, once; then what depends on the counter
    assert gpu.reads == 0
    assert int(step.states[-1][0].count) == 3


@emulated
def test_emulated_many_numbers_need_several_launches(gpu: OnHost) -> None:
    factors = np.random.default_rng(0).uniform(0.5, 1.5, 300).tolist()

    def formula(xp: Any, g: Any, slots: Any, p: Any) -> Any:
        for x in factors:
            g = g * x
        return g, slots

    params, days = np.ones(5), [np.ones(5)]
    plain = run(rule(formula), params, days)
    done = stepped(lambda: rule(formula), numpy(), params, days, "cuda")
    assert_near(done.params, plain.params, 300 * 2.0**-52, "the parameter of step ")
    assert gpu.launched == ["set", "set", "set", "run"]


# -- where arrays lie ------------------------------------------------------------------------------------------


def _fortran(x: Any) -> Any:
    return np.asfortranarray(x)


def _spread(x: Any) -> Any:
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def _shifted(x: Any) -> Any:
    """Begins one entry after a multiple of 16 bytes."""
    memory = np.zeros(x.size + 20, x.dtype)
    first = (-memory.ctypes.data % 16) // x.itemsize + 1
    found = memory[first : first + x.size].reshape(x.shape)
    found[...] = x
    return found


LAYOUTS = {"one": np.copy, "fortran": _fortran, "spread": _spread, "shifted": _shifted}


@emulated
@pytest.mark.parametrize("of_gradients", LAYOUTS)
@pytest.mark.parametrize("of_params", LAYOUTS)
@pytest.mark.parametrize("name", ["adamw", "clipped"])
def test_emulated_arrays_lie_in_any_order(name: str, of_params: str, of_gradients: str, gpu: OnHost) -> None:
    """Those that cannot be walked through together go through the library, beside others that can."""
    rng = np.random.default_rng(0)
    shapes = {"a": (33, 17), "b": (33, 17), "c": (5, 6)}
    first = {key: rng.standard_normal(shape) for key, shape in shapes.items()}
    day = {key: rng.standard_normal(shape) for key, shape in shapes.items()}
    tx = FAMOUS[name]()
    plain = run(tx, first, [day, day])
    params = {key: LAYOUTS[of_params](x) if key != "c" else x.copy() for key, x in first.items()}
    grads = {key: LAYOUTS[of_gradients](x) if key == "a" else x.copy() for key, x in day.items()}
    state, step = tx.init(first), arrayopt.fused_step(tx, engine="cuda")
    for k in range(2):
        assert_same(step(params, grads, state)[0], params, "in place ")
        assert_near(params, plain.params[k], FEW, "the parameters ")
    assert gpu.reads == 0


@emulated
def test_emulated_tensors_lie_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library meets numbers of the device as 0-d tensors."""
    torch = pytest.importorskip("torch")
    gpu, library = emulate("torch", monkeypatch), libraries()["torch"]
    params, days = parameters(library, "float64", {"w": (6, 5)}), gradients(library, "float64", {"w": (5, 6)})
    tx = FAMOUS["clipped"]()
    plain = run(tx, params, [{"w": day["w"].T.contiguous()} for day in days])
    state, step = tx.init(params), arrayopt.fused_step(tx, engine="cuda")
    for k, day in enumerate(days):
        assert step({"w": params["w"]}, {"w": day["w"].T}, state)[0]["w"] is params["w"]
        assert_near(params, plain.params[k], FEW, "the parameters ")
    assert gpu.reads == 0 and torch.is_tensor(params["w"])


@emulated
def test_emulated_arrays_that_moved_away_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    away: list[Any] = []
    emulate("torch", monkeypatch, lambda x: is_counter(x) or any([x is y for y in away]))
    tx = FAMOUS["adamw"]()
    params, grads = {"w": torch.ones(4)}, {"w": torch.ones(4)}
    state, step = tx.init(params), arrayopt.fused_step(tx, engine="cuda")
    step(params, grads, state)
    message = "fused_step: arrays must lie on the device that they lay on at first; "
    away.append(torch.ones(4))
    with pytest.raises(ValueError, match=f"^{message}got one on cpu.$"):
        step(params, {"w": away[0]}, state)
    away += [params["w"], state[0].mu["w"], state[0].nu["w"]]
    with pytest.raises(ValueError, match=f"^{message}none lies on a GPU.$"):
        step(params, {"w": away[0]}, state)


@emulated
def test_emulated_what_cannot_be_addressed_is_read(gpu: OnHost) -> None:
    """As a scalar of NumPy that a rule holds: it says of no place in memory that it lies there."""
    held = np.float64(0.25)
    make = lambda: rule(lambda xp, g, s, p: (g * (held + s[0]), s), np.asarray(2.0))  # noqa: E731
    params, days = np.ones(3), [np.ones(3)]
    plain, done = run(make(), params, days), stepped(make, numpy(), params, days, "cuda")
    assert_near(done.params, plain.params, FEW, "the parameter of step ")
    assert gpu.launched[-1] == "run"


@emulated
def test_emulated_broadcasts_and_library_calls_stay_on_the_device(gpu: OnHost) -> None:
    def formula(xp: Any, g: Any, slots: Any, p: Any) -> Any:
        rows = xp.sum(g, axis=1, keepdims=True)
        largest = xp.max(xp.matmul(g, xp.permute_dims(p, (1, 0))))
        first = slots[0] + g[0, 0] * largest
        return g * rows / largest, (
            first,
            slots[1] + xp.astype(first > 0, xp.int32),
            xp.linalg.matrix_norm(g) + 0 * slots[2],
        )

    rng = np.random.default_rng(0)
    params, days = rng.standard_normal((5, 6)), [rng.standard_normal((5, 6)) for _ in range(3)]
    make = lambda: rule(formula, np.asarray(0.0), np.asarray(0, np.int32), np.asarray(1.0))  # noqa: E731
    plain, done = run(make(), params, days), stepped(make, numpy(), params, days, "cuda")
    assert done.step.explain().barriers
    assert_near(done.params, plain.params, FEW, "the parameters of step ")
    assert_near(done.states, plain.states, FEW, "the state of step ")
    assert gpu.reads == 0


@emulated
def test_emulated_complex_numbers_go_through_the_library(gpu: OnHost) -> None:
    params, days = parameters(numpy(), "complex128", SMALL), gradients(numpy(), "complex128", SMALL)
    plain, done = run(FAMOUS["clipped"](), params, days), stepped(FAMOUS["clipped"], numpy(), params, days, "cuda")
    assert_near(done.params, plain.params, FEW, "the parameters of step ")
    assert_near(done.states, plain.states, FEW, "the state of step ")
    assert "run" in gpu.launched or gpu.reads == 0


@emulated
def test_emulated_complex_single_numbers_are_read(gpu: OnHost) -> None:
    make = lambda: rule(lambda xp, g, s, p: (g * xp.sum(g), s))  # noqa: E731
    params, days = parameters(numpy(), "complex128", {"": (5,)})[""], [np.arange(5) * (1 + 2j)]
    plain, done = run(make(), params, days), stepped(make, numpy(), params, days, "cuda")
    assert_near(done.params, plain.params, FEW, "the parameters of step ")
    assert gpu.launched == []


@emulated
def test_emulated_what_the_rule_holds_is_read_as_it_was(library: Library) -> None:
    """Were the second leaf to read the first one where it lies, it would meet what the step has just written."""
    held = library.asarray(np.arange(1.0, 9.0))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        xp = namespace(updates["a"])
        return {"a": updates["a"] + held, "b": updates["b"] * held + xp.sum(held)}, state

    params, plain = {"a": held, "b": library.asarray(np.zeros(8))}, [np.arange(1.0, 9.0), np.zeros(8)]
    step = arrayopt.fused_step(arrayopt.GradientTransformation(lambda p: (), update), engine="cuda")
    for k in range(3):
        a, b = plain
        plain = [a + (k + a), b + (2 * a + a.sum())]
        grads = {"a": library.asarray(np.full(8, float(k))), "b": library.asarray(np.full(8, 2.0))}
        step(params, grads, ())
        assert_near(library.numpy([params["a"], params["b"]]), plain, FEW, f"step {k} ")
    assert step.explain().engine == "cuda" and "run" in driver_of(library).launched


# -- single numbers --------------------------------------------------------------------------------------------


@emulated
def test_emulated_numbers_of_the_device_reach_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be written to the host's memory must be waited for: Torch's counters that depend on a gradient."""
    pytest.importorskip("torch")
    gpu, library = emulate("torch", monkeypatch), libraries()["torch"]

    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        return g * s[0], (s[0] + xp.astype(xp.all(xp.isfinite(g)), xp.int32),)

    make = lambda: rule(formula, library.asarray(np.asarray(1), "int32"))  # noqa: E731
    params, days = library.asarray(np.ones(5)), [library.asarray(np.ones(5)) for _ in range(3)]
    days[1][2] = float("inf")
    plain, done = run(make(), params, days), stepped(make, library, params, days, "cuda")
    assert [int(state[0]) for state in done.states] == [2, 2, 3] == [int(state[0]) for state in plain.states]
    assert gpu.reads == 3


@emulated
def test_emulated_python_numbers_are_a_state_too(library: Library) -> None:
    def update(updates: Any, state: Any, params: Any = None, *, value: float) -> Any:
        steps, scale, best = state
        return updates * (scale * value), (steps + 1, scale * 0.5, best)

    tx = arrayopt.GradientTransformationExtraArgs(lambda p: (0, 1.0, True), update)
    params, g = library.asarray(np.ones(3)), library.asarray(np.ones(3))
    step, state = arrayopt.fused_step(tx, engine="cuda"), tx.init(params)
    for value in (1.0, 2.0):
        params, state = step(params, g, state, value=value)
    assert state == (2, 0.25, True)
    assert [type(x) for x in state] == [int, float, bool]
    assert_near(params, np.full(3, 3.0), FEW, "the parameter ") if library.name == "numpy" else None


VALUES: dict[str, list[Any]] = {
    "float64": [0.0, -0.0, 0.3, -1.0, 2.5, -7.0, 710.0, 1e200, 1e-310, np.inf, -np.inf, np.nan],
    "int32": [0, 1, 2, 7, 33, 2**31 - 1, -1, -7, -(2**31)],
    "int64": [0, 1, 5, 2**53 - 1, -(2**53), -1],
    "bool": [False, True],
}
INEXACT = frozenset({"pow", "exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos",
                     "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "atan2", "hypot",
                     "logaddexp"})  # fmt: skip


def agree_on(word: str, kind: str, args: tuple[Any, ...]) -> bool:
    """Whether Python and C have a rule for these operands, and the same."""
    if word == "pow":
        return kind == "bool" or (abs(args[1]) < 8 and (kind == "float64" or args[1] >= 0))
    if word in ("atan2", "hypot", "logaddexp"):
        return all([abs(x) < 1e3 for x in args])
    return "shift" not in word or 0 <= args[1] < 31


def answer_of(word: str, kind: str, shape: tuple[int, ...] = ()) -> str | None:
    """The dtype that NumPy answers in; None if the word is not for this dtype."""
    one: Any = np.full(shape, 1, kind)
    try:
        with np.errstate(all="ignore"):
            found: str = getattr(numpy().backend.xp, word)(*[one] * arity(word)).dtype.name
    except TypeError:
        return None
    return found


def arity(word: str) -> int:
    return 1 if word in words.UNARY else 2


def asked(*kinds: str) -> list[tuple[str, str]]:
    """Every elementwise word that has a kernel, with every dtype that it is for."""
    every = sorted((words.UNARY | words.BINARY) & WORDS)
    pairs = [(word, kind) for word in every for kind in kinds if answer_of(word, kind) is not None]
    return [(word, kind) for word, kind in pairs if kind != "bool" or word not in INEXACT]


NUMBERS = ("float64", "int32", "int64", "bool")
ENTRIES = ("float64", "float32", "int8", "int32", "uint16", "int64", "uint64", "bool")


@emulated
@pytest.mark.parametrize("kind", NUMBERS)
def test_emulated_numbers_are_computed_as_on_the_host(kind: str, gpu: OnHost) -> None:
    """Every word, on numbers that lie on the device: the same work as a function of Python, and as a kernel."""
    given = VALUES[kind]
    cases = [
        (word, places)
        for word, _ in asked(kind)
        for places in itertools.product(range(len(given)), repeat=arity(word))
        if agree_on(word, kind, tuple([given[k] for k in places]))
    ]
    work = work_of([(word, kind, places) for word, places in cases])
    with np.errstate(all="ignore"):
        wanted = function(work, "<test>")(list(given))
    found = on_device(work, given, kind)
    assert gpu.launched == ["numbers"]
    for (word, places), x, y in zip(cases, found, wanted, strict=True):
        args = [given[k] for k in places]
        assert agree(word, x, y), f"{word} of {args} is {x} on the device, {y} on the host"


def work_of(cases: Sequence[tuple[str, str, Sequence[int]]]) -> Arithmetic:
    """Words applied to numbers known: word, dtype, places."""
    code: list[Operation] = []
    for word, kind, places in cases:
        answer = answer_of(word, kind)
        assert answer is not None
        held = "float64" if "float" in answer else answer
        code.append(Operation(word, held, tuple([Number("known", k) for k in places])))
    return Arithmetic(tuple(code), (), tuple([Number("result", k) for k in range(len(code))]))


def agree(word: str, x: Any, y: Any) -> bool:
    if isinstance(y, float) and np.isnan(y):
        return bool(np.isnan(x))
    return bool(np.isclose(x, y, rtol=4 * 2.0**-52, atol=0)) if word in INEXACT else bool(x == y)


def on_device(work: Arithmetic, given: list[Any], kind: str) -> list[Any]:
    """The answers of some work whose numbers lie in arrays, by way of arrays that they are written to."""
    answers = [operation.dtype for operation in work.code]
    n, m = len(given), len(answers)
    arithmetic = Arithmetic(work.code, tuple([(n + k, x) for k, x in enumerate(work.answers)]), ())
    stage = Stage(arithmetic, function(arithmetic, "<test>"), [], [], [], [])
    read, written = [(k, k) for k in range(n)], [(n + k, n + k, answer) for k, answer in enumerate(answers)]
    kinds = "".join([kind_of(x) for x in [kind] * n + answers])
    schedule = Schedule(n + m, kinds, [], read, [stage], written, [])
    leaves = [np.asarray(x, kind) for x in given] + [np.zeros((), answer) for answer in answers]
    spots = Spots([numpy().backend.layout(x) for x in leaves], object(), [], False)
    engines.engine("cuda", numpy().backend).carry_out(schedule, leaves, spots)
    return [x.item() for x in leaves[n:]]


# -- entries of arrays -----------------------------------------------------------------------------------------


@emulated
@pytest.mark.parametrize("kind", ENTRIES)
def test_emulated_words_are_numpys(kind: str, gpu: OnHost) -> None:
    """On arrays of every dtype."""
    xp: Any = numpy().backend.xp
    some = [word for word, _ in asked(kind)]
    x, y = drawn(kind)
    small = y & 3 if "int" in kind else y.copy()  # to shift by, and whole powers

    def second(word: str) -> Any:
        return small if "shift" in word or word == "pow" else y

    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        x, y, small, *_ = s
        pairs = [(x, small) if "shift" in word or word == "pow" else (x, y) for word in some]
        return g, (
            x,
            y,
            small,
            *[getattr(xp, word)(*pair[: arity(word)]) for word, pair in zip(some, pairs, strict=True)],
        )

    with np.errstate(all="ignore"):
        wanted = [getattr(xp, word)(*[x, second(word)][: arity(word)]) for word in some]
        slots = (x, y, small, *[np.zeros_like(z) for z in wanted])
        step = arrayopt.fused_step(rule(formula), engine="cuda")
        _, (_, _, _, *found) = step(np.ones(23), np.ones(23), slots)
    assert step.explain().engine == "cuda"
    assert "run" in gpu.launched
    for word, got, z in zip(some, found, wanted, strict=True):
        tolerance = 1e-6 if z.dtype == np.float32 else 1e-3 if z.dtype == np.float16 else 1e-14
        np.testing.assert_allclose(got, z, rtol=tolerance if word in INEXACT else 0, err_msg=word)


def drawn(kind: str) -> tuple[Any, Any]:
    """Two arrays of a dtype."""
    rng = np.random.default_rng(0)
    x, y = [(3 * rng.standard_normal(23)).round(2) for _ in range(2)]
    if kind == "bool":
        return x > 0, y > 0
    if "int" in kind:
        x, y = [np.abs(5 * z) if kind.startswith("u") else 5 * z for z in (x, y)]
    return x.astype(kind), y.astype(kind)


@emulated
def test_emulated_sixteen_bits_are_rounded_to_nearest_even(gpu: OnHost) -> None:
    """Every float16 and bfloat16 comes back, and so does what lies halfway between two."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    bits = np.arange(65536, dtype=np.uint16)
    for dtype in (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)):
        with np.errstate(all="ignore"):
            x = bits.view(dtype).astype(np.float32)
            up = np.nextafter(x, np.float32(np.inf))
            halfway = ((x.astype(np.float64) + np.roll(x, -1)) / 2).astype(np.float32)
        for value in (x, up, halfway):
            slot = np.zeros(65536, dtype)
            make = rule(lambda xp, g, s, p: (0 * g, (xp.astype(s[1], s[0].dtype), s[1])), slot, value)
            arrayopt.fused_step(make, engine="cuda")(np.ones(3), np.ones(3), (slot, value))
            with np.errstate(all="ignore"):
                wanted = value.astype(dtype)
            same = (slot.view(np.uint16) == wanted.view(np.uint16)) | (np.isnan(slot) & np.isnan(wanted))
            assert same.all(), (dtype, value[~same][:5], slot[~same][:5], wanted[~same][:5])
    assert "run" in gpu.launched


@emulated
def test_emulated_doubles_are_rounded_to_sixteen_bits_once(gpu: OnHost) -> None:
    """Not to float32 on the way: what lies a little above halfway between two would fall on it, and then go down."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype, least in ((np.dtype(np.float16), 2.0**-10), (np.dtype(ml_dtypes.bfloat16), 2.0**-7)):
        signs = np.asarray([1.0, -1.0])
        value = signs * (1 + least / 2 + np.asarray([2.0**-40, 2.0**-40]))
        value = np.concatenate([value, signs * (1 + least / 2 - 2.0**-40), signs * (1 + least / 2), signs * 1e300])
        slots = np.zeros(8, dtype), np.zeros(8, dtype), value
        formula = lambda xp, g, s, p: (0 * g, (xp.astype(s[2], s[0].dtype), xp.astype(2 * s[2], s[0].dtype), s[2]))  # noqa: E731
        arrayopt.fused_step(rule(formula, *slots), engine="cuda")(np.ones(3), np.ones(3), slots)
        up, one = 1 + least, 1.0
        wanted = [up, -up, one, -one, one, -one, np.inf, -np.inf]
        np.testing.assert_array_equal(slots[0].astype(np.float64), wanted)
        np.testing.assert_array_equal(slots[1].astype(np.float64), 2 * np.asarray(wanted))
    assert "run" in gpu.launched


@emulated
@pytest.mark.parametrize("op", ["sum", "max", "min", "any", "all"])
@pytest.mark.parametrize("size", [0, 1, 3, 4097, 40_000])
def test_emulated_reductions(op: str, size: int, gpu: OnHost) -> None:
    if op in ("max", "min") and not size:
        pytest.skip("of nothing there is no greatest")
    rng = np.random.default_rng(0)
    for x in (rng.standard_normal(size), np.where(np.arange(size) == size // 2, np.nan, rng.standard_normal(size))):
        slot = np.zeros((), np.float64 if op not in ("any", "all") else bool)

        def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
            return 0 * p, (getattr(xp, op)(g if op not in ("any", "all") else g < 5),)

        step = arrayopt.fused_step(rule(formula), engine="cuda")
        step(np.ones(size), x, (slot,))
        wanted = getattr(np, op)(x if op not in ("any", "all") else x < 5)
        np.testing.assert_allclose(slot, wanted, rtol=1e-13, atol=1e-12)
    assert "combine" in gpu.launched and gpu.reads == 0


@emulated
def test_emulated_threads_have_cells_of_their_own(gpu: OnHost) -> None:
    tx = FAMOUS["clipped"]()
    step = arrayopt.fused_step(tx, engine="cuda")
    trees = [parameters(numpy(), "float64", {"w": (50,)}) for _ in range(4)]
    days = [gradients(numpy(), "float64", {"w": (50,)}, steps=1 + k)[-1] for k in range(4)]
    states = [tx.init(tree) for tree in trees]

    def work(k: int) -> None:
        for _ in range(3):
            step(trees[k], days[k], states[k])

    running = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for one in running:  # the emulation runs one kernel at a time, so the threads take turns
        one.start()
        one.join()
    for k in range(4):
        plain = run(tx, parameters(numpy(), "float64", {"w": (50,)}), [days[k]] * 3)
        assert_near(trees[k], plain.params[-1], FEW, f"the parameters of thread {k} ")


# -- what other files try on every engine that is here -----------------------------------------------------------


@cache
def sibling(name: str) -> Any:
    """Another file of tests."""
    spec = importlib.util.spec_from_file_location(f"{name}_on_cuda", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@emulated
@pytest.mark.parametrize("name", sibling("test_fused_shapes").CASES)
def test_emulated_shapes_change_as_they_do_eagerly(name: str, library: Library) -> None:
    sibling("test_fused_shapes").test_shapes_change_as_they_do_eagerly(library, "cuda", name)
    assert driver_of(library).reads == 0


@emulated
@pytest.mark.parametrize("kind", sibling("test_fused_words").VALUES)
def test_emulated_words_agree_with_the_library(kind: str, gpu: OnHost) -> None:
    sibling("test_fused_words").test_words_agree_with_the_library(numpy(), "cuda", kind)
    assert "run" in gpu.launched


@emulated
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_emulated_numbers_meet_arrays_as_in_the_library(kind: str, library: Library) -> None:
    sibling("test_fused_words").test_numbers_meet_arrays_as_in_the_library(library, "cuda", kind)
    assert "run" in driver_of(library).launched


# -- what needs no emulation -----------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc")
def test_nvcc_compiles_the_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """To PTX: so the text is CUDA C++. The driver only takes notes here, and runs nothing."""
    gpu = emulate("numpy", monkeypatch)
    monkeypatch.setattr(gpu, "compile", lambda text, name: gpu.texts.setdefault((text, name)))
    monkeypatch.setattr(gpu, "launch", lambda *args: None)
    with np.errstate(all="ignore"):
        for name, dtype in itertools.product(FAMOUS, ("float32", "bfloat16", "float16", "float64")):
            stepped(FAMOUS[name], numpy(), parameters(numpy(), dtype), gradients(numpy(), dtype, steps=1), "cuda")
        for kind in NUMBERS:
            on_device(work_of([(word, kind, [0] * arity(word)) for word, _ in asked(kind)]), [1], kind)
    for kind in ENTRIES:
        words_ = [(word, str(answer_of(word, kind, (1,)))) for word, _ in asked(kind)]
        code = tuple([Instruction(word, answer, (0,) * arity(word)) for word, answer in words_])
        stores = tuple([(1 + k, 1 + k, answer) for k, (_, answer) in enumerate(words_)])
        gpu.compile(emit.source(Program((kind,), code, stores, (), "", True, False)), "run")
    bodies = [text.removeprefix(emit.preamble()) for text, _ in gpu.texts]
    renamed = [
        b.replace("__global__ void run(", f"__global__ void run{k}(") for k, b in enumerate(dict.fromkeys(bodies))
    ]
    renamed = [b.replace("void numbers(", f"void numbers{k}(") for k, b in enumerate(renamed)]
    path = tmp_path / "kernels.cu"
    path.write_text(emit.preamble() + "\n".join(renamed))
    options = "-ptx -std=c++17 -Werror all-warnings -diag-suppress 186"  # 186: templates ask whether x < 0
    command = ["nvcc", *options.split(), str(path), "-o", str(tmp_path / "kernels.ptx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "kernels.ptx").read_text().count(".entry") == len(renamed) + 1
