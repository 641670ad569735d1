"""A fused step is as exact as rounding lets it be: each parameter rounded once, each slot as in ``test_tier_low``.

Every case in float32, on every engine, is in ``test_tier_low`` too, where what it is compared with is at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

import arrayopt
from arrayopt.fused.recorder import RecordingBackend
from arrayopt_conformance import effort
from arrayopt_conformance.harness.fused import serving
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.mutants.engine import edited, executed
from arrayopt_conformance.precision.fused import broken, check, check_run
from arrayopt_conformance.precision.test_accuracy import BAR, STEPS, gradients
from arrayopt_conformance.precision.test_accuracy import wanted as in_double
from arrayopt_conformance.precision.test_tier_low import NAIVE
from arrayopt_conformance.rules import Rule, rules
from arrayopt_conformance.semantics.trajectories import Disagreement

IN_KERNELS = ("numba", "tiles")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("rule", effort.computing(), ids=str)
def test_the_fullest_case_in_16_bits(rule: Rule, dtype: str) -> None:
    """In kernels, where a chain rounds nothing but what it stores. Torch's kernels are NumPy's."""
    library = libraries()["numpy"]
    if dtype not in library.dtypes:
        pytest.skip(f"NumPy has no {dtype} here")
    for engine in [name for name in serving(library) if name in IN_KERNELS]:
        if engine == "numba" and rule.wraps:
            continue  # a wrapper's kernels are those of the rules within
        if engine == "numba" and (rule.name not in effort.SAMPLE or (rule.name, dtype) == ("adafactor", "float16")):
            continue  # differs from float32 in loads and stores alone, and each kernel takes a second to compile
        assert not broken(rule, library, engine, dtype, [list(rule.oracle.cases)[-1]])


@pytest.mark.parametrize("b2", [0.999, 0.9999, 0.99999])
def test_adam_stays_near_its_double(library: Library, b2: float, record_property: Callable[[str, Any], None]) -> None:
    """The bar of ``test_accuracy``, on engines with kernels: from zero, the parameter after a step is the update."""
    for engine in serving(library):
        if engine not in ("jit", "eager"):
            worst = worst_error(library, engine, b2)
            figure = (
                f"largest error of fused float32 Adam in {STEPS} steps, b2 = {b2}, {library} by {engine}: {worst:.1e}"
            )
            record_property("figure", figure)
            assert worst <= BAR


def worst_error(library: Library, engine: str, b2: float) -> float:
    """The greatest error of a step, relative to the greatest update of that step."""
    tx = arrayopt.scale_by_adam(b2=b2)
    step, zero = arrayopt.fused_step(tx, engine=engine), library.asarray(np.zeros(gradients().shape[1]), "float32")
    gs, state, p = library.asarray(gradients(), "float32"), tx.init(zero), library.backend.copy(zero)
    found = np.empty((STEPS, zero.shape[0]))
    for k in range(STEPS):
        library.backend.assign(p, zero)
        p, state = step(p, gs[k, :], state)
        found[k] = library.numpy(p)
    error = abs(found - in_double(b2)).max(axis=1)
    return float(np.max(error / abs(in_double(b2)).max(axis=1)))


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

    case = list(rule.oracle.cases)[-1]
    check(rule, case, numpy, "tiles", dtype)
    with mock.patch.object(RecordingBackend, "hand_on", rounding), pytest.raises(Disagreement):
        check(rule, case, numpy, "tiles", dtype)
