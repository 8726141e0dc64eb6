"""A package as `new_package` makes it passes all that .ci/run asks of it, and with a fault in it, it does not.

It stands in a copy of the workspace. It takes minutes: `uv run pytest` leaves it out by its name, .ci/run names it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from venvs import share_compiled
from workspace import ROOT, environment


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy of the workspace with a new package `bright-idea`, and a function that runs a command in it."""
    copy = tmp_path_factory.mktemp("made") / "workspace"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    if (ROOT / "uv.lock").exists():  # saves the resolution
        shutil.copy(ROOT / "uv.lock", copy)
    env = environment({"UV_PYTHON": sys.executable})

    def run(*command):
        return subprocess.run(
            ["uv", "run", "--quiet", *command], cwd=copy, env=env, capture_output=True, text=True, check=False
        )

    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    assert run("python", "-c", "").returncode == 0  # the environment of a checkout, which is there before
    share_compiled(copy / ".venv")
    done = run("python", "tools/scaffold/new_package.py", "bright-idea", "--without-torch")
    assert done.returncode == 0, done.stderr
    yield copy, run
    shutil.rmtree(copy)


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["basedpyright", "packages/bright-idea/src"],
        ["python", "tools/check/contracts.py"],
        ["python", "tools/check/rooms.py", "bright-idea"],
        ["python", "tools/check/examples.py", "bright-idea"],
        ["python", "tools/docs/scoreboard.py", "--check", "bright-idea"],
        ["python", "-m", "pytest", "-q", "packages/bright-idea"],
        ["python", "-m", "pytest", "-q", "tools/tests/test_workspace.py", "-k", "bright-idea and not sample"],
    ],
    ids=" ".join,
)
def test_new_package_passes(made, command):
    _, run = made
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "message"), [("bright-idea", "is there already"), ("Bright_Idea", "no package name")])
def test_bad_name_is_refused(made, name, message):
    _, run = made
    done = run("python", "tools/scaffold/new_package.py", name)
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("place", "fault", "command"),
    [
        ("src/bright_idea/shrinkage/_formula.py", "import os\n", ["ruff", "check"]),
        ("src/bright_idea/shrinkage/_formula.py", "x=1\n", ["ruff", "format", "--check"]),
        ("src/bright_idea/shrinkage/_formula.py", 'WRONG: int = "a"\n', ["basedpyright", "packages/bright-idea/src"]),
        ("src/bright_idea/shrinkage/_formula.py", "import torch\n", ["python", "tools/check/contracts.py"]),
        ("src/bright_idea/shrinkage/_formula.py", "import tswitch\n", ["python", "tools/check/contracts.py"]),
        ("src/bright_idea/datasets.py", "from bright_idea import demo\n", ["python", "tools/check/contracts.py"]),
        (
            "src/bright_idea/shrinkage/_formula.py",
            "import tomlkit\n",
            ["python", "tools/release/isolated.py", "bright-idea", "--no-tests"],
        ),
        ("src/bright_idea/_stray.py", '"""Stray."""\n', ["python", "tools/check/rooms.py", "bright-idea"]),
        ("README.md", "", ["python", "tools/docs/scoreboard.py", "--check", "bright-idea"]),
        (
            "tests/test_cli.py",
            "def test_that_fails(): assert False\n",
            ["python", "-m", "pytest", "packages/bright-idea", "-k", "that_fails"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_fault_is_found(made, place, fault, command):
    copy, run = made
    file = copy / "packages" / "bright-idea" / place
    before = file.read_text(encoding="utf-8") if file.exists() else None
    after = (
        before.replace("| **not run** |", "| **1 of 1 met** |").replace("| not run |", "| 1 of 1 met |")
        if place == "README.md"
        else (before or "") + fault
    )
    assert after != before
    file.write_text(after, encoding="utf-8")
    try:
        done = run(*command)
    finally:
        file.unlink() if before is None else file.write_text(before, encoding="utf-8")
    assert done.returncode == 1, done.stdout + done.stderr


def test_sample_is_found_until_it_is_written_over(made):
    _, run = made
    done = run("python", "-m", "pytest", "-q", "tools/tests/test_workspace.py", "-k", "bright-idea and sample")
    assert done.returncode == 1
    assert "shrinkage/_formula.py" in done.stdout


def test_package_is_taken_away_again(made):
    copy, run = made
    before = (copy / "pyproject.toml").read_text(encoding="utf-8")
    made_second = run("python", "tools/scaffold/new_package.py", "second-idea")
    assert made_second.returncode == 0, made_second.stderr
    kept = run("python", "tools/scaffold/new_package.py", "second-idea", "--remove")
    assert kept.returncode == 1
    assert "--discard" in kept.stderr
    done = run("python", "tools/scaffold/new_package.py", "second-idea", "--remove", "--discard")
    assert done.returncode == 0, done.stderr
    assert not (copy / "packages" / "second-idea").exists()
    assert (copy / "pyproject.toml").read_text(encoding="utf-8") == before
    assert "second-idea" not in (copy / "README.md").read_text(encoding="utf-8")
