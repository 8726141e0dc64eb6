"""Plain English: phrases that a technical editor would change, and the shape of READMEs and help.

Three checks:

- `phrases`: READMEs, pages, tutorials, glossaries, docstrings and help texts, against the table `PHRASES`. Inline code,
  code blocks, generated tables, changelogs and lists of attempts are left out.
- `readme_faults`: at most 900 words (the repository's 600), and no interval above the heading *Results*.
- `help_faults`: each option's help is understood alone; a verb that reads a file or folder shows an example, which one
  of the pages that are run in tests contains.

    uv run python tools/check/words.py            # each place, with its replacement; status 1 if there is any
    uv run python tools/check/words.py tswitch    # one package
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from workspace import ROOT, Package, members, packages

PHRASES = {
    # what a page, a docstring or a help text may not say: what to write instead
    r"\b[Aa]s (?:it|they|`\w+`) comes?\b": "by default",
    r"\b[Ww]hat (?:became|came) (?:out )?of\b": "results of",
    r"\bby (?:its|their) places?\b": "by index",
    r"(?:^|[|.] )[Ww]ho (?:serves|wants|keeps|needs|has|adds|recommends)\b": "name who: teams that serve",
    r"\b(?:is|are|was|were|be|been) told\b": "is given, or is known",
    r"\b(?:is|are) held\b(?! (?:out|back|by))": "is kept, or is stored",
    r"\b(?:says?|said) of (?:itself|themselves)\b": "says about itself",
    r"\bnot \S+'s to (?:replace|write)\b": "refusing to replace",
    r"\bcomes to\b": "is",
    r"\ban arm that ours\b": "our method",
    r"\bthe two ends\b": "sender and receiver",
    r"\bthe one that (?:it|is|fits|gives|means|keeps)\b": "the X that",
    r"\b[Ss]tands? beside\b": "is compared with, or stands next to",
    r"\b(?:told|tells?|telling) apart\b": "no measurable difference; statistically different; distinguishes",
    r"\bthese alone\b": "only these",
    r"\bmay be given again\b": "repeatable",
    r"\bof (?:before|today)\b": "previous, current",
    r"\b(?:goes|go) on\b": "resumes, continues",
    r"\bby hand\b": "manually",
    r"\bperhaps\b": "optional, possibly",
    r"\b(?:is|are) worth\b": "adds, gains",
    r"\b(?:is|are|was|were|be) (?:ahead|behind)\b": "is better or worse, by how much",
    r"\b(?:points?|dB|%) (?:ahead|behind)\b": "better or worse",
    r"\bleads\b(?! (?:to|nowhere))": "is best, is better",
    r"\b(?:it|that|which|verb|command|method|model|option|class|function|head) (?:asks|wants)\b": "requires, accepts",
    r"\b(?:claims?|bars?|statements?|comparisons?) holds?\b": "is met",
    r"\broom\b(?! for)": "module, folder",
    r"\b[Ww]hoever\b": "name who",
    r"\bin place of\b": "instead of",
    r"\bbeside\b": "compared with, next to, in addition to",
}
FRAGMENTS = ("Of", "For all", "If", "As")  # an option's help does not open with these
WORDS, ROOT_WORDS, OPTION_WORDS = 900, 600, 3
PENDING = {  # packages whose text has not been edited yet; the list only gets shorter
}  # fmt: skip
_UNREAD = re.compile(r"<!-- (\w+):begin.*?<!-- \1:end -->|^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_INTERVAL = re.compile(r"\[[-+.\d ]+, [-+.\d ]+\]")
_EXAMPLE = re.compile(r"Examples?:\s+((?:`[^`]+`[,\s]*)+)")


def pages(package: Package) -> list[Path]:
    """Texts for people in a package's folder, and its tutorial."""
    tutorial = ROOT / "tools" / "docs" / "tutorials" / f"{package.name}.md"
    return [file for file in (package.folder / "README.md", *sorted((package.folder / "docs").glob("*.md")), tutorial)
            if file.is_file()]  # fmt: skip


def files(names: Sequence[str] = ()) -> Iterator[Path]:
    """What is looked at: all that is not pending, or the packages named."""
    for name, package in members().items():
        if name in names if names else name not in PENDING:
            yield from pages(package)
            yield from sorted(package.source.rglob("*.py"))
    if not names:
        yield from [] if "README" in PENDING else [ROOT / "README.md"]
        yield from [
            ROOT / "tools" / "docs" / "corrections.md",
            *sorted((ROOT / "tools" / "docs" / "pages").glob("*.md")),
        ]


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of what is looked at in a file."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        line = 1
        for paragraph in re.split(r"(\n\s*\n)", _without_code(text)):
            yield line, paragraph
            line += paragraph.count("\n")
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            said = ast.get_docstring(node)
            if said:
                yield node.body[0].lineno, _without_code(said.split("\nExamples:")[0])
        elif isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant):
            yield node.value.lineno, _without_code(str(node.value.value))


def _without_code(text: str) -> str:
    """Text with generated tables and code blanked, its lines kept."""
    return _UNREAD.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def phrases(text: str) -> Iterator[tuple[str, str]]:
    """(phrase, replacement) of the listed phrases in a text, across line ends."""
    joined = re.sub(r"(?<=\S)\n\s*(?=\S)", " ", text)
    for pattern, instead in PHRASES.items():
        for match in re.finditer(pattern, joined):
            yield match[0].strip("|. "), instead


def readme_faults(text: str, most: int = WORDS) -> list[str]:
    """What is wrong with the shape of a README: its length, and intervals before the results."""
    faults = [] if (count := len(text.split())) <= most else [f"{count} words, at most {most}"]
    first = re.sub(r"^```.*?^```", "", text.split("\n## Results")[0], flags=re.MULTILINE | re.DOTALL)
    faults += [f"an interval above the heading Results: {found}" for found in _INTERVAL.findall(first)[:1]]
    return faults


def help_faults(import_name: str, ran: str | None = None) -> list[str]:
    """What is wrong with the help of a package's command; `ran`: text of all commands that tests run from pages."""
    from typer.main import get_command

    module = importlib.import_module("ninefold_lab.app" if import_name == "ninefold_lab" else f"{import_name}.cli")
    return [fault for path, verb in _verbs(get_command(module.app), "") for fault in _verb_faults(path, verb, ran)]


def _verbs(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", {})
    for name, one in inner.items():
        yield from _verbs(one, f"{path} {name}".strip())
    if not inner:
        yield path, command


def _verb_faults(path: str, verb: Any, ran: str | None) -> Iterator[str]:
    for one in verb.params:
        text = " ".join((getattr(one, "help", None) or "").split())
        if len(text.split()) < OPTION_WORDS:
            yield f"{path} {one.name}: {text!r} has fewer than {OPTION_WORDS} words"
        elif re.match(rf"(?:{'|'.join(FRAGMENTS)})\b", text):
            yield f"{path} {one.name}: {text!r} leans on its neighbour"
    shown = [example for block in _EXAMPLE.findall(verb.help or "") for example in re.findall(r"`([^`]+)`", block)]
    if any(_reads(one) for one in verb.params) and not shown:
        yield f"{path}: reads files and shows no example (a paragraph `Example:` with a command in backquotes)"
    for example in shown:
        if ran is not None and " ".join(example.split()) not in ran:
            yield f"{path}: no page that tests run has its example `{example}`"


def _reads(parameter: Any) -> bool:
    """Whether a parameter is one that users must give, or names a file or folder that the verb reads."""
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    return parameter.name != "out" and (parameter.required or "Path" in str(annotation))


def commands_that_run() -> str:
    """All text of the blocks in pages that tests run, with single blanks."""
    found = []
    for page in [ROOT / "README.md", *(page for package in members().values() for page in pages(package))]:
        text = page.read_text(encoding="utf-8")
        found += re.findall(r"^<!-- run -->\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return " ".join("\n".join(found).replace("\\\n", " ").replace("\n> ", " ").split())


def faults(names: Sequence[str] = ()) -> Iterator[str]:
    """Everything that is wrong, a line each."""
    for file in files(names):
        for line, text in texts(file):
            for phrase, instead in phrases(text):
                yield f"{file.relative_to(ROOT)}:{line}: {phrase!r}: {instead}"
    ran = commands_that_run()
    for name, package in packages().items():
        if name in names if names else name not in PENDING:
            yield from _readme(package.folder / "README.md", WORDS)
            yield from (f"{name} {one}" for one in help_faults(package.import_name, ran))
    if not names:
        yield from () if "README" in PENDING else _readme(ROOT / "README.md", ROOT_WORDS)
        yield from (f"ninefold {one}" for one in help_faults("ninefold_lab", ran))


def _readme(file: Path, most: int) -> Iterator[str]:
    for one in readme_faults(file.read_text(encoding="utf-8"), most):
        yield f"{file.relative_to(ROOT)}: {one}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="packages; all that are not pending if none is named")
    found = list(faults(parser.parse_args().names))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
