"""`inrcodec doctor`: what this installation can do, and why not more."""

from __future__ import annotations

from inrcodec.cli._options import AsJson
from inrcodec.cli._report import Report

__all__ = ["doctor"]


def doctor(as_json: AsJson = False) -> None:
    """Show what this installation can do, and what is missing."""
    from inrcodec.doctor import as_text, report

    fields = report()
    Report(as_json=as_json).show(fields, as_text(fields))
