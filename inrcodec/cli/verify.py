"""`inrcodec verify`: is every byte of a stream as it was written, and does it decode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from inrcodec import files
from inrcodec.cli._options import AsJson, Backend, Device, Quiet, choose_engine
from inrcodec.cli._report import Report, fail, first_failure
from inrcodec.errors import InrcodecError

__all__ = ["verify", "verify_files"]


def verify(
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE.inr", help="Streams; - is standard input.")
    ],
    quiet: Quiet = False,
    as_json: AsJson = False,
    *,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Check that streams are sound.

    Looks at their structure and their checksums, and decodes them.

    Exit codes: 0 all are sound, 3 input unreadable, 4 not a valid stream; the first that failed.
    """
    choose_engine(device, backend)
    raise typer.Exit(verify_files(sources, Report(quiet=quiet, as_json=as_json)))


def verify_files(sources: Sequence[str], report: Report) -> int:
    """Verify each stream and show the outcome; the exit code of the first that failed."""

    def work(source: str) -> int:
        try:
            data = files.read_bytes(source)
            _decode(data)
        except InrcodecError as error:
            if report.as_json:
                report.show({"input": source, "ok": False, "error": str(error)}, "")
            return fail(error, name=source)
        report.show({"input": source, "ok": True, "bytes": len(data)}, f"{source}: ok")
        return 0

    return first_failure(sources, work, str)


def _decode(data: bytes) -> None:
    """Compute every sample, of a film or a sound some at a time. Raises BitstreamError."""
    from inrcodec.reader import Reader
    from inrcodec.signal import Kind

    reader = Reader(data)
    if reader.spec.kind in (Kind.VIDEO, Kind.AUDIO):
        for _ in reader.film() if reader.spec.kind is Kind.VIDEO else reader.sound():
            pass
        return
    reader.read()
