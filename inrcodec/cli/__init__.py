"""The command `inrcodec`: each command a thin shell over one library function.

Heavy libraries are imported inside the commands, so that `--help` is instant. `main` turns every
error that the library raises on purpose into one line on stderr and its exit code; anything else
is a traceback, that is, a bug.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from inrcodec.cli import decode, doctor, encode, eval, info, verify
from inrcodec.cli._interrupt import EXIT_INTERRUPTED, Interrupted, interruptible
from inrcodec.cli._report import fail, one_line_warnings, say
from inrcodec.errors import InrcodecError

__all__ = ["app", "main"]

app = typer.Typer(
    name="inrcodec",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda on: _show_version(on),
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Images, sounds, films, arrays as small functions, in small files that decode everywhere."""


app.command()(encode.encode)
app.command()(decode.decode)
app.command()(info.info)
app.command("eval")(eval.evaluate)
app.command()(verify.verify)
app.command()(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, by default this process's, and exit."""
    try:
        with interruptible(), one_line_warnings():
            app(None if arguments is None else list(arguments), prog_name="inrcodec")
    except (InrcodecError, OSError, MemoryError) as error:
        sys.exit(fail(error))
    except Interrupted:
        say("interrupted; no unfinished output is left")
        sys.exit(EXIT_INTERRUPTED)


def _show_version(on: bool) -> None:
    if on:
        from inrcodec import __version__

        typer.echo(f"inrcodec {__version__}")
        raise typer.Exit
