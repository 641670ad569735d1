"""Chains, masks, application of updates: what combinators promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayopt
from arrayopt.tree import StructureError

G = {"w": np.asarray([1.0, -2.0]), "b": np.asarray([4.0])}
P = {"w": np.asarray([3.0, 0.5]), "b": np.asarray([-1.0])}


def update(tx: Any, g: Any = G, p: Any = P, steps: int = 1, **extra: Any) -> Any:
    u, state = tx.update(g, tx.init(p), p, **extra)
    for _ in range(steps - 1):
        u, state = tx.update(g, state, p, **extra)
    return u


def same(a: Any, b: Any) -> bool:
    return bool(arrayopt.tree.allclose(a, b, rtol=0, atol=0))


# -- chain ---------------------------------------------------------------------------------------------------


def test_a_chain_is_its_links_in_order() -> None:
    tx = arrayopt.chain(arrayopt.scale(2.0), arrayopt.add_decayed_weights(0.1), arrayopt.scale(-0.5))
    assert same(update(tx), arrayopt.tree.map(lambda g, p: -0.5 * (2 * g + 0.1 * p), G, P))


def test_an_empty_chain_is_the_identity() -> None:
    tx = arrayopt.chain()
    assert tx.init(P) == ()
    assert update(tx) is G


def test_chains_nest() -> None:
    a, b, c = arrayopt.trace(0.9), arrayopt.scale_by_adam(), arrayopt.scale(-0.1)
    flat = arrayopt.chain(a, b, c)
    for nested in (arrayopt.chain(arrayopt.chain(a, b), c), arrayopt.chain(a, arrayopt.chain(b, c))):
        assert same(update(flat, steps=4), update(nested, steps=4))


def test_a_state_of_another_length_is_refused() -> None:
    tx = arrayopt.adam(0.1)
    with pytest.raises(ValueError, match=r"^adam: the state must be a tuple of 2; got one of 1\. Call init first\.$"):
        tx.update(G, tx.init(P)[:1], P)
    with pytest.raises(ValueError, match=r"^chain: the state must be a tuple of 1; got dict"):
        arrayopt.chain(arrayopt.identity()).update(G, {}, P)


def test_extra_arguments_reach_those_that_take_them() -> None:
    seen: list[Any] = []

    def take(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        seen.append(extra)
        return updates, state

    taker = arrayopt.GradientTransformationExtraArgs(arrayopt.init_empty_state, take)
    update(arrayopt.chain(arrayopt.scale(1.0), arrayopt.masked(arrayopt.chain(taker), True), taker), value=3)
    assert seen == [{"value": 3}, {"value": 3}]


# -- masked --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mask",
    [
        {"w": True, "b": False},
        lambda params: {"w": True, "b": False},
        lambda params: {name: leaf.shape == (2,) for name, leaf in params.items()},
        {"w": np.True_, "b": np.False_},
    ],
)
def test_outside_the_mask_updates_pass_through(mask: Any) -> None:
    assert same(update(arrayopt.masked(arrayopt.scale(-1.0), mask)), {"w": -G["w"], "b": G["b"]})


def test_a_mask_may_be_a_prefix() -> None:
    g = {"enc": [np.ones(1), {"x": np.ones(2)}], "dec": np.ones(3)}
    u = update(arrayopt.masked(arrayopt.scale(-1.0), {"enc": True, "dec": False}), g, g)
    assert same(u, {"enc": [-np.ones(1), {"x": -np.ones(2)}], "dec": np.ones(3)})
    assert same(update(arrayopt.masked(arrayopt.scale(2.0), True)), arrayopt.tree.scale(2.0, G))
    assert update(arrayopt.masked(arrayopt.scale(2.0), False)) == G


def test_what_is_masked_has_no_state() -> None:
    tx = arrayopt.masked(arrayopt.scale_by_adam(), {"w": True, "b": False})
    state = tx.init(P)
    assert isinstance(state, arrayopt.MaskedState)
    assert state.inner_state.mu["b"] == arrayopt.MaskedNode()
    assert state.inner_state.mu["w"].shape == (2,)


def test_masked_equals_the_inner_transform_on_the_part() -> None:
    whole = update(arrayopt.masked(arrayopt.adamw(0.1), {"w": True, "b": False}), steps=3)
    part = update(arrayopt.adamw(0.1), {"w": G["w"]}, {"w": P["w"]}, steps=3)
    assert same(whole["w"], part["w"])
    assert whole["b"] is G["b"]


def test_masks_nest() -> None:
    inner = arrayopt.add_decayed_weights(0.5, mask={"enc": {"x": True, "y": False}, "dec": True})
    p = {"enc": {"x": np.ones(1), "y": np.ones(1)}, "dec": np.ones(1)}
    g = arrayopt.tree.zeros_like(p)
    u = update(arrayopt.masked(inner, {"enc": False, "dec": True}), g, p)
    assert same(u, {"enc": {"x": np.zeros(1), "y": np.zeros(1)}, "dec": np.full(1, 0.5)})


def test_none_and_masks_together() -> None:
    tx = arrayopt.masked(arrayopt.adamw(0.1), lambda params: arrayopt.tree.map(lambda x: x.ndim == 1, params))
    p = {"a": np.ones(2), "b": np.ones((2, 2)), "c": {"d": np.ones(1)}}
    g = {"a": None, "b": np.ones((2, 2)), "c": None}
    state = tx.init(p)
    u, after = tx.update(g, state, p)
    assert u["a"] is None
    assert u["c"] is None or u["c"] == {"d": None}
    assert u["b"] is g["b"]
    assert same(after.inner_state[0].mu["a"], state.inner_state[0].mu["a"])
    assert same(arrayopt.apply_updates(p, u)["c"], p["c"])


def test_a_mask_that_is_no_tree_of_bools_is_refused() -> None:
    tx = arrayopt.masked(arrayopt.scale(1.0), {"w": 1, "b": False})
    with pytest.raises(TypeError, match=r"^masked: the mask at \['w'\] must be True or False; got int 1\.$"):
        tx.init(P)
    tx = arrayopt.adamw(0.1, mask={"w": True})
    with pytest.raises(StructureError, match=r"^adamw: the tree has"):
        tx.init(P)


# -- apply_updates --------------------------------------------------------------------------------------------


def test_parameters_are_rounded_once_and_keep_their_dtype() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    p = np.asarray([1.0], dtype=ml_dtypes.bfloat16)
    moved = arrayopt.apply_updates(p, np.asarray([0.005], dtype=np.float32))
    assert moved.dtype == ml_dtypes.bfloat16
    assert float(moved[0]) == 1.0078125  # 1.005 to the nearest of 8 bits; 0.005 rounded first gives the same here


def test_apply_updates_leaves_none_alone() -> None:
    p = {"a": np.ones(1), "b": [np.ones(2), None]}
    moved = arrayopt.apply_updates(p, {"a": None, "b": [np.ones(2), None]})
    assert moved["a"] is p["a"]
    assert same(moved["b"][0], np.full(2, 2.0))
    assert moved["b"][1] is None


@pytest.mark.parametrize(
    ("p", "u", "kind", "message"),
    [
        (
            {"w": np.ones(2)},
            {"w": np.ones(3)},
            ValueError,
            r"the update at \['w'\] has shape \(3,\), its parameter has",
        ),
        ({"w": np.ones(2)}, {"v": np.ones(2)}, ValueError, "the update has dict"),
        (
            {"w": np.ones(2, dtype=int)},
            {"w": np.ones(2)},
            TypeError,
            "the parameter that the update .* must be floating point or complex; got int64",
        ),
        ({"w": np.ones(2)}, {"w": 1j * np.ones(2)}, TypeError, "both real or both complex"),
        ({"w": np.ones(2)}, {"w": 1}, TypeError, r"the update at \['w'\] must be an array; got int 1"),
        ({"w": np.ones(2)}, {"w": 1.0}, ValueError, r"the update at \['w'\] has shape \(\), its parameter has \(2,\)"),
    ],
)
def test_bad_updates_are_refused(p: Any, u: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^apply_updates: .*{message}"):
        arrayopt.apply_updates(p, u)


# -- clipping --------------------------------------------------------------------------------------------------


def test_the_norm_of_a_float16_gradient_does_not_overflow() -> None:
    g = np.full(100, 300.0, dtype=np.float16)  # Σ g² = 9e6, beyond float16
    u = update(arrayopt.clip_by_global_norm(1.0), g, g)
    assert u.dtype == np.float16
    assert float(arrayopt.tree.norm(u)) == pytest.approx(1.0, rel=1e-3)


def test_a_norm_at_the_bound_is_left_alone() -> None:
    g = np.asarray([3.0, 4.0])
    assert update(arrayopt.clip_by_global_norm(5.0), g, g).tolist() == [3.0, 4.0]
    zero = np.zeros(2)
    assert update(arrayopt.clip_by_global_norm(0.0), zero, zero).tolist() == [0.0, 0.0]
    assert update(arrayopt.clip_by_global_norm(0.0), g, g).tolist() == [0.0, 0.0]


# -- who is spoken of ------------------------------------------------------------------------------------------


def test_messages_name_what_the_user_wrote() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(
        TypeError, match=r"^adam: learning_rate must be a number or an array of the gradients' library"
    ):
        update(arrayopt.adam(torch.asarray(0.1)))
    with pytest.raises(TypeError, match=r"^scale: step_size must be a number or an array"):
        update(arrayopt.scale(torch.asarray(0.1)))


def test_a_rule_from_elsewhere_speaks_for_itself() -> None:
    from arrayopt import checks

    def my_rule(b1: float) -> Any:
        return checks.decay("b1", b1)

    with pytest.raises(ValueError, match=r"^my_rule: b1 must lie in \[0, 1\); got 2\.$"):
        my_rule(2.0)
