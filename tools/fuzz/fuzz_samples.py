"""Samples of file formats for `tools/fuzz/fuzz.py`: how a reader is stated, and what whole files hold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from workspace import ROOT


@dataclass(frozen=True)
class Reader:
    """A reader of one format; `missing` says that NaN is a value that it may return."""

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    missing: bool = False


def kept(package: str, name: str) -> Callable[[Path], Path]:
    """A copy of a committed sample of a package's tests."""
    source = (
        (ROOT / "shared" / "core" if package == "ninefold" else ROOT / "packages" / package)
        / "tests"
        / "samples"
        / name
    )

    def make(folder: Path) -> Path:
        copy = folder / source.name
        shutil.copytree(source, copy) if source.is_dir() else shutil.copyfile(source, copy)
        return copy

    return make


def text(name: str, content: str) -> Callable[[Path], Path]:
    """A text file."""

    def make(folder: Path) -> Path:
        (folder / name).write_text(content, encoding="utf-8")
        return folder / name

    return make


def texts(**contents: str) -> Callable[[Path], Path]:
    """A folder of text files; `__` in a name stands for its dot."""

    def make(folder: Path) -> Path:
        for name, content in contents.items():
            (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")
        return folder

    return make


def arrays(name: str, **held: Any) -> Callable[[Path], Path]:
    """An .npz file, or of one array an .npy file."""

    def make(folder: Path) -> Path:
        path = folder / name
        np.save(path, next(iter(held.values()))) if path.suffix == ".npy" else np.savez(path, **held)
        return path

    return make


RIG = """cameras:
  - {name: FRONT, size: [450, 800], focal: 600, position: [1.7, 0, 1.5], yaw: 0}
  - {name: LEFT, size: [450, 800], focal: 420, position: [1.0, 0.5, 1.5], yaw: 110, pitch: -3}
lidar: {position: [0.9, 0, 1.8], beams: 32}
"""

GROUPS = (
    "Protein IDs\tMajority protein IDs\tGene names\tRazor + unique peptides\tLFQ intensity a\tLFQ intensity b"
    "\tReverse\tPotential contaminant\tOnly identified by site\n"
) + "".join(
    f"P{row}\tP{row}\tG{row}\t5\t{1000 * row + 7}\t{900 * row + 3}\t{'+' if row == 4 else ''}\t\t\n"
    for row in range(1, 9)
)
MATRIX = "protein,s1,s2,s3\n" + "".join(f"P{row},{20 + row},{21 + row}.25,{22.5 - row / 9:.3f}\n" for row in (1, 2, 3))

FORMS = {
    "movielens": ("u.data", "1\t10\t4\t881250949\n2\t10\t3\t881250950\n2\t11\t5\t881250951\n"),
}
