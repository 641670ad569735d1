"""Sequences of steps on one `FusedStep`, the caller doing between them what callers do: each as eager updates."""

from __future__ import annotations

import importlib.util
import shutil
from typing import Any

import pytest
from arrayopt_conformance.fuzz.cases import Case, cases
from arrayopt_conformance.fuzz.moves import moves_of
from arrayopt_conformance.fuzz.play import play
from arrayopt_conformance.harness.forests import SETTINGS
from cuda_on_host import emulate
from hypothesis import HealthCheck, given, settings

QUICK = ["sgd", "adam", "clipped", "raises_when_told", "counts_gradients", "prunes", "history", "odd_state", "noisy"]
"""Rules of few kernels, for the engine that compiles them."""


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def played(library: str, examples: int, **drawn: Any) -> None:
    """Plays cases of one library."""
    if not installed(library):
        pytest.skip(f"{library} is not installed")

    @settings(
        SETTINGS, max_examples=examples, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
    @given(cases([library], moves_of, **drawn))
    def check(case: Case) -> None:
        play(case)

    check()


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_sequences_of_steps_are_as_eager_ones(library: str) -> None:
    played(library, 40, engines=["tiles", "eager"], longest=6)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_sequences_of_compiled_steps_are_as_eager_ones(library: str) -> None:
    if not installed("numba"):
        pytest.skip("numba is not installed")
    played(library, 30, engines=[None, "numba"], rules=QUICK, dtypes=["float32"], longest=6)


def test_sequences_of_steps_on_jax_are_as_eager_ones() -> None:
    played("jax", 12, engines=[None], rules=QUICK, dtypes=["float32"], longest=4)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_sequences_of_steps_on_an_emulated_gpu_are_as_eager_ones(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed(library):
        pytest.skip(f"{library} is not installed")
    emulate(library, monkeypatch)
    played(library, 15, engines=["cuda"], rules=QUICK[:6], dtypes=["float32"], longest=5)
