"""What the user reads: tables, by Rich where it is installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from arrayopt_conformance.bench.check import Trial
from arrayopt_conformance.bench.once import Once
from arrayopt_conformance.bench.race import Race, Row

_WIDTH = 110  # where nobody watches: wide enough for every table
_SHORT = {
    "torch.optim fused": "torch fused",
    "torch.optim foreach": "torch foreach",
    "torch.optim for-loop": "torch loop",
}


@dataclass(frozen=True)
class Grid:
    """A table: the first column is text, the others are numbers."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    notes: list[str]


def show(grid: Grid) -> None:
    """Prints a table with its notes."""
    _rich(grid) if find_spec("rich") is not None else _plain(grid)
    sys.stdout.flush()


def _rich(grid: Grid) -> None:
    console: Any = importlib.import_module("rich.console").Console()
    table: Any = importlib.import_module("rich.table").Table(box=importlib.import_module("rich.box").SIMPLE)
    for i, heading in enumerate(grid.headings):
        table.add_column(heading, justify="right" if i else "left", no_wrap=True)
    for row in grid.rows:
        table.add_row(*row)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    console.print(grid.title, style="bold", highlight=False)
    if grid.rows:
        console.print(table)
    for note in grid.notes:
        console.print(note, highlight=False, markup=False)
    console.print()


def _plain(grid: Grid) -> None:
    lines = [grid.headings, *grid.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(grid.headings))]
    print(grid.title)
    for line in lines if grid.rows else []:
        cells = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())
    print("\n".join(grid.notes), end="\n\n")


# -- what is shown -------------------------------------------------------------------------------------------------


def machine(found: dict[str, Any], copied: float) -> Grid:
    """The machine, the versions, the speed of a copy."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    notes = [
        f"{found['threads']} of {found['cores']} cores, {found['system']}, Python {found['python']}",
        versions,
        f"A copy of a large array moves {copied / 1e9:.1f} GB/s, read and written bytes counted. A step can",
        "exceed it: it writes where it has just read, while a copy may have to fetch what it overwrites.",
    ]
    return Grid(found["cpu"], [], [], notes)


def trials(rule: str, dtype: str, found: Iterable[Trial]) -> Grid:
    """How far each contender's parameters are from the reference."""
    rows = [[one.name, f"{one.difference:.1e}"] for one in found if one.difference is not None]
    title = f"{rule}, {dtype}: largest difference from float64 after 3 steps, relative to the largest parameter"
    return Grid(title, ["", "difference"], rows, [])


def times(race: Race) -> Grid:
    """Medians, quartiles and rates."""
    notes = [f"not here: {name}: {why}" for name, why in race.left_out.items()]
    headings = ["", "median ms", "quartiles", "steps", "GB/s", "of copy"]
    return Grid(f"{race.rule}, {race.workload}", headings, [_times(row) for row in race.rows], notes)


def _times(row: Row) -> list[str]:
    low, high = row.quartiles
    quartiles = f"{milliseconds(low)} – {milliseconds(high)}"
    return [
        row.name,
        milliseconds(row.seconds),
        quartiles,
        str(row.counted),
        f"{row.rate / 1e9:.1f}",
        f"{row.share:.0%}",
    ]


def milliseconds(seconds: float) -> str:
    """Three digits."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.1 else f"{value:.3f}"


def ratios(race: Race) -> Grid:
    """Our times over those of others."""
    columns = list(dict.fromkeys(ratio["ours"] for ratio in race.ratios))
    others = list(dict.fromkeys(ratio["other"] for ratio in race.ratios))
    cells = {(r["ours"], r["other"]): f"{_short(r['paired'])} ({_short(r['of_medians'])})" for r in race.ratios}
    rows = [[other, *[cells.get((ours, other), "") for ours in columns]] for other in others]
    title = "Our time over theirs: median of the ratios in each round (ratio of the medians)"
    return Grid(title, ["", *columns], rows, [])


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def once(found: list[Once]) -> Grid:
    """What is paid once."""
    headings = ["", "first step ms", "from cache", "Numba import + start", "recording", "300 leaves", "memory MB"]
    notes = [
        "First step: 3 leaves of 1000, in a fresh process, without and with a filled disk cache; Numba apart.",
        "Recording: 1000 leaves, kernels compiled (JAX: compilation too). 300 leaves: a step on one element each.",
        f"Memory: peak beyond the arrays of a leaf of {found[0].elements:,} during a step." if found else "",
        *[f"{one.name}: {one.problem}" for one in found if one.problem],
    ]
    return Grid(f"{found[0].rule}: paid once, in ms" if found else "", headings, [_once(one) for one in found], notes)


def _once(one: Once) -> list[str]:
    cold, warm = one.cold or {}, one.warm or {}
    numba = [milliseconds(cold[key]) for key in ("import_numba", "start_numba") if key in cold]
    return [
        one.name,
        *[milliseconds(side["first"]) if side else "" for side in (cold, warm)],
        " + ".join(numba),
        milliseconds(one.recording),
        milliseconds(one.overhead),
        "" if one.memory is None else f"{one.memory / 1e6:.1f}",
    ]
