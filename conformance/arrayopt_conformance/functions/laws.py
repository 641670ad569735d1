"""What every function of arrays must hold to, on every library: laws on one case."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import arrayopt
from arrayopt import dtypes
from arrayopt.dispatch import is_array
from arrayopt.dispatch import library as library_of
from arrayopt_conformance.functions import Case
from arrayopt_conformance.functions.runs import answer, derivatives_of_jax, ran, slope, slopes, split, wanted
from arrayopt_conformance.harness import compiled, meta, readonly, strict
from arrayopt_conformance.harness.compare import assert_alike, assert_near, assert_same, snapshot
from arrayopt_conformance.libraries import Library, Numpy, double

Holds = Callable[[Case, Library], None]

NARROW = ("bfloat16", "float16")
DOUBLE = 1e-12  # of the greatest entry: some roundings in double, and no formula that is another


@dataclass(frozen=True)
class Law:
    """One thing promised of functions.

    Attributes:
      holds: raises AssertionError if it does not.
      only: the libraries it speaks of; empty for all.
      dear: the libraries on which it compiles something: there one case of each function must do.
    """

    holds: Holds
    only: tuple[str, ...]
    dear: tuple[str, ...]

    def __str__(self) -> str:
        return self.holds.__name__

    def speaks_of(self, library: Library) -> bool:
        return not self.only or library.name in self.only

    def cases(self, cases: list[Case], library: Library) -> list[Case]:
        """Those of a function that it is tried on."""
        return cases[: 1 if library.name in self.dear else None]


LAWS: list[Law] = []


def law(*only: str, dear: tuple[str, ...] = ()) -> Callable[[Holds], Holds]:
    """Marks a function as a law, of the libraries named or of all."""

    def register(holds: Holds) -> Holds:
        LAWS.append(Law(holds, only, dear))
        return holds

    return register


def widest(library: Library) -> str:
    """The widest real dtype to be had without asking."""
    return "float64" if "float64" in library.dtypes else "float32"


# -- what is answered --------------------------------------------------------------------------------------------


@law()
def the_oracle_agrees(case: Case, library: Library) -> None:
    """In double precision, to 1e-12 of the greatest entry."""
    assert_near(answer(case, library), wanted(case), DOUBLE, "the answer ")


@law()
def the_answer_is_of_its_dtype_and_library(case: Case, library: Library) -> None:
    """For every dtype of the arguments; and on the device where they are."""
    for dtype in [dtype for dtype in library.dtypes if dtype in dtypes.REALS]:
        for leaf in arrayopt.tree.leaves(form(case.on(library, dtype), library)):
            found, should = dtypes.name(leaf.dtype), case.dtype(dtype)
            assert found in (should, "int32", "int64"), f"of {dtype} it makes {found}, not {should}"


def form(case: Case, library: Library) -> Any:
    """The answer, or on JAX what is known of it before it is compiled; a law of ``jit`` says it is the same."""
    if library.name == "jax":
        arrays, f = split(case)
        return importlib.import_module("jax").eval_shape(f, arrays)
    found = case()
    for leaf in arrayopt.tree.leaves(found):
        assert is_array(leaf), f"the answer is no array: {leaf!r}"
        assert library_of(leaf) == library.name
    return found


@law(dear=("jax",))
def sixteen_bits_are_rounded_once(case: Case, library: Library) -> None:
    """The same as in float32, rounded to the last bit."""
    tried = NARROW[: 1 if library.name == "jax" else None]  # which compiles for each
    for dtype in [dtype for dtype in tried if dtype in library.dtypes]:
        narrow = case.on(library, dtype)
        with np.errstate(over="ignore"):
            wide = narrow_to(library, widened(narrow, library)(), case.dtype(dtype))
        assert_same(narrow(), wide, f"in {dtype} the answer ")


def widened(case: Case, library: Library) -> Case:
    """A case of 16-bit arrays with the same values in float32."""

    def wide(x: Any) -> Any:
        return library.backend.xp.astype(x, library.backend.dtype("float32")) if _is_narrow(x) else x

    args, kwargs = arrayopt.tree.map(wide, (list(case.args), dict(case.kwargs)))
    return case.given(tuple(args), kwargs)


def _is_narrow(x: Any) -> bool:
    return is_array(x) and dtypes.name(x.dtype) in NARROW


def narrow_to(library: Library, tree: Any, dtype: str) -> Any:
    """The tree with its floating-point arrays rounded to a dtype."""

    def narrow(x: Any) -> Any:
        return library.backend.xp.astype(x, library.backend.dtype(dtype)) if dtypes.is_inexact(x.dtype) else x

    return arrayopt.tree.map(narrow, tree)


# -- purity --------------------------------------------------------------------------------------------------------


@law(dear=("jax",))
def arguments_stay_as_they_are(case: Case, library: Library) -> None:
    """Every bit of them; and the same call gives the same bits."""
    there = case.on(library, widest(library))
    given = [leaf for leaf in arrayopt.tree.leaves((list(there.args), dict(there.kwargs))) if is_array(leaf)]
    before, first = snapshot(given), there()
    assert snapshot(given) == before, "it writes to its arguments"
    assert_same(there(), first, "called again, it gives ")


@law(readonly.NAME)
def read_only_arrays_will_do(case: Case, library: Library) -> None:
    """Nothing is written even for a moment."""

    def frozen(x: Numpy) -> Any:
        return readonly.read_only(x.copy())

    case.mapped(frozen)()


# -- rows ----------------------------------------------------------------------------------------------------------


def has_rows(case: Case, key: int | str, x: Any) -> bool:
    """Whether an argument is an array with a first axis of rows."""
    return isinstance(x, np.ndarray) and (case.rows is True or (case.rows is not False and key in case.rows))


def part(case: Case, index: Any) -> Case:
    """The same with some of the rows, or one without its axis."""
    args = tuple([x[index] if has_rows(case, k, x) else x for k, x in enumerate(case.args)])
    return case.given(args, {k: x[index] if has_rows(case, k, x) else x for k, x in case.kwargs.items()})


def cut(tree: Any, index: Any) -> Any:
    """The same of every array of an answer."""

    def each(x: Numpy) -> Any:
        return x[index]

    return arrayopt.tree.map(each, tree)


def rows_of(case: Case) -> int:
    """How many there are."""
    return min([len(x) for key, x in arguments(case) if has_rows(case, key, x)])


def arguments(case: Case) -> list[tuple[int | str, Any]]:
    """Its arguments by place or name."""
    return [*enumerate(case.args), *case.kwargs.items()]


@law()
def rows_do_not_know_one_another(case: Case, library: Library) -> None:
    """A batch gives what its rows give two by two."""
    if case.rows is False:
        return
    whole, count = answer(case, library), rows_of(case)
    for k in range(count - 1):
        pair = np.resize([k, k + 1], count if library.name == "jax" else 2)  # again and again: as many are compiled
        found = answer(part(case, pair), library, like=case)
        assert_near(found, cut(whole, pair), DOUBLE, f"rows {k}, {k + 1}: ")


@law()
def no_rows_give_no_answers(case: Case, library: Library) -> None:
    """Of an empty batch it makes an empty one."""
    if case.rows is False:
        return
    empty = form(part(case, slice(0, 0)).on(library, widest(library)), library)
    for leaf, usual in zip(arrayopt.tree.leaves(empty), arrayopt.tree.leaves(wanted(case)), strict=True):
        assert tuple(leaf.shape) == (0, *usual.shape[1:])


# -- where and how it runs -------------------------------------------------------------------------------------------


@law(strict.NAME)
def a_second_device_will_do(case: Case, library: Library) -> None:
    """Under array-api-strict's guard: no look at a value, no write, nothing left on the default device."""
    there = case.on(library)
    args, kwargs = strict.abroad_arrays((list(there.args), dict(there.kwargs)))
    with strict.guarded():
        found = case.given(tuple(args), kwargs)()
    for leaf in arrayopt.tree.leaves(found):
        assert "device1" in str(leaf.device), f"the answer is on {leaf.device}"


@law(meta.NAME)
def values_are_not_needed(case: Case, library: Library) -> None:
    """On Torch's meta device, which has the rules of CUDA and no values."""
    there = case.on(library)

    def hollow(x: Any) -> Any:
        return x.to("meta") if is_array(x) else x

    args, kwargs = arrayopt.tree.map(hollow, (list(there.args), dict(there.kwargs)))
    for leaf in arrayopt.tree.leaves(case.given(tuple(args), kwargs)()):
        assert leaf.device.type == "meta"


@law("jax", dear=("jax",))
def jit_changes_nothing(case: Case, library: Library) -> None:
    """Under ``jax.jit`` it answers the same, but for rounding."""
    arrays, f = split(case.on(library, "float32"))
    jitted, eager = library.modes["jit"](f)(arrays), f(arrays)
    assert_alike(jitted, eager, "jitted, the answer ")
    assert_near(library.numpy(jitted), library.numpy(eager), 1e-6, "jitted, the answer ")


@law("jax", dear=("jax",))
def jit_changes_no_derivative(case: Case, library: Library) -> None:
    """Outside of ``jax.jit`` it is in float32 what it is within in double precision, but for rounding.

    Compiling is dear: asked of what steers itself or has a derivative of its own, not of plain operations.
    """
    arrays, f = split(case.on(library, "float32"))
    program = str(importlib.import_module("jax").make_jaxpr(f)(arrays))
    if not any([f"{name}[" in program for name in ("custom_jvp_call", "custom_vjp_call", "cond", "while", "scan")]):
        return
    eager = derivatives_of_jax(case)(arrays)
    for place, found, jitted in zip(case.by, eager, slopes(case, library), strict=True):
        assert_near(library.numpy(found), jitted, 1e-5, f"outside of jit by argument {place} the derivative ")


@law(compiled.NAME, dear=(compiled.NAME,))
def a_compiler_finds_one_graph(case: Case, library: Library) -> None:
    """``torch.compile`` without a graph break; it answers the same."""
    arrays, f = split(case.on(library, "float32"))
    found = compiled.fresh(library)(f)(arrays)
    assert_near(library.numpy(found), library.numpy(f(arrays)), 1e-6, "compiled, the answer ")


@law("jax", "torch", dear=("jax", "torch"))
def rows_can_be_mapped(case: Case, library: Library) -> None:
    """``jax.vmap`` and ``torch.func.vmap`` over batches of one row give what the batch gives."""
    if case.rows is False:
        return
    with double(library):
        whole = cut(answer(case, library), (slice(None), None))
        args, f = split(part(case, (slice(None), None)).on(library))
        axes = [0 if has_rows(case, key, x) else None for key, x in arguments(case) if isinstance(x, np.ndarray)]
        assert len(axes) == len(args), "rows of trees are not mapped"
        module = importlib.import_module("jax" if library.name == "jax" else "torch.func")

        def spread(*xs: Any) -> Any:
            return f(xs)

        found = ran(module.vmap(spread, tuple(axes)), library)(*args)
        assert_near(library.numpy(found), whole, DOUBLE, "mapped, ")


# -- derivatives ---------------------------------------------------------------------------------------------------


@law("jax", "torch")
def the_derivative_is_that_of_the_oracle(case: Case, library: Library) -> None:
    """Of the library's own differentiation, against differences of the oracle."""
    if not case.smooth:
        return
    for place, found in zip(case.by, slopes(case, library), strict=True):
        assert_near(found, slope(case, place), 1e-7, f"by argument {place} the derivative ")


# -- masks ---------------------------------------------------------------------------------------------------------


@law()
def what_is_masked_does_not_show(case: Case, library: Library) -> None:
    """NaN in entries that ``where`` leaves out changes no bit."""
    where = case.kwargs.get("where")
    if where is None or not case.masks:
        return
    spoilt = case.given(tuple([_spoilt(where, x) for x in case.args]))
    found = answer(spoilt, library, like=case)
    assert_same(found, answer(case, library), "with NaN behind the mask the answer ")
    for by in slopes(spoilt, library, like=case) if library.name in ("jax", "torch") else ():
        assert np.all(np.isfinite(by)), f"with NaN behind the mask the derivative is {by}"


def _spoilt(where: Numpy, x: Any) -> Any:
    """The array with NaN where the mask does not hold, which has an entry for each of its own or for each row."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return x
    return np.where(where.reshape(where.shape + (1,) * (x.ndim - where.ndim)), x, np.nan)
