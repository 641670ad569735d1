"""A fused step is as exact as rounding lets it be: each parameter rounded once, each slot as in ``test_tier_low``.

The same parameters and gradients are put to every step as there, so that a difference is the step's own. In a kernel
nothing is rounded to 16 bits but what is stored: for kernels the noise of narrow links is left out of the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import pytest

import arrayopt
from arrayopt.fused.recorder import RecordingBackend
from arrayopt_conformance.harness.fused import copied, serving
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.mutants.engine import edited, executed
from arrayopt_conformance.precision.noise import Array
from arrayopt_conformance.precision.test_accuracy import BAR, STEPS, gradients
from arrayopt_conformance.precision.test_accuracy import wanted as in_double
from arrayopt_conformance.precision.test_tier_low import NAIVE
from arrayopt_conformance.precision.tier import GREATEST, SHAPES, TINY, Inputs, compare, reference, ulp
from arrayopt_conformance.rules import Rule, arguments, rules
from arrayopt_conformance.semantics.trajectories import Disagreement, failures

PAIRS = [
    pytest.param(library, engine, id=f"{library}-{engine}")
    for library in libraries().values()
    if library.name in ("numpy", "torch", "jax")
    for engine in serving(library)
    if engine != "eager"
]


def answers(tx: Any, library: Library, given: Inputs, dtype: str, engine: str) -> Iterator[list[Array]]:
    """The parameters and the leaves of the state after every step."""
    step = arrayopt.fused_step(tx, engine=engine)
    state = copied(tx.init(library.tree(given.params[0], dtype)), library)
    for params, gs in zip(given.params, given.gradients, strict=True):
        new, state = step(library.tree(params, dtype), library.tree(gs, dtype), state)
        yield [np.array(library.numpy(x)) for x in [*new, *arrayopt.tree.leaves(state)]]


def check_run(tx: Any, rule: Rule, case: str, library: Library, engine: str, dtype: str) -> None:
    """Holds a fused step to the reference of a rule's case.

    Raises:
      Disagreement: a parameter or a slot is off by more than the tolerance; the message says where.
    """
    in_kernels = engine != "jit"
    known = reference(rule, case, dtype, not in_kernels)
    with np.errstate(over="ignore"):
        got = list(answers(tx, library, known.inputs, dtype, engine))
    for k, (row, wanted, spread) in enumerate(zip(got, known.results, known.spreads, strict=True)):
        for i, (x, y, far) in enumerate(zip(row, wanted, spread, strict=True)):
            if i < len(SHAPES):
                moved(f"step {k}, parameter {i}", x, known.inputs.params[k][i], y, far, dtype, in_kernels)
            else:
                compare(f"step {k}, slot {i}", x, y, far, "float32")


def moved(where: str, got: Array, p: Array, u: Array, spread: Array, dtype: str, in_kernels: bool) -> None:
    """A parameter with its update added: as far off as the update may be, and rounded once more."""
    allowed = 4 * (spread + 2 * ulp(u, "float32")) + TINY
    if dtype != "float32" and not in_kernels:
        allowed = allowed + ulp(abs(u) + allowed, dtype) / 2
    allowed = allowed + ulp(abs(p + u) + allowed, "float32") / 2
    if dtype != "float32":
        allowed = allowed + ulp(abs(p + u) + allowed, dtype) / 2
    new, bound = p + u, GREATEST[dtype]
    ratio = float(np.max(abs(np.clip(got, -bound, bound) - np.clip(new, -bound, bound)) / allowed, initial=0.0))
    if not ratio <= 1:
        raise Disagreement(f"{where}: off by {ratio:.3g} times the tolerance.")


def broken(rule: Rule, library: Library, engine: str, dtype: str, cases: list[str]) -> str:
    """The cases that are less exact than rounding lets them be."""
    absent = {"float64"} - {*library.dtypes}
    possible = [case for case in cases if absent.isdisjoint(map(str, rule.oracle.CASES[case].values()))]
    return failures((case, partial(check, rule, case, library, engine, dtype)) for case in possible)


def check(rule: Rule, case: str, library: Library, engine: str, dtype: str) -> None:
    check_run(rule.make(**arguments(rule.oracle.CASES[case])), rule, case, library, engine, dtype)


@pytest.mark.parametrize(("library", "engine"), PAIRS)
def test_every_case_in_float32(rule: Rule, library: Library, engine: str) -> None:
    cases = list(rule.oracle.CASES)
    assert not broken(rule, library, engine, "float32", cases if engine != "jit" else [cases[-1]])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("library", "engine"), PAIRS)
def test_the_fullest_case_in_16_bits(rule: Rule, library: Library, engine: str, dtype: str) -> None:
    if dtype not in library.dtypes:
        pytest.skip(f"{library} has no {dtype}")
    if engine == "jit":
        pytest.skip("test_tier_low has it: XLA computes the same operations")
    if engine == "numba" and dtype == "float16" and rule.name not in ("adamw", "adafactor"):
        pytest.skip("differs from bfloat16 in loads and stores alone; each kernel takes a second to compile")
    cases = list(rule.oracle.CASES)
    assert not broken(rule, library, engine, dtype, [cases[-1]] if engine != "tiles" else [cases[0], cases[-1]])


@pytest.mark.parametrize(("library", "engine"), PAIRS)
@pytest.mark.parametrize("b2", [0.999, 0.9999, 0.99999])
def test_adam_stays_near_its_double(
    library: Library, engine: str, b2: float, record_property: Callable[[str, Any], None]
) -> None:
    """The bar of ``test_accuracy``: from zero, the parameter after a step is the update."""
    if library.name == "jax":
        pytest.skip("test_accuracy has it: the step is the library's own, jitted")
    tx = arrayopt.scale_by_adam(b2=b2)
    step, zero = arrayopt.fused_step(tx, engine=engine), library.asarray(np.zeros(gradients().shape[1]), "float32")
    gs, state, p = library.asarray(gradients(), "float32"), tx.init(zero), library.backend.copy(zero)
    found = np.empty((STEPS, zero.shape[0]))
    for k in range(STEPS):
        library.backend.assign(p, zero)
        p, state = step(p, gs[k, :], state)
        found[k] = library.numpy(p)
    error = abs(found - in_double(b2)).max(axis=1)
    worst = float(np.max(error / abs(in_double(b2)).max(axis=1)))
    record_property("figure", f"largest error of fused float32 Adam, b2 = {b2}, {library} by {engine}: {worst:.1e}")
    assert worst <= BAR


@pytest.mark.parametrize("edit", NAIVE[1:], ids=lambda edit: edit.title)
def test_a_naive_formula_is_found_out(edit: Any) -> None:
    """But not 1 − βᵗ: that is computed on the host, in double, however it is written."""
    numpy, (rule,) = libraries()["numpy"], [rule for rule in rules() if rule.name == "scale_by_adam"]
    if "bfloat16" in edit.new and "bfloat16" not in numpy.dtypes:
        pytest.skip("ml_dtypes, which gives NumPy bfloat16, is not installed")
    naive = executed(edited("adam", edit)).scale_by_adam()
    with pytest.raises(Disagreement):
        check_run(naive, rule, "defaults", numpy, "tiles", "float32")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_rounding_between_links_is_found_out(dtype: str) -> None:
    """Were an update rounded on its way through a chain, a parameter would be off by more than its own rounding."""
    numpy, (rule,) = libraries()["numpy"], [rule for rule in rules() if rule.name == "adamw"]
    if dtype not in numpy.dtypes:
        pytest.skip(f"NumPy has no {dtype} here")

    def rounding(self: Any, x: Any, kind: Any) -> Any:
        return self.xp.astype(x, kind)

    case = list(rule.oracle.CASES)[-1]
    check(rule, case, numpy, "tiles", dtype)
    with mock.patch.object(RecordingBackend, "hand_on", rounding), pytest.raises(Disagreement):
        check(rule, case, numpy, "tiles", dtype)
