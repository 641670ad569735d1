"""What the user sees in the terminal: progress, results, and how far the libraries are apart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations, groupby

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from arrayopt.demo import data, libraries, rules
from arrayopt.demo.training import Plan, Result, difference, run

_WIDTH = 20  # characters of a curve
_NUMBERS = ("final loss", "accuracy", "seconds")
_LEVELS, _ASCII = "▁▂▃▄▅▆▇█", "_.,-=+*#"


def watched(pairs: list[tuple[str, str]], plan: Plan, learning_rate: float | None = None) -> list[Result]:
    """Trains each optimizer on its library, under a progress bar.

    Args:
      pairs: names of optimizer and library, in the order of the runs.
      plan: what all runs have in common.
      learning_rate: of every optimizer; None for one that suits each.
    """
    results: list[Result] = []
    with _progress() as bar:
        task = bar.add_task("", total=plan.steps * len(pairs))
        for name, library in pairs:
            bar.update(task, description=f"{name} on {library}")
            optimizer = rules.make(name, learning_rate)
            results.append(run(name, optimizer, libraries.load(library), plan, lambda: bar.advance(task)))
    return results


def _progress() -> Progress:
    """A bar on stderr; nothing where nobody watches."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_interactive)


def show(results: list[Result], plan: Plan, console: Console | None = None) -> None:
    """Prints the results, and the differences between libraries if there are several."""
    console = console or Console()
    console.print(
        f"Handwritten digits, {plan.steps} steps of {plan.batch_size} images, seed {plan.seed}", style="bold"
    )
    console.print(_results(results, plan, _LEVELS if console.encoding.startswith("utf") else _ASCII))
    shown = {result.library for result in results}
    if "jax" in shown:
        console.print("Seconds leave out a first step, in which JAX compiles.\n")
    if len(shown) > 1:
        console.print("Largest difference between libraries in a final parameter", style="bold")
        console.print(_differences(results))


def _results(results: list[Result], plan: Plan, levels: str) -> Table:
    table = _table("optimizer", "library", *_NUMBERS, "loss, log scale")
    curves = sparklines([result.losses for result in results], levels)
    first, last = results[0].library, results[-1].library
    for result, curve in zip(results, curves, strict=True):
        table.add_row(*_cells(result, plan), curve, end_section=result.library == last != first)
    return table


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left", no_wrap=True)
    return table


def _cells(result: Result, plan: Plan) -> list[str]:
    return [
        result.optimizer,
        result.library,
        f"{final_loss(result, plan):.2e}",
        f"{result.accuracy:.1%}",
        f"{result.seconds:.2f}",
    ]


def final_loss(result: Result, plan: Plan) -> float:
    """The mean loss of the last epoch."""
    last = result.losses[-data.epoch(plan.batch_size) :]
    return sum(last) / len(last)


def sparklines(curves: list[list[float]], levels: str = _LEVELS) -> list[str]:
    """Each curve as a line of characters; height is the logarithm of the loss, on one scale for all."""
    heights = [_heights(curve) for curve in curves]
    seen = [y for line in heights for y in line if math.isfinite(y)] or [0.0]
    low, span = min(seen), (max(seen) - min(seen)) or 1.0
    return ["".join(_level((y - low) / span, levels) for y in line) for line in heights]


def _heights(losses: list[float]) -> list[float]:
    """The curve cut into a few stretches, and the logarithm of the mean of each."""
    stretches = np.array_split(np.asarray(losses), min(_WIDTH, len(losses)))
    means = [float(np.mean(stretch)) for stretch in stretches]
    return [math.log(mean) if 0 < mean < math.inf else math.nan for mean in means]


def _level(height: float, levels: str) -> str:
    return levels[round(height * (len(levels) - 1))] if math.isfinite(height) else " "


def _differences(results: list[Result]) -> Table:
    table = _table("optimizer", "difference", "between")
    for optimizer, runs in groupby(results, lambda result: result.optimizer):
        table.add_row(optimizer, *_largest(runs))
    return table


def _largest(runs: Iterable[Result]) -> tuple[str, str]:
    pairs = [(difference(a, b), f"{a.library}, {b.library}") for a, b in combinations(runs, 2)]
    value, between = max(pairs, key=lambda pair: math.inf if math.isnan(pair[0]) else pair[0])
    return f"{value:.1e}", between
