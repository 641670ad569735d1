"""Updates are like the gradients, and the state is of the same kind after every step.

Whatever the dtypes of parameters and gradients, slots are at least float32 unless an argument asks otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from arrayopt import dtypes
from arrayopt_conformance.harness.compare import assert_alike, by_path, kinds
from arrayopt_conformance.harness.data import SHAPES, SMALL, Shapes, gradients, parameters
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import COMPLEX, Library

_MIXED = [
    ("bfloat16", "float32"),
    ("float16", "float32"),
    ("float32", "bfloat16"),
    ("float32", "float16"),
    ("float64", "float32"),
    ("float32", "float64"),
    ("complex128", "complex64"),
]  # dtypes of parameters and gradients


def _pairs(library: Library) -> Iterator[tuple[str, str]]:
    yield from [(dtype, dtype) for dtype in library.dtypes]
    yield from [(a, b) for a, b in _MIXED if {a, b} <= set(library.dtypes)]


def _steps(make: Recipe, library: Library, pair: tuple[str, str], shapes: Shapes) -> Iterator[tuple[Any, Any, Any]]:
    """Gradients, updates and state of each step, first those of ``init``."""
    params = parameters(library, pair[0], shapes)
    tx = make()
    state = tx.init(params)
    yield None, None, state
    for gs in gradients(library, pair[1], shapes):
        us, state = tx.update(gs, state, params)
        yield gs, us, state


@law()
def updates_are_like_gradients(make: Recipe, library: Library) -> None:
    """Structure, shape, dtype, library and device; never a scalar or a weak type for an array."""
    for pair in _pairs(library):
        for gs, us, _ in _steps(make, library, pair, SMALL):
            assert_alike(us, gs, f"with parameters of {pair[0]}, gradients of {pair[1]}, the update")
    for gs, us, _ in _steps(make, library, ("float32", "float32"), SHAPES):
        assert_alike(us, gs, "the update")


@law()
def state_stays_of_its_kind(make: Recipe, library: Library) -> None:
    """Structure, shapes and dtypes of the state are those that ``init`` made: it can be carried by a scan."""
    for pair in _pairs(library):
        (_, _, first), *later = _steps(make, library, pair, SMALL)
        for k, (_, _, state) in enumerate(later, 1):
            what = f"with parameters of {pair[0]}, gradients of {pair[1]}"
            assert kinds(state) == kinds(first), f"{what}, after {k} steps the state is {kinds(state)}"


@law()
def state_is_of_arrays(make: Recipe, library: Library) -> None:
    """Every leaf of the state is an array as the parameters are; in JAX of a dtype that is no mere guess."""
    params = parameters(library)
    home = params["w"].__class__
    for path, leaf in by_path(make().init(params)).items():
        assert type(leaf) is home, f"the state{path} is a {type(leaf).__name__}, not a {home.__name__}"
        assert not getattr(leaf, "weak_type", False), f"the state{path} is weakly typed"


@law()
def slots_are_wide(make: Recipe, library: Library) -> None:
    """At least float32, unless an argument asks for less."""
    narrow = {"float16", "bfloat16"}
    if any([str(value) in narrow for _, value in make.everything()]):
        return
    for dtype in library.dtypes:
        for path, leaf in by_path(make().init(parameters(library, dtype, SMALL))).items():
            assert dtypes.name(leaf.dtype) not in narrow, f"for {dtype}, the state{path} is {leaf.dtype}"


@law()
def dtype_arguments_are_kept_to(make: Recipe, library: Library) -> None:
    """A slot asked to be of a dtype is so, and stays so; and the updates do not change theirs."""
    for name in make.accepting("DType"):
        heeded: dict[str, set[str]] = {}
        for wanted in set(library.dtypes) - set(COMPLEX):
            what = f"with {name}={wanted!r}"
            (_, _, first), *later = _steps(make.but(**{name: wanted}), library, ("float32", "float32"), SMALL)
            heeded[wanted] = {dtypes.name(leaf.dtype) for leaf in by_path(first).values()}
            for gs, us, state in later:
                assert_alike(us, gs, f"{what}, the update")
                assert kinds(state) == kinds(first), f"{what}, the state becomes {kinds(state)}"
        if len({frozenset(found) for found in heeded.values()}) > 1:  # if there is such a slot at all
            missed = [wanted for wanted, found in heeded.items() if wanted not in found]
            assert not missed, f"{name}={missed} is not heeded"
