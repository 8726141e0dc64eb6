"""Blocks of a README that are marked as runnable: `<!-- run -->` on the line before the fence.

In ```console blocks, lines that begin with `$ ` are commands (with `> ` lines going on), all else is what they print.
```bash and ```python blocks are run whole. All blocks of one README run in one folder, in order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^<!-- run -->\n```(console|bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One runnable block: its language and what to run."""

    language: str
    text: str

    @property
    def command(self) -> list[str]:
        """Arguments that run it in the current folder."""
        return (
            ["python", "-c", self.text] if self.language == "python" else ["bash", "-euo", "pipefail", "-c", self.text]
        )


def blocks(readme: Path) -> list[Block]:
    """The marked blocks of a README, in order."""
    found = BLOCK.findall(readme.read_text(encoding="utf-8"))
    return [Block(language, commands(text) if language == "console" else text) for language, text in found]


def commands(console: str) -> str:
    """The commands of a console block as a script."""
    return "\n".join(line[2:] for line in console.splitlines() if line.startswith(("$ ", "> ")))
