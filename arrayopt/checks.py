"""What a caller handed in, looked at before anything is computed.

Every message says who asks, what must hold, what came, and where.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Hashable
from types import FrameType
from typing import Any, cast

from arrayopt import dtypes
from arrayopt.answers import Asked, described
from arrayopt.dispatch import prepare
from arrayopt.types import Array, DType, Scalar, ScalarOrSchedule


def speaker() -> str:
    """The public function of this package that the user called: ``adam``, not the transform inside it.

    Where a rule of somebody else asks for a check, it is the function of that rule.
    """
    prepare()  # every transform that is made passes here, and none is made within a compiled function
    frame: FrameType | None = inspect.currentframe()
    who, foreign = "", False
    while frame is not None:
        module: str = frame.f_globals.get("__name__", "")
        if module == _CALLS:  # a decorated function is named, not what decorates it
            if foreign:
                break
        elif foreign or (who and not module.startswith("arrayopt.")):
            break
        elif module != __name__:
            who, foreign = frame.f_code.co_name, not module.startswith("arrayopt.")
        frame = frame.f_back
    return who


_CALLS = "arrayopt.calls"


def number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: float = -math.inf,
    below: float = math.inf,
) -> ScalarOrSchedule:
    """A hyper-parameter: a finite number, a 0-d array or a schedule.

    A NumPy scalar or 0-d NumPy array becomes a Python float, which no library promotes to. Arrays of other
    libraries and schedules are taken as they are: their values are not known yet.

    Args:
      name: of the argument, for messages.
      value: what was given.
      low: least value allowed.
      high: greatest value allowed.
      above: bound that the value must stay above.
      below: bound that the value must stay below.

    Raises:
      TypeError: it is none of these.
      ValueError: it is not a scalar, not finite, or out of range.
    """
    if callable(value):
        return value if isinstance(value, Asked) else Asked(speaker(), name, value)
    plain = _plain(name, value)
    if isinstance(plain, float) and not (low <= plain <= high and above < plain < below and math.isfinite(plain)):
        raise ValueError(f"{speaker()}: {name} must {_range(low, high, above, below)}; got {plain:g}.")
    return plain


def _plain(name: str, value: Any) -> Scalar:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) or not hasattr(value, "dtype") or not hasattr(value, "shape"):
        raise TypeError(
            f"{speaker()}: {name} must be a number, a 0-d array or a schedule; got {type(value).__name__} {value!r}."
        )
    if tuple(value.shape) != ():
        raise ValueError(f"{speaker()}: {name} must be a scalar; got an array of shape {tuple(value.shape)}.")
    if not dtypes.is_real(value.dtype):
        raise TypeError(f"{speaker()}: {name} must be a real number; got {described(value)}.")
    return float(value) if type(value).__module__.split(".")[0] in ("numpy", "ml_dtypes") else cast(Array, value)


def _range(low: float, high: float, above: float, below: float) -> str:
    if below < math.inf:
        return f"lie in [{low:g}, {below:g})"
    if high < math.inf:
        return f"lie in [{low:g}, {high:g}]"
    if low > -math.inf:
        return f"be finite and at least {low:g}"
    if above > -math.inf:
        return f"be finite and greater than {above:g}"
    return "be a finite number"


def whole(name: str, value: Any, low: int = 0) -> int:
    """A structural hyper-parameter: a Python or NumPy integer of at least ``low``.

    Raises:
      TypeError: it is no integer.
      ValueError: it is too small.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{speaker()}: {name} must be an integer; got {type(value).__name__} {value!r}.")
    number_ = int(value.__index__())
    if number_ < low:
        raise ValueError(f"{speaker()}: {name} must be at least {low}; got {number_}.")
    return number_


def steps(name: str, value: Any) -> float:
    """A number of steps, known when the schedule is made; it need not be whole (1e4).

    Raises:
      TypeError: it is no number.
      ValueError: it is not finite.
    """
    found = fixed(name, value)
    if not isinstance(found, float):
        raise TypeError(f"{speaker()}: {name} must be a Python or NumPy number; got {type(value).__name__}.")
    return found


def slot_dtype(name: str, value: DType | None) -> str | None:
    """The dtype of a slot, by name; None leaves it to the parameter's.

    Python's ``float`` is float64, as in the Array API. A complex parameter has a complex slot of that precision.

    Raises:
      TypeError: it is no real floating-point dtype.
    """
    if value is None:
        return None
    if value is float:
        return "float64"
    if not isinstance(value, Hashable) or not dtypes.is_inexact(value):
        got = dtypes.name(value) if isinstance(value, Hashable) else type(value).__name__
        kinds = f"one of {', '.join(dtypes.REALS)}" if "float" in got else "a floating-point dtype"
        raise TypeError(f"{speaker()}: {name} must be {kinds}; got {got}.")
    if dtypes.is_complex(value):
        raise TypeError(
            f"{speaker()}: {name} must be real, complex parameters have complex slots of that precision; "
            f"got {dtypes.name(value)}."
        )
    return dtypes.name(value)


def transform(what: str, value: Any) -> Any:
    """A transform, ours or Optax's: anything with ``init`` and ``update``.

    Raises:
      TypeError: it is none; the message says how one is made of it, where that can be guessed.
    """
    parts = [getattr(value, part, None) for part in ("init", "update")]
    if issubclass(type(value), type) or not all(map(callable, parts)):
        hint = ""
        if isinstance(value, (list, tuple)):
            hint = " Write chain(*transforms)."
        elif callable(value):
            hint = f" Call {getattr(value, '__name__', 'it')} to make one."
        raise TypeError(f"{speaker()}: {what} must have init and update; got {described(value)}.{hint}")
    return value


def flag(name: str, value: Any) -> bool:
    """A switch: True or False, known when the optimizer is made.

    Raises:
      TypeError: it is something else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{speaker()}: {name} must be True or False; got {type(value).__name__} {value!r}.")
    return value


def function(name: str, value: Any) -> Asked:
    """Something that is called for a number, and what it answers looked at.

    Raises:
      TypeError: it cannot be called.
    """
    if not callable(value):
        raise TypeError(f"{speaker()}: {name} must be a function; got {type(value).__name__} {value!r}.")
    return value if isinstance(value, Asked) else Asked(speaker(), name, value)


def need_params(who: str, params: Any) -> None:
    """For transforms that read the parameters.

    Raises:
      ValueError: ``update`` was called without them.
    """
    if params is None:
        raise ValueError(f"{who}: update needs the parameters; call update(updates, state, params).")


def decay(name: str, value: Any) -> ScalarOrSchedule:
    """The decay rate of an average, in [0, 1)."""
    return number(name, value, low=0.0, below=1.0)


def positive(name: str, value: Any) -> ScalarOrSchedule:
    """A bound that is divided by, greater than 0."""
    return number(name, value, above=0.0)


def nonnegative(name: str, value: Any) -> ScalarOrSchedule:
    """A small constant or a rate, at least 0."""
    return number(name, value, low=0.0)


def fixed(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, above: float = -math.inf
) -> Scalar:
    """A hyper-parameter that may not be a schedule, where there is no step count to evaluate one at.

    Raises:
      TypeError: it is a schedule, or neither a number nor a 0-d array.
      ValueError: it is not a scalar, not finite, or out of range.
    """
    if callable(value):
        raise TypeError(f"{speaker()}: {name} must be a number or a 0-d array; got a function.")
    return cast(Scalar, number(name, value, low, high, above=above))
