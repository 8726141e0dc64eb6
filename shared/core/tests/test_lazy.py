"""The public face: names resolved on first use."""

from __future__ import annotations

import importlib
import sys

import pytest
from ninefold.errors import MissingExtraError
from ninefold_testing import module

INIT = """
    from ninefold.lazy import attach

    __getattr__, __dir__, __all__ = attach(
        __name__,
        {"solve": "_solver", "tools": "tools", "heavy": "_heavy", "broken": "_broken", "gone": "_solver"},
        extras={"no_such_module_9": "train"},
    )
"""


@pytest.fixture
def face(tmp_path, monkeypatch):
    module(tmp_path, "face_nine.__init__", INIT)
    module(tmp_path, "face_nine._solver", "def solve(): return 42")
    module(tmp_path, "face_nine.tools", "def measure(): return 7")
    module(tmp_path, "face_nine._heavy", "import no_such_module_9")
    module(tmp_path, "face_nine._broken", "import another_missing_module_9")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("face_nine")
    for name in [name for name in sys.modules if name.split(".")[0] == "face_nine"]:
        del sys.modules[name]


def test_names_are_imported_on_first_use(face):
    assert "face_nine._solver" not in sys.modules
    assert face.solve() == 42
    assert face.tools is sys.modules["face_nine.tools"]
    assert face.__version__ == "unknown"
    assert "face_nine._heavy" not in sys.modules


def test_face_lists_its_names(face):
    expected = ["__version__", "broken", "gone", "heavy", "solve", "tools"]
    assert dir(face) == sorted(face.__all__) == expected


def test_unknown_names_are_attribute_errors(face):
    assert not hasattr(face, "nothing")
    with pytest.raises(AttributeError, match="module 'face_nine' has no attribute 'nothing'"):
        _ = face.nothing
    with pytest.raises(AttributeError, match="gone"):  # in the table, yet not in its module
        _ = face.gone


def test_missing_library_is_the_line_that_brings_it(face):
    with pytest.raises(MissingExtraError, match=r"no_such_module_9: pip install 'face_nine\[train\]'"):
        _ = face.heavy
    with pytest.raises(ModuleNotFoundError, match="another_missing_module_9"):
        _ = face.broken
