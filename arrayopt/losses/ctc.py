"""Connectionist temporal classification: the chance that frames, read with blanks and repeats, spell a label sequence.

A path names a class for each frame. It is collapsed by merging repeats, then leaving out blanks. The loss is −log of
the chance of all paths that collapse to the labels y₁ … y_N, by a recursion over the frames:

  β(t, n)   of paths of frames 1 … t that end in a blank and collapse to y₁ … y_n
  λ(t, n)   of those that end in y_n

  β(t, n) = p_t(blank) (β(t − 1, n) + λ(t − 1, n))
  λ(t, n) = p_t(y_n)   (λ(t − 1, n) + β(t − 1, n − 1) + λ(t − 1, n − 1) [y_n ≠ y_{n−1}])

Graves et al., 2006: Connectionist temporal classification: labelling unsegmented sequence data with recurrent neural
networks, equations 5 to 8; here with blank and label apart, and in logarithms.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from arrayopt import dtypes
from arrayopt.answers import described
from arrayopt.control import scan
from arrayopt.operands import Operands, operands
from arrayopt.types import Array


def ctc_loss(
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    *,
    blank_id: int = 0,
    log_epsilon: Any = -1e5,
) -> Array:
    """The CTC loss −log p(y | x), for each sequence of a batch.

    Args:
      logits: (B, T, K): for B sequences of T frames the logits of K classes, the blank among them; floating point.
      logit_paddings: (B, T): 1 where a frame is none, else 0. Such a frame is left out, whatever its logits are.
      labels: (B, N): classes, integers 0 … K − 1; NaN comes of others, unless they are padding.
      label_paddings: (B, N): 1 where a label is none, else 0; in each row zeros first, then ones.
      blank_id: the class that stands for the blank.
      log_epsilon: what stands for log 0, finite and negative: the loss of labels that no path spells is about −1 times
        as much, and its gradient finite. Where the chances of paths may be that small a lower one is taken.

    Returns:
      (B,): the losses, float32 for logits of 16 bits.

    Raises:
      TypeError: logits are not floating point, or labels not integers.
      ValueError: shapes do not go together; ``blank_id`` is no class; ``log_epsilon`` is no finite negative number.

    Example:
      >>> import arrayopt, numpy as np
      >>> logits = np.log([[[0.5, 0.5], [0.5, 0.5]]])  # two frames; a blank, and one class beside it
      >>> frames, labels = np.zeros((1, 2)), np.asarray([[1]])
      >>> loss = arrayopt.ctc_loss(logits, frames, labels, np.zeros((1, 1)))
      >>> np.exp(-loss)  # of the four paths 01, 10 and 11 spell 1
      array([0.75])

    Source:
      Graves et al., 2006: Connectionist temporal classification, equation 8.
    """
    return ctc_loss_with_forward_probs(
        logits, logit_paddings, labels, label_paddings, blank_id=blank_id, log_epsilon=log_epsilon
    )[0]


def ctc_loss_with_forward_probs(
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    *,
    blank_id: int = 0,
    log_epsilon: Any = -1e5,
) -> tuple[Array, Array, Array]:
    """The CTC loss, and the chances it is made of.

    Args, errors and source are those of `ctc_loss`.

    Returns:
      ``loss, blank, label``: the losses, of shape (B,); (T, B, N + 1) and (T, B, N): logarithms of the chance of the
      paths up to a frame that collapse to the first n labels and end in a blank, n = 0 … N, or to the first n + 1 and
      end in the last of them. In the last row of the former, paths that end in either.

    Example:
      >>> import arrayopt, numpy as np
      >>> logits = np.log([[[0.5, 0.5], [0.5, 0.5]]])
      >>> frames, labels = np.zeros((1, 2)), np.asarray([[1]])
      >>> loss, blank, label = arrayopt.ctc_loss_with_forward_probs(logits, frames, labels, np.zeros((1, 1)))
      >>> np.exp(label[:, 0, 0])  # 1, then 01 and 11
      array([0.5, 0.5])
    """
    given = operands(
        "ctc_loss",
        {"logits": logits, "log_epsilon": log_epsilon},
        {"logit_paddings": logit_paddings, "labels": labels, "label_paddings": label_paddings},
    )
    _check(given, blank_id, log_epsilon)
    xp, terms = given.xp, _terms(given, int(blank_id))
    certain = xp.zeros_like(terms.zero)
    nothing = terms.zero + xp.zeros_like(terms.repeats)
    (blank, label), (blanks, in_label) = scan(
        terms.step, (xp.concat([certain, nothing], axis=1), nothing), terms.frames
    )
    last = terms.joined(blank, label)
    if blanks.shape[0]:
        blanks = xp.concat([blanks[:-1, ...], xp.expand_dims(last, axis=0)], axis=0)
    all_labels = _numbers(given, last) == terms.lengths
    loss = -xp.sum(xp.where(all_labels, last, xp.zeros_like(last)), axis=1, dtype=last.dtype)
    return loss, blanks, in_label


class _Terms(NamedTuple):
    """What the recursion is made of: logarithms of chances, for B sequences of T frames and N labels."""

    xp: Any
    zero: Array  # (B, 1): log 0
    repeats: Array  # (B, N): log 0 where the next label is the same one, log 1 elsewhere
    changes: Array  # (B, N): the other way about
    lengths: Array  # (B, 1): how many labels there are
    frames: Any  # of the labels (T, B, N), of the blank (T, B, 1), and whether there is no frame (T, B, 1)

    def joined(self, blank: Array, label: Array) -> Array:
        """The chance of n labels: that of paths which end in a blank and, from n = 1, of others."""
        return self.xp.concat([blank[:, :1], self.xp.logaddexp(blank[:, 1:], label)], axis=1)

    def step(self, carry: Any, frame: Any) -> Any:
        """The recursion for one frame; after a label that is repeated a blank must come, after others it may."""
        (blank, label), (of_label, of_blank, is_none) = carry, frame
        ready = self.joined(blank, label + self.repeats)
        new_label = of_label + self.xp.logaddexp(ready[:, :-1], label)
        new_blank = self.joined(ready + of_blank, label + of_blank + self.changes)
        kept = self.xp.where(is_none, blank, new_blank), self.xp.where(is_none, label, new_label)
        return kept, kept


def _terms(given: Operands, blank_id: int) -> _Terms:
    x, epsilon, paddings, labels, label_paddings = given.values
    xp, still = given.xp, given.backend.stop_gradient
    is_none = xp.expand_dims(given.widened(paddings) > 0, axis=2)  # (B, T, 1)
    is_padding = given.widened(label_paddings) > 0
    log_p = given.backend.log_softmax(xp.where(is_none, xp.zeros_like(x), x), -1)
    log_p = xp.where(log_p == -math.inf, xp.full_like(log_p, _LOWEST), log_p)
    label = _of_labels(given, log_p, labels, is_padding)
    blank = log_p[:, :, blank_id : blank_id + 1]
    zero = _log_zero(given, still(xp.concat([blank, label], axis=2)), is_none, still(epsilon))
    same = _repeated(given, labels)
    one = xp.zeros_like(zero)
    count = xp.sum(xp.astype(is_padding, x.dtype), axis=1, keepdims=True, dtype=x.dtype)

    def by_frame(y: Array) -> Array:
        return xp.permute_dims(y, (1, 0, 2))

    frames = [by_frame(xp.where(y <= _LOWEST, xp.expand_dims(zero, axis=2), y)) for y in (label, blank)]
    repeats, changes = xp.where(same, zero, one), xp.where(same, one, zero)
    return _Terms(xp, zero, repeats, changes, labels.shape[1] - count, (*frames, by_frame(is_none)))


_LOWEST = -1e30  # stands for log 0 until it is known what does


def _of_labels(given: Operands, log_p: Array, labels: Array, is_padding: Array) -> Array:
    """(B, T, N): of each label at each frame; of what is no class NaN, or 0 if it is padding."""
    xp, count = given.xp, log_p.shape[2]
    classes = xp.reshape(_numbers(given, log_p, labels.dtype), (1, count, 1))
    here = xp.astype(classes == xp.expand_dims(labels, axis=1), log_p.dtype)  # (B, K, N)
    found = given.backend.matmul(log_p, here)
    is_known: Any = (labels >= 0) & (labels < count) | is_padding
    return xp.where(xp.expand_dims(is_known, axis=1), found, xp.full_like(found, math.nan))


def _log_zero(given: Operands, log_p: Array, is_none: Array, epsilon: Array) -> Array:
    """(B, 1): epsilon, or what is far below the least chance that a path may have."""
    xp = given.xp
    usual = xp.where((log_p <= _LOWEST) | is_none, xp.zeros_like(log_p), log_p)
    least = xp.sum(xp.min(usual, axis=2), axis=1, keepdims=True, dtype=log_p.dtype)
    return xp.where(least < epsilon / 2, 2 * least + epsilon, epsilon + xp.zeros_like(least))


def _repeated(given: Operands, labels: Array) -> Array:
    """(B, N): whether the next label is the same one."""
    xp = given.xp
    never = xp.zeros_like(labels[:, :1]) > 0
    return xp.concat([labels[:, :-1] == labels[:, 1:], never], axis=1)


def _numbers(given: Operands, x: Array, dtype: Any = None) -> Array:
    """0 … n − 1, as many as the last axis of x is long."""
    return given.xp.arange(x.shape[-1], dtype=dtype or x.dtype, device=getattr(x, "device", None))


def _check(given: Operands, blank_id: Any, log_epsilon: Any) -> None:
    x, _, paddings, labels, label_paddings = given.values
    if x.ndim != 3 or labels.ndim != 2 or labels.shape[0] != x.shape[0]:
        raise ValueError(
            "ctc_loss: logits must be of shape (B, T, K) and labels of shape (B, N); "
            f"got {tuple(x.shape)} and {tuple(labels.shape)}."
        )
    for name, y, shape in (
        ("logit_paddings", paddings, x.shape[:2]),
        ("label_paddings", label_paddings, labels.shape),
    ):
        if tuple(y.shape) != tuple(shape):
            raise ValueError(f"ctc_loss: {name} must be of shape {tuple(shape)}; got {tuple(y.shape)}.")
    if not dtypes.is_integer(labels.dtype):
        raise TypeError(f"ctc_loss: labels must be integers; got {described(labels)}.")
    if not hasattr(blank_id, "__index__") or not 0 <= blank_id < x.shape[2]:
        raise ValueError(f"ctc_loss: blank_id must be one of the {x.shape[2]} classes; got {described(blank_id)}.")
    if isinstance(log_epsilon, (int, float)) and not -math.inf < log_epsilon < 0:
        raise ValueError(f"ctc_loss: log_epsilon must be finite and negative; got {log_epsilon}.")
