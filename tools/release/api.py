"""The public API of a package beside that of its last release, and the step of the version that the difference needs.

    uv run python tools/release/api.py tswitch                # against its last tag
    uv run python tools/release/api.py tswitch --index dist   # or the newest wheel of it in a folder, if that is newer

The last release is read from its git tag or its wheel; no code of it runs. Public is what `import NAME` offers, with
the public members of its classes and modules; of the core its public modules, too.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

import griffe
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from workspace import CORE, ROOT, Package, ToolError, exit_with, find, run

STEPS = ("patch", "minor", "major")
_IGNORED = {griffe.BreakageKind.ATTRIBUTE_CHANGED_VALUE}  # such as a table of rivals that grows


@dataclass(frozen=True)
class LastRelease:
    """The newest release there is: its version, and the zip that holds its source below `prefix`."""

    version: Version
    archive: Path
    prefix: str


@dataclass(frozen=True)
class Difference:
    """What changed in a public API since `version`."""

    version: Version
    breaking: list[str]
    added: list[str]

    @property
    def step(self) -> str:
        """The least step of the version: below 1.0 a minor step may break."""
        if self.breaking:
            return "minor" if self.version.major == 0 else "major"
        return "minor" if self.added else "patch"


def last_release(package: Package, scratch: Path, index: Path | None = None, prefix: str = "") -> LastRelease | None:
    """The newest release of a package by its git tags and, in `index`, its wheels; None before the first."""
    found = []
    for tag in run("git", "tag", "--list", f"{package.name}-v*").split():
        version = Version(tag.removeprefix(f"{package.name}-v"))
        source = package.source.parent.relative_to(ROOT).as_posix()
        found.append((version, tag, source))
    for wheel in sorted(index.glob("*.whl")) if index else ():
        name, version, *_ = parse_wheel_filename(wheel.name)
        if name == canonicalize_name(prefix + package.name.removeprefix(prefix)):
            found.append((version, wheel, ""))
    if not found:
        return None
    version, where, source = max(found, key=lambda one: one[0])
    if isinstance(where, Path):
        return LastRelease(version, where, source)
    archive = scratch / f"{where}.zip"
    run("git", "archive", "--format=zip", "-o", archive, where, "--", source)
    return LastRelease(version, archive, source)


def difference(package: Package, last: LastRelease, scratch: Path) -> Difference:
    """What changed in a package's public API since its last release."""
    folder = scratch / "last"
    with zipfile.ZipFile(last.archive) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(last.prefix)])
    old, new = (_loaded(where, package) for where in (folder / last.prefix, package.source.parent))
    breaking = [one for one in griffe.find_breaking_changes(old, new) if one.kind not in _IGNORED]
    told = [_told(one, folder, package) for one in breaking]
    return Difference(last.version, told, sorted(set(_public(new)) - set(_public(old))))


def refuse_small_step(version: Version, found: Difference) -> None:
    """ToolError if the version's step from the last release is smaller than the difference needs."""
    if version <= found.version:
        raise ToolError(f"{version} is not above {found.version}, the last release; raise the version")
    if STEPS.index(_step(found.version, version)) < STEPS.index(found.step):
        changes = [*found.breaking, *(f"{name}: new" for name in found.added)]
        shown = "\n  ".join([*changes[:10], *([f"and {len(changes) - 10} more"] if len(changes) > 10 else [])])
        raise ToolError(f"{found.version} to {version} is too small: this needs a {found.step} step\n  {shown}")


def _step(old: Version, new: Version) -> str:
    return "major" if new.major > old.major else "minor" if (new.major, new.minor) > (old.major, old.minor) else "patch"


def _loaded(folder: Path, package: Package) -> griffe.Module:
    """A package as griffe reads it, with what its face imports from itself as its public names."""
    name = package.import_name
    module = griffe.load(name, search_paths=[folder], try_relative_path=False, allow_inspection=False)
    if not isinstance(module, griffe.Module):
        raise ToolError(f"{name} is no package in {folder}")
    public = {str(export) for export in module.exports or ()}
    _without_foreign(module)
    for member in module.members.values():
        own = member.is_alias and getattr(member, "target_path", "").startswith(f"{name}.")
        if own or (package.name == CORE and member.is_module and not member.name.startswith("_")):
            public.add(member.name)
    module.exports = [*sorted(public | {"__version__"})]
    return module


def _without_foreign(module: griffe.Module) -> None:
    """Take out of a module, and of those below it, the names that it has from other packages: griffe cannot follow
    these, and they are no part of what the module offers."""
    for name, member in list(module.members.items()):
        if member.is_alias:
            if member.target_path.split(".")[0] != module.package.name:  # type: ignore[union-attr]
                module.del_member(name)
        elif isinstance(member, griffe.Module):
            _without_foreign(member)


def _public(module: griffe.Module) -> Iterator[str]:
    """Dotted paths of the public names of a face, and of the public members of its classes and modules."""
    for name in module.exports or ():
        member = module.members.get(str(name))
        if member is not None:
            yield f"{module.name}.{name}"
            if member.is_class or member.is_module:
                yield from (f"{module.name}.{name}.{one.name}" for one in member.members.values() if one.is_public)


def _told(one: griffe.Breakage, folder: Path, package: Package) -> str:
    """A breaking change in one line, without colours and folders."""
    text = re.sub(r"\x1b\[\d+m", "", one.explain(griffe.ExplanationStyle.ONE_LINE))
    text = text.replace(f"{folder}/", "").replace(f"{package.source.parent.relative_to(ROOT)}/", "")
    return " ".join(text.split())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="the package, e.g. tswitch or ninefold-core")
    parser.add_argument("--index", type=Path, help="a folder with wheels that were released")
    options = parser.parse_args()
    try:
        package = find(options.name)
        with tempfile.TemporaryDirectory(prefix="ninefold-api-") as scratch:
            last = last_release(package, Path(scratch), options.index)
            if last is None:
                print(f"{package.name} has no release yet")
                return 0
            found = difference(package, last, Path(scratch))
        for line in (*found.breaking, *(f"{name}: new" for name in found.added)):
            print(line)
        counts = f"{len(found.breaking)} breaking, {len(found.added)} new"
        print(f"since {found.version}: {counts}; a {found.step} step at least")
    except ToolError as error:
        return exit_with(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
