"""Blocks of a README that are marked as runnable: `<!-- run -->` on the line before the fence.

In ```console blocks, lines that begin with `$ ` are commands (with `> ` lines going on), all else is what they print.
```bash and ```python blocks are run whole. All blocks of one README run in one folder, in order. A command that stands
on several pages, and finds the same files each time, is run once: what it printed and wrote is kept for the others.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

from ninefold_testing import digests

BLOCK = re.compile(r"^<!-- run -->\n```(console|bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One runnable block: its language, and the commands or the one script in it."""

    language: str
    commands: tuple[str, ...]

    @property
    def text(self) -> str:
        """What to run."""
        return "\n".join(self.commands)

    @property
    def command(self) -> list[str]:
        """Arguments that run it in the current folder."""
        return (
            ["python", "-c", self.text] if self.language == "python" else ["bash", "-euo", "pipefail", "-c", self.text]
        )

    def pieces(self, alone: Container[str]) -> list[Block]:
        """The block in pieces to run one after another: each command of `alone` is one, others stay together."""
        found: list[list[str]] = []
        for command in self.commands:
            if not found or command in alone or found[-1][-1] in alone:
                found.append([])
            found[-1].append(command)
        return [Block(self.language, tuple(piece)) for piece in found]


def blocks(readme: Path) -> list[Block]:
    """The marked blocks of a README, in order."""
    found = BLOCK.findall(readme.read_text(encoding="utf-8"))
    return [Block(language, commands(text) if language == "console" else (text,)) for language, text in found]


def commands(console: str) -> tuple[str, ...]:
    """The commands of a console block, each with the lines that go on."""
    lines = [line for line in console.splitlines() if line.startswith(("$ ", "> "))]
    return tuple(
        "\n".join(line[2:] for line in command.split("\n")) for command in re.split(r"\n(?=\$ )", "\n".join(lines))
    )


def once(command: str, folder: Path, kept: Path, run: Callable[[], str]) -> str:
    """What a command prints in a folder: by `run`, or where it ran on the same files before, with what it wrote then.

    Args:
        command: as the page has it.
        folder: where it runs; a command that takes files away is refused.
        kept: a folder for all workers.
        run: runs it, and returns what it printed.
    """
    before = digests(folder)
    place = kept / hashlib.sha256(json.dumps([command, before]).encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (place / "printed").exists():
            shutil.copytree(place / "files", folder, dirs_exist_ok=True)
            return (place / "printed").read_text(encoding="utf-8")
        printed, after = run(), digests(folder)
        assert before.keys() <= after.keys(), f"{command} takes files away"
        (place / "files").mkdir(exist_ok=True)
        for name in (name for name, digest in after.items() if before.get(name) != digest):
            (place / "files" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, place / "files" / name)
        (place / "printed").write_text(printed, encoding="utf-8")
    return printed
