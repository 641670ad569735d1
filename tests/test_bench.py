"""The bench: what it reads, what it writes, whom it leaves out. No test looks at a time."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from arrayopt_conformance.bench import check, choices, entrants, machine, once, peers, race, report, threads, timing
from arrayopt_conformance.bench.contenders import Entry, start
from arrayopt_conformance.bench.rules import RULES, Pass

import arrayopt
from arrayopt.cli import main

SHORT = ["bench", "--workload", "2x40,1x70k", "--rounds", "6", "--library", "numpy", "--part", "steps"]
PLAN = entrants.Plan(["numpy"], 1, rounds=2)


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def bench(*argv: str) -> Outcome:
    """Calls the program in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(argv))
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "COPIED", 1000)
    monkeypatch.setattr(once, "LARGE", 1000)
    monkeypatch.setattr(once, "RECORDED", 20)


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs take long to compile."""
    monkeypatch.setattr(peers, "entries", lambda rule: [])


def need(module: str) -> None:
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


# -- the program ----------------------------------------------------------------------------------------------


def test_it_times_prints_and_writes(tmp_path: Path) -> None:
    need("matplotlib")
    record, picture = tmp_path / "bench.json", tmp_path / "bench.svg"
    code, out, err = bench(*SHORT, "--rule", "adamw,sgd", "--json", str(record), "--plot", str(picture))
    assert (code, err) == (0, "")
    assert out.splitlines()[-2:] == [f"Results: {record}", f"Ratios: {picture}"]
    assert picture.stat().st_size > 1000
    for said in ("adamw, 2x40", "sgd, 1x70k", "NumPy eager", "NumPy tiles"):
        assert said in out
    _look_at(json.loads(record.read_text()))


def _look_at(record: dict[str, Any]) -> None:
    assert record["machine"]["versions"]["numpy"] == np.__version__
    assert record["machine"]["cores"] >= 1
    assert record["copy_bytes_per_second"] > 0
    found = [(race["rule"], race["workload"], race["elements"]) for race in record["races"]]
    assert found == [(rule, *size) for rule in ("adamw", "sgd") for size in (("2x40", 80), ("1x70k", 70_000))]
    for one in record["races"]:
        _look_at_rows(one)
    assert {one["name"] for one in record["checks"]} >= {"NumPy tiles", "NumPy eager"}


def _look_at_rows(one: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in one["rows"]}
    assert not rows.keys() & one["left_out"].keys()
    assert rows["NumPy tiles"]["explained"]["engine"] == "tiles"
    assert rows["NumPy eager"]["counted"] == rows["NumPy tiles"]["counted"] == 6
    arrays = {"adamw": 7, "sgd": 5}[one["rule"]]
    for row in rows.values():
        assert row["quartiles"][0] <= row["seconds"] <= row["quartiles"][1]
        assert row["bytes"] == arrays * 4 * one["elements"]
    for ratio in one["ratios"]:
        assert rows[ratio["ours"]]["kind"] == "ours"
        assert rows[ratio["other"]]["kind"] != "ours"
        assert ratio["paired"] > 0 < ratio["of_medians"]


def test_every_rule_runs_and_ours_compute_it(no_peers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrants, "ENGINES", {"numpy": ("tiles",)})  # compilers are tried in `test_it_times…`
    argv = ["bench", "--workload", "2x30", "--rounds", "1", "--library", "numpy", "--part", "steps"]
    code, out, err = bench(*argv, "--rule", ",".join(RULES))
    assert (code, err) == (0, "")
    for rule in RULES:
        assert f"{rule}, 2x30" in out


def test_sixteen_bits() -> None:
    need("ml_dtypes")
    argv = ["bench", "--workload", "2x30:bfloat16", "--rounds", "1", "--library", "numpy", "--part", "steps"]
    code, out, err = bench(*argv)
    assert (code, err) == (0, "")
    assert "adamw, 2x30:bfloat16" in out


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_libraries(library: str, no_peers: None) -> None:
    need(library)
    argv = ["bench", "--workload", "2x30", "--rounds", "1", "--library", library, "--part", "steps"]
    code, out, err = bench(*argv)
    assert (code, err) == (0, "")
    assert {"torch": "Torch eager", "jax": "JAX jit"}[library] in out


def test_a_wrong_step_is_said_aloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_peers: None) -> None:
    def still(tx: Any, engine: str | None = None) -> Any:
        return lambda params, grads, state: (params, state)

    monkeypatch.setattr(arrayopt, "fused_step", still)
    record = tmp_path / "bench.json"
    code, out, err = bench(*SHORT, "--json", str(record))
    assert code == 1
    assert "arrayopt bench: adamw, float32: NumPy tiles: differs from the reference by " in err
    assert "not here: NumPy tiles: differs from the reference by " in out
    assert record.exists()


def test_a_step_that_fails_is_said_aloud(monkeypatch: pytest.MonkeyPatch, no_peers: None) -> None:
    def broken(tx: Any, engine: str | None = None) -> Any:
        raise AssertionError("no\nsecond line")

    monkeypatch.setattr(arrayopt, "fused_step", broken)
    code, out, err = bench(*SHORT)
    assert code == 1
    assert "arrayopt bench: adamw, float32: NumPy tiles: AssertionError: no.\n" in err
    assert "NumPy eager" in out


def test_without_rich(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    report.show(report.Grid("title", ["", "number"], [["one", "1.5"], ["twelve", "12"]], ["a note"]))
    assert capsys.readouterr().out == "title\n          number\n  one        1.5\n  twelve      12\na note\n\n"


def test_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrants, "ENGINES", {"numpy": ("tiles",)})
    code, out, err = bench("bench", "--library", "numpy", "--part", "once", "--rule", "sgd")
    assert (code, err) == (0, "")
    assert "sgd: paid once" in out
    assert any(line.split()[:2] == ["NumPy", "tiles"] for line in out.splitlines())


def test_once_measures_in_fresh_processes() -> None:
    [entry] = [entry for entry in entrants.ours(["numpy"]) if entry.engine == "tiles"]
    found = once.measured(RULES["sgd"], entry)
    assert found.problem is None
    assert found.cold and found.warm and found.cold.keys() == {"first", "second"}
    assert (found.memory is not None) == sys.platform.startswith("linux")


def test_a_process_that_fails_is_a_problem_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    [entry] = [entry for entry in entrants.ours(["numpy"]) if entry.engine == "tiles"]
    monkeypatch.setattr(sys, "executable", "false")
    found = once.measured(RULES["sgd"], entry)
    assert (found.cold, found.warm, found.memory) == (None, None, None)
    assert found.problem and found.problem.startswith("first: no message; ")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot confine a process here")
def test_cores_are_given_back() -> None:
    before = os.sched_getaffinity(0)
    with machine.confined(1) as confined:
        assert confined == machine.cores() == 1
        assert threads.Team(3).size == 3
    assert os.sched_getaffinity(0) == before


# -- what cannot be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("--workload 10", "--workload: must be workloads such as 100x100k or 100x100k:bfloat16; got '10'."),
        ("--workload 1x10M,0x5", "; got '0x5'."),
        ("--workload 1x5:float16", "; got '1x5:float16'."),
        ("--rule adman", "--rule: must name rules out of adamw, "),
        ("--library cupy", "--library: must name array libraries out of numpy, torch, jax; got 'cupy'."),
        ("--part warm", "--part: must name parts out of steps, once; got 'warm'."),
        ("--rounds 0", "--rounds: must be a whole number of at least 1; got '0'."),
        ("--threads two", "--threads: must be a whole number of at least 1; got 'two'."),
        ("--json figures.txt", "--json: must end in .json; got 'figures.txt'."),
        ("--json /no/such/folder/a.json", "got '/no/such/folder/a.json': No such file or directory."),
        ("--plot ratios.gif", "--plot: must end in .png, .svg, .pdf; got 'ratios.gif'."),
    ],
)
def test_a_bad_argument_is_answered_in_one_line(argv: str, said: str) -> None:
    code, out, err = bench("bench", *argv.split())
    assert (code, out) == (2, "")
    assert err.startswith("arrayopt bench: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_library_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = bench("bench", "--library", "numpy,torch")
    assert code == 2
    assert err.endswith("torch lacks: pip install 'arrayopt[torch]'.\n")


@pytest.mark.parametrize(
    ("module", "argv", "said"),
    [
        ("matplotlib", "--plot ratios.png", "needs matplotlib; pip install 'arrayopt[cli]'."),
        ("ml_dtypes", "--workload 1x5:bfloat16", "needs ml_dtypes; pip install 'arrayopt[conformance]'."),
    ],
)
def test_an_extra_not_installed(monkeypatch: pytest.MonkeyPatch, module: str, argv: str, said: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, out, err = bench("bench", "--library", "numpy", *argv.split())
    assert (code, out, err) == (2, "", f"arrayopt bench: {said}\n")


def test_the_usual_workloads_do_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    assert {workload.dtype for workload in choices.workloads("all")} == {"float32"}


def test_peers_and_engines_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("numba", "torch", "optax"):
        monkeypatch.setitem(sys.modules, module, None)
    tried = {entry.name: trial.obstacle for entry, trial in entrants.trials(RULES["adamw"], "float32", PLAN)}
    assert tried["NumPy numba"] == tried["NumPy limit"] == "numba not installed"
    assert tried["torch.optim fused"] == "torch not installed"
    assert tried["Optax jit"] is not None and "optax not installed" in tried["Optax jit"]
    assert tried["NumPy eager"] is None


def test_a_workload_that_does_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 1000)
    result = race.race(RULES["adamw"], choices.Workload(1, 10_000), PLAN, [(_plain(), _good())], 1.0)
    assert result.rows == []
    assert result.left_out["all"].startswith("needs 0.0 GB of memory")


@pytest.mark.parametrize("asked", [False, True])
def test_plain_steps_on_large_workloads_are_asked_for(monkeypatch: pytest.MonkeyPatch, asked: bool) -> None:
    monkeypatch.setattr(race, "EAGER_ELEMENTS", 10)
    plan = entrants.Plan(["numpy"], 1, rounds=2, eager=asked)
    result = race.race(RULES["sgd"], choices.Workload(1, 11), plan, [(_plain(), _good())], 1.0)
    assert [row.name for row in result.rows] == ["NumPy eager"] * asked


def _plain() -> Entry:
    [entry] = [entry for entry in entrants.entries(RULES["sgd"], PLAN) if entry.name == "NumPy eager"]
    return entry


def _good() -> check.Trial:
    return check.Trial("NumPy eager", "eager", 0.0)


# -- parts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["1x50M", "100x100k:bfloat16", "7x1001", "3x1500k"])
def test_a_workload_is_called_as_it_was_asked_for(name: str) -> None:
    [workload] = choices.workloads(name)
    assert workload.name == name
    assert sum(map(np.prod, workload.shapes(matrices=True))) == workload.elements


@pytest.mark.parametrize(("size", "shape"), [(100_000, (250, 400)), (7, (1, 7)), (1, (1, 1))])
def test_matrices_are_nearly_square(size: int, shape: tuple[int, int]) -> None:
    assert choices.square(size) == shape


class Idle:
    """A contender that notes its turns."""

    def __init__(self, name: str, turns: list[str]) -> None:
        self.name, self.turns = name, turns

    def prepare(self) -> None:
        pass

    def step(self) -> None:
        self.turns.append(self.name)

    def result(self) -> None:
        return None

    def explained(self) -> dict[str, Any]:
        return {}


def idle(name: str, turns: list[str], kind: str, rounds: int) -> timing.Runner:
    def make(given: Any) -> Idle:
        return Idle(name, turns)

    entry = Entry(name, kind, "numpy", make)
    return timing.Runner(entry, make(None), timing.stride(entry, rounds))


@pytest.mark.parametrize(("rounds", "counted"), [(4, 4), (6, 6), (15, 5), (21, 7), (101, 34)])
def test_everyone_has_a_turn_and_the_slow_have_fewer(rounds: int, counted: int) -> None:
    turns: list[str] = []
    runners = [idle(name, turns, kind, rounds) for name, kind in (("a", "ours"), ("b", "peer"), ("c", "eager"))]
    timing.race(runners, rounds)
    assert [len(runner.seconds) for runner in runners] == [rounds, rounds, counted]
    assert turns.count("a") == rounds + timing.WARM_UP
    firsts = {tuple(turns[i : i + 2]) for i in range(len(turns) - 1)}
    assert {("a", "b"), ("b", "a")} <= firsts  # nobody always follows the same one


def test_ratios_are_of_the_same_rounds() -> None:
    one, other = idle("a", [], "ours", 4), idle("b", [], "eager", 4)
    one.seconds = {0: 1.0, 1: 100.0, 2: 3.0, 3: 100.0}
    other.seconds = {0: 2.0, 2: 2.0}
    assert timing.ratio(one, other) == (1.0, 1.0)
    assert timing.summary(other) == (2.0, 2.0, 2.0, 2)


@pytest.mark.parametrize("threads_", [1, 3])
def test_a_team_works_together(threads_: int) -> None:
    team = threads.Team(threads_)
    for _ in range(100):
        seen: list[int] = []
        team.run(seen.append)
        assert sorted(seen) == list(range(threads_))


@pytest.mark.parametrize("name", RULES)
def test_every_pass_reads_what_it_writes(name: str) -> None:
    rule = RULES[name]
    for shape in ((1000, 1000), (10, 10)):
        for one in rule.passes(shape):
            assert set(one.writes) < set(one.reads)
        assert "p" in "".join(one.writes for one in rule.passes(shape))


def test_the_limit_visits_every_element_once() -> None:
    need("numba")
    from arrayopt_conformance.bench import limit

    given = start(RULES["adamw"], [(70_000,), (3,), (65_536,)], "float32")
    mover = limit.Limit(given, "numpy", threads.team(2))
    mover.step()
    for p, g, moved in zip(given.params, given.turns[0], mover.arrays["p"], strict=True):
        assert (moved.view(np.uint32) == p.view(np.uint32) + g.view(np.uint32)).all()
    for g, moved in zip(given.turns[0], mover.arrays["m"], strict=True):
        assert (moved.view(np.uint32) == g.view(np.uint32)).all()


@pytest.mark.parametrize(
    ("one", "narrow"), [(Pass("g", ""), 4), (Pass("pg", ""), 2), (Pass("pgv", "v"), 4), (Pass("pgabv", "pabv"), 2)]
)
def test_kernels_compile(one: Pass, narrow: int) -> None:
    need("numba")
    from arrayopt_conformance.bench import kernels

    sizes = tuple(narrow if letter in "pg" else 4 for letter in one.reads)
    arrays = [np.ones(9, f"uint{8 * size}") for size in sizes]
    table = np.asarray([[x.ctypes.data] for x in arrays], np.int64)
    counter, sums = np.zeros(1, np.int64), np.zeros(2, np.int64)
    tasks = np.asarray([[0, 0, 5], [0, 5, 3]], np.int64)
    kernels.kernel(one, sizes)(counter.ctypes.data, tasks, table, sums)
    only_read = len(set(one.reads) - set(one.writes))
    assert sums.tolist() == ([0, 0] if one.writes else [5 * only_read, 3 * only_read])
    for letter, x in zip(one.reads, arrays, strict=True):
        assert x.tolist() == ([1 + only_read] * 8 + [1] if letter in one.writes else [1] * 9)
