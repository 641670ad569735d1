"""The clock: all contenders in one process, one step of each in turn."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from arrayopt_conformance.bench.contenders import Contender, Entry

WARM_UP = 3  # rounds that do not count: compilation, first touch of pages, caches
_FEWEST = 5  # counted steps of a slow contender


@dataclass
class Runner:
    """A contender on the track, and its seconds by round."""

    entry: Entry
    contender: Contender
    stride: int = 1  # it takes part in every so manieth round
    seconds: dict[int, float] = field(default_factory=dict[int, float])

    def takes_part(self, round_: int) -> bool:
        """Warm-up rounds are negative; a slow contender warms up once."""
        return round_ % self.stride == 0 if round_ >= 0 else self.stride == 1 or round_ == -1


def stride(entry: Entry, rounds: int) -> int:
    """Plain steps take part in a third of the rounds, but in five at least."""
    return max(1, rounds // max(_FEWEST, rounds // 3)) if entry.kind == "eager" else 1


def race(runners: Sequence[Runner], rounds: int) -> None:
    """Fills in the seconds of each. Who went before leaves traces in caches: so the order is drawn for every other
    round, and the next runs backwards.
    """
    gc.collect()
    gc.disable()  # it would charge one contender for the litter of another
    try:
        for round_ in range(-WARM_UP, rounds):
            for runner in _order(runners, round_):
                if runner.takes_part(round_):
                    _timed(runner, round_)
    finally:
        gc.enable()


def _order(runners: Sequence[Runner], round_: int) -> list[Runner]:
    drawn = random.Random(round_ // 2).sample(runners, len(runners))
    return drawn[::-1] if round_ % 2 else drawn


def _timed(runner: Runner, round_: int) -> None:
    runner.contender.prepare()
    start = time.perf_counter()
    runner.contender.step()
    seconds = time.perf_counter() - start
    if round_ >= 0:
        runner.seconds[round_] = seconds


# -- what is said of the times -----------------------------------------------------------------------------------


class Summary(NamedTuple):
    """The middle and the quarters of the times."""

    median: float
    low: float
    high: float
    counted: int


def summary(runner: Runner) -> Summary:
    """Of the rounds that count."""
    times = list(runner.seconds.values())
    low, median, high = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    return Summary(median, low, high, len(times))


class Ratio(NamedTuple):
    """Time of one over time of another: the median of the ratios of each round, and the ratio of the medians."""

    paired: float
    of_medians: float


def ratio(one: Runner, other: Runner) -> Ratio:
    """Over the rounds in which both took part."""
    both = [(one.seconds[k], other.seconds[k]) for k in one.seconds if k in other.seconds]
    mine, its = zip(*both, strict=True)
    return Ratio(statistics.median(a / b for a, b in both), statistics.median(mine) / statistics.median(its))
