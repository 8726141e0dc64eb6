"""Wheels of the packages: built, under a publisher's prefix if wanted, and checked for what is in them."""

from __future__ import annotations

import fcntl
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from workspace import Package, ToolError, members, run

LIBRARIES = {".so", ".dylib", ".dll"}
ACCEPTED = re.compile(
    r"any|(manylinux|musllinux)_\d+_\d+_\w+|manylinux(1|2010|2014)_\w+|macosx_\d+_\d+_\w+|win(32|_amd64|_arm64)"
)


@dataclass(frozen=True)
class Wheel:
    """A built wheel and the name of the distribution in it."""

    name: str
    path: Path


def prefixed(name: str, prefix: str) -> str:
    """The distribution name under a publisher's prefix; a name that has the prefix already keeps it once."""
    return name if name.startswith(prefix) else prefix + name


def refuse_platform(wheel: Path) -> None:
    """Refuse a wheel whose platform tag the public index refuses, such as the `linux_x86_64` of a local build."""
    *_, tags = parse_wheel_filename(wheel.name)
    if refused := sorted(tag.platform for tag in tags if not ACCEPTED.fullmatch(tag.platform)):
        raise ToolError(
            f"{wheel.name}: an index refuses {', '.join(refused)}; build with --target, or without the library"
        )


def build(
    package: Package, out: Path, *, prefix: str = "", sdist: bool = False, target: str = "", pure: bool = False
) -> Wheel:
    """Build one package's wheel into `out` and check what is in it.

    Args:
        package: what to build; from its folder as it is, or with `prefix` from a renamed copy.
        out: a folder without another wheel of the package.
        prefix: put before the names of the distribution and the core, not before import names.
        sdist: build the sdist too, and the wheel from it, as an index's users get it.
        target: another system than this one, as the package's build hook calls it: it reads `<IMPORT NAME>_TARGET`.
        pure: without the library that the build hook compiles: it reads `<IMPORT NAME>_PURE`.
    """
    with tempfile.TemporaryDirectory(prefix="ninefold-build-") as scratch:
        folder = renamed_copy(package, Path(scratch), prefix) if prefix else package.folder
        words = ["uv", "build", "--quiet", *([] if sdist else ["--wheel"]), "--out-dir", out, folder]
        of = package.import_name.upper()
        run(*words, env={f"{of}_TARGET": target or None, f"{of}_PURE": "1" if pure else None})
    name = prefixed(package.name, prefix)
    (path,) = out.glob(f"{canonicalize_name(name).replace('-', '_')}-*.whl")
    check_contents(path, package)
    if target and path.name.endswith("-none-any.whl"):
        raise ToolError(f"{path.name} is for any system: {package.name} builds nothing for {target}")
    return Wheel(name, path)


def built(package: Package, dist: Path) -> Wheel:
    """The package's wheel, in a folder of its own below `dist`; who needs it first builds it, others wait for it."""
    out = dist / package.name
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = list(out.glob("*.whl"))
        return Wheel(package.name, found[0]) if found else build(package, out)


def renamed_copy(package: Package, scratch: Path, prefix: str) -> Path:
    """A copy of the package's files under git's eyes, its pyproject written for the prefixed names."""
    folder = scratch / package.folder.name
    for file in _files_of(package.folder):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package.folder / file, folder / file)
    settings = tomlkit.parse((folder / "pyproject.toml").read_text(encoding="utf-8"))
    put_prefix(settings, prefix)
    (folder / "pyproject.toml").write_text(tomlkit.dumps(settings), encoding="utf-8")
    return folder


def put_prefix(settings: Any, prefix: str) -> None:
    """Put `prefix` before the workspace's distribution names in a pyproject: its own, and those it depends on."""
    ours = {canonicalize_name(name) for name in members()}

    def renamed(line: str) -> str:
        wanted = Requirement(line)
        if canonicalize_name(wanted.name) not in ours:
            return line
        wanted.name = prefixed(wanted.name, prefix)
        return str(wanted)

    project = settings["project"]
    project["name"] = prefixed(project["name"], prefix)
    for lines in (
        project.get("dependencies", []),
        *project.get("optional-dependencies", {}).values(),
        *settings.get("dependency-groups", {}).values(),
    ):
        for index, line in enumerate(lines):
            lines[index] = renamed(line)


def check_contents(wheel: Path, package: Package) -> None:
    """Refuse a wheel that lacks the licence or one of the package's source files, or holds anything else.

    hatchling leaves out what .gitignore matches, even files that git tracks; a stray file in `src` would go in.
    """
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    if not any(name.endswith("/licenses/LICENSE") for name in metadata):
        raise ToolError(f"{wheel.name} has no LICENSE")
    expected = {f"{package.import_name}/{name}" for name in _files_of(package.source)}
    if not wheel.name.endswith("-none-any.whl"):  # with a library that its build hook compiled
        names = {name for name in names if Path(name).suffix not in LIBRARIES}
    for problem, wrong in (
        ("lacks", expected - names),
        ("holds what is no source file", names - metadata - expected),
    ):
        if wrong:
            raise ToolError(f"{wheel.name} {problem}: {', '.join(sorted(wrong)[:5])} ({len(wrong)} in all)")


def _files_of(folder: Path) -> list[str]:
    """Files of a folder that git has or would add, relative to it."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=folder).splitlines()
    return [name for name in listed if (folder / name).is_file()]
