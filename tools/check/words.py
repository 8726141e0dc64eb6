"""House words: phrases that a native speaker would not write here, and what to write instead.

Looked at are READMEs, pages of docs, tutorials and the site's own pages, glossaries, and in the source the docstrings
and the help texts of options. Generated tables, changelogs and lists of attempts are not.

    uv run python tools/check/words.py   # each place, with its replacement; status 1 if there is any
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from workspace import ROOT, packages

WORDS = {
    r"\b[Aa]s (?:it|they|`\w+`) comes?\b": "by default",
    r"\b[Ww]hat became of\b": "results of",
    r"\bby (?:its|their) places?\b": "by index",
    r"(?:^|[|.] )[Ww]ho (?:serves|wants|keeps|needs|has|adds|recommends)\b": "name who: teams that serve",
    r"\b(?:is|are|was|were|be|been) told\b(?! apart)": "is given, or is known",
    r"\b(?:is|are) held\b(?! (?:out|back|by))": "is kept, or is stored",
    r"\b(?:says?|said) of (?:itself|themselves)\b": "says about itself",
    r"\bnot \S+'s to (?:replace|write)\b": "refusing to replace",
    r"\bcomes to\b": "is",
    r"\ban arm that ours\b": "our method",
    r"\bthe two ends\b": "sender and receiver",
    r"\bthe one that (?:it|is|fits|gives|means|keeps)\b": "the X that",
}
OTHERS = {"mldgg", "mecoin", "proteus", "bnn-fsg"}  # whose source is not looked at yet
_GENERATED = re.compile(r"<!-- (\w+):begin.*?<!-- \1:end -->|^```.*?^```", re.MULTILINE | re.DOTALL)


def pages() -> Iterator[Path]:
    """Texts for people."""
    yield ROOT / "README.md"
    for package in packages().values():
        yield package.folder / "README.md"
        yield from sorted((package.folder / "docs").glob("*.md"))
    yield from sorted((ROOT / "shared").glob("*/README.md"))
    for folder in ("pages", "tutorials"):
        yield from sorted((ROOT / "tools" / "docs" / folder).glob("*.md"))


def sources() -> Iterator[Path]:
    """Files of source with docstrings and help texts."""
    for name, package in packages().items():
        if name not in OTHERS:
            yield from sorted(package.source.rglob("*.py"))
    yield from sorted((ROOT / "shared").glob("*/src/**/*.py"))


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of what is looked at in a file."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        plain = _GENERATED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
        yield from enumerate(plain.splitlines(), start=1)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            said = ast.get_docstring(node)
            if said:
                yield node.body[0].lineno, said
        elif isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant):
            yield node.value.lineno, str(node.value.value)


def found(text: str) -> Iterator[tuple[str, str]]:
    """(phrase, replacement) of the house words in a text."""
    for pattern, instead in WORDS.items():
        for match in re.finditer(pattern, text):
            yield match[0].strip("|. "), instead


def main() -> int:
    count = 0
    for file in [*pages(), *sources()]:
        for line, text in texts(file):
            for phrase, instead in found(text):
                print(f"{file.relative_to(ROOT)}:{line}: {phrase!r}: {instead}")
                count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
