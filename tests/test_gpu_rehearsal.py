"""The script for a day with a GPU, rehearsed on what stands for one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize(
    ("part", "match"),
    [
        ("odd", "held by the rule"),
        ("odd", "None as a gradient"),
        ("waiting", "are None"),
        ("speed", "float32 momentum, 1000 x 1k"),
        ("speed", "without some gradients"),
    ],
)
def test_a_part_is_rehearsed(part: str, match: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "arrayopt_conformance.gpu", "--rehearse", "--minutes", "2"]
    options = ["--only", part, "--match", match, "--json", str(tmp_path / "found.json")]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    asked = [entry for name, entry in found["cases"].items() if match in name]
    assert found["failed"] == [] and asked and all([entry["ok"] and entry["part"] == part for entry in asked])
