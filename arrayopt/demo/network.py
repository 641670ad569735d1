"""A network of three layers and its gradient, written once in Array API functions.

    x₀ = image      xₗ = tanh(xₗ₋₁ Wₗ + bₗ)      z = x₂ W₃ + b₃      loss = mean of −Σ y log softmax(z)

No library differentiates here: the loss knows its derivative, and the chain rule is spelled out, so the same code
runs on all of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from arrayopt.dispatch import namespace
from arrayopt.losses import softmax_cross_entropy, value_and_grad

Layers: TypeAlias = list[dict[str, Any]]
"""One dict with ``weight`` (inputs, outputs) and ``bias`` (outputs,) for each layer."""

cross_entropy = value_and_grad(softmax_cross_entropy, reduce="mean")
"""The mean loss of logits and one-hot labels, and its derivative by the logits."""

SIZES = (64, 128, 128, 10)  # pixels, two hidden layers (128: the least that Adafactor factors), digits


def initial(seed: int) -> Layers:
    """Parameters as NumPy arrays: weights of variance 1 / inputs, biases of zero."""
    rng = np.random.default_rng(seed)
    return [_layer(rng, n, m) for n, m in pairwise(SIZES)]


def _layer(rng: np.random.Generator, inputs: int, outputs: int) -> dict[str, Any]:
    weight = rng.standard_normal((inputs, outputs)) / inputs**0.5
    return {"weight": weight.astype(np.float32), "bias": np.zeros(outputs, np.float32)}


def forward(layers: Layers, images: Any) -> list[Any]:
    """What enters each layer, and last the logits."""
    xp = namespace(images)
    *hidden, last = layers
    outputs = [images]
    for layer in hidden:
        outputs.append(xp.tanh(_linear(layer, outputs[-1])))
    return [*outputs, _linear(last, outputs[-1])]


def _linear(layer: dict[str, Any], x: Any) -> Any:
    return namespace(x).matmul(x, layer["weight"]) + layer["bias"]


def value_and_gradient(layers: Layers, images: Any, labels: Any) -> tuple[Any, Layers]:
    """The mean loss of a batch, and its gradient by every parameter.

    Args:
      layers: the parameters.
      images: shape (batch, 64).
      labels: one-hot rows, shape (batch, 10).
    """
    *inputs, logits = forward(layers, images)
    loss, slope = cross_entropy(logits, labels)
    gradient: Layers = []
    for layer, x in zip(reversed(layers), reversed(inputs), strict=True):
        gradient.append(_layer_gradient(x, slope))
        slope = _through(layer, slope) * (1 - x * x)  # tanh' = 1 − tanh²; of no use at the images
    return loss, gradient[::-1]


def _layer_gradient(x: Any, slope: Any) -> dict[str, Any]:
    xp = namespace(x)
    return {"weight": xp.matmul(xp.matrix_transpose(x), slope), "bias": xp.sum(slope, axis=0)}


def _through(layer: dict[str, Any], slope: Any) -> Any:
    xp = namespace(slope)
    return xp.matmul(slope, xp.matrix_transpose(layer["weight"]))


def accuracy(layers: Layers, images: Any, labels: Any) -> float:
    """The share of images whose greatest logit is the labelled one."""
    xp = namespace(images)
    found = xp.argmax(forward(layers, images)[-1], axis=-1)
    right = xp.count_nonzero(found == xp.argmax(labels, axis=-1))
    return int(right) / len(images)
