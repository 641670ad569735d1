"""The harness catches what it is for: each of eighteen bad rules, and no good one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import arrayopt
from arrayopt_conformance.harness import compiled, meta, readonly, sharded, sins, strict
from arrayopt_conformance.libraries import libraries

WHOLE = (strict, compiled, sharded, meta, readonly)
ENOUGH = (strict, compiled, sharded)  # between them these catch every sin
SHAPES = {"w": (8, 4)}

pytestmark = pytest.mark.skipif(
    not {harness.NAME for harness in WHOLE} <= set(libraries()), reason="needs array-api-strict, Torch and JAX"
)


def caught(harness: Any, make: Callable[[], Any]) -> bool:
    """Whether the transform fails there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning is no catch
        try:
            harness.trial(make, libraries()[harness.NAME], SHAPES)
        except Exception:  # a harness may fail in any way; the good rules show that it does not always
            return True
    return False


@pytest.mark.parametrize("sin", sins.SINS)
def test_every_sin_is_caught(sin: str) -> None:
    assert any(caught(harness, partial(sins.rule, sins.SINS[sin])) for harness in ENOUGH)


def test_there_are_eighteen() -> None:
    assert len(sins.SINS) == 18


@pytest.mark.parametrize("harness", WHOLE, ids=lambda harness: harness.__name__.rsplit(".")[-1])
@pytest.mark.parametrize("make", [partial(sins.rule, sins.good), partial(arrayopt.adamw, 0.1)], ids=["mean", "adamw"])
def test_good_rules_pass(harness: Any, make: Callable[[], Any]) -> None:
    harness.trial(make, libraries()[harness.NAME], SHAPES)


def test_there_are_devices_to_shard_over() -> None:
    assert sharded.devices() >= 4


@pytest.mark.parametrize("sin", [sins.scales_in_place, sins.writes_an_entry])
def test_a_read_only_array_refuses_to_be_written_to(sin: sins.Line) -> None:
    assert caught(readonly, partial(sins.rule, sin))
