"""The words of `vocabulary.txt`, and the patterns of quantities."""

import functools
import re
from importlib import resources

_COUNTS = {"three": 3, "five": 5, "ten": 10, "twenty": 20, "fifty": 50, "hundred": 100}
_N = rf"\d+|{'|'.join(_COUNTS)}"
_MORE = r"(?:by )?(?:more than|at least|over|>=?)\s*"
TOP = re.compile(rf"\btop[- ]({_N})\b|\b({_N}) (?:most|best|strongest|largest)\b")
FOLD = re.compile(rf"(?:{_MORE})?(?<![\w.])(\d+(?:\.\d+)?)(?:[- ]?fold|\s?x)\b|(?:{_MORE})?\btwo[- ]?fold\b")
LEVEL = re.compile(
    r"(?:at )?(?:an? )?(?<![\w.])(\d+(?:\.\d+)?)\s?(%)\s*(?:fdr|q)\b|"
    r"\b(?:fdr|q(?:[- ]values?)?)\s*(?:of|at|below|under|[<=]+)?\s*(\d+(?:\.\d+)?)(\s?%)?"
)
TIME = re.compile(r"(?i)^(?:time|seconds?|minutes?|hours?|days?|weeks?|months?|years?)")


@functools.cache
def kinds() -> dict[str, re.Pattern[str]]:
    """By kind the words that mean it, as one pattern, in the order in which they are looked for."""
    return {
        kind: re.compile(rf"(?<!\w)(?:{'|'.join(lines)})(?!\w)")
        for kind, lines in _sections().items()
        if kind not in ("plain", "cues")
    }


@functools.cache
def plain() -> frozenset[str]:
    """Words that ask nothing by themselves."""
    return frozenset(" ".join(_sections()["plain"]).split())


@functools.cache
def words() -> frozenset[str]:
    """All words that the vocabulary reads: names of the table that are such are names only as they are written."""
    return plain() | set(re.findall(r"[a-z]{2,}", " ".join(pattern.pattern for pattern in kinds().values())))


def section(name: str) -> list[str]:
    """Lines of a section of `vocabulary.txt`."""
    return _sections()[name]


@functools.cache
def _sections() -> dict[str, list[str]]:
    text = resources.files("proteus.planning").joinpath("vocabulary.txt").read_text("utf-8")
    made: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            made[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            made[list(made)[-1]].append(line)
    return made


def count_of(text: str) -> int:
    """A number in digits or words."""
    return _COUNTS.get(text) or int(text)
