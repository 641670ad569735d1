"""The binary cross entropy on Torch, which has a derivative written by hand there."""

from __future__ import annotations

import math
from typing import Any

import pytest

import arrayopt

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # Torch's forward mode

torch: Any = pytest.importorskip("torch")
f: Any = arrayopt.sigmoid_binary_cross_entropy

X = [-1e4, -20.0, -1.5, -1e-35, 0.0, 1e-35, 0.7, 20.0, 1e4]
Y = [0.0, 0.3, 1.0]


def grid(dtype: str = "float64") -> tuple[Any, Any]:
    """Logits down, labels along."""
    kind = getattr(torch, dtype)
    return torch.tensor(X, dtype=kind)[:, None].expand(-1, 3).contiguous(), torch.tensor(Y, dtype=kind)


def exact(x: float, y: float) -> float:
    return x * (float(x > 0) - y) + math.log1p(math.exp(-abs(x)))


def slope(x: float, y: float) -> float:
    rest = math.exp(-abs(x)) / (1 + math.exp(-abs(x)))
    return (1 - y) - rest if x > 0 else rest - y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_right_at_the_extremes(dtype: str) -> None:
    x, y = grid(dtype)
    wanted = torch.tensor([[exact(a, b) for b in y.tolist()] for a in x[:, 0].tolist()], dtype=torch.float64)
    tolerance = 4 * torch.finfo(getattr(torch, dtype)).eps
    torch.testing.assert_close(f(x, y).double(), wanted, rtol=tolerance, atol=0)
    assert f(torch.tensor([math.inf, -math.inf]), torch.tensor([0.0, 1.0])).tolist() == [math.inf, math.inf]
    assert f(torch.tensor([math.nan]), 0.0).isnan().all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_so_is_its_derivative(dtype: str) -> None:
    x, y = grid(dtype)
    x.requires_grad_()
    wanted = torch.tensor([[slope(a, b) for b in y.tolist()] for a in x[:, 0].tolist()], dtype=torch.float64)
    for create_graph in (False, True):
        (found,) = torch.autograd.grad(f(x, y).sum(), x, create_graph=create_graph)
        tolerance = 4 * torch.finfo(x.dtype).eps
        torch.testing.assert_close(found.double(), wanted, rtol=tolerance, atol=0)
    assert found[4].tolist() == pytest.approx((0.5 - y).tolist(), rel=tolerance)


def test_it_has_a_second_derivative_at_0_too() -> None:
    x, y = grid()
    x, y = x.requires_grad_(), y.expand_as(x).contiguous().requires_grad_()
    by_x, by_y = torch.autograd.grad(f(x, y).sum(), (x, y), create_graph=True)
    torch.testing.assert_close(by_x, torch.sigmoid(x) - y, rtol=1e-15, atol=1e-15)
    assert torch.equal(by_y, -x)
    (again,) = torch.autograd.grad(by_x.sum(), x)
    torch.testing.assert_close(again, torch.sigmoid(x) * torch.sigmoid(-x), rtol=1e-12, atol=1e-16)
    assert again[4].tolist() == [0.25] * 3


def test_labels_of_fewer_axes_get_a_derivative_of_their_shape() -> None:
    x, y = grid()
    y.requires_grad_()
    f(x, y).sum().backward()
    assert torch.equal(y.grad, -x.sum(0))


def test_autograd_finds_it_consistent() -> None:
    random = torch.Generator().manual_seed(0)
    xs = [torch.randn(4, 3, generator=random, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(f, xs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(f, xs, check_fwd_over_rev=True)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (1, 0)])
def test_either_may_be_mapped(axes: tuple[Any, Any]) -> None:
    x, y = torch.randn(3, 3, dtype=torch.float64), torch.rand(3, 3, dtype=torch.float64)
    func = torch.func

    def along(x: Any, y: Any) -> Any:
        return func.jvp(lambda x: f(x, y), (x,), (torch.ones_like(x),))[1]

    parts = [[v if a is None else v.select(a, k) for v, a in zip((x, y), axes, strict=True)] for k in range(3)]
    for g in (f, func.grad(lambda x, y: f(x, y).sum()), along):
        torch.testing.assert_close(func.vmap(g, axes)(x, y), torch.stack([g(*part) for part in parts]))
    with torch.no_grad():
        torch.testing.assert_close(func.vmap(f, axes)(x, y), torch.stack([f(*part) for part in parts]))


def test_hessians_by_torch_func() -> None:
    x, y = grid()
    x, y = x[:, 0], y[1]
    wanted = torch.diag(torch.sigmoid(x) * torch.sigmoid(-x))
    for outer in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(outer(torch.func.grad(lambda x: f(x, y).sum()))(x), wanted)
    nested = torch.func.jacfwd(torch.func.jacfwd(lambda x: f(x, y).sum()))(x)
    torch.testing.assert_close(nested, wanted)


def test_16_bits_are_computed_in_float32() -> None:
    x, y = torch.tensor([-9.0, 0.0, 9.0]).to(torch.bfloat16).requires_grad_(), torch.tensor([0, 1, 1])
    found = f(x, y)
    found.sum().backward()
    wide = x.detach().float()
    assert torch.equal(found, f(wide, y).to(torch.bfloat16))
    assert torch.equal(x.grad, (torch.sigmoid(wide) - y).to(torch.bfloat16))


def test_compiled_in_one_graph_it_answers_the_same() -> None:
    x, y = grid("float32")

    def along(x: Any) -> Any:
        return torch.func.grad(lambda x: f(x, y).sum())(x)

    calls: list[Any] = [lambda x: f(x, y), along]
    for g in calls:
        torch.compiler.reset()
        compiled: Any = torch.compile(g, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), g(x), rtol=1e-6, atol=0)
    leaf = x.clone().requires_grad_()
    compiled = torch.compile(lambda x: f(x, y).sum(), backend="aot_eager", fullgraph=True)
    compiled(leaf).backward()
    torch.testing.assert_close(leaf.grad, along(x), rtol=1e-6, atol=0)


def test_forward_mode_of_torch_itself() -> None:
    x, y = grid()
    with torch.autograd.forward_ad.dual_level():
        found = f(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)), y)
        tangent = torch.autograd.forward_ad.unpack_dual(found).tangent
    torch.testing.assert_close(tangent, torch.sigmoid(x) - y)
