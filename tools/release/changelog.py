"""A package's changelog in the form of Keep a Changelog: what is checked, and what a release writes into it."""

from __future__ import annotations

import datetime
import itertools
import re

from packaging.version import InvalidVersion, Version
from workspace import ToolError

GROUPS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
UNRELEASED = "Unreleased"
_SECTION = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
_RELEASE = re.compile(r"\[(?P<version>[^\]]+)\] - (?P<day>\d{4}-\d\d-\d\d)")


def sections(text: str) -> list[tuple[str, str]]:
    """(title, what stands under it) of each `##` section, in order."""
    found = list(_SECTION.finditer(text))
    starts = [one.start() for one in found] + [len(text)]
    return [(one["title"].strip(), text[one.end() : end].strip()) for one, end in zip(found, starts[1:], strict=True)]


def check(text: str) -> None:
    """ToolError with the line to mend unless a changelog has the form of Keep a Changelog.

    `## Unreleased` first; then `## [1.2.3] - 2026-01-31`, newest first; entries are list items, under `### Added` and
    the like. A package's first version may list its entries without groups: there is nothing that they could change.
    """
    if not text.startswith("# Changelog\n"):
        raise ToolError("the changelog does not begin with `# Changelog`")
    found = sections(text)
    if not found or found[0][0] != UNRELEASED:
        raise ToolError("the changelog has nothing under `## Unreleased`; say there what changed for users")
    releases = [_version(title) for title, _ in found[1:]]
    for newer, older in itertools.pairwise(releases):
        if newer <= older:
            raise ToolError(f"the changelog has {newer} above {older}: the newest comes first")
    for place, (title, body) in enumerate(found):
        is_first = place == len(found) - 1 or (place == 0 and not releases)
        _check_entries(title, body, is_first)


def dated(text: str, version: str, day: datetime.date) -> tuple[str, str]:
    """(the changelog with its unreleased notes under the version and day, those notes); refuses empty ones."""
    check(text)
    title, notes = sections(text)[0]
    if not re.search(r"^- \S", notes, re.MULTILINE):
        raise ToolError("the changelog has nothing under `## Unreleased`; say there what changed for users")
    before, _, after = text.partition(f"## {title}")
    rest = after[after.index(notes) + len(notes) :].strip()
    release = f"## Unreleased\n\n## [{version}] - {day.isoformat()}\n\n{notes}\n\n"
    return (before + release + rest).rstrip() + "\n", notes


def _version(title: str) -> Version:
    """The version of a release's heading, which has a day, too."""
    found = _RELEASE.fullmatch(title)
    try:
        if found:
            datetime.date.fromisoformat(found["day"])
            return Version(found["version"])
    except (InvalidVersion, ValueError):
        pass
    raise ToolError(f"`## {title}` in the changelog: a release is written `## [1.2.3] - 2026-01-31`")


def _check_entries(title: str, body: str, is_first: bool) -> None:
    """ToolError unless what stands under a release is list items, in groups if it is not the first."""
    group, empty = "", []
    for line in body.splitlines():
        if line.startswith("#"):
            group = line.removeprefix("### ")
            if group not in GROUPS:
                raise ToolError(f"`{line}` in the changelog: groups are ### {', ### '.join(GROUPS)}")
            empty.append(group)
        elif line.startswith("- "):
            if not group and not is_first:
                raise ToolError(
                    f"under `## {title}` an entry stands in no group: put it under ### Added, ### Changed, ..."
                )
            empty = [name for name in empty if name != group]
        elif line.strip() and not line.startswith("  "):
            raise ToolError(f"`{line[:60]}` in the changelog: entries are list items, `- What changed.`")
    if empty:
        raise ToolError(f"under `## {title}` the group ### {empty[0]} is empty")
