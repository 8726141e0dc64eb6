"""Settings of networks, links and trainings: in files as JSON values, on the command line as `key=value,...`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Self

from ninefold.errors import InputError


class Settings:
    """Base of frozen dataclasses whose fields are numbers, words and tuples of numbers, all with defaults."""

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Self:
        """The settings that `to_meta` gave; InputError that names an unknown or mistyped one."""
        kinds = cls._kinds()
        for name, value in meta.items():
            if name not in kinds:
                raise InputError("setting", got=repr(name), expected=f"one of {', '.join(kinds)}")
            wanted = {float: (int, float), tuple: (list, tuple)}.get(kinds[name], kinds[name])
            if not isinstance(value, wanted) or (isinstance(value, bool) and kinds[name] is not bool):
                raise InputError(f"setting {name}", got=repr(value), expected=f"a {kinds[name].__name__}")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in meta.items()})

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """The values of `key=value,...`, numbers of a tuple with `/` between them, each of its field's type."""
        kinds, found, words = cls._kinds(), {}, []
        for word in filter(None, text.split(",")):
            spec = words and words[-1].strip().startswith("channel=") and ":" in words[-1]
            if spec and word.partition("=")[0].strip() not in kinds:
                words[-1] += f",{word}"  # another option of the channel
            else:
                words.append(word)
        for word in words:
            name, _, value = word.strip().partition("=")
            if name not in kinds:
                raise InputError("setting", got=repr(name), expected=f"one of {', '.join(kinds)}")
            try:
                if kinds[name] is bool:
                    found[name] = {"true": True, "false": False}[value]
                else:
                    found[name] = tuple(map(int, value.split("/"))) if kinds[name] is tuple else kinds[name](value)
            except (KeyError, ValueError):
                raise InputError(f"setting {name}", got=repr(value), expected=f"a {kinds[name].__name__}") from None
        return found

    @classmethod
    def from_text(cls, text: str, **given: Any) -> Self:
        """The settings of `parse`; `given` counts where the text is silent."""
        return cls(**{**given, **cls.parse(text)})

    def to_meta(self) -> dict[str, Any]:
        """As JSON values."""
        values = asdict(self)  # type: ignore[call-overload]
        return {name: list(one) if isinstance(one, tuple) else one for name, one in values.items()}

    @classmethod
    def _kinds(cls) -> dict[str, type]:
        return {one.name: type(one.default) for one in fields(cls)}  # type: ignore[arg-type]
