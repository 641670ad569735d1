"""Every rule is, on every library, as exact in float32, bfloat16 and float16 as rounding lets it be."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from arrayopt_conformance import effort
from arrayopt_conformance.harness.fused import serving
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.mutants.engine import Edit, edited, executed
from arrayopt_conformance.precision import fused
from arrayopt_conformance.precision.noise import HALF_ULP, arithmetic
from arrayopt_conformance.precision.tier import check_run
from arrayopt_conformance.rules import Rule, arguments, rules
from arrayopt_conformance.semantics.trajectories import Disagreement, failures

# What makes a formula or a state lose digits, and in which dtype it shows.
NAIVE = [
    Edit("1 − βᵗ in float32", "nu_hat = unbias(nu, b2, t)", "nu_hat = nu / (1 - b2**t)"),
    Edit("v in bfloat16", "slots_like(who, params, real=True)", 'slots_like(who, params, "bfloat16", real=True)'),
    Edit("g² in float16", "nu = ema(nu, abs2(g), b2)", "nu = ema(nu, abs2(g).astype('float16'), b2)"),
    Edit("m̂ before it is corrected", "mu_hat = unbias(mu, b1, t)\n", "mu_hat = (unbias(mu, b1, t) + 99.0) - 99.0\n"),
]


def check(rule: Rule, case: str, library: Library, dtype: str) -> None:
    check_run(rule.make(**arguments(rule.oracle.cases[case])), rule, case, library, dtype)


def broken(rule: Rule, library: Library, dtype: str, cases: list[str]) -> str:
    """The cases that are less exact than rounding lets them be."""
    absent = {"float64"} - {*library.dtypes}  # a slot may be asked to be that
    possible = [case for case in cases if absent.isdisjoint(map(str, rule.oracle.cases[case].values()))]
    return failures((case, partial(check, rule, case, library, dtype)) for case in possible)


def test_every_case_in_float32(rule: Rule, library: Library) -> None:
    """As ``update`` takes it, and as a fused step does on every engine.

    Kernels are made from the same programs as tiles are: so compiled ones are tried on one case. Torch's are NumPy's.
    """
    alias, on_numpy = effort.is_alias(rule), library.name == effort.FIRST
    if alias and not on_numpy:
        pytest.skip("its links are tried there")
    cases = effort.cases(rule, library, dear=alias)
    assert not broken(rule, library, "float32", cases)
    for engine in [name for name in serving(library) if name != "eager"]:
        if engine == "tiles" or (engine == "numba" and on_numpy and not alias) or rule.name in effort.SAMPLE:
            tried = cases if engine == "tiles" else effort.cases(rule, library, dear=True)
            assert not fused.broken(rule, library, engine, "float32", tried)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("rule", effort.computing(), ids=str)
def test_the_plainest_and_the_fullest_case_in_16_bits(rule: Rule, library: Library, dtype: str) -> None:
    if dtype not in library.dtypes:
        pytest.skip(f"{library} has no {dtype}")
    if library.name == "jax" and rule.name not in effort.SAMPLE:
        pytest.skip("JAX computes in float32 as others do; how it rounds to 16 bits, laws on functions say")
    cases = effort.ends(list(rule.oracle.cases))
    assert not broken(rule, library, dtype, cases if library.name == effort.FIRST else cases[-1:])


@pytest.mark.parametrize("edit", NAIVE, ids=lambda edit: edit.title)
def test_a_naive_formula_is_found_out(edit: Edit) -> None:
    if "bfloat16" in edit.new and "bfloat16" not in libraries()["numpy"].dtypes:
        pytest.skip("ml_dtypes, which gives NumPy bfloat16, is not installed")
    rule = next(rule for rule in rules() if rule.name == "scale_by_adam")
    naive = executed(edited("adam", edit)).scale_by_adam()
    with pytest.raises(Disagreement):
        check_run(naive, rule, "defaults", libraries()["numpy"], "float32")


def test_noise_is_half_an_ulp_where_float32_rounds_and_none_where_it_does_not() -> None:
    x = np.linspace(1.0, 2.0, 1001)
    with arithmetic(0) as noisy:
        root, double = np.asarray(np.sqrt(noisy(x))), np.asarray(noisy(x.astype(np.float32)) * 2)
    strayed = abs(root / np.sqrt(x) - 1)
    assert 0.9 * HALF_ULP < strayed.max() <= 1.01 * HALF_ULP
    assert (double == 2 * x.astype(np.float32)).all()


def test_noise_shows_a_cancellation() -> None:
    x = np.linspace(1e-4, 2e-4, 1001)
    with arithmetic(0) as noisy:
        lost = np.asarray((1 + noisy(x)) - 1)
    assert abs(lost / x - 1).max() > 1000 * HALF_ULP
