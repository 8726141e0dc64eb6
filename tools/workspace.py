"""The workspace as the tools see it: its packages, what their pyproject files say, and how commands are run in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CORE = "ninefold-core"


class ToolError(Exception):
    """Something the person at the keyboard has to mend; printed as one line."""


@dataclass(frozen=True)
class Package:
    """One member of the workspace, read from its pyproject.toml."""

    folder: Path

    @cached_property
    def settings(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text(encoding="utf-8"))

    @property
    def name(self) -> str:
        """Name of the distribution."""
        return self.settings["project"]["name"]

    @property
    def version(self) -> str:
        return self.settings["project"]["version"]

    @property
    def source(self) -> Path:
        """The folder that is imported, e.g. packages/tswitch/src/tswitch."""
        (source,) = self.settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        return self.folder / source

    @property
    def import_name(self) -> str:
        return self.source.name

    @property
    def scripts(self) -> list[str]:
        return list(self.settings["project"].get("scripts", {}))

    @property
    def systems(self) -> list[str]:
        """The names under which `ninefold demo` knows this package."""
        return list(self.settings["project"].get("entry-points", {}).get("ninefold.systems", {}))

    @property
    def test_group(self) -> list[str]:
        """Requirements of the dependency group `test`."""
        return self.settings.get("dependency-groups", {}).get("test", [])


def packages(root: Path = ROOT) -> dict[str, Package]:
    """The nine packages by distribution name."""
    folders = sorted(file.parent for file in (root / "packages").glob("*/pyproject.toml"))
    return {package.name: package for package in map(Package, folders)}


def shared(root: Path = ROOT) -> dict[str, Package]:
    """What the packages stand on, by distribution name, the core first."""
    folders = sorted(file.parent for file in (root / "shared").glob("*/pyproject.toml"))
    return {package.name: package for package in map(Package, folders)}


def members(root: Path = ROOT) -> dict[str, Package]:
    """All members of the workspace by distribution name: the shared ones, the core first, then the packages."""
    return {**shared(root), **packages(root)}


def below(package: Package, root: Path = ROOT, extra: Iterable[str] = ()) -> list[Package]:
    """The members that a package needs at run time, and with the requirements `extra`; itself left out."""
    known, found = members(root), {}
    queue = [*package.settings["project"].get("dependencies", []), *extra]
    while queue:
        name = canonicalize_name(Requirement(queue.pop()).name)
        if name in known and name not in found and name != package.name:
            found[name] = known[name]
            queue += known[name].settings["project"].get("dependencies", [])
    return list(found.values())


def find(name: str, root: Path = ROOT) -> Package:
    """The member of that distribution name."""
    known = members(root)
    if name not in known:
        raise ToolError(f"no package {name!r} here; there are {', '.join(known)}")
    return known[name]


def root_settings(root: Path = ROOT) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str | None] | None = None) -> str:
    """Run a command and return its standard output.

    Args:
        command: program and arguments; no shell.
        cwd: where it runs.
        env: what it sees otherwise than this process; None takes a variable away.
    Raises:
        ToolError: with the command and all it printed, if it fails.
    """
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment(env), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join(part.rstrip() for part in (done.stdout, done.stderr) if part.strip())
        raise ToolError(f"`{' '.join(map(str, command))}` failed with status {done.returncode}:\n{said}")
    return done.stdout


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """This process's environment without what belongs to its own Python, with `changes`; None takes a variable away.

    Nor does it forbid compiled files: each program would compile all it imports anew, torch in ten seconds.
    """
    own = dict.fromkeys(
        ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "PYTHONPATH", "PYTEST_ADDOPTS", "PYTHONDONTWRITEBYTECODE")
    )
    merged = {**os.environ, **own, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not None}


def exit_with(error: ToolError) -> int:
    """Print the error as the tool's last word; returns the exit status."""
    print(f"error: {error}", file=sys.stderr)
    return 1
