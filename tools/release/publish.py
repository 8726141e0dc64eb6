"""Build the files that a tag publishes, under names that can be installed: `ninefold-NAME`, as the index gets them.

    uv run python tools/release/publish.py tswitch-v0.2.0 --out dist
    uv run python tools/release/publish.py bnn-fsg-v0.3.0 --out dist --no-targets    # without the compiled wheels

The tag has to be of the version in its own pyproject.toml. A package that compiles a library gets a wheel for each of
the systems that its build hook knows and an index accepts, and one for any system. Nothing is uploaded: the workflow
`publish.yml` does that, by the index's trusted publishing, from the folder that this fills.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from wheels import build, refuse_platform
from workspace import ROOT, Package, ToolError, exit_with, find, run

PREFIX = "ninefold-"


def published(tag: str, out: Path, *, targets: bool = True) -> list[Path]:
    """Build what `tag` publishes into the folder `out`: the sdist, and each wheel.

    Raises:
        ToolError: if there is no such tag, if it is of another version, or if an index would refuse a file.
    """
    name, _, version = tag.rpartition("-v")
    folder = find(name).folder.relative_to(ROOT)
    if not run("git", "tag", "--list", tag):
        raise ToolError(f"there is no tag {tag}")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ninefold-publish-") as scratch:
        archive = Path(scratch, "source.tar")
        run("git", "archive", "-o", archive, tag, "--", folder)
        run("tar", "-xf", archive, "-C", scratch)
        run("git", "init", "--quiet", cwd=Path(scratch))  # `build` takes the files that git sees
        package = Package(Path(scratch) / folder)
        if package.version != version:
            raise ToolError(f"{tag} is a tag of version {package.version}")
        before = set(out.iterdir())
        build(package, out, prefix=PREFIX, sdist=True, pure=compiles(package))
        for target in systems(package) if targets else ():
            (wheel,) = (build(package, Path(scratch) / target, prefix=PREFIX, target=target).path,)
            wheel.rename(out / wheel.name)
    made = sorted(file for file in set(out.iterdir()) - before if file.suffix in {".whl", ".gz"})
    (out / ".gitignore").unlink(missing_ok=True)  # of `uv build`
    for wheel in (file for file in made if file.suffix == ".whl"):
        refuse_platform(wheel)
    run(sys.executable, "-m", "twine", "check", "--strict", *made)
    return made


def compiles(package: Package) -> bool:
    """Whether a build hook of the package compiles a library."""
    return (package.folder / "hatch_build.py").is_file()


def systems(package: Package) -> list[str]:
    """The other systems for which a package's build hook compiles."""
    if not compiles(package):
        return []
    text = (package.folder / "hatch_build.py").read_text(encoding="utf-8")
    return re.findall(r'^    "([\w.-]+)": "(?:manylinux|macosx|win)', text, re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tag", help="such as tswitch-v0.2.0")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder that gets the files")
    parser.add_argument("--no-targets", action="store_true", help="no wheels for single systems")
    options = parser.parse_args()
    try:
        for file in published(options.tag, options.out, targets=not options.no_targets):
            print(file.name)
    except ToolError as error:
        return exit_with(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
