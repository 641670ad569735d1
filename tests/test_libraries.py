"""From arrays to libraries: namespaces, adapters, dtypes, and libraries nobody told us of."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.libraries import Library

import arrayopt
from arrayopt import dispatch, dtypes
from arrayopt.backend import Backend
from arrayopt.dispatch import backend, backends, is_array, library, namespace


def test_the_adapter_of_an_array_is_that_of_its_library(library: Library) -> None:
    x = library.asarray(np.ones(2), "float32")
    assert backend(x).name == library.name
    assert is_array(x)
    assert namespace(x) is backend(x).xp


def test_arrays_come_back_as_they_went(library: Library) -> None:
    values = np.asarray([0.0, 1.5, -2.0])
    for dtype in library.dtypes:
        x = library.asarray(values, dtype)
        assert dtypes.name(x.dtype) == dtype
        np.testing.assert_array_equal(library.numpy(x), values)


def test_asarray_copies(library: Library) -> None:
    values = np.ones(2, np.float32)
    x = library.asarray(values, "float32")
    values[0] = 5.0
    assert library.numpy(x)[0] == 1.0


def test_what_computes_here_says_what_it_is(library: Library) -> None:
    assert library.backend.missing() is None
    assert library.backend.version()
    assert len(library.backend.devices()) >= 1


def test_what_is_missing_says_how_to_get_it() -> None:
    assert Backend("no_such_library").missing() == "pip install 'no_such_library'"
    assert Backend("no_such_library", install="arrayopt[x]").missing() == "pip install 'arrayopt[x]'"
    for name, found in backends().items():
        missing = found.missing()
        assert missing is None or name in missing or "GPU" in missing


@pytest.mark.parametrize("not_array", [1.0, 1, "x", None, [1.0], object()])
def test_other_things_are_no_arrays(not_array: Any) -> None:
    assert not is_array(not_array)
    with pytest.raises(TypeError):
        namespace(not_array)


def test_numpy_scalars_are_arrays() -> None:
    assert library(np.float32(1.0)) == "numpy"
    p = {"w": np.float32(1.0)}
    tx = arrayopt.adam(0.1)
    u, _ = tx.update(p, tx.init(p), p)
    assert isinstance(u["w"], np.ndarray)
    assert u["w"].shape == ()


def test_dtypes_are_known_by_name() -> None:
    assert dtypes.name(np.float32) == dtypes.name(np.dtype("float32")) == dtypes.name("float32") == "float32"
    torch = pytest.importorskip("torch")
    assert dtypes.name(torch.bfloat16) == "bfloat16"
    jnp = pytest.importorskip("jax.numpy")
    assert dtypes.name(jnp.bfloat16) == dtypes.name(jnp.zeros(1, jnp.bfloat16).dtype) == "bfloat16"


def test_slots_may_be_named_by_any_library() -> None:
    pytest.importorskip("ml_dtypes")
    torch = pytest.importorskip("torch")
    state = arrayopt.scale_by_adam(mu_dtype=torch.bfloat16).init(np.ones(2))
    assert dtypes.name(state.mu.dtype) == "bfloat16"
    with pytest.raises(TypeError, match=r"^adam: mu_dtype must be a floating-point dtype; got int32\.$"):
        arrayopt.adam(0.1, mu_dtype=np.int32)


def test_widening() -> None:
    assert [dtypes.widened(d) for d in ("float16", "bfloat16", "float32", "float64", "complex64")] == [
        *("float32", "float32", "float32", "float64", "complex64")
    ]
    assert dtypes.widened("complex64", double=True) == "complex128"


def test_a_shell_of_a_cupy_array_is_recognised() -> None:
    """Without a GPU CuPy allocates nothing, but an array object around foreign memory can be made."""
    cupy = pytest.importorskip("cupy")
    if cupy.is_available():
        pytest.skip("this CuPy computes: the conformance suite runs on it")
    memory = cupy.cuda.UnownedMemory(np.zeros(4, np.float32).ctypes.data, 16, None, 0)
    shell = cupy.ndarray((4,), np.float32, memptr=cupy.cuda.MemoryPointer(memory, 0))
    assert library(shell) == "cupy"
    assert backend(shell).name == "cupy"
    assert backend(shell).missing() == "a CUDA GPU and its driver"
    leaves, _ = arrayopt.tree.flatten({"w": shell})
    assert leaves[0] is shell
    with pytest.raises(TypeError, match=r"adam: all arrays must be of one library; .* numpy and cupy"):
        arrayopt.adam(0.1).init({"a": np.ones(4), "b": shell})


def test_a_broken_adapter_is_named_and_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name, value = "broken", "broken_adapter:backend"

        def load(self) -> None:
            raise RuntimeError("of old age")

    monkeypatch.setattr(dispatch, "entry_points", lambda group: [Broken()])
    monkeypatch.setattr(dispatch, "_backends", {})
    dispatch._announced.cache_clear()
    try:
        with pytest.warns(UserWarning, match="broken_adapter:backend does not load: .*of old age"):
            assert dispatch.backend_named("numpy").name == "numpy"
    finally:
        dispatch._announced.cache_clear()


RESUMED = """
import pickle, sys, warnings
import torch
import arrayopt
state, params = pickle.load(open(sys.argv[1], "rb"))
tx = arrayopt.adamw(0.1)
warnings.simplefilter("ignore")
update = torch.compile(tx.update, fullgraph=True, backend="aot_eager")
u, state = update({"w": torch.ones(3)}, state, params)
print(int(state[0].count), u["w"].tolist())
"""


def test_a_resumed_run_may_compile_before_anything_ran_eagerly(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    params = {"w": torch.ones(3)}
    (tmp_path / "saved").write_bytes(pickle.dumps((arrayopt.adamw(0.1).init(params), params)))
    done = subprocess.run(
        [sys.executable, "-c", RESUMED, str(tmp_path / "saved")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 [-0.1000")
