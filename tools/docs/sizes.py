"""What an installation of one package downloads: the wheels of all its requirements, summed from the lock file.

    uv run python tools/docs/sizes.py            # writes the site's table, and a sentence into each package's README
    uv run python tools/docs/sizes.py --check    # fails if one is off by more than a twentieth, or a bound is broken

Counted for Linux on x86_64 with CPython 3.11, whatever this machine is; a package's own wheel is its compressed source.
PyTorch's CPU build for Linux is in an index of its own, which no lock names: it is counted as large as the wheel for
Windows, which is a CPU build for the same processors.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from ninefold.report import Table
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from scoreboard import with_block
from workspace import ROOT, Package, ToolError, below, exit_with, find, packages, run

MB = 1e6
TABLE = ROOT / "tools" / "docs" / "pages" / "install.md"
BOUND = {"recsys": 250, "proteus": 250}  # MB, and no torch
_TORCH = ("torch", "triton", "nvidia-", "cuda-")
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)] + ["manylinux2014_x86_64", "linux_x86_64"]
_TAGS = [*cpython_tags((3, 11), platforms=_PLATFORMS), *compatible_tags((3, 11), "cp311", _PLATFORMS)]
_RANK = {tag: place for place, tag in enumerate(_TAGS)}
_MACHINE = {
    "python_version": "3.11", "python_full_version": "3.11.9", "implementation_name": "cpython", "os_name": "posix",
    "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
}  # fmt: skip


@dataclass(frozen=True)
class Download:
    """What `pip install NAME[extras]` downloads: bytes by distribution."""

    name: str
    extras: tuple[str, ...]
    parts: dict[str, int]

    @property
    def megabytes(self) -> float:
        return sum(self.parts.values()) / MB

    @property
    def torch_megabytes(self) -> float:
        """PyTorch with the libraries that only it asks for."""
        return sum(size for name, size in self.parts.items() if name.startswith(_TORCH)) / MB

    @property
    def cpu_megabytes(self) -> float:
        """The same with PyTorch's CPU build."""
        return self.megabytes - self.torch_megabytes + (_cpu_torch() / MB if "torch" in self.parts else 0)

    @property
    def label(self) -> str:
        return f"{self.name}[{','.join(self.extras)}]" if self.extras else self.name


def download(package: Package, extras: Sequence[str] = ()) -> Download:
    """The wheels that one package with these extras needs, the core among them."""
    words = [word for extra in extras for word in ("--extra", extra)]
    listed = run(
        "uv", "export", "--frozen", "--quiet", "--package", package.name, "--no-default-groups", "--no-hashes",
        "--no-header", "--no-annotate", "--no-emit-workspace", *words,
    )  # fmt: skip
    parts = {one.name: _own_size(one) for one in (package, *below(package))}
    for line in listed.splitlines():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate(_MACHINE):
            (version,) = [clause.version for clause in wanted.specifier]
            parts[wanted.name] = _wheel_size(canonicalize_name(wanted.name), version)
    return Download(package.name, tuple(extras), parts)


def downloads() -> Iterator[Download]:
    """Each package alone; bnn-fsg, whose training is an extra, with that one, too."""
    for package in packages().values():
        yield download(package)
        if "train" in package.settings["project"]["optional-dependencies"]:
            yield download(package, ["train"])


def table(found: Sequence[Download]) -> Table:
    """One line an installation, as the page `install.md` has it."""
    rows = Table(["installation", "download", "with PyTorch's CPU build"])
    rows.rows = [[f"`{one.label}`", _shown(one.megabytes), _shown(one.cpu_megabytes)] for one in found]
    return rows


def sentence(found: Sequence[Download]) -> str:
    """What a package's own README says: the installation without extras, and each further one of the table."""
    words = []
    for one in found:
        torch = (
            f"{_shown(one.torch_megabytes)} of it PyTorch and CUDA" if one.torch_megabytes else "no PyTorch among it"
        )
        with_extras = f" with the extra `{','.join(one.extras)}`" if one.extras else " in all"
        words.append(f"{_shown(one.megabytes)}{with_extras}, {torch}")
    cpu = _shown(found[-1].cpu_megabytes)
    cuda = f" With PyTorch's CPU build, installed first, about {cpu} (from the wheels' metadata)." * (
        "CUDA" in words[-1]
    )
    return f"To download (Linux, x86_64, CPython 3.11): {'; '.join(words)}.{cuda}"


def readmes(found: Sequence[Download]) -> dict[Path, str]:
    """Every page that states a download, as it should read."""
    texts = {TABLE: with_block(TABLE.read_text(encoding="utf-8"), "sizes", table(found).to_markdown(), TABLE)}
    for name, package in packages().items():
        path = package.folder / "README.md"
        said = sentence([one for one in found if one.name == name])
        texts[path] = with_block(path.read_text(encoding="utf-8"), "download", said, path)
    return texts


def check(found: Sequence[Download], page: str) -> None:
    """ToolError if a bound is broken, or the page's table is off by more than a twentieth."""
    for one in found:
        bound, size = BOUND.get(one.name), _shown(one.megabytes)
        if bound is not None and (one.torch_megabytes or one.megabytes > bound):
            raise ToolError(f"{one.label} downloads {size}; the bound is {bound} MB, none of it PyTorch's")
        row = re.search(rf"^\| `{re.escape(one.label)}` \| (\S+ [MG]B) \|", page, re.MULTILINE)
        if row is None:
            raise ToolError(f"no line for {one.label} in the table of downloads; run tools/docs/sizes.py")
        _refuse_stale(one, row[1], TABLE.name)


def check_own(found: Sequence[Download], readme: str, where: str) -> None:
    """ToolError if the sentence in a package's own README differs from today's in more than a twentieth of a size."""
    said = re.search(r"^To download \(.*$", readme, re.MULTILINE)
    sizes = r"[\d.]+ [MG]B"
    if said is None or re.sub(sizes, "", said[0]) != re.sub(sizes, "", sentence(found)):
        raise ToolError(f"{where} does not say what an installation downloads; run tools/docs/sizes.py")
    totals = re.findall(rf"(?:: |; )({sizes})", said[0])
    for one, total in zip(found, totals, strict=True):
        _refuse_stale(one, total, where)


def _refuse_stale(one: Download, said: str, where: str) -> None:
    number, unit = said.split()
    if abs(float(number) * (1000 if unit == "GB" else 1) - one.megabytes) > 0.05 * one.megabytes:
        raise ToolError(f"{one.label} downloads {_shown(one.megabytes)}, {where} says {said}; run tools/docs/sizes.py")


def _shown(megabytes: float) -> str:
    if not megabytes:
        return "none"
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def _own_size(package: Package) -> int:
    """The size of a package's own wheel, nearly: its source files, each compressed."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=package.source).splitlines()
    files = [package.source / name for name in listed if (package.source / name).is_file()]
    return sum(len(zlib.compress(file.read_bytes(), 6)) for file in files)


@cache
def _locked() -> dict[tuple[str, str], list[dict]]:
    """(name, version) -> wheels, as the lock file lists them."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    return {(one["name"], one.get("version", "")): one.get("wheels", []) for one in lock["package"]}


def _cpu_torch() -> int:
    """Bytes of PyTorch's wheel for Windows, which has no CUDA."""
    wheels = [one for (name, _), listed in _locked().items() if name == "torch" for one in listed]
    return next(one["size"] for one in wheels if "cp311-win_amd64" in one["url"])


def _wheel_size(name: str, version: str) -> int:
    """Bytes of the wheel that an installer takes."""
    ranked = []
    for wheel in _locked()[name, version]:
        *_, tags = parse_wheel_filename(wheel["url"].rsplit("/", 1)[1].replace("%2B", "+"))
        ranks = [_RANK[tag] for tag in tags if tag in _RANK]
        if ranks:
            ranked.append((min(ranks), wheel["size"]))
    if not ranked:
        raise ToolError(f"the lock has no wheel of {name} {version} for Linux on x86_64 and CPython 3.11")
    return min(ranked)[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is off, or a bound broken")
    options = parser.parse_args()
    try:
        found = list(downloads())
        texts = readmes(found)
        for path, text in texts.items():
            if options.check:
                text = path.read_text(encoding="utf-8")
            else:
                path.write_text(text, encoding="utf-8")
            own = [one for one in found if path.parent == find(one.name).folder]
            if own:
                check_own(own, text, str(path.relative_to(ROOT)))
            else:
                check(found, text)
    except ToolError as error:
        return exit_with(error)
    print(table(found).to_terminal())
    return 0


if __name__ == "__main__":
    sys.exit(main())
