"""What a chat request asks: its words, its task, and what it quotes."""

import json
import re
from typing import Any

_TASK = re.compile(r"^Task: ([a-z_]+)$", re.MULTILINE)
_QUOTED = re.compile(r"^```json\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def text_of(body: dict[str, Any]) -> str:
    """All words of a request's messages."""
    return "\n".join(str(one.get("content") or "") for one in body.get("messages", []) if isinstance(one, dict))


def task_of(body: dict[str, Any]) -> str:
    """The task that a request names, or ''."""
    found = _TASK.search(text_of(body))
    return found.group(1) if found else ""


def payload_of(body: dict[str, Any]) -> Any:
    """What a request quotes first, or {}."""
    found = _QUOTED.search(text_of(body))
    return json.loads(found.group(1)) if found else {}
