"""Dtypes by name, since no two libraries agree on dtype objects, and NumPy's bfloat16 answers no query."""

from __future__ import annotations

import sys
from typing import Any

from arrayopt.types import DType

REALS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
_DOUBLE = frozenset({"float64", "complex128"})
_GREATEST = {
    "float16": 65504.0,
    "bfloat16": 2.0**128 - 2.0**120,
    "float32": 2.0**128 - 2.0**104,
    "float64": sys.float_info.max,
}
_EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
_SUMMABLE = {"float16": 2.0**12, "bfloat16": 2.0**124, "float32": 2.0**124, "float64": 2.0**1020}
_names: dict[tuple[type[Any], Any], str] = {}  # by type too: equal hashes of two libraries' dtypes must not meet


def name(dtype: object) -> str:
    """The bare name of a dtype of any library: ``name(torch.float32) == "float32"``."""
    if type(dtype) is str:  # which Torch's compiler must not see remembered
        return _spell(dtype)
    key = (type(dtype), dtype)
    found = _names.get(key)
    if found is None:
        found = _spell(dtype)
        if found.isidentifier():  # whatever else was taken for a dtype, such as an array, is not kept
            _names[key] = found
    return found


def _spell(dtype: DType) -> str:
    if isinstance(dtype, type):  # numpy.float32, jax.numpy.float32
        return dtype.__name__
    return str(dtype).rsplit(".", 1)[-1]


def is_complex(dtype: DType) -> bool:
    """Whether it is complex64 or complex128."""
    return name(dtype) in COMPLEX


def is_inexact(dtype: DType) -> bool:
    """Whether it is a floating-point or complex dtype that arrayopt computes with."""
    return name(dtype) in REALS or name(dtype) in COMPLEX


def is_integer(dtype: DType) -> bool:
    """Whether it is an integer dtype, signed or not."""
    return name(dtype).startswith(("int", "uint"))


def is_ordinary(dtype: DType) -> bool:
    """Whether it holds numbers or bools as every library has them."""
    return is_inexact(dtype) or is_integer(dtype) or name(dtype) == "bool"


def is_python(dtype: DType) -> bool:
    """Whether it is no dtype, but Python's own ``int`` or ``float``: so numbers are called that are recorded."""
    return dtype is int or dtype is float


def is_real(dtype: DType) -> bool:
    """Whether it holds real numbers: integers, or floating-point numbers of any width and byte order."""
    return is_integer(dtype) or "float" in name(dtype) or name(dtype)[1:2] in ("f", "i", "u")  # ">f4"


def unfit(dtype: DType) -> str:
    """What keeps arrayopt from computing with a dtype, as the end of a sentence about it."""
    called = name(dtype)
    if called[:1] in "<>" and called[1:2] in "fc":
        return f"is of dtype {called}, in the byte order of another machine; x.astype({called[1:]!r}) mends that"
    if "float0" in called:
        return "is of JAX's float0, which stands for no gradient; put None in its place"
    if "float" in called or "complex" in called:
        return f"is of dtype {called}; arrayopt computes with {', '.join((*REALS, *COMPLEX))}"
    return f"must be floating point or complex; got {called}"


def is_double(dtype: DType) -> bool:
    """Whether it is float64 or complex128."""
    return name(dtype) in _DOUBLE


def widened(dtype: DType, double: bool = False) -> str:
    """The dtype arithmetic is done in: at least float32, real or complex as ``dtype`` is."""
    double = double or is_double(dtype)
    if is_complex(dtype):
        return "complex128" if double else "complex64"
    return "float64" if double else "float32"


def real_part(dtype: DType) -> str:
    """The dtype of ``abs(x)``."""
    return {"complex64": "float32", "complex128": "float64"}.get(name(dtype), name(dtype))


def greatest(dtype: DType) -> float:
    """The greatest finite number of a real dtype, or of the parts of a complex one."""
    return _GREATEST[real_part(dtype)]


def epsilon(dtype: DType) -> float:
    """The distance from 1 to the next greater number."""
    return _EPSILON[real_part(dtype)]


def summable(dtype: DType) -> float:
    """A power of two of which a few can be added up and divided without overflow."""
    return _SUMMABLE[real_part(dtype)]


def margin(dtype: DType) -> float:
    """By which part a number must be shortened for rounding to a dtype not to make it longer."""
    return 2.0**-7 if name(dtype) in ("float16", "bfloat16") else 2.0**-22 if not is_double(dtype) else 2.0**-51


def coarse(dtype: DType) -> float:
    """The magnitude below which that part is not enough, the numbers of a dtype being too far apart."""
    return 2.0**-17 if name(dtype) == "float16" else 2.0**-126 if not is_double(dtype) else 2.0**-1022


def slot(wanted: DType, leaf: DType) -> str:
    """The dtype of a slot asked to be ``wanted``; complex of that precision if the parameter is complex."""
    if is_complex(leaf):
        return "complex128" if is_double(wanted) else "complex64"
    return name(wanted)


def rank(dtype: DType) -> int:
    """The place of a dtype among those arrayopt computes with, narrow to wide."""
    order = (*REALS, *COMPLEX)
    return order.index(name(dtype)) if is_inexact(dtype) else -1
