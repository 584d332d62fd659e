"""`inrcodec eval`: how close a stream is to its source, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from inrcodec import files
from inrcodec.cli._options import (
    AsJson,
    Backend,
    ChannelsLast,
    Device,
    Quiet,
    StreamPath,
    Variable,
    choose_engine,
)
from inrcodec.cli._report import Report, first_failure
from inrcodec.errors import ConfigError

if TYPE_CHECKING:
    from inrcodec.media import FilmSource
    from inrcodec.reader import Reader
    from inrcodec.signal import Signal, SignalSpec

__all__ = ["compare", "compare_film", "evaluate"]


def evaluate(
    reference: Annotated[str, typer.Argument(metavar="REF", help="The source of the stream.")],
    source: StreamPath,
    *,
    variable: Variable = None,
    channels_last: ChannelsLast = False,
    speech: Annotated[
        bool, typer.Option("--speech", help="Of speech, ESTOI and PESQ too; the extra speech.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Measure a stream against its source. A stream of a part is measured against that part.

    Exit codes: 0 done, 2 the two do not belong together, 3 input unreadable, 4 not a valid stream.
    """
    choose_engine(device, backend)
    report = Report(quiet=quiet, as_json=as_json)
    # out here: its errors are not the stream's
    compare_with = _comparison(
        reference, variable=variable, channels_last=channels_last, speech=speech
    )

    def work(path: str) -> int:
        fields = compare_with(files.read_bytes(path))
        text = ", ".join(f"{name} {_cell(value)}" for name, value in fields.items())
        report.show({"reference": reference, "input": path, **fields}, f"{path}: {text}")
        return 0

    raise typer.Exit(first_failure((source,), work, str))


def _comparison(
    reference: str, *, variable: str | None, channels_last: bool, speech: bool
) -> Callable[[bytes], dict[str, object]]:
    """What compares streams with a file. Raises SignalError if that cannot be read."""
    from inrcodec import media
    from inrcodec.signal import Kind

    source = media.load(reference, variable=variable, channels_last=channels_last)
    is_film = isinstance(source, media.FilmSource)
    if speech and (is_film or source.spec.kind is not Kind.AUDIO):
        raise ConfigError(f"--speech is for sound, not for {source.spec.kind.name.lower()}")
    if isinstance(source, media.FilmSource):
        film = source
        return lambda data: compare_film(film, data)
    signal = source
    return lambda data: compare(signal, data, speech=speech)


def compare_film(reference: FilmSource, data: bytes) -> dict[str, object]:
    """The measures of a film's stream, by name, computed frame by frame; raises as `compare`."""
    import numpy as np

    from inrcodec import metrics
    from inrcodec.reader import Reader

    reader, decode_seconds = Reader(data), 0.0
    _check_alike(reference.spec, reader.spec, reader.part_start)
    start, n_frames = reader.part_start or 0, reader.spec.grid[0]
    mine = reference.groups(1, start=start, stop=start + n_frames)
    theirs = reader.film(n_frames=1)
    decibels = []
    for part in mine:
        began = time.monotonic()
        decoded = next(theirs)
        decode_seconds += time.monotonic() - began
        decibels.append(metrics.frame_psnrs_db(part, decoded))
    reference.tell()
    fields: dict[str, object] = {
        "bytes": len(data),
        "bpp": metrics.bpp(len(data), reader.spec),
        "psnr_db": metrics.mean_psnr_db(np.concatenate(decibels)),
        "frames": n_frames,
        "decode_seconds": decode_seconds,
    }
    if reader.seconds is not None:
        fields["kbps"] = metrics.kbps(len(data), reader.seconds)
    return fields


def compare(reference: Signal, data: bytes, *, speech: bool = False) -> dict[str, object]:
    """The measures of a stream, by name; `psnr_db` is infinite for equal signals.

    With `speech`, those of speech too.

    Raises BitstreamError for bytes that are no stream, ConfigError for a stream of something else.
    """
    from inrcodec import metrics
    from inrcodec.reader import Reader
    from inrcodec.signal import Kind

    started = time.monotonic()
    reader = Reader(data)
    _check_alike(reference.spec, reader.spec, reader.part_start)
    decoded = _decoded(reader)
    decode_seconds = time.monotonic() - started
    if decoded.part is not None:
        reference = reference.cut(*decoded.part)
    fields: dict[str, object] = {
        "bytes": len(data),
        "bpp": metrics.bpp(len(data), decoded.spec),
        "psnr_db": metrics.psnr_db(reference, decoded),
    }
    if decoded.spec.kind is Kind.IMAGE:
        fields["ms_ssim"] = metrics.ms_ssim(reference, decoded)
    if decoded.spec.kind is Kind.AUDIO:
        fields["kbps"] = metrics.kbps(len(data), decoded.seconds or 0.0)
        fields["snr_db"] = metrics.snr_db(reference, decoded)
        fields["si_sdr_db"] = metrics.si_sdr_db(reference, decoded)
        if speech:
            fields["estoi"] = metrics.estoi(reference, decoded)
            fields["pesq_wb"] = metrics.pesq_wb(reference, decoded)
    if decoded.spec.kind is Kind.ARRAY:
        fields["snr_db"] = metrics.snr_db(reference, decoded)
        fields["max_abs_error"] = metrics.max_abs_error(reference, decoded)
    fields["decode_seconds"] = decode_seconds
    return fields


def _decoded(reader: Reader) -> Signal:
    """The signal that a stream holds; a long sound lies in a file."""
    from inrcodec.mapped import gathered
    from inrcodec.signal import Kind, Signal

    if reader.spec.kind is not Kind.AUDIO:
        return reader.read()
    start, (n_frames,) = reader.part_start, reader.spec.grid
    return Signal(
        samples=gathered(part.samples for part in reader.sound()),
        spec=reader.spec,
        part=None if start is None else (start, start + n_frames),
    )


def _check_alike(reference: SignalSpec, coded: SignalSpec, part_start: int | None) -> None:
    """Raise ConfigError unless what was coded is the reference, or a part of it from a start on."""
    if reference.kind is not coded.kind:
        kinds = f"{reference.kind.name.lower()}, the stream {coded.kind.name.lower()}"
        raise ConfigError(f"the reference is {kinds}")
    grid = reference.grid
    if part_start is not None:
        stop = part_start + coded.grid[0]
        if stop > grid[0]:
            raise ConfigError(f"the stream holds {part_start}:{stop} of {grid[0]} samples")
        grid = coded.grid[:1] + grid[1:]
    mine = (*grid, reference.channels, reference.sample_format.name.lower())
    theirs = (*coded.grid, coded.channels, coded.sample_format.name.lower())
    if mine != theirs:
        raise ConfigError(f"the reference is {mine}, the stream {theirs}")


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
