"""Single numbers in a fused step are computed on the host, in double: as NumPy computes them, at the edges too."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.harness.fused import rule
from arrayopt_conformance.libraries import libraries

import arrayopt
from arrayopt.fused import host, words

FLOATS = [
    *[0.0, 0.3, 0.5, 1.0, 1.5, 2.5, 3.0, 710.0, 745.5, 1e16, 1e200, np.finfo(float).max, np.inf],
    *[1e-17, 5e-324, 1e-310, np.finfo(float).tiny, np.nan],
]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "float64": [*FLOATS, *[-x for x in FLOATS[:-1]]],
    "int32": [0, 1, 2, 3, 7, 31, 32, 33, 64, 2**31 - 1, -1, -2, -7, -32, -(2**31)],
    "uint8": [0, 1, 2, 7, 8, 9, 255],
    "bool": [False, True],
    "complex128": [
        0j,
        1j,
        -1 + 0j,
        1 + 2j,
        -0.5 - 3j,
        1e200 + 1e200j,
        complex(np.inf, 1),
        complex(np.nan, 0),
        800 + 1j,
    ],
}

# What IEEE 754 rounds correctly, or does not round; the others are good to a few last places.
EXACT = words.COMPARISONS | words.LOGICAL | words.TESTS | frozenset(
    "abs add bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor ceil conj "
    "copysign divide floor floor_divide imag isfinite isinf isnan maximum minimum multiply negative real remainder "
    "round sign sqrt subtract trunc".split()
)  # fmt: skip
LOOSE = {"maximum", "minimum"}  # which of two zeros, IEEE leaves open
FEW = 4 * 2.0**-52


def cases() -> Iterator[tuple[str, str]]:
    for kind in VALUES:
        for word in sorted(words.UNARY | words.BINARY):
            if answer(word, kind) is not None:
                yield word, kind


def answer(word: str, kind: str) -> Any:
    """The dtype that NumPy answers in; None if the word is not for this kind of number."""
    xp: Any = libraries()["numpy"].backend.xp
    one = np.ones((), dtype=kind)
    try:
        with np.errstate(all="ignore"):
            found = getattr(xp, word)(*[one] * (1 if word in words.UNARY else 2))
    except TypeError:
        return None
    return found.dtype


def eagerly(word: str, operands: tuple[Any, ...]) -> Any:
    xp: Any = libraries()["numpy"].backend.xp
    try:
        with np.errstate(all="ignore"):
            return np.asarray(getattr(xp, word)(*operands))
    except ValueError:  # NumPy has no integer to a negative power
        return None


@pytest.mark.parametrize(("word", "kind"), list(cases()))
def test_numbers_are_computed_as_by_numpy(word: str, kind: str) -> None:
    values = VALUES[kind]
    if word == "pow":  # NumPy takes a root where the exponent is ½, which IEEE has otherwise at −0 and −∞
        values = [v for v in values if v != 0.5 and (kind != "int32" or abs(v) < 64)]
    pairs = [(x,) for x in values] if word in words.UNARY else list(itertools.product(values, repeat=2))

    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        return g, (*s[:-1], getattr(xp, word)(*s[:-1]))

    step, params = arrayopt.fused_step(rule(formula), engine="tiles"), np.zeros(1)
    for pair in pairs:
        operands = tuple([np.asarray(x, dtype=kind) for x in pair])
        wanted = eagerly(word, operands)
        if wanted is None:
            continue
        state = (*operands, np.zeros((), dtype=answer(word, kind)))
        with np.errstate(all="ignore"):
            _, state = step(params, np.zeros(1), state)
        assert_alike(state[-1], wanted, word, f"{word}{pair}")
    stopped = step.explain().stopped or ""
    left_alone = kind == "complex128" and word not in host.COMPLEX
    assert (f"{word} of a complex number" in stopped) if left_alone else not stopped


def assert_alike(got: Any, wanted: Any, word: str, what: str) -> None:
    assert got.dtype == wanted.dtype, what
    if wanted.dtype.kind == "c" or word == "abs":
        for a, b in ((got.real, wanted.real), (got.imag, wanted.imag)):
            near = np.isclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)
            assert near or not np.isfinite(complex(wanted)), f"{what} is {got}, not {wanted}"
    elif wanted.dtype.kind != "f" or word in EXACT:
        same = np.array_equal(got, wanted, equal_nan=wanted.dtype.kind == "f")
        assert same, f"{what} is {got}, not {wanted}"
    else:
        np.testing.assert_allclose(got, wanted, rtol=FEW, atol=5e-324, err_msg=what)
    if wanted.dtype.kind == "f" and wanted == 0 and word not in LOOSE:
        assert np.signbit(got) == np.signbit(wanted), f"{what} is {got}, not {wanted}"


CASTS = [
    ("float64", "int32", [0.0, -0.0, 1.9, -1.9, 2.0**31 - 1, -(2.0**31)]),
    ("int32", "float64", VALUES["int32"]),
    ("int32", "bool", VALUES["int32"]),
    ("int32", "uint8", VALUES["int32"]),
    ("bool", "int32", VALUES["bool"]),
    ("float64", "bool", FLOATS[:-1]),
    ("float64", "complex128", FLOATS),
]


@pytest.mark.parametrize(("kind", "other", "values"), CASTS, ids=lambda x: x if isinstance(x, str) else "")
def test_numbers_are_cast_as_by_numpy(kind: str, other: str, values: list[Any]) -> None:
    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        return g, (s[0], xp.astype(s[0], s[1].dtype), xp.where(s[0] != 0, s[0], xp.zeros_like(s[0])))

    step = arrayopt.fused_step(rule(formula), engine="tiles")
    for value in values:
        x = np.asarray(value, dtype=kind)
        _, state = step(np.zeros(1), np.zeros(1), (x, np.zeros((), dtype=other), x.copy()))
        np.testing.assert_array_equal(state[1], x.astype(other))
        np.testing.assert_array_equal(state[2], x)


def test_a_python_number_in_a_formula_may_be_anything() -> None:
    """Also what has no plain spelling: infinities, NaN and complex numbers made of them."""
    numbers = [np.inf, -np.inf, np.nan, -0.0, 1e-320, complex(np.inf, np.nan), complex(-0.0, 1.0), True, 2**40]
    for number in [x.item() if isinstance(x, np.generic) else x for x in numbers]:
        kind = "complex128" if isinstance(number, complex) else "float64"

        def formula(xp: Any, g: Any, s: Any, p: Any, number: Any = number) -> Any:
            return g, (s[0] * number, s[1])

        slots = (np.ones((), dtype=kind), np.zeros(()))
        with np.errstate(all="ignore"):
            wanted = slots[0] * number
            _, state = arrayopt.fused_step(rule(formula), engine="tiles")(np.zeros(1), np.zeros(1), slots)
        np.testing.assert_array_equal(state[0], wanted)
