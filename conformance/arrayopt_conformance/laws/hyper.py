"""A hyper-parameter may be given in many ways, and means the same in each; and one can differentiate through it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import arrayopt
from arrayopt_conformance.harness.compare import assert_near, assert_same, bits, by_path
from arrayopt_conformance.harness.data import SMALL, gradients, normal, parameters
from arrayopt_conformance.harness.runs import run, standing
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library, double

_NEAR = 1e-6  # an array takes part in float32, where its 1 − b and bᵗ are rounded, a number in double
_STEPS = 3


def numbers(make: Recipe) -> dict[str, float]:
    """The arguments that may be a number, by their annotations, with a value that float32 holds exactly."""
    names = make.accepting("Scalar", "float")
    return {name: float(np.float32(_number(make.value(name)))) for name in names}


def _number(value: Any) -> float:
    """What is given, if a number; else one that every argument may have."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.1


@law()
def numpy_scalars_are_numbers(make: Recipe, library: Library) -> None:
    """To the last bit: a NumPy scalar or 0-d array of any width is the Python number it holds."""
    params, days = parameters(library, shapes=SMALL), gradients(library, shapes=SMALL)
    for name, value in numbers(make).items():
        wanted = run(make.but(**{name: value})(), params, days).updates
        for form in (np.float64(value), np.float32(value), np.asarray(value, dtype=np.float32)):
            got = run(make.but(**{name: form})(), params, days).updates
            assert_same(got, wanted, f"with {name}={form!r}, the update of step ")
    for name in make.accepting("int"):
        got = run(make.but(**{name: np.int64(make.value(name))})(), params, days).updates
        assert_same(got, run(make(), params, days).updates, f"with {name} of NumPy, the update of step ")


@law()
def arrays_and_constant_schedules_are_numbers(make: Recipe, library: Library) -> None:
    """Up to rounding: so is a 0-d array of the library, and a schedule that always says the number or the array."""
    params, days = parameters(library, shapes=SMALL), gradients(library, shapes=SMALL)
    for name, value in numbers(make).items():
        wanted = run(make.but(**{name: value})(), params, days).updates
        for what, form in _forms(make, library, name, value):
            got = run(make.but(**{name: form})(), params, days).updates
            assert_near(got, wanted, _NEAR, f"with {name} {what}, the update of step ")


def _forms(make: Recipe, library: Library, name: str, value: float) -> Iterator[tuple[str, Any]]:
    array = library.asarray(value, "float32")
    if name in make.accepting("Scalar"):
        yield "a 0-d array", array
    if name in make.accepting("ScalarOrSchedule"):
        yield "a schedule of a number", arrayopt.constant_schedule(value)
        yield "a schedule of an array", arrayopt.constant_schedule(array)


@law()
def steps_are_linear_in_the_learning_rate(make: Recipe, library: Library) -> None:
    """Twice the learning rate is twice the step, to the last bit, wherever it matters; and it does somewhere.

    Not so where weight decay goes beside it.
    """
    if "learning_rate" not in make.parameters or make.value("weight_decay_rate"):
        return
    params, days = parameters(library, shapes=SMALL), gradients(library, shapes=SMALL)
    once = standing(make.but(learning_rate=0.3)(), params, days)
    twice = standing(make.but(learning_rate=0.6)(), params, days)
    before, moved = by_path(once), 0
    for path, u in by_path(twice).items():
        if bits(u) != bits(before[path]):
            assert_same(u, before[path] * 2.0, f"at twice the learning rate, the update of step {path}")
            moved += 1
    assert moved, "the learning rate changes nothing"


@law("jax", "torch", dear=True)
def steps_can_be_differentiated(make: Recipe, library: Library) -> None:
    """The derivative of the loss after three steps by the learning rate is its difference quotient, in double."""
    if "learning_rate" not in make.parameters:
        return
    module = importlib.import_module(library.name)
    with double(library):
        loss = _loss(make, library)
        grad = module.grad if library.name == "jax" else module.func.grad
        found = float(grad(loss)(library.asarray(0.1, "float64")))
        # The quotient errs by h² and by a rounding over h: 1e-10 each for h = 1e-5.
        up, down = (float(loss(library.asarray(0.1 + h, "float64"))) for h in (1e-5, -1e-5))
        quotient = (up - down) / 2e-5
    assert abs(found - quotient) <= 1e-7 * max(1.0, abs(quotient)), f"the derivative is {found}, not {quotient}"


def _loss(make: Recipe, library: Library) -> Callable[[Any], Any]:
    """Learning rate ↦ Σ p² / 2 after descending it for three steps."""
    start = library.tree(normal(SMALL, 0), "float64")
    double = dict.fromkeys(make.accepting("DType"), "float64")  # no rounding that the quotient would see

    def loss(rate: Any) -> Any:
        tx, ps = make.but(learning_rate=rate, **double)(), start
        state = tx.init(ps)
        for _ in range(_STEPS):
            us, state = tx.update(ps, state, ps)
            ps = arrayopt.apply_updates(ps, us)
        return arrayopt.tree.norm(ps, squared=True) / 2

    return loss
