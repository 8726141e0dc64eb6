"""Make the rooms of a new package and enter it in the workspace.

    uv run python tools/scaffold/new_package.py mecoin
    uv run python tools/scaffold/new_package.py proteus --without-torch    # may never import torch (import-linter)
    uv run python tools/scaffold/new_package.py mecoin --remove            # takes it out of the workspace again

What it makes is a small method that works and passes every check, copied from `template`: write yours over it.
A test finds what is left of the sample, and such a package is never released.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

import tomlkit
from sample import TEMPLATE, filled_in
from workspace import ROOT, ToolError, exit_with, find, packages, run


def make(name: str, *, without_torch: bool = False) -> Path:
    """Copy the template to packages/NAME under the new name; returns the folder."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ToolError(f"{name!r} is no package name: lower-case words joined by hyphens, please")
    folder = ROOT / "packages" / name
    if folder.exists():
        raise ToolError(f"packages/{name} is there already")
    for source in sorted(TEMPLATE.rglob("*")):
        if source.is_dir() or "__pycache__" in source.parts:
            continue
        target = folder / filled_in(str(source.relative_to(TEMPLATE)), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(filled_in(source.read_text(encoding="utf-8"), name), encoding="utf-8")
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    if without_torch:
        file = folder / "pyproject.toml"
        settings = tomlkit.parse(file.read_text(encoding="utf-8"))
        tool: Any = settings["tool"]
        tool["ninefold"]["torch-rooms"] = []
        file.write_text(tomlkit.dumps(settings), encoding="utf-8")
    for words in (
        ["check", "--fix", "--select", "I"],
        ["format"],
    ):  # the name changes the order of imports, and lengths
        run(sys.executable, "-m", "ruff", *words, "--quiet", folder)
    return folder


def enter(settings: Any, name: str) -> None:
    """Add a package to the root pyproject's sources, dev group and warnings."""
    settings["tool"]["uv"]["sources"].add(name, tomlkit.value("{ workspace = true }"))
    settings["dependency-groups"]["dev"].insert(1, name)
    settings["dependency-groups"]["dev"].multiline(True)
    warnings = settings["tool"]["pytest"]["ini_options"]["filterwarnings"]
    warnings.append(f"error:::{name.replace('-', '_')}")
    warnings.multiline(True)


def leave(settings: Any, name: str) -> None:
    """Take out of the root pyproject what `enter` put in."""
    settings["tool"]["uv"]["sources"].remove(name)
    module = name.replace("-", "_")
    for lines, wanted in (
        (settings["dependency-groups"]["dev"], rf"{re.escape(name)}(\[.*)?"),
        (settings["tool"]["pytest"]["ini_options"]["filterwarnings"], f"error:::{module}"),
    ):
        for line in [line for line in lines if re.fullmatch(wanted, str(line))]:
            lines.remove(line)


def refuse_changes(folder: Path) -> None:
    """Stop before work is deleted that no commit holds."""
    if run("git", "status", "--porcelain", "--", folder):
        raise ToolError(
            f"{folder.relative_to(ROOT)} has changes that are not committed: commit them, or --discard them"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="the distribution's name, e.g. bnn-fsg (imported as bnn_fsg)")
    parser.add_argument("--without-torch", action="store_true", help="forbid it to import torch")
    parser.add_argument("--remove", action="store_true", help="take the package and its entries away")
    parser.add_argument("--discard", action="store_true", help="with --remove: changes that are not committed, too")
    options = parser.parse_args()
    try:
        pyproject = ROOT / "pyproject.toml"
        settings = tomlkit.parse(pyproject.read_text(encoding="utf-8"))
        if options.remove:
            folder = find(options.name).folder
            leave(settings, options.name)
            if not options.discard:
                refuse_changes(folder)
            shutil.rmtree(folder)
        else:
            folder = make(options.name, without_torch=options.without_torch)
            enter(settings, options.name)
        pyproject.write_text(tomlkit.dumps(settings), encoding="utf-8")
        named = next(iter(packages())) if options.remove else options.name  # rows of the others stay as they are
        run("uv", "run", "--quiet", "python", "tools/docs/scoreboard.py", named)  # installs it, and writes its tables
    except ToolError as error:
        return exit_with(error)
    what = "removed" if options.remove else "made"
    print(f"{what} {folder.relative_to(ROOT)}" + ("" if options.remove else "; write over its method, then: .ci/run"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
