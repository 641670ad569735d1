"""Rules nobody wrote: random straight-line formulas of the whole recording vocabulary, fused as eager.

Values are kept between −1 and 1 and away from where a function jumps or is steep, so that a rounding error stays one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import by_path, host
from arrayopt_conformance.harness.forests import SETTINGS
from arrayopt_conformance.harness.fused import copied, kernel_engines
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.libraries import Library
from hypothesis import given, settings
from hypothesis import strategies as st

import arrayopt
from arrayopt import GradientTransformation, dtypes
from arrayopt.dispatch import backend, namespace

UNARY: dict[str, Callable[[Any, Any], Any]] = {
    "abs": lambda xp, x: xp.abs(x),
    "acos": lambda xp, x: xp.acos(0.9 * x) / 4,
    "acosh": lambda xp, x: xp.acosh(1.1 + xp.abs(x)) / 2,
    "asin": lambda xp, x: xp.asin(0.9 * x) / 2,
    "asinh": lambda xp, x: xp.asinh(x),
    "atan": lambda xp, x: xp.atan(x),
    "atanh": lambda xp, x: xp.atanh(0.9 * x) / 2,
    "ceil": lambda xp, x: xp.ceil(4 * x + 0.37) / 5,
    "conj": lambda xp, x: xp.conj(x),
    "cos": lambda xp, x: xp.cos(x),
    "cosh": lambda xp, x: xp.cosh(x) / 2,
    "exp": lambda xp, x: xp.exp(x) / 3,
    "expm1": lambda xp, x: xp.expm1(x) / 2,
    "floor": lambda xp, x: xp.floor(4 * x + 0.37) / 4,
    "log": lambda xp, x: xp.log(xp.abs(x) + 1),
    "log10": lambda xp, x: xp.log10(xp.abs(x) + 1),
    "log1p": lambda xp, x: xp.log1p(xp.abs(x)),
    "log2": lambda xp, x: xp.log2(xp.abs(x) + 1),
    "negative": lambda xp, x: -x,
    "real": lambda xp, x: xp.real(x),
    "reciprocal": lambda xp, x: xp.reciprocal(1 + xp.abs(x)),
    "round": lambda xp, x: xp.round(4 * x + 0.37) / 5,
    "sign": lambda xp, x: xp.sign(x + 0.0137),
    "sin": lambda xp, x: xp.sin(x),
    "sinh": lambda xp, x: xp.sinh(x) / 2,
    "sqrt": lambda xp, x: xp.sqrt(xp.abs(x) + 0.1) / 2,
    "square": lambda xp, x: xp.square(x),
    "cube": lambda xp, x: x**3,
    "root": lambda xp, x: (xp.abs(x) + 0.1) ** 0.3 / 2,
    "tan": lambda xp, x: xp.tan(x) / 2,
    "tanh": lambda xp, x: xp.tanh(x),
    "trunc": lambda xp, x: xp.trunc(4 * x + 0.37) / 5,
    "clip": lambda xp, x: xp.clip(x, -0.5, 0.25),
    "zeros": lambda xp, x: x + xp.zeros_like(x),
}

BINARY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda xp, x, y: (x + y) / 2,
    "subtract": lambda xp, x, y: (x - y) / 2,
    "multiply": lambda xp, x, y: x * y,
    "divide": lambda xp, x, y: x / (1 + xp.abs(y)),
    "atan2": lambda xp, x, y: xp.atan2(x, y + 1.5) / 2,
    "copysign": lambda xp, x, y: xp.copysign(x, y + 0.0137),
    "floor_divide": lambda xp, x, y: (3 * x + 0.37) // (xp.abs(y) + 1.3) / 4,
    "hypot": lambda xp, x, y: xp.hypot(x, y) / 2,
    "logaddexp": lambda xp, x, y: xp.logaddexp(x, y) / 2,
    "maximum": lambda xp, x, y: xp.maximum(x, y),
    "minimum": lambda xp, x, y: xp.minimum(x, y),
    "pow": lambda xp, x, y: (xp.abs(x) + 0.5) ** y / 3,
    "remainder": lambda xp, x, y: (3 * x + 0.37) % 1.3 / 2 * y,
}

COMPARED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "less": lambda xp, x, y: x < y - 0.0137,
    "less_equal": lambda xp, x, y: x <= y - 0.0137,
    "greater": lambda xp, x, y: x > y + 0.0137,
    "greater_equal": lambda xp, x, y: xp.greater_equal(x, y + 0.0137),
    "isfinite": lambda xp, x, y: xp.isfinite(x + y),
    "isnan": lambda xp, x, y: xp.isnan(x + y),
    "isinf": lambda xp, x, y: xp.isinf(x * y),
    "signbit": lambda xp, x, y: xp.signbit(x + y + 0.0137),
}

LOGIC: dict[str, Callable[[Any, Any, Any], Any]] = {
    "logical_and": lambda xp, a, b: xp.logical_and(a, b),
    "logical_or": lambda xp, a, b: xp.logical_or(a, b),
    "logical_xor": lambda xp, a, b: xp.logical_xor(a, b),
    "logical_not": lambda xp, a, b: xp.logical_not(a),
    "and": lambda xp, a, b: a & b,
    "or": lambda xp, a, b: a | b,
    "invert": lambda xp, a, b: ~a,
    "equal": lambda xp, a, b: a == b,
}

INTEGER: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda xp, i, j: (i + j) % 101,
    "subtract": lambda xp, i, j: (i - j) % 101,
    "multiply": lambda xp, i, j: (i * j) % 101,
    "floor_divide": lambda xp, i, j: i // (xp.abs(j) + 3),
    "remainder": lambda xp, i, j: i % (xp.abs(j) + 3),
    "bitwise_and": lambda xp, i, j: i & j,
    "bitwise_or": lambda xp, i, j: (i | j) % 101,
    "bitwise_xor": lambda xp, i, j: (i ^ j) % 101,
    "bitwise_invert": lambda xp, i, j: ~i % 101,
    "left": lambda xp, i, j: (i << 2) % 101,
    "right": lambda xp, i, j: i >> 1,
    "negative": lambda xp, i, j: -i % 101,
    "maximum": lambda xp, i, j: xp.maximum(i, j),
}

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "sorted": lambda xp, x: xp.sort(x, axis=-1),
    "flipped": lambda xp, x: xp.flip(x, axis=0),
    "rows and columns": lambda xp, x: xp.matmul(xp.matmul(x, x.T) / x.shape[0] / x.shape[1], x),
    "less its mean": lambda xp, x: (x - xp.mean(x, axis=-1, keepdims=True)) / 2,
    "times a sum": lambda xp, x: x * xp.expand_dims(xp.sum(x, axis=0), axis=0) / x.shape[0],
    "by the greatest": lambda xp, x: x / (1 + xp.expand_dims(xp.max(xp.abs(x), axis=1), axis=1)),
    "rolled": lambda xp, x: xp.concat([x[1:, :], x[:1, :]], axis=0),
    "transposed": lambda xp, x: xp.permute_dims(xp.reshape(x, x.shape[::-1]), (1, 0)),
    "in another shape": lambda xp, x: xp.reshape(xp.reshape(x, (-1,)) * 0.5, x.shape),
    "broadcast": lambda xp, x: xp.broadcast_to(x[:1, :], x.shape) * 0.9,
}

REDUCED: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda xp, x: xp.sum(x) / math.prod(x.shape),
    "mean": lambda xp, x: xp.mean(x),
    "max": lambda xp, x: xp.max(x),
    "min": lambda xp, x: xp.min(x),
    "norm": lambda xp, x: xp.sqrt(xp.mean(x * x) + 0.1) / 2,
}


class Line(NamedTuple):
    """One line of a formula: what it does, on which of the values so far."""

    sort: str
    word: str
    i: int
    j: int
    c: float


def _lines(sort: str, found: Any, weight: int = 1) -> list[Any]:
    few = st.integers(0, 5)
    line = st.builds(
        Line, st.just(sort), st.sampled_from(sorted(found)), few, few, st.sampled_from([0.5, -0.25, 0.75])
    )
    return [line] * weight


LINES = st.one_of(
    *_lines("unary", UNARY, 3),
    *_lines("binary", BINARY, 3),
    *_lines("compared", COMPARED),
    *_lines("logic", LOGIC),
    *_lines("integer", INTEGER),
    *_lines("call", CALLS),
    *_lines("reduced", REDUCED),
    *_lines("number", {**UNARY, **BINARY}),
    *_lines("other", ["where", "where a number", "to an integer", "from an integer", "from a bool", "any", "all",
                      "times a number", "a number by it", "times a scalar", "by a scalar", "full", "held"], 3),
)  # fmt: skip


class Formula(NamedTuple):
    """A rule: its lines, the dtypes of parameter and slots, and the dtype that it computes in."""

    lines: list[Line]
    wide: str
    param: str
    slots: list[str]
    large: bool


NARROW = ["float16", "bfloat16", "float32"]
FORMULAS = st.builds(
    Formula,
    st.lists(LINES, min_size=4, max_size=14),
    st.sampled_from(["float64", "float64", "float32"]),
    st.sampled_from(["float64", *NARROW]),
    st.lists(st.sampled_from(["float64", *NARROW]), min_size=1, max_size=3),
    st.booleans(),
)


class Values:
    """The values of one leaf, by sort, the last first."""

    def __init__(self, xp: Any, floats: list[Any], ints: list[Any], scalars: list[Any], held: list[Any]) -> None:
        self.xp, self.floats, self.ints, self.scalars, self.held = xp, floats, ints, scalars, held
        self.bools = [floats[0] < 0.0137]
        self.wide = floats[0].dtype

    def do(self, line: Line) -> None:
        """One line."""
        x, y = self._at(self.floats, line.i), self._at(self.floats, line.j)
        if line.sort == "unary":
            self.floats.append(UNARY[line.word](self.xp, x))
        elif line.sort == "binary":
            self.floats.append(BINARY[line.word](self.xp, x, y))
        elif line.sort == "compared":
            self.bools.append(COMPARED[line.word](self.xp, x, y))
        elif line.sort == "logic":
            some = self._at(self.bools, line.i), self._at(self.bools, line.j)
            self.bools.append(LOGIC[line.word](self.xp, *some))
        elif line.sort == "integer":
            self.ints.append(INTEGER[line.word](self.xp, self._at(self.ints, line.i), self._at(self.ints, line.j)))
        elif line.sort == "call":
            self.floats.append(CALLS[line.word](self.xp, x) if x.ndim == 2 else x)
        elif line.sort == "reduced":
            self.scalars.append(REDUCED[line.word](self.xp, x))
        elif line.sort == "number":
            self.scalars.append(self._of_numbers(line))
        else:
            self._other(line, x, y)

    @staticmethod
    def _at(values: list[Any], i: int) -> Any:
        return values[-1 - i % len(values)]

    def _of_numbers(self, line: Line) -> Any:
        a, b = self._at(self.scalars, line.i), self._at(self.scalars, line.j)
        return UNARY[line.word](self.xp, a) if line.word in UNARY else BINARY[line.word](self.xp, a, b)

    def _other(self, line: Line, x: Any, y: Any) -> None:
        xp, mask, s = self.xp, self._at(self.bools, line.i), self._at(self.scalars, line.j)
        i = self._at(self.ints, line.i)
        made: dict[str, Callable[[], Any]] = {
            "where": lambda: xp.where(mask, x, y),
            "where a number": lambda: xp.where(mask, x, line.c),
            "from an integer": lambda: xp.astype(i, self.wide) / 128,
            "from a bool": lambda: xp.astype(mask, self.wide) * x,
            "times a number": lambda: line.c * x,
            "a number by it": lambda: line.c / (2 + x),
            "times a scalar": lambda: x * s,
            "by a scalar": lambda: x / (2 + s),
            "full": lambda: xp.full_like(x, line.c) * y,
            "held": lambda: x * self.held[0] / 2 + self.held[1] / 4,
        }
        if line.word in made:
            self.floats.append(made[line.word]())
        elif line.word == "to an integer":
            self.ints.append(xp.astype(xp.floor(50 * x + 0.37), xp.int32))
        else:
            found = xp.any(mask) if line.word == "any" else xp.all(mask)
            self.scalars.append(xp.astype(found, self.wide) * 0.5 + 0.25)


SHAPES = {"a": (3, 4), "b": (4,), "c": ()}
LARGE = {"a": (131, 130), "b": (4,), "c": ()}


def made(formula: Formula, library: Library) -> Callable[[], GradientTransformation]:
    """The transform: the same lines for every leaf; single numbers wander from leaf to leaf."""
    shapes = LARGE if formula.large else SHAPES
    wide = library.backend.dtype(formula.wide)
    rng = np.random.default_rng(3)

    def draw(shape: tuple[int, ...], kind: str) -> Any:
        return library.asarray(np.asarray(rng.uniform(-1, 1, shape)), kind)

    held = {name: [draw((), formula.wide), draw(shape, formula.wide)] for name, shape in shapes.items()}

    def init(params: Any) -> Any:
        wides = [kind if kind == "float64" else "float32" for kind in formula.slots]
        slots = {
            name: [draw(p.shape, kind) for kind in (wides if name == "c" else formula.slots)]
            for name, p in params.items()
        }
        ints = {name: library.backend.xp.astype(30 * held[name][1], library.backend.xp.int32) for name in params}
        return {
            "count": backend(params["a"]).counter(params["a"]),
            "slots": slots,
            "ints": ints,
            "ema": draw((), "float32"),
        }

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        xp, settle = namespace(updates["a"]), backend(updates["a"]).settle
        count = state["count"] + 1
        t = xp.astype(count, wide)
        scalars = [1 / (t + 1), xp.astype(state["ema"], wide)]
        us, slots, ints = {}, {}, {}
        for name, g in updates.items():
            mine = [xp.astype(x, wide) for x in (g, *state["slots"][name])]
            mine.append(xp.tanh(xp.astype(params[name], wide)))
            values = Values(xp, mine, [state["ints"][name]], scalars, held[name])
            for line in formula.lines:
                values.do(line)
            new = [values.floats[-1 - k % len(values.floats)] for k in range(len(formula.slots) + 1)]
            us[name] = settle(xp.astype(settle(new[0]), g.dtype))
            slots[name] = [
                settle(xp.astype(settle(x), m.dtype)) for x, m in zip(new[1:], state["slots"][name], strict=True)
            ]
            ints[name] = settle(xp.astype(settle(values.ints[-1]), xp.int32))
        ema = settle(xp.astype(settle(scalars[-1]), state["ema"].dtype))
        return us, {"count": settle(count), "slots": slots, "ints": ints, "ema": ema}

    def again() -> GradientTransformation:
        nonlocal rng
        rng = np.random.default_rng(4)  # init draws the same slots each time
        return GradientTransformation(init, update)

    return again


ERROR = {"float64": 2.0**-40, "float32": 2.0**-12}  # 2¹² last places: a dozen operations, each of slope two at most
ULP = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def agree(got: Any, wanted: Any, wide: str, what: str) -> None:
    others = by_path(wanted)
    for path, leaf in by_path(got).items():
        a, b, kind = host(leaf), host(others[path]), dtypes.name(leaf.dtype)
        assert kind == dtypes.name(others[path].dtype), f"{what}{path} is of {kind}"
        bound = ERROR[wide] + ULP[kind] * np.max(abs(b), initial=0.0) if kind in ULP else 0
        error = np.max(abs(a.astype(np.float64) - b), initial=0.0)
        assert error <= bound, f"{what}{path} is off by {error:g}"


def check(formula: Formula, library: Library, engine: str) -> None:
    """Three steps, fused and eagerly."""
    kinds = {formula.param, *formula.slots}
    if not kinds <= set(library.dtypes):
        formula = formula._replace(param="float32", slots=["float32" for _ in formula.slots])
    rng = np.random.default_rng(5)
    shapes = LARGE if formula.large else SHAPES

    def tree() -> Any:  # single numbers are not rounded to 16 bits on the way, as they are eagerly
        kinds = {**dict.fromkeys(shapes, formula.param), "c": "float32"}
        return {name: library.asarray(np.asarray(rng.uniform(-1, 1, s)), kinds[name]) for name, s in shapes.items()}

    params, days, make = tree(), [tree() for _ in range(3)], made(formula, library)
    plain, state = run(make(), params, days), make().init(params)
    step = arrayopt.fused_step(make(), engine=engine)
    for k, gs in enumerate(days):  # each from where the eager run is: a slot of 16 bits may round the other way
        new_params, new_state = step(copied(params, library), gs, copied(state, library))
        agree(new_params, plain.params[k], formula.wide, f"the parameters of step {k}: ")
        agree(new_state, plain.states[k], formula.wide, f"the state of step {k}: ")
        params, state = plain.params[k], plain.states[k]
    assert step.explain().stopped is None


COUNT = {("numpy", "numba"): 3, ("torch", "numba"): 1, ("numpy", "tiles"): 60, ("torch", "tiles"): 20}


@pytest.mark.parametrize(("library", "engine"), kernel_engines("numpy", "torch"), ids=str)
def test_any_formula_is_fused_as_it_stands(library: Library, engine: str) -> None:
    @settings(SETTINGS, max_examples=COUNT[str(library), engine])
    @given(FORMULAS)
    def holds(formula: Formula) -> None:
        check(formula, library, engine)

    holds()
