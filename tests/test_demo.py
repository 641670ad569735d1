"""The demo's parts: the network and its gradient, the data, runs on every library, the report."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from arrayopt import tree
from arrayopt.demo import data, libraries, network, report, rules, training

PLAN = training.Plan(steps=200, batch_size=64, seed=3)


def backend_or_skip(name: str) -> Any:
    lacking = libraries.obstacle(name)
    if lacking:
        pytest.skip(f"{name} lacks {lacking}")
    return libraries.load(name)


def batch() -> tuple[Any, Any, Any]:
    """Parameters, images and labels in float64."""
    images, labels = next(data.batches(data.load(0)[0], 16, 1, 0))
    layers = tree.map(lambda x: x.astype(np.float64), network.initial(0))
    layers = tree.map(lambda x: x + 0.01 * np.random.default_rng(1).standard_normal(x.shape), layers)
    return layers, images.astype(np.float64), labels.astype(np.float64)


def loss(layers: Any, images: Any, labels: Any) -> Any:
    return network.value_and_gradient(layers, images, labels)[0]


# -- the network ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", range(3))
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_gradient_is_the_central_difference(layer: int, name: str) -> None:
    layers, images, labels = batch()
    _, gradient = network.value_and_gradient(layers, images, labels)
    parameter = layers[layer][name].reshape(-1)
    for i in np.random.default_rng(layer).choice(parameter.size, 10, replace=False):
        kept, step = parameter[i], 1e-5
        parameter[i] = kept + step
        above = loss(layers, images, labels)
        parameter[i] = kept - step
        below = loss(layers, images, labels)
        parameter[i] = kept
        # the difference is off by step² ~ 1e-10, and by rounding of the loss over the step, 1e-16 / 1e-5
        assert gradient[layer][name].reshape(-1)[i] == pytest.approx((above - below) / (2 * step), abs=1e-9)


def test_gradient_is_jax_grad() -> None:
    backend = backend_or_skip("jax")
    import jax

    layers, images, labels = tree.map(lambda x: backend.asarray(x, "float32"), batch())
    _, gradient = network.value_and_gradient(layers, images, labels)
    for ours, theirs in zip(tree.leaves(gradient), tree.leaves(jax.grad(loss)(layers, images, labels)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)  # float32: gradients here are below 1


def test_gradient_is_torch_autograd() -> None:
    backend = backend_or_skip("torch")
    layers, images, labels = tree.map(backend.asarray, batch())
    _, gradient = network.value_and_gradient(layers, images, labels)
    leaves = [leaf.requires_grad_() for leaf in tree.leaves(layers)]
    loss(layers, images, labels).backward()
    for ours, leaf in zip(tree.leaves(gradient), leaves, strict=True):
        np.testing.assert_allclose(backend.to_numpy(ours), backend.to_numpy(leaf.grad), atol=1e-14)


def test_loss_of_huge_logits_is_finite() -> None:
    layers, images, labels = batch()
    value, gradient = network.value_and_gradient(tree.map(lambda x: 1e6 * x, layers), images, labels)
    assert math.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in tree.leaves(gradient))


# -- the data ---------------------------------------------------------------------------------------------


def test_digits_are_parted_without_loss_or_overlap() -> None:
    train, test = data.load(5)
    assert train.images.shape == (1440, 64)
    assert test.images.shape == (357, 64)
    assert train.images.dtype == train.labels.dtype == np.float32
    assert (train.images.min(), train.images.max()) == (0, 1)
    assert (train.labels.sum(axis=1) == 1).all()
    whole = np.concatenate([train.images, test.images])
    other = np.concatenate([part.images for part in data.load(6)])
    assert sorted(map(tuple, whole)) == sorted(map(tuple, other))
    assert not np.array_equal(whole, other)


def test_batches_cover_an_epoch_once_and_then_again_in_another_order() -> None:
    train, _ = data.load(0)
    images = [images for images, _ in data.batches(train, 720, 4, 0)]
    first, second = np.concatenate(images[:2]), np.concatenate(images[2:])
    assert sorted(map(tuple, first)) == sorted(map(tuple, second)) == sorted(map(tuple, train.images))
    assert not np.array_equal(first, second)


def test_batches_are_of_one_size() -> None:
    train, _ = data.load(0)
    assert {len(images) for images, _ in data.batches(train, 1000, 3, 0)} == {1000}


# -- the optimizers ---------------------------------------------------------------------------------------


def test_optimizers_are_found_and_transforms_are_not() -> None:
    known = rules.known()
    assert {*rules.SHOWN, "adamw", "sgd"} <= set(known)
    assert not {"scale_by_adam", "scale_by_learning_rate", "chain", "masked"} & set(known)


def test_every_optimizer_can_be_made() -> None:
    for name in rules.known():
        assert callable(rules.make(name).update)
        assert callable(rules.make(name, 0.5).update)


# -- runs -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def numpy_runs() -> dict[str, training.Result]:
    numpy = libraries.load("numpy")
    return {name: training.run(name, rules.make(name), numpy, PLAN) for name in rules.SHOWN}


@pytest.mark.parametrize("name", rules.SHOWN)
def test_numpy_learns_the_digits(numpy_runs: dict[str, training.Result], name: str) -> None:
    result = numpy_runs[name]
    assert result.accuracy > 0.9
    assert len(result.losses) == PLAN.steps
    assert result.losses[-1] < result.losses[0] / 4
    assert result.seconds > 0


@pytest.mark.parametrize("name", rules.SHOWN)
@pytest.mark.parametrize("chosen", [name for name in libraries.announced() if name != "numpy"])
def test_libraries_agree(numpy_runs: dict[str, training.Result], name: str, chosen: str) -> None:
    result = training.run(name, rules.make(name), backend_or_skip(chosen), PLAN)
    # parameters reach 1 and float32 rounds them by 6e-8; 200 steps were measured to part the libraries by 1e-6
    assert training.difference(numpy_runs[name], result) < 1e-5
    assert result.accuracy == pytest.approx(numpy_runs[name].accuracy, abs=2 / 357)
    assert result.losses == pytest.approx(numpy_runs[name].losses, rel=1e-3)
    assert all(leaf.dtype == np.float32 for leaf in tree.leaves(result.params))


def test_a_run_can_be_repeated(numpy_runs: dict[str, training.Result]) -> None:
    again = training.run("adam", rules.make("adam"), libraries.load("numpy"), PLAN)
    assert again.losses == numpy_runs["adam"].losses
    assert training.difference(again, numpy_runs["adam"]) == 0


def test_another_seed_is_another_run() -> None:
    plans = [training.Plan(steps=2, seed=seed) for seed in (0, 1)]
    one, other = (training.run("adam", rules.make("adam"), libraries.load("numpy"), plan) for plan in plans)
    assert one.losses != other.losses


def test_every_step_ticks() -> None:
    ticks: list[None] = []
    plan = training.Plan(steps=7)
    training.run("sgd", rules.make("sgd"), libraries.load("numpy"), plan, lambda: ticks.append(None))
    assert len(ticks) == 7


# -- the report -------------------------------------------------------------------------------------------


def test_sparklines_share_a_logarithmic_scale() -> None:
    assert report.sparklines([[1.0, 0.1, 0.01], [0.1, 0.1, 0.1]], "abc") == ["cba", "bbb"]


def test_sparklines_take_what_diverges_and_what_stands_still() -> None:
    assert report.sparklines([[1.0, math.inf, math.nan, 0.0]], "abc") == ["a   "]
    assert report.sparklines([[math.nan]], "abc") == [" "]


def test_final_loss_is_the_mean_of_the_last_epoch() -> None:
    result = training.Result("adam", "numpy", [9.0, 9.0, 1.0, 3.0], 1.0, 1.0, {})
    assert report.final_loss(result, training.Plan(batch_size=720)) == 2
    assert report.final_loss(result, training.Plan(batch_size=1)) == 5.5
