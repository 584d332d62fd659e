"""`inrcodec eval`: how close a stream is to its source, and what it costs."""

from __future__ import annotations

import time
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
    from inrcodec.signal import Signal

__all__ = ["compare", "evaluate"]


def evaluate(
    reference: Annotated[str, typer.Argument(metavar="REF", help="The source of the stream.")],
    source: StreamPath,
    *,
    variable: Variable = None,
    channels_last: ChannelsLast = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Measure a stream against its source. A stream of a part is measured against that part.

    Exit codes: 0 done, 2 the two do not belong together, 3 input unreadable, 4 not a valid stream.
    """
    from inrcodec import media

    choose_engine(device, backend)
    report = Report(quiet=quiet, as_json=as_json)

    # out here: its errors are not the stream's
    original = media.read(reference, variable=variable, channels_last=channels_last)

    def work(path: str) -> int:
        fields = compare(original, files.read_bytes(path))
        text = ", ".join(f"{name} {_cell(value)}" for name, value in fields.items())
        report.show({"reference": reference, "input": path, **fields}, f"{path}: {text}")
        return 0

    raise typer.Exit(first_failure((source,), work, str))


def compare(reference: Signal, data: bytes) -> dict[str, object]:
    """The measures of a stream, by name; `psnr_db` is infinite for equal signals.

    Raises BitstreamError for bytes that are no stream, ConfigError for a stream of something else.
    """
    from inrcodec import codec, metrics
    from inrcodec.signal import Kind

    started = time.monotonic()
    decoded = codec.decode(data)
    decode_seconds = time.monotonic() - started
    reference = _matching(reference, decoded)
    fields: dict[str, object] = {
        "bytes": len(data),
        "bpp": metrics.bpp(len(data), decoded.spec),
        "psnr_db": metrics.psnr_db(reference, decoded),
    }
    if decoded.spec.kind is Kind.IMAGE:
        fields["ms_ssim"] = metrics.ms_ssim(reference, decoded)
    if decoded.spec.kind is Kind.AUDIO:
        fields["kbps"] = metrics.kbps(len(data), decoded.spec)
        fields["snr_db"] = metrics.snr_db(reference, decoded)
        fields["si_sdr_db"] = metrics.si_sdr_db(reference, decoded)
    if decoded.spec.kind is Kind.ARRAY:
        fields["snr_db"] = metrics.snr_db(reference, decoded)
        fields["max_abs_error"] = metrics.max_abs_error(reference, decoded)
    fields["decode_seconds"] = decode_seconds
    return fields


def _matching(reference: Signal, decoded: Signal) -> Signal:
    """The part of the reference that was coded. Raises ConfigError if they cannot be compared."""
    if reference.spec.kind is not decoded.spec.kind:
        kinds = f"{reference.spec.kind.name.lower()}, the stream {decoded.spec.kind.name.lower()}"
        raise ConfigError(f"the reference is {kinds}")
    if decoded.part is not None:
        start, stop = decoded.part
        if stop > reference.spec.grid[0]:
            raise ConfigError(
                f"the stream holds {start}:{stop} of {reference.spec.grid[0]} samples"
            )
        reference = reference.cut(start, stop)
    mine, theirs = (
        (*s.spec.grid, s.spec.channels, s.spec.sample_format.name.lower())
        for s in (reference, decoded)
    )
    if mine != theirs:
        raise ConfigError(f"the reference is {mine}, the stream {theirs}")
    return reference


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
