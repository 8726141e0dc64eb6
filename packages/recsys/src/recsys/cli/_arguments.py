"""Ids, parts of users and contexts as they are written on a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ninefold.errors import InputError

if TYPE_CHECKING:
    from recsys.recommender._base import Recommender


def typed_ids(model: Recommender, texts: list[str], what: str) -> list[Any]:
    """Ids from the command line, as integers where the model's are: read as from a text file of events."""
    from recsys.data._ids import number_of

    ids = model.user_ids_ if what == "user" else model.item_ids_
    if ids.type_name == "text":
        return list(texts)
    numbers = [number_of(text) for text in texts]
    if None in numbers:
        raise InputError(f"{what} ids", got=", ".join(texts), expected="integers, as in the events")
    return numbers


def known_items(model: Recommender, texts: list[str], option: str) -> list[Any]:
    """Items from the command line, all known to the model: a list would be made as if others were not there."""
    ids = typed_ids(model, texts, "item")
    unknown = [text for text, code in zip(texts, model.item_ids_.codes(ids), strict=True) if code < 0]
    if unknown:
        raise InputError(option, got=", ".join(unknown), expected="items of the events")
    return ids


def shard_of(ids: Any, shard: str) -> Any:
    """The i-th of n even parts of ids, one after the other, for a text "i/n"."""
    part, _, parts = shard.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise InputError(f"--shard {shard}", expected="i/n with 1 <= i <= n, e.g. 2/4")
    start, stop = (len(ids) * one // int(parts) for one in (int(part) - 1, int(part)))
    return ids[start:stop]


def typed_context(model: Recommender, settings: list[str]) -> dict[str, Any]:
    """Context from the command line, as numbers where the model's column is one."""
    import pyarrow as pa

    schema, context = model.history_.context.schema, {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign or name not in schema.names:
            raise InputError(f"--in {setting}", expected=f"name=value with one of {', '.join(schema.names) or 'none'}")
        kind = schema.field(name).type
        try:
            context[name] = (
                float(text) if pa.types.is_floating(kind) else int(text) if pa.types.is_integer(kind) else text
            )
        except ValueError:
            raise InputError(f"--in {setting}", got=repr(text), expected=f"a value of type {kind}") from None
    return context
