"""The 1797 handwritten digits that come with scikit-learn, 8 × 8 pixels each."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

TRAINING = 1440  # images to train on; the other 357 are for the test


class Digits(NamedTuple):
    """Images (n, 64) in [0, 1] and one-hot labels (n, 10), NumPy float32."""

    images: Any
    labels: Any


@cache
def load(seed: int) -> tuple[Digits, Digits]:
    """The digits for training and for the test, parted at random."""
    found: Any = importlib.import_module("sklearn.datasets").load_digits()
    order = np.random.default_rng(seed).permutation(len(found.target))
    images = np.asarray(found.data[order] / 16, dtype=np.float32)
    labels = np.eye(10, dtype=np.float32)[found.target[order]]
    return Digits(images[:TRAINING], labels[:TRAINING]), Digits(images[TRAINING:], labels[TRAINING:])


def batches(digits: Digits, size: int, steps: int, seed: int) -> Iterator[Digits]:
    """``steps`` batches, the images shuffled anew in every epoch; all batches are of one size."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits.images))
    for step in range(steps):
        at = step % epoch(size) * size
        if at == 0:
            order = rng.permutation(len(digits.images))
        yield Digits(digits.images[order[at : at + size]], digits.labels[order[at : at + size]])


def epoch(size: int) -> int:
    """Batches in an epoch."""
    return TRAINING // size
