"""Help, version and docs/cli.md: quick, complete, and not stale."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import inrcodec
from inrcodec.cli import app

ROOT = Path(__file__).parents[2]
COMMANDS = ["encode", "decode", "info", "eval", "verify", "doctor"]


def test_help_lists_every_command_and_what_it_does(run):
    outcome = run("--help")
    listed = re.findall(r"^  (\w+)  +\w+", outcome.stdout.decode(), flags=re.MULTILINE)
    assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_exit_codes_or_has_none(run, command):
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert command == "doctor" or b"Exit codes: 0" in outcome.stdout


def test_no_arguments_are_answered_with_help(run):
    outcome = run()
    assert "Commands:" in outcome.stdout.decode() + outcome.stderr


def test_the_version_is_that_of_the_package(run):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert inrcodec.__version__ == project["version"]
    assert run("--version").stdout == f"inrcodec {project['version']}\n".encode()


def test_help_and_import_load_no_heavy_library():
    heavy = {"torch", "numpy", "PIL", "constriction"}
    code = f"""
import sys, inrcodec, inrcodec.cli
try:
    inrcodec.cli.main(["encode", "--help"])
except SystemExit:
    print("loaded:", {heavy} & sys.modules.keys())
"""
    package = str(Path(inrcodec.__file__).parents[1])
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {package!r}){code}"]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout.endswith("loaded: set()\n")


def test_the_reference_is_what_typer_writes(tmp_path):
    """But for how it marks types, choices and repeats, which differs between its versions."""
    from typer.cli import app as typer_app

    written = tmp_path / "cli.md"
    arguments = ["inrcodec.cli", "utils", "docs", "--name", "inrcodec", "--output", str(written)]
    result = CliRunner().invoke(typer_app, arguments)
    assert result.exit_code == 0, result.output
    stale = (
        "docs/cli.md is stale: typer inrcodec.cli utils docs --name inrcodec --output docs/cli.md"
    )
    assert _plain(written) == _plain(ROOT / "docs" / "cli.md"), stale


def _plain(path: Path) -> str:
    return re.sub(r" ?<[\w\[\]|]+>|[{}\\]|\.\.\.", "", path.read_text())


def test_the_app_is_a_typer_app():
    assert isinstance(app, typer.Typer)
    assert app.pretty_exceptions_enable is False
