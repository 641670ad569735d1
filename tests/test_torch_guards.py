"""What a step on Torch asks its tensors, by the guards of Torch's compiler and without them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

import arrayopt
from arrayopt.dispatch import backend_named

if importlib.util.find_spec("torch") is None:
    pytest.skip("torch is not installed", allow_module_level=True)

torch: Any = importlib.import_module("torch")


@pytest.fixture(params=["guards", "questions"])
def guards(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whether this Torch's guards are used."""
    if request.param == "questions":
        monkeypatch.setattr(backend_named("torch"), "_guards", None)
    yield request.param == "guards"


def tensors() -> list[Any]:
    return [torch.rand(3, 4) for _ in range(5)]


class Sub(torch.Tensor):  # type: ignore[misc]
    pass


OTHERS = {
    "none": lambda x: None,
    "number": lambda x: 1.0,
    "sparse": lambda x: x.to_sparse(),
    "meta": lambda x: x.to("meta"),
    "negated": torch._neg_view,
    "transposed": lambda x: torch.rand(4, 3).t(),
    "shape": lambda x: x[:2],
    "flat": lambda x: x.reshape(12),
    "double": lambda x: x.double(),
    "integer": lambda x: x.view(torch.int32),
    "subclass": lambda x: x.as_subclass(Sub),
    "dict": lambda x: {},
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_tensors_are_not_alike(other: str) -> None:
    alike = backend_named("torch").alike(tensors())
    if alike is None:
        pytest.skip(f"torch {torch.__version__} has no such guards")
    xs = tensors()
    assert alike(xs)
    assert alike(tensors())
    xs[2] = OTHERS[other](xs[2])
    assert not alike(xs)
    assert not alike(tensors()[:4])


def test_a_conjugate_view_is_not_alike() -> None:
    alike = backend_named("torch").alike([torch.rand(3, dtype=torch.complex64)])
    if alike is None:
        pytest.skip(f"torch {torch.__version__} has no such guards")
    assert not alike([torch.rand(3, dtype=torch.complex64).conj()])


def test_the_tested_torch_has_guards() -> None:
    if torch.__version__.startswith("2.13"):
        assert backend_named("torch").alike(tensors()) is not None


CHANGES = ["nothing", *OTHERS, "twice", "no_grad", "inference", "requires_grad"]


def changed(how: str, xs: list[Any]) -> Any:
    """Changes one gradient; answers a context to step in."""
    if how in OTHERS:
        xs[1] = OTHERS[how](xs[1])
    elif how == "twice":
        xs[1] = xs[0]
    elif how == "requires_grad":
        xs[1].requires_grad_()
    return {"no_grad": torch.no_grad, "inference": torch.inference_mode}.get(how, nullcontext)()


@pytest.mark.parametrize("engine", [None, "tiles"])
@pytest.mark.parametrize("how", CHANGES)
def test_a_step_after_a_change_is_right_or_refused(guards: bool, how: str, engine: str | None) -> None:
    optimizer = arrayopt.adamw(0.1)
    step = arrayopt.fused_step(optimizer, engine=engine)
    params = tensors()
    twins = [p.clone() for p in params]
    state, other = optimizer.init(params), optimizer.init(twins)
    for k in range(6):
        grads = tensors()
        context = changed(how, grads) if k == 4 else nullcontext()
        with context:
            try:
                updates, new = optimizer.update([None if g is None else _copied(g) for g in grads], other, twins)
                wanted = [p.detach() for p in arrayopt.apply_updates(twins, updates)]
            except Exception:
                before = [p.clone() for p in params]
                with pytest.raises(Exception):  # noqa: B017 - whichever
                    step(params, grads, state)
                assert all(torch.equal(a, b) for a, b in zip(params, before, strict=True))
                continue
            params, state = step(params, grads, state)
            twins, other = wanted, new
        for a, b in zip(params, twins, strict=True):
            torch.testing.assert_close(a.detach().clone(), b.detach().clone(), rtol=1e-5, atol=1e-6)


def _copied(g: Any) -> Any:
    return g.detach().clone() if isinstance(g, torch.Tensor) else g


@pytest.mark.parametrize("how", ["shape", "dtype", "memory", "strides"])
def test_parameters_exchanged_in_place_are_seen(guards: bool, how: str) -> None:
    optimizer = arrayopt.sgd(0.5)
    step = arrayopt.fused_step(optimizer)
    p = torch.zeros(4, 3)
    params, state = [p], optimizer.init([p])
    for _ in range(3):
        params, state = step(params, [torch.ones(4, 3)], state)
    other = {
        "shape": lambda: p.data.view(3, 4),
        "dtype": lambda: torch.zeros(4, 3, dtype=torch.float64),
        "memory": lambda: torch.zeros(4, 3),
        "strides": lambda: torch.zeros(3, 4).t(),
    }[how]()
    p.data = other
    before = p.clone()
    params, state = step(params, [torch.ones(p.shape, dtype=p.dtype)], state)
    assert torch.equal(params[0], before - 0.5)
