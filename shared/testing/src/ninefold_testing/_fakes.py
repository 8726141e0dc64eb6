"""What several of the core's tests need."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path


def install(
    folder: Path, distribution: str, *, version: str = "1.2.3", entry_points: str = "", record: str = ""
) -> None:
    """Make `folder`, once on sys.path, look as if a distribution were installed in it."""
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(entry_points))
    (info / "RECORD").write_text(record)


def module(folder: Path, name: str, text: str) -> Path:
    """Write `folder/name.py` (a dotted name: in packages, made with it)."""
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    for parent in path.relative_to(folder).parents:
        if parent.name and not (folder / parent / "__init__.py").exists():
            (folder / parent / "__init__.py").write_text("")
    path.write_text(textwrap.dedent(text))
    return path


def start(code: str, *words: object) -> subprocess.Popen[str]:
    """Run python code beside the test; returns once it has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, words)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline(), "the process ended before it was ready"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and wait for the end."""
    process.kill()
    process.communicate()
