"""Stochastic gradient descent, with heavy-ball or Nesterov momentum.

    m ← g + μ m          u = −η m                Nesterov: u = −η (g + μ m)

Sutskever, Martens, Dahl, Hinton, 2013: On the importance of initialization and momentum in deep learning.
"""

from __future__ import annotations

from arrayopt import checks
from arrayopt.base import GradientTransformationExtraArgs, identity
from arrayopt.calls import by_call
from arrayopt.transforms.accumulation import trace
from arrayopt.transforms.combining import chain
from arrayopt.transforms.scaling import scale_by_learning_rate
from arrayopt.types import DType, ScalarOrSchedule


@by_call
def sgd(
    learning_rate: ScalarOrSchedule,
    momentum: float | None = None,
    nesterov: bool = False,
    accumulator_dtype: DType | None = None,
) -> GradientTransformationExtraArgs:
    """Stochastic gradient descent: u = −η g, or −η m with momentum m ← g + μ m.

    Args:
      learning_rate: η, in units of parameter per gradient; a number, a 0-d array or a schedule of the step
        0, 1, …
      momentum: μ in [0, 1]; None keeps no momentum.
      nesterov: whether to look one step ahead, u = −η (g + μ m).
      accumulator_dtype: dtype of m, or its name; by default the parameter's, but at least float32.

    Returns:
      A transform whose state is ``(TraceState or EmptyState, …)``. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.sgd(0.1, momentum=0.9)
      >>> state = tx.init(np.zeros(2))
      >>> for _ in range(2):
      ...     u, state = tx.update(np.ones(2), state)
      >>> u
      array([-0.19, -0.19])

    Source:
      Sutskever, Martens, Dahl, Hinton, 2013: On the importance of initialization and momentum in deep learning,
      equations 1 to 4; the learning rate multiplies the momentum, as in Optax and Torch.
    """
    kind, look_ahead = checks.slot_dtype("accumulator_dtype", accumulator_dtype), checks.flag("nesterov", nesterov)
    kept = identity()
    if momentum is not None:
        kept = trace(checks.fixed("momentum", momentum, 0.0, 1.0), look_ahead, kind)
    return chain(kept, scale_by_learning_rate(checks.number("learning_rate", learning_rate)))
