"""`inrcodec encode`: media files -> streams."""

from __future__ import annotations

import time as clock
from dataclasses import replace
from typing import Annotated

import typer

from inrcodec.cli._encoding import Task, encode_files
from inrcodec.cli._options import (
    AsJson,
    Backend,
    ChannelsLast,
    Device,
    Force,
    Frames,
    Quiet,
    Variable,
    choose_engine,
)
from inrcodec.cli._parse import (
    integer_parser,
    number_parser,
    parse_frames,
    parse_rate,
    parse_size,
    parse_span,
)
from inrcodec.cli._report import Report

__all__ = ["encode"]


def encode(
    *,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IN",
            help="Images, sounds, films, arrays; dir/%04d.png is a film; - is standard input.",
        ),
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
        typer.Option(
            metavar="NAME", help="Representation; auto is latentgrid for images, cosine for sounds."
        ),
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
            "--bpp",
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
            "--kbps",
            metavar="KBPS",
            parser=number_parser("--kbps"),
            help="1000 bits per second of a sound or a film.",
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
            metavar="N",
            parser=integer_parser("--iters"),
            help="Iterations of all fits together; of a film, for each group of frames.",
        ),
    ] = None,
    seconds: Annotated[
        str | None, typer.Option(metavar="A:B", help="Encode this part of a sound only.")
    ] = None,
    frames: Frames = None,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="FPS", help="Frames per second of a film that is a sequence of images; 25."
        ),
    ] = None,
    group: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=integer_parser("--group"),
            help="Frames of a film that are fitted together; chosen by their size if not given.",
        ),
    ] = None,
    variable: Variable = None,
    channels_last: ChannelsLast = False,
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="mse|ms-ssim|perceptual",
            help="What to optimise; mse if not given, ms-ssim of images, perceptual of sounds.",
        ),
    ] = None,
    roi: Annotated[
        str | None,
        typer.Option(
            metavar="MASK",
            help="An image of the same size: errors where it is black count a 16th of those where"
            " it is white.",
        ),
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
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=integer_parser("--jobs"),
            help="Inputs that are fitted side by side; 4 on a GPU, else 1, if not given.",
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
    """Encode images, sounds, films, arrays. At most one of the targets -q ... --snr may be given.

    Exit codes: 0 done, 1 failed, 2 usage, 3 input unreadable, 5 target not reached (the best file
    is written), 130 interrupted (the best file so far is written).
    """
    from inrcodec.api import read_roi
    from inrcodec.cli._request import build_request

    started = clock.monotonic()
    request = build_request(
        config,
        {
            "model": model,
            "preset": preset,
            "time": time,
            "iters": iters,
            "seed": seed,
            "tune": tune,
            "group": group,
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
    if roi is not None:
        request = replace(request, roi=read_roi(roi))
    choose_engine(device, backend)
    task = Task(
        request=request,
        seconds=None if seconds is None else parse_span(seconds),
        frames=None if frames is None else parse_frames(frames),
        rate=None if rate is None else parse_rate(rate),
        variable=variable,
        channels_last=channels_last,
        jobs=jobs,
        force=force,
        report=Report(quiet=quiet, as_json=as_json, stdout_taken=output == "-"),
    )
    raise typer.Exit(encode_files(sources, output, task, started=started))
