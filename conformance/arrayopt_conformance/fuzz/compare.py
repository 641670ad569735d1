"""What a step should have done: what ``update`` and ``apply_updates`` do to copies of its arguments."""

from __future__ import annotations

import copy
import importlib
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import arrayopt
from arrayopt.dispatch import is_array
from arrayopt.tree.structure import flatten
from arrayopt_conformance.fuzz.memory import distinct, is_tensor, merged, places, window

Host = npt.NDArray[Any]


class Wrong(AssertionError):
    """A step that did not do what it should."""


class Outcome(NamedTuple):
    """What came of a step: the parameters and the state, or what was raised."""

    found: tuple[Any, Any] | None
    error: Exception | None


def eager(tx: Any, params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> Outcome:
    """A step by ``update`` and ``apply_updates``."""
    try:
        updates, new = arrayopt.with_extra_args_support(tx).update(grads, state, params, **extra)
        return Outcome((arrayopt.apply_updates(params, updates), new), None)
    except Exception as error:
        return Outcome(None, error)


# -- copies ----------------------------------------------------------------------------------------------------------


def twin(tree: Any) -> Any:
    """The tree with copies of its arrays, one for each object; those of Torch outside of any derivative."""
    known: dict[int, Any] = {}

    def copied(x: Any) -> Any:
        if id(x) not in known:
            known[id(x)] = twin_leaf(x)
        return known[id(x)]

    leaves, spec = flatten(tree)
    return spec.unflatten([copied(x) for x in leaves])


def twin_leaf(x: Any) -> Any:
    """A copy of one leaf, of its own type."""
    if isinstance(x, np.ndarray):
        array: Any = x
        return array.copy()
    if is_tensor(x):
        return x.detach().clone()
    if type(x).__module__.startswith("jax"):
        return importlib.import_module("jax.numpy").array(x, copy=True)
    return x if not is_array(x) else copy.deepcopy(x)


def host(x: Any) -> Any:
    """A leaf as an array of NumPy; what is no array, or has no values, as it is."""
    if is_tensor(x):
        return _of_tensor(x)
    if is_array(x):
        found: Any = np.array(x)  # of a masked one what is beneath the mask, which arithmetic leaves as it was
        return found.astype(np.float32) if found.dtype.name == "bfloat16" else found
    return x


def _of_tensor(x: Any) -> Any:
    if x.device.type == "meta":
        return x
    try:
        x = x.detach()
        x = (x.to_dense() if str(x.layout) != "torch.strided" else x).resolve_conj().resolve_neg()
        return np.array(x.float() if str(x.dtype) == "torch.bfloat16" else x)
    except (RuntimeError, NotImplementedError, TypeError):  # of a subclass that shows no values
        return x


def dtype_name(x: Any) -> str:
    """What a leaf consists of: the name of its dtype, or of its type."""
    return str(x.dtype).rsplit(".", 1)[-1] if hasattr(x, "dtype") else type(x).__name__


# -- values ----------------------------------------------------------------------------------------------------------

_ULP = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "complex64": 2.0**-23}
_NARROW = ("float16", "bfloat16")


def tolerance(*trees: Any) -> float:
    """How far results may be off, as a part of the greatest entry.

    In double eight units in the last place: the four that the laws have, and as many for an eager sum of a large
    array. In single precision, where eager numbers are single too and a fused step's are not, sixteen; with 16 bits,
    where an eager chain rounds between its links, four.
    """
    kinds = {dtype_name(x) for x in flatten(trees)[0] if hasattr(x, "dtype")}
    narrow = [4 * _ULP[kind] for kind in kinds if kind in _NARROW]
    single = [16 * _ULP[kind] for kind in kinds if kind in _ULP and kind not in _NARROW]
    return max([8 * 2.0**-52, *narrow, *single])


def assert_near(got: Any, wanted: Any, before: Any, bound: float) -> None:
    """Holds what a step gave to what it should have given.

    Raises:
      Wrong: structure, types, shapes, dtypes or values differ; the message says where.
    """
    ours, spec = flatten(got)
    theirs, other = flatten(wanted)
    if spec != other:
        raise Wrong(f"structure: {spec} is not {other}")
    scales = _scales([*flatten(before)[0], *theirs])
    for path, a, b in zip(spec.paths(), ours, theirs, strict=True):
        _assert_leaf(path, a, b, bound * scales)


def _scales(leaves: list[Any]) -> float:
    """The greatest finite entry of all; one, if all are less: numbers of the step are of that size."""
    greatest = 1.0
    for x in leaves:
        values = host(x) if is_array(x) else None
        if isinstance(values, np.ndarray) and values.dtype.kind in "fc" and values.size:
            sizes = np.abs(np.asarray(values))
            greatest = max(greatest, float(np.max(sizes, initial=0.0, where=np.isfinite(sizes))))
    return greatest


def _assert_leaf(path: str, got: Any, wanted: Any, bound: float) -> None:
    if type(wanted) is int and type(got).__module__.startswith("jax") and got.shape == ():
        got = int(got)  # a counter of leaves that are all masked: compiled, it is an array
    if is_array(got) != is_array(wanted) or dtype_name(got) != dtype_name(wanted):
        raise Wrong(f"kind: {path} is of {dtype_name(got)}, not of {dtype_name(wanted)}")
    a, b = host(got), host(wanted)
    if tuple(getattr(a, "shape", ())) != tuple(getattr(b, "shape", ())):
        raise Wrong(f"shape: {path} has {a.shape}, not {b.shape}")
    if not is_array(wanted):
        if not _equal(a, b):
            raise Wrong(f"value: {path} is {a!r}, not {b!r}")
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):  # not where one has no values to show
        _assert_values(path, np.asarray(a), np.asarray(b), bound)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b or abs(a - b) <= 1e-12 * abs(b) or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and bool(np.all(a == b))


def _assert_values(path: str, a: Host, b: Host, bound: float) -> None:
    if b.dtype.kind not in "fc":
        if not np.array_equal(a, b):
            raise Wrong(f"value: {path} is {a.ravel()[:4]}, not {b.ravel()[:4]}")
        return
    finite = np.isfinite(b)
    if not np.array_equal(np.isfinite(a), finite) or not np.array_equal(np.isnan(a), np.isnan(b)):
        raise Wrong(f"value: {path} is {a.ravel()[:4]}, not {b.ravel()[:4]}")
    wide: Any = np.complex128 if b.dtype.kind == "c" else np.float64
    error = np.max(abs(a[finite].astype(wide) - b[finite].astype(wide)), initial=0.0)
    if not error <= bound:
        raise Wrong(f"value: {path} is off by {error:.3g}, where {bound:.3g} is allowed: {a.ravel()[:4]}, not "
                    f"{b.ravel()[:4]}")  # fmt: skip


# -- refusals --------------------------------------------------------------------------------------------------------


def refused(error: Exception, donated: list[Any], leaves: list[Any]) -> bool:
    """Whether it is one of the refusals that a fused step makes where eager updates go on, and has its reason.

    What is written in place must be writable, must have a place in memory for each entry, and must share memory with
    nothing else that is written; what is given to XLA must be given once.
    """
    text = str(error)
    if not isinstance(error, ValueError) or not text.startswith("fused_step: "):
        return False
    if "must be writable" in text:
        return any([isinstance(x, np.ndarray) and not x.flags.writeable for x in donated])
    if "must have a place in memory for each entry" in text:
        return any([repeats(x) for x in donated])
    if "share memory" in text:
        return shared(donated)
    if "must lie beside its parameter" in text:  # eagerly Torch takes a 0-d tensor on the CPU for a number
        return len({str(x.device) for x in leaves if is_tensor(x)}) > 1
    if "are one array" in text:
        return one_twice(donated, leaves)
    return "cannot serve" in text or "does not serve" in text


def repeats(x: Any) -> bool:
    """Whether two entries of an array lie at one place."""
    return not distinct(places(x))


def shared(donated: list[Any]) -> bool:
    """Whether two of them have memory in common."""
    return not distinct(merged([x for x in donated if not repeats(x)])) or any([repeats(x) for x in donated])


def one_twice(donated: list[Any], leaves: list[Any]) -> bool:
    """Whether an array that is given away is in the trees a second time, as itself or as its memory."""
    given, all_ = [[key(x) for x in xs if is_array(x)] for xs in (donated, leaves)]
    return any([all_.count(k) > 1 for k in given])


def key(x: Any) -> Any:
    """What two JAX arrays over one buffer have in common."""
    try:
        return x.unsafe_buffer_pointer()
    except Exception:
        return id(x)


def kin(ours: Exception, theirs: Exception) -> bool:
    """Whether an error is the one that eager updates raise, or says as clearly what is wrong."""
    if isinstance(ours, type(theirs)) or isinstance(theirs, type(ours)):
        return True
    text = str(ours).replace("got NoneType", "got None")  # which says what came
    return isinstance(ours, (TypeError, ValueError)) and not any([word in text for word in _OBSCURE])


_OBSCURE = ("NoneType", "expected", "positional argument", "unpack", "INVALID_ARGUMENT", "data is NULL")
"""What stands in messages of Python, of XLA or of NumPy's C code that help nobody."""


def must_be_in_place(x: Any, new: Any) -> bool:
    """Whether a donated leaf must be the array that comes back: it can be written, and holds what is new."""
    plain = type(x).__name__ in ("ndarray", "Tensor", "Parameter")
    if not plain or not is_array(new) or (is_tensor(x) and x.is_inference()):  # Torch writes to no such tensor
        return False
    if getattr(x, "device", None) != getattr(new, "device", None):
        return False
    return tuple(x.shape) == tuple(new.shape) and x.dtype == new.dtype and window(x) is not None
