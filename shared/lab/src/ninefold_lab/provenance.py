"""Where an outcome comes from: digests of the experiment's source and data, and the versions of its libraries.

The key of the source is taken over the modules that the experiment imports (`imports`) and the files other than Python
that the package ships. A module counts as its syntax tree without comments, docstrings, the words of claims, the
package's own import lines and module names, and the key knows no file names: a module that only moves keeps it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable
from typing import Any

from ninefold.datasets import cache_path, data_dir
from ninefold.files import digest_file, write_text

from ninefold_lab.claims import Claim
from ninefold_lab.imports import Module, folder_of, is_type_checking, modules_of

_NO_PART = {  # of what a package ships, beside its licences; a compiled library differs by machine, its twin is Python
    ".md", ".py", ".pyc", ".pyi", ".typed", ".nbi", ".nbc", ".so", ".dylib", ".dll",
}  # fmt: skip

_owners = functools.cache(importlib.metadata.packages_distributions)  # all of them are opened: half a second


def provenance(claim: Claim) -> dict[str, Any]:
    """{code: key of the source, data: digest by file or folder, libraries: version by name}."""
    modules = modules_of(claim.run, claim.package)
    return {"code": _code_key(claim, modules), "data": data_digests(claim.package), "libraries": _libraries(modules)}


def code_key(claim: Claim) -> str:
    """Digest of the source that the claim's experiment imports, the same before and after a pure move.

    Examples:
        >>> import os
        >>> from ninefold_lab import Budget, Claim, at_least, code_key, run_claim

        >>> os.environ["NINEFOLD_CACHE"] = os.getcwd()  # where finished seeds are kept
        >>> def scores(budget, seed):
        ...     "Accuracy of two methods, for one seed."
        ...     return {"ease": 0.41 + 0.01 * seed, "popular": 0.20 + 0.01 * seed}
        >>> claim = Claim(
        ...     id="ninefold-lab/ease-beats-popularity", says="EASE is better than popularity by 0.1", source="ours",
        ...     run=scores, verdict=at_least("ease", "popular", margin=0.1),
        ...     quick=Budget(seeds=3, minutes=1), full=Budget(seeds=5, minutes=30, form="full"),
        ... )

        >>> len(code_key(claim)), code_key(claim) == code_key(claim)
        (16, True)
    """
    return _code_key(claim, modules_of(claim.run, claim.package))


def source_key(claim: Claim) -> str:
    """Digest of the source that the experiment imports and of the data it may read: what kept results stand under.

    Examples:
        >>> import os
        >>> from ninefold_lab import Budget, Claim, at_least, run_claim, source_key

        >>> os.environ["NINEFOLD_CACHE"] = os.getcwd()  # where finished seeds are kept
        >>> def scores(budget, seed):
        ...     "Accuracy of two methods, for one seed."
        ...     return {"ease": 0.41 + 0.01 * seed, "popular": 0.20 + 0.01 * seed}
        >>> claim = Claim(
        ...     id="ninefold-lab/ease-beats-popularity", says="EASE is better than popularity by 0.1", source="ours",
        ...     run=scores, verdict=at_least("ease", "popular", margin=0.1),
        ...     quick=Budget(seeds=3, minutes=1), full=Budget(seeds=5, minutes=30, form="full"),
        ... )

        >>> len(source_key(claim)), source_key(claim) == source_key(claim)
        (16, True)
    """
    return _short(code_key(claim) + json.dumps(data_digests(claim.package), sort_keys=True))


def _code_key(claim: Claim, modules: Iterable[Module]) -> str:
    trees = [text for module in modules if (text := _tree_text(module))]
    shipped = (
        digest_file(file)
        for file in folder_of(claim.package).rglob("*")
        if file.is_file() and file.suffix not in _NO_PART and "LICENSE" not in file.name
    )
    return _short("\n".join(sorted([*map(_short, trees), *shipped])))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=4096)
def _tree_text(module: Module) -> str:
    return _text(module.tree, module)


def _text(node: Any, module: Module) -> str:
    """A syntax tree as text that is the same in all versions of Python; empty for what does not count."""
    if isinstance(node, list):
        return "".join(_text(part, module) for part in node)
    if not isinstance(node, ast.AST):
        return f"{node!r};"
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "".join(f"import {name};" for name in sorted(module.foreign(node)))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return ""  # a docstring
    if isinstance(node, ast.If) and is_type_checking(node):
        return _text(node.orelse, module)
    if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets):
        return ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Claim":
        return "claim;"  # its words and bars; what it runs is followed
    if module.named(node) or (isinstance(node, ast.Constant) and module.looks_own(node.value)):
        return "module;"
    parts = [(name, _text(part, module)) for name, part in ast.iter_fields(node) if part is not None]
    inside = "".join(f"{name}={text}" for name, text in parts if text and name not in ("ctx", "kind", "type_ignores"))
    return f"({type(node).__name__} {inside})" if inside or not isinstance(node, ast.Module) else ""


def data_digests(package: str) -> dict[str, str] | None:
    """Digest of each file or folder in `$NINEFOLD_DATA/<package>`; None if there is no such folder.

    Notes (`*.md`) do not count. A file is read again when its size or its time of change differs.
    """
    folder = data_dir(package)
    if folder is None:
        return None
    store = cache_path(package) / "data-digests.json"
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = dict(json.loads(store.read_text(encoding="utf-8")))
    kept, entries = {}, {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"):
        about = file.stat()
        name, stamp = str(file.resolve()), [about.st_size, about.st_mtime_ns]
        old = known.get(name)
        kept[name] = old if old and old[:2] == stamp else [*stamp, digest_file(file)]
        place = file.relative_to(folder)
        entries.setdefault(place.parts[0], []).append(f"{place.as_posix()} {kept[name][2]}")
    if any(known.get(name) != one for name, one in kept.items()):
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
            write_text(store, json.dumps({**known, **kept}))
    return {name: _short("\n".join(lines)) for name, lines in entries.items()}


def _libraries(modules: Iterable[Module]) -> dict[str, str]:
    """Versions of the installed distributions that the modules import, without the standard library and our own."""
    roots = {name.split(".")[0] for module in modules for node in module.imports for name in module.foreign(node)}
    names = {name for root in roots - sys.stdlib_module_names for name in _owners().get(root, [])[:1]}
    return {name: importlib.metadata.version(name) for name in sorted(names)}
