"""The loss curves as a picture."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from arrayopt.demo import data
from arrayopt.demo.training import Plan, Result

_COLUMNS = 3  # panels in a row, at most
_DASH = 4  # length of a dash, in widths of the line


def draw(results: list[Result], plan: Plan, path: Path) -> None:
    """Writes the loss curves to a file.

    One library: its optimizers in one panel, to be compared. Several: a panel for each optimizer, in which the
    libraries should be one line.
    """
    panels = _panels(results)
    columns = min(len(panels), _COLUMNS)
    figure, axes = _canvas(-(-len(panels) // columns), columns)
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    for (title, lines), panel in zip(panels.items(), axes, strict=False):
        _fill(panel, title, lines, plan)
    figure.savefig(path, dpi=150)


def _panels(results: list[Result]) -> dict[str, dict[str, Result]]:
    """The title of each panel, and its runs by their label there."""
    several = len({result.library for result in results}) > 1
    panels: dict[str, dict[str, Result]] = {}
    for result in results:
        title, label = (result.optimizer, result.library) if several else (result.library, result.optimizer)
        panels.setdefault(title, {})[label] = result
    return panels


def _canvas(rows: int, columns: int) -> tuple[Any, list[Any]]:
    """A figure that needs no screen, and its panels."""
    size = (6.4, 4.2) if rows * columns == 1 else (3.4 * columns + 0.4, 2.7 * rows + 0.4)
    figure: Any = importlib.import_module("matplotlib.figure").Figure(figsize=size, layout="constrained")
    figure.supxlabel("step")
    figure.supylabel("loss, mean of an epoch")
    return figure, list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)


def _fill(panel: Any, title: str, lines: dict[str, Result], plan: Plan) -> None:
    for place, (label, result) in enumerate(lines.items()):
        style = _dashes(place, len(lines)) if title == result.optimizer else "solid"
        panel.plot(*_smooth(result.losses, data.epoch(plan.batch_size)), label=label, linestyle=style)
    panel.set_title(title)
    panel.tick_params(labelbottom=True)
    panel.set_yscale("log")
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    for line in panel.legend(frameon=False).get_lines():
        line.set_linestyle("solid")


def _dashes(place: int, lines: int) -> Any:
    """Dashes in the gaps of the other lines, so that all are seen where they are one."""
    return (_DASH * place, (_DASH, _DASH * (lines - 1)))


def _smooth(losses: list[float], width: int) -> tuple[Any, Any]:
    """Steps, and the mean of the losses over the epoch that ends there."""
    width = min(width, len(losses))
    means = np.convolve(losses, np.full(width, 1 / width), mode="valid")
    return np.arange(width, len(losses) + 1), means
