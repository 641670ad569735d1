"""What is measured in a process of its own: ``python -m arrayopt_conformance.bench.child ORDER``."""

from __future__ import annotations

import importlib
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arrayopt_conformance.bench.choices import square
from arrayopt_conformance.bench.contenders import Ours, fused, start
from arrayopt_conformance.bench.once import timed
from arrayopt_conformance.bench.rules import RULES


def main(argv: list[str]) -> None:
    """Prints what was measured as a line of JSON."""
    order: dict[str, Any] = json.loads(argv[0])
    jobs: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {"first": _first, "memory": _memory}
    print(json.dumps(jobs[order["job"]](order)))


def _contender(order: dict[str, Any]) -> Ours:
    rule = RULES[order["rule"]]
    shapes = [square(size) if rule.unfactored else (size,) for size in order["sizes"]]
    return Ours(start(rule, shapes, "float32"), order["library"], fused(order["engine"]))


def _first(order: dict[str, Any]) -> dict[str, float]:
    """The first step and the second; before them, what Numba does once whatever is compiled."""
    contender = _contender(order)
    found = _numba() if order["engine"] == "numba" else {}
    return found | {"first": timed(contender), "second": timed(contender)}


def _numba() -> dict[str, float]:
    before = time.perf_counter()
    importlib.import_module("numba")
    imported = time.perf_counter()
    target: Any = importlib.import_module("numba.core.registry").cpu_target
    target.typing_context.refresh()
    target.target_context.refresh()
    return {"import_numba": imported - before, "start_numba": time.perf_counter() - imported}


def _memory(order: dict[str, Any]) -> dict[str, float]:
    """How far the resident set of the process rises above its level during three steps, all arrays being touched."""
    contender = _contender(order)
    for _ in range(2):
        timed(contender)
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to the present level
    level = _resident("VmRSS")
    for _ in range(3):
        timed(contender)
    return {"bytes": max(0, _resident("VmHWM") - level)}


def _resident(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
