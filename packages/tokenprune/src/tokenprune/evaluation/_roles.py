"""Whose is which part of a text: nothing is chosen, or scored, on tokens that something was fitted to.

What is fitted takes the first four fifths of a text, what is scored the last fifth. The border is counted in characters
of the whole text, so that it is the same for all verbs, whatever the sizes of their windows.
"""

from __future__ import annotations

from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor

from tokenprune import datasets
from tokenprune.executor._scored import Scored, windows

TASKS = 4  # of each kind; one of each kind tells schedules apart by chance


def for_fitting(
    name: str, tokenizer: Any, *, roles: int, count: int, length: int, scored: int, seed: int
) -> list[Scored]:  # fmt: skip
    """Windows for each of so many roles: one cut dealt out among them, so that all see all of the text's kinds.

    Raises:
        InputError: if the first four fifths are too short for them.
    """
    ids = _tokens_of(name, tokenizer, roles * count * length, last=False)
    more = f" for each of {roles} roles" if roles > 1 else ""
    _enough(name, ids, "first four fifths", roles * count * length, f"{count} windows of {length}{more}")
    cut = windows(ids, length=length, scored=scored, count=roles * count, seed=seed, prefix=datasets.prefix(tokenizer))
    return [Scored(cut.sequences[role::roles], cut.counts[role::roles]) for role in range(roles)]


def with_tasks(data: Scored, role: str, tokenizer: Any, *, each: int | None, length: int, seed: int) -> Scored:
    """Windows of text, and so many long-context tasks of each kind.

    Args:
        data: windows; the tasks' filler is cut from their tokens, so that no token has two roles.
        role: whose templates, "training", "validation" or "test".
        tokenizer: of the model; None: bytes.
        each: tasks of each kind; 0: none; None: `TASKS`, if the windows are long enough together.
        length: tokens of a task.
        seed: random seed.
    """
    filler = torch.cat(list(data.sequences))
    if each is None:
        each = TASKS * (len(filler) > length)
    if not each:
        return data
    if len(filler) <= length:
        raise InputError("--long", got=f"{each} tasks of {length} tokens beside {len(filler)} tokens of text",
                         expected="0, shorter tasks (--long-length), or more text")  # fmt: skip
    made = [task for kind in datasets.KINDS for task in datasets.long_tasks(
        kind, role, tokenizer, filler=filler, count=each, length=length, seed=seed)]  # fmt: skip
    return Scored([*data.sequences, *(one.ids for one in made)], [*data.counts, *(one.answer for one in made)])


def for_scoring(name: str, tokenizer: Any, *, count: int, length: int, scored: int, seed: int) -> Scored:
    """Windows of the last fifth.

    Raises:
        InputError: if it is too short for them.
    """
    ids = _tokens_of(name, tokenizer, count * length)
    _enough(name, ids, "last fifth", count * length, f"{count} windows of {length}")
    return windows(ids, length=length, scored=scored, count=count, seed=seed, prefix=datasets.prefix(tokenizer))


def filler_for(name: str, tokenizer: Any, *, longest: int) -> Tensor:
    """(T,) tokens of a text's last fifth, for filler of long-context tasks that are scored.

    Raises:
        InputError: if it is too short for one passage of the longest task.
    """
    ids = _tokens_of(name, tokenizer, 50 * longest)
    _enough(name, ids, "last fifth", longest + 1, f"filler for tasks of {longest}")
    return ids


def held_out(name: str, tokenizer: Any, *, count: int, length: int, scored: int) -> Scored | None:
    """As many windows of the last fifth as there are, up to `count`, evenly spread; None if there is not one."""
    ids = _tokens_of(name, tokenizer, count * length)
    count = min(count, len(ids) // length)
    prefix = datasets.prefix(tokenizer)
    return windows(ids, length=length, scored=scored, count=count, prefix=prefix) if count else None


def tokens_for(count: int, text: str, tokenizer: Any) -> Tensor:
    """As much of a text as so many tokens, and places to choose them from, may need."""
    return datasets.tokens(text[: 40 * count + 100_000], tokenizer)


def _tokens_of(name: str, tokenizer: Any, count: int, *, last: bool = True) -> Tensor:
    """Of a text's last fifth, or of what is before it."""
    whole = datasets.text(name)
    border = len(whole) * 4 // 5
    return tokens_for(count, whole[border:] if last else whole[:border], tokenizer)


def _enough(name: str, ids: Tensor, part: str, needed: int, what: str) -> None:
    if len(ids) < needed:
        got = f"{len(ids)} tokens in its {part}"
        raise InputError("text", where=name, got=got, expected=f"at least {needed}: {what}")
