"""Matrix products are changed too, every change is noticed; and their rounding is shaken, partial sums and all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arrayopt_conformance.harness import matrices
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.mutants.automatic import mutants_of
from arrayopt_conformance.mutants.engine import Mutant, executed
from arrayopt_conformance.oracles import Array, leaf_by_leaf
from arrayopt_conformance.precision.noise import HALF_ULP, arithmetic
from arrayopt_conformance.precision.tier import check_run
from arrayopt_conformance.rules import Rule
from arrayopt_conformance.semantics.trajectories import Disagreement, check_case


@leaf_by_leaf(reach="leafwise", cases={"defaults": {}, "short": {"decay": 0.5}})
def by_matrices(p: Array, gs: Iterable[Array], *, decay: float = 0.9) -> Iterator[Array]:
    """by singular values, of which the step makes others, one by one"""
    m, left = 0 * p, np.zeros(())
    for g in gs:
        m = decay * m + (1 - decay) * g
        if g.ndim != 2:
            yield m
            continue
        left = decay * left + (1 - decay) * np.einsum("ik,jk->ij", g, g)
        u, s, v = np.linalg.svd(m, full_matrices=False)
        s = s / max(float(np.sqrt(np.sum(s**2))), 1e-300)
        yield np.einsum("ij,jk,k,kl->il", left, u, (3 * s - s**3) / 2, v)


RULE = Rule("by_matrices", matrices.by_matrices, by_matrices)
TEXT = Path(str(matrices.__file__)).read_text(encoding="utf-8")
MUTANTS = mutants_of("matrices", TEXT)

UPDATE = "return ({}, mu, left)"
STEP = "left @ (1.5 * x - 0.5 * ({}) @ x)"
CHANGED = {  # what must be among them: factors exchanged, a transpose dropped
    *[f"left = ema(left, g @ g.mT, decay) -> left = ema(left, {new}, decay)" for new in ("g.mT @ g", "g @ g")],
    *[f"{UPDATE} -> {UPDATE}".format(STEP.format("x @ x.mT"), STEP.format(new)) for new in ("x.mT @ x", "x @ x")],
}


def noticed(mutant: Mutant) -> bool:
    with np.errstate(all="ignore"):
        try:
            for case in by_matrices.cases:
                check_case(RULE, case, libraries()["numpy"], "float64", make=executed(mutant).by_matrices)
        except Exception:  # shapes that do not fit, too
            return True
    return False


def test_the_unchanged_rule_passes() -> None:
    assert not noticed(Mutant("matrices", "unchanged", TEXT))


def test_factors_are_exchanged_and_transposes_dropped() -> None:
    assert {f"_by_matrices: {title}" for title in CHANGED} <= {mutant.title for mutant in MUTANTS}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.title)
def test_a_mutant_is_killed(mutant: Mutant) -> None:
    assert noticed(mutant)


@pytest.mark.parametrize("case", by_matrices.cases)
def test_it_is_as_exact_as_rounding_lets_it_be(case: str, library: Library) -> None:
    check_run(RULE.make(**by_matrices.cases[case]), RULE, case, library, "float32")


NAIVE = {
    "L in float16": ("g @ g.mT,", "(g @ g.mT).astype('float16'),"),
    "a product of what cancels": ("(x @ x.mT) @ x", "((99.0 + x @ x.mT) @ x - 99.0 * total(x, 0))"),
}


@pytest.mark.parametrize("name", NAIVE)
def test_a_naive_product_is_found_out(name: str) -> None:
    old, new = NAIVE[name]
    assert TEXT.count(old) == 1
    naive = executed(Mutant("matrices", name, TEXT.replace(old, new))).by_matrices()
    with pytest.raises(Disagreement):
        check_run(naive, RULE, "defaults", libraries()["numpy"], "float32")


# -- the noise -----------------------------------------------------------------------------------------------

RUNS = 20


def cancelling() -> tuple[Array, Array]:
    """Factors of single precision, whose products have large terms that cancel in part."""
    random = np.random.default_rng(3)
    a, b = random.standard_normal((6, 40)), random.standard_normal((40, 5))
    a[:, 20:], b[20:] = a[:, :20] + 1e-3 * a[:, 20:], -b[:20]
    return a.astype(np.float32).astype(np.float64), b.astype(np.float32).astype(np.float64)


def strayed(product: Any, *factors: Array) -> Array:
    """How far a product of noisy factors strays at most."""
    found = list[Array]()
    for seed in range(RUNS):
        with arithmetic(seed) as noisy:
            found.append(np.asarray(product(*map(noisy, factors))) - product(*factors))
    return np.asarray(np.max(np.abs(np.stack(found)), axis=0))


def one_by_one(a: Array, b: Array) -> Array:
    """The product in float32, its sums formed one by one."""
    terms = a.astype(np.float32)[:, :, None] * b.astype(np.float32)[None, :, :]
    sums: Array = np.add.accumulate(terms, axis=1)
    return sums[:, -1].astype(np.float64)


def test_noise_shakes_the_partial_sums_of_a_product() -> None:
    a, b = cancelling()
    error, far = abs(one_by_one(a, b) - a @ b), strayed(np.matmul, a, b)
    assert np.max(error / abs(a @ b)) > 20 * HALF_ULP  # more than a rounding of the result
    assert np.all(error <= 4 * (far + 4 * HALF_ULP * abs(a @ b)))
    assert np.max(far) <= 10 * np.max(error)


@pytest.mark.parametrize("name", ["dot", "tensordot", "vecdot", "matvec", "vecmat"])
def test_every_product_is_shaken_so(name: str) -> None:
    if not hasattr(np, name):
        pytest.skip(f"this NumPy has no {name}")
    a, b = cancelling()
    x, y = {"vecdot": (a[0], b[:, 0]), "matvec": (a, b[:, 0]), "vecmat": (a[0], b)}.get(name, (a, b))
    how = {"axes": 1} if name == "tensordot" else {}
    assert np.allclose(strayed(partial(getattr(np, name), **how), x, y), strayed(np.matmul, x, y), rtol=1e-6, atol=0)


def test_axes_of_a_tensor_product_may_be_named() -> None:
    a, b = cancelling()
    x, y = a.reshape(6, 8, 5), b.reshape(8, 5, 5)
    for axes in (2, ([1, 2], [0, 1]), ([2, 1], [1, 0]), (-1, 1)):
        with arithmetic(0) as noisy:
            got = np.tensordot(noisy(x), noisy(y), axes=axes)
        assert got.shape == np.tensordot(x, y, axes=axes).shape
        assert np.allclose(np.asarray(got), np.tensordot(x, y, axes=axes), atol=1e-4)


def test_a_product_of_vectors_and_of_stacks_has_its_shape() -> None:
    a, b = cancelling()
    for x, y in (
        (a[0], b),
        (a, b[:, 0]),
        (a[0], b[:, 0]),
        (np.stack([a, a]), b),
        (np.stack([a, a]), np.stack([b, b])),
    ):
        with arithmetic(0) as noisy:
            got = noisy(x) @ noisy(y)
        assert got.shape == (x @ y).shape
        assert np.allclose(np.asarray(got), x @ y, atol=1e-4)
