"""One part, case by case, until the time is up."""

from __future__ import annotations

import importlib.util
import json
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arrayopt_conformance.gpu import odd, right, speed, waiting
from arrayopt_conformance.gpu.places import Place, machine, places

CASES: dict[str, Callable[[list[Place]], right.Cases]] = {
    "right": right.cases,
    "odd": odd.cases,
    "waiting": waiting.cases,
    "speed": speed.cases,
    "rest": right.cases,
}
LOST = 3
"""What a process exits with when the device answers nothing any more: the part goes on in another one."""


def run_part(name: str, report: Path, end: float, match: str, rehearse: bool) -> int:
    """Runs the cases of a part that no process has begun yet; what to exit with."""
    if rehearse:
        _stand_in()
    found, lines = places(rehearse), report.with_suffix(".lines")
    begun = {json.loads(line)["case"] for line in lines.read_text().splitlines()}
    with lines.open("a") as file:
        if "machine" not in begun:
            what = {**machine(), "places": list(map(str, found))}
            _note(file, {"case": "machine", "ok": bool(found), "result": what, "error": "no GPU is found"})
        for case, act in CASES[name](found):
            if time.monotonic() > end:
                return 0
            if case not in begun and match in case and not _try(file, name, case, act, found):
                return LOST
    return 0


def _try(file: Any, part: str, case: str, act: Callable[[], Any], found: list[Place]) -> bool:
    """Runs a case and notes what came of it; whether the device still answers."""
    _note(file, {"case": case, "part": part})
    start, alive = time.monotonic(), True
    result: dict[str, Any] = {"ok": False}
    try:
        result = {"ok": True, "result": act()}
    except Exception:
        result["error"] = traceback.format_exc()[-4000:]
        alive = _answers(found)
    _note(file, {"case": case, "part": part, "seconds": round(time.monotonic() - start, 3), **result})
    return alive


def _answers(found: list[Place]) -> bool:
    try:
        for place in found:
            place.wait()
    except Exception:
        return False
    return True


def _note(file: Any, entry: dict[str, Any]) -> None:
    file.write(json.dumps(entry, default=str) + "\n")
    file.flush()


def _stand_in() -> None:
    """Has NumPy and Torch served by what stands for a GPU in the tests of a checkout."""
    path = Path(os.environ.get("ARRAYOPT_TESTS", "tests")) / "cuda_on_host.py"
    spec = importlib.util.spec_from_file_location("cuda_on_host", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("numpy", "torch"):
        module.serve(name)
