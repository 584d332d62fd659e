"""`inrcodec encode`: media files -> streams."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inrcodec import files
from inrcodec.cli._interrupt import EXIT_INTERRUPTED, ending_fit
from inrcodec.cli._options import (
    AsJson,
    Backend,
    ChannelsLast,
    Device,
    Force,
    Quiet,
    Variable,
    choose_engine,
    refuse_unsupported,
)
from inrcodec.cli._parse import Span, integer_parser, number_parser, parse_size, parse_span
from inrcodec.cli._progress import watching
from inrcodec.cli._report import Report, first_failure, say
from inrcodec.errors import ConfigError

if TYPE_CHECKING:
    from inrcodec.rate import EncodeResult
    from inrcodec.request import EncodeRequest
    from inrcodec.signal import Signal

__all__ = ["Task", "encode", "encode_files"]

EXIT_NOT_REACHED = 5
_LEAST_SECONDS = 0.1


def encode(
    *,
    sources: Annotated[
        list[str],
        typer.Argument(metavar="IN", help="Images, sounds or arrays; - is standard input."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.inr|DIR/",
            help="The stream, or a folder for one stream per input; - is standard output.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Representation; auto chooses by the kind of signal."),
    ] = None,
    quality: Annotated[
        float | None,
        typer.Option(
            "--quality",
            "-q",
            metavar="0-100",
            parser=number_parser("--quality"),
            help="Quality; 75 if no target is given.",
        ),
    ] = None,
    lam: Annotated[
        float | None,
        typer.Option(
            "--lambda",
            metavar="LAMBDA",
            parser=number_parser("--lambda"),
            help="Price of a bit: mean square error + lambda * bpp.",
        ),
    ] = None,
    bpp: Annotated[
        float | None,
        typer.Option(
            metavar="BPP",
            parser=number_parser("--bpp"),
            help="Bits per pixel, per frame of a sound, per grid point of an array.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="BYTES|80KB", help="Most bytes of the file. KB = 1000, KiB = 1024."),
    ] = None,
    psnr: Annotated[
        float | None, typer.Option(metavar="DB", parser=number_parser("--psnr"), help="PSNR in dB.")
    ] = None,
    kbps: Annotated[
        float | None,
        typer.Option(
            metavar="KBPS", parser=number_parser("--kbps"), help="1000 bits per second of a sound."
        ),
    ] = None,
    snr: Annotated[
        float | None,
        typer.Option(
            metavar="DB", parser=number_parser("--snr"), help="Signal-to-noise ratio in dB."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="fast|medium|slow", help="Amount of work; medium if no budget is given."
        ),
    ] = None,
    time: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            parser=number_parser("--time"),
            help="Time that the whole command may take.",
        ),
    ] = None,
    iters: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=integer_parser("--iters"), help="Iterations of all fits together."
        ),
    ] = None,
    seconds: Annotated[
        str | None, typer.Option(metavar="A:B", help="Encode this part of a sound only.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(metavar="A:B", help="Refused: no model codes films yet.")
    ] = None,
    variable: Variable = None,
    channels_last: ChannelsLast = False,
    tune: Annotated[
        str, typer.Option(metavar="mse", help="What to optimise. Only mse so far.")
    ] = "mse",
    roi: Annotated[
        str | None, typer.Option(metavar="MASK", help="Refused: no model weighs regions yet.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=integer_parser("--seed"),
            help="Repeats a file on one machine when --iters is the budget.",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.toml",
            help="Settings by name, as docs/config.md lists them; the command line wins.",
        ),
    ] = None,
    no_verify: Annotated[
        bool,
        typer.Option(
            "--no-verify",
            help="Every stream is decoded, to measure it; skip only the comparison of every"
            " integer with what was fitted.",
        ),
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Encode images, sounds and arrays. At most one of the targets -q ... --snr may be given.

    Exit codes: 0 done, 1 failed, 2 usage, 3 input unreadable, 5 target not reached (the best file
    is written), 130 interrupted (the best file so far is written).
    """
    from inrcodec.cli._request import build_request

    started = clock.monotonic()
    refuse_unsupported(frames=frames, roi=roi, tune=None if tune == "mse" else tune)
    request = build_request(
        config,
        {
            "model": model,
            "preset": preset,
            "time": time,
            "iters": iters,
            "seed": seed,
            "no_verify": no_verify or None,
        },
        {
            "quality": quality,
            "lambda": lam,
            "bpp": bpp,
            "size": None if size is None else parse_size(size),
            "psnr": psnr,
            "kbps": kbps,
            "snr": snr,
        },
    )
    choose_engine(device, backend)
    task = Task(
        request=request,
        span=None if seconds is None else parse_span(seconds),
        variable=variable,
        channels_last=channels_last,
        force=force,
        report=Report(quiet=quiet, as_json=as_json, stdout_taken=output == "-"),
    )
    raise typer.Exit(encode_files(sources, output, task, started=started))


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What to do with each input.

    `span`: the part of a sound to encode. `variable`, `channels_last`: which array of a file, and
    how it is seen.
    """

    request: EncodeRequest
    span: Span | None
    variable: str | None
    channels_last: bool
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
    """Encode each source, and give the exit code of the first that failed.

    `started`: time.monotonic() when the command began; its seconds are shared among the sources.
    Outputs that cannot be written are refused before any work.
    """
    jobs = _plan(sources, output, force=task.force)
    seconds = task.request.seconds
    deadline = None if seconds is None else started + seconds

    def work(job: _Job) -> int:
        request = task.request
        if deadline is not None:
            share = (deadline - clock.monotonic()) / job.n_left
            request = replace(request, seconds=max(share, _LEAST_SECONDS))
        return _encode_one(job, replace(task, request=request))

    return first_failure(jobs, work, lambda job: job.source)


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
    outputs = [str(folder / f"{Path(source).stem}.inr") for source in sources]
    for path in outputs:
        if outputs.count(path) > 1:
            raise ConfigError(f"several inputs would become {path}")
    return outputs


def _check_can_be_made(folder: Path) -> None:
    """Raise ConfigError for a folder that there is no place for."""
    whole = folder.absolute()
    missing = [path for path in (whole, *whole.parents) if not path.exists()]
    files.check_writable(missing[-1], force=True)


def _encode_one(job: _Job, task: Task) -> int:
    from inrcodec import media

    started = clock.monotonic()
    source = media.read(job.source, variable=task.variable, channels_last=task.channels_last)
    signal = _part_of(source, task.span)

    from inrcodec.rate import encode_to_target

    with ending_fit() as cancel:
        with watching(Path(job.source).name, quiet=task.report.silent) as watch:
            result = encode_to_target(
                signal, task.request, started=started, watch=watch, cancel=cancel
            )
        if job.folder is not None:
            job.folder.mkdir(parents=True, exist_ok=True)
        files.write_bytes(job.output, result.data, force=task.force)
    _show(job, signal, result, task.report)
    if result.cancelled:
        say(f"interrupted; {job.output} holds the best so far")
        return EXIT_INTERRUPTED
    if not result.reached:
        target = task.request.target
        say(f"{target.measure} {target.value:g} was not reached; {job.output} holds the best")
    if cancel.is_set():  # too late to end the fit, but not to end the command
        return EXIT_INTERRUPTED
    return 0 if result.reached else EXIT_NOT_REACHED


def _part_of(signal: Signal, span: Span | None) -> Signal:
    from inrcodec.reader import frames_of

    if span is None:
        return signal
    rate = signal.spec.sample_rate
    if rate is None:
        raise ConfigError(f"--seconds is for sound, not for {signal.spec.kind.name.lower()}")
    return signal.cut(*frames_of(span, rate, signal.spec.grid[0]))


def _show(job: _Job, signal: Signal, result: EncodeResult, report: Report) -> None:
    from inrcodec import metrics
    from inrcodec.signal import Kind

    n_bytes, spec = len(result.data), signal.spec
    fields: dict[str, object] = {
        "input": job.source,
        "output": job.output,
        "bytes": n_bytes,
        "bpp": metrics.bpp(n_bytes, spec),
        "psnr_db": metrics.psnr_db(signal, result.signal),
    }
    if spec.sample_rate is not None:
        fields["kbps"] = metrics.kbps(n_bytes, spec)
        fields["snr_db"] = metrics.snr_db(signal, result.signal)
    if spec.kind is Kind.ARRAY:
        fields["snr_db"] = metrics.snr_db(signal, result.signal)
        fields["max_abs_error"] = metrics.max_abs_error(signal, result.signal)
    fields |= {
        "seconds": result.seconds,
        "iterations": result.iterations,
        "model": result.model,
        "reached": result.reached,
        "breakdown": result.breakdown,
    }
    report.show(fields, _summary(fields))


def _summary(fields: Mapping[str, object]) -> str:
    measured = "{bpp:.3f} bpp, {psnr_db:.2f} dB"
    if "kbps" in fields:
        measured = "{kbps:.2f} kbps, SNR {snr_db:.2f} dB"
    effort = "{model}, {iterations} iterations, {seconds:.1f} s"
    return f"{{input}} -> {{output}}: {{bytes}} bytes, {measured}, {effort}".format(**fields)
