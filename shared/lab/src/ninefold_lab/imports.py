"""Which modules of a package and of the core an experiment imports, read from their source without running it.

Followed are imports at any depth, also inside functions, except those for type checkers. Importing `a.b.c` also runs
`a/__init__` and `a.b/__init__`, so these count. A name that a package resolves on first use (a table of names and
modules in its `__init__`) leads to the module that holds it, and to no other. Modules named by text elsewhere (tables
of models, `import_module(f"package.tools.{name}")`) all count. Of the core counts what can change a number: not its
words, its safe writes, and arrays that digests check. What judges an experiment is no part of it: neither this package
nor the interval, and the list of claims only where an experiment is defined in or imported from it.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold_lab.experiments import SUFFIX

CORE = "ninefold"
_FLOORS = ("ninefold_graphs",)  # what some packages share below their methods
_LAB = "ninefold_lab"
_NO_PART = (  # this package, and what of the core changes no number: words, writes, arrays that digests check, judging
    _LAB, "ninefold.arms", *(f"ninefold.{name}" for name in (
        "artifacts", "cli", "demo", "errors", "files", "interval", "lazy", "progress", "report", "run", "systems",
    )),
)  # fmt: skip


Roots = tuple[tuple[str, Path], ...]  # the followed packages: top-level name, folder


@dataclass(frozen=True, eq=False)
class Module:
    """A module of one of the followed packages, parsed."""

    name: str
    path: Path
    tree: ast.Module
    roots: Roots

    @classmethod
    def find(cls, name: str, roots: Roots) -> Module | None:
        """The module of that dotted name, or None if the followed packages have none."""
        if (path := _path(name, roots)) is None:
            return None
        about = path.stat()
        return _parsed(name, path, roots, about.st_mtime_ns, about.st_size)

    @functools.cached_property
    def tops(self) -> set[str]:
        """Top-level names of the followed packages."""
        return {top for top, _ in self.roots}

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @functools.cached_property
    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        """Its import statements, at any depth, without those for type checkers."""
        return [node for node in _run_nodes(self.tree) if isinstance(node, ast.Import | ast.ImportFrom)]

    def base(self, node: ast.ImportFrom) -> str:
        """The absolute name of the module that a `from ... import` names."""
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        return ".".join(parts[: len(parts) - node.level + 1] + ([node.module] if node.module else []))

    def foreign(self, node: ast.Import | ast.ImportFrom) -> list[str]:
        """What an import statement takes from other packages than those followed, as dotted names."""
        if isinstance(node, ast.Import):
            return [one.name for one in node.names if one.name.split(".")[0] not in self.tops]
        base = self.base(node)
        return [] if base.split(".")[0] in self.tops else [f"{base}.{one.name}" for one in node.names]

    def named(self, node: ast.AST) -> list[str]:
        """The followed modules that an expression names: `a.b.c`, a text that is such a name, or starts all of them."""
        if isinstance(node, ast.Attribute):
            name = _dotted(node) or ""
            return [name] if name.split(".")[0] in self.tops and self._has(name) else []
        if isinstance(node, ast.JoinedStr) and self.loads_by_name and node.values:
            return [name for text in _texts(node.values[0]) if text.endswith(".") for name in self._below(text[:-1])]
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            return []
        text = node.value.split(":")[0].strip()
        if text.split(".")[0] in self.tops:
            return [text] if "." in text and self._has(text) else []
        if not self.loads_by_name:
            return []
        places = dict.fromkeys((self.package, self.name.split(".")[0]))
        return [name for place in places if self._has(name := f"{place}.{text.lstrip('.')}")][:1]

    @functools.cached_property
    def loads_by_name(self) -> bool:
        """Whether it imports modules by text."""
        return any(isinstance(one, ast.Name | ast.Attribute) and _last(one) in _LOADERS for one in ast.walk(self.tree))

    @property
    def is_lazy(self) -> bool:
        """Whether it is the face of a package that resolves its names on first use."""
        return self.path.name == "__init__.py" and self.loads_by_name

    @functools.cached_property
    def table(self) -> dict[str, list[str]]:
        """Of a lazy face: the modules that its tables (name -> module, or module -> names) give for each name."""
        found: dict[str, list[str]] = {}
        for node in ast.walk(self.tree):
            pairs: list[tuple[ast.AST | None, ast.AST | None]] = []
            if isinstance(node, ast.Dict):
                pairs = [*zip(node.keys, node.values, strict=True), *zip(node.values, node.keys, strict=True)]
            elif isinstance(node, ast.Call):
                pairs = [(one, other) for one in node.args for other in node.args if one is not other]
            for names, module in pairs:
                homes = [] if module is None else self.named(module)
                for name in _texts(names) if homes else ():
                    found.setdefault(name, []).extend(homes)
        return found

    def looks_own(self, text: object) -> bool:
        """Whether it is text in the form of a module's name, there or not: `package.part` or `package.part:name`."""
        match = _DOTTED.fullmatch(text) if isinstance(text, str) else None
        return match is not None and match[1] in self.tops

    def _has(self, name: str) -> bool:
        return _path(name, self.roots) is not None

    def _below(self, package: str) -> list[str]:
        """The modules of `package` that this one names by text, or all that there are if it names none."""
        folder = _path(package, self.roots)
        if folder is None or folder.name != "__init__.py":
            return []
        listed = [name for text in self.texts if self._has(name := f"{package}.{text}")]
        return listed or [f"{package}.{file.stem}" for file in folder.parent.glob("*.py") if file.stem != "__init__"]

    @functools.cached_property
    def all_named(self) -> list[str]:
        """The followed modules that its expressions name; a lazy face names them for whom they are loaded."""
        return [] if self.is_lazy else [name for node in _run_nodes(self.tree) for name in self.named(node)]

    @functools.cached_property
    def attributes(self) -> set[str]:
        """What it may take from the modules that it imports: attributes, and any text where it calls `getattr`."""
        nodes = _run_nodes(self.tree)
        asks = any(isinstance(node, ast.Name) and node.id == "getattr" for node in nodes)
        return {node.attr for node in nodes if isinstance(node, ast.Attribute)} | (self.texts if asks else set())

    @functools.cached_property
    def texts(self) -> set[str]:
        """All text constants in it."""
        return {text for node in ast.walk(self.tree) for text in _texts(node)}


_DOTTED = re.compile(r"(\w+)(?:\.\w+)+(?::\w+)?")
_LOADERS = {"import_module", "__import__", "attach"}


def modules_of(function: Callable[..., Any], package: str) -> list[Module]:
    """The modules of `package` and of the core that `function` can run through, by name."""
    roots = ((CORE, folder_of(CORE)), (_LAB, folder_of(_LAB)), (package, folder_of(package)))
    experiments = f"{package}{SUFFIX}"
    roots += tuple((name, folder_of(name)) for name in _FLOORS if importlib.util.find_spec(name) is not None)
    if experiments in sys.modules:
        roots += ((experiments, Path(sys.modules[experiments].__path__[0])),)
    found: dict[str, Module] = {}
    queue = sorted(_homes(function))
    while queue:
        wanted = queue.pop()
        parts = wanted.split(".")
        for name in (".".join(parts[: end + 1]) for end in range(len(parts))):
            list_of_claims = name in (f"{package}.claims", f"{experiments}.claims")
            judges = name != wanted if list_of_claims else f"{name}.".startswith(tuple(f"{one}." for one in _NO_PART))
            module = None if name in found or judges else Module.find(name, roots)
            if module is not None:
                found[name] = module
                queue += _imported(module)
    return [found[name] for name in sorted(found)]


def folder_of(package: str) -> Path:
    """The folder of an installed top-level package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No package named {package!r}", name=package)
    return Path(spec.origin).parent


def _homes(function: Any) -> set[str]:
    """Modules in which a function, and the functions that it wraps or holds, are defined."""
    seen: dict[int, Any] = {}
    queue = [function]
    while queue:
        one = queue.pop()
        if id(one) in seen or not callable(one):
            continue
        seen[id(one)] = one
        queue += [cell.cell_contents for cell in getattr(one, "__closure__", None) or ()]
        queue += [getattr(one, "func", None), getattr(one, "__wrapped__", None), getattr(one, "__func__", None)]
        queue += [*getattr(one, "args", ()), *getattr(one, "keywords", {}).values()] if hasattr(one, "func") else []
    return {name for one in seen.values() if isinstance(name := getattr(one, "__module__", None), str)}


def _imported(module: Module) -> Iterator[str]:
    """The followed modules that a module imports or names."""

    def leads(name: str) -> Iterator[str]:
        """A module itself, and what is taken from it if it resolves names on first use."""
        yield name
        face = Module.find(name, module.roots)
        if face is not None and face.is_lazy:
            for attribute in module.attributes & face.table.keys():
                yield from face.table[attribute]

    for node in module.imports:
        if isinstance(node, ast.Import):
            for one in node.names:
                yield from leads(one.name)
            continue
        base = module.base(node)
        face = Module.find(base, module.roots)
        for one in node.names:
            if _path(f"{base}.{one.name}", module.roots) is not None:
                yield from leads(f"{base}.{one.name}")
            elif face is not None:
                yield from (base, *(face.table.get(one.name, ()) if face.is_lazy else ()))
    yield from module.all_named


def is_type_checking(node: ast.If) -> bool:
    """Whether it is an `if TYPE_CHECKING:`, whose body never runs."""
    return isinstance(node.test, ast.Name | ast.Attribute) and _last(node.test) == "TYPE_CHECKING"


@functools.lru_cache(maxsize=4096)
def _run_nodes(tree: ast.AST) -> list[ast.AST]:
    """All nodes but those that are for type checkers alone."""
    queue, found = [tree], []
    while queue:
        found.append(node := queue.pop())
        queue += node.orelse if isinstance(node, ast.If) and is_type_checking(node) else ast.iter_child_nodes(node)
    return found


def _last(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    inner = _dotted(node.value) if isinstance(node, ast.Attribute) else None
    return None if inner is None else f"{inner}.{node.attr}"  # type: ignore[attr-defined]


def _texts(node: ast.AST | None) -> list[str]:
    """The text that a node is, or those that the list, tuple or set holds."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _path(name: str, roots: Roots) -> Path | None:
    """The file of a dotted name in the followed packages."""
    top, *rest = name.split(".")
    folder = dict(roots).get(top)
    if folder is None or not all(part.isidentifier() for part in rest):
        return None
    place = folder.joinpath(*rest)
    candidates = (place / "__init__.py", place.with_suffix(".py")) if rest else (place / "__init__.py",)
    return next((path for path in candidates if path.is_file()), None)


@functools.lru_cache(maxsize=4096)
def _parsed(name: str, path: Path, roots: Roots, _changed: int, _size: int) -> Module:
    return Module(name, path, ast.parse(path.read_text(encoding="utf-8")), roots)
