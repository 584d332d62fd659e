"""`inrcodec decode`: a stream -> a media file, or a part of it, at any size or rate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from inrcodec import files
from inrcodec.cli._options import (
    AsJson,
    Backend,
    Device,
    Force,
    Frames,
    Quiet,
    StreamPath,
    choose_engine,
)
from inrcodec.cli._parse import (
    number_parser,
    parse_frames,
    parse_rate,
    parse_region,
    parse_span,
)
from inrcodec.cli._report import Report, first_failure, say
from inrcodec.errors import BitstreamError, ConfigError

if TYPE_CHECKING:
    from inrcodec.reader import Reader
    from inrcodec.signal import SignalSpec
    from inrcodec.views import View

__all__ = ["Target", "decode", "decode_file"]

_MOST_NAMED = 20  # damaged tiles


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
            help="Evaluate with F times as many rows and columns; below 1, means over their areas."
            " latentgrid has one size only.",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Only this part, in samples of the scaled picture."),
    ] = None,
    seconds: Annotated[
        str | None, typer.Option(metavar="A:B", help="Only this part of a sound.")
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="HZ|FPS",
            help="Evaluate a sound at this sample rate, a film at so many frames per second.",
        ),
    ] = None,
    frames: Frames = None,
    video_codec: Annotated[
        str | None,
        typer.Option(
            "--codec",
            metavar="ffv1|x264",
            help="How a film is written: ffv1 keeps every sample (.mkv's default), x264 is for"
            " players (.mp4's).",
        ),
    ] = None,
    salvage: Annotated[
        bool,
        typer.Option(
            "--salvage",
            help="Write a damaged image or sound all the same, damaged tiles grey, damaged"
            " segments silent; exit 4.",
        ),
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Decode a stream to an image, a sound, a film or an array.

    Exit codes: 0 done, 1 failed, 2 usage, 3 input unreadable, 4 not a valid stream (with --salvage,
    what is sound of it is written).
    """
    from inrcodec.views import View

    choose_engine(device, backend)
    view = View(
        scale=scale,
        region=None if region is None else parse_region(region),
        frames=None if frames is None else parse_frames(frames),
        seconds=None if seconds is None else parse_span(seconds),
        rate=None if rate is None else parse_rate(rate),
    )
    report = Report(quiet=quiet, as_json=as_json, stdout_taken=output == "-")
    target = Target(path=output, media_format=media_format, codec=video_codec, force=force)
    raise typer.Exit(decode_file(source, target, view=view, salvage=salvage, report=report))


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where to write. `media_format` ("png") is believed instead of the path's suffix.

    `codec` is of films.
    """

    path: str
    media_format: str | None = None
    codec: str | None = None
    force: bool = False


def decode_file(
    source: str, target: Target, *, view: View, report: Report, salvage: bool = False
) -> int:
    """Decode a stream and write what `view` shows of it; the exit code.

    With `salvage`, a file that is written of a damaged stream gives the code of one that is not
    valid. Outputs that cannot be written are refused before any work.
    """
    from inrcodec.media.formats import of_suffix
    from inrcodec.media.sequence import is_pattern

    suffix = _suffix_of(target)
    if suffix is not None:
        of_suffix(suffix)
    if not is_pattern(target.path):  # else its folder is made with its first image
        files.check_writable(target.path, force=target.force)

    def work(path: str) -> int:
        from inrcodec.reader import Reader

        started = time.monotonic()
        reader = Reader(files.read_bytes(path), salvage=salvage)
        fields = {"input": path, **_decode(reader, target, view=view, suffix=suffix)}
        text = f"{path} -> {target.path}: {_shape(fields)}"
        report.show(fields | {"seconds": time.monotonic() - started}, text)
        damage = _damage(reader, view) if salvage else None
        if damage is not None:
            say(f"{path}: {damage}")
        return 0 if damage is None else BitstreamError.exit_code

    return first_failure((source,), work, str)


def _decode(reader: Reader, target: Target, *, view: View, suffix: str | None) -> dict[str, object]:
    """Write what a view shows; what is told of it."""
    from inrcodec import media
    from inrcodec.signal import Kind

    n_bytes: int | None
    if reader.spec.kind is Kind.VIDEO:
        spec, n_bytes = _write_film(reader, target, view=view, suffix=suffix)
    else:
        if target.codec is not None:
            raise ConfigError(f"--codec is for film, not for {reader.spec.kind.name.lower()}")
        suffix = suffix or _default_suffix(reader.spec)
        if reader.spec.kind is Kind.AUDIO:
            spec = reader.scene(view).spec
            blocks = (part.samples for part in reader.sound(view))
            n_bytes = media.write_sound(
                target.path, spec, blocks, suffix=suffix, force=target.force
            )
        else:
            signal = reader.show(view)
            data = media.to_bytes(signal, suffix)
            files.write_bytes(target.path, data, force=target.force)
            spec, n_bytes = signal.spec, len(data)
    return {
        "output": target.path,
        "kind": spec.kind.name.lower(),
        "grid": list(spec.grid),
        "channels": spec.channels,
        "sample_format": spec.sample_format.name.lower(),
        "sample_rate": spec.sample_rate,
        "bytes": n_bytes,
        "model": reader.model,
    }


def _shape(fields: Mapping[str, Any]) -> str:
    """The size of what was written; of an image, the width first."""
    grid = fields["grid"] if fields["kind"] == "array" else reversed(fields["grid"])
    return f"{' x '.join(map(str, grid))} samples, {fields['channels']} channels"


def _damage(reader: Reader, view: View) -> str | None:
    """What is wrong with a stream, first of all with what is shown of it; None: nothing."""
    from inrcodec.signal import Kind

    damaged = reader.damaged(view)
    if not damaged:
        return reader.flaw
    numbers, n = ", ".join(map(reader.tile_name, damaged[:_MOST_NAMED])), reader.n_tiles
    if len(damaged) > _MOST_NAMED:
        numbers += f" and {len(damaged) - _MOST_NAMED} more"
    what, lost = ("segment", "silent") if reader.spec.kind is Kind.AUDIO else ("tile", "grey")
    if len(damaged) == 1:
        return f"{what} {numbers} of {n} is damaged and {lost}"
    return f"{what}s {numbers} of {n} are damaged and {lost}"


def _write_film(
    reader: Reader, target: Target, *, view: View, suffix: str | None
) -> tuple[SignalSpec, int | None]:
    """Write a film group by group; what was written, and the bytes of a single file."""
    from inrcodec import media

    if target.codec not in (None, "ffv1", "x264"):
        raise ConfigError(f"codec '{target.codec}' is not one of ffv1, x264")
    scene = reader.scene(view)
    writer = media.create_film(
        target.path,
        scene.spec,
        reader.meta,
        suffix=suffix,
        codec=cast("Literal['ffv1', 'x264'] | None", target.codec),
        force=target.force,
    )
    with writer:
        for part in reader.film(view):
            writer.write(part.samples, part.times)
    if writer.notes:
        say(f"warning: {target.path}: {'; '.join(dict.fromkeys(writer.notes))}")
    written = Path(target.path)
    return scene.spec, written.stat().st_size if written.is_file() else None


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
