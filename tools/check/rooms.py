"""Hold each package against the rooms that its own pyproject lists, bottom-up; prints every breach, with its place.

    uv run python tools/check/rooms.py            # all packages
    uv run python tools/check/rooms.py recsys     # one

The rules: each module stands in a listed room (at the root only `_system.py`); no import goes upward or runs in a
circle, lazy ones and those for type checkers included; a room's `__init__` holds a docstring and names, no logic; no
private name of another room is used; a room has two to fourteen files; no file grows too long (examples in docstrings
apart, which each public name must have).
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

import grimp
from workspace import ROOT, Package, ToolError, exit_with, find, packages

AT_THE_ROOT = {"__init__", "_system"}
SMALL = {"datasets", "demo", "cli"}  # rooms that may be one file
MOST_FILES = 14
WAITING = {  # circles of type checkers' imports that are still to be taken apart
    "recsys.data._dataset -> recsys.data._doctor -> recsys.data._dataset",
    "recsys -> recsys.recommender._store -> recsys",
}
LONGEST = {"packages": 400, "shared": 320, "tools": 320}  # lines of a file, by top folder


def rooms(package: Package) -> list[str]:
    """The package's own list of rooms, bottom-up."""
    listed = package.settings["tool"].get("ninefold", {}).get("rooms")
    if not listed:
        raise ToolError(
            f"{package.name} lists no rooms: [tool.ninefold] rooms = [...], bottom-up, in its pyproject.toml"
        )
    return listed


def breaches(package: Package) -> Iterator[str]:
    """Each breach of the rules in one package, as a line."""
    order = {room: place for place, room in enumerate(rooms(package))}
    yield from _misplaced(package, order)
    graph = grimp.build_graph(package.import_name, exclude_type_checking_imports=False, cache_dir=None)
    edges = {module: graph.find_modules_directly_imported_by(module) for module in sorted(graph.modules)}
    for module, imported in edges.items():
        for other in sorted(imported):
            if order.get(_room(other), -1) > order.get(_room(module), len(order)):
                yield f"{module} imports {other}: upward, from {_room(module)} to {_room(other)}"
    for circle in map(" -> ".join, circles(edges)):
        if circle not in WAITING:
            yield f"imports run in a circle: {circle}"
    files = sorted(package.source.rglob("*.py"))
    modules = {".".join(one.relative_to(package.source.parent).with_suffix("").parts) for one in files}
    for file in files:
        yield from _private_names(package, file, modules)
        if file.name == "__init__.py" and file.parent != package.source:
            yield from _logic(file)


def _room(module: str) -> str:
    """The room of a dotted module name; empty for the package itself."""
    return [*module.split("."), ""][1]


def _misplaced(package: Package, order: dict[str, int]) -> Iterator[str]:
    source, found = package.source, set()
    for entry in sorted(source.iterdir()):
        if entry.name == "__pycache__" or (entry.is_dir() and not any(entry.rglob("*.py"))):
            continue
        name = entry.stem
        if entry.is_file() and (entry.suffix != ".py" or name in AT_THE_ROOT):
            continue
        if name not in order:
            yield f"{_place(entry)} is no room that the package lists"
            continue
        found.add(name)
        if entry.is_file():  # a public module, which users import by its name
            if name.startswith("_"):
                yield f"{_place(entry)} is private and at the root"
            continue
        for folder in (entry, *(one for one in sorted(entry.rglob("*")) if one.is_dir())):
            files = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
            if len(files) > MOST_FILES and name != "baselines":
                yield f"{_place(folder)} has {len(files)} files: at most {MOST_FILES}"
        if len(list(entry.rglob("*.py"))) < 3 and name not in SMALL:
            yield f"{_place(entry)} has fewer than two files beside its __init__"
    for name in order.keys() - found:
        yield f"{package.name} lists the room {name}, which is not there"


def circles(edges: dict[str, set[str]]) -> Iterator[list[str]]:
    """One circle of each strongly connected part of a graph (Tarjan), with its first module again at the end."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    parts: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            parts.append(stack[at:])
            del stack[at:]

    for node in edges:
        if node not in index:
            visit(node)
    for part in parts:
        if len(part) > 1:
            yield _way_round(min(part), edges, set(part))


def _way_round(start: str, edges: dict[str, set[str]], inside: set[str]) -> list[str]:
    """The shortest way from a module back to itself, inside a strongly connected part."""
    ways = [[start]]
    seen: set[str] = set()
    while True:
        way = ways.pop(0)
        for other in sorted(edges[way[-1]] & inside):
            if other == start:
                return [*way, start]
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])


def _private_names(package: Package, file: Path, modules: set[str]) -> Iterator[str]:
    """Imports of `_name` from a module of another room; private ones of the package's `modules` are fine."""
    room = file.relative_to(package.source).parts[0].removesuffix(".py")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.module or node.module.split(".")[0] != package.import_name:
            continue
        if _room(node.module) in ("", room):
            continue
        for name in node.names:
            private = name.name.startswith("_") and not name.name.startswith("__")
            if private and f"{node.module}.{name.name}" not in modules:
                yield f"{_place(file)}:{node.lineno} uses {name.name} of {node.module}, a private name of another room"


def _logic(file: Path) -> Iterator[str]:
    """Statements of a room's `__init__` other than its docstring, imports and tables of names."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if ast.get_docstring(tree) is None:
        yield f"{_place(file)} says nothing: which part of the publication is in which file?"
    for node in tree.body:
        assigned = isinstance(node, ast.Assign | ast.AnnAssign)
        names = isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )
        checking = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        if not (assigned or names or checking):
            yield f"{_place(file)}:{node.lineno} has logic, which belongs into a file of the room"


def too_long(root: Path = ROOT) -> Iterator[str]:
    """Source files of more lines than their top folder allows."""
    for top, most in LONGEST.items():
        for file in sorted((root / top).rglob("*.py")):
            if "tests" in file.parts or ".venv" in file.parts:
                continue
            text = file.read_text(encoding="utf-8")
            if len(text.splitlines()) > most and (lines := _lines(text)) > most:
                yield f"{file.relative_to(root)} has {lines} lines: at most {most} in {top}/"


def _lines(text: str) -> int:
    """Lines of a source file, without the `Examples:` blocks that end docstrings."""
    shown = 0
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _, head, block = (ast.get_docstring(node) or "").partition("\n\nExamples:\n")
            shown += len(f"\n{head.strip()}\n{block}".splitlines()) if head else 0
    return len(text.splitlines()) - shown


def _place(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="packages; all of them if none is named")
    options = parser.parse_args()
    try:
        chosen = [find(name) for name in options.names] or list(packages().values())
        found = [line for package in chosen for line in breaches(package)]
    except ToolError as error:
        return exit_with(error)
    found += [] if options.names else too_long()
    print("\n".join(found) if found else f"{len(chosen)} packages keep their rooms")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
