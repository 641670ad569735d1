"""What the text of a kernel refers to."""

# mypy: ignore-errors
# pyright: basic, reportCallIssue=false, reportPrivateImportUsage=false
# (Numba compiles what is here; what Python thinks of its types does not matter.)

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Before LLVM vectorises a loop over many arrays it must check that they do not overlap. Its own limit of 8 such
# checks is too low for a rule with three slots.
llvm.set_option("arrayopt", "-runtime-memory-check-threshold=256")

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",  # 1 / 0 is infinite
    "fastmath": {"contract"},  # a product and a sum may be rounded once
}
CALLED: dict[str, Any] = {name: OPTIONS[name] for name in ("cache", "error_model", "fastmath")}
CALLBACK = types.void(types.int64)

boolean, uint16 = types.boolean, types.uint16
float32, float64 = types.float32, types.float64
int8, int16, int32, int64 = types.int8, types.int16, types.int32, types.int64
uint8, uint32, uint64 = types.uint8, types.uint32, types.uint64


@intrinsic
def pointer(typing: Any, address: Any) -> Any:
    """An address as a pointer."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(address), emit


@intrinsic
def fetch_add(typing: Any, address: Any, n: Any) -> Any:
    """Adds to an integer that threads share; what it was before."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", builder.inttoptr(args[0], ir.IntType(64).as_pointer()), args[1], "acq_rel")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def fetch_ahead(typing: Any, address: Any) -> Any:
    """Asks for the four cache lines at an address, whether or not there is memory."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        for line in range(4):
            where = builder.inttoptr(builder.add(args[0], ir.Constant(ir.IntType(64), 64 * line)), byte)
            builder.call(prefetch, [where, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), emit


@intrinsic
def _bits(typing: Any, x: Any) -> Any:
    """The bits of a float32."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.uint32(types.float32), emit


@intrinsic
def _float(typing: Any, bits: Any) -> Any:
    """The float32 of some bits."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), emit


@intrinsic
def widen_float16(typing: Any, bits: Any) -> Any:
    """float16 to float32."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), emit


@intrinsic
def narrow_float16(typing: Any, x: Any) -> Any:
    """float32 to float16, to nearest, ties to even."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), emit


@njit(inline="always")
def widen_bfloat16(bits: Any) -> Any:
    """bfloat16 to float32."""
    return _float(types.uint32(bits) << types.uint32(16))


@njit(inline="always")
def narrow_bfloat16(x: Any) -> Any:
    """float32 to bfloat16, to nearest, ties to even; NaN stays NaN."""
    bits = _bits(x)
    rounded = types.uint32(bits + types.uint32(0x7FFF) + ((bits >> types.uint32(16)) & types.uint32(1)))
    return types.uint16((rounded if x == x else bits | types.uint32(0x400000)) >> types.uint32(16))


@njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def sum_of(x: Any, total: float) -> float:
    """A number and the sum of a vector, in no fixed order."""
    found = 0.0
    for i in range(x.size):
        found += x[i]
    return total + found


@njit(nogil=True)
def add_to(sums: Any, x: Any) -> None:
    """Adds a vector to another."""
    for i in range(x.size):
        sums[i] += x[i]


@njit(nogil=True)
def max_of(x: Any, found: float) -> float:
    """The greatest of a number and a vector; NaN if there is one."""
    for i in range(x.size):
        if x[i] > found or x[i] != x[i]:
            found = x[i]
    return found


@njit(nogil=True)
def min_of(x: Any, found: float) -> float:
    """The smallest of a number and a vector; NaN if there is one."""
    for i in range(x.size):
        if x[i] < found or x[i] != x[i]:
            found = x[i]
    return found


any_of, all_of = max_of, min_of


__all__ = [name for name in dir() if not name.startswith("_")]
assert carray and cfunc and np  # the text of kernels names them
