"""Scripts as people write them, run as they are: each must find what an independent way finds.

Those for JAX are run with ``import optax`` too, and must end in the same place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from arrayopt_conformance.libraries import double, has, libraries

import arrayopt

Numpy = npt.NDArray[Any]
Script = Callable[[Any], dict[str, Any]]
OF_JAX: list[Script] = []


def of_jax(script: Script) -> Script:
    """Marks a script for JAX: a function of the module that it calls ``optax``."""
    OF_JAX.append(script)
    return script


needs_jax = pytest.mark.skipif("jax" not in libraries(), reason="JAX is not installed")
needs_torch = pytest.mark.skipif("torch" not in libraries(), reason="Torch is not installed")


@needs_jax
@pytest.mark.parametrize("script", OF_JAX, ids=lambda script: script.__name__)
def test_a_script_for_jax_runs(script: Script) -> None:
    script(arrayopt)


@needs_jax
@pytest.mark.skipif(not has("optax"), reason="Optax is not installed")
@pytest.mark.parametrize("script", OF_JAX, ids=lambda script: script.__name__)
def test_a_script_for_jax_ends_where_it_does_with_optax(script: Script) -> None:
    import jax
    import optax

    with double(libraries()["jax"]):
        ours, theirs = script(arrayopt), script(optax)
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


# -- data and independent ways ---------------------------------------------------------------------------------


def blobs(classes: int = 3, each: int = 30) -> tuple[Numpy, Numpy]:
    """Points around a centre for each class, and their classes."""
    rng = np.random.default_rng(0)
    centres = 2.0 * np.asarray([[np.cos(a), np.sin(a)] for a in 2 * np.pi * np.arange(classes) / classes])
    labels = np.repeat(np.arange(classes), each)
    return centres[labels] + rng.normal(size=(classes * each, 2)), labels


def line(n: int = 60) -> tuple[Numpy, Numpy, Numpy]:
    """Inputs, noisy outputs of a linear function, and its weights."""
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(n, 4)), np.asarray([1.5, -2.0, 0.0, 0.5])
    return x, x @ w + 0.1 * rng.normal(size=n), w


def cross_entropy(logits: Numpy, labels: Numpy) -> float:
    """The mean, by its definition."""
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return float(-np.log(chances[np.arange(len(labels)), labels]).mean())


def logistic_by_newton(x: Numpy, y: Numpy, decay: float) -> Numpy:
    """The minimum of the mean log loss plus decay/2 ‖w‖²."""
    w = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(x @ w)))
        slope = x.T @ (p - y) / len(y) + decay * w
        w = w - np.linalg.solve((x.T * (p * (1 - p))) @ x / len(y) + decay * np.eye(len(w)), slope)
    return w


REWARD, NEXT = np.asarray([[0.0, 1.0], [2.0, 0.0], [0.5, 0.0]]), np.asarray([[1, 2], [0, 2], [0, 1]])


def values_of_chain(discount: float = 0.5) -> Numpy:
    """Q of a game with three states and two moves, by value iteration."""
    q = np.zeros((3, 2))
    for _ in range(100):
        q = REWARD + discount * q.max(axis=1)[NEXT]
    return q


# -- JAX: classification ---------------------------------------------------------------------------------------


@of_jax
def softmax_regression(optax: Any) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    x, labels = map(jnp.asarray, blobs())
    params = {"w": jnp.zeros((2, 3)), "b": jnp.zeros(3)}
    optimizer = optax.adam(0.1)

    def loss_fn(params: Any) -> Any:
        logits = x @ params["w"] + params["b"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    params, state, loss = step(params, optimizer.init(params))
    for _ in range(199):
        params, state, loss = step(params, state)
    logits = np.asarray(x @ params["w"] + params["b"])
    assert float(loss_fn(params)) == pytest.approx(cross_entropy(logits, np.asarray(labels)), rel=1e-5)
    assert float(loss) < cross_entropy(np.asarray(x) @ blobs_by_distance(), np.asarray(labels))
    return params


def blobs_by_distance() -> Numpy:
    """Weights of the rule that knows the centres: logits are ⟨x, centre⟩."""
    angles = 2 * np.pi * np.arange(3) / 3
    return 2.0 * np.stack([np.cos(angles), np.sin(angles)])


@of_jax
def network_for_xor(optax: Any) -> dict[str, Any]:
    """Two layers, a warm-up, clipping and decay, in a scan."""
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray([[0.0, 0], [0, 1], [1, 0], [1, 1]]), jnp.asarray([0.0, 1, 1, 0])
    rng = np.random.default_rng(3)
    params = {
        "hidden": jnp.asarray(rng.normal(size=(2, 8))),
        "bias": jnp.zeros(8),
        "out": jnp.asarray(rng.normal(size=8)),
    }
    schedule = optax.warmup_cosine_decay_schedule(0.0, 0.1, 20, 300)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-4))

    def loss_fn(params: Any) -> Any:
        logits = jnp.tanh(x @ params["hidden"] + params["bias"]) @ params["out"]
        return optax.sigmoid_binary_cross_entropy(logits, y).mean()

    def step(carry: Any, _: Any) -> Any:
        params, state = carry
        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), loss

    (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), None, length=300)
    logits = np.tanh(np.asarray(x) @ params["hidden"] + params["bias"]) @ params["out"]
    np.testing.assert_array_equal(logits > 0, np.asarray(y) > 0)
    assert float(losses[-1]) < 0.05 < 0.5 < float(losses[0])
    return {**params, "losses": losses}


@of_jax
def smoothed_labels(optax: Any) -> dict[str, Any]:
    """Logits that are free end at the smoothed labels: the loss at their entropy."""
    import jax
    import jax.numpy as jnp

    targets = optax.smooth_labels(jax.nn.one_hot(jnp.asarray([0, 2, 1]), 4), 0.2)
    logits, optimizer = jnp.zeros((3, 4)), optax.sgd(1.0, momentum=0.9)

    @jax.jit
    def step(logits: Any, state: Any) -> Any:
        grads = jax.grad(lambda logits: optax.softmax_cross_entropy(logits, targets).sum())(logits)
        updates, state = optimizer.update(grads, state)
        return optax.apply_updates(logits, updates), state

    state = optimizer.init(logits)
    for _ in range(300):
        logits, state = step(logits, state)
    smoothed = np.asarray([0.85, 0.05, 0.05, 0.05])
    entropy = -(smoothed * np.log(smoothed)).sum()
    np.testing.assert_allclose(optax.softmax_cross_entropy(logits, targets), entropy, rtol=1e-5)
    return {"chances": jax.nn.softmax(logits)}


@of_jax
def distillation(optax: Any) -> dict[str, Any]:
    """A student that can be its teacher becomes it."""
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(blobs()[0])
    teacher = jax.nn.softmax(x @ jnp.asarray([[1.0, -1.0, 0.5], [0.0, 2.0, -1.0]]))
    w, optimizer = jnp.zeros((2, 3)), optax.adam(optax.exponential_decay(0.1, 100, 0.5))

    @jax.jit
    def step(w: Any, state: Any) -> Any:
        def loss_fn(w: Any) -> Any:
            return optax.losses.kl_divergence(jax.nn.log_softmax(x @ w), teacher).mean()

        updates, state = optimizer.update(jax.grad(loss_fn)(w), state, w)
        return optax.apply_updates(w, updates), state

    state = optimizer.init(w)
    for _ in range(400):
        w, state = step(w, state)
    np.testing.assert_allclose(jax.nn.softmax(x @ w), teacher, atol=1e-3)
    return {"w": w}


@of_jax
def embeddings_that_turn(optax: Any) -> dict[str, Any]:
    """Cosine distances fall to zero: vectors end parallel to their targets."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(5)
    vectors, targets = jnp.asarray(rng.normal(size=(6, 4))), jnp.asarray(rng.normal(size=(6, 4)))
    optimizer = optax.chain(optax.clip(0.5), optax.scale_by_adam(), optax.scale(-0.05))

    @jax.jit
    def step(vectors: Any, state: Any) -> Any:
        grads = jax.grad(lambda v: optax.cosine_distance(v, targets).sum())(vectors)
        updates, state = optimizer.update(grads, state)
        return optax.apply_updates(vectors, updates), state

    state = optimizer.init(vectors)
    for _ in range(400):
        vectors, state = step(vectors, state)
    directions = [np.asarray(x) / np.linalg.norm(x, axis=1, keepdims=True) for x in (vectors, targets)]
    np.testing.assert_allclose(directions[0], directions[1], atol=5e-3)
    return {"vectors": vectors}


# -- JAX: reinforcement learning ---------------------------------------------------------------------------------


def learn_values(optax: Any, follow: Callable[[Any, Any, Any], Any], steps: int) -> dict[str, Any]:
    """Q-learning with a target table that follows the learned one."""
    import jax
    import jax.numpy as jnp

    params = {"q": jnp.zeros((3, 2))}
    target, optimizer = params, optax.adam(0.05)
    reward, then = jnp.asarray(REWARD), jnp.asarray(NEXT)

    @jax.jit
    def step(params: Any, target: Any, state: Any, count: Any) -> Any:
        def loss_fn(params: Any) -> Any:
            goal = reward + 0.5 * target["q"].max(axis=1)[then]
            return optax.huber_loss(params["q"], jax.lax.stop_gradient(goal)).mean()

        updates, state = optimizer.update(jax.grad(loss_fn)(params), state)
        params = optax.apply_updates(params, updates)
        return params, follow(params, target, count), state

    state = optimizer.init(params)
    for count in range(steps):
        params, target, state = step(params, target, state, jnp.asarray(count, jnp.int32))
    np.testing.assert_allclose(params["q"], values_of_chain(), atol=2e-2)
    return {"q": params["q"], "target": target["q"]}


@of_jax
def deep_q_with_a_slow_target(optax: Any) -> dict[str, Any]:
    return learn_values(optax, lambda new, old, _: optax.incremental_update(new, old, step_size=0.05), 500)


@of_jax
def deep_q_with_a_copied_target(optax: Any) -> dict[str, Any]:
    return learn_values(optax, lambda new, old, count: optax.periodic_update(new, old, count, 25), 500)


# -- JAX: constraints ------------------------------------------------------------------------------------------------


def descend(optax: Any, gradient: Callable[[Any], Any], project: Callable[[Any], Any], x: Any, steps: int) -> Any:
    """Projected gradient descent."""
    import jax

    optimizer = optax.sgd(0.1)

    def step(carry: Any, _: Any) -> Any:
        x, state = carry
        updates, state = optimizer.update(gradient(x), state)
        return (project(optax.apply_updates(x, updates)), state), None

    return jax.lax.scan(step, (x, optimizer.init(x)), None, length=steps)[0][0]


@of_jax
def a_portfolio(optax: Any) -> dict[str, Any]:
    """Least variance with weights on the simplex: all that are held have one slope, the rest none below it."""
    import jax.numpy as jnp

    market = np.asarray([0.2, 0.5, 1.0, 1.5, 2.0])  # how much each goes with it
    cov = np.outer(market, market) + np.diag([0.2, 0.1, 0.1, 0.1, 0.1])
    w = descend(optax, lambda w: jnp.asarray(cov) @ w, optax.projections.projection_simplex, jnp.full(5, 0.2), 2000)
    slope, held = cov @ np.asarray(w), np.asarray(w) > 1e-6
    assert 0 < held.sum() < 5
    np.testing.assert_allclose(slope[held], slope[held].mean(), rtol=1e-4)
    assert slope[~held].min() > slope[held].mean()
    assert float(w.sum()) == pytest.approx(1, abs=1e-6)
    return {"w": w}


@of_jax
def least_squares_without_negatives(optax: Any) -> dict[str, Any]:
    """Where a weight is zero its slope is positive, elsewhere it is zero."""
    import jax.numpy as jnp

    x, y, _ = line()
    gram, moment = x.T @ x / len(y), x.T @ y / len(y)
    w = descend(
        optax,
        lambda w: jnp.asarray(gram) @ w - jnp.asarray(moment),
        optax.projections.projection_non_negative,
        jnp.ones(4),
        1000,
    )
    slope, held = gram @ np.asarray(w) - moment, np.asarray(w) > 0
    np.testing.assert_array_equal(held, [True, False, False, True])
    np.testing.assert_allclose(slope[held], 0, atol=1e-5)
    assert slope[~held].min() > 0
    return {"w": w}


@of_jax
def sparse_regression(optax: Any) -> dict[str, Any]:
    """In a ball of the norm Σ |w|: held weights have slopes of one magnitude, the rest smaller ones."""
    import jax.numpy as jnp

    x, y, _ = line()
    gram, moment = x.T @ x / len(y), x.T @ y / len(y)
    ball = functools.partial(optax.projections.projection_l1_ball, scale=2.0)
    w = descend(optax, lambda w: jnp.asarray(gram) @ w - jnp.asarray(moment), ball, jnp.zeros(4), 1000)
    slope, held = gram @ np.asarray(w) - moment, np.asarray(w) != 0
    assert 0 < held.sum() < 4
    assert float(np.abs(w).sum()) == pytest.approx(2, abs=1e-5)
    np.testing.assert_allclose(-slope[held] * np.sign(w)[held], np.abs(slope).max(), rtol=1e-4)
    return {"w": w}


@of_jax
def an_attack_on_a_classifier(optax: Any) -> dict[str, Any]:
    """The worst change of a size, of the input of a linear score: the score falls by ε times the dual norm."""
    import jax.numpy as jnp

    weights = np.asarray([0.5, -2.0, 1.0, 0.25])
    found = {}
    for name, project, dual in (
        ("linf", optax.projections.projection_linf_ball, np.abs(weights).sum()),
        ("l2", optax.projections.projection_l2_ball, np.linalg.norm(weights)),
    ):
        change = descend(
            optax, lambda _: jnp.asarray(weights), lambda d, project=project: project(d, 0.3), jnp.zeros(4), 200
        )
        assert float(weights @ np.asarray(change)) == pytest.approx(-0.3 * dual, rel=1e-5)
        found[name] = change
    return found


# -- JAX: schedules --------------------------------------------------------------------------------------------------


def rolled(optax: Any, schedule: Any, steps: int) -> dict[str, Any]:
    """x ↦ (1 − rate) x, step by step: descent on x²/2."""
    import jax.numpy as jnp

    optimizer, x = optax.sgd(schedule), jnp.asarray(1.0)
    state = optimizer.init(x)
    for _ in range(steps):
        updates, state = optimizer.update(x, state)
        x = optax.apply_updates(x, updates)
    return {"x": x}


@of_jax
def rates_in_pieces(optax: Any) -> dict[str, Any]:
    found = rolled(optax, optax.piecewise_constant_schedule(0.1, {10: 0.5, 20: 0.1}), 30)
    assert float(found["x"]) == pytest.approx(0.9**10 * 0.95**10 * 0.995**10, rel=1e-5)
    return found


@of_jax
def one_cycle(optax: Any) -> dict[str, Any]:
    """Up for three tenths, down to a 25th, then down to a tenthousandth of that: by straight lines."""
    found = rolled(optax, optax.linear_onecycle_schedule(100, 0.5, 0.3, 0.85, 25.0, 1e4), 100)
    rates = np.interp(np.arange(100), [0, 30, 85, 100], [0.02, 0.5, 0.02, 0.5 / 25 / 1e4])
    assert float(found["x"]) == pytest.approx(float(np.prod(1 - rates)), rel=1e-3)
    other = rolled(optax, optax.cosine_onecycle_schedule(100, 0.5), 100)
    assert float(other["x"]) < 1e-6
    return {"linear": found, "cosine": other}


@of_jax
def warm_restarts(optax: Any) -> dict[str, Any]:
    """Two cosine cycles with a warm-up each, the second of half the peak."""
    cycle = {"init_value": 0.0, "warmup_steps": 5, "decay_steps": 20, "end_value": 0.0}
    found = rolled(optax, optax.sgdr_schedule([{**cycle, "peak_value": 0.2}, {**cycle, "peak_value": 0.1}]), 40)
    k = np.arange(20)
    shape = np.where(k < 5, k / 5, 0.5 * (1 + np.cos(np.pi * (k - 5) / 15)))
    assert float(found["x"]) == pytest.approx(float(np.prod(1 - 0.2 * shape) * np.prod(1 - 0.1 * shape)), rel=1e-5)
    return found


# -- NumPy: it differentiates nothing -----------------------------------------------------------------------------


def test_linear_regression_in_numpy() -> None:
    x, y, _ = line()
    w, optimizer = np.zeros(4), arrayopt.adam(0.05)
    state, loss_and_slope = optimizer.init(w), arrayopt.losses.value_and_grad(arrayopt.l2_loss, reduce="mean")
    loss = np.inf
    for _ in range(1000):
        loss, slope = loss_and_slope(x @ w, y)
        updates, state = optimizer.update(x.T @ slope, state)
        w = arrayopt.apply_updates(w, updates)
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    np.testing.assert_allclose(w, best, atol=1e-6)
    assert float(loss) == pytest.approx(0.5 * float(((x @ best - y) ** 2).mean()), rel=1e-6)


def test_logistic_regression_in_numpy() -> None:
    """With decay of the weights, in place."""
    x, labels = blobs(2)
    x, y = np.column_stack([x, np.ones(len(x))]), labels.astype(float)
    w = np.zeros(3)
    optimizer = arrayopt.chain(arrayopt.add_decayed_weights(0.1), arrayopt.sgd(1.0, momentum=0.9))
    step, state = arrayopt.fused_step(optimizer), optimizer.init(w)
    loss_and_slope = arrayopt.losses.value_and_grad(arrayopt.sigmoid_binary_cross_entropy, reduce="mean")
    for _ in range(300):
        _, slope = loss_and_slope(x @ w, y)
        w, state = step(w, x.T @ slope, state)
    np.testing.assert_allclose(w, logistic_by_newton(x, y, 0.1), atol=1e-6)


def test_robust_regression_in_numpy() -> None:
    """Huber's estimate: by weights that are fitted anew, the other way to find it."""
    x, y, truth = line()
    y = y + np.where(np.arange(len(y)) % 10 == 0, 30.0, 0.0)
    w, optimizer = np.zeros(4), arrayopt.sgd(arrayopt.piecewise_constant_schedule(1.0, {600: 0.1}), momentum=0.5)
    state, loss_and_slope = optimizer.init(w), arrayopt.losses.value_and_grad(arrayopt.huber_loss, reduce="mean")
    for _ in range(800):
        _, slope = loss_and_slope(x @ w, y, delta=0.3)
        updates, state = optimizer.update(x.T @ slope, state)
        w = arrayopt.apply_updates(w, updates)
    other = truth
    for _ in range(200):
        weights = np.minimum(1, 0.3 / np.abs(x @ other - y))
        other = np.linalg.solve((x.T * weights) @ x, (x.T * weights) @ y)
    np.testing.assert_allclose(w, other, atol=1e-5)


def test_softmax_regression_in_numpy_by_batches() -> None:
    x, labels = blobs()
    params = {"w": np.zeros((2, 3), np.float32), "b": np.zeros(3, np.float32)}
    optimizer = arrayopt.adamw(arrayopt.cosine_decay_schedule(0.1, 300))
    state, rng = optimizer.init(params), np.random.default_rng(0)
    loss_and_slope = arrayopt.losses.value_and_grad(arrayopt.softmax_cross_entropy_with_integer_labels, reduce="mean")
    for _ in range(300):
        chosen = rng.integers(len(labels), size=32)
        batch = x[chosen].astype(np.float32)
        _, slope = loss_and_slope(batch @ params["w"] + params["b"], labels[chosen])
        grads = {"w": batch.T @ slope, "b": slope.sum(0)}
        updates, state = optimizer.update(grads, state, params)
        params = arrayopt.apply_updates(params, updates)
    logits = x @ params["w"] + params["b"]
    assert (logits.argmax(1) == labels).mean() >= ((x @ blobs_by_distance()).argmax(1) == labels).mean() - 0.02
    assert cross_entropy(logits, labels) < cross_entropy(x @ blobs_by_distance(), labels)


def test_a_support_vector_machine_in_numpy() -> None:
    """Of points that a line parts: weights of the widest margin, which here is known."""
    x = np.asarray([[2.0, 0.0], [3.0, 1.0], [4.0, -1.0], [-2.0, 0.0], [-3.0, 2.0], [-5.0, -2.0]])
    y, w = np.sign(x[:, 0]), np.asarray([0.0, 1.0])
    rate = arrayopt.linear_schedule(0.5, 0.0, 1500)
    optimizer = arrayopt.chain(arrayopt.add_decayed_weights(0.1), arrayopt.sgd(rate))
    state, loss_and_slope = optimizer.init(w), arrayopt.losses.value_and_grad(arrayopt.hinge_loss, reduce="mean")
    loss = np.inf
    for _ in range(1500):
        loss, slope = loss_and_slope(x @ w, y)
        updates, state = optimizer.update(x.T @ slope, state, w)
        w = arrayopt.apply_updates(w, updates)
    np.testing.assert_allclose(w, [0.5, 0.0], atol=0.01)
    assert float(loss) < 0.01


def test_mixture_weights_in_numpy() -> None:
    """Shares of known spectra in a measured one, on the simplex."""
    spectra = np.abs(np.random.default_rng(8).normal(size=(20, 4)))
    truth = np.asarray([0.6, 0.4, 0.0, 0.0])
    shares, optimizer = np.full(4, 0.25), arrayopt.sgd(0.03, momentum=0.5)
    state = optimizer.init(shares)
    for _ in range(500):
        updates, state = optimizer.update(spectra.T @ (spectra @ shares - spectra @ truth), state)
        shares = arrayopt.projections.projection_simplex(arrayopt.apply_updates(shares, updates))
    np.testing.assert_allclose(shares, truth, atol=1e-6)


# -- Torch: beside what it has itself --------------------------------------------------------------------------------


def two_networks() -> Any:
    """The same network twice, and data for it."""
    import copy

    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    x, y, _ = line()
    return model, copy.deepcopy(model), torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


@needs_torch
def test_a_training_loop_in_torch() -> None:
    """Huber's loss and Adam, as with ``torch.optim`` and ``torch.nn``."""
    import torch

    model, other, x, y = two_networks()
    params = dict(model.named_parameters())
    optimizer = arrayopt.adam(0.01)
    step, state = arrayopt.fused_step(optimizer), optimizer.init(params)
    theirs, losses = torch.optim.Adam(other.parameters(), lr=0.01), list[float]()
    for _ in range(100):
        loss = arrayopt.huber_loss(model(x)[:, 0], y, delta=0.5).mean()
        losses.append(loss.item())
        loss.backward()
        params, state = step(params, {name: p.grad for name, p in params.items()}, state)
        model.zero_grad()
        theirs.zero_grad()
        torch.nn.functional.huber_loss(other(x)[:, 0], y, delta=0.5).backward()
        theirs.step()
    assert losses[-1] < 0.2 * losses[0]
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.detach(), q.detach(), atol=1e-4)


@needs_torch
def test_a_classifier_in_torch_without_a_module() -> None:
    """By ``torch.func``, with momentum, as with ``torch.optim`` and ``torch.nn``."""
    import torch

    points, classes = blobs()
    x, labels = torch.tensor(points, dtype=torch.float32), torch.tensor(classes)
    params = {"w": torch.zeros(2, 3), "b": torch.zeros(3)}
    other = [torch.zeros(2, 3, requires_grad=True), torch.zeros(3, requires_grad=True)]
    optimizer, theirs = arrayopt.sgd(0.2, momentum=0.9), torch.optim.SGD(other, lr=0.2, momentum=0.9)

    def loss_fn(params: Any) -> Any:
        return arrayopt.softmax_cross_entropy_with_integer_labels(x @ params["w"] + params["b"], labels).mean()

    state = optimizer.init(params)
    for _ in range(50):
        updates, state = optimizer.update(torch.func.grad(loss_fn)(params), state)
        params = arrayopt.apply_updates(params, updates)
        theirs.zero_grad()
        torch.nn.functional.cross_entropy(x @ other[0] + other[1], labels).backward()
        theirs.step()
    for p, q in zip(params.values(), other, strict=True):
        np.testing.assert_allclose(p, q.detach(), atol=1e-4)
    assert float(loss_fn(params)) < cross_entropy(points @ blobs_by_distance(), classes)


@needs_torch
def test_a_target_network_in_torch() -> None:
    """Weights that follow a module's: what one step after another makes is a sum of known weights."""
    import torch

    model, target, _, _ = two_networks()
    start = [p.detach().clone() for p in target.parameters()]
    with torch.no_grad():
        for p in model.parameters():
            p += 1
        slow = dict(target.named_parameters())
        for _ in range(10):
            slow = arrayopt.incremental_update(dict(model.named_parameters()), slow, step_size=0.1)
    target.load_state_dict(slow)
    for p, q in zip(target.parameters(), start, strict=True):
        np.testing.assert_allclose(p.detach(), q + (1 - 0.9**10), rtol=1e-5)


@needs_torch
def test_an_attack_in_torch() -> None:
    """Steps up the loss, within a ball around the input: the loss grows and the ball holds."""
    import torch

    model, _, x, _ = two_networks()
    labels = model.requires_grad_(False)(x).argmax(1)
    change, optimizer = torch.zeros_like(x), arrayopt.sgd(arrayopt.constant_schedule(1.0))
    state = optimizer.init(change)

    def loss_fn(change: Any) -> Any:
        logits = model(x + change)
        return -arrayopt.softmax_cross_entropy_with_integer_labels(logits, labels).sum()

    for _ in range(20):
        updates, state = optimizer.update(torch.func.grad(loss_fn)(change), state)
        change = arrayopt.projections.projection_linf_ball(arrayopt.apply_updates(change, updates), 0.3)
    at_random = [loss_fn(0.3 * torch.sign(torch.randn_like(x))).item() for _ in range(20)]
    assert loss_fn(change).item() < min(at_random)
    assert float(change.abs().max()) == pytest.approx(0.3)


@pytest.mark.parametrize("name", libraries())
def test_one_script_on_every_library(name: str) -> None:
    """A schedule, a projection and target weights; the same end."""
    library = libraries()[name]
    x, y, _ = line()
    gram, moment = library.asarray(x.T @ x / len(y), "float32"), library.asarray(x.T @ y / len(y), "float32")
    w = slow = library.asarray(np.zeros(4), "float32")
    optimizer = arrayopt.sgd(arrayopt.linear_onecycle_schedule(200, 0.5))
    state = optimizer.init(w)
    for _ in range(200):
        updates, state = optimizer.update(gram @ w - moment, state)
        w = arrayopt.projections.projection_box(arrayopt.apply_updates(w, updates), -1.0, 1.0)
        slow = arrayopt.incremental_update(w, slow, 0.1)
    slope = library.numpy(gram @ w - moment)
    found = library.numpy(w)
    np.testing.assert_array_equal(np.abs(found) == 1, [True, True, False, False])
    np.testing.assert_allclose(slope[2:], 0, atol=1e-4)
    assert np.all(slope[:2] * found[:2] < 0)
    np.testing.assert_allclose(library.numpy(slow), found, atol=1e-3)
