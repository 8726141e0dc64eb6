"""The public names of a package and what its source says of each: kind, where it is defined, first sentence.

Which names there are says `__all__` (importing a package loads nothing heavy); all else is read from syntax trees. A
face imports its names where types are checked, or gives `ninefold.lazy.attach` a dict of names.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VERSION = "__version__"


@dataclass(frozen=True)
class Name:
    """A public name: `kind` is class, function, module, value or version; `home` the dotted path of its definition."""

    name: str
    kind: str
    home: str
    summary: str
    slug: str
    typed: bool  # whether the face imports it under its own name, so that griffe finds it there


@cache
def tree(file: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def module_file(source: Path, module: str) -> Path:
    """The file of a dotted module of the package whose folder is `source`."""
    parts = module.split(".")[1:]
    folder = source.joinpath(*parts)
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def names(source: Path, module: str = "") -> list[Name]:
    """The names in `__all__` of a package (`source` is its folder) or of one of its modules, in order.

    A module without `__all__` has the functions and classes that it defines without an underscore.
    """
    module = module or source.name
    face = module_file(source, module)
    attached = _attached(face)
    lazy = module == source.name or bool(attached)
    public = importlib.import_module(module).__all__ if lazy else _listed(face) or _defined(face)
    of_a_room = lazy and module != source.name  # whose version is the package's
    found = [
        _name(source, module, name, attached.get(name, "")) for name in public if not (of_a_room and name == VERSION)
    ]
    twins = Counter(one.name.casefold() for one in found)
    return [
        one if twins[one.name.casefold()] == 1 else Name(**{**vars(one), "slug": f"{one.slug}-{one.kind}"})
        for one in found
    ]


def docstring(file: Path) -> str:
    """What a module says of itself."""
    return ast.get_docstring(tree(file)) or ""


def _name(source: Path, module: str, name: str, below: str) -> Name:
    """One name of a face; `below` is the module that `attach` names for it."""
    if name == VERSION:
        return Name(name, "version", f"{module}.{name}", "version of the installed distribution", "version", True)
    imported = dict(_imports(module_file(source, module), module)).get(name)
    start = imported or (f"{module}.{below}" if below == name else f"{module}.{below}.{name}" if below else "")
    home, node = _definition(source, start or f"{module}.{name}")
    kinds = {ast.ClassDef: "class", ast.FunctionDef: "function", ast.AsyncFunctionDef: "function", ast.Module: "module"}
    kind = kinds.get(type(node), "value")
    said = ast.get_docstring(node) if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Module) else ""
    summary = " ".join((said or "").split("\n\n")[0].split())
    return Name(name, kind, home, summary, name, imported is not None or not below)


def _definition(source: Path, path: str) -> tuple[str, ast.AST]:
    """(dotted path, node) of what a dotted path leads to, through the imports of the modules on its way."""
    top = path.split(".")[0]
    if top != source.name:  # a floor that the package stands on
        source = Path(str(importlib.util.find_spec(top).origin)).parent  # type: ignore[union-attr]
    file = module_file(source, path)
    if file.is_file():
        return path, tree(file)
    module, _, name = path.rpartition(".")
    file = module_file(source, module)
    for node in _statements(tree(file)):
        targets = [one.id for target in _targets(node) for one in ast.walk(target) if isinstance(one, ast.Name)]
        if name in targets or getattr(node, "name", None) == name:
            return path, node
    imported = dict(_imports(file, module))
    if name not in imported and name in _attached(file):
        imported[name] = f"{module}.{_attached(file)[name]}.{name}"
    return _definition(source, imported[name])


def _imports(file: Path, module: str) -> Iterator[tuple[str, str]]:
    """(name, dotted path it stands for) of all `from X import name` of the package, or of a floor of it, in a file."""
    for node in _statements(tree(file)):
        top = node.module.split(".")[0] if isinstance(node, ast.ImportFrom) and node.module else ""
        if isinstance(node, ast.ImportFrom) and (top == module.split(".")[0] or top.startswith("ninefold_")):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _statements(module: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a module and of its top-level `if` blocks."""
    for node in module.body:
        yield node
        if isinstance(node, ast.If):
            yield from node.body


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []


def _attached(file: Path) -> dict[str, str]:
    """name -> module below the package, of the dict that a file gives to `attach`."""
    for node in tree(file).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _called(node.value) == "attach":
            table = node.value.args[1]
            pairs = zip(table.keys, table.values, strict=True) if isinstance(table, ast.Dict) else ()
            return {ast.literal_eval(key): ast.literal_eval(value) for key, value in pairs if key is not None}
    return {}


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _listed(file: Path) -> list[str]:
    """The `__all__` of a file that writes it as a list."""
    for node in tree(file).body:
        if isinstance(node, ast.Assign) and any(getattr(one, "id", "") == "__all__" for one in _targets(node)):
            return ast.literal_eval(node.value)
    return []


def _defined(file: Path) -> list[str]:
    """The functions and classes that a file defines, without those that begin with an underscore."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return sorted(node.name for node in tree(file).body if isinstance(node, kinds) and not node.name.startswith("_"))
