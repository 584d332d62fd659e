"""`inrcodec info`: what a stream holds, without computing any sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import typer

from inrcodec import files
from inrcodec.cli._options import AsJson, StreamPath
from inrcodec.cli._report import Report, first_failure

__all__ = ["describe", "info"]


def info(source: StreamPath, as_json: AsJson = False) -> None:
    """Show what a stream holds.

    Header, model, cost of decoding, and where the bytes go; no sample is computed.

    Exit codes: 0 done, 3 input unreadable, 4 not a valid stream.
    """

    def work(path: str) -> int:
        fields = describe(files.read_bytes(path))
        Report(as_json=as_json).show({"input": path, **fields}, f"{path}\n{_table(fields)}")
        return 0

    raise typer.Exit(first_failure((source,), work, str))


def describe(data: bytes) -> dict[str, object]:
    """What is known of a stream from its bytes. Raises BitstreamError."""
    from inrcodec import metrics
    from inrcodec.reader import Reader

    reader = Reader(data)
    spec, meta = reader.spec, reader.meta
    blocks = {"icc": meta.icc, "exif": meta.exif, "xmp": meta.xmp}
    metadata: dict[str, object] = {k: f"{len(v)} bytes" for k, v in blocks.items() if v is not None}
    if meta.dpi is not None:
        metadata["dpi"] = "{:g} x {:g}".format(*meta.dpi)
    axes = [asdict(axis) for axis in spec.axes]
    if meta.labels is not None:
        axes = [
            axis | {"name": name or axis["name"]}
            for axis, name in zip(axes, meta.labels.axes, strict=True)
        ]
    fields: dict[str, object] = {
        "bytes": len(data),
        "bpp": metrics.bpp(len(data), spec),
        "kind": spec.kind.name.lower(),
        "grid": list(spec.grid),
        "axes": axes,
        "channels": spec.channels,
        "sample_format": spec.sample_format.name.lower(),
        "value_range": list(spec.value_range),
        "model": reader.model,
        "macs_per_point": reader.cost.macs_per_point,
        "n_parameters": reader.cost.n_parameters,
        "breakdown": reader.breakdown,
        "metadata": metadata,
    }
    if spec.sample_rate is not None:
        fields["sample_rate"] = spec.sample_rate
    if spec.time_base is not None:
        fields["time_base"] = str(spec.time_base)
        fields["evenly_spaced"] = reader.times is None
        fields["groups"] = reader.n_groups
        fields["colour"] = None if meta.colour is None else meta.colour._asdict()
    if reader.seconds is not None:
        fields["duration_seconds"] = reader.seconds
        fields["kbps"] = metrics.kbps(len(data), reader.seconds)
    if meta.labels is not None:
        fields["labels"] = meta.labels._asdict() | {"axes": list(meta.labels.axes)}
    if reader.mask is not None:
        fields["masked_share"] = float(reader.mask.mean())
    if reader.part_start is not None:
        fields["part"] = [reader.part_start, reader.part_start + spec.grid[0]]
    return fields


_FOR_PROGRAMS = frozenset({"axes"})
_SEPARATORS = {"grid": " x ", "value_range": " to ", "part": ":"}


def _table(fields: Mapping[str, object]) -> str:
    return "\n".join(
        f"  {name:17}{_cell(value, _SEPARATORS.get(name, ', '))}"
        for name, value in fields.items()
        if name not in _FOR_PROGRAMS
    )


def _cell(value: object, separator: str) -> str:
    if isinstance(value, Mapping):
        items = (f"{key} {_cell(item, ' x ')}" for key, item in value.items() if item != "")
        return ", ".join(items) or "none"
    if isinstance(value, list):
        return separator.join(_cell(item, separator) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
