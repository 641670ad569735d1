"""``python -m arrayopt_conformance.fuzz``: plays cases for some minutes, in processes that may crash."""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import re
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from hypothesis import HealthCheck, Phase, given, seed, settings

from arrayopt_conformance.fuzz.cases import Case, by_repr, cases
from arrayopt_conformance.fuzz.moves import moves_of
from arrayopt_conformance.fuzz.play import play
from arrayopt_conformance.fuzz.shrink import smaller

BATCH = 150  # cases a process plays
PATIENCE = 120  # seconds a case may take


def main(argv: list[str] | None = None) -> int:
    """Runs the fuzzer.

    Returns:
      0 if nothing was found.
    """
    told = _parser().parse_args(argv)
    if told.case is not None:
        return _one(by_repr(told.case))
    if told.journal is not None:
        return _batch(told)
    return _many(told)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("arrayopt_conformance.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--library", action="append", choices=["numpy", "torch", "jax"])
    parser.add_argument("--engine", action="append", help="numba, tiles, jit, eager or default")
    parser.add_argument("--rule", action="append")
    parser.add_argument("--move", action="append", help="moves to draw from, beside plain steps")
    parser.add_argument("--case", help="the repr of one case: it alone is played")
    parser.add_argument("--cases", type=int, default=BATCH, help="how many a process plays")
    parser.add_argument("--found", type=Path, help="a file to which what was found is added, one JSON object a line")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--journal", type=Path, help=argparse.SUPPRESS)
    return parser


def _one(case: Case) -> int:
    faulthandler.enable()
    try:
        print(f"{play(case).steps} steps, nothing wrong")
    except Exception:
        traceback.print_exc()
        return 1
    return 0


# -- in a process of its own -----------------------------------------------------------------------------------------


def _batch(told: Any) -> int:
    """Plays the cases of one seed, and writes down each before it is played and what came of it."""
    faulthandler.enable()
    gc.collect()
    gc.freeze()  # what libraries brought with them stays, and is much
    with told.journal.open("w", buffering=1) as journal:

        def one(case: Case) -> None:
            print(json.dumps({"case": repr(case)}), file=journal)
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            print(json.dumps(outcome(case)), file=journal)
            faulthandler.cancel_dump_traceback_later()

        slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
        once = settings(
            max_examples=told.cases, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=slow
        )
        decorate: list[Any] = [given(_strategy(told)), once, seed(told.seed)]
        run: Any = one
        for wrap in decorate:
            run = wrap(run)
        run()
    return 0


def _strategy(told: Any) -> Any:
    engines = None if told.engine is None else [None if e == "default" else e for e in told.engine]
    libraries = told.library or ["numpy", "torch", "jax"]
    return cases(libraries, lambda library: _moves(told, library), engines=engines, rules=told.rule)


def _moves(told: Any, library: str) -> list[str]:
    known = moves_of(library)
    return known if told.move is None else [name for name in known if name in told.move] or ["plain"]


def outcome(case: Case) -> dict[str, Any]:
    """What came of a case: how many steps, or what was wrong."""
    try:
        return play(case)._asdict()
    except Exception as error:
        trace = "".join(traceback.format_exception(error.__cause__ or error)[-4:])
        return {"wrong": f"{type(error).__name__}: {error}", "trace": trace}


# -- in the process that watches -------------------------------------------------------------------------------------


def _many(told: Any) -> int:
    """Runs batches until the time is over; prints what is new."""
    end, number = time.monotonic() + 60 * told.minutes, told.seed
    counts: Counter[str] = Counter()
    known: Counter[str] = Counter()
    while time.monotonic() < end:
        for text, came in _run(told, number, end):
            counts.update(cases=1, steps=came.get("steps", 0), worked=came.get("worked", 0))
            if "wrong" in came:
                case = by_repr(text)
                name = signature(came["wrong"], case)
                known[name] += 1
                if known[name] == 1:
                    _tell(told, number, case, came, name)
        number += 1
        found = f"{len(known)} kinds of faults in {sum(known.values())} cases"
        steps = f"{counts['steps']} steps, {counts['worked']} of them without an error"
        print(f"seed {number}: {counts['cases']} cases, {steps}, {found}", flush=True)
    for name, many in known.most_common():
        print(f"{many:6} × {name}")
    return int(bool(known))


def _run(told: Any, number: int, end: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """The cases of a batch with what came of each; a crash is something that may come of it."""
    with TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        command = [*_command(), *_passed_on(told), "--seed", str(number), "--journal", str(journal)]
        done = _finished(command, end - time.monotonic())
        lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    played, outcomes = [line["case"] for line in lines[::2]], lines[1::2]
    if len(played) > len(outcomes) and done is not None:
        wrong = f"crash: exit {done.returncode}: {_where(done.stderr)}"
        outcomes.append({"wrong": wrong, "trace": done.stderr[:3000]})
    elif done is not None and done.returncode:
        print(f"the process of seed {number} failed: {done.stderr[-2000:]}", flush=True)
    yield from zip(played, outcomes, strict=False)


def _command() -> list[str]:
    return [sys.executable, "-X", "faulthandler", "-m", "arrayopt_conformance.fuzz"]


def _passed_on(told: Any) -> list[str]:
    words = ["--cases", str(told.cases)]
    for name in ("library", "engine", "rule", "move"):
        for value in cast("list[str]", getattr(told, name) or []):
            words += [f"--{name}", value]
    return words


def _finished(command: list[str], patience: float) -> subprocess.CompletedProcess[str] | None:
    """A process that has ended; None if the time was over before."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=max(patience, 20))
    except subprocess.TimeoutExpired:
        return None


def _where(report: str) -> str:
    """The innermost line of the project in a report of faulthandler."""
    found = re.findall(r'File ".*?((?:arrayopt|torch|numpy|jax)[^"]*)", line (\d+) in (\S+)', report)
    return " ".join(found[0]) if found else report.strip().split("\n")[-1][:200]


_BY_PLACE = ("value", "half a step", "gradient written", "memory", "not in place", "structure", "kind", "shape")


def signature(wrong: str, case: Case) -> str:
    """What faults of one kind have in common: the message without numbers and places, or the rule and the move."""
    begins = re.match(r"Wrong: step \d+, (\w+): ", wrong)
    place = f"{case.library} {case.rule}, {begins.group(1) if begins else ''}"
    text = wrong[begins.end() :] if begins else wrong
    for kind in _BY_PLACE:
        if text.startswith(kind + ": "):
            return f"{kind}: {place}"
    text = re.sub(r"(\[[^\]]*\]|\.\w+)+", "…", text)
    return re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "n", text)[:200]


def _tell(told: Any, number: int, case: Case, came: dict[str, Any], name: str) -> None:
    small = case if told.no_shrink else smaller(case, lambda c: _fails(c) == name)
    print(f"\n{came['wrong']}\n  {small!r}\n  seed {number}\n{came['trace']}", flush=True)
    if told.found is not None:
        with told.found.open("a") as file:
            print(json.dumps({"name": name, "case": repr(small), **came}), file=file)


def _fails(case: Case) -> str | None:
    """The signature of what is wrong with a case, found in a process of its own."""
    home = "arrayopt_conformance.fuzz.__main__"
    script = f"from {home} import by_repr, outcome\nprint(outcome(by_repr({repr(case)!r})))"
    done = _finished([sys.executable, "-X", "faulthandler", "-c", script], PATIENCE)
    if done is None:
        return None
    if done.returncode:
        return signature(f"crash: exit {done.returncode}: {_where(done.stderr)}", case)
    found: dict[str, Any] = eval(done.stdout.strip().splitlines()[-1])
    return signature(found["wrong"], case) if "wrong" in found else None


if __name__ == "__main__":
    sys.exit(main())
