"""The rows of `run_rd.py`, and what each is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rows import CsvRow


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement. Times are wall seconds; None: the measure does not apply."""

    file: str
    model: str
    target: str
    n_bytes: int
    bpp: float | None
    kbps: float | None
    psnr_db: float
    snr_db: float | None
    encode_s: float
    decode_s: float
    iterations: int
    budget_s: float
    threads: int
    reached: bool
    commit: str
    machine: str
    date: str
    command: str


@dataclass(frozen=True, kw_only=True)
class LambdaRow(Row):
    """A measurement at a lambda; `crop`: rows and columns of the middle, 0 for the whole."""

    crop: int
    budget_iterations: int
    j: float
    network_bytes: int
    latent_bytes: int
    macs_per_point: float


@dataclass(frozen=True, kw_only=True)
class SoundRow(Row):
    """A measurement of a sound; ESTOI and wide-band PESQ of speech alone."""

    seconds: float
    si_sdr_db: float
    estoi: float | None
    pesq_wb: float | None


@dataclass(frozen=True, kw_only=True)
class CutRow(SoundRow):
    """A measurement of a sound whose fit has a number of iterations."""

    budget_iterations: int


@dataclass(frozen=True, kw_only=True)
class SpectralRow(SoundRow):
    """A measurement of a sound and of its spectrum: SNR in a band, log spectral distance."""

    band_snr_db: float
    lsd_db: float


class Job(NamedTuple):
    """What a row is of. The budget of a baseline is 0, as is what is not limited."""

    file: str
    model: str
    target: str
    budget_s: float
    budget_iterations: int = 0
    crop: int = 0


def job_of(row: CsvRow) -> Job:
    """What a row that exists is of."""
    budgets = float(row["budget_s"]), int(row.get("budget_iterations") or 0)
    return Job(row["file"], row["model"], row["target"], *budgets, int(row.get("crop") or 0))
