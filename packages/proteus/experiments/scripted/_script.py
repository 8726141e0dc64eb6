"""Scripts of the `fake-llm` server: which answer a request gets, and what goes wrong on the way.

A script is YAML or JSON. `turns` are tried in order, the first that matches answers; `faults` then spoil the answer.
`extends: good` puts the turns of a shipped script behind its own. Templates are jinja2, sandboxed, over the `payload`
that a prompt quotes, the `task`, and `call` (how many requests of this task there were, from 1).
"""

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from ninefold.errors import ArtifactError, InputError, require
from pydantic import BaseModel, ConfigDict, Field, ValidationError

_FORMAT = 1
_SHIPPED = "proteus_experiments.scripted.scripts"

Mode = Literal["json_schema", "tools", "json_object", "text"]
FaultKind = Literal[
    "bad_json", "cut", "empty", "hang", "invent_gene", "invent_number", "invent_tool", "status", "truncate",
]  # fmt: skip


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolCall(_Strict):
    """A function call as a reply."""

    name: str
    arguments: dict[str, Any] | str


class Turn(_Strict):
    """An answer, and the requests that it is for.

    Attributes:
        task: the prompt role; None for any.
        contains: regular expression that the request's text must match.
        times: how many requests it answers at most.
        reply, text, template, tool_calls: a JSON value, plain words, jinja2 that gives JSON, or function calls.
    """

    task: str | None = None
    contains: str | None = None
    times: int | None = Field(None, ge=1)
    reply: Any = None
    text: str | None = None
    template: str | None = None
    tool_calls: list[ToolCall] | None = None


class Fault(_Strict):
    """What goes wrong: `kind`, for which task (None: any), from which such request on (`first`), how often (`count`).

    `code` and `retry_after` (seconds) belong to `status`; `seconds` to `hang`.
    """

    kind: FaultKind
    task: str | None = None
    first: int = Field(1, ge=1)
    count: int | None = Field(None, ge=1)
    code: int = Field(500, ge=400, le=599)
    retry_after: float | None = Field(None, ge=0)
    seconds: float = Field(60.0, ge=0)


class Script(_Strict):
    """A whole script; see the module.

    Attributes:
        modes: forms of answer that the server takes; a request for another gets status 400.
        stream, usage: whether it streams when asked to, and says how many tokens it counted.
    """

    format: Literal["proteus.script"]
    format_version: int
    extends: str | None = None
    model: str = "fake"
    modes: list[Mode] = ["json_schema", "tools", "json_object", "text"]
    stream: bool = True
    usage: bool = True
    turns: list[Turn] = []
    faults: list[Fault] = []


def shipped_scripts() -> list[str]:
    """Names of the scripts that come with the package."""
    files = resources.files(_SHIPPED).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load_script(source: str | Path) -> Script:
    """Read a script from a file, or a shipped one by its name.

    Raises:
        ArtifactError: naming the file and the field, if it is missing, no script, or of a newer format.
        MissingExtraError: for YAML without the extra `llm`.
    """
    shipped = str(source) in shipped_scripts() and not Path(source).exists()
    place = Path(f"{source}.yaml" if shipped else source)
    if shipped:
        text = resources.files(_SHIPPED).joinpath(place.name).read_text(encoding="utf-8")
    elif place.is_file():
        text = place.read_text(encoding="utf-8", errors="replace")
    else:
        raise InputError("script", got=f"{source}, no file", expected=f"a file, or one of: {_names()}")
    script = _checked(_parse(text, place), place)
    if script.extends is None:
        return script
    base = load_script(script.extends)
    return script.model_copy(update={"extends": None, "turns": [*script.turns, *base.turns]})


def _names() -> str:
    return ", ".join(shipped_scripts())


def _parse(text: str, place: Path) -> Any:
    if place.suffix == ".json":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ArtifactError(place, f"is no JSON: {error}") from None
    yaml = require("yaml", "proteus", "llm")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ArtifactError(place, f"is no YAML: {' '.join(str(error).split())}") from None


def _checked(value: Any, place: Path) -> Script:
    if not isinstance(value, dict) or value.get("format") != "proteus.script":
        raise ArtifactError(place, "is no script: its first line should be `format: proteus.script`")
    version = value.get("format_version")
    if isinstance(version, int) and version > _FORMAT:
        raise ArtifactError(place, f"has format version {version}, newer than {_FORMAT}; update proteus")
    try:
        script = Script.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise ArtifactError(place, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for number, turn in enumerate(script.turns):
        if sum(part is not None for part in (turn.reply, turn.text, turn.template, turn.tool_calls)) != 1:
            raise ArtifactError(place, f"turns.{number}: needs one of reply, text, template, tool_calls")
        try:
            re.compile(turn.contains or "")
        except re.error as error:
            raise ArtifactError(place, f"turns.{number}.contains: {error}") from None
    return script
