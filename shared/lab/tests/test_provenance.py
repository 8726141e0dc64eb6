"""The key of an experiment's source: what changes it, and what must not."""

from __future__ import annotations

import functools
import importlib
import json
import sys

import pytest
from ninefold_lab import Claim, at_least, code_key, source_key
from ninefold_lab.experiments import register
from ninefold_lab.imports import modules_of
from ninefold_lab.provenance import data_digests, provenance
from ninefold_testing import module

FACE = """
    import importlib
    _HOMES = {"Method": "models._method", "other": "models._other", **dict.fromkeys(("few", "many"), "tables")}

    def __getattr__(name):
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
"""
FILES = {
    "key_nine": FACE,
    "key_nine.claims": """
        from ninefold_lab import Claim, at_least
        from key_nine.claims._experiment import run
        CLAIM = Claim(id="key-nine/holds", says="it holds", source="ours", run=run, verdict=at_least("a", 0.0))
    """,
    "key_nine.claims._experiment": '''
        """What is run."""
        from typing import TYPE_CHECKING
        import numpy as np
        if TYPE_CHECKING:
            from key_nine.models._typed import Typed

        def run(budget, seed):
            """One seed."""
            from key_nine import Method
            from . import _arms
            return {"a": Method().score(_arms.rival())}  # the gain
    ''',
    "key_nine.claims._arms": "from key_nine.tables import load\ndef rival():\n    return load('plain')\n",
    "key_nine.models": '"""The models."""\n__all__ = ["thing"]\n',
    "key_nine.models._method": """
        from ninefold.errors import InputError
        from ninefold.measure import compare
        class Method:
            def score(self, x):
                return x
    """,
    "key_nine.models._other": "import torch\nother = 1\n",
    "key_nine.models._typed": "class Typed: ...\n",
    "key_nine.models._plain": "x = 1\n",
    "key_nine.tables": """
        import importlib
        TABLE = {"plain": "key_nine.models._plain:x"}
        def load(name):
            home, _, part = TABLE[name].partition(":")
            return getattr(importlib.import_module(home), part)
    """,
    "key_nine.cli": "from key_nine import Method\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of a package with rooms, a lazy face, a table of models, and a claim."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path / "data"))
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in FILES.items():
        is_room = any(other.startswith(f"{name}.") for other in FILES)
        module(tmp_path, f"{name}.__init__" if is_room else name, text)
    yield tmp_path / "key_nine"
    for name in [name for name in sys.modules if name.split(".")[0] == "key_nine"]:
        del sys.modules[name]


def claim(package):
    return importlib.import_module("key_nine.claims").CLAIM


def test_closure_follows_lazy_names_functions_and_tables_and_nothing_else(package):
    names = [one.name for one in modules_of(claim(package).run, "key_nine") if one.name.startswith("key_nine")]
    assert names == [
        "key_nine", "key_nine.claims._arms", "key_nine.claims._experiment", "key_nine.models",
        "key_nine.models._method", "key_nine.models._plain", "key_nine.tables",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("claims/_experiment.py", True),
        ("claims/_arms.py", True),
        ("models/__init__.py", True),
        ("models/_method.py", True),
        ("models/_plain.py", True),
        ("tables.py", True),
        ("__init__.py", True),
        ("claims/__init__.py", False),
        ("models/_other.py", False),
        ("models/_typed.py", False),
        ("cli.py", False),
        ("_new.py", False),
    ],
)
def test_edit_of_what_the_experiment_imports_changes_the_key_and_no_other_does(package, name, changes):
    before = code_key(claim(package))
    path = package / name
    path.write_text((path.read_text() if path.exists() else "") + "\nadded = 1\n")
    assert (code_key(claim(package)) != before) == changes


def test_core_counts_as_far_as_it_is_imported_and_can_change_a_number(package):
    names = {one.name for one in modules_of(claim(package).run, "key_nine")}
    assert {name for name in names if name.startswith("ninefold")} == {"ninefold", "ninefold.measure"}


def test_experiments_outside_the_package_are_followed(package, monkeypatch, tmp_path):
    folder = tmp_path / "experiments"
    for name in ("claims/__init__", "claims/_risk", "simulators"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).with_suffix(".py").write_text("")
    (folder / "claims" / "_risk.py").write_text("from key_nine_experiments import simulators\ndef run(b, s): ...\n")
    register("key_nine", folder)
    run = importlib.import_module("key_nine_experiments.claims._risk").run
    names = {one.name for one in modules_of(run, "key_nine")}
    assert names == {"key_nine_experiments.claims._risk", "key_nine_experiments.simulators"}
    for name in [name for name in sys.modules if name.startswith("key_nine_experiments")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# the gain", "# another comment"),
        ('"""One seed."""', '"""Another docstring."""'),
        ("import numpy as np", "import numpy as np\n__all__ = ['run']"),
        ("from . import _arms", "from key_nine.claims import _arms"),
    ],
)
def test_comments_docstrings_and_own_import_lines_do_not_count(package, old, new):
    before = code_key(claim(package))
    path = package / "claims" / "_experiment.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert code_key(claim(package)) == before


def test_pure_move_keeps_the_key(package):
    before = code_key(claim(package))
    (package / "linear").mkdir()
    (package / "linear" / "__init__.py").write_text('"""A room of its own."""\n')
    (package / "models" / "_method.py").rename(package / "linear" / "_way.py")
    (package / "models" / "_plain.py").rename(package / "linear" / "_plain.py")
    for name, old, new in (
        ("__init__.py", '"models._method"', '"linear._way"'),
        ("tables.py", "key_nine.models._plain:x", "key_nine.linear._plain:x"),
    ):
        path = package / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    importlib.invalidate_caches()
    assert code_key(claim(package)) == before
    path = package / "linear" / "_way.py"
    path.write_text(path.read_text().replace("return x", "return 2 * x"))
    assert code_key(claim(package)) != before


def test_shipped_files_count_and_notes_do_not(package):
    before = code_key(claim(package))
    (package / "NOTES.md").write_text("x")
    (package / "LICENSE.txt").write_text("x")
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "kernel.nbi").write_text("x")
    (package / "_kernels.so").write_text("x")  # built by this machine's compiler
    assert code_key(claim(package)) == before
    (package / "weights.json").write_text("{}")
    assert code_key(claim(package)) != before


def test_experiment_inside_partials_and_closures_is_found(package):
    run = claim(package).run

    def wrapped(budget, seed):
        return run(budget, seed)

    plain = code_key(claim(package))
    for other in (functools.partial(run), functools.partial(wrapped, seed=1)):
        held = Claim(id="key-nine/held", says="", source="", run=other, verdict=at_least("a", 0.0))
        assert code_key(held) == plain


def test_modules_imported_by_a_pattern_all_count(package):
    (package / "tables.py").write_text(
        "import importlib\ndef load(x):\n    return importlib.import_module(f'key_nine.models.{x}')\n"
    )
    names = {one.name for one in modules_of(claim(package).run, "key_nine")}
    assert {"key_nine.models._other", "key_nine.models._typed"} <= names


def test_words_of_a_claim_beside_its_experiment_do_not_count(package):
    text = (package / "claims" / "__init__.py").read_text() + "\ndef run(budget, seed):\n    return {}\n"
    (package / "claims" / "__init__.py").write_text(text)
    before = code_key(claim(package))
    (package / "claims" / "__init__.py").write_text(text.replace("it holds", "it holds, we think"))
    assert code_key(claim(package)) == before


def test_data_is_digested_by_content_and_read_once(package, monkeypatch):
    assert data_digests("key_nine") is None
    none = source_key(claim(package))
    data = package.parent / "data" / "key_nine"
    (data / "set").mkdir(parents=True)
    (data / "set" / "a.csv").write_text("1")
    (data / "b.csv").write_text("2")
    (data / "PROVENANCE.md").write_text("notes")
    first = data_digests("key_nine")
    assert list(first) == ["b.csv", "set"]
    with monkeypatch.context() as patch:
        patch.setattr("ninefold_lab.provenance.digest_file", lambda path: pytest.fail("read again"))
        assert data_digests("key_nine") == first
    key = source_key(claim(package))
    (data / "set" / "a.csv").write_text("12")
    second = data_digests("key_nine")
    assert (second["b.csv"], second["set"] == first["set"]) == (first["b.csv"], False)
    assert len({none, key, source_key(claim(package))}) == 3
    assert code_key(claim(package)) == provenance(claim(package))["code"]


def test_provenance_names_the_libraries_and_no_path(package):
    held = provenance(claim(package))
    assert list(held["libraries"]) == ["numpy"]  # torch is imported by a module that the experiment does not import
    assert str(package.parent) not in json.dumps(held)
