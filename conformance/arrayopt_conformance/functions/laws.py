"""What every function of arrays must hold to, on every library: laws on one case."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import arrayopt
from arrayopt import dtypes
from arrayopt.dispatch import is_array
from arrayopt.dispatch import library as library_of
from arrayopt.tree.structure import flatten
from arrayopt_conformance.functions import Case
from arrayopt_conformance.harness import compiled, meta, readonly, strict
from arrayopt_conformance.harness.compare import assert_near, assert_same, host, snapshot
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
      dear: whether it compiles something: then one case of each function must do.
    """

    holds: Holds
    only: tuple[str, ...]
    dear: bool

    def __str__(self) -> str:
        return self.holds.__name__

    def speaks_of(self, library: Library) -> bool:
        return not self.only or library.name in self.only


LAWS: list[Law] = []


def law(*only: str, dear: bool = False) -> Callable[[Holds], Holds]:
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
    with double(library):
        assert_near(library.numpy(case.on(library)()), case.wanted(), DOUBLE, "the answer ")


@law()
def the_answer_is_of_its_dtype_and_library(case: Case, library: Library) -> None:
    """For every dtype of the arguments; and on the device where they are."""
    for dtype in [dtype for dtype in library.dtypes if dtype in dtypes.REALS]:
        there = case.on(library, dtype)
        for leaf in arrayopt.tree.leaves(there()):
            assert is_array(leaf), f"the answer is no array: {leaf!r}"
            assert library_of(leaf) == library.name
            got, wanted = dtypes.name(leaf.dtype), case.dtype(dtype)
            assert got in (wanted, "int32", "int64"), f"of {dtype} it makes {got}, not {wanted}"


@law()
def sixteen_bits_are_rounded_once(case: Case, library: Library) -> None:
    """The same as in float32, rounded to the last bit."""
    for dtype in [dtype for dtype in NARROW if dtype in library.dtypes]:
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


@law()
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
    with double(library):
        whole = library.numpy(case.on(library)())
        for k in range(rows_of(case) - 1):
            pair = library.numpy(part(case, slice(k, k + 2)).on(library)())
            assert_near(pair, cut(whole, slice(k, k + 2)), DOUBLE, f"rows {k}, {k + 1}: ")


@law()
def no_rows_give_no_answers(case: Case, library: Library) -> None:
    """Of an empty batch it makes an empty one."""
    if case.rows is False:
        return
    empty = part(case, slice(0, 0)).on(library, widest(library))()
    for leaf, usual in zip(arrayopt.tree.leaves(empty), arrayopt.tree.leaves(case.wanted()), strict=True):
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


def split(case: Case) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The arrays of a case, and the function of them alone."""
    leaves, spec = flatten((list(case.args), dict(case.kwargs)))
    at = [k for k, leaf in enumerate(leaves) if is_array(leaf)]

    def f(arrays: Sequence[Any]) -> Any:
        filled = list(leaves)
        for k, x in zip(at, arrays, strict=True):
            filled[k] = x
        args, kwargs = spec.unflatten(filled)
        return case.function(*args, **kwargs)

    return [leaves[k] for k in at], f


@law("jax", dear=True)
def jit_changes_nothing(case: Case, library: Library) -> None:
    """Under ``jax.jit`` it answers the same, but for rounding."""
    arrays, f = split(case.on(library, "float32"))
    assert_near(library.numpy(library.modes["jit"](f)(arrays)), library.numpy(f(arrays)), 1e-6, "jitted, the answer ")


@law(compiled.NAME, dear=True)
def a_compiler_finds_one_graph(case: Case, library: Library) -> None:
    """``torch.compile`` without a graph break; it answers the same."""
    arrays, f = split(case.on(library, "float32"))
    found = compiled.fresh(library)(f)(arrays)
    assert_near(library.numpy(found), library.numpy(f(arrays)), 1e-6, "compiled, the answer ")


@law("jax", "torch", dear=True)
def rows_can_be_mapped(case: Case, library: Library) -> None:
    """``jax.vmap`` and ``torch.func.vmap`` over batches of one row give what the batch gives."""
    if case.rows is False:
        return
    with double(library):
        wanted = cut(library.numpy(case.on(library)()), (slice(None), None))
        args, f = split(part(case, (slice(None), None)).on(library))
        axes = [0 if has_rows(case, key, x) else None for key, x in arguments(case) if isinstance(x, np.ndarray)]
        assert len(axes) == len(args), "rows of trees are not mapped"
        module = importlib.import_module("jax" if library.name == "jax" else "torch.func")

        def spread(*xs: Any) -> Any:
            return f(xs)

        assert_near(library.numpy(module.vmap(spread, tuple(axes))(*args)), wanted, DOUBLE, "mapped, ")


# -- derivatives ---------------------------------------------------------------------------------------------------


def gradient(case: Case, place: int, library: Library) -> Numpy:
    """The derivative of the sum of all answers by one argument, by the library's own means; in double."""
    weights = [normal_like(x) for x in arrayopt.tree.leaves(case.wanted())]
    there = case.on(library)
    fixed = [library.asarray(w) for w in weights]

    def loss(x: Any) -> Any:
        args = (*there.args[:place], x, *there.args[place + 1 :])
        found = arrayopt.tree.leaves(case.function(*args, **there.kwargs))
        return sum([(y * w).sum() for y, w in zip(found, fixed, strict=True)])

    if library.name == "jax":
        return host(importlib.import_module("jax").grad(loss)(there.args[place]))
    return host(importlib.import_module("torch").func.grad(loss)(there.args[place]))


def normal_like(x: Any) -> Numpy:
    """Weights for the answers, so that a derivative of one does not hide that of another."""
    return np.asarray(np.random.default_rng(5).uniform(0.5, 1.5, np.shape(x)))


def slope(case: Case, place: int, step: float = 1e-6) -> Numpy:
    """The same derivative by differences of the oracle."""
    x = case.args[place]
    weights = [normal_like(y) for y in arrayopt.tree.leaves(case.wanted())]

    def loss(y: Numpy) -> float:
        found = arrayopt.tree.leaves(case.given((*case.args[:place], y, *case.args[place + 1 :])).wanted())
        return float(sum([(y * w).sum() for y, w in zip(found, weights, strict=True)]))

    found: Numpy = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[at] = step
        found[at] = (loss(x + move) - loss(x - move)) / (2 * step)
    return found


@law("jax", "torch")
def the_derivative_is_that_of_the_oracle(case: Case, library: Library) -> None:
    """Of the library's own differentiation, against differences of the oracle."""
    if not case.smooth:
        return
    with double(library):
        for place in case.by:
            what = f"by argument {place} the derivative "
            assert_near(gradient(case, place, library), slope(case, place), 1e-7, what)


# -- masks ---------------------------------------------------------------------------------------------------------


@law()
def what_is_masked_does_not_show(case: Case, library: Library) -> None:
    """NaN in entries that ``where`` leaves out changes no bit."""
    where = case.kwargs.get("where")
    if where is None or not case.masks:
        return
    spoilt = tuple([_spoilt(where, x) for x in case.args])
    with double(library):
        assert_same(case.given(spoilt).on(library)(), case.on(library)(), "with NaN behind the mask the answer ")
        if library.name in ("jax", "torch"):
            for place in case.by:
                found = gradient(case.given(spoilt), place, library)
                assert np.all(np.isfinite(found)), f"with NaN behind the mask the derivative is {found}"


def _spoilt(where: Numpy, x: Any) -> Any:
    """The array with NaN where the mask does not hold, which has an entry for each of its own or for each row."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return x
    return np.where(where.reshape(where.shape + (1,) * (x.ndim - where.ndim)), x, np.nan)
