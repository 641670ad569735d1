"""What is paid once: the first step, recording, memory; and what Python costs at each step."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from arrayopt_conformance.bench.contenders import Entry, Ours, fused, start
from arrayopt_conformance.bench.rules import Rule

LARGE = 50_000_000  # elements of the leaf whose step is watched for memory
RECORDED, TINY = 1000, 300  # leaves


@dataclass(frozen=True)
class Once:
    """Of one rule and engine; seconds, and None where nothing was measured.

    Attributes:
      cold: of a fresh process with an empty cache: ``import_numba``, ``start_numba``, ``first``, ``second``.
      warm: the same of the next process, which finds the cache filled.
      recording: how much longer a first step takes than a second, its kernels being compiled; a thousand leaves.
      overhead: of a step of 300 leaves of one element.
      memory: bytes that a step of one large leaf needs beyond its arrays.
      elements: of that leaf.
      problem: why something was not measured, or None.
    """

    rule: str
    name: str
    cold: dict[str, float] | None
    warm: dict[str, float] | None
    recording: float
    overhead: float
    memory: int | None
    elements: int
    problem: str | None = None


def measured(rule: Rule, entry: Entry) -> Once:
    """All of it for one of ours."""
    assert entry.engine is not None
    problems: list[str] = []
    cold, warm = _first_steps(rule, entry, problems)
    memory = _memory(rule, entry, problems)
    recording = _recording(rule, entry, repeats=1 if entry.library == "jax" else 3)
    overhead = _overhead(rule, entry)
    problem = "; ".join(problems) or None
    return Once(rule.name, entry.name, cold, warm, recording, overhead, memory, LARGE, problem)


# -- in fresh processes --------------------------------------------------------------------------------------------


def _first_steps(rule: Rule, entry: Entry, problems: list[str]) -> tuple[dict[str, float] | None, ...]:
    """Of two processes, one after the other, that share a cache which is empty at first."""
    with tempfile.TemporaryDirectory() as folder:
        return tuple(_child("first", rule, entry, 3 * [1000], problems, folder) for _ in range(2))


def _memory(rule: Rule, entry: Entry, problems: list[str]) -> int | None:
    if entry.library == "jax" or not sys.platform.startswith("linux"):
        return None
    found = _child("memory", rule, entry, [LARGE], problems)
    return None if found is None else int(found["bytes"])


def _child(
    job: str, rule: Rule, entry: Entry, sizes: list[int], problems: list[str], cache: str | None = None
) -> dict[str, float] | None:
    """What a fresh process measures."""
    order = {"job": job, "rule": rule.name, "library": entry.library, "engine": entry.engine, "sizes": sizes}
    command = [sys.executable, "-m", "arrayopt_conformance.bench.child", json.dumps(order)]
    done = subprocess.run(command, env=_environment(cache), capture_output=True, text=True, check=False)
    if done.returncode:
        problems.append(f"{job}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _environment(cache: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return kept | ({} if cache is None else {"ARRAYOPT_CACHE_DIR": cache})


# -- in this process -----------------------------------------------------------------------------------------------


def _recording(rule: Rule, entry: Entry, repeats: int) -> float:
    """Each time with a new fused_step, of which the first, left out, compiles."""
    warm = entry.library != "jax"  # a new step is compiled anew by JAX, whatever came before
    found = [_first_less_second(rule, entry) for _ in range(repeats + warm)]
    return statistics.median(found[warm:])


def _first_less_second(rule: Rule, entry: Entry) -> float:
    first, second = _steps(rule, entry, [(10,)] * RECORDED, 2)
    return first - second


def _overhead(rule: Rule, entry: Entry) -> float:
    return statistics.median(_steps(rule, entry, [(1,)] * TINY, 103)[3:])


def _steps(rule: Rule, entry: Entry, shapes: list[tuple[int, ...]], steps: int) -> list[float]:
    assert entry.engine is not None
    contender = Ours(start(rule, shapes, "float32"), entry.library, fused(entry.engine))
    return [timed(contender) for _ in range(steps)]


def timed(contender: Any) -> float:
    """Seconds of a step."""
    contender.prepare()
    begin = time.perf_counter()
    contender.step()
    return time.perf_counter() - begin
