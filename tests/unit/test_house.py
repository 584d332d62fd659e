"""The rules of the house: sizes, names, what may import what, and documents that tell the truth."""

from __future__ import annotations

import ast
import importlib
import os
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import inrcodec
from inrcodec.cli import app

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "inrcodec"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
TORCH_AT_THE_TOP = re.compile(
    r"representations/\w+/fit(_\w+)?\.py|quantize/relaxed\.py|kernels/torch_\w+\.py"
)
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "data" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# --- what is tested ------------------------------------------------------------------------------


@pytest.mark.skipif(
    os.environ.get("INRCODEC_TEST_INSTALLED") != "1", reason="INRCODEC_TEST_INSTALLED is not 1"
)
def test_the_installed_package_is_what_is_tested() -> None:
    assert not Path(inrcodec.__file__).resolve().is_relative_to(PACKAGE)
    installed = Path(inrcodec.__file__).parent
    assert {path.relative_to(installed) for path in installed.rglob("*.py")} == {
        path.relative_to(PACKAGE) for path in MODULES
    }
    assert [
        _name(path)
        for path in MODULES
        if path.read_bytes() != (installed / path.relative_to(PACKAGE)).read_bytes()
    ] == []


def test_changelog_package_and_module_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.search(
        r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert newest is not None
    assert newest[1] == project["version"] == inrcodec.__version__
    if os.environ.get("INRCODEC_TEST_INSTALLED") == "1":
        assert metadata.version("inrcodec") == inrcodec.__version__


# --- sizes and names -----------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["inrcodec", "scripts", "tests"])
def test_no_python_file_is_too_long(folder: str) -> None:
    lengths = {
        _name(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


def test_makefile_is_short_and_says_what_each_target_does() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    assert len(lines) <= 40
    (phony,) = (line.split(":")[1].split() for line in lines if line.startswith(".PHONY:"))
    rules = [line.split(":")[0] for line in lines if re.match(r"[a-z]+:.* ## ", line)]
    assert sorted(rules) == sorted(phony)


def _public_definitions(tree: ast.Module) -> set[str]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {n.name for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")}


def _listed(tree: ast.Module) -> list[str]:
    """The names in `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_all_lists_every_public_name_in_order(path: Path) -> None:
    tree = _tree(path)
    listed = _listed(tree)
    assert _public_definitions(tree) <= set(listed)

    def rank(name: str) -> tuple[int, str]:  # CONSTANTS, Classes, functions
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    assert listed == sorted(set(listed), key=rank)
    if not _imports_torch(tree) and path.name != "__main__.py":
        module = importlib.import_module(_module_name(path))
        assert [name for name in listed if not hasattr(module, name)] == []


# --- what may import what ------------------------------------------------------------------------


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _top_imports(tree: ast.Module) -> Iterator[str]:
    """The modules that are imported as soon as this one is."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _imports_torch(tree: ast.Module) -> bool:
    return any(name.partition(".")[0] == "torch" for name in _top_imports(tree))


def _room(module: str) -> str:
    return module.split(".")[1]


def _rooms_used(path: Path) -> set[str]:
    """The rooms that a module imports from, anywhere in it."""
    used = set()
    names = {_module_name(module) for module in MODULES}
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("inrcodec"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                module = full if full in names else node.module
                used |= {_room(module)} if "." in module else set()
    return used


def _drawn_arrows() -> dict[str, set[str]]:
    """Room -> rooms that it may use, from the table in docs/architecture.md, lowest first."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("| room | ")[2].partition("\n\n")[0]
    arrows = {}
    for line in table.splitlines()[2:]:
        cells = [re.findall(r"`(\w+)(?:/|\.py)?`", cell) for cell in line.split("|")[1:]]
        arrows |= {room: set(cells[2]) for room in cells[0]}
    return arrows


def test_the_drawing_shows_every_room_and_arrows_that_run_down_only() -> None:
    arrows = _drawn_arrows()
    rooms = {_room(_module_name(path)) for path in MODULES if _module_name(path) != "inrcodec"}
    assert set(arrows) == rooms - {"__main__"}
    order = list(arrows)
    for room, below in arrows.items():
        assert below <= set(order[: order.index(room)]), room


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_follow_the_drawing(path: Path) -> None:
    module = _module_name(path)
    if module in ("inrcodec", "inrcodec.__main__"):
        return  # the doors of the house
    room = _room(module)
    assert _rooms_used(path) - {room} <= _drawn_arrows()[room]


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_heavy_libraries_are_loaded_where_they_belong_only(path: Path) -> None:
    inside = path.relative_to(PACKAGE).as_posix()
    top = {name.partition(".")[0] for name in _top_imports(_tree(path))}
    if not TORCH_AT_THE_TOP.fullmatch(inside):
        assert "torch" not in top
    anywhere = re.findall(
        r"^\s*(?:import|from) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert "constriction" not in anywhere or inside == "entropy/coder.py"
    if inside.startswith("cli/"):
        assert not top & {"numpy", "PIL", "torch"}


# --- documents -----------------------------------------------------------------------------------


def test_every_file_of_data_is_described() -> None:
    described = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    files = {path for path in (ROOT / "data").rglob("*") if path.is_file()}
    files -= {ROOT / "data" / "README.md"}
    assert [_name(path) for path in sorted(files) if not _is_described(path, described)] == []


def _is_described(path: Path, text: str) -> bool:
    """Whether a name, in backticks, is that of the file, or of the file and its companions."""
    names = {path.name, path.stem, path.relative_to(ROOT / "data").as_posix()}
    return any(f"`{name}`" in text for name in names)


def test_every_command_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    names = [c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands]
    assert len(names) >= 6
    assert [name for name in names if f"## `inrcodec {name}`" not in reference] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "Makefile", ".ci/run"])
def test_scripts_that_are_named_exist(name: str) -> None:
    named = set(re.findall(r"scripts/\w+\.py", (ROOT / name).read_text(encoding="utf-8")))
    assert [script for script in sorted(named) if not (ROOT / script).exists()] == []
