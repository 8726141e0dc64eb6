"""When a release is refused, and what it writes into the changelog."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import release
from changelog import check, dated
from sample import filled_in
from wheels import Wheel
from workspace import CORE, ROOT, ToolError, members

DAY = datetime.date(2026, 3, 1)


def test_notes_go_under_the_version_and_unreleased_is_empty_again():
    before = "# Changelog\n\n## Unreleased\n\n### Added\n\n- A verb.\n\n## [0.1.0] - 2026-01-01\n\n- First.\n"
    after, notes = dated(before, "0.2.0", DAY)
    assert notes == "### Added\n\n- A verb."
    assert after == (
        "# Changelog\n\n## Unreleased\n\n## [0.2.0] - 2026-03-01\n\n### Added\n\n- A verb.\n\n"
        "## [0.1.0] - 2026-01-01\n\n- First.\n"
    )
    check(after)
    with pytest.raises(ToolError, match="nothing under"):
        dated(after, "0.3.0", DAY)


FIRST = "\n## [0.1.0] - 2026-01-01\n\n- First.\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with"),
        ("# Changelog\n", "nothing under"),
        ("# Changelog\n\n## Unreleased\n", "nothing under"),
        (f"# Changelog\n\n## Unreleased\n{FIRST}", "nothing under"),
        ("# Changelog\n\n## Unreleased\n\n### Added\n", "### Added is empty"),
        ("# Changelog\n\n## Unreleased\n\n### News\n\n- x\n", "groups are"),
        ("# Changelog\n\n## Unreleased\n\nIt is faster.\n", "entries are list items"),
        (f"# Changelog\n\n## Unreleased\n\n- x\n{FIRST}", "stands in no group"),
        ("# Changelog\n\n## Unreleased\n\n- x\n\n## 0.1.0 (2026-01-01)\n\n- y\n", "a release is written"),
        ("# Changelog\n\n## Unreleased\n\n- x\n\n## [0.1.0] - 2026-13-01\n\n- y\n", "a release is written"),
        (
            f"# Changelog\n\n## Unreleased\n\n### Fixed\n\n- x\n{FIRST}\n## [0.2.0] - 2026-02-01\n\n- y\n",
            "the newest comes first",
        ),
    ],
)
def test_changelog_without_news_or_form_is_refused(text, message):
    with pytest.raises(ToolError, match=message):
        dated(text, "0.3.0", DAY)


@pytest.mark.parametrize("package", members().values(), ids=lambda package: package.name)
def test_changelog_of_each_package_has_the_form(package):
    check((package.folder / "CHANGELOG.md").read_text(encoding="utf-8"))


ASKS = "error: this needs torch: pip install 'thing[train]'"


@pytest.mark.parametrize(
    ("answers", "ended"),
    [
        ([""], "works from the wheel"),
        ([ASKS, ""], r"works from the wheel with the extra [train]"),
        ([ASKS, ASKS], r"asks for more than [train]"),
        ([ASKS.replace("thing", "other")], "no extra of thing"),
    ],
)
def test_a_demo_that_asks_for_an_extra_is_run_with_it(monkeypatch, answers, ended):
    monkeypatch.setattr(release, "demo", lambda venv, system: answers.pop(0))
    installed = []
    venv = SimpleNamespace(install=lambda wanted, wheels: installed.append(wanted))
    wheel, core = (Wheel(name, ROOT / f"{name}.whl") for name in ("thing", CORE))
    try:
        said = release.shown(venv, "thing", wheel, [core])
    except ToolError as error:
        said = str(error)
    assert ended in said
    assert answers == []
    assert installed in ([], [["thing[train]", CORE]])
    assert bool(installed) == ("[train]" in ended)


@pytest.fixture
def repository(tmp_path):
    """A committed repository with the tools and the core, and a function that runs git or the release in it."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__", "tests"))
    shutil.copytree(ROOT / "shared", tmp_path / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    folder = tmp_path / "packages" / "bright-idea"
    shutil.copytree(ROOT / "tools" / "scaffold" / "template", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (one for one in folder.rglob("*") if one.suffix in {".py", ".md", ".toml"}):
        file.write_text(filled_in(file.read_text(), "bright-idea"))
    (folder / "src" / "template_package").rename(folder / "src" / "bright_idea")
    (tmp_path / ".gitignore").write_text("__pycache__/\ndist/\n")

    def call(*words):
        program = [sys.executable, tmp_path / "tools" / "release" / "release.py"] if words[0] == "release" else ["git"]
        rest = words[1:] if words[0] == "release" else words
        return subprocess.run([*program, *rest], cwd=tmp_path, capture_output=True, text=True, check=False)

    for words in (
        ["init", "-q"],
        ["config", "user.name", "nobody"],
        ["config", "user.email", "nobody@example.org"],
        ["add", "-A"],
        ["commit", "-qm", "all"],
    ):
        assert call(*words).returncode == 0
    return tmp_path, call


def test_release_of_a_tree_with_changes_is_refused(repository):
    folder, call = repository
    (folder / "stray.txt").write_text("x")
    done = call("release", "ninefold-core", "--dry-run")
    assert done.returncode == 1
    assert "not committed" in done.stderr


def test_release_of_a_tagged_version_is_refused(repository):
    _, call = repository
    call("tag", "ninefold-core-v0.3.0")
    done = call("release", "ninefold-core", "--dry-run")
    assert done.returncode == 1
    assert "ninefold-core-v0.3.0 is there already" in done.stderr


def test_release_without_news_is_refused_and_leaves_the_tree_clean(repository):
    folder, call = repository
    (folder / "shared" / "core" / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    call("commit", "-qam", "no news")
    done = call("release", "ninefold-core", "--dry-run")
    assert done.returncode == 1
    assert "nothing under" in done.stderr
    assert call("status", "--porcelain").stdout == ""


def write_over(folder):
    """Take the sample's text out of the package, as its author would."""
    for file in (one for one in (folder / "packages").rglob("*") if one.suffix in {".py", ".md"}):
        file.write_text("")
    settings = folder / "packages" / "bright-idea" / "pyproject.toml"
    lines = settings.read_text().splitlines()
    settings.write_text("\n".join(line for line in lines if "shrinkage" not in line.lower()) + "\n")


def test_release_of_the_sample_is_refused(repository):
    _, call = repository
    done = call("release", "bright-idea", "--dry-run")
    assert done.returncode == 1
    assert "text of the sample" in done.stderr


def test_release_on_a_core_that_users_cannot_have_is_refused(repository):
    folder, call = repository
    write_over(folder)
    call("commit", "-qam", "written over")
    done = call("release", "bright-idea", "--dry-run")
    assert done.returncode == 1
    assert f"{CORE} <0.4,>=0.3 is not released" in done.stderr


PLAIN = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "plain-words"
version = "0.1.0"
description = "Counts the words of a text."
readme = "README.md"
license = "Apache-2.0"
license-files = ["LICENSE"]
requires-python = ">=3.11"
dependencies = ["ninefold-core>=0.3,<0.4"]

[tool.hatch.build.targets.wheel]
packages = ["src/plain_words"]
"""
FACE = """from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from plain_words._count import count as count

__getattr__, __dir__, __all__ = attach(__name__, {"count": "_count"})
"""


def replace(file, old, new):
    """Exchange the first `old` in a file for `new`."""
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


@pytest.fixture
def two_packages(repository):
    """The repository with the core and a small package `plain-words`, and functions that change it and that release."""
    folder, call = repository
    shutil.rmtree(folder / "packages" / "bright-idea")
    place = folder / "packages" / "plain-words"
    files = {
        "pyproject.toml": PLAIN,
        "README.md": "# plain-words\n",
        "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n- First version.\n",
        "src/plain_words/__init__.py": FACE,
        "src/plain_words/_count.py": "def count(text: str, least: int = 1) -> int:\n    return len(text.split())\n",
    }

    def change(**edits):
        for name, (old, new) in edits.items():
            file = next(place.rglob(f"{name}.*"))
            assert old in file.read_text()
            file.write_text(file.read_text().replace(old, new, 1))
        assert call("commit", "-qam", "a change").returncode == 0

    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    shutil.copy(ROOT / "LICENSE", place)
    for words in (["add", "-A"], ["commit", "-qm", "plain words"]):
        assert call(*words).returncode == 0
    python = f"{sys.version_info.major}.{sys.version_info.minor}"

    def release(name, *words):
        done = call("release", name, "--index", folder / "dist" / "index", "--python", python, *words)
        return done.returncode, done.stdout + done.stderr

    return folder, change, release


@pytest.mark.slow
def test_two_packages_are_released_one_after_the_other_and_too_small_a_step_is_refused(two_packages):
    folder, change, release = two_packages
    status, said = release(CORE)
    assert status == 0, said
    core = folder / "shared" / "core"
    replace(core / "src" / "ninefold" / "errors.py", '"""', '"""Of the core. ')  # a docstring of it stops nobody
    replace(core / "CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n### Fixed\n\n- A word.\n")
    change()
    status, said = release("plain-words")
    assert status == 0, said
    replace(core / "pyproject.toml", 'version = "0.3.0"', 'version = "0.3.1"')
    change()
    status, said = release(CORE)  # a second time, compared with the first
    assert status == 0, said
    wheels = {wheel.name.split("-py3")[0] for wheel in (folder / "dist" / "index").glob("*.whl")}
    assert wheels == {"ninefold_core-0.3.0", "ninefold_core-0.3.1", "ninefold_plain_words-0.1.0"}
    assert len(list((folder / "dist" / "index").glob("*.tar.gz"))) == 3
    status, said = release("plain-words", "--dry-run")
    assert (status, "plain-words-v0.1.0 is there already; raise the version" in said) == (1, True), said

    change(pyproject=("0.1.0", "0.1.1"))
    status, said = release("plain-words", "--dry-run")
    assert (status, "nothing under `## Unreleased`" in said) == (1, True), said
    change(CHANGELOG=("## Unreleased\n", "## Unreleased\n\n### Changed\n\n- `count` takes `most`.\n"))
    change(_count=("least: int = 1", "most: int"))
    status, said = release("plain-words", "--dry-run")
    assert status == 1
    assert "0.1.0 to 0.1.1 is too small: this needs a minor step" in said
    assert "count(least)" in said
    change(
        _count=("most: int", "least: int = 1"), __init__=('{"count": "_count"}', '{"count": "_count", "CUT": "_count"}')
    )
    change(__init__=("count as count", "CUT as CUT, count as count"), _count=("def ", "CUT = 3\n\n\ndef "))
    status, said = release("plain-words", "--dry-run")
    assert (status, "needs a minor step\n  plain_words.CUT: new" in said) == (1, True), said

    change(pyproject=("0.1.1", "0.2.0"))
    status, said = release("plain-words", "--dry-run")
    assert (status, said.splitlines()[-1]) == (0, "plain-words-v0.2.0 could be released; nothing was written"), said
