"""The schedules: each a function of the step k = 0, 1, … and of its arguments, in plain Python."""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

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


def piecewise_constant_schedule(
    k: int, *, init_value: float, boundaries_and_scales: dict[int, float] | None = None
) -> float:
    """I times every factor whose step has come"""
    come = [factor for step, factor in sorted((boundaries_and_scales or {}).items()) if k >= step]
    return math.prod(come, start=init_value)


def piecewise_interpolate_schedule(
    k: int, *, interpolate_type: str, init_value: float, boundaries_and_scales: dict[int, float] | None = None
) -> float:
    """from milestone to milestone, each the one before times a factor; after the last it stays there"""
    milestones = [(0, init_value)]
    for step, factor in sorted((boundaries_and_scales or {}).items()):
        milestones.append((step, milestones[-1][1] * factor))
    for (step, value), (next_step, next_value) in itertools.pairwise(milestones):
        if step <= k < next_step:
            gone = (k - step) / (next_step - step)
            share = gone if interpolate_type == "linear" else 0.5 * (1 - math.cos(math.pi * gone))
            return value + share * (next_value - value)
    return milestones[-1][1]


def linear_onecycle_schedule(
    k: int,
    *,
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> float:
    """lines from P/d to P, back to P/d, and on to P/(d·f), at the steps 0, ⌊aT⌋, ⌊bT⌋, T

    L. N. Smith, N. Topin (2017), Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates, arXiv:1708.07120.
    """
    low, last = peak_value / div_factor, peak_value / div_factor / final_div_factor
    steps = [0, int(pct_start * transition_steps), int(pct_final * transition_steps), transition_steps]
    return float(np.interp(k, steps, [low, peak_value, low, last]))


def cosine_onecycle_schedule(
    k: int,
    *,
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> float:
    """half a cosine from P/d up to P at step ⌊aT⌋, another down to P/(d·f) at step T"""
    top = int(pct_start * transition_steps)
    last = peak_value / (div_factor * final_div_factor)
    if k >= top:
        return last + cosine_decay_schedule(k - top, init_value=peak_value - last, decay_steps=transition_steps - top)
    first = peak_value / div_factor
    return peak_value - cosine_decay_schedule(k, init_value=peak_value - first, decay_steps=top)


def warmup_constant_schedule(k: int, *, init_value: float, peak_value: float, warmup_steps: int) -> float:
    """a line from I to the peak in W steps, then level; without W > 0 it stays at I"""
    return linear_schedule(k, init_value=init_value, end_value=peak_value, transition_steps=warmup_steps)


def warmup_exponential_decay_schedule(
    k: int, *, init_value: float, peak_value: float, warmup_steps: int, **decay: Any
) -> float:
    """a line from I to the peak in W steps, then the exponential decay from the peak, its steps counted from W"""
    if k < warmup_steps:
        return linear_schedule(k, init_value=init_value, end_value=peak_value, transition_steps=warmup_steps)
    return exponential_decay(k - warmup_steps, init_value=peak_value, **decay)


def sgdr_schedule(k: int, *, cosine_kwargs: Sequence[dict[str, Any]]) -> float:
    """warm-up and cosine, over and over; the last of them goes on for ever"""
    *cycles, last = cosine_kwargs
    for cycle in cycles:
        if k < cycle["decay_steps"]:
            return warmup_cosine_decay_schedule(k, **cycle)
        k -= cycle["decay_steps"]
    return warmup_cosine_decay_schedule(k, **last)


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
        piecewise_constant_schedule,
        piecewise_interpolate_schedule,
        linear_onecycle_schedule,
        cosine_onecycle_schedule,
        warmup_constant_schedule,
        warmup_exponential_decay_schedule,
        sgdr_schedule,
    )
}


def function(schedule: Schedule) -> Callable[[int], float]:
    """the marked schedule as a function of k, by the formulas above"""
    kwargs = dict(schedule.kwargs)
    if schedule.name == "join_schedules":
        kwargs["schedules"] = [function(part) for part in kwargs["schedules"]]
    return partial(SCHEDULES[schedule.name], **kwargs)
