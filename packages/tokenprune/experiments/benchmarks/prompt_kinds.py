"""Prompts of twelve kinds that place the question differently, each with its right answer and wrong candidates.

tail-1       a question, then one clause on the format of the answer
tail-2       a question, then two lines on it
twelve       a question, then twelve names, one of which is the answer
two, three   two or three questions, answered in one numbered list
code         source code, and an identifier that is defined far above
documents    several titled documents, and a question on one of them
table        a table, and a question on one of its rows
few-shot     solved examples, and one to solve
first        the question in the first line, then the text
languages    a question in Spanish, French, German, Italian or Portuguese
chat         the model's chat template, the question with a tail in the user's last turn or in a turn of its own

Roles "choosing" and "reporting" share no template, no word that fills one, and no filler text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from prompt_words import WORDS, Words
from tokenprune import datasets
from torch import Tensor

WRONG = 5  # candidates beside the right one


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes:
        kind: one of `KINDS`.
        ids: (n,) tokens.
        question: how many last tokens the question and what follows it are; of "first", what follows the text.
        answers: tokens of candidates, the right one first.
    """

    kind: str
    ids: Tensor
    question: int
    answers: tuple[Tensor, ...]


class Maker:
    """Makes prompts of one role.

    Args:
        role: "choosing" or "reporting".
        tokenizer: of the model, with a chat template.
        text, code: 1-D ids from which filler is cut.
        length: tokens of each prompt.
    """

    def __init__(self, role: str, tokenizer: Any, text: Tensor, code: Tensor, length: int) -> None:
        self.of: Words = WORDS[role]
        self.role, self.tokenizer, self.text, self.code, self.length = role, tokenizer, text, code, length

    def make(self, kind: str, item: int) -> Prompt:
        """The prompt of a kind with this number, always the same."""
        self.random, self.item = np.random.default_rng([KINDS.index(kind), item, len(self.role)]), item
        return _MAKES[kind](self)

    def _ids(self, words: str) -> Tensor:
        return datasets.tokens(words, self.tokenizer)

    def _some(self, words: Sequence[Any], count: int) -> list[Any]:
        return [words[at] for at in self.random.permutation(len(words))[:count]]

    def _prompt(
        self, kind: str, said: Sequence[str], asked: str, answers: Sequence[str], *, filler: Tensor | None = None,
        before: str = "",
    ) -> Prompt:  # fmt: skip
        """Sentences among filler, then what is asked: as many tokens as a prompt has."""
        begin, end = self._ids(before), self._ids(asked)
        parts = [self._ids(f"\n{one}\n") for one in said]
        room = self.length - sum(map(len, (begin, end, *parts)))
        filler = self.text if filler is None else filler
        shares = self.random.dirichlet([2.0] * (len(parts) + 1))
        sizes = np.diff(np.round(np.concatenate([[0], shares.cumsum()]) * room).astype(int)).tolist()
        starts = self.random.integers(0, len(filler) - self.length, len(sizes)).tolist()
        pieces = [filler[start : start + size] for start, size in zip(starts, sizes, strict=True)]
        among = [part for pair in zip(pieces, [*parts, end], strict=True) for part in pair]
        ids = torch.cat([begin, *among])
        assert len(ids) == self.length
        return Prompt(kind, ids, len(end), tuple(map(self._ids, answers)))

    def _facts(self, count: int, *, alike: bool = True) -> tuple[list[str], list[str], list[str], str]:
        """(sentences, their questions, their values, how an answer begins): alike but for subject and value, or not."""
        kinds = [self.of.facts[at] for at in self.random.permutation(len(self.of.facts))]
        kinds = kinds[:1] * count if alike else kinds[:count]
        subjects, values = self._some(self.of.subjects, count), self._some(self.of.values, count)
        said = [says.format(s=s, v=v) for (says, _, _), s, v in zip(kinds, subjects, values, strict=True)]
        asked = [asks.format(s=s) for (_, asks, _), s in zip(kinds, subjects, strict=True)]
        return said, asked, values, kinds[0][2]

    def _wrong(self, right: str, words: Sequence[str], near: Sequence[str]) -> list[str]:
        """Right and wrong words, those that stand in the prompt first."""
        others = [one for one in (*near, *self._some(words, len(words))) if one != right]
        return [right, *dict.fromkeys(others)][: WRONG + 1]

    def _question(self, tail: str, kind: str) -> Prompt:
        says, asks, values, begins = self._facts(2)
        at = self.item % 2
        found = self._wrong(values[at], self.of.values, values)
        return self._prompt(
            kind, says, f"\n\nQuestion: {asks[at]}{tail}\nAnswer: {begins}", [f" {one}" for one in found]
        )

    def tail_1(self) -> Prompt:
        return self._question(f" {self._some(self.of.clauses, 1)[0]}", "tail-1")

    def tail_2(self) -> Prompt:
        return self._question("\n" + "\n".join(self._some(self.of.lines, 2)), "tail-2")

    def twelve(self) -> Prompt:
        says, asks, begins = self.of.signed
        subjects, names = self._some(self.of.subjects, 2), self._some(self.of.names, 12)
        at = self.item % 2
        listed = ", ".join(self._some(names, 12))
        sentences = [says.format(s=s, v=v) for s, v in zip(subjects, names, strict=False)]
        given = names[:2]
        tail = f"\n\nQuestion: {asks.format(s=subjects[at])}\nChoose one of these names: {listed}.\nAnswer: {begins}"
        return self._prompt("twelve", sentences, tail, [f" {one}" for one in self._wrong(names[at], names, given)])

    def _several(self, count: int, kind: str) -> Prompt:
        """Questions in a numbered list; a candidate has one wrong answer."""
        says, asks, values, _ = self._facts(count, alike=False)
        listed = "\n".join(f"{at}. {one}" for at, one in enumerate(asks[:count], 1))

        def answer(given: Sequence[str]) -> str:
            return "".join(f"{f'{chr(10)}{at}.' if at > 1 else ''} {one}" for at, one in enumerate(given, 1))

        right = values[:count]
        absent = [one for one in self.of.values if one not in values]
        wrong = [[*right[:at], other, *right[at + 1 :]] for at in range(count) for other in absent[:WRONG]]
        order = self.random.permutation(len(says)).tolist()
        return self._prompt(kind, [says[at] for at in order],
                            f"\n\nAnswer these questions, one line each.\n{listed}\nAnswers:\n1.",
                            [answer(one) for one in (right, *wrong)])  # fmt: skip

    def two(self) -> Prompt:
        return self._several(2, "two")

    def three(self) -> Prompt:
        return self._several(3, "three")

    def source(self) -> Prompt:
        names = ["_".join(self._some(self.of.parts, 2)) for _ in range(8)]
        names = list(dict.fromkeys(names))[:4]
        numbers = [str(int(one)) for one in self.random.choice(np.arange(100, 1000), WRONG + 1, replace=False)]
        line, asks = self.of.code
        at = self.item % len(names)
        said = [line.format(n=name, v=value) for name, value in zip(names, numbers, strict=False)]
        found = self._wrong(numbers[at], numbers, numbers)
        return self._prompt("code", said, asks.format(n=names[at]), [f" {one}" for one in found], filler=self.code)

    def documents(self) -> Prompt:
        says, asks, begins = self.of.document
        titles, values = self._some(self.of.subjects, 3), self._some(self.of.values, 3)
        at = self.item % 3
        said = [f"Document {n}: {title}\n{says.format(v=value)}"
                for n, (title, value) in enumerate(zip(titles, values, strict=True), 1)]  # fmt: skip
        tail = f"\n\nQuestion: {asks.format(n=at + 1, s=titles[at])}\nUse only the documents above.\nAnswer: {begins}"
        found = self._wrong(values[at], self.of.values, values)
        return self._prompt("documents", said, tail, [f" {one}" for one in found])

    def table(self) -> Prompt:
        head, asks, begins = self.of.table
        rows = self._some(self.of.names, 6)
        values, others = self._some(self.of.values, 6), self.random.integers(10, 99, 6)
        lines = "\n".join(
            f"| {name} | {other} | {value} |" for name, other, value in zip(rows, others, values, strict=True)
        )
        at = self.item % 6
        tail = f"\n\nQuestion: {asks.format(s=rows[at])} Answer with one word.\nAnswer: {begins}"
        found = self._wrong(values[at], self.of.values, [])
        return self._prompt("table", [f"{head}\n{lines}"], tail, [f" {one}" for one in found])

    def few_shot(self) -> Prompt:
        pairs = [(item, label) for label, items in self.of.labels.items() for item in items.split()]
        chosen = self._some(pairs, len(pairs))
        item, label = chosen[0]
        shots = "\n".join(f"{other} -> {its}" for other, its in chosen[1:])
        found = self._wrong(label, list(self.of.labels), [])
        return self._prompt("few-shot", [shots], f"\n{item} ->", [f" {one}" for one in found])

    def first(self) -> Prompt:
        says, asks, values, begins = self._facts(2)
        at = self.item % 2
        before = f"Read the text and answer this question: {asks[at]}\n\n"
        found = [f" {one}" for one in self._wrong(values[at], self.of.values, values)]
        return self._prompt("first", says, f"\n\nAnswer to the question: {begins}", found, before=before)

    def languages(self) -> Prompt:
        says, asks, tail = self.of.languages[self.item % 5]
        subjects, values = self._some(self.of.names, 2), self._some(self.of.values, 2)
        at = self.item // 5 % 2
        said = [says.format(s=s, v=v) for s, v in zip(subjects, values, strict=True)]
        found = self._wrong(values[at], self.of.values, values)
        return self._prompt("languages", said, f"\n\n{asks.format(s=subjects[at])}{tail}", [f" {one}" for one in found])

    def chat(self) -> Prompt:
        says, asks, values, begins = self._facts(2)
        at = self.item % 2
        question = f"{asks[at]}\n" + "\n".join(self._some(self.of.lines, 2))
        before, after = datasets.frame(self.tokenizer)
        if self.item % 2:  # a turn of its own
            turned = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": "\N{SNOWMAN}"}, {"role": "assistant", "content": "I have read it."},
                 {"role": "user", "content": question}], tokenize=False, add_generation_prompt=True)  # fmt: skip
            before, after = turned.split("\N{SNOWMAN}")
            asked = after
        else:
            asked = f"\n\n{question}{after}"
        asked += begins
        found = self._wrong(values[at], self.of.values, values)
        return self._prompt("chat", says, asked, [f" {one}" for one in found], before=before)


_MAKES: dict[str, Callable[[Maker], Prompt]] = {
    "tail-1": Maker.tail_1, "tail-2": Maker.tail_2, "twelve": Maker.twelve, "two": Maker.two, "three": Maker.three,
    "code": Maker.source, "documents": Maker.documents, "table": Maker.table, "few-shot": Maker.few_shot,
    "first": Maker.first, "languages": Maker.languages, "chat": Maker.chat,
}  # fmt: skip
KINDS = tuple(_MAKES)
