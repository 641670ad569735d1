"""Every word of two operands × every pair of dtypes, at edge values, on every engine: as in the library.

What the standard leaves undefined is not asked: shifts by less than nothing or by more than there are bits, whole
quotients by zero. Where the answer has 16 bits, an operand that does not fit in them is not asked either, but in
comparisons: a kernel computes with the operand as it is, and rounds its answer once.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import host
from arrayopt_conformance.harness.fused import kernel_engines, rule
from arrayopt_conformance.libraries import Library, libraries
from cuda_on_host import emulate
from test_fused_words import EITHER_ZERO, EXACT, FEW, LEAST, OPERATORS, QUOTIENTS, Word, batched, words_of

import arrayopt
from arrayopt import dtypes
from arrayopt.fused import words

_REALS = [0.0, -0.0, 1.0, -1.0, 2.5, 16777216.0, np.inf, -np.inf, np.nan]
VALUES: dict[str, list[Any]] = {
    "bool": [False, True],
    "int8": [0, 1, -1, 3, 127, -128],
    "uint8": [0, 1, 3, 128, 255],
    "int16": [0, 1, -1, 3, 32767, -32768],
    "uint16": [0, 1, 3, 32768, 65535],
    "int32": [0, 1, -1, 3, 2**24 + 1, 2**31 - 1, -(2**31)],
    "uint32": [0, 1, 3, 2**24 + 1, 2**31, 2**32 - 1],
    "int64": [0, 1, -1, 3, 2**53 + 1, 2**63 - 1, -(2**63)],
    "uint64": [0, 1, 3, 2**53 + 1, 2**63, 2**64 - 1],
    "float16": [*_REALS[:5], 2048.0, *_REALS[6:], 0.1],
    "bfloat16": [*_REALS, 0.1],
    "float32": [*_REALS, 0.1, 2147483648.0],
    "float64": [*_REALS, 0.1, 16777217.0, 2147483648.0],
}
SIZE = max([len(values) for values in VALUES.values()])
BITS = {"bool": 1} | {kind: int(kind[kind.index("t") + 1 :]) for kind in VALUES if "int" in kind}

WORDS = [*words_of(*words.BINARY), *OPERATORS]


class Question(NamedTuple):
    """A word of arrays ``x`` and ``ys[k]``.

    Attributes:
      word: which.
      k: of which of the second operands.
      wanted: what the library answers.
      asked: at which entries.
    """

    word: Word
    k: int
    wanted: Any
    asked: Any


def kinds_of(library: Library) -> list[str]:
    """The dtypes that there are."""
    return [kind for kind in VALUES if kind not in FEW or kind in library.dtypes]


def across(library: Library, kind: str) -> Any:
    """The values of a dtype, each met by all values of another one in `along`."""
    return library.asarray(np.repeat(_values(kind), SIZE), kind)


def along(library: Library, kind: str) -> Any:
    """The values of a dtype over and over."""
    return library.asarray(np.tile(_values(kind), SIZE), kind)


def _values(kind: str) -> Any:
    some = [x for _, x in zip(range(SIZE), itertools.cycle(VALUES[kind]), strict=False)]
    return np.asarray(some, kind if "int" in kind else None)


def questions(library: Library, kind: str) -> Iterator[Question]:
    """What the library answers at all."""
    x, others = across(library, kind), kinds_of(library)
    for k, other in enumerate(others):
        y = along(library, other)
        for word in WORDS:
            try:
                with np.errstate(all="ignore"):
                    wanted = word.of(library.backend.xp, x, y)
            except (TypeError, RuntimeError, NotImplementedError, ValueError, AttributeError, ZeroDivisionError):
                continue
            if dtypes.name(wanted.dtype) in VALUES:
                asked = _asked(word, kind, other, host(x), host(y)) & _fit(
                    dtypes.name(wanted.dtype), host(x), host(y)
                )
                yield Question(word, k, wanted, asked)


def _fit(answer: str, *xs: Any) -> Any:
    """The entries at which operands lose nothing in an answer of 16 bits."""
    if answer not in ("float16", "bfloat16"):
        return True
    kind = libraries()["numpy"].backend.dtype(answer)
    with np.errstate(all="ignore"):
        rounded = [x.astype(kind).astype(np.float64) for x in xs]
    fitting = [(r == x) | (x != x) for r, x in zip(rounded, xs, strict=True)]
    return np.logical_and.reduce(fitting)


def _asked(word: Word, kind: str, other: str, x: Any, y: Any) -> Any:
    """The entries at which an answer is defined."""
    if "shift" in word.name:
        return (y >= 0) & (y < min(BITS[kind], BITS[other]))
    if word.name.removeprefix("operator ") in QUOTIENTS and kind not in FEW and other not in FEW:
        return (y != 0) & ~((y == -1) & (x < 0))  # −2³¹ ÷ −1
    return np.ones(x.shape, bool)


@cache
def asked_of(library: str, kind: str) -> list[Question]:
    return list(questions(libraries()[library], kind))


PLACES = [
    *[pytest.param(*place, id=f"{place[0]}-{place[1]}") for place in kernel_engines("numpy", "torch")],
    *[pytest.param(libraries()[name], "cuda", id=f"{name}-cuda",
                   marks=pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++"))
      for name in ("numpy", "torch") if name in libraries()],
]  # fmt: skip


AT_ONCE = {"numba": 13, "cuda": 40, "tiles": 1000}  # answers of one kernel: compilers are slow where there are many
FEW_WORDS = {"cuda": ("less", "equal", "maximum", "add", "operator remainder")}
MORE = ("int32", "float16")  # dtypes of which Numba is asked more: each of its kernels takes a second


def few_words(library: str, engine: str, kind: str) -> tuple[str, ...]:
    """Those that show in which dtype an engine computes; Numba's kernels compare all alike."""
    if engine != "numba":
        return FEW_WORDS[engine]
    if library == "torch":  # its kernels are NumPy's, but where dtypes are promoted otherwise
        return ("add",)
    return {"int32": ("less", "add", "operator remainder"), "float16": ("less", "add")}.get(kind, ("less",))


def in_one_order(library: Library, kind: str, found: list[Question]) -> list[Question]:
    """Each pair of dtypes that Numba compares once: both operands are brought to the same type.

    The first is real where the second is whole: 2²⁴ < 2²⁴ + 1 shows a type too narrow, 2²⁴ + 1 < 2²⁴ does not.
    """
    return [q for q in found if kind in MORE or q.k <= kinds_of(library).index(kind)]


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize(("library", "engine"), PLACES)
def test_words_of_two_dtypes(library: Library, engine: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind not in kinds_of(library):
        pytest.skip(f"{library} has no {kind}")
    if (library.name, engine) == ("torch", "numba") and kind not in MORE:
        pytest.skip("its kernels are NumPy's, but where dtypes are promoted otherwise")
    if engine == "cuda":
        emulate(library.name, monkeypatch)
    chosen = None if engine == "tiles" else few_words(library.name, engine, kind)
    told = [q for q in asked_of(library.name, kind) if chosen is None or q.word.name in chosen]
    told = in_one_order(library, kind, told) if engine == "numba" else told
    no_dtype = [q for q in told if is_of_no_dtype(q, kind, kinds_of(library)[q.k])]
    told = [q for q in told if not is_of_no_dtype(q, kind, kinds_of(library)[q.k])]
    with np.errstate(all="ignore"):
        wrong = answered(library, engine, kind, no_dtype, "eager") if no_dtype else []
        wrong += [text for some in batched(told, AT_ONCE[engine]) for text in answered(library, engine, kind, some)]
    assert not wrong, "\n".join(wrong)


def is_of_no_dtype(q: Question, *kinds: str) -> bool:
    """Whether numbers are compared that no dtype holds both: that is left to the library."""
    return set(kinds) == {"int64", "uint64"} and q.word.name.removeprefix("operator ") in words.COMPARISONS


def answered(library: Library, engine: str, kind: str, told: list[Question], served: str | None = None) -> list[str]:
    """What is wrong in the answers of an engine; ``served`` is the one that does the step, if that is another."""
    others = sorted({q.k for q in told})
    ys = [along(library, kinds_of(library)[k]) for k in others]

    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        x, ys = s[0], s[1 : 1 + len(others)]
        return g, (x, *ys, *[q.word.of(xp, x, ys[others.index(q.k)]) for q in told])

    p, outs = library.asarray(np.zeros(1), "float32"), [library.backend.xp.zeros_like(q.wanted) for q in told]
    step = arrayopt.fused_step(rule(formula), engine=engine)
    _, state = step(p, p, (across(library, kind), *ys, *outs))
    found = step.explain()
    assert found.engine == (served or engine), found.reason
    answers = zip(told, state[1 + len(ys) :], strict=True)
    return [text for q, got in answers for text in disagreement(library, kind, q, got)]


def disagreement(library: Library, kind: str, q: Question, got: Any) -> list[str]:
    """The entries where an answer is another one, as a text; or nothing."""
    name, dtype = q.word.name.removeprefix("operator "), dtypes.name(q.wanted.dtype)
    a, b = host(got), host(q.wanted)
    same = (a == b) | ((a != a) & (b != b))
    if dtype in FEW:
        wide = QUOTIENTS if dtype in ("float64", "float32") else set[str]()
        if name in EXACT | wide and name not in EITHER_ZERO:
            same &= (np.signbit(a) == np.signbit(b)) | (b != b)
        elif name not in EXACT | wide:
            with np.errstate(all="ignore"):
                same |= np.abs(a - b) <= FEW[dtype] * np.abs(b) + LEAST[dtype]
    odd = np.flatnonzero(~same & q.asked)
    x, y = host(across(library, kind)), host(along(library, kinds_of(library)[q.k]))
    told = [(x[i].item(), y[i].item(), a[i].item(), b[i].item()) for i in odd[:3]]
    other = kinds_of(library)[q.k]
    return (
        [f"{q.word.name} of {kind} and {other} in {dtype}: (x, y, got, wanted) = {told}, {len(odd)}"] if told else []
    )
