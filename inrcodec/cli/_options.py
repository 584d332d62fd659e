"""Options that commands share, each declared once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from inrcodec.kernels.dispatch import Choice
    from inrcodec.kernels.dispatch import Device as DeviceChoice

__all__ = [
    "AsJson",
    "Backend",
    "ChannelsLast",
    "Device",
    "Force",
    "Frames",
    "Quiet",
    "StreamPath",
    "Variable",
    "choose_engine",
]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object per line instead of text.")
]

Backend = Annotated[
    str,
    typer.Option(
        metavar="auto|native|torch|tcnn",
        help="What computes grids and networks; tcnn: grids on a GPU, by tiny-cuda-nn.",
    ),
]

ChannelsLast = Annotated[
    bool,
    typer.Option(
        "--channels-last", help="The last axis of an array is 2 to 64 channels, not of the grid."
    ),
]

Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda", help="Where fits run; auto: latentgrid on a GPU, else on the CPU."
    ),
]

Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite an output that exists.")]

Frames = Annotated[
    str | None,
    typer.Option(metavar="A:B", help="Only these frames of a film, from A up to before B."),
]

Quiet = Annotated[
    bool, typer.Option("--quiet", help="No progress, no summary; JSON is still printed.")
]

StreamPath = Annotated[
    str, typer.Argument(metavar="FILE.inr", help="A stream; - is standard input.")
]

Variable = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The array to take of a file that holds several."),
]


def choose_engine(device: str, backend: str) -> None:
    """Where and by what this process computes from now on. Raises ConfigError."""
    from inrcodec import kernels

    kernels.set_device("auto")  # which every backend takes
    kernels.set_backend(cast("Choice", backend))  # it refuses any other
    kernels.set_device(cast("DeviceChoice", device))
