"""What runs for the first time in a process within ``torch.compile``, which cannot trace how a library is found."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import warnings
import {order}
import torch
from arrayopt import control, losses, projections, schedules

torch.set_num_threads(1)
weights = torch.nn.Parameter(torch.ones(3))
whole = torch.ones((2, 3), dtype=torch.int16)
x, chances = torch.arange(6.0).reshape(2, 3), torch.eye(3)[:2]
calls = [
    lambda x: arrayopt.{first},
    lambda x: arrayopt.l2_loss(x),
    lambda x: arrayopt.huber_loss(x @ weights, x[:, 0], delta=0.5),
    lambda x: arrayopt.softmax_cross_entropy(x, chances),
    lambda x: arrayopt.sigmoid_binary_cross_entropy(x, chances),
    lambda x: arrayopt.convex_kl_divergence(x, chances),
    lambda x: arrayopt.global_norm({"x": x}),
    lambda x: losses.value_and_grad(lambda x: losses.squared_error(x).sum())(x),
    lambda x: projections.projection_simplex(x),
    lambda x: control.scan(lambda c, row: (c + row.sum(), c), 0.0, x),
    lambda x: control.cond(x.sum() > 0, lambda x: x, lambda x: -x, x),
    lambda x: x * schedules.cosine_decay_schedule(0.1, 10)(3),
    lambda x: arrayopt.apply_updates({"w": weights}, {"w": x[0]}),
]
warnings.simplefilter("error")
warnings.filterwarnings("ignore", ".*autograd.function.Function.*", DeprecationWarning)  # the compiler makes one
for call in [calls[0], *calls[1:][{turn}::3]]:  # each is the first of its kind in one of the orders
    torch.compiler.reset()
    torch.compile(call, backend="aot_eager", fullgraph=True)(x)
print("compiled", len(calls))
"""

ORDERS = ["torch, arrayopt", "arrayopt, torch", "torch._dynamo, arrayopt"]
FIRST = [
    "sigmoid_binary_cross_entropy(x, whole)",
    "projections.projection_box(weights, 0.0, 1.0)",
    "tree.norm({'w': weights})",
]


@pytest.mark.parametrize(("order", "first"), list(zip(ORDERS, FIRST, strict=True)))
def test_the_first_call_of_a_process_may_be_compiled(order: str, first: str) -> None:
    pytest.importorskip("torch")
    code = SCRIPT.replace("{order}", order).replace("{first}", first).replace("{turn}", str(ORDERS.index(order)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("compiled")


def test_waiting_for_the_compiler_imports_nothing() -> None:
    code = """
import sys, arrayopt
loaded = [name for name in sys.modules if name.partition(".")[0] in ("torch", "numpy", "jax", "arrayopt_torch")]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_former_name_warns_unless_it_is_compiled() -> None:
    torch = pytest.importorskip("torch")
    import arrayopt

    x = torch.log(torch.full((2, 3), 0.5))
    with pytest.warns(DeprecationWarning, match=r"please use generalized_kl_divergence"):
        eager = arrayopt.convex_kl_divergence(x, x.exp())
    found = torch.compile(arrayopt.convex_kl_divergence, backend="eager", fullgraph=True)(x, x.exp())
    assert torch.equal(found, eager)
