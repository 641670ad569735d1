"""The examples in the documentation print the same digits on every library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arrayopt
from arrayopt_conformance.libraries import Library, double

# Five steps down f(x) = Σx² from [1, 2, 3]: the values of f after each.
EXAMPLES: dict[str, tuple[Callable[..., Any], float, str]] = {
    "adam": (arrayopt.adam, 0.003, "1.40E+01 1.39E+01 1.39E+01 1.39E+01 1.38E+01"),
    "adabelief": (arrayopt.adabelief, 0.003, "1.40E+01 1.39E+01 1.39E+01 1.38E+01 1.38E+01"),
    "adopt": (arrayopt.contrib.adopt, 0.003, "1.40E+01 1.40E+01 1.40E+01 1.40E+01 1.40E+01"),
    "ademamix": (arrayopt.contrib.ademamix, 0.01, "1.39E+01 1.38E+01 1.36E+01 1.35E+01 1.34E+01"),
    "adafactor": (arrayopt.adafactor, 0.003, "1.39E+01 1.38E+01 1.38E+01 1.37E+01 1.36E+01"),
}


def descent(tx: Any, library: Library, dtype: str) -> str:
    """What the example prints."""
    x = library.asarray(np.asarray([1.0, 2.0, 3.0]), dtype)
    state, printed = tx.init(x), list[str]()
    for _ in range(5):
        updates, state = tx.update(2 * x, state, x)
        x = arrayopt.apply_updates(x, updates)
        printed.append(f"{np.sum(library.numpy(x).astype('float64') ** 2):.2E}")
    return " ".join(printed)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_prints_what_is_documented(name: str, library: Library, dtype: str) -> None:
    make, learning_rate, printed = EXAMPLES[name]
    with double(library):
        assert descent(make(learning_rate=learning_rate), library, dtype) == printed
