"""What is handed to a transform when it is made, and to init: taken, or refused for the reason it is."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.libraries import COMPLEX, Library

import arrayopt

X = np.ones(2)

# -- transforms ------------------------------------------------------------------------------------------------

NO_TRANSFORMS: dict[str, tuple[Any, str]] = {
    "a number": (1, r"got int 1\."),
    "nothing": (None, r"got NoneType None\."),
    "a list": ([arrayopt.scale(1.0)], r"got list .*\. Write chain\(\*transforms\)\."),
    "a factory": (arrayopt.adam, r"got function .*\. Call adam to make one\."),
    "a class": (arrayopt.GradientTransformation, r"got type .*\. Call GradientTransformation to make one\."),
    "half of one": (SimpleNamespace(init=len), r"got SimpleNamespace .*\."),
}


@pytest.mark.parametrize("what", NO_TRANSFORMS)
def test_what_is_no_transform_is_refused(what: str) -> None:
    value, got = NO_TRANSFORMS[what]
    makes: dict[str, Callable[[], Any]] = {
        "chain: transform 1": lambda: arrayopt.chain(arrayopt.identity(), value),
        "masked: inner": lambda: arrayopt.masked(value, True),
        "with_extra_args_support: a transform": lambda: arrayopt.with_extra_args_support(value),
    }
    for who, make in makes.items():
        with pytest.raises(TypeError, match=f"^{who} must have init and update; {got}$"):
            make()


def test_anything_with_init_and_update_is_a_transform() -> None:
    class Halved:
        def init(self, params: Any) -> Any:
            return ()

        def update(self, updates: Any, state: Any, params: Any = None) -> Any:
            return arrayopt.tree.scale(0.5, updates), state

    tx = arrayopt.chain(Halved(), arrayopt.masked(Halved(), True))
    assert tx.update(X, tx.init(X), X)[0].tolist() == [0.25, 0.25]


# -- masks -----------------------------------------------------------------------------------------------------


def test_bools_of_any_library_make_a_mask(library: Library) -> None:
    flags = {"a": library.asarray(True, "bool"), "b": library.asarray(False, "bool")}
    p = library.tree({"a": X, "b": X}, "float32")
    tx = arrayopt.masked(arrayopt.scale(2.0), flags)
    u, _ = tx.update(p, tx.init(p), p)
    assert [float(library.numpy(u[k])[0]) for k in "ab"] == [2.0, 1.0]


def test_a_module_of_bools_is_a_mask_and_not_called() -> None:
    equinox, jnp = pytest.importorskip("equinox"), pytest.importorskip("jax.numpy")

    class Model(equinox.Module):  # type: ignore[misc,name-defined]
        w: Any
        b: Any

        def __call__(self, x: Any) -> Any:
            raise AssertionError("a mask is not called")

    p = Model(jnp.ones(2), jnp.ones(2))
    for mask in (Model(True, False), Model(jnp.asarray(True), jnp.asarray(False))):
        tx = arrayopt.masked(arrayopt.scale(2.0), mask)
        u, _ = tx.update(p, tx.init(p), p)
        assert (float(u.w[0]), float(u.b[0])) == (2.0, 1.0)


# -- leaves ----------------------------------------------------------------------------------------------------

LEAVES: dict[str, tuple[Callable[[], Any], str]] = {
    "another byte order": (lambda: np.ones(2, ">f4"), r"is of dtype >f4, in the byte order of another machine; .*"),
    "complex, too": (lambda: np.ones(2, ">c8"), r"is of dtype >c8, in the byte order of another machine; .*"),
    "longer": (lambda: np.ones(2, np.longdouble), r"is of dtype float128; arrayopt computes with float16, .*"),
    "shorter": (
        lambda: np.ones(2, pytest.importorskip("ml_dtypes").float8_e4m3fn),
        r"is of dtype float8_e4m3fn; arrayopt computes with float16, .*",
    ),
    "integers": (lambda: np.ones(2, np.int64), r"must be floating point or complex; got int64\. Put None .*"),
    "bools": (lambda: np.ones(2, bool), r"must be floating point or complex; got bool\. Put None .*"),
    "no derivative": (
        lambda: np.zeros(2, pytest.importorskip("jax").dtypes.float0),
        r"is of JAX's float0, which stands for no gradient; put None in its place",
    ),
    "a whole number": (lambda: 1, r"must be an array; got int 1"),
    "a shape": (
        lambda: pytest.importorskip("jax").ShapeDtypeStruct((2,), "float32"),
        r"must be an array; got ShapeDtypeStruct .*\. jax\.eval_shape\(optimizer\.init, params\) makes .*",
    ),
}


@pytest.mark.parametrize("what", [name for name in LEAVES if name != "longer" or np.longdouble(1).itemsize == 16])
def test_a_leaf_is_refused_for_what_it_is(what: str) -> None:
    make, message = LEAVES[what]
    tx = arrayopt.adam(0.1)
    with pytest.raises(TypeError, match=rf"^adam: the parameter at \['w'\] {message}\.$"):
        tx.init({"w": make()})
    with pytest.raises(TypeError, match=rf"^adam: the gradient at \['w'\] {message}\.$"):
        tx.update({"w": make()}, tx.init({"w": X}), {"w": X})
    with pytest.raises(TypeError, match=rf"^apply_updates: the update at \['w'\] {message}\.$"):
        arrayopt.apply_updates({"w": X}, {"w": make()})


def test_a_state_of_shapes_comes_from_eval_shape() -> None:
    jax = pytest.importorskip("jax")
    shapes = jax.eval_shape(lambda: {"w": jax.numpy.ones(2)})
    state = jax.eval_shape(arrayopt.adam(0.1).init, shapes)
    assert state[0].mu["w"].shape == (2,) and state[0].count.dtype == "int32"


# -- numbers and dtypes ----------------------------------------------------------------------------------------


def test_numbers_of_another_byte_order_are_numbers() -> None:
    numbers: list[Any] = [np.asarray(0.5, ">f4"), np.float32(0.5), np.longdouble(0.5), np.asarray(0.5, ">f8")]
    for number in numbers:
        assert arrayopt.sgd(number).update(X, arrayopt.sgd(0.1).init(X))[0].tolist() == [-0.5, -0.5]


def test_pythons_float_is_double() -> None:
    assert arrayopt.scale_by_adam(mu_dtype=float).init(np.ones(2, np.float32)).mu.dtype == np.float64


@pytest.mark.parametrize("dtype", [">f4", "float128", "float8_e4m3fn", "complex64", int, complex, "real"])
def test_a_dtype_is_refused_by_name(dtype: Any) -> None:
    with pytest.raises(TypeError, match=r"^adam: mu_dtype must be (one of|a floating-point dtype|real).*; got"):
        arrayopt.adam(0.1, mu_dtype=dtype)


def test_adafactor_may_begin_later() -> None:
    optax, jnp = pytest.importorskip("optax"), pytest.importorskip("jax.numpy")
    p = jnp.asarray(np.random.default_rng(0).standard_normal((3, 4)), "float32")
    for offset in (-3, -1000):
        ours, theirs = arrayopt.adafactor(0.1, decay_offset=offset), optax.adafactor(0.1, decay_offset=offset)
        a, b = ours.init(p), theirs.init(p)
        for k in range(3):
            u, a = ours.update(p * (k + 1), a, p)
            v, b = theirs.update(p * (k + 1), b, p)
            np.testing.assert_allclose(u, v, rtol=1e-5)


def test_a_counter_at_its_end_does_not_begin_anew(library: Library) -> None:
    p = library.asarray([[1.0, 2.0]], "float32")
    tx = arrayopt.scale_by_factored_rms(step_offset=-3)
    _, state = tx.update(p, arrayopt.tree.set(tx.init(p), count=2**31 - 1), p)
    assert np.all(library.numpy(state.v) < 1e-5)  # the decay is nearly 1


# -- 0-d arrays that somebody changes --------------------------------------------------------------------------

HELD: dict[str, Callable[[Any], Any]] = {
    "learning_rate": arrayopt.sgd,
    "of adamw": arrayopt.adamw,
    "step_size": arrayopt.scale,
    "max_norm": arrayopt.clip_by_global_norm,
    "threshold": arrayopt.clip_by_block_rms,
    "weight_decay": arrayopt.add_decayed_weights,
    "decay": arrayopt.trace,
    "b1": lambda x: arrayopt.scale_by_adam(b1=x, b2=0.5),
    "eps": lambda x: arrayopt.scale_by_adam(eps=x),
    "init_value": lambda x: arrayopt.sgd(arrayopt.linear_schedule(x, 0.0, 10)),
    "value": lambda x: arrayopt.sgd(arrayopt.constant_schedule(x)),
    "momentum": lambda x: arrayopt.sgd(0.1, momentum=x),
    "min_scale": arrayopt.scale_by_param_block_rms,
}


@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize("fused", [False, True])
def test_a_tensor_is_read_in_each_update_and_a_number_once(name: str, fused: bool) -> None:
    torch = pytest.importorskip("torch")
    for module, is_seen in ((torch, True), (np, False)):
        held = module.asarray(0.25, dtype=module.float64)
        one = module.ones(3, dtype=module.float64) * 4
        tx = HELD[name](held)
        state = tx.update(one / 2, tx.init(one / 1e4), one / 1e4)[1]
        step = arrayopt.fused_step(tx)
        found = []
        for _ in range(2):
            if fused:
                copies = arrayopt.tree.map(lambda x: x * 1, (one / 1e4, state))
                found.append((step(copies[0], one, copies[1])[0] - one / 1e4).tolist())
            else:
                found.append(tx.update(one, state, one / 1e4)[0].tolist())
            held *= 2
        assert (found[0] != found[1]) == is_seen, module.__name__


# -- complex parameters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [arrayopt.sgd, arrayopt.adam, arrayopt.adamw, arrayopt.adafactor])
def test_a_fused_step_takes_real_gradients_of_complex_parameters(make: Any, library: Library) -> None:
    if not set(COMPLEX) & set(library.dtypes):
        pytest.skip("no complex numbers")
    tx = make(0.1)
    p = library.asarray(np.asarray([1.0 + 2.0j, -3.0j]), "complex64")
    g = library.asarray([0.5, -2.0], "float32")
    state, mine, step = tx.init(p), p + 0, arrayopt.fused_step(tx)
    own = tx.init(p)
    for _ in range(3):
        u, state = tx.update(g, state, p)
        p = arrayopt.apply_updates(p, u)
        mine, own = step(mine, g, own)
    np.testing.assert_allclose(library.numpy(mine), library.numpy(p), rtol=1e-5)
