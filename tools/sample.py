"""Find what is left in a package of the sample that `new_package` made it from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workspace import ROOT, Package

TEMPLATE = ROOT / "tools" / "scaffold" / "template"
_SUBJECT = ("stein", "shrink", "sample mean", "sample median", "an example", "normal_means", "squared error")


def filled_in(text: str, name: str) -> str:
    """A file of the template under a package's name."""
    return text.replace("template_package", name.replace("-", "_")).replace("template-package", name)


def sample_text(package: Package) -> Iterator[str]:
    """`file:line: text` for each line of a package that speaks of the template's subject in the template's words."""
    lines: set[str] = set()
    for source in _texts(TEMPLATE):
        for line in filled_in(source.read_text(encoding="utf-8"), package.name).splitlines():
            if any(word in line.lower() for word in _SUBJECT):
                lines.add(_bare(line))
    for file in _texts(package.folder):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if _bare(line) in lines:
                yield f"{file.relative_to(package.folder)}:{number}: {line.strip()}"


def _texts(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.suffix in {".py", ".md", ".toml"} and file.is_file() and ".venv" not in file.parts:
            yield file


def _bare(line: str) -> str:
    return " ".join(line.split())
