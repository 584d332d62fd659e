"""Rows of measurements in CSV files, and what each says of where it comes from.

A row is a dataclass; its fields are the columns. A row is written as soon as it is measured, so
that a long run can be broken off and taken up again.
"""

from __future__ import annotations

import csv
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from inrcodec import kernels

SOURCES = ("inrcodec", "cuda_ext", "scripts")

CsvRow = dict[str, str]


class Origin(NamedTuple):
    """Where rows come from, found when the run begins."""

    commit: str
    machine: str
    command: str

    @staticmethod
    def here(names: Mapping[Path | None, str]) -> Origin:
        """The commit, marked if its code was changed, the machine, and the command.

        `names`: what stands for the paths of this machine in the command.
        """
        short = {str(path): name for path, name in names.items()}
        script = f"scripts/{Path(sys.argv[0]).name}"
        words = [short.get(word, word) for word in sys.argv[1:]]
        return Origin(commit(), machine(), shlex.join([script, *words]))


def commit() -> str:
    """The commit of this checkout, marked if its code was changed since."""
    dirty = "-dirty" if git("status", "--porcelain", "--", *SOURCES) else ""
    return git("rev-parse", "--short", "HEAD") + dirty


def git(*words: str) -> str:
    """What git says of this checkout; nothing where there is none."""
    line = ["git", "-C", str(Path(__file__).resolve().parents[1]), *words]
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """The processor and the number of cores; the GPU, where fits use one."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), cpu)
    return f"{cpu}, {os.cpu_count()} cores{gpu()}"


def gpu() -> str:
    """The name of the GPU that fits use; nothing where they use none."""
    if kernels.device() == "cpu":
        return ""
    import torch

    return f", {torch.cuda.get_device_name()}"


def now() -> str:
    """The time, to the second, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def use_threads(n_threads: int | None) -> int:
    """Let fits and kernels use so many threads; None: as they are by default. Gives the number."""
    if n_threads is not None:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when torch is loaded
        import torch

        torch.set_num_threads(n_threads)
        kernels.set_threads(n_threads)
    return kernels.threads()


def read_rows(path: Path) -> list[CsvRow]:
    """The rows of a CSV; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, row: Any) -> None:
    """Add a dataclass as a row, and the head before the first."""
    values = asdict(row)
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(values))
        if new:
            writer.writeheader()
        writer.writerow(values)
