"""Every word of the recording vocabulary, in kernels of every engine, on arrays of edge values: as in the library.

What IEEE 754 rounds correctly, or does not round, agrees to the bit; the rest within a few last places.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import host
from arrayopt_conformance.harness.fused import kernel_engines, rule
from arrayopt_conformance.libraries import Library

import arrayopt
from arrayopt import dtypes
from arrayopt.fused import words

T = TypeVar("T")

AT_ONCE = 16  # outputs of a kernel: with more, LLVM would no longer look whether it may vectorise

REALS = [0.0, 0.25, 0.5, 1.0, 1.5, 2.5, 3.0, 88.5, 1e4, 1e30, np.inf, 1e-4, 1e-30]
_POSITIVE: dict[str, list[Any]] = {
    "float64": [*REALS, 1e300, 5e-324, 1e-310],
    "float32": [*REALS, 3e38, 1e-45, 1e-40],
    "float16": [*REALS[:9], 6e4, 1e-7, np.inf],
    "bfloat16": [*REALS, 3e38, 1e-40],
}
VALUES: dict[str, list[Any]] = {
    **{kind: [*xs, *[-x for x in xs], np.nan] for kind, xs in _POSITIVE.items()},
    "int32": [0, 1, 2, 3, 5, 7, 31, 1000, 2**31 - 1, -1, -2, -5, -1000, -(2**31)],
    "int8": [0, 1, 2, 3, 7, 127, -1, -2, -7, -128],
    "uint8": [0, 1, 2, 3, 7, 128, 255],
    "bool": [False, True],
}

EXACT = words.COMPARISONS | words.LOGICAL | words.TESTS | frozenset(
    "abs add bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor ceil conj "
    "copysign divide floor maximum minimum multiply negative real round sign subtract trunc".split()
)  # fmt: skip
QUOTIENTS = {"floor_divide", "remainder"}  # exact too, but where a library rounds on the way there in 16 bits
EITHER_ZERO = {
    "maximum",
    "minimum",
    "clip",
    "clip below",
    "sign",
    "remainder",
}  # 0 or −0: left open, or not agreed on
FEW = {"float64": 4 * 2.0**-52, "float32": 4 * 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
LEAST = {"float64": 5e-324, "float32": 1e-45, "float16": 6e-8, "bfloat16": 1e-40}


class Word(NamedTuple):
    """A word of arrays, and how to make its result."""

    name: str
    of: Callable[[Any, Any, Any], Any]  # xp, x, y


def words_of(*names: str) -> list[Word]:
    return [Word(name, _applied(name)) for name in sorted(names)]


def _applied(name: str) -> Callable[[Any, Any, Any], Any]:
    return lambda xp, x, y: getattr(xp, name)(x) if name in words.UNARY else getattr(xp, name)(x, y)


OPERATORS = [Word(f"operator {name}", lambda xp, x, y, f=f: f(x, y)) for name, f in words.OPERATORS.items()
             if name not in words.UNARY]  # fmt: skip
OTHERS = [
    Word("where", lambda xp, x, y: xp.where(x < y, x, y)),
    Word("where of a number", lambda xp, x, y: xp.where(x < y, x, 2)),
    Word("clip", lambda xp, x, y: xp.clip(x, 1, 3)),
    Word("clip below", lambda xp, x, y: xp.clip(x, min=y)),
    Word("square", lambda xp, x, y: xp.square(x)),
    Word("full_like", lambda xp, x, y: xp.full_like(x, 2)),
    Word("zeros_like", lambda xp, x, y: xp.zeros_like(x)),
    *[Word(f"as {kind}", lambda xp, x, y, kind=kind: xp.astype(x, getattr(xp, kind)))
      for kind in ("float64", "float32", "int32", "int8", "bool")],
]  # fmt: skip


def applicable(library: Library, found: list[Word], kind: str) -> list[Word]:
    """Those that the library has for arrays of a dtype."""
    x = library.asarray(np.ones(2), kind)
    return [word for word in found if _is_applicable(word, library, x)]


def _is_applicable(word: Word, library: Library, x: Any) -> bool:
    with np.errstate(all="ignore"):
        try:
            found = word.of(library.backend.xp, x, x)
        except (TypeError, RuntimeError, NotImplementedError, AttributeError):
            return False
    kind, answer = dtypes.name(x.dtype), dtypes.name(found.dtype)
    fractional = kind not in FEW and answer in FEW and word.name not in ("as float32", "as float64", "divide")
    return not fractional or kind == "int32"


def checked(library: Library, engine: str, kind: str, found: list[Word], x: Any, y: Any) -> None:
    """The words in kernels of their own, against the library's own functions."""
    for some in batched(found, AT_ONCE):
        with np.errstate(all="ignore"):
            wanted = [word.of(library.backend.xp, x, y) for word in some]

        def formula(xp: Any, g: Any, s: Any, p: Any, some: Any = some) -> Any:
            return g, (*s[:2], *[word.of(xp, s[0], s[1]) for word in some])

        outs = [library.backend.xp.zeros_like(w) for w in wanted]
        p = library.asarray(np.zeros(1), "float32")
        step = arrayopt.fused_step(rule(formula), engine=engine)
        with np.errstate(all="ignore"):
            _, state = step(p, p, (x, y, *outs))
        assert step.explain().stopped is None
        for word, got, w in zip(some, state[2:], wanted, strict=True):
            agree(word, got, w, kind, x, y)


def batched(found: list[T], n: int) -> list[list[T]]:
    return [found[i : i + n] for i in range(0, len(found), n)]


def agree(word: Word, got: Any, wanted: Any, kind: str, x: Any, y: Any) -> None:
    name, dtype = word.name.removeprefix("operator "), dtypes.name(wanted.dtype)
    a, b = host(got), host(wanted)
    wide = QUOTIENTS if dtype in ("float64", "float32") else set[str]()
    if b.dtype.kind != "f" or (name not in words.UNARY | words.BINARY) or name in EXACT | wide:
        same = (a == b) | ((a != a) & (b != b))
        if b.dtype.kind == "f" and name not in EITHER_ZERO:
            same &= (np.signbit(a) == np.signbit(b)) | (b != b)
    else:
        with np.errstate(all="ignore"):
            near = np.abs(a - b) <= FEW[dtype] * np.abs(b) + LEAST[dtype]
        same = (a == b) | ((a != a) & (b != b)) | near
    odd = np.flatnonzero(~same.ravel())
    told = [
        (host(x).ravel()[i].item(), host(y).ravel()[i].item(), a.ravel()[i].item(), b.ravel()[i].item()) for i in odd
    ]
    assert not told, f"{word.name} of {kind}: (x, y, got, wanted) = {told[:6]}, {len(told)} in all"


def arguments(library: Library, kind: str, other: str | None = None) -> tuple[Any, Any]:
    """Every pair of values, as two arrays."""
    pairs = list(itertools.product(VALUES[kind], VALUES[other or kind]))
    xs, ys = zip(*pairs, strict=True)
    with np.errstate(all="ignore"):
        return library.asarray(np.asarray(xs), kind), library.asarray(np.asarray(ys), other or kind)


def _both(*names: str) -> set[str]:
    return {*names, *[f"operator {name}" for name in names]}


POWERS, DIVISIONS = _both("pow"), _both(*QUOTIENTS)
SHIFTS = _both("bitwise_left_shift", "bitwise_right_shift")
EVERYTHING = [*words_of(*words.UNARY), *words_of(*words.BINARY), *OPERATORS, *OTHERS]


SOME = {f"operator {name}" for name in "add subtract multiply divide floor_divide remainder less".split()} | set(
    "abs sign sqrt exp maximum logical_or bitwise_left_shift bitwise_right_shift bitwise_and bitwise_invert".split()
) | {"where", "clip below", "as float32", "as int32", "as bool"}  # fmt: skip


def sets(library: Library, kind: str) -> list[tuple[list[Word], Any, Any]]:
    """Words, and what to try them on: integers where the library defines what it answers."""
    x, y = arguments(library, kind)
    found = applicable(library, EVERYTHING, kind)
    if kind in FEW and library.name == "torch":  # which divides, and has no remainder where that overflows
        xp = library.backend.xp
        others = [word for word in found if word.name not in DIVISIONS]
        return [(others, x, y), ([w for w in found if w not in others], x, xp.where(xp.isfinite(x / y), y, 3))]
    if kind in FEW:
        return [(found, x, y)]
    if kind == "bool":  # no number: what of arithmetic libraries allow nevertheless
        return [([word for word in found if word.name not in POWERS | {"square"}], x, y)]
    xp: Any = library.backend.xp
    bits = xp.iinfo(x.dtype).bits
    special = POWERS | (DIVISIONS | SHIFTS if library.name == "torch" else set())
    return [
        ([word for word in found if word.name not in special], x, y),
        ([word for word in found if word.name in POWERS], x, xp.abs(y) % 5),
        ([word for word in found if word.name in special & SHIFTS], x, xp.abs(y) % bits),
        ([word for word in found if word.name in special & DIVISIONS], x, xp.where(y == 0, 3, y)),
    ]


PAIRS = [
    pytest.param(library, engine, kind, id=f"{library}-{engine}-{kind}")
    for library, engine in kernel_engines("numpy", "torch")
    for kind in (VALUES if (str(library), engine) != ("torch", "numba") else ("float32", "int32"))
    if kind in library.dtypes or kind not in FEW
]


@pytest.mark.parametrize(("library", "engine", "kind"), PAIRS)
def test_words_agree_with_the_library(library: Library, engine: str, kind: str) -> None:
    in_full = engine != "numba" or (str(library), kind) == ("numpy", "float32")  # each further kernel takes a second
    for found, x, y in sets(library, kind):
        chosen = [word for word in found if in_full or word.name in SOME]
        checked(library, engine, kind, chosen, x, y)


def with_a_number(xp: Any, x: Any, c: Any) -> list[Any]:
    return [x + c, c - x, x * c, x / c, c / x, x % c, x < c, c <= x, x == c, xp.clip(x, min=c), xp.where(x < 1, c, x)]


MEETINGS = ["add", "subtract", "multiply", "quotient", "divide", "remainder", "less", "less", "less", "clip", "clip"]
NUMBERS = [2.5, -0.75, 0.0, -0.0, np.inf, -np.inf, np.nan, 1e-3, 1e30]
TINY = {"float64": [5e-324, 1e-310, -1e-310, 1e308], "float32": [1e-45, 1e-40, -1e-40, 3e38]}


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize(("library", "engine"), kernel_engines("numpy", "torch"), ids=str)
def test_numbers_meet_arrays_as_in_the_library(library: Library, engine: str, kind: str) -> None:
    """A Python number among the operands: as exact in its kernel, whatever it is, and another compiles nothing."""
    xp, x = library.backend.xp, library.asarray(np.asarray(VALUES[kind]), kind)

    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        return g, (*s[:2], *with_a_number(xp, *s[:2]))

    p, step = library.asarray(np.zeros(1), "float32"), arrayopt.fused_step(rule(formula), engine=engine)
    for c in [*NUMBERS, *TINY[kind]]:
        with np.errstate(all="ignore"):
            wanted = with_a_number(xp, x, c)
            _, state = step(p, p, (x, c, *[xp.zeros_like(w) for w in wanted]))
        assert step.explain().stopped is None
        for name, got, w in zip(MEETINGS, state[2:], wanted, strict=True):
            if name == "quotient":  # by way of a reciprocal
                near(got, w, kind, f"a quotient with {c}")
            elif library.name != "torch" or name not in ("divide", "remainder"):  # both by way of an infinity
                agree(Word(name, _applied(name)), got, w, f"{kind} with {c}", x, x)


def near(got: Any, wanted: Any, kind: str, what: str) -> None:
    a, b = host(got), host(wanted)
    with np.errstate(all="ignore"):
        same = (a == b) | ((a != a) & (b != b)) | (abs(a - b) <= FEW[kind] * abs(b) + LEAST[kind])
    told = [(VALUES[kind][i], a[i].item(), b[i].item()) for i in np.flatnonzero(~same)]
    assert not told, f"{what}: (x, got, wanted) = {told[:8]}"
