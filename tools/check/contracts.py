"""Check imports with import-linter, on contracts made from what each package's pyproject says of its rooms.

    uv run python tools/check/contracts.py           # checks
    uv run python tools/check/contracts.py --show    # prints the contracts

`[tool.ninefold] rooms = [...]` lists a package's rooms, bottom-up; `torch-rooms = [...]`, where it is there, names the
only rooms that may import torch.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

import tomlkit
from rooms import rooms
from workspace import ROOT, Package, ToolError, below, environment, exit_with, find, packages, shared

FLOOR = "ninefold-graphs"
DEVELOPMENT = {"ninefold-lab", "ninefold-testing"}  # no user of a package has them


def contracts(members: Sequence[Package]) -> list[dict[str, Any]]:
    """The contracts over all packages: siblings over the core, rooms in their order, torch where it may be."""
    siblings = " | ".join(package.import_name for package in members)
    development = [package.import_name for name, package in shared().items() if name in DEVELOPMENT]
    made: list[dict[str, Any]] = [
        {"name": "Packages know the core, never each other", "type": "layers", "layers": [siblings, "ninefold"]},
        {
            "name": "No product imports what development alone needs",
            "type": "forbidden",
            "source_modules": ["ninefold", *(package.import_name for package in members)],
            "forbidden_modules": development,
        },
    ]
    above = [package.import_name for package in members if FLOOR in {one.name for one in below(package)}]
    made.append(
        {
            "name": f"{', '.join(above)} alone stand on the floor for graphs",
            "type": "layers",
            "layers": [" | ".join(above), find(FLOOR).import_name, "ninefold"],
        }
    )
    made.append(
        {
            "name": "No other package imports the floor for graphs",
            "type": "forbidden",
            "source_modules": ["ninefold", *sorted({package.import_name for package in members} - set(above))],
            "forbidden_modules": [find(FLOOR).import_name],
        }
    )
    for package in members:
        name, order = package.import_name, rooms(package)
        made.append(
            {"name": f"Rooms of {name}, bottom-up", "type": "layers", "containers": [name], "layers": order[::-1]}
        )
        may = package.settings["tool"]["ninefold"].get("torch-rooms")
        if may is not None:
            if unknown := set(may) - set(order):
                raise ToolError(f"{package.name}: torch-rooms names {', '.join(sorted(unknown))}, no room of it")
            made.append(
                {
                    "name": f"Works without torch: {name}",
                    "type": "forbidden",
                    "source_modules": [f"{name}.{room}" for room in order if room not in may],
                    "forbidden_modules": ["torch"],
                    "allow_indirect_imports": True,
                }
            )
    return made


def configuration(members: Mapping[str, Package]) -> str:
    """What import-linter reads, as TOML."""
    inside = list(members.values())
    linter = {
        "root_packages": [package.import_name for package in [*shared().values(), *inside]],
        "include_external_packages": True,
        "exclude_type_checking_imports": True,
        "contracts": contracts(inside),
    }
    return tomlkit.dumps({"tool": {"importlinter": linter}})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print the contracts and check nothing")
    options = parser.parse_args()
    try:
        text = configuration(packages())
    except ToolError as error:
        return exit_with(error)
    if options.show:
        print(text)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "contracts.toml"
        file.write_text(text, encoding="utf-8")
        command = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache", file]
        return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
