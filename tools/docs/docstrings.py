"""A griffe extension for the house's docstrings: a section on one line (`Returns: what`) becomes one that griffe reads.

Square brackets one after the other are array indices, not links of Markdown; they are escaped. Examples, which are
rendered as code, stay as they are.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ONE_LINE = re.compile(r"^(?P<indent> *)(?P<name>Returns|Yields|Raises): +(?P<text>\S.*)$")
_SECTION = re.compile(r"^ *(?:Args|Attributes|Returns|Yields|Raises|Warns|Examples?):(?: |$)")
_ERROR = re.compile(r"^`?(?P<error>[A-Z]\w*(?:Error|Exception|Warning|Exit))`?(?:,? |: ?)(?P<why>.*)$", re.DOTALL)


class HouseDocstrings(griffe.Extension):
    """Rewrites each docstring as it is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """A docstring with its sections of one line opened, and array indices escaped."""
    text, *examples = re.split(r"(?m)^(?= *Examples:$)", text, maxsplit=1)
    lines, out = text.splitlines(), []
    while lines:
        line = lines.pop(0)
        found = _ONE_LINE.match(line)
        if not found:
            out += ["", line] if _SECTION.match(line) else [line]
            continue
        said = [found["text"]]
        while lines and lines[0].strip() and not _SECTION.match(lines[0]):
            said.append(lines.pop(0).strip())
        out += _section(found["indent"], found["name"], " ".join(said))
    said = re.sub(r"(?<=\w)\]\[(?=\w)", r"]\\[", "\n".join(out))
    return "\n\n".join([said, *examples])


def _section(indent: str, name: str, text: str) -> list[str]:
    """The lines of an opened section, an empty line before it."""
    if name == "Raises":
        error = _ERROR.match(text)
        if error is None:
            return ["", f"{indent}**Raises:** {text}"]
        text = f"{error['error']}: {error['why']}"
    return ["", f"{indent}{name}:", f"{indent}    {text}"]
