"""Arrays keep every bit on their way from one library to another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from arrayopt_conformance.harness.compare import bits
from arrayopt_conformance.laws.moving import moved
from arrayopt_conformance.libraries import COMPLEX, Library, libraries

PAIRS = list(itertools.product(libraries().values(), repeat=2))


@pytest.mark.parametrize(("home", "abroad"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_arrays_go_there_and_back(home: Library, abroad: Library) -> None:
    numbers = np.asarray([[1.0, -0.0, 2.0**-14], [1 / 3, np.inf, -65504.0]])
    for dtype in sorted(set(home.dtypes) & set(abroad.dtypes)):
        for values in (numbers, numbers[0, 0], numbers[:0]):
            given = home.asarray(values * (1 - 0.5j) if dtype in COMPLEX else values, dtype)
            there = moved(given, abroad)
            assert bits(there)[1:] == bits(given)[1:], f"{dtype} in {abroad}"
            assert bits(moved(there, home)) == bits(given), f"{dtype} back from {abroad}"
