"""Clean environments to try the wheels in. Everything of ours is installed by file path: by name, the public index's
unrelated projects (`tswitch`, `proteus`, ...) would win."""

from __future__ import annotations

import contextlib
import email
import json
import os
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import tomlkit
from packaging.requirements import Requirement
from wheels import Wheel
from workspace import Package, ToolError, environment, root_settings, run

UV_SETTINGS = ("exclude-newer", "override-dependencies", "constraint-dependencies")
PROVENANCE = """
import importlib, importlib.metadata as metadata, json, sys
distribution, module = sys.argv[1:]
found = metadata.distribution(distribution)
print(json.dumps({
    "url": json.loads(found.read_text("direct_url.json") or "{}").get("url"),
    "version": found.version,
    "file": importlib.import_module(module).__file__,
    "distributions": metadata.packages_distributions()[module],
}))
"""

DEMO = """
import json, sys
from ninefold.demo import show_demo
from ninefold.errors import NinefoldError
from ninefold.systems import choose
try:
    print(json.dumps({"cells": show_demo(choose(sys.argv[1:])[0], 0).cells}))
except NinefoldError as error:
    sys.exit(f"error: {error}")
"""


class Venv:
    """A clean virtual environment in a folder of its own, on this interpreter's Python unless another is named."""

    def __init__(self, folder: Path, *, lowest: bool = False, python: str = sys.executable) -> None:
        """Make it in `folder`; with `lowest` it takes the lowest versions that what is installed asks for itself.

        Args:
            folder: where it lies, with all that is installed.
            lowest: the lowest direct versions in place of the newest ones.
            python: an interpreter, or a version such as "3.13" that is installed; nothing is downloaded.
        """
        self.folder, self.bin = folder, folder / "venv" / "bin"
        self._resolution = ["--resolution", "lowest-direct"] if lowest else []
        folder.mkdir(parents=True)
        settings = root_settings()["tool"]["uv"]  # uv itself reads them only inside the workspace
        kept = {name: settings[name] for name in UV_SETTINGS if name in settings}
        (folder / "uv.toml").write_text(
            tomlkit.dumps(kept), encoding="utf-8"
        )  # uv reads the workspace's only inside it
        run("uv", "venv", "--quiet", "--no-python-downloads", "--python", python, folder / "venv", cwd=folder)

    def install(self, requirements: Iterable[str], wheels: Iterable[Wheel]) -> None:
        """Install requirements; those that name the distribution of one of `wheels` take that file, extras kept."""
        wheels = list(wheels)
        paths = {wheel.name: wheel.path for wheel in wheels}
        lines = []
        for line in requirements:
            wanted = Requirement(line)
            if wanted.name in paths:
                extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
                line = f"{wanted.name}{extras} @ {paths[wanted.name].as_uri()}"
            lines.append(line)
        if self._resolution:  # what a wheel asks for is direct only if it is asked for here
            lines += [line for wheel in wheels for line in _asked(wheel) if Requirement(line).name not in paths]
        run(
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            self.bin / "python",
            *self._resolution,
            *lines,
            cwd=self.folder,
        )
        share_compiled(self.folder / "venv")

    @property
    def environment(self) -> dict[str, str]:
        """The variables its programs see: its own commands first, no real data, an empty cache."""
        path = f"{self.bin}:{environment()['PATH']}"
        return environment({"PATH": path, "NINEFOLD_DATA": None, "NINEFOLD_CACHE": str(self.folder / "cache")})

    def run(self, program: str, *arguments: str | Path) -> str:
        """Run one of the environment's programs outside the tree; returns what it printed."""
        return run(self.bin / program, *arguments, cwd=self.folder, env=self.environment)

    def check_origin(self, wheel: Wheel, import_name: str) -> None:
        """Refuse unless `import_name` is brought by this wheel, and by nothing else."""
        found = json.loads(self.run("python", "-I", "-c", PROVENANCE, wheel.name, import_name))
        if found["url"] != wheel.path.as_uri():
            raise ToolError(f"{wheel.name} {found['version']} came from {found['url'] or 'an index'}, not {wheel.path}")
        if not Path(found["file"]).is_relative_to(self.folder):
            raise ToolError(f"{import_name} was imported from {found['file']}, outside the clean environment")
        if found["distributions"] != [wheel.name]:
            raise ToolError(f"{import_name} is brought by {found['distributions']}, not by {wheel.name} alone")


def share_compiled(venv: Path) -> None:
    """Link into an environment what this one has compiled of the very files that both have, as uv links them.

    To compile torch alone takes eight seconds in each new environment. Where uv copies files, nothing is shared.
    """
    here = Path(sysconfig.get_path("purelib"))
    for there in venv.glob(f"lib/{here.parent.name}/site-packages"):  # none in an environment of another Python
        for library in (one for one in there.iterdir() if one.is_dir()):
            for cache in (here / library.name).rglob("__pycache__"):
                target = there / cache.relative_to(here)
                if target.parent.is_dir():
                    target.mkdir(exist_ok=True)
                    for file in cache.iterdir():
                        source = f"{file.name.split('.')[0]}.py"
                        with contextlib.suppress(OSError):  # no such source, or it is compiled there already
                            if (cache.parent / source).samefile(target.parent / source):
                                os.link(file, target / file.name)


def _asked(wheel: Wheel) -> list[str]:
    """The requirements of a wheel's own metadata, without those of its extras."""
    with zipfile.ZipFile(wheel.path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        headers = email.message_from_bytes(archive.read(name))
    lines = headers.get_all("Requires-Dist", [])
    return [line for line in lines if "extra ==" not in line]


def has_python(version: str) -> bool:
    """Whether uv finds that version of Python on this machine."""
    try:
        run("uv", "python", "find", "--no-python-downloads", "--system", version)
    except ToolError:
        return False
    return True


def smoke(venv: Venv, package: Package, wheel: Wheel, floors: Mapping[str, Wheel]) -> None:
    """Install a package and ours below it, with what they declare; check origins, import, ask its commands for help.

    Args:
        venv: a clean environment.
        package: what is tried.
        wheel: its wheel.
        floors: the wheels of ours that it stands on, by import name.
    """
    venv.install([one.name for one in (wheel, *floors.values())], [wheel, *floors.values()])
    venv.check_origin(wheel, package.import_name)
    for name, floor in floors.items():
        venv.check_origin(floor, name)
    for script in package.scripts:
        venv.run(script, "--help")
        version = venv.run(script, "--version")
        if package.version not in version:
            raise ToolError(f"{script} --version says {version.strip()!r}, the package is {package.version}")


def demo(venv: Venv, system: str) -> str:
    """Run a system's demo with no data around.

    Returns: "" when it ran; else its line that says which extra to install. Any failure is a ToolError.
    """
    try:
        row = json.loads(venv.run("python", "-c", DEMO, system).splitlines()[-1])
    except ToolError as error:  # a demo alone that lacks an extra ends with the line that brings it
        said = str(error).splitlines()[-1]
        if "this needs" in said and "pip install" in said:
            return said
        raise
    if not row["cells"][1]:
        raise ToolError(f"the demo of {system} shows nothing: {row['cells']}")
    return ""
