"""A state can be put away and taken up again: copied, pickled, or carried to another library in mid-run."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np

import arrayopt
from arrayopt import dtypes
from arrayopt.dispatch import backend
from arrayopt_conformance.harness.compare import ULP, assert_near, assert_same
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library, libraries

_BEFORE = 2
# Two steps abroad: operations that are not rounded correctly everywhere (pow, expm1, sums) differ in the last place.
_FEW = 32 * ULP


@law()
def a_run_goes_on_from_a_copy(make: Recipe, library: Library) -> None:
    """From a pickled or a copied state it goes on to the same bits."""
    params, days = parameters(library), gradients(library, steps=4)
    done = run(make(), params, days)
    middle = (done.states[_BEFORE - 1], done.params[_BEFORE - 1])
    for again in (pickle.loads(pickle.dumps(middle)), copy.deepcopy(middle)):
        state, ps = again
        rest = run(make(), ps, days[_BEFORE:], state)
        assert_same(rest.updates, done.updates[_BEFORE:], "from a copy of the state, the update of step ")
        assert_same(rest.states, done.states[_BEFORE:], "from a copy of the state, the state of step ")


@law()
def a_run_goes_on_in_another_library(make: Recipe, library: Library) -> None:
    """Its leaves moved by way of NumPy, the state serves there as here."""
    params, days = parameters(library, shapes=SMALL), gradients(library, shapes=SMALL, steps=4)
    done = run(make(), params, days)
    middle = (done.states[_BEFORE - 1], done.params[_BEFORE - 1], days[_BEFORE:])
    wanted = library.numpy(done.updates[_BEFORE:])
    for name, other in libraries().items():
        if name != library.name:
            state, ps, later = moved(middle, other)
            rest = run(make(), ps, later, state)
            assert_near(rest.updates, wanted, _FEW, f"gone on in {name}, the update of step ")


def moved(tree: Any, library: Library) -> Any:
    """The tree with every leaf in another library, of the dtype it had; float32 for a float64 that is not there."""

    def there(x: Any) -> Any:
        kind = dtypes.name(x.dtype)
        narrow = kind == "float64" and kind not in library.dtypes
        return library.asarray(np.array(backend(x).to_numpy(x)), "float32" if narrow else kind)

    return arrayopt.tree.map(there, tree)
