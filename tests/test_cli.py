"""The command line program as a user meets it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

import pytest

import arrayopt
from arrayopt.cli import main
from arrayopt.demo import libraries

SHORT = ["demo", "--steps", "3", "--batch-size", "32"]


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Program = Callable[..., Outcome]


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    """Calls the program in this process."""

    def call(*argv: str) -> Outcome:
        try:
            code = main(list(argv))
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return call


def python(code: str) -> list[str]:
    """The lines that a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


# -- demo ---------------------------------------------------------------------------------------------------


def test_demo_shows_five_optimizers_on_numpy(program: Program) -> None:
    code, out, err = program(*SHORT)
    assert code == 0
    rows = [line.split()[:2] for line in out.splitlines() if "numpy" in line]
    assert rows == [[name, "numpy"] for name in ("adam", "adabelief", "adopt", "ademamix", "adafactor")]
    assert "Largest difference" not in out
    assert err == ""  # no bar where nobody watches


@pytest.mark.parametrize("chosen", libraries.announced())
def test_demo_runs_on_each_library(program: Program, chosen: str) -> None:
    if libraries.obstacle(chosen):
        pytest.skip(f"{chosen} lacks {libraries.obstacle(chosen)}")
    code, out, err = program(*SHORT, "--backend", f"numpy,{chosen}", "--optimizer", "adopt,sgd,adamw")
    assert (code, err) == (0, "")
    for name in ("adopt", "sgd", "adamw"):
        assert [line.split()[1] for line in out.splitlines() if line.split()[:1] == [name]][:1] == ["numpy"]
    assert ("Largest difference" in out) == (chosen != "numpy")


def test_demo_on_all_libraries_shows_all_that_work(program: Program) -> None:
    code, out, _ = program(*SHORT, "--backend", "all", "--optimizer", "adam")
    assert code == 0
    results = out.partition("Largest difference")[0]
    rows = [line.split()[1] for line in results.splitlines() if line.split()[:1] == ["adam"]]
    assert rows == libraries.working()


@pytest.mark.parametrize("ending", [".png", ".svg", ".PDF"])
def test_demo_draws(program: Program, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"loss{ending}"
    code, out, _ = program(*SHORT, "--plot", str(path))
    assert code == 0
    assert out.splitlines()[-1] == f"Loss curves: {path}"
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("rate", ["1e9", "1e38"])
def test_demo_survives_divergence(program: Program, tmp_path: Path, rate: str) -> None:
    path = tmp_path / "loss.png"
    argv = ["--steps", "30", "--optimizer", "sgd,adam", "--backend", "all", "--learning-rate", rate]
    code, out, err = program("demo", *argv, "--plot", str(path))
    assert (code, err) == (0, "")
    assert ("nan" in out) == (rate == "1e38")
    assert path.exists()


def test_demo_repeats_itself_and_the_seed_matters(program: Program) -> None:
    def losses(seed: str) -> list[str]:
        out = program(*SHORT, "--seed", seed).out
        return [line.split()[2] for line in out.splitlines() if "numpy" in line]

    assert losses("1") == losses("1") != losses("2")


# -- what cannot be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("--backend foo", "--backend: must name array libraries out of numpy, "),
        ("--backend numpy,,torch", "; got ''."),
        ("--optimizer adman", "--optimizer: must name optimizers out of adabelief, "),
        ("--optimizer scale_by_adam", "; got 'scale_by_adam'."),
        ("--steps 0", "--steps: must be a whole number of at least 1; got '0'."),
        ("--steps 1e3", "--steps: must be a whole number of at least 1; got '1e3'."),
        ("--batch-size 1441", "--batch-size: must be a whole number from 1 to 1440; got '1441'."),
        ("--seed -1", "--seed: must be a whole number of at least 0; got '-1'."),
        ("--seed one", "--seed: must be a whole number of at least 0; got 'one'."),
        ("--learning-rate 0", "--learning-rate: must be a positive number; got '0'."),
        ("--learning-rate nan", "--learning-rate: must be a positive number; got 'nan'."),
        ("--plot loss.gif", "--plot: must end in .png, .svg, .pdf; got 'loss.gif'."),
        ("--plot /no/such/folder/loss.png", "got '/no/such/folder/loss.png': No such file or directory."),
        ("--speed 3", "unrecognized arguments: --speed 3"),
    ],
)
def test_a_bad_argument_is_answered_in_one_line(program: Program, argv: str, said: str) -> None:
    code, out, err = program("demo", *argv.split())
    assert (code, out) == (2, "")
    assert err.startswith("arrayopt")
    assert said in err
    assert err.count("\n") == 1


def test_an_unknown_command_is_answered_in_one_line(program: Program) -> None:
    code, _, err = program("train")
    assert code == 2
    assert "'train'" in err
    assert err.count("\n") == 1


def test_a_folder_is_no_plot(program: Program, tmp_path: Path) -> None:
    (tmp_path / "loss.png").mkdir()
    code, _, err = program("demo", "--plot", str(tmp_path / "loss.png"))
    assert code == 2
    assert "must be a file that can be written" in err


def test_the_path_is_tried_and_nothing_is_left_behind(program: Program, tmp_path: Path) -> None:
    program("demo", "--plot", str(tmp_path / "loss.png"), "--steps", "0")
    assert list(tmp_path.iterdir()) == []


def test_a_plot_that_exists_is_not_emptied_before_training(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "loss.png"
    path.write_text("kept")
    program("demo", "--plot", str(path), "--steps", "0")
    assert path.read_text() == "kept"


def test_a_library_not_installed(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = program("demo", "--backend", "numpy,torch")
    assert code == 2
    assert err.endswith("torch lacks: pip install 'arrayopt[torch]'.\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("module", ["rich", "sklearn", "matplotlib"])
def test_an_extra_not_installed(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, out, err = program(*SHORT, "--plot", str(tmp_path / "loss.png"))
    assert (code, out) == (2, "")
    assert err == f"arrayopt demo: needs {module}; pip install 'arrayopt[cli]'.\n"


# -- backends -----------------------------------------------------------------------------------------------


def test_backends_lists_every_library(program: Program) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy's about a missing toolkit
        code, out, _ = program("backends")
    assert code == 0
    first, *rest = out.splitlines()[1:]
    assert first.split()[0] == "numpy"
    assert "float32 float64" in first
    assert {line.split()[0] for line in rest} >= {"cupy", "jax", "torch"}
    for line in rest:
        assert "float32" in line or "missing: " in line


def test_backends_survives_what_is_broken_or_absent(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "numpy": EntryPoint("numpy", "arrayopt_numpy:backend", "arrayopt.backends"),
        "gone": EntryPoint("gone", "no_such_module:backend", "arrayopt.backends"),
    }
    monkeypatch.setattr(libraries, "announced", lambda: points)
    code, out, _ = program("backends")
    assert code == 0
    assert out.splitlines()[2].startswith("gone     missing: a working installation (ModuleNotFoundError: ")


# -- the program ----------------------------------------------------------------------------------------------


def test_version(program: Program) -> None:
    assert program("--version") == (0, f"arrayopt {arrayopt.__version__}\n", "")


def test_without_a_command_it_explains_itself(program: Program) -> None:
    code, out, _ = program()
    assert code == 0
    assert "demo" in out
    assert "backends" in out


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "arrayopt", "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"arrayopt {arrayopt.__version__}\n"


HEAVY = ("torch", "jax", "cupy", "rich", "matplotlib", "sklearn")


def test_the_program_imports_nothing_heavy() -> None:
    assert python(f"import arrayopt.cli, sys; print([m for m in {HEAVY} if m in sys.modules])") == ["[]"]


def test_numpy_alone_suffices() -> None:
    code = f"""
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name in ("torch", "jax", "cupy"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent)
from arrayopt.cli import main
assert main({SHORT}) == 0
"""
    assert any("adafactor" in line for line in python(code))


def test_only_the_libraries_chosen_are_imported() -> None:
    code = f"""
import sys
from arrayopt.cli import main
main({SHORT})
print([m for m in ("torch", "jax", "cupy") if m in sys.modules])
"""
    assert python(code)[-1] == "[]"
