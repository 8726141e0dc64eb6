"""Names and lengths as they are typed, and errors about an argument, said of what gave it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ninefold.errors import InputError


@contextmanager
def naming(**names: str) -> Iterator[None]:
    """Within it an InputError about an argument is one about the option or the argument that gave it.

    Examples:
        >>> from ninefold.errors import InputError
        >>> from tokenprune.evaluation._naming import naming

        >>> try:
        ...     with naming(length="--long-length"):
        ...         raise InputError("length", got=3)
        ... except InputError as error:
        ...     print(error)
        --long-length: got 3
    """
    try:
        yield
    except InputError as error:
        if error.what not in names:
            raise
        told: Any = {key: getattr(error, key) for key in ("got", "expected", "where", "hint")}
        raise InputError(names[error.what], **told) from None


def names_of(words: str) -> list[str]:
    """Names between commas."""
    return [one.strip() for one in words.split(",") if one.strip()]


def checked_lengths(words: str) -> list[int]:
    """Lengths of prompts, as they were typed; InputError names the first that is no whole number from 1."""
    parts = [one.strip() for one in words.split(",")]
    wrong = [one for one in parts if not (one.isascii() and one.isdecimal() and int(one) > 0)]
    if wrong:
        raise InputError("--lengths", got=wrong[0], expected="whole numbers from 1 with commas between")
    return [int(one) for one in parts]
