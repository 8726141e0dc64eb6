"""Graphs of the functions in installed Python packages: words are sub-tokens, edges are calls, classes are roles.

Source is parsed, never imported or run. A function's role is what its name says that it does (constructs, gets, sets,
checks, converts); its name is not among its words, which come from its arguments and its body. Functions with another
name have no label.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph
from sklearn.feature_extraction.text import CountVectorizer

from mldgg.datasets._doors import graph_of

_ROLE_WORDS = {  # first words of names
    "constructor": "__init__ __new__ make create build",
    "getter": "get find fetch lookup __getitem__ __getattr__",
    "setter": "set add update register append insert remove __setitem__ __setattr__",
    "check": "is has check validate assert ensure can __eq__ __contains__",
    "converter": "to as from parse format convert encode decode __repr__ __str__",
}
ROLES = {word: place for place, words in enumerate(_ROLE_WORDS.values()) for word in words.split()}
PACKAGES = (
    "numpy", "scipy", "sklearn", "torch_geometric", "matplotlib", "pandas", "sympy", "networkx", "hypothesis",
    "_pytest", "joblib", "fsspec",
)  # fmt: skip
_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_AMBIGUOUS = 3  # functions of one name to which a call is still linked


@dataclass(frozen=True)
class _Function:
    name: str
    role: int
    words: Counter[str]
    calls: tuple[str, ...]


def load_functions(packages: Sequence[str] = PACKAGES, *, most: int = 1000, words: int = 1000) -> dict[str, Graph]:
    """One graph for each package that is installed and has a hundred functions.

    Args:
        packages: import names; those that are not installed are left out.
        most: functions of a package, from its files in alphabetical order, tests left out.
        words: columns: the sub-tokens that most functions have, of those that two packages use.
    Raises: InputError if fewer than two are left.

    Examples:
        >>> from mldgg.datasets import load_functions
        >>> graphs = load_functions(["numpy", "scipy"], most=200)
        >>> graphs["numpy"].classes
        ('constructor', 'getter', 'setter', 'check', 'converter')
    """
    found = {name: _functions(name, most) for name in packages}
    found = {name: one for name, one in found.items() if len(one) >= 100}
    if len(found) < 2:
        raise InputError("packages", got=f"{len(found)} of them with functions", expected="at least two installed ones")
    used: Counter[str] = Counter()
    shared: Counter[str] = Counter()
    for functions in found.values():
        counts = Counter(word for one in functions for word in one.words)
        used.update(counts)
        shared.update(counts.keys())
    common = sorted((word for word in used if shared[word] > 1), key=lambda word: (-used[word], word))
    place = {word: number for number, word in enumerate(sorted(common[:words]))}
    return {name: _graph(name, functions, place) for name, functions in found.items()}


def _graph(name: str, functions: Sequence[_Function], place: dict[str, int]) -> Graph:
    counter = CountVectorizer(analyzer=lambda one: one.words.elements(), vocabulary=place)
    x = counter.transform(functions).astype(np.float32)
    named: dict[str, list[int]] = {}
    for row, one in enumerate(functions):
        named.setdefault(one.name, []).append(row)
    meant = {name: rows for name, rows in named.items() if len(rows) <= _AMBIGUOUS}
    calls = ((row, call) for row, one in enumerate(functions) for call in one.calls)
    pairs = [(row, other) for row, call in calls for other in meant.get(call, ()) if other != row]
    edges = np.array(pairs, np.int64).reshape(-1, 2).T
    return graph_of(name, x, edges, np.array([one.role for one in functions]), tuple(_ROLE_WORDS))


def _functions(package: str, most: int) -> list[_Function]:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return []
    found: list[_Function] = []
    for file in sorted(Path(next(iter(spec.submodule_search_locations))).rglob("*.py")):
        if len(found) >= most:
            break
        if "tests" in file.parts:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
        found += _of(tree)
    return found[:most]


def _of(node: ast.AST) -> Iterator[_Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            words, calls = _body(child)
            if words:
                yield _Function(child.name, _role(child.name), words, calls)
        elif isinstance(child, ast.ClassDef | ast.If | ast.Try | ast.With):
            yield from _of(child)


def _role(name: str) -> int:
    """The place of the role that the name's first word has; -1 for none."""
    first = name if name.startswith("__") else name.strip("_").split("_")[0]
    return ROLES.get(first, -1)


def _body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[Counter[str], tuple[str, ...]]:
    """Sub-tokens of arguments and body, and the names that are called."""
    words: Counter[str] = Counter()
    calls: list[str] = []
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    names = [one.arg for one in arguments if one.arg not in ("self", "cls")]
    for part in function.body:
        for node in ast.walk(part):
            if isinstance(node, ast.Name) and node.id not in ("self", "cls"):
                names.append(node.id)
            elif isinstance(node, ast.Attribute):
                names.append(node.attr)
            elif isinstance(node, ast.Call):
                calls.append(getattr(node.func, "attr", getattr(node.func, "id", "")))
    for name in names:
        words.update(one.lower() for one in _SPLIT.findall(name))
    return words, tuple(calls)
