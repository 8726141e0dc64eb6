"""Faults inside an answer: broken JSON, and things that are not there."""

import json
from typing import Any

INVENTED_GENE, INVENTED_TOOL, INVENTED_NUMBER = "ZNFAKE9", "deep_oracle", "42.7"
_WORDS = {"statement", "mechanism", "rationale", "question", "reason", "summary", "purpose"}


def spoil(kind: str, content: str) -> str:
    """The answer `content` (JSON text) with the fault `kind`; faults of the wire leave it as it is."""
    if kind == "empty":
        return ""
    if kind == "bad_json":
        return content[:-1].replace(":", "=", 1) + ",,"
    if kind == "truncate":
        return content[: len(content) // 2]
    change = {"invent_gene": _gene, "invent_tool": _tool, "invent_number": _number}.get(kind)
    if change is None:
        return content
    try:
        return json.dumps(_walk(json.loads(content), change))
    except json.JSONDecodeError:
        return content


def _walk(value: Any, change: Any) -> Any:
    if isinstance(value, list):
        return [_walk(one, change) for one in value]
    if isinstance(value, dict):
        return {key: change(key, _walk(part, change)) for key, part in value.items()}
    return value


def _gene(key: str, value: Any) -> Any:
    if key == "entities" and isinstance(value, list):
        return [INVENTED_GENE, *value[1:]]
    return f"{value} {INVENTED_GENE} too." if key in _WORDS and isinstance(value, str) else value


def _tool(key: str, value: Any) -> Any:
    return INVENTED_TOOL if key == "tool" else value


def _number(key: str, value: Any) -> Any:
    return f"{value} It is {INVENTED_NUMBER}-fold." if key in _WORDS and isinstance(value, str) else value
