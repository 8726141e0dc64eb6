"""Make the rooms of a new package and enter it in the workspace.

    uv run python tools/new_package.py mecoin
    uv run python tools/new_package.py proteus --without-torch    # it may never import torch; import-linter checks

What it makes is a small method that works and passes every check, copied from tools/template: write yours over it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import tomlkit
from workspace import ROOT, ToolError, exit_with, run

TEMPLATE = ROOT / "tools" / "template"
NO_TORCH = "Works without torch"


def make(name: str) -> Path:
    """Copy the template to packages/NAME under the new name; returns the folder."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ToolError(f"{name!r} is no package name: lower-case words joined by hyphens, please")
    folder = ROOT / "packages" / name
    if folder.exists():
        raise ToolError(f"packages/{name} is there already")
    module = name.replace("-", "_")
    for source in sorted(TEMPLATE.rglob("*")):
        if source.is_dir() or "__pycache__" in source.parts:
            continue
        target = folder / str(source.relative_to(TEMPLATE)).replace("template_package", module)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        target.write_text(text.replace("template_package", module).replace("template-package", name), encoding="utf-8")
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    for words in (
        ["check", "--fix", "--select", "I"],
        ["format"],
    ):  # the name changes the order of imports, and lengths
        run(sys.executable, "-m", "ruff", *words, "--quiet", folder)
    return folder


def enter(settings: Any, name: str, *, without_torch: bool) -> None:
    """Add a package to the root pyproject's sources, dev group, warnings and import contracts."""
    module = name.replace("-", "_")
    tool = settings["tool"]
    tool["uv"]["sources"].add(name, tomlkit.value("{ workspace = true }"))
    settings["dependency-groups"]["dev"].insert(1, name)
    settings["dependency-groups"]["dev"].multiline(True)
    tool["pytest"]["ini_options"]["filterwarnings"].append(f"error:::{module}")
    tool["pytest"]["ini_options"]["filterwarnings"].multiline(True)
    linter = tool["importlinter"]
    linter["root_packages"].append(module)
    siblings, inside, commands, ends, *others = linter["contracts"]
    siblings["layers"][0] += f" | {module}"
    inside["containers"].append(module)
    commands["protected_modules"].append(f"{module}.cli")
    ends["protected_modules"].extend([f"{module}.claims", f"{module}.demo"])
    ends["allowed_importers"].extend([f"{module}.cli", f"{module}.claims", f"{module}.demo"])
    if without_torch:
        for contract in others:
            if contract["name"] == NO_TORCH:
                contract["source_modules"].append(module)
                return
        contract = tomlkit.table()
        contract.update({"name": NO_TORCH, "type": "forbidden", "source_modules": [module]})
        contract.update({"forbidden_modules": ["torch"], "allow_indirect_imports": True})  # the core's are lazy
        linter["contracts"].append(contract)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="the distribution's name, e.g. bnn-fsg (imported as bnn_fsg)")
    parser.add_argument("--without-torch", action="store_true", help="forbid it to import torch")
    options = parser.parse_args()
    try:
        folder = make(options.name)
        pyproject = ROOT / "pyproject.toml"
        settings = tomlkit.parse(pyproject.read_text(encoding="utf-8"))
        enter(settings, options.name, without_torch=options.without_torch)
        pyproject.write_text(tomlkit.dumps(settings), encoding="utf-8")
        run("uv", "run", "--quiet", "python", "tools/scoreboard.py")  # installs it, and adds it to the README's tables
    except ToolError as error:
        return exit_with(error)
    print(f"made {folder.relative_to(ROOT)}; write over its method, then: .ci/run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
