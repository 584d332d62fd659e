"""What `encode` does with each input: read, fit, write, tell."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inrcodec import files
from inrcodec.cli._interrupt import EXIT_INTERRUPTED, ending_fit
from inrcodec.cli._parse import FrameSpan, Span
from inrcodec.cli._progress import watching
from inrcodec.cli._report import Report, first_failure, first_failure_of_many, say
from inrcodec.errors import ConfigError

if TYPE_CHECKING:
    from inrcodec.film import FilmResult
    from inrcodec.media import FilmSource
    from inrcodec.rate import EncodeResult
    from inrcodec.representations.base import Watch
    from inrcodec.request import EncodeRequest
    from inrcodec.signal import Signal

__all__ = ["Task", "encode_files"]

EXIT_NOT_REACHED = 5
_LEAST_SECONDS = 0.1
_JOBS_ON_GPU = 4
_MOST_JOBS = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What to do with each input. The part to encode: `seconds` of a sound, `frames` of a film.

    `rate`: frames per second of a film that is a sequence of images. `variable`, `channels_last`:
    which array of a file, and how it is seen. `jobs`: how many inputs to fit at a time.
    """

    request: EncodeRequest
    seconds: Span | None
    frames: FrameSpan | None
    rate: Fraction | None
    variable: str | None
    channels_last: bool
    jobs: int | None
    force: bool
    report: Report


@dataclass(frozen=True, slots=True)
class _Job:
    """`folder`: to be made before the output is written."""

    source: str
    output: str
    folder: Path | None
    n_left: int


def encode_files(sources: Sequence[str], output: str, task: Task, *, started: float) -> int:
    """Encode each source, some side by side; give the exit code of the first that failed.

    `started`: time.monotonic() when the command began; its seconds are shared among the sources.
    Outputs that cannot be written are refused before any work.
    """
    if task.jobs is not None and not 1 <= task.jobs <= _MOST_JOBS:
        raise ConfigError(f"jobs {task.jobs} is not in [1, {_MOST_JOBS}]")
    jobs = _plan(sources, output, force=task.force)
    seconds = task.request.seconds
    deadline = None if seconds is None else started + seconds
    at_once = 1 if len(jobs) == 1 else min(len(jobs), task.jobs or _usual_jobs())

    def work(job: _Job, ended: threading.Event | None = None) -> int:
        request = task.request
        if deadline is not None:
            turns = -(-job.n_left // at_once)
            share = (deadline - clock.monotonic()) / turns
            request = replace(request, seconds=max(share, _LEAST_SECONDS))
        return _encode_one(job, replace(task, request=request), ended)

    def name(job: _Job) -> str:
        return job.source

    if at_once > 1:
        code = first_failure_of_many(jobs, work, name, at_once=at_once)
    else:
        code = first_failure(jobs, work, name)
    if len(jobs) > 1 and not task.report.quiet:
        taken = clock.monotonic() - started
        say(f"{len(jobs)} inputs in {taken:.1f} s, {60.0 * len(jobs) / taken:.3g} a minute")
    return code


def _usual_jobs() -> int:
    """How many inputs are fitted side by side, if nothing is said.

    The CPU is as quick with one after the other; one image alone leaves a GPU idle at times.
    """
    from inrcodec import kernels

    return _JOBS_ON_GPU if kernels.device() == "cuda" else 1


def _plan(sources: Sequence[str], output: str, *, force: bool) -> list[_Job]:
    """Which input becomes which output. Raises ConfigError for outputs that cannot be written."""
    into_folder = output.endswith("/") or (output != "-" and Path(output).is_dir())
    if len(sources) > 1 and not into_folder:
        raise ConfigError(f"{len(sources)} inputs need a folder for -o, not {output}")
    folder = Path(output) if into_folder else None
    outputs = [output] if folder is None else _outputs_in(folder, sources)
    if folder is None or folder.exists():
        for path in outputs:
            files.check_writable(path, force=force)
    else:
        _check_can_be_made(folder)
    pairs = zip(sources, outputs, strict=True)
    return [_Job(*pair, folder, len(sources) - i) for i, pair in enumerate(pairs)]


def _outputs_in(folder: Path, sources: Sequence[str]) -> list[str]:
    """The stream of each source in a folder. Raises ConfigError for two of one name."""
    if "-" in sources:
        raise ConfigError(f"standard input has no name for a stream in {folder}")
    outputs = [str(folder / f"{_name_of(source)}.inr") for source in sources]
    for path in outputs:
        if outputs.count(path) > 1:
            raise ConfigError(f"several inputs would become {path}")
    return outputs


def _name_of(source: str) -> str:
    """The name that an input gives its stream; a sequence of images has that of its folder."""
    from inrcodec.media.sequence import is_pattern

    path = Path(source)
    return path.parent.resolve().name if is_pattern(path) else path.stem


def _check_can_be_made(folder: Path) -> None:
    """Raise ConfigError for a folder that there is no place for."""
    whole = folder.absolute()
    missing = [path for path in (whole, *whole.parents) if not path.exists()]
    files.check_writable(missing[-1], force=True)


class _Run(NamedTuple):
    """When the work on an input began, who is told of it, and what ends it."""

    started: float
    watch: Watch | None
    cancel: threading.Event

    def options(self) -> dict[str, Any]:
        """As keywords of an encode."""
        return self._asdict()


class _Outcome(NamedTuple):
    """A stream with how its making ended, and what is measured of it."""

    result: EncodeResult | FilmResult
    measured: Mapping[str, object]


def _encode_one(job: _Job, task: Task, ended: threading.Event | None) -> int:
    """`ended`: what is to end the fit; None: a signal to this process."""
    from inrcodec import media

    started = clock.monotonic()
    source = media.load(
        job.source,
        variable=task.variable,
        channels_last=task.channels_last,
        rate=task.rate,
    )
    with ending_fit() if ended is None else nullcontext(ended) as cancel:
        with watching(Path(job.source).name, quiet=task.report.silent) as watch:
            if isinstance(source, media.FilmSource):
                with source:
                    outcome = _encode_film(source, task, _Run(started, watch, cancel))
            else:
                outcome = _encode_signal(source, task, _Run(started, watch, cancel))
        if job.folder is not None:
            job.folder.mkdir(parents=True, exist_ok=True)
        files.write_bytes(job.output, outcome.result.data, force=task.force)
    _show(job, outcome, task.report)
    if outcome.result.cancelled:
        say(f"interrupted; {job.output} holds the best so far")
        return EXIT_INTERRUPTED
    if not outcome.result.reached:
        target = task.request.target
        say(f"{target.measure} {target.value:g} was not reached; {job.output} holds the best")
    if cancel.is_set():  # too late to end the fit, but not to end the command
        return EXIT_INTERRUPTED
    return 0 if outcome.result.reached else EXIT_NOT_REACHED


def _encode_signal(source: Signal, task: Task, run: _Run) -> _Outcome:
    from inrcodec import measure, metrics
    from inrcodec.rate import encode_to_target
    from inrcodec.signal import Kind

    signal = _part_of(source, task)
    result = encode_to_target(signal, task.request, **run.options())
    n_bytes = len(result.data)
    measured: dict[str, object] = {
        "bytes": n_bytes,
        "bpp": metrics.bpp(n_bytes, signal.spec),
    }
    if signal.spec.kind is Kind.AUDIO:
        measured["psnr_db"] = metrics.ratio_db(measure.peak_power(signal), result.mse)
        assert signal.seconds is not None, "sounds have a rate"
        measured["kbps"] = metrics.kbps(n_bytes, signal.seconds)
        measured["snr_db"] = metrics.ratio_db(measure.power(signal), result.mse)
    else:
        measured["psnr_db"] = metrics.psnr_db(signal, result.signal)
    if signal.spec.kind is Kind.ARRAY:
        measured["snr_db"] = metrics.snr_db(signal, result.signal)
        measured["max_abs_error"] = metrics.max_abs_error(signal, result.signal)
    return _Outcome(result, measured)


def _encode_film(source: FilmSource, task: Task, run: _Run) -> _Outcome:
    from inrcodec import metrics
    from inrcodec.film import encode_film

    if task.seconds is not None:
        raise ConfigError("--seconds is for sound, not for film; --frames cuts it")
    result = encode_film(source, task.request, span=task.frames, **run.options())
    n_bytes = len(result.data)
    measured: dict[str, object] = {
        "bytes": n_bytes,
        "bpp": metrics.bpp(n_bytes, result.spec),
        "psnr_db": result.psnr_db,
        "frames": result.spec.grid[0],
        "kbps": metrics.kbps(n_bytes, result.film_seconds),
    }
    return _Outcome(result, measured)


def _part_of(signal: Signal, task: Task) -> Signal:
    from inrcodec.views import frames_of

    kind = signal.spec.kind.name.lower()
    if task.frames is not None:
        raise ConfigError(f"--frames is for film, not for {kind}")
    if task.seconds is None:
        return signal
    rate = signal.spec.sample_rate
    if rate is None:
        raise ConfigError(f"--seconds is for sound, not for {kind}")
    return signal.cut(*frames_of(task.seconds, rate, signal.spec.grid[0]))


def _show(job: _Job, outcome: _Outcome, report: Report) -> None:
    from inrcodec.container import breakdown

    result = outcome.result
    fields: dict[str, object] = {"input": job.source, "output": job.output, **outcome.measured}
    fields |= {
        "seconds": result.seconds,
        "iterations": result.iterations,
        "model": result.model,
        "reached": result.reached,
        "breakdown": breakdown(result.data),
    }
    report.show(fields, _summary(fields))


def _summary(fields: Mapping[str, object]) -> str:
    measured = "{bpp:.3f} bpp, {psnr_db:.2f} dB"
    if "frames" in fields:
        measured = "{kbps:.2f} kbps, {bpp:.3f} bpp, {psnr_db:.2f} dB"
    elif "kbps" in fields:
        measured = "{kbps:.2f} kbps, SNR {snr_db:.2f} dB"
    effort = "{model}, {iterations} iterations, {seconds:.1f} s"
    return f"{{input}} -> {{output}}: {{bytes}} bytes, {measured}, {effort}".format(**fields)
