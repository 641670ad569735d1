"""Trees that do not fit are refused where they do not fit, and nothing is written to; or they do not matter.

A transform that looks at the gradients only cannot know that a parameter has another shape. Then the update must be
like the gradient, and the state stay of its kind: nothing may be broadcast or promoted in silence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import arrayopt
from arrayopt_conformance.harness.compare import ULP, assert_alike, assert_near, assert_same, by_path, kinds, snapshot
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.moving import moved
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.laws.refusals import refused
from arrayopt_conformance.libraries import Library, libraries

_PATH = "['layer']['w']"
_FEW = 8 * ULP  # XLA rounds a product and a sum once, where NumPy rounds twice


def _nested(tree: Any, **changes: Any) -> dict[str, Any]:
    return {"layer": {**tree, **changes}, "s": tree["s"]}


def _good(library: Library) -> tuple[Any, Any]:
    """Parameters and gradients."""
    (gs,) = gradients(library, shapes=SMALL, steps=1)
    return parameters(library, shapes=SMALL), gs


def _assert_refused_or_unheeded(
    make: Recipe, what: str, gs: Any, state: Any, params: Any, *names: str, becomes: Any = None
) -> None:
    """Refused, with the names in the message; or done with as if nothing were wrong. Nothing is written to."""
    tx, done = make(), list[Any]()
    before = snapshot((gs, state, params))
    if not refused(make, what, lambda: done.append(tx.update(gs, state, params)), *names):
        ((us, new),) = done
        assert_alike(us, gs, f"with {what}, the update")
        assert kinds(new) == kinds(state if becomes is None else becomes), (
            f"with {what}, the state becomes {kinds(new)}"
        )
    assert snapshot((gs, state, params)) == before, f"{what} is written to"


@law()
def shapes_must_fit(make: Recipe, library: Library) -> None:
    """A gradient, or a parameter, of another shape, also of one that would broadcast."""
    params, gs = _good(library)
    state = make().init(_nested(params))
    for shape in ((6, 5), (5, 1), (30,), ()):
        other = library.asarray(np.ones(shape), "float32")
        what = f"for shape (5, 6) one of {shape}"
        _assert_refused_or_unheeded(make, what, _nested(gs, w=other), state, _nested(params), _PATH)
        _assert_refused_or_unheeded(make, what, _nested(gs), state, _nested(params, w=other), _PATH)


@law()
def structures_must_fit(make: Recipe, library: Library) -> None:
    """A leaf too many, one too few, another container, a leaf for a subtree."""
    params, gs = _good(library)
    state = make().init(_nested(params))
    for what, layer in (
        ("a leaf too many", {**gs, "x": gs["s"]}),
        ("a leaf too few", {"w": gs["w"]}),
        ("a list for a dict", [gs["s"], gs["w"]]),
        ("a leaf for a dict", gs["w"]),
    ):
        wrong = {"layer": layer, "s": gs["s"]}
        _assert_refused_or_unheeded(make, what, wrong, state, _nested(params), "['layer']")
        _assert_refused_or_unheeded(make, what, _nested(gs), state, wrong, "['layer']")


@law()
def integers_have_no_gradient(make: Recipe, library: Library) -> None:
    """Integers and bools are refused: as gradients; as parameters, by ``init`` or by the update that reads them.

    Unless nothing is done where they are: then the gradient there is the update.
    """
    params, gs = _good(library)
    state = make().init(_nested(params))
    for kind in ("int32", "bool"):
        whole = library.asarray(np.ones((5, 6)), kind)
        what = f"a leaf of {kind}"
        _assert_refused_or_handed_on(make, what, _nested(gs, w=whole), state, _nested(params))
        _assert_refused_or_not_read(make, what, _nested(gs), state, _nested(params, w=whole))


def _assert_refused_or_handed_on(make: Recipe, what: str, gs: Any, state: Any, params: Any) -> None:
    done: list[Any] = []
    if not refused(make, what, lambda: done.append(make().update(gs, state, params)), _PATH):
        assert_same(done[0][0], gs, f"with {what}, the update")


def _assert_refused_or_not_read(make: Recipe, what: str, gs: Any, state: Any, params: Any) -> None:
    made: list[Any] = []
    if not refused(make, f"{what} for init", lambda: made.append(make().init(params)), _PATH):
        known = bool(by_path(made[0]))
        unheeded = known and make().update(gs, state, params)[0]["layer"]["w"] is gs["layer"]["w"]
        assert unheeded or not known, f"init makes of {what} a state {made[0]}"
    done: list[Any] = []
    if not refused(make, what, lambda: done.append(make().update(gs, state, params)), _PATH):
        assert_same(done[0][0], make().update(gs, state, None)[0], f"with {what}, read as a parameter, the update")


@law()
def libraries_do_not_mix(make: Recipe, library: Library) -> None:
    """Gradients, state and parameters of different libraries, all of a tree or one leaf.

    Counters of NumPy are the numbers they hold: a state of nothing else becomes one of the gradients' library. NumPy
    and JAX do mix, as they do in JAX itself: there is a law of that.
    """
    params, gs = _good(library)
    state = make().init(_nested(params))
    for other in libraries().values():
        if other.name == library.name or {other.name, library.name} == {"numpy", "jax"}:
            continue
        for what, (a, b, c) in _mixtures(other, _nested(gs), state, _nested(params)).items():
            becomes = b
            if (what, "numpy") in (("a state", other.name), ("gradients", library.name)):
                becomes = moved(state, other) if what == "gradients" else state
            _assert_refused_or_unheeded(make, f"{library} and {what} of {other}", a, b, c, becomes=becomes)


def _mixtures(other: Library, gs: Any, state: Any, params: Any) -> dict[str, tuple[Any, Any, Any]]:
    return {
        "gradients": (moved(gs, other), state, params),
        "one gradient": ({**gs, "s": moved(gs["s"], other)}, state, params),
        "a state": (gs, moved(state, other), params),
        "parameters": (gs, state, moved(params, other)),
    }


@law("jax", dear=True)
def numpys_arrays_are_jaxs_beside_jaxs(make: Recipe, library: Library) -> None:
    """Whatever part of a step is NumPy's: it leads where JAX's alone lead, to JAX's arrays."""
    params, gs = _good(library)
    params, gs, tx = _nested(params), _nested(gs), make()
    state = tx.init(params)
    wanted = tx.update(gs, state, params)
    for part, (a, b, c) in _mixtures(libraries()["numpy"], gs, state, params).items():
        what, got = f"with {part} of NumPy, ", tx.update(a, b, c)
        assert_near(got, wanted, _FEW, what)
        new = arrayopt.apply_updates(c, got[0]), got[1]
        assert kinds(new) == kinds((params, wanted[1])), f"{what}parameters and state become {kinds(new)}"


@law()
def missing_parameters_are_asked_for(make: Recipe, library: Library) -> None:
    """Without them ``update`` says that it needs them, or gives what it gives with them."""
    params, gs = _good(library)
    tx, done = make(), list[Any]()
    state = tx.init(params)
    if not refused(make, "no parameters", lambda: done.append(tx.update(gs, state)), "parameters"):
        assert_same(done[0], tx.update(gs, state, params), "without parameters, update gives ")


@law()
def a_state_of_something_else_is_refused(make: Recipe, library: Library) -> None:
    """A state made for other parameters does not pass for one."""
    params, gs = _good(library)
    other = make().init(arrayopt.tree.map(_as_row, params))
    if by_path(other).keys() - {".count"}:
        anyhow = replace(make, name=None)  # a library may complain before we do, but somebody must
        _assert_refused_or_unheeded(anyhow, "a state of other shapes", gs, other, params)


def _as_row(x: Any) -> Any:
    return x[None, ...]
