"""Draws the curves on the page of losses: ``python docs/curves.py`` writes ``docs/pages/pictures/loss-*.svg``.

Each line is computed by the loss it shows, so that a picture that no longer fits is a test that fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from arrayopt import losses

PICTURES = Path(__file__).parent / "pages" / "pictures"
COLOURS = ("#3f6fd8", "#d9622b", "#2f9e6b", "#9a58c7", "#b28a12")
WIDTH, HEIGHT = 620, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 190, 14, 40  # the margin on the right holds the names


class Picture(NamedTuple):
    """Losses as functions of one number.

    Attributes:
      about: what the number is.
      low: the least shown.
      high: the greatest shown.
      top: the greatest loss shown.
      lines: by name; each takes an array of numbers, and answers an array of losses.
    """

    about: str
    low: float
    high: float
    top: float
    lines: dict[str, Callable[[Any], Any]]


def _scores(x: Any) -> Any:
    """Rows of three scores, that of class 0 moving."""
    return np.stack([x, 0 * x, 0 * x - 1], axis=-1)


def _of_class_0(f: Callable[..., Any], one_hot: bool, x: Any) -> Any:
    return f(_scores(x), _scores(0 * x + 1) * [1, 0, 0] if one_hot else np.zeros(len(x), dtype=int))


def _turned(x: Any) -> Any:
    return np.stack([np.cos(x), np.sin(x)], axis=-1)


def _distance(x: Any) -> Any:
    return losses.cosine_distance(_turned(x), _turned(0 * x))


def _similarity(x: Any) -> Any:
    return losses.cosine_similarity(_turned(x), _turned(0 * x))


def _pair(x: Any) -> Any:
    """Two of one kind at an angle, and two of others across."""
    return np.asarray(
        [losses.ntxent(_turned(np.asarray([0, a, 1.6, -1.6])), np.asarray([0, 0, 1, 2]), 0.5) for a in x]
    )


def _against(f: Callable[..., Any], x: Any, **kwargs: Any) -> Any:
    """Predictions x and 1 − x of targets 0.3 and 0.7."""
    return f(np.log(np.stack([x, 1 - x], axis=-1)), np.asarray([0.3, 0.7]), **kwargs)


def _twice(x: Any) -> Any:
    return losses.generalized_kl_divergence(np.log(2 * np.stack([x, 1 - x], axis=-1)), np.asarray([0.3, 0.7]))


def _covering(x: Any, **kwargs: Any) -> Any:
    """A true region of four places out of eight: logits x there, and −x/2 elsewhere."""
    truth = np.repeat([[1.0, 0.0]], 4, axis=1)
    return losses.binary_dice_loss(np.where(truth > 0, x[:, None], -x[:, None] / 2), 0 * x[:, None] + truth, **kwargs)


def _triplet(x: Any) -> Any:
    origin = 0 * x[:, None]
    return losses.triplet_margin_loss(origin, x[:, None], origin + 1)


PAGES: dict[str, Picture] = {
    "regression": Picture(
        "error, prediction less target",
        -4,
        4,
        6,
        {
            "squared_error": losses.squared_error,
            "l2_loss": losses.l2_loss,
            "huber_loss, delta=1": losses.huber_loss,
            "log_cosh": losses.log_cosh,
        },
    ),
    "binary": Picture(
        "score or logit, the label being yes",
        -4,
        4,
        5,
        {
            "sigmoid_binary_cross_entropy": lambda x: losses.sigmoid_binary_cross_entropy(x, 0 * x + 1),
            "sigmoid_focal_loss, gamma=2": lambda x: losses.sigmoid_focal_loss(x, 0 * x + 1),
            "hinge_loss": lambda x: losses.hinge_loss(x, 0 * x + 1),
            "perceptron_loss": lambda x: losses.perceptron_loss(x, 0 * x + 1),
        },
    ),
    "classes": Picture(
        "score of the label, others having 0 and −1",
        -4,
        4,
        7,
        {
            "softmax_cross_entropy": partial(_of_class_0, losses.softmax_cross_entropy, True),
            "poly_loss_cross_entropy": partial(_of_class_0, losses.poly_loss_cross_entropy, True),
            "multiclass_hinge_loss": partial(_of_class_0, losses.multiclass_hinge_loss, False),
            "multiclass_perceptron_loss": partial(_of_class_0, losses.multiclass_perceptron_loss, False),
        },
    ),
    "divergences": Picture(
        "chance predicted, the target being 0.3",
        0.01,
        0.99,
        1.5,
        {
            "kl_divergence": partial(_against, losses.kl_divergence),
            "generalized, of twice the chances": _twice,
        },
    ),
    "angles": Picture(
        "angle between two vectors, in radians",
        -3.14,
        3.14,
        3,
        {"cosine_distance": _distance, "cosine_similarity": _similarity, "ntxent, others at ±1.6": _pair},
    ),
    "regions": Picture(
        "logit predicted within the region, half its opposite without",
        -6,
        6,
        1,
        {
            "binary_dice_loss": _covering,
            "binary_dice_loss, smooth=0": partial(_covering, smooth=0.0),
        },
    ),
    "triplets": Picture(
        "distance of the positive, the negative being at 1",
        -2.5,
        2.5,
        3,
        {"triplet_margin_loss, margin=1": _triplet},
    ),
}


def drawn(picture: Picture) -> str:
    """The picture as SVG."""
    bottom = -1.0 if "angle" in picture.about else 0.0
    across = np.linspace(picture.low, picture.high, 161)

    def place(x: Any, y: Any) -> tuple[Any, Any]:
        right, low = WIDTH - RIGHT, HEIGHT - BOTTOM
        share = (y - bottom) / (picture.top - bottom)
        return LEFT + (right - LEFT) * (x - picture.low) / (picture.high - picture.low), low - (low - TOP) * share

    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        *_frame(picture, bottom, place),
        *[_line(k, name, *place(across, f(across))) for k, (name, f) in enumerate(picture.lines.items())],
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _frame(picture: Picture, bottom: float, place: Callable[..., Any]) -> list[str]:
    """Grid, ticks and what lies along the axis, in a grey that is seen on white and on black."""
    (left, low), (right, top) = place(picture.low, bottom), place(picture.high, picture.top)
    found = [f'<defs><clipPath id="in"><path d="M{left} {top}H{right}V{low}H{left}Z"/></clipPath></defs>']
    for x in _ticks(picture.low, picture.high):
        at = place(x, 0.0)[0]
        found.append(f'<path d="M{at:.1f} {top}V{low}" stroke="#888" stroke-opacity="0.25"/>')
        found.append(f'<text x="{at:.1f}" y="{low + 16}" fill="#888" text-anchor="middle">{x:g}</text>')
    for y in _ticks(bottom, picture.top):
        at = place(0.0, y)[1]
        found.append(f'<path d="M{left} {at:.1f}H{right}" stroke="#888" stroke-opacity="0.25"/>')
        found.append(f'<text x="{left - 6}" y="{at + 4:.1f}" fill="#888" text-anchor="end">{y:g}</text>')
    about = f'<text x="{(left + right) / 2}" y="{HEIGHT - 6}" fill="#888" text-anchor="middle">{picture.about}</text>'
    return [*found, about]


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers."""
    step = next(step for step in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if (high - low) / step <= 8)
    return [round(k * step, 9) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _line(k: int, name: str, x: Any, y: Any) -> str:
    points = " ".join([f"{a:.1f},{b:.1f}" for a, b in zip(x, np.clip(y, -HEIGHT, 2 * HEIGHT), strict=True)])
    at = TOP + 14 + 20 * k
    return "\n".join(
        [
            f'<polyline points="{points}" fill="none" stroke="{COLOURS[k]}" stroke-width="2" clip-path="url(#in)"/>',
            f'<text x="{WIDTH - RIGHT + 10}" y="{at}" fill="{COLOURS[k]}">{name}</text>',
        ]
    )


def pictures() -> dict[Path, str]:
    """Every picture, by the file it belongs in."""
    return {PICTURES / f"loss-{name}.svg": drawn(picture) for name, picture in PAGES.items()}


if __name__ == "__main__":
    for file, text in pictures().items():
        file.write_text(text, encoding="utf-8")
        print(file.name)
