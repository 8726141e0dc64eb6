"""Run the commands of the site's tutorials, each in an empty folder, and write what they print and draw below them.

A block marked `<!-- run -->` runs as the tests run it; what it prints stands in a block marked `<!-- output -->`. A
picture marked `<!-- picture: FILE -->` is the FILE that the commands wrote, made small, beside the page. A line
`$ ninefold data get PACKAGE SET --checkout ninefold -o data` finds the checkout as `ninefold`, and in `data` what
$NINEFOLD_DATA has of the package, so that nothing is fetched twice.

    uv run python tools/docs/tutorials.py [NAME...]
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from workspace import ROOT

FOLDER = ROOT / "tools" / "docs" / "tutorials"
WIDEST, COLOURS = 1200, 256
_BLOCK = re.compile(
    r"^(?P<run><!-- run -->\n```(?P<language>console|bash|python)\n(?P<text>.*?)^```\n)"
    r"(?:\n<!-- output -->\n```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
_PICTURE = re.compile(r"^<!-- picture: (\S+) -->\n!\[([^]]+)\]\(([\w.-]+\.(?:png|jpg))\)$", re.MULTILINE)
_DATA = re.compile(r"^\$ ninefold data get ([\w-]+) ([\w-]+) --checkout ninefold -o data$", re.MULTILINE)


def outputs(text: str) -> list[str]:
    """What the blocks of a tutorial are said to print, in order; empty where nothing is said."""
    return [found["output"] or "" for found in _BLOCK.finditer(text)]


def pictures(text: str) -> list[tuple[str, str, str]]:
    """(file that the commands write, what it shows, file beside the page) of each picture of a tutorial."""
    return _PICTURE.findall(text)


def alike(text: str) -> str:
    """A text without its numbers, times and spaces: what two runs have in common."""
    return re.sub(r"[\d.,:+\-−\s─]+", " ", text).strip()


def likeness(text: str, printed: str) -> float:
    """How much of what a tutorial shows, numbers aside, is what its commands print: 0 to 1."""
    shown, got = (alike(one).split() for one in ("\n".join(outputs(text)), printed))
    return difflib.SequenceMatcher(None, shown, got, autojunk=False).ratio()


def no_data(text: str) -> str:
    """Why a tutorial's commands cannot run here without a network, or nothing: it reads data that is not here."""
    root = os.environ.get("NINEFOLD_DATA")
    missing = [name for name, _ in _DATA.findall(text) if not (root and (Path(root) / name).is_dir())]
    return f"no data of {missing[0]}: set NINEFOLD_DATA" if missing else ""


def prepare(text: str, folder: Path) -> None:
    """Put the checkout, and the data of $NINEFOLD_DATA, where the `ninefold data get` of a tutorial looks."""
    wanted = {name for name, _ in _DATA.findall(text)}
    if wanted:
        (folder / "ninefold").symlink_to(ROOT)
    for name in sorted(wanted) if "NINEFOLD_DATA" in os.environ else ():
        (folder / "data").mkdir(exist_ok=True)
        (folder / "data" / name).symlink_to(Path(os.environ["NINEFOLD_DATA"]).resolve() / name)


def with_outputs(text: str, folder: Path) -> str:
    """A tutorial with its blocks run in `folder`, and what they printed below them."""

    def run(found: re.Match[str]) -> str:
        script = found["text"]
        if found["language"] == "console":
            script = "\n".join(line[2:] for line in script.splitlines() if line.startswith(("$ ", "> ")))
        words = ["python", "-c"] if found["language"] == "python" else ["bash", "-euo", "pipefail", "-c"]
        env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        for name in ("NINEFOLD_DATA", "COLUMNS"):  # where data are is said in the page, and how wide a table is nowhere
            env.pop(name, None)
        done = subprocess.run([*words, script], cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=True)
        said = "\n".join(line.rstrip() for line in done.stdout.replace(f"{folder}/", "").strip("\n").splitlines())
        return found["run"] + (f"\n<!-- output -->\n```text\n{said}\n```\n" if said else "")

    return _BLOCK.sub(run, text)


def small(source: Path, target: Path) -> None:
    """Write a picture at most `WIDEST` pixels wide: a drawing as a PNG of few colours, a photograph as a JPEG."""
    from PIL import Image

    with Image.open(source) as opened:
        flat = Image.new("RGBA", opened.size, "white")
        flat.alpha_composite(opened.convert("RGBA"))
    picture = flat.convert("RGB")
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)), Image.Resampling.LANCZOS)
    if target.suffix == ".jpg":
        picture.save(target, quality=90)
    else:
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in FOLDER.glob("*.md")))
    for name in parser.parse_args().names:
        page = FOLDER / f"{name}.md"
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory(prefix="ninefold-tutorial-") as folder:
            prepare(text, Path(folder))
            text = with_outputs(text, Path(folder))
            for written, _, shown in pictures(text):
                small(Path(folder) / written, FOLDER / shown)
        page.write_text(text, encoding="utf-8")
        kilobytes = sum((FOLDER / shown).stat().st_size for *_, shown in pictures(text)) // 1000
        drawn = f"{len(pictures(text))} pictures, {kilobytes} kB"
        print(f"{page.relative_to(ROOT)}: {sum(map(bool, outputs(text)))} outputs, {drawn}")


if __name__ == "__main__":
    main()
