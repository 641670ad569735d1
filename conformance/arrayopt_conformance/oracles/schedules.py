"""The schedules: each a function of the step k = 0, 1, … and of its arguments, in plain Python."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from . import Schedule


def constant_schedule(k: int, *, value: float) -> float:
    """the value, always"""
    return value


def polynomial_schedule(
    k: int,
    *,
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> float:
    """E + (I − E)·(1 − n/T)ᵖ, n the steps since B held within 0 … T; without T > 0 it stays at I"""
    if transition_steps <= 0:
        return init_value
    n = min(max(k - max(transition_begin, 0), 0), transition_steps)
    return end_value + (init_value - end_value) * math.pow(1 - n / transition_steps, power)


def linear_schedule(
    k: int, *, init_value: float, end_value: float, transition_steps: int, transition_begin: int = 0
) -> float:
    """from I to E on a straight line"""
    return polynomial_schedule(
        k,
        init_value=init_value,
        end_value=end_value,
        power=1,
        transition_steps=transition_steps,
        transition_begin=transition_begin,
    )


def exponential_decay(
    k: int,
    *,
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> float:
    """I·rⁿᐟᵀ for n > 0 steps since B, I before; in stairs of T steps; E bounds it where it tends to"""
    if transition_steps <= 0 or decay_rate == 0:
        return init_value
    n = k - max(transition_begin, 0)
    exponent = n // transition_steps if staircase else n / transition_steps
    value = init_value if n <= 0 else init_value * math.pow(decay_rate, exponent)
    if end_value is None:
        return value
    return max(value, end_value) if decay_rate < 1 else min(value, end_value)


def cosine_decay_schedule(
    k: int, *, init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0
) -> float:
    """I·((1 − α)·(½(1 + cos(π·n/T)))ᵖ + α), n = min(k, T)

    I. Loshchilov, F. Hutter (2016), SGDR: Stochastic Gradient Descent with Warm Restarts, arXiv:1608.03983.
    """
    if decay_steps <= 0:
        raise ValueError(f"decay_steps must be positive; got {decay_steps}.")
    cosine = math.cos(math.pi * min(k, decay_steps) / decay_steps)
    return init_value * ((1 - alpha) * math.pow(0.5 * (1 + cosine), exponent) + alpha)


def warmup_cosine_decay_schedule(
    k: int,
    *,
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> float:
    """a line from I to the peak in W steps, a cosine down to E by step T: T includes the warm-up"""
    if k < warmup_steps:
        return linear_schedule(k, init_value=init_value, end_value=peak_value, transition_steps=warmup_steps)
    return cosine_decay_schedule(
        k - warmup_steps,
        init_value=peak_value,
        decay_steps=decay_steps - warmup_steps,
        alpha=end_value / peak_value if peak_value else 0.0,
        exponent=exponent,
    )


def join_schedules(k: int, *, schedules: Sequence[Callable[[int], float]], boundaries: Sequence[int]) -> float:
    """one schedule after another; each starts to count at its boundary, which belongs to it"""
    value = schedules[0](k)
    for boundary, schedule in zip(boundaries, schedules[1:], strict=True):
        if k >= boundary:
            value = schedule(k - boundary)
    return value


SCHEDULES: dict[str, Callable[..., float]] = {
    schedule.__name__: schedule
    for schedule in (
        constant_schedule,
        polynomial_schedule,
        linear_schedule,
        exponential_decay,
        cosine_decay_schedule,
        warmup_cosine_decay_schedule,
        join_schedules,
    )
}


def function(schedule: Schedule) -> Callable[[int], float]:
    """the marked schedule as a function of k, by the formulas above"""
    kwargs = dict(schedule.kwargs)
    if schedule.name == "join_schedules":
        kwargs["schedules"] = [function(part) for part in kwargs["schedules"]]
    return partial(SCHEDULES[schedule.name], **kwargs)


def plain(case: dict[str, Any]) -> dict[str, Any]:
    """the arguments of a case, with every marked schedule as a function of k"""
    return {key: function(value) if isinstance(value, Schedule) else value for key, value in case.items()}


# Every argument where it matters within k = 0 … 20.
CASES: dict[str, Schedule] = {
    "constant": Schedule.of("constant_schedule", value=0.3),
    "linear": Schedule.of("linear_schedule", init_value=1.0, end_value=0.1, transition_steps=7),
    "linear_begin": Schedule.of(
        "linear_schedule", init_value=0.0, end_value=2.0, transition_steps=7, transition_begin=4
    ),
    "linear_never": Schedule.of("linear_schedule", init_value=0.5, end_value=2.0, transition_steps=0),
    "polynomial": Schedule.of("polynomial_schedule", init_value=1.0, end_value=0.2, power=3, transition_steps=9),
    "polynomial_root": Schedule.of(
        "polynomial_schedule",
        init_value=0.1,
        end_value=1.5,
        power=0.5,
        transition_steps=9,
        transition_begin=2,
    ),
    "polynomial_early": Schedule.of(
        "polynomial_schedule", init_value=0.1, end_value=1.5, power=2, transition_steps=9, transition_begin=-3
    ),
    "polynomial_never": Schedule.of(
        "polynomial_schedule", init_value=0.1, end_value=1.5, power=2, transition_steps=-1
    ),
    "exponential": Schedule.of("exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7),
    "exponential_stairs": Schedule.of(
        "exponential_decay",
        init_value=0.1,
        transition_steps=3,
        decay_rate=0.7,
        transition_begin=2,
        staircase=True,
    ),
    "exponential_floor": Schedule.of(
        "exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7, end_value=0.04
    ),
    "exponential_ceiling": Schedule.of(
        "exponential_decay",
        init_value=0.1,
        transition_steps=3,
        decay_rate=1.4,
        transition_begin=4,
        end_value=0.3,
    ),
    "exponential_floor_above_start": Schedule.of(
        "exponential_decay",
        init_value=0.1,
        transition_steps=3,
        decay_rate=0.7,
        transition_begin=4,
        end_value=0.3,
    ),
    "exponential_early": Schedule.of(
        "exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7, transition_begin=-4
    ),
    "exponential_never": Schedule.of(
        "exponential_decay", init_value=0.1, transition_steps=0, decay_rate=0.7, end_value=0.3
    ),
    "exponential_no_rate": Schedule.of(
        "exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.0, end_value=0.3
    ),
    "cosine": Schedule.of("cosine_decay_schedule", init_value=0.4, decay_steps=9),
    "cosine_shape": Schedule.of("cosine_decay_schedule", init_value=0.4, decay_steps=9, alpha=0.2, exponent=1.5),
    "warmup_cosine": Schedule.of(
        "warmup_cosine_decay_schedule", init_value=0.1, peak_value=1.0, warmup_steps=5, decay_steps=14
    ),
    "warmup_cosine_shape": Schedule.of(
        "warmup_cosine_decay_schedule",
        init_value=0.1,
        peak_value=1.0,
        warmup_steps=5,
        decay_steps=14,
        end_value=0.25,
        exponent=2.0,
    ),
    "warmup_cosine_no_warmup": Schedule.of(
        "warmup_cosine_decay_schedule",
        init_value=0.1,
        peak_value=1.0,
        warmup_steps=0,
        decay_steps=14,
        end_value=0.25,
    ),
    "warmup_cosine_no_peak": Schedule.of(
        "warmup_cosine_decay_schedule",
        init_value=1.0,
        peak_value=0.0,
        warmup_steps=5,
        decay_steps=14,
        end_value=0.25,
    ),
    "joined": Schedule.of(
        "join_schedules",
        schedules=[
            Schedule.of("linear_schedule", init_value=0.0, end_value=1.0, transition_steps=4),
            Schedule.of("constant_schedule", value=0.9),
            Schedule.of("cosine_decay_schedule", init_value=0.8, decay_steps=6, alpha=0.1),
        ],
        boundaries=[4, 9],
    ),
}
