"""Arrays that lie in memory in odd ways: a fused step gives what the eager one gives, and writes nowhere else."""

from __future__ import annotations

import importlib
import math
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import assert_near, bits
from arrayopt_conformance.harness.fused import copied, kernel_engines, rule
from arrayopt_conformance.libraries import Library, libraries
from cuda_on_host import emulate

import arrayopt
from arrayopt.dispatch import is_array
from arrayopt.dispatch import library as library_of
from arrayopt.tree.structure import flatten

CUDA = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
BOTH = [library for name, library in libraries().items() if name in ("numpy", "torch")]
PLACES = [*kernel_engines("numpy", "torch"), *[(library, "cuda") for library in BOTH]]
ENGINES = [pytest.param(*place, marks=CUDA if place[1] == "cuda" else ()) for place in PLACES]


def engines_of(name: str, *others: str) -> list[Any]:
    """The engines of a library, for ``pytest.mark.parametrize``."""
    found = [*[engine for library, engine in PLACES if library.name == name], *others]
    return [pytest.param(engine, marks=CUDA if engine == "cuda" else ()) for engine in found]


@pytest.fixture(autouse=True)
def emulated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the engine is ``"cuda"``, what stands for a GPU."""
    if request.node.callspec.params["engine"] == "cuda":
        for name in {library.name for library, _ in PLACES}:
            emulate(name, monkeypatch)


FEW = {"float64": 8 * 2.0**-52, "float32": 8 * 2.0**-23}

Shape = tuple[int, ...]
Layout = Callable[[Library, Any], tuple[Any, Any]]  # from a contiguous array to one like it, and what it is a part of


def plain(library: Library, x: Any) -> tuple[Any, Any]:
    new = library.backend.copy(x)
    return new, new


def sevens(library: Library, shape: Shape, dtype: Any) -> Any:
    return library.backend.xp.zeros(shape, dtype=dtype) + 7


def every_second(library: Library, x: Any) -> tuple[Any, Any]:
    base = sevens(library, (*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    return base[..., 1::2], base


def columns(library: Library, x: Any) -> tuple[Any, Any]:
    base = sevens(library, (*x.shape[:-1], x.shape[-1] + 3), x.dtype)
    return base[..., 2 : 2 + x.shape[-1]], base


def transposed(library: Library, x: Any) -> tuple[Any, Any]:
    xp, axes = library.backend.xp, tuple(range(x.ndim))[::-1]
    base = xp.zeros(x.shape[::-1], dtype=x.dtype) + 7
    return xp.permute_dims(base, axes), base


def channels_last(library: Library, x: Any) -> tuple[Any, Any]:
    xp = library.backend.xp
    base = xp.zeros((x.shape[0], *x.shape[2:], x.shape[1]), dtype=x.dtype) + 7
    return xp.permute_dims(base, (0, x.ndim - 1, *range(1, x.ndim - 1))), base


def a_row(library: Library, x: Any) -> tuple[Any, Any]:
    base = sevens(library, (3, *x.shape), x.dtype)
    return base[1, ...], base


def backwards(library: Library, x: Any) -> tuple[Any, Any]:
    base = np.full(x.shape, 7, dtype=x.dtype)
    return base[..., ::-1], base


def unaligned(library: Library, x: Any) -> tuple[Any, Any]:
    base = np.full(x.nbytes + 2, 7, dtype=np.uint8)
    return base[1:-1].view(x.dtype).reshape(x.shape), base


def a_field(library: Library, x: Any) -> tuple[Any, Any]:
    base = np.zeros(x.shape, dtype=[("a", np.int16), ("x", x.dtype), ("b", np.int8)])
    return base["x"], base


ANY: list[Layout] = [plain, a_row]
WITH_AXES: list[Layout] = [every_second, columns, transposed]
MATRICES: list[Layout] = [channels_last]
OF_NUMPY: list[Layout] = [backwards, unaligned, a_field]


def laid_out(library: Library, x: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """The values of an array in some other layout, and what that is a part of."""
    found = [*ANY, *ANY]
    if x.ndim and math.prod(x.shape):
        found += [*WITH_AXES, *(OF_NUMPY if library.name == "numpy" else [])]
    if x.ndim > 2 and math.prod(x.shape):
        found += MATRICES * 3
    new, base = found[rng.integers(len(found))](library, x)
    library.backend.assign(new, x)
    return new, base


def expanded(library: Library, x: Any) -> Any:
    """A gradient whose entries lie in one place."""
    return library.backend.xp.broadcast_to(x[:1, ...], x.shape) if x.ndim and x.shape[0] else x


SHAPES: dict[str, Shape] = {"a": (5, 6), "b": (7,), "c": (), "d": (2, 3, 4, 5), "e": (0, 3), "f": (4, 1, 3)}


def rules() -> dict[str, Any]:
    return {
        "adamw": arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adamw(0.1, weight_decay=0.1)),
        "adafactor": arrayopt.adafactor(0.1, min_dim_size_to_factor=2, momentum=0.9),
    }


def untouched(base: Any, part: Any) -> Any:
    """The bytes of a base outside of a part of it."""
    base, part = [np.asarray(libraries()[library_of(x)].backend.to_numpy(x)) for x in (base, part)]
    mask = np.ones(base.nbytes, dtype=bool)
    start = part.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    for index in np.ndindex(part.shape):
        at = start + sum([i * step for i, step in zip(index, part.strides, strict=True)])
        mask[at : at + part.itemsize] = False
    return np.frombuffer(base.tobytes(), dtype=np.uint8)[mask].tobytes() if base.flags.c_contiguous else None


@pytest.mark.parametrize("name", rules())
@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_any_layout_will_do(library: Library, engine: str, name: str) -> None:
    tx = rules()[name]
    step, mixed = arrayopt.fused_step(tx, engine=engine), name == "adamw" or engine == "tiles"
    for seed in range(12):
        once(library, tx, step, np.random.default_rng(seed), ["float64", "float32"] if mixed else ["float32"])


def once(library: Library, tx: Any, step: Any, rng: np.random.Generator, dtypes: list[str]) -> None:
    """A few steps; another mixture of dtypes is a few kernels."""
    kinds = dict(zip(SHAPES, rng.choice(dtypes, len(SHAPES)), strict=True))

    def tree() -> Any:
        return {
            key: library.asarray(np.asarray(rng.standard_normal(s)), str(kinds[key])) for key, s in SHAPES.items()
        }

    params, days = tree(), [tree() for _ in range(2)]
    state = tx.init(params)
    leaves, spec = flatten((params, state))
    odd = [laid_out(library, x, rng) if is_array(x) else (x, None) for x in leaves]
    given = spec.unflatten([x for x, _ in odd])
    before = [untouched(base, x) for x, base in odd]
    for gs in days:
        laid = {key: laid_out(library, g, rng)[0] for key, g in gs.items()}
        if rng.integers(2):
            key = str(rng.choice(["a", "b", "d"]))
            laid[key] = expanded(library, laid[key])
            gs[key] = library.backend.copy(laid[key])
        sealed = [laid_as(library, x) for x in laid.values()]
        told = [bits(x) for x in sealed]
        found = step(given[0], dict(zip(laid, sealed, strict=True)), given[1])
        assert [bits(x) for x in sealed] == told, "a gradient is written to"
        us, state = tx.update(gs, state, params)
        params = arrayopt.apply_updates(params, us)
        assert all([a is b for a, b in zip(flatten(found)[0], flatten(given)[0], strict=True)])
        for key, kind in kinds.items():
            assert_near(found[0][key], params[key], FEW[str(kind)], f"the parameter {key} ({kind})")
        assert_near(found[1], state, FEW["float32"], "the state")
    assert [untouched(base, x) for x, base in odd] == before, "memory outside of a view is written to"


def laid_as(library: Library, x: Any) -> Any:
    """A gradient that may not be written to, where the library knows of such."""
    if library.name == "numpy":
        x = x.view()
        x.setflags(write=False)
    return x


@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_views_into_one_another_are_stepped_apart(library: Library, engine: str) -> None:
    """Columns of one matrix as parameters, others as gradients: their ranges meet, their entries do not."""
    base = library.asarray(np.arange(24.0).reshape(4, 6), "float64")
    params = {"left": base[:, :2], "right": base[:, 2:4]}
    wanted = copied(params, library)
    gs = {"left": base[:, 4:], "right": wanted["left"]}
    rest = bits(base[:, 4:])
    tx = arrayopt.adam(0.1)
    state, eager = tx.init(params), tx.init(params)
    for _ in range(2):
        us, eager = tx.update(copied(gs, library), eager, wanted)
        wanted = arrayopt.apply_updates(wanted, us)
        _, state = arrayopt.fused_step(tx, engine=engine)(params, gs, state)
    assert_near(params, wanted, FEW["float64"], "the parameters")
    assert bits(base[:, 4:]) == rest


@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_a_gradient_may_lie_in_what_is_written(library: Library, engine: str) -> None:
    """It is the parameter itself, a view of it upside down, or a slot of the state."""
    tx = arrayopt.chain(arrayopt.trace(0.9), arrayopt.scale(0.5))
    for n in (6, 40_000):  # one tile, and several
        for make in (lambda p, m: p, lambda p, m: p[1:-1], lambda p, m: library.backend.xp.flip(p), lambda p, m: m):
            base = library.asarray(np.arange(n, dtype=float), "float64")
            p, state = base[1:-1], tx.init(base[1:-1])
            g = make(base, state[0].trace) if make(base, state[0].trace).shape == p.shape else make(p, state[0].trace)
            us, wanted_state = tx.update(library.backend.copy(g), copied(state, library), library.backend.copy(p))
            wanted = arrayopt.apply_updates(library.backend.copy(p), us)
            p, state = arrayopt.fused_step(tx, engine=engine)(p, g, state)
            assert_near(p, wanted, 0.0, "the parameter")
            assert_near(state, wanted_state, 0.0, "the state")


def shifted(xp: Any, g: Any, s: Any, p: Any) -> Any:
    """Everything reads what something else writes: parameter and slots change places, upside down and across."""
    return s[0] - p + s[1].T, (xp.flip(p, axis=0) + g, p.T + s[0] * 0.5)


@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_views_of_what_is_written_are_read_before(library: Library, engine: str) -> None:
    rng = np.random.default_rng(0)
    for n in (5, 200):  # one tile, and several
        p, g, *slots = [library.asarray(rng.standard_normal((n, n)), "float64") for _ in range(4)]
        tx = rule(shifted, *slots)
        us, wanted_state = tx.update(g, tuple(slots), p)
        wanted = arrayopt.apply_updates(p, us)
        p, state = arrayopt.fused_step(tx, engine=engine)(*copied((p, g, tuple(slots)), library))
        assert_near(p, wanted, FEW["float64"], "the parameter")
        assert_near(state, wanted_state, FEW["float64"], "the slots")


@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_an_array_the_rule_holds_may_be_the_parameter(library: Library, engine: str) -> None:
    """Held back to where it began, by a rule that was handed the parameter itself, or a part of it upside down."""
    for n in (6, 40_000):
        for part in (lambda p: p, lambda p: library.backend.xp.flip(p)):
            p = library.asarray(np.arange(n, dtype=float), "float64")
            held, before = part(p), library.backend.copy(part(p))

            def formula(xp: Any, g: Any, s: Any, q: Any, held: Any = held) -> Any:
                return g - 0.5 * held, (xp.sum(held) + s[0],)

            def wanted_formula(xp: Any, g: Any, s: Any, q: Any, held: Any = before) -> Any:
                return g - 0.5 * held, (xp.sum(held) + s[0],)

            zero = library.asarray(np.zeros(()), "float64")
            g = library.backend.copy(p)
            us, state = rule(wanted_formula, zero).update(g, (zero,), p)
            wanted = arrayopt.apply_updates(p, us)
            p, found = arrayopt.fused_step(rule(formula, zero), engine=engine)(p, g, (library.backend.copy(zero),))
            assert_near(p, wanted, FEW["float64"], "the parameter")
            assert_near(found, state, FEW["float64"], "the state")


# -- what cannot be stepped is refused, and nothing is written ---------------------------------------------------


def refused(library: Library, engine: str, params: Any, state: Any, match: str) -> None:
    tx = arrayopt.sgd(0.1, momentum=0.9)
    state = tx.init(params) if state is None else state
    before = [bits(x) for x in flatten((params, state))[0]]
    with pytest.raises(ValueError, match=match):
        arrayopt.fused_step(tx, engine=engine)(params, arrayopt.tree.zeros_like(copied(params, library)), state)
    assert [bits(x) for x in flatten((params, state))[0]] == before


EVERY_ENGINE = [*ENGINES, *[(library, "eager") for library in BOTH]]


@pytest.mark.parametrize(("library", "engine"), EVERY_ENGINE, ids=str)
def test_tied_parameters_are_refused(library: Library, engine: str) -> None:
    x = library.asarray(np.ones((2, 3)), "float32")
    shared = r"the parameter at \['head'\] and the parameter at \['table'\] share memory"
    refused(library, engine, {"head": x, "table": x}, None, shared)
    refused(library, engine, {"head": x, "table": x[1:, :]}, None, shared)
    refused(library, engine, {"head": x[:, :2], "table": x[:, 1:]}, None, shared)


@pytest.mark.parametrize(("library", "engine"), EVERY_ENGINE, ids=str)
def test_a_state_in_the_parameters_is_refused(library: Library, engine: str) -> None:
    params = {"w": library.asarray(np.ones((2, 3)), "float32")}
    tx = arrayopt.sgd(0.1, momentum=0.9)
    state = arrayopt.tree.map(lambda x: params["w"] if x.ndim else x, tx.init(params))
    refused(library, engine, params, state, r"the parameter at \['w'\] and the state at .*\['w'\] share memory")


@pytest.mark.parametrize("engine", engines_of("numpy", "eager"))
def test_read_only_parameters_are_refused(engine: str) -> None:
    library = libraries()["numpy"]
    x = np.ones((2, 3))
    x.setflags(write=False)
    refused(library, engine, {"w": x}, None, r"the parameter at \['w'\] must be writable")
    refused(library, engine, {"w": np.broadcast_to(np.ones(3), (2, 3))}, None, "must be writable")


@pytest.mark.parametrize("engine", engines_of("numpy"))
def test_a_parameter_that_was_sealed_since_is_refused(engine: str) -> None:
    tx, x = arrayopt.sgd(0.1), np.ones(3)
    step = arrayopt.fused_step(tx, engine=engine)
    step({"w": x}, {"w": x.copy()}, tx.init({"w": x}))
    x.setflags(write=False)
    with pytest.raises(ValueError, match=r"the parameter at \['w'\] must be writable"):
        step({"w": x}, {"w": np.ones(3)}, tx.init({"w": x}))
    assert (x == 0.9).all()


@pytest.mark.parametrize(("library", "engine"), EVERY_ENGINE, ids=str)
def test_parameters_that_overlap_themselves_are_refused(library: Library, engine: str) -> None:
    overlapping = "must have a place in memory for each entry"
    if library.name == "torch":
        base = library.asarray(np.arange(6.0), "float32")
        refused(library, engine, {"w": base[:3].expand(2, 3)}, None, overlapping)
        refused(library, engine, {"w": base.as_strided((3, 3), (1, 1))}, None, overlapping)
    else:
        strided = np.lib.stride_tricks.as_strided
        base = np.arange(6.0)
        refused(library, engine, {"w": strided(base, (2, 3), (0, 8))}, None, overlapping)
        refused(library, engine, {"w": strided(base, (3, 3), (8, 8))}, None, overlapping)
        refused(library, engine, {"w": strided(base, (2, 2), (8, 4))}, None, overlapping)


@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_strides_may_cross_without_an_overlap(library: Library, engine: str) -> None:
    """Three rows of two, strides of 2 and 3: the entries lie at 0 3 2 5 4 7, each at a place of its own."""
    base = library.asarray(np.arange(8.0), "float64")
    w = (
        base.as_strided((3, 2), (2, 3))
        if library.name == "torch"
        else np.lib.stride_tricks.as_strided(base, (3, 2), (16, 24))
    )
    arrayopt.fused_step(arrayopt.sgd(1.0), engine=engine)(w, library.backend.copy(w), arrayopt.sgd(1.0).init(w))
    assert library.numpy(base).tolist() == [0, 1, 0, 0, 0, 0, 6, 0]


# -- Torch ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", engines_of("torch"))
def test_the_memory_of_a_tensor_may_be_exchanged(engine: str) -> None:
    """``p.data = …`` between steps: other memory, another order, the same address and another order."""
    torch: Any = importlib.import_module("torch")
    cube = torch.arange(64.0).reshape(4, 4, 4)
    p = torch.nn.Parameter(torch.ones(4, 4, 4))
    tx = arrayopt.sgd(1.0)
    step, state = arrayopt.fused_step(tx, engine=engine), tx.init(p)
    for data in (torch.ones(4, 4, 4), cube, cube.permute(1, 0, 2), cube.permute(2, 1, 0), cube.permute(2, 0, 1)):
        p.data = data
        gradient = torch.arange(64.0).reshape(4, 4, 4)
        wanted = data - gradient
        p, state = step(p, gradient, state)
        torch.testing.assert_close(data, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("engine", engines_of("torch"))
def test_odd_gradients_may_come_after_plain_ones(engine: str) -> None:
    """Of the same shape and dtype: negated or conjugated lazily, sparse, or wanting a derivative."""
    torch: Any = importlib.import_module("torch")
    tx = arrayopt.sgd(1.0)
    step = arrayopt.fused_step(tx, engine=engine)
    p = torch.zeros(3)
    state = tx.init(p)
    z = torch.tensor([1 + 2j, 3 - 4j, 5j])
    odd = [
        torch.ones(3),
        torch.imag(torch.conj(z)),
        torch.tensor([1.0, 0, 2]).to_sparse(),
        torch.ones(3).requires_grad_() * 2,
    ]
    for gradient in odd:
        dense = gradient.to_dense() if gradient.is_sparse else gradient
        wanted = p - dense.detach()
        p, state = step(p, gradient, state)
        torch.testing.assert_close(p, wanted, rtol=0, atol=0)
        assert not p.requires_grad


@pytest.mark.parametrize("engine", engines_of("torch"))
def test_a_tensor_that_moved_to_another_device_is_not_taken_for_the_old_one(engine: str) -> None:
    """On the meta device, which stands for a GPU: an address there means nothing here."""
    torch: Any = importlib.import_module("torch")
    tx = arrayopt.sgd(1.0)
    step, p = arrayopt.fused_step(tx, engine=engine), torch.nn.Parameter(torch.ones(3))
    step({"w": p}, {"w": torch.ones(3)}, tx.init({"w": p}))
    elsewhere = torch.nn.Parameter(torch.ones(3, device="meta"))
    try:
        step({"w": elsewhere}, {"w": torch.ones(3, device="meta")}, tx.init({"w": elsewhere}))
    except ValueError as error:
        assert "meta" in str(error) or "cannot serve" in str(error)
