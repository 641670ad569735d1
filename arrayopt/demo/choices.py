"""What a user may ask of the demo: each function reads one argument, or says what it must be."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from arrayopt.demo import libraries, rules

_PICTURES = (".png", ".svg", ".pdf")


def whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    """A reader of whole numbers in that range."""
    bounds = f"of at least {low}" if high == math.inf else f"from {low} to {high}"

    def read(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise ArgumentTypeError(f"must be a whole number {bounds}; got {text!r}.")
        return int(text)

    return read


def rate(text: str) -> float:
    """A learning rate."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"must be a positive number; got {text!r}.")
    return value


def optimizers(text: str) -> list[str]:
    """Names of optimizers, separated by commas."""
    return _names(text, rules.known(), "optimizers")


def backends(text: str) -> list[str]:
    """Names of array libraries that can compute here, separated by commas; ``all`` for all of them."""
    if text.strip() == "all":
        return libraries.working()
    names = _names(text, libraries.announced(), "array libraries")
    for name in names:
        lacking = libraries.obstacle(name)
        if lacking:
            raise ArgumentTypeError(f"must name libraries that work here; {name} lacks: {lacking}.")
    return names


def _names(text: str, known: Iterable[str], what: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ArgumentTypeError(f"must name {what} out of {', '.join(known)}; got {name!r}.")
    return list(dict.fromkeys(names))


def picture(text: str) -> Path:
    """A file that the plot can be written to; tried now, not after the training."""
    path = Path(text)
    if path.suffix.lower() not in _PICTURES:
        raise ArgumentTypeError(f"must end in {', '.join(_PICTURES)}; got {text!r}.")
    try:
        _try_to_write(path)
    except OSError as error:
        raise ArgumentTypeError(f"must be a file that can be written; got {text!r}: {error.strerror}.") from None
    return path


def _try_to_write(path: Path) -> None:
    existed = path.exists()
    path.open("ab").close()
    if not existed:
        path.unlink()


def absent(*modules: str) -> list[str]:
    """Those of the modules that are not installed."""
    return [module for module in modules if find_spec(module) is None]
