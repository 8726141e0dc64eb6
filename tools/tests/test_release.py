"""When a release is refused, and what it writes into the changelog."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import sys

import pytest
from release import dated
from sample import filled_in
from workspace import CORE, ROOT, ToolError, find

DAY = datetime.date(2026, 3, 1)


def test_notes_go_under_the_version_and_unreleased_is_empty_again():
    before = "# Changelog\n\n## Unreleased\n\n- New: a verb.\n\n## 0.1.0 (2026-01-01)\n\n- First.\n"
    after, notes = dated(before, "0.2.0", DAY)
    assert notes == "- New: a verb."
    assert after == (
        "# Changelog\n\n## Unreleased\n\n## 0.2.0 (2026-03-01)\n\n- New: a verb.\n\n## 0.1.0 (2026-01-01)\n\n- First.\n"
    )
    with pytest.raises(ToolError, match="nothing under"):
        dated(after, "0.3.0", DAY)


@pytest.mark.parametrize(
    "text", ["", "# Changelog\n", "# Changelog\n\n## Unreleased\n", "## Unreleased\n\n## 0.1.0\n\n- x\n"]
)
def test_changelog_without_news_is_refused(text):
    with pytest.raises(ToolError, match="nothing under"):
        dated(text, "0.2.0", DAY)


@pytest.fixture
def repository(tmp_path):
    """A committed repository with the tools and the core, and a function that runs git or the release in it."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__", "tests"))
    shutil.copytree(ROOT / "shared", tmp_path / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "packages" / "bright-idea"
    shutil.copytree(ROOT / "tools" / "template", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (one for one in folder.rglob("*") if one.suffix in {".py", ".md", ".toml"}):
        file.write_text(filled_in(file.read_text(), "bright-idea"))
    (folder / "src" / "template_package").rename(folder / "src" / "bright_idea")
    (tmp_path / ".gitignore").write_text("__pycache__/\n")

    def call(*words):
        program = [sys.executable, tmp_path / "tools" / "release.py"] if words[0] == "release" else ["git"]
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
    call("tag", "ninefold-core-v0.2.0")
    done = call("release", "ninefold-core", "--dry-run")
    assert done.returncode == 1
    assert "ninefold-core-v0.2.0 is there already" in done.stderr


def test_release_without_news_is_refused_and_leaves_the_tree_clean(repository):
    folder, call = repository
    (folder / "shared" / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
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
    assert "is not released" in done.stderr
    call("tag", f"{CORE}-v{find(CORE).version}")
    (folder / "shared" / "src" / "ninefold" / "errors.py").write_text("")
    call("commit", "-qam", "the core changes")
    done = call("release", "bright-idea", "--dry-run")
    assert done.returncode == 1
    assert "has changed since" in done.stderr
