"""The ratios as a picture."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from arrayopt_conformance.bench.race import Race

_COLUMNS = 2  # panels in a row, at most
_TOP = 2.5  # of the axis; longer bars carry their number


def draw(races: list[Race], path: Path) -> None:
    """Writes bars to a file: a panel for each other, in it our times over its own, for each workload."""
    others = list(dict.fromkeys(ratio["other"] for race in races for ratio in race.ratios))
    rows, columns = -(-max(1, len(others)) // _COLUMNS), min(_COLUMNS, max(1, len(others)))
    size = ((2.5 + 0.5 * len(races)) * columns, 2.6 * rows + 0.6)
    figure: Any = importlib.import_module("matplotlib.figure").Figure(figsize=size, layout="constrained")
    panels: list[Any] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels[len(others) :]:
        panel.set_axis_off()
    ours = list(dict.fromkeys(ratio["ours"] for race in races for ratio in race.ratios))
    for other, panel in zip(others, panels, strict=False):
        _fill(panel, other, ours, races)
    _legend(figure, panels[0], ours)
    figure.supylabel("our time over theirs")
    figure.savefig(path, dpi=150)


def _fill(panel: Any, other: str, ours: list[str], races: list[Race]) -> None:
    width = 0.8 / max(1, len(ours))
    for k, name in enumerate(ours):
        heights = [_ratio(race, name, other) for race in races]
        places = [i + (k - (len(ours) - 1) / 2) * width for i in range(len(races))]
        bars = panel.bar(places, [min(h, _TOP) for h in heights], width, label=name, color=f"C{k}")
        panel.bar_label(
            bars, [f"{h:.3g}" if _TOP < h < 100 else f"{h:.0f}" if h > _TOP else "" for h in heights], fontsize=5
        )
    panel.axhline(1.0, color="black", linewidth=0.8)
    panel.set_ylim(0, _TOP + 0.2)
    panel.set_title(other, fontsize=10)
    panel.set_xticks(range(len(races)), [_label(race, races) for race in races], rotation=30, ha="right", fontsize=7)


def _ratio(race: Race, ours: str, other: str) -> float:
    found = [ratio["paired"] for ratio in race.ratios if (ratio["ours"], ratio["other"]) == (ours, other)]
    return float(found[0]) if found else 0.0


def _label(race: Race, races: list[Race]) -> str:
    several = len({one.rule for one in races}) > 1
    return f"{race.rule} {race.workload}" if several else race.workload


def _legend(figure: Any, panel: Any, ours: list[str]) -> None:
    handles, labels = panel.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=len(ours), fontsize=8, frameon=False)
