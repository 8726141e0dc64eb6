"""Compare what the workspace resolves to with the versions and hashes that are pinned in tools/requirements.txt.

    uv run python tools/check/pinned.py            # fails if a version or a hash differs
    uv run python tools/check/pinned.py --write    # after a change of requirements, or for newer versions

The file names no address: `pip install --require-hashes -r tools/requirements.txt` works with any index.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from workspace import ROOT, ToolError, exit_with, run

PINNED = ROOT / "tools" / "requirements.txt"
_HEAD = "# Written by tools/check/pinned.py: all that development installs, with the digests of its files.\n"


def resolved() -> str:
    """The versions and hashes of uv.lock, for all systems."""
    words = ["--quiet", "--no-header", "--no-annotate", "--no-emit-workspace", "--all-groups"]
    return _HEAD + run("uv", "export", "--frozen", *words)


def differences(pinned: str, found: str) -> list[str]:
    """Lines that differ, `-` as committed and `+` as resolved."""
    lines = difflib.unified_diff(pinned.splitlines(), found.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def main() -> int:
    found = resolved()
    if "--write" in sys.argv[1:]:
        PINNED.write_text(found, encoding="utf-8")
        return 0
    wrong = differences(PINNED.read_text(encoding="utf-8"), found)
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        where = PINNED.relative_to(ROOT)
        return exit_with(ToolError(f"{where} differs from what is resolved: {'; '.join(wrong[:5])}{more}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
