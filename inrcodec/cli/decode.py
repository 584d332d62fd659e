"""`inrcodec decode`: a stream -> a media file, or a part of it, at any size or rate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inrcodec import files
from inrcodec.cli._options import (
    AsJson,
    Backend,
    Device,
    Force,
    Quiet,
    StreamPath,
    choose_engine,
    refuse_unsupported,
)
from inrcodec.cli._parse import (
    Region,
    Span,
    integer_parser,
    number_parser,
    parse_region,
    parse_span,
)
from inrcodec.cli._report import Report, first_failure
from inrcodec.errors import ConfigError

if TYPE_CHECKING:
    from inrcodec.signal import SignalSpec

__all__ = ["Target", "View", "decode", "decode_file"]


def decode(
    *,
    source: StreamPath,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A media file; the suffix is its format. - is standard output.",
        ),
    ],
    media_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="png|tiff|wav|npy|...",
            help="Format of the output, whatever its suffix. With -o - it is PNG (TIFF for"
            " floats), WAV or NPY unless given.",
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="F",
            parser=number_parser("--scale"),
            help="Evaluate an image with F times as many rows and columns.",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Only this part, in samples of the scaled image."),
    ] = None,
    seconds: Annotated[
        str | None, typer.Option(metavar="A:B", help="Only this part of a sound.")
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(
            metavar="HZ",
            parser=integer_parser("--rate"),
            help="Evaluate a sound at this sample rate.",
        ),
    ] = None,
    frames: Annotated[
        str | None, typer.Option(metavar="A:B", help="Refused: no model codes films yet.")
    ] = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Refused: damaged streams are not repaired yet.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Decode a stream to an image, a sound or an array.

    Exit codes: 0 done, 1 failed, 2 usage, 3 input unreadable, 4 not a valid stream.
    """
    refuse_unsupported(frames=frames, salvage="" if salvage else None)
    choose_engine(device, backend)
    view = View(
        scale=scale,
        region=None if region is None else parse_region(region),
        seconds=None if seconds is None else parse_span(seconds),
        rate=rate,
    )
    report = Report(quiet=quiet, as_json=as_json, stdout_taken=output == "-")
    target = Target(path=output, media_format=media_format, force=force)
    raise typer.Exit(decode_file(source, target, view=view, report=report))


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What to evaluate; None: as coded."""

    scale: float | None = None
    region: Region | None = None
    seconds: Span | None = None
    rate: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where to write. `media_format` ("png") is believed instead of the path's suffix."""

    path: str
    media_format: str | None = None
    force: bool = False


def decode_file(source: str, target: Target, *, view: View, report: Report) -> int:
    """Decode a stream and write what `view` shows of it; the exit code.

    Outputs that cannot be written are refused before any work.
    """
    from inrcodec.media.formats import of_suffix

    suffix = _suffix_of(target)
    if suffix is not None:
        of_suffix(suffix)
    files.check_writable(target.path, force=target.force)

    def work(path: str) -> int:
        _decode_one(path, target, view=view, suffix=suffix, report=report)
        return 0

    return first_failure((source,), work, str)


def _decode_one(
    source: str, target: Target, *, view: View, suffix: str | None, report: Report
) -> None:
    from inrcodec import media
    from inrcodec.reader import Reader
    from inrcodec.signal import Kind

    started = time.monotonic()
    reader = Reader(files.read_bytes(source))
    signal = reader.read(scale=view.scale, region=view.region, rate=view.rate, seconds=view.seconds)
    data = media.to_bytes(signal, suffix or _default_suffix(signal.spec))
    files.write_bytes(target.path, data, force=target.force)
    spec = signal.spec
    fields = {
        "input": source,
        "output": target.path,
        "kind": spec.kind.name.lower(),
        "grid": list(spec.grid),
        "channels": spec.channels,
        "sample_format": spec.sample_format.name.lower(),
        "sample_rate": spec.sample_rate,
        "bytes": len(data),
        "model": reader.model,
        "seconds": time.monotonic() - started,
    }
    sizes = spec.grid if spec.kind is Kind.ARRAY else reversed(spec.grid)  # an image: width first
    shape = " x ".join(str(size) for size in sizes)
    report.show(fields, f"{source} -> {target.path}: {shape} samples, {spec.channels} channels")


def _suffix_of(target: Target) -> str | None:
    """The suffix that decides the format; None leaves the choice to the signal."""
    if target.media_format is not None:
        return f".{target.media_format.lower().removeprefix('.')}"
    if target.path == "-":
        return None
    suffix = Path(target.path).suffix
    if not suffix:
        raise ConfigError(f"output {target.path} has no suffix that names a format; give --format")
    return suffix


def _default_suffix(spec: SignalSpec) -> str:
    from inrcodec.signal import Kind

    if spec.kind is Kind.AUDIO:
        return ".wav"
    if spec.kind is Kind.ARRAY:
        return ".npy"
    return ".tiff" if spec.sample_format.is_float or spec.channels > 4 else ".png"
