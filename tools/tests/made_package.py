"""A package as `new_package` makes it passes all that .ci/run asks of it, in a copy of the workspace.

It takes a minute, so `uv run pytest` leaves it out by its name, and .ci/run names it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from workspace import ROOT


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A function that runs a command in a copy of the workspace with a new package `bright-idea`."""
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
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")}
    env["UV_PYTHON"] = sys.executable

    def run(*command):
        return subprocess.run(
            ["uv", "run", "--quiet", *command], cwd=copy, env=env, capture_output=True, text=True, check=False
        )

    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    done = run("python", "tools/new_package.py", "bright-idea", "--without-torch")
    assert done.returncode == 0, done.stderr
    yield run
    shutil.rmtree(copy)


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["basedpyright", "packages/bright-idea/src"],
        ["lint-imports", "--no-logo"],
        ["python", "tools/scoreboard.py", "--check"],
        ["python", "-m", "pytest", "-q", "packages/bright-idea"],
        ["python", "-m", "pytest", "-q", "tools/tests/test_workspace.py", "-k", "bright-idea"],
    ],
    ids=" ".join,
)
def test_new_package_passes(made, command):
    done = made(*command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "message"), [("bright-idea", "is there already"), ("Bright_Idea", "no package name")])
def test_bad_name_is_refused(made, name, message):
    done = made("python", "tools/new_package.py", name)
    assert done.returncode == 1
    assert message in done.stderr
