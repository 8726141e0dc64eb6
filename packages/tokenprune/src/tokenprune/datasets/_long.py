"""Long-context tasks, made from templates: what is asked at the end stands somewhere before it.

needle      a fact among filler text, at any depth
name        a name that is introduced first and asked for at the end
key-value   a list of keys and numbers, one of which is asked for
few-shot    solved examples of a classification, and one to solve
paragraphs  a question on one of several paragraphs
constant    a number given to a name in one line, at any depth

Training, validation, test and foreign tasks have templates and words of their own (`_templates.py`). Every prompt has
exactly as many tokens as asked for, the answer included; filler is drawn from a text that the caller gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from tokenprune.datasets._templates import BY_ROLE, Templates
from tokenprune.datasets._texts import prefix, tokens

KINDS = ("needle", "name", "key-value", "few-shot", "paragraphs", "constant")
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class LongTask:
    """One prompt and its answer.

    Attributes:
        kind: one of `KINDS`.
        ids: (length,) tokens, the answer at the end.
        answer: how many tokens that is.
        depth: where what is asked stands, 0 the beginning and 1 the end; NaN for few-shot tasks (everywhere).
    """

    kind: str
    ids: Tensor
    answer: int
    depth: float


def long_tasks(
    kind: str, role: str, tokenizer: Any, *, filler: Tensor, count: int, length: int, seed: int = 0,
    depths: Sequence[float] = DEPTHS,
) -> list[LongTask]:  # fmt: skip
    """Tasks of one kind, their depths in turn.

    Args:
        kind: one of `KINDS`.
        role: "training", "validation", "test" or "foreign" (contracts and code): whose templates.
        tokenizer: of the model; None: bytes.
        filler: 1-D ids of a text, from which passages are taken; of the same role.
        count: tasks.
        length: tokens of each, the answer included.
        seed: random seed.
        depths: of needles, keys, paragraphs and constants; a name always stands first.
    Raises:
        InputError: for a word that is not known, or a length that the task does not fit in.
    """
    if kind not in KINDS or role not in BY_ROLE:
        expected = f"a kind of {', '.join(KINDS)} and a role of {', '.join(BY_ROLE)}"
        raise InputError("long task", got=f"{kind!r}, {role!r}", expected=expected)
    if not all(0 <= depth <= 1 for depth in depths) or not depths:
        raise InputError("depths", got=list(depths), expected="shares of the prompt, 0 to 1")
    random = np.random.default_rng([seed, KINDS.index(kind), list(BY_ROLE).index(role)])
    maker = _Maker(BY_ROLE[role], tokenizer, filler, length, random)
    make = getattr(maker, kind.replace("-", "_"))
    return [make(depths[at % len(depths)]) for at in range(count)]


def learning_tasks(
    tokenizer: Any, filler: Tensor, *, count: int = 3, length: int = 1024, seed: int = 0
) -> list[LongTask]:
    """Training tasks whose answer stands somewhere in the prompt, so many of each kind: what `TokenPruner.learn` takes.

    Args: as of `long_tasks`.
    """
    return [task for kind in KINDS if kind != "few-shot" for task in long_tasks(
        kind, "training", tokenizer, filler=filler, count=count, length=length, seed=seed)]  # fmt: skip


class _Maker:
    """Makes tasks of one role.

    Args: as of `long_tasks`.
    """

    def __init__(
        self, templates: Templates, tokenizer: Any, filler: Tensor, length: int, random: np.random.Generator
    ) -> None:
        self.of, self.tokenizer, self.filler, self.length, self.random = templates, tokenizer, filler, length, random
        self.begin = prefix(tokenizer)

    def _one(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.random.integers(len(choices)))]

    def _ids(self, words: str) -> Tensor:
        return tokens(words, self.tokenizer)

    def _passage(self, size: int) -> Tensor:
        """So many tokens of filler from a random place."""
        if len(self.filler) <= size:
            raise InputError("filler", got=f"{len(self.filler)} tokens", expected=f"more than {size}")
        start = int(self.random.integers(len(self.filler) - size))
        return self.filler[start : start + size]

    def _task(self, kind: str, parts: Sequence[Tensor], answer: Tensor, depth: float) -> LongTask:
        ids = torch.cat([self.begin, *parts, answer])
        assert len(ids) == self.length
        return LongTask(kind, ids, len(answer), depth)

    def _room(self, *parts: Tensor, least: int = 0) -> int:
        """Tokens that these leave."""
        room = self.length - len(self.begin) - sum(len(one) for one in parts)
        if room < least:
            raise InputError("length", got=self.length, expected=f"at least {self.length - room + least} for this task")
        return room

    def needle(self, depth: float) -> LongTask:
        """A fact among filler; `depth` is the share of the filler before it."""
        fact, ask = self._one(self.of.facts)
        subject, value = self._one(self.of.subjects), self._one(self.of.values)
        said = self._ids(f"\n{fact.format(subject=subject, value=value)}\n")
        asked, answer = self._ids(f"\n{ask.format(subject=subject)}"), self._ids(f" {value}")
        room = self._room(said, asked, answer)
        return self._task("needle", self._around(said, room, depth, asked), answer, depth)

    def _around(self, said: Tensor, room: int, depth: float, asked: Tensor) -> list[Tensor]:
        """Filler with a fact at a depth, then the question."""
        before = round(depth * room)
        return [self._passage(before), said, self._passage(room - before), asked]

    def constant(self, depth: float) -> LongTask:
        """A line that gives a name a number of four digits; `depth` is the share of the filler before it."""
        line, ask = self._one(self.of.constants)
        first, second = self.random.permutation(self.of.parts)[:2]
        named = {"name": f"{first}_{second}", "value": str(int(self.random.integers(1000, 10_000)))}
        said, asked = self._ids(f"\n{line.format(**named)}\n"), self._ids(f"\n{ask.format(**named)}")
        answer = self._ids(f" {named['value']}")
        room = self._room(said, asked, answer)
        return self._task("constant", self._around(said, room, depth, asked), answer, depth)

    def _person(self) -> dict[str, str]:
        return {name: self._one(getattr(self.of, f"{name}s")) for name in ("first", "last", "trade", "town")}

    def name(self, _depth: float) -> LongTask:
        """A person introduced in the first sentence, whose surname is asked for."""
        start, end = self._one(self.of.stories)
        person = self._person()
        said, asked = self._ids(f"{start.format(**person)}\n"), self._ids(f"\n{end.format(**person)}")
        answer = self._ids(f" {person['last']}")
        return self._task("name", [said, self._passage(self._room(said, asked, answer)), asked], answer, 0.0)

    def key_value(self, depth: float) -> LongTask:
        """A list of keys with numbers of four digits, as long as fits; filler stands before it."""
        pairs = [f"{one} {other}" for one in self.of.keys for other in self.of.keys if one != other]
        self.random.shuffle(pairs)
        lines = [(key, str(int(self.random.integers(1000, 10_000)))) for key in pairs]
        coded = [self._ids(f"{self.of.pair.format(key=key)} {value}\n") for key, value in lines]
        longest = max(len(self._ids(f"\n{self.of.asks.format(key=key)} {value}")) for key, value in lines)
        line = self._ids("\n")
        room = self._room(line, least=longest + len(coded[0])) - longest
        sizes = np.cumsum([len(one) for one in coded])
        fitting = max(1, int((sizes <= room).sum()))
        key, value = lines[round(depth * (fitting - 1))]
        asked, answer = self._ids(f"\n{self.of.asks.format(key=key)}"), self._ids(f" {value}")
        left = self._passage(self._room(line, *coded[:fitting], asked, answer))
        return self._task("key-value", [left, line, *coded[:fitting], asked], answer, depth)

    def few_shot(self, _depth: float) -> LongTask:
        """Examples of each label in random order, none of them the one in the question; filler stands before them."""
        every = [(item, label) for label, items in self.of.kinds.items() for item in items]
        self.random.shuffle(every)
        item, label = str(every[0][0]), str(every[0][1])
        asked, answer = self._ids(self.of.shot.format(item=item)), self._ids(f" {label}")
        line = self._ids("\n")
        room, parts = self._room(line, asked, answer), []
        for other, its in every[1:]:
            shot = self._ids(f"{self.of.shot.format(item=other)} {its}\n")
            if sum(map(len, parts)) + len(shot) <= room:
                parts.append(shot)
        if not parts:
            raise InputError("length", got=self.length, expected="room for an example")
        left = self._passage(self._room(line, *parts, asked, answer))
        return self._task("few-shot", [left, line, *parts, asked], answer, float("nan"))

    def paragraphs(self, depth: float) -> LongTask:
        """Paragraphs on different persons, filler in each; one is asked about."""
        question, slot = self._one(self.of.questions)
        cards, firsts, lasts = min(4, max(2, self.length // 64)), list(self.of.firsts), list(self.of.lasts)
        self.random.shuffle(firsts)
        self.random.shuffle(lasts)
        people = [{**self._person(), "first": firsts[at], "last": lasts[at]} for at in range(cards)]
        said = [self._ids(f"\n{self.of.card.format(**one)}\n") for one in people]
        while cards > 2 and sum(map(len, said[:cards])) > self.length // 2:
            cards -= 1
        said = said[:cards]
        person = people[round(depth * (cards - 1))]
        asked, answer = self._ids(f"\n{question.format(**person)}"), self._ids(f" {person[slot]}")
        room = self._room(*said, asked, answer)
        sizes = [room // cards + (at < room % cards) for at in range(cards)]
        parts = [part for card, size in zip(said, sizes, strict=True) for part in (card, self._passage(size))]
        return self._task("paragraphs", [*parts, asked], answer, depth)
