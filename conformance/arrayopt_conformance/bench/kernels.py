"""Loops that move the arrays of a rule and compute next to nothing: what memory and cores allow.

They take 64 Ki elements at a time of any leaf, from a counter that all threads share, and walk over them in a
function of its own, which the compiler turns into vector instructions. Elements are added as whole numbers of their
size, so the sum of a pass that writes nothing is vectorised too.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from arrayopt_conformance.bench.rules import Pass

TASK = 65_536  # elements

_BODY = """
def body({names}):
    total = uint32(0)
    for i in range({first}.size):
{lines}
    return total
"""

_WALK = """
def walk(counter, tasks, table, sums):
    while True:
        k = add(counter, 1)
        if k >= tasks.shape[0]:
            return
        leaf, start, n = tasks[k, 0], tasks[k, 1], tasks[k, 2]
{lines}
        sums[k] = body({names})
"""


@cache
def kernel(one: Pass, sizes: tuple[int, ...]) -> Any:
    """The compiled walk of a pass.

    Args:
      one: the pass.
      sizes: bytes of an element of each array read, 2 or 4.

    Returns:
      ``walk(address of the counter, tasks, addresses, sums)``: tasks are rows of leaf, first element, number of
      elements; addresses have a row for each array read; sums take a number for each task.
    """
    numba: Any = importlib.import_module("numba")
    # by default the vectoriser gives up on loops over more than a few arrays that might overlap; as for our kernels
    importlib.import_module("llvmlite.binding").set_option("", "-runtime-memory-check-threshold=256")
    options = {"nogil": True, "boundscheck": False}
    words = _words(numba)
    words["body"] = numba.njit(**options)(_defined(_body(one, sizes), "body", words))
    i64 = numba.types.int64
    signature = numba.types.void(i64, i64[:, ::1], i64[:, ::1], i64[::1])
    return numba.njit([signature], **options)(_defined(_walk(one, sizes), "walk", words))


def _defined(text: str, name: str, words: dict[str, Any]) -> Any:
    found = dict(words)
    exec(text, found)
    return found[name]


def _body(one: Pass, sizes: tuple[int, ...]) -> str:
    kinds = {letter: f"uint{8 * size}" for letter, size in zip(one.reads, sizes, strict=True)}
    only_read = [f"{letter}[i]" for letter in one.reads if letter not in one.writes]
    x = " + ".join(only_read)
    lines = [f"{w}[i] = {kinds[w]}({w}[i] + x)" for w in one.writes] or ["total = uint32(total + x)"]
    text = "\n".join(" " * 8 + line for line in [f"x = uint32({x})", *lines])
    return _BODY.format(names=", ".join(one.reads), first=one.reads[0], lines=text)


def _walk(one: Pass, sizes: tuple[int, ...]) -> str:
    lines = [
        f"{letter} = carray(pointer(table[{row}, leaf] + start * {size}), n, uint{8 * size})"
        for row, (letter, size) in enumerate(zip(one.reads, sizes, strict=True))
    ]
    return _WALK.format(names=", ".join(one.reads), lines="\n".join(" " * 8 + line for line in lines))


def _words(numba: Any) -> dict[str, Any]:
    """What the loops are written in."""
    np: Any = importlib.import_module("numpy")
    add, pointer = _intrinsics()
    return {"add": add, "pointer": pointer, "carray": numba.carray, "uint16": np.uint16, "uint32": np.uint32}


@cache
def _intrinsics() -> tuple[Any, Any]:
    """The two that Numba lacks: an addition that threads share, and a number taken for an address."""
    types: Any = importlib.import_module("numba.core.types")
    cgutils: Any = importlib.import_module("numba.core.cgutils")
    ir: Any = importlib.import_module("llvmlite.ir")
    intrinsic: Any = importlib.import_module("numba.extending").intrinsic

    def add(typing_context: Any, address: Any, increment: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            where = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
            return builder.atomic_rmw("add", where, args[1], "monotonic")

        return types.int64(types.int64, types.int64), code

    def pointer(typing_context: Any, address: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], cgutils.voidptr_t)

        return types.voidptr(types.int64), code

    return intrinsic(add), intrinsic(pointer)
