"""Run the commands of the site's tutorials, each in an empty folder, and write what they print below them.

A block marked `<!-- run -->` runs as the tests run it; what it prints stands in a block marked `<!-- output -->`.

    uv run python tools/tutorials.py [NAME...]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from workspace import ROOT

FOLDER = ROOT / "tools" / "docs" / "tutorials"
_BLOCK = re.compile(
    r"^(?P<run><!-- run -->\n```(?P<language>console|bash|python)\n(?P<text>.*?)^```\n)"
    r"(?:\n<!-- output -->\n```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


def outputs(text: str) -> list[str]:
    """What the blocks of a tutorial are said to print, in order; empty where nothing is said."""
    return [found["output"] or "" for found in _BLOCK.finditer(text)]


def alike(text: str) -> str:
    """A text without its numbers, times and spaces: what two runs have in common."""
    return re.sub(r"[\d.,:+\-−\s─]+", " ", text).strip()


def with_outputs(text: str, folder: Path) -> str:
    """A tutorial with its blocks run in `folder`, and what they printed below them."""

    def run(found: re.Match[str]) -> str:
        script = found["text"]
        if found["language"] == "console":
            script = "\n".join(line[2:] for line in script.splitlines() if line.startswith(("$ ", "> ")))
        words = ["python", "-c"] if found["language"] == "python" else ["bash", "-euo", "pipefail", "-c"]
        env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        env.pop("NINEFOLD_DATA", None)
        done = subprocess.run([*words, script], cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=True)
        said = "\n".join(line.rstrip() for line in done.stdout.replace(f"{folder}/", "").strip("\n").splitlines())
        return found["run"] + (f"\n<!-- output -->\n```text\n{said}\n```\n" if said else "")

    return _BLOCK.sub(run, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in FOLDER.glob("*.md")))
    for name in parser.parse_args().names:
        page = FOLDER / f"{name}.md"
        with tempfile.TemporaryDirectory(prefix="ninefold-tutorial-") as folder:
            page.write_text(with_outputs(page.read_text(encoding="utf-8"), Path(folder)), encoding="utf-8")
        print(f"{page.relative_to(ROOT)}: {sum(map(bool, outputs(page.read_text(encoding='utf-8'))))} outputs")


if __name__ == "__main__":
    main()
