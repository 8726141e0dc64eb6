"""Run `mypy --strict` over what a user of each package would write: its tests/user_file.py, where there is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from workspace import ROOT

MYPY = "mypy>=1.19"


def main() -> int:
    """1 if mypy finds anything, with the users' own view of the installed packages, else 0."""
    words = ["uv", "run", "--quiet", "--with", MYPY, "mypy", "--strict"]
    files = sorted([*ROOT.glob("shared/*/tests/user_file.py"), *ROOT.glob("packages/*/tests/user_file.py")])
    return max(subprocess.run([*words, str(file)], cwd=ROOT, check=False).returncode for file in files)


if __name__ == "__main__":
    sys.exit(main())
