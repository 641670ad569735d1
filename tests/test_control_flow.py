"""Loops, branches and derivatives of our own, on every library, eagerly and compiled."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from arrayopt_conformance.libraries import Library, has, libraries

from arrayopt.control import cond, scan, while_loop
from arrayopt.derivatives import custom_jvp, scale_gradient, stop_gradient
from arrayopt.dispatch import namespace

RUNS = [(library, mode) for library in libraries().values() for mode in library.modes]
every = pytest.mark.parametrize(("library", "mode"), RUNS, ids=[f"{a.name}-{b}" for a, b in RUNS])
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),  # Torch's compiler does so
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),  # and its forward mode this
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]
needs_jax = pytest.mark.skipif("jax" not in libraries(), reason="needs jax")
needs_torch = pytest.mark.skipif("torch" not in libraries(), reason="needs torch")


class Carry(NamedTuple):
    count: Any
    x: Any


def powers(x: Any, limit: Any) -> Any:
    """How many times x is multiplied with itself before it is above the limit, and where that leads."""

    def below(c: Any) -> Any:
        return c.x < limit

    def body(c: Any) -> Any:
        return Carry(c.count + 1, c.x * x)

    return while_loop(below, body, Carry(0, x))


def sums(x: Any, reverse: bool) -> Any:
    def step(c: Any, row: Any) -> Any:
        total = c["total"] + row["x"]
        return {"total": total}, {"sum": total, "twice": (2 * row["x"], None)}

    return scan(step, {"total": 0 * x[0, ...]}, {"x": x}, reverse=reverse)


def run(library: Library, mode: str, f: Callable[..., Any], *xs: Any) -> Any:
    return library.numpy(library.modes[mode](f)(*xs))


@every
@pytest.mark.parametrize("limit", [1.0, 2.0, 50.0])
def test_while_loop(library: Library, mode: str, limit: float) -> None:
    found = run(library, mode, powers, library.asarray(2.0, "float32"), library.asarray(limit, "float32"))
    count, x = 0, 2.0
    while x < limit:
        count, x = count + 1, x * 2.0
    assert isinstance(found, Carry) and (int(found.count), float(found.x)) == (count, x)


@every
def test_a_loop_stops_by_a_flag_that_began_as_a_python_bool(library: Library, mode: str) -> None:
    def f(x: Any) -> Any:
        def body(c: Any) -> Any:
            return {"going": c["x"] < 10, "x": c["x"] + 1, "same": c["same"]}

        return while_loop(lambda c: c["going"], body, {"going": True, "x": x, "same": x})

    found = run(library, mode, f, library.asarray(0.0, "float32"))
    assert not bool(found["going"]) and float(found["x"]) == 11 and float(found["same"]) == 0


@every
@pytest.mark.parametrize("reverse", [False, True])
def test_scan(library: Library, mode: str, reverse: bool) -> None:
    x = np.arange(6.0, dtype="f4").reshape(3, 2) - 2
    carry, ys = run(library, mode, partial(sums, reverse=reverse), library.asarray(x, "float32"))
    wanted = np.cumsum(x[::-1], axis=0)[::-1] if reverse else np.cumsum(x, axis=0)
    np.testing.assert_array_equal(carry["total"], x.sum(axis=0))
    np.testing.assert_array_equal(ys["sum"], wanted)
    np.testing.assert_array_equal(ys["twice"][0], 2 * x)
    assert ys["twice"][1] is None


@every
def test_scan_of_a_number_of_steps(library: Library, mode: str) -> None:
    carry, ys = run(library, mode, lambda x: scan(lambda c, _: (2 * c, None), x, length=4), library.asarray(1.0))
    assert float(carry) == 16 and ys is None


@every
def test_scan_of_no_steps(library: Library, mode: str) -> None:
    x = library.asarray(np.zeros((0, 2)), "float32")
    carry, ys = run(
        library, mode, lambda x: scan(lambda c, r: (c + r, (r, c)), 0 * namespace(x).sum(x, axis=0), x), x
    )
    assert carry.tolist() == [0, 0] and [y.shape for y in ys] == [(0, 2), (0, 2)]
    assert {y.dtype for y in ys} == {np.dtype("float32")}


@every
@pytest.mark.parametrize("value", [1.0, -1.0])
def test_cond_of_trees(library: Library, mode: str, value: float) -> None:
    def f(x: Any) -> Any:
        return cond(x > 0, lambda y: {"a": y, "b": (2 * y,)}, lambda y: {"a": -y, "b": (0 * y,)}, x)

    found = run(library, mode, f, library.asarray(value, "float32"))
    assert (float(found["a"]), float(found["b"][0])) == ((1, 2) if value > 0 else (1, 0))


def test_cond_of_a_python_bool_computes_one_side() -> None:
    assert cond(True, lambda: 1, lambda: 1 / 0) == 1


@every
def test_values_are_what_they_were(library: Library, mode: str) -> None:
    x = library.asarray([1.0, -2.0], "float32")
    f = library.modes[mode](lambda x: (stop_gradient({"x": x})["x"], scale_gradient(x, 3.0), square(x)))
    found = library.numpy(f(x))
    assert [y.tolist() for y in found] == [[1, -2], [1, -2], [1, 4]]


def _square_jvp(xs: Any, tangents: Any) -> Any:
    return 3 * xs[0] * tangents[0]  # not the true derivative: so one sees whose it is


@custom_jvp(_square_jvp)
def square(x: Any) -> Any:
    return x * x


def _ratio_jvp(xs: Any, tangents: Any) -> Any:
    x, y = xs
    return tangents[0] / y - 2 * x / (y * y) * tangents[1]


@custom_jvp(_ratio_jvp)
def ratio(x: Any, y: Any) -> Any:
    return x / y


def weighted(x: Any, n: Any) -> Any:
    """A scan that closes over what is differentiated: x + x² + … ."""
    return scan(lambda c, k: (c * x, c * x * k), 0 * x + 1, n)[1].sum()


def weighted_slope(x: float, n: list[float]) -> float:
    return sum(k * (i + 1) * x**i for i, k in enumerate(n))


# -- JAX -----------------------------------------------------------------------------------------------------------


@needs_jax
@pytest.mark.parametrize("where", ["init", "closure", "condition"])
def test_jax_traces_whatever_is_traced(where: str) -> None:
    import jax
    import jax.numpy as jnp

    def f(x: Any) -> Any:
        first = 2.0 * x if where == "init" else jnp.float32(2.0)
        top = 50.0 * x if where == "condition" else 50.0
        factor = 2.0 * x if where == "closure" else 2.0
        return while_loop(lambda c: c < top, lambda c: (c * factor).astype(jnp.float32), first.astype(jnp.float32))

    one = jnp.float32(1.0)
    assert f(one) == jax.jit(f)(one) == 64
    assert jax.vmap(f)(jnp.ones(3)).tolist() == [64, 64, 64]
    slope = jax.jvp(f, (one,), (one,))[1]
    assert slope == {"init": 64, "closure": 320, "condition": 0}[where]
    assert str(jax.make_jaxpr(f)(one)).count("while[") == 1


@needs_jax
def test_jax_goes_on_until_no_row_does() -> None:
    import jax
    import jax.numpy as jnp

    found = jax.vmap(powers, (None, 0))(jnp.float32(2.0), jnp.asarray([1.0, 5.0, 50.0]))
    assert found.count.tolist() == [0, 2, 5] and found.x.tolist() == [2, 8, 64]


@needs_jax
def test_jax_compiles_nothing_of_a_loop_on_values(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax
    import jax.numpy as jnp

    monkeypatch.setattr(jax.lax, "while_loop", None)
    monkeypatch.setattr(jax.lax, "scan", None)
    assert powers(jnp.float32(2.0), jnp.float32(50.0)).x == 64
    assert float(weighted(jnp.float32(2.0), jnp.ones(3))) == 14


@needs_jax
def test_jax_scans_once_under_jit_whatever_is_traced() -> None:
    import jax
    import jax.numpy as jnp

    n = jnp.asarray([1.0, 2.0, 3.0])
    assert str(jax.make_jaxpr(lambda x: weighted(x, n))(2.0)).count("scan[") == 1
    assert str(jax.make_jaxpr(lambda x: x * weighted(jnp.float32(2.0), n))(2.0)).count("scan[") == 1
    for f in (jax.grad(weighted), jax.jit(jax.grad(weighted)), jax.grad(jax.jit(weighted))):
        assert f(2.0, n) == weighted_slope(2.0, [1, 2, 3])
    assert jax.vmap(jax.grad(weighted), (0, None))(jnp.asarray([1.0, 2.0]), n).tolist() == [14, 45]


@needs_jax
def test_jax_has_our_derivatives() -> None:
    import jax
    import jax.numpy as jnp

    x = jnp.float32(2.0)
    for wrap in (lambda f: f, jax.jit):
        assert wrap(jax.grad(square))(x) == 6 and wrap(jax.grad(jax.grad(square)))(x) == 3
        assert wrap(jax.jacfwd(square))(x) == 6 and wrap(jax.hessian(square))(x) == 3
        assert wrap(jax.grad(ratio, (0, 1)))(x, x) == (0.5, -1)
        assert wrap(jax.vmap(jax.grad(square)))(jnp.ones(2)).tolist() == [3, 3]
        assert wrap(jax.grad(lambda x: stop_gradient(x) * x))(x) == 2
        assert wrap(jax.grad(lambda x: scale_gradient({"x": x}, -3)["x"] ** 2))(x) == -12
        assert wrap(jax.grad(lambda x, s: scale_gradient(x, s) ** 2, (0, 1)))(x, x) == (8, 0)


# -- Torch ---------------------------------------------------------------------------------------------------------


def compiled(f: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    return torch.compile(f, fullgraph=True, backend="aot_eager")


def backward(f: Callable[..., Any], *xs: float) -> Any:
    import torch

    leaves: list[Any] = [torch.tensor(x, requires_grad=True) for x in xs]
    f(*leaves).backward()
    return tuple([float(x.grad) for x in leaves])


@needs_torch
def test_torch_goes_on_until_no_row_does() -> None:
    import torch

    found = torch.func.vmap(powers, (None, 0))(torch.tensor(2.0), torch.tensor([1.0, 5.0, 50.0]))
    assert found.count.tolist() == [0, 2, 5] and found.x.tolist() == [2, 8, 64]
    slope = torch.func.vmap(torch.func.grad(lambda x, y: powers(x, y).x), (None, 0))
    assert slope(torch.tensor(2.0), torch.tensor([1.0, 5.0, 50.0])).tolist() == [1, 12, 192]


@needs_torch
def test_torch_differentiates_loops() -> None:
    import torch

    assert backward(lambda x: powers(x, 50.0).x, 2.0) == (192,)
    assert backward(compiled(lambda x: powers(x, 50.0).x), 2.0) == (192,)
    n = torch.tensor([1.0, 2.0, 3.0])
    for f in (lambda x: weighted(x, n), compiled(lambda x: weighted(x, n))):
        assert backward(f, 2.0) == (weighted_slope(2.0, [1, 2, 3]),)
    assert torch.func.vmap(torch.func.grad(weighted), (0, None))(torch.tensor([1.0, 2.0]), n).tolist() == [14, 45]


@needs_torch
def test_torch_names_what_it_cannot_compile() -> None:
    import torch

    unsupported = importlib.import_module("torch._dynamo.exc").Unsupported

    def closed(x: Any) -> Any:
        return while_loop(lambda c: c < 50, lambda c: c * x, torch.tensor(2.0))

    with pytest.raises(unsupported, match="arrayopt: a compiled while_loop has a derivative only if"):
        backward(compiled(closed), 2.0)
    assert compiled(closed)(torch.tensor(2.0)) == 64
    assert backward(closed, 2.0) == backward(torch.compile(closed, backend="eager"), 2.0) == (160,)
    with pytest.raises(unsupported, match=r"a while_loop within torch\.func cannot be"):
        compiled(torch.func.grad(closed))(torch.tensor(2.0))


@needs_torch
@pytest.mark.parametrize("how", [lambda f: f, compiled], ids=["eager", "compile"])
def test_torch_has_our_derivatives(how: Callable[..., Any]) -> None:
    import torch

    func: Any = torch.func
    x = torch.tensor(2.0)
    assert backward(how(square), 2.0) == (6,) and backward(how(ratio), 2.0, 2.0) == (0.5, -1)
    assert how(func.grad(square))(x) == 6 and how(func.grad(func.grad(square)))(x) == 3
    assert how(func.vmap(func.grad(square)))(torch.ones(2)).tolist() == [3, 3]
    assert backward(how(lambda x: stop_gradient(x) * x), 2.0) == (2,)
    assert backward(how(lambda x: scale_gradient({"x": x}, -3)["x"] ** 2), 2.0) == (-12,)
    assert how(func.grad(lambda x: scale_gradient(x, 0.5) ** 2))(x) == 2
    assert how(func.hessian(square))(x) == 3


@needs_torch
def test_torch_has_our_derivatives_along_a_tangent_and_twice() -> None:
    import torch

    x = torch.tensor(2.0)
    assert torch.func.jvp(square, (x,), (x,))[1] == 12
    y = torch.tensor(2.0, requires_grad=True)
    (first,) = torch.autograd.grad(square(y), y, create_graph=True)
    assert torch.autograd.grad(first, y)[0] == 3
    assert torch.func.grad(lambda x: ratio(x, torch.tensor(4.0)))(x) == 0.25


# -- errors --------------------------------------------------------------------------------------------------------

ARRAY = np.zeros(2)
WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: while_loop(lambda c: c < 1, lambda c: c, 0.0), TypeError, "while_loop: there must be an array in init"),
    (
        lambda: while_loop(lambda c: c < 1, lambda c: c, ARRAY),
        ValueError,
        r"condition must be 0-d; its shape is \(2,\)",
    ),
    (
        lambda: while_loop(lambda c: c[0] < 1, lambda c: [c[0] + 1], [ARRAY[0], ARRAY]),
        ValueError,
        "while_loop: body must keep the structure of the carry",
    ),
    (
        lambda: while_loop(lambda c: c["a"] < 1, lambda c: {"a": c["a"] + ARRAY}, {"a": np.asarray(0.0)}),
        ValueError,
        r"body must keep shape and dtype of the carry; at \['a'\] it is float64\[\], and becomes float64\[2\]",
    ),
    (lambda: scan(lambda c, x: (c, x), ARRAY), ValueError, "got no length"),
    (lambda: scan(lambda c, x: (c, x), ARRAY, ARRAY, length=3), ValueError, r"got lengths \['2', '3'\]"),
    (lambda: scan(lambda c, x: (c, x), ARRAY, np.asarray(0.0)), ValueError, "must say how many steps"),
    (lambda: scan(lambda c, x: (c > 0, x), ARRAY, ARRAY), ValueError, "scan: f must keep shape and dtype"),
    (lambda: cond(ARRAY > 0, lambda: ARRAY, lambda: ARRAY), ValueError, r"cond: the condition must be 0-d"),
    (
        lambda: scale_gradient(ARRAY, cast(Any, "2")),
        TypeError,
        "scale_gradient: scale must be a number or a 0-d array; got",
    ),
    (lambda: scale_gradient(ARRAY, ARRAY), ValueError, r"scale must be 0-d; its shape is \(2,\)"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_errors(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


@every
def test_branches_must_agree(library: Library, mode: str) -> None:
    def f(x: Any) -> Any:
        return cond(x > 0, lambda: [x, x], lambda: [x])

    if (library.name, mode) in (("numpy", "eager"), ("jax", "eager")):
        pytest.skip("one branch is computed, and the other never seen")
    with pytest.raises(Exception, match=r"must put out the same structure|must have same type structure"):
        library.modes[mode](f)(library.asarray(1.0, "float32"))


def test_inputs_are_left_alone() -> None:
    x = np.arange(3.0)
    x.flags.writeable = False
    scan(lambda c, r: (c + r, r), np.asarray(0.0), x)
    assert scale_gradient(x, 2.0) is x


@pytest.mark.skipif(not has("torch"), reason="needs torch")
@pytest.mark.parametrize("outer", ["jacfwd", "jacrev"])
@pytest.mark.parametrize("inner", ["jacfwd", "jacrev"])
def test_second_derivatives_of_ones_own_in_every_order_of_modes(inner: str, outer: str) -> None:
    torch: Any = importlib.import_module("torch")

    @custom_jvp(lambda xs, tangents: 3 * xs[0] ** 2 * tangents[0])
    def cube(x: Any) -> Any:
        return x * x * x

    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    second = getattr(torch.func, outer)(getattr(torch.func, inner)(lambda x: cube(x).sum()))
    assert torch.equal(second(x), torch.diag(6 * x))


@pytest.mark.skipif(not has("torch"), reason="needs torch")
def test_forward_mode_three_times_is_refused_rather_than_wrong() -> None:
    torch: Any = importlib.import_module("torch")
    cube = custom_jvp(lambda xs, tangents: 3 * xs[0] ** 2 * tangents[0])(lambda x: x * x * x)
    third = torch.func.jacfwd(torch.func.jacfwd(torch.func.jacfwd(cube)))
    with pytest.raises(NotImplementedError, match="goes to second order"):
        third(torch.tensor(2.0, dtype=torch.float64))
