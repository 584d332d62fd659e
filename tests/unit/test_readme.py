"""The README's five minutes run as they are written, but with smaller budgets."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import inrcodec

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOT_REACHED = 5


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """For a process beside the samples that finds the package that is tested here."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    package = str(Path(inrcodec.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}


def test_the_commands_run(tmp_path: Path, environment: dict[str, str]) -> None:
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("inrcodec ")]
    assert {command[0] for command in commands} == {"encode", "decode", "info", "eval"}
    for command in commands:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "inrcodec",
                *" ".join(command).replace("--time", "--iters").split(),
            ],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        allowed = (0, NOT_REACHED) if command[0] == "encode" else (0,)
        assert done.returncode in allowed, done.stderr
    assert inrcodec.read(tmp_path / "head.png").spec.grid == (120, 160)
    assert inrcodec.read(tmp_path / "large.png").spec.grid == (480, 640)
    assert inrcodec.read(tmp_path / "speech.wav").spec.sample_rate == 48000


def test_the_python_lines_run(tmp_path: Path, environment: dict[str, str]) -> None:
    (snippet,) = _blocks("python")
    quick, n_budgets = re.subn(r"seconds=\d+", "iterations=20", snippet)
    assert n_budgets == 1
    checks = """
assert signal.samples.shape == (512, 768, 3) and signal.samples.dtype == np.uint8
assert corner.shape == (64, 64, 3)
assert twice.spec.grid == (1024, 1536)
assert values.shape == (1, 3)
assert inrcodec.decode(data).spec.sample_rate == 8000
"""
    subprocess.run(
        [sys.executable, "-c", quick + checks], cwd=tmp_path, env=environment, check=True
    )
