"""Losses of sequences and of sparse chances, from their definitions: every path of frames, every support."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from arrayopt_conformance.libraries import Numpy


def collapsed(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """What a path spells: repeats merged, blanks left out."""
    return tuple([k for k, _ in itertools.groupby(path) if k != blank])


def paths(x: Numpy, blank: int) -> Iterator[tuple[tuple[int, ...], float, int]]:
    """What each path of frames spells, its chance, and its last class."""
    p = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    for path in itertools.product(range(x.shape[1]), repeat=len(x)):
        yield collapsed(path, blank), math.prod([p[t, k] for t, k in enumerate(path)]), path[-1]


def one_loss(x: Numpy, labels: tuple[int, ...], blank: int) -> float:
    """−log of the chance of all paths that spell the labels."""
    return -math.log(sum([p for spelt, p, _ in paths(x, blank) if spelt == labels]))


def sequences(x: Numpy, frames: Numpy, labels: Numpy, padded: Numpy) -> Iterator[tuple[Numpy, tuple[int, ...]]]:
    """Each of a batch without its padding."""
    for b in range(len(x)):
        yield x[b][frames[b] == 0], tuple(labels[b][padded[b] == 0].tolist())


def ctc_loss(
    x: Numpy, frames: Numpy, labels: Numpy, padded: Numpy, *, blank_id: int = 0, log_epsilon: float = -1e5
) -> Numpy:
    """By enumeration of paths; by the recursion where there is none, since that has no definition"""
    found = ctc_loss_with_forward_probs(x, frames, labels, padded, blank_id=blank_id, log_epsilon=log_epsilon)[0]
    for b, (row, spelt) in enumerate(sequences(x, frames, labels, padded)):
        if len(row) >= len(spelt) + sum([a == b for a, b in itertools.pairwise(spelt)]):
            found[b] = one_loss(row, spelt, blank_id)
    return found


def ctc_loss_with_forward_probs(
    x: Numpy, frames: Numpy, labels: Numpy, padded: Numpy, *, blank_id: int = 0, log_epsilon: float = -1e5
) -> tuple[Numpy, Numpy, Numpy]:
    """The recursion, with ε for log 0; `tests/test_structured_losses.py` has the enumeration"""
    rows = [
        _row(x[b], frames[b], labels[b], int((padded[b] == 0).sum()), blank_id, log_epsilon) for b in range(len(x))
    ]
    losses, blanks, ends = [[row[k] for row in rows] for k in range(3)]
    return np.asarray(losses), np.stack(blanks, axis=1), np.stack(ends, axis=1)


def _row(x: Numpy, frames: Numpy, labels: Numpy, count: int, blank: int, zero: float) -> tuple[float, Numpy, Numpy]:
    log_p, n = x - np.log(np.exp(x).sum(axis=-1, keepdims=True)), len(labels)
    in_blank, in_label = [0.0, *[zero] * n], [zero] * n
    blanks, ends = list[list[float]](), list[list[float]]()
    for t in range(len(x)):
        if not frames[t]:
            in_blank, in_label = _frame(log_p[t], labels, in_blank, in_label, blank, zero)
        blanks.append(in_blank)
        ends.append(in_label)
    blanks[-1] = [in_blank[0], *[plus(in_blank[k + 1], in_label[k]) for k in range(n)]]
    return -blanks[-1][count], np.asarray(blanks), np.asarray(ends)


def _frame(p: Numpy, labels: Numpy, in_blank: Any, in_label: Any, blank: int, zero: float) -> tuple[Any, Any]:
    n = len(labels)
    again = [k + 1 < n and labels[k] == labels[k + 1] for k in range(n)]
    ready = [in_blank[0], *[plus(in_blank[k + 1], in_label[k] + zero * again[k]) for k in range(n)]]
    of = [p[k] if 0 <= k < len(p) else 0.0 for k in labels]
    label = [of[k] + plus(ready[k], in_label[k]) for k in range(n)]
    after = [in_label[k] + p[blank] + zero * (not again[k]) for k in range(n)]
    return [ready[0] + p[blank], *[plus(ready[k + 1] + p[blank], after[k]) for k in range(n)]], label


def plus(x: float, y: float) -> float:
    """log(eˣ + eʸ)"""
    return max(x, y) + math.log1p(math.exp(-abs(x - y)))


def sparsemax_loss(x: Numpy, y: Numpy) -> Numpy:
    """max over chances (1 − q, q) of q z + q (1 − q), of z = x for the label 0, −x for 1"""

    def one(z: float) -> float:
        q = min(max((z + 1) / 2, 0.0), 1.0)
        return q * z + q * (1 - q)

    return np.asarray(np.vectorize(one, otypes=[float])(np.where(y, -x, x)))


def simplex(s: Numpy) -> Numpy:
    """The point of the simplex that is next to s: the best of the projections onto its faces"""
    found: Numpy = np.full_like(s, np.inf)
    for size in range(1, len(s) + 1):
        for face in itertools.combinations(range(len(s)), size):
            p: Numpy = np.zeros_like(s)
            p[list(face)] = s[list(face)] - (s[list(face)].sum() - 1) / size
            if p.min() >= 0 and ((s - p) ** 2).sum() < ((s - found) ** 2).sum():
                found = p
    return found


def multiclass_sparsemax_loss(s: Numpy, y: Numpy) -> Numpy:
    """½ |s − e_y|² − ½ |s − p|², e_y the row of the label"""
    flat, labels = s.reshape(-1, s.shape[-1]), np.reshape(y, -1)

    def one(s: Numpy, k: int) -> float:
        return float((((s - np.eye(len(s))[k]) ** 2).sum() - ((s - simplex(s)) ** 2).sum()) / 2)

    return np.asarray([one(row, k) for row, k in zip(flat, labels, strict=True)]).reshape(s.shape[:-1])


def safe_softmax_cross_entropy(x: Numpy, y: Numpy) -> Numpy:
    """−Σ y log softmax(x) over the labels that are not 0"""
    x, y = np.broadcast_arrays(x, y)
    p = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    return np.asarray(-np.where(y != 0, y * np.log(np.where(y != 0, p, 1.0)), 0.0).sum(axis=-1))
