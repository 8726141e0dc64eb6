"""Each rule of the rooms has a breach that is found, and a package that keeps them all."""

from __future__ import annotations

import itertools
import sys

import grimp
import pytest
from contracts import contracts
from rooms import WAITING, breaches, circles, too_long
from workspace import Package, ToolError, find

FILES = {
    "__init__.py": "",
    "_system.py": "",
    "datasets.py": "",
    "method/__init__.py": '"""The method: `_part`, `_whole`."""\n',
    "method/_part.py": "_secret = 1\npart = 2\n",
    "method/_whole.py": "from roomy.method._part import _secret, part\n",
    "baselines/__init__.py": '"""Rivals."""\n',
    "baselines/_a.py": "from roomy.method._part import part\n",
    "baselines/_b.py": "",
    "cli.py": "from roomy.baselines._a import part\n",
}
ROOMS = ["datasets", "method", "baselines", "cli"]


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A function: the breaches of the package above, with some of its files written anew."""

    def make(changes=None, rooms=ROOMS):
        for name, text in {**FILES, **(changes or {})}.items():
            file = tmp_path / "src" / "roomy" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        listed = f"[tool.ninefold]\nrooms = {rooms}\n" if rooms else ""
        (tmp_path / "pyproject.toml").write_text(
            f'[project]\nname = "roomy"\n{listed}[tool.hatch.build.targets.wheel]\npackages = ["src/roomy"]\n'
        )
        monkeypatch.syspath_prepend(str(tmp_path / "src"))
        return list(breaches(Package(tmp_path)))

    yield make
    sys.modules.pop("roomy", None)


def test_package_that_keeps_its_rooms_has_no_breach(broken):
    assert broken() == []


@pytest.mark.parametrize(
    ("changes", "breach"),
    [
        ({"datasets.py": "from roomy.method._part import part\n"}, "roomy.datasets imports roomy.method._part: upward"),
        ({"datasets.py": "def f():\n    from roomy.method import _part\n"}, "upward, from datasets to method"),
        ({"method/_part.py": "def f():\n    import roomy.method._whole\n"}, "in a circle: roomy.method._part -> "),
        ({"baselines/_a.py": "from roomy.method._part import _secret\n"}, "_a.py:1 uses _secret of roomy.method._part"),
        ({"_stray.py": ""}, "_stray.py is no room"),
        ({"other/_x.py": ""}, "other is no room"),
        ({"method/__init__.py": '"""Words."""\ndef f(): ...\n'}, "__init__.py:2 has logic"),
        ({"method/__init__.py": ""}, "__init__.py says nothing"),
        ({f"method/_{number}.py": "" for number in range(13)}, "method has 15 files"),
        ({"single/__init__.py": '"""One."""', "single/_a.py": ""}, "single is no room"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_breach_is_named(broken, changes, breach):
    found = broken(changes)
    assert any(breach in line for line in found), found


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_import_for_a_type_checker_goes_neither_upward_nor_in_a_circle(broken, test):
    def checked(module):
        return f"import typing\nfrom typing import TYPE_CHECKING\nif {test}:\n    from roomy.{module} import part\n"

    assert any("upward" in line for line in broken({"datasets.py": checked("method._part")}))
    circle = {"datasets.py": "", "method/_part.py": f"{checked('method._whole')}_secret, part = 1, 2\n"}
    assert any("in a circle: roomy.method._part -> " in line for line in broken(circle))


def test_circles_that_wait_are_still_there():
    for circle in WAITING:
        package = find(circle.split(".")[0].split(" ")[0])
        graph = grimp.build_graph(package.import_name, cache_dir=None)
        edges = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
        names = circle.split(" -> ")
        assert all(after in edges[before] for before, after in itertools.pairwise(names)), circle


def test_room_of_one_file_and_room_that_is_missing_are_named(broken):
    found = broken({"single/__init__.py": '"""One."""', "single/_a.py": ""}, rooms=[*ROOMS, "single", "nowhere"])
    assert any("single has fewer than two files" in line for line in found)
    assert "roomy lists the room nowhere, which is not there" in found


def test_package_without_a_list_is_refused(broken):
    with pytest.raises(ToolError, match="lists no rooms"):
        broken(rooms=None)


def test_circle_is_the_shortest():
    edges = {"a": {"b"}, "b": {"c", "a"}, "c": {"a"}, "d": {"d2"}, "d2": set()}
    assert list(circles(edges)) == [["a", "b", "a"]]


def test_long_file_is_named(tmp_path):
    for top, lines in (("packages", 400), ("shared", 321), ("tools", 10)):
        (tmp_path / top).mkdir()
        (tmp_path / top / "x.py").write_text("\n" * lines)
    assert list(too_long(tmp_path)) == ["shared/x.py has 321 lines: at most 320 in shared/"]
    shown = "    Examples:\n        >>> f()\n        3\n"
    for count, code in ((0, 316), (1, 317)):  # with four lines of its own: an example does not count, all else does
        text = f'def f():\n    """What.\n\n{shown}    """\n    return 3\n' + "x = 1\n" * code
        (tmp_path / "shared" / "x.py").write_text(text)
        assert len(list(too_long(tmp_path))) == count


def test_contracts_follow_the_packages_own_lists(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "roomy"\n[tool.ninefold]\nrooms = ["low", "heavy"]\ntorch-rooms = ["heavy"]\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/roomy"]\n'
    )
    *_, order, torch = contracts([Package(tmp_path)])
    assert order["layers"] == ["heavy", "low"]
    assert torch["source_modules"] == ["roomy.low"]
