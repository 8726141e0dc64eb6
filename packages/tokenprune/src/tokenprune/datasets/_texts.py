"""Texts and questions: the embedded text, WikiText-2 and multiple-choice sets, a hub's data sets, or a user's files.

`$NINEFOLD_DATA/tokenprune` may hold ARC-easy and -challenge (train, test), PIQA and WinoGrande (validation), WikiText-2
(validation, test) and Tiny Shakespeare; any of them is also found in the cache (see `ninefold.datasets.find`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from ninefold.datasets import find
from ninefold.errors import InputError
from torch import Tensor

from tokenprune.datasets import _rows

Tokenize = Callable[[str], Tensor]
TASKS = {
    "arc_easy": "arc_easy_test.jsonl.gz",
    "arc_challenge": "arc_challenge_test.jsonl.gz",
    "piqa": "piqa_validation.jsonl.gz",
    "winogrande": "winogrande_xl_validation.jsonl.gz",
    "arc_easy_train": "arc_easy_train.jsonl.gz",
    "arc_challenge_train": "arc_challenge_train.jsonl.gz",
}
TEXTS = {
    "wikitext2_valid": "wikitext2_valid.txt.gz",
    "wikitext2_test": "wikitext2_test.txt.gz",
    "shakespeare": "tinyshakespeare.txt.gz",
}


@dataclass(frozen=True)
class Question:
    """One multiple-choice item.

    Attributes:
        question: what is asked; for a blank, what stands before the choice is `question` up to it.
        choices: possible answers.
        label: index of the right one.
    """

    question: str
    choices: tuple[str, ...]
    label: int


def embedded_text() -> str:
    """Ninety kilobytes of a public-domain play, shipped with the package: enough for `run` by default."""
    return (resources.files("tokenprune.datasets") / "embedded" / "text.txt").read_text(encoding="utf-8")


def text(name: str | Path) -> str:
    """A text by name.

    Args:
        name: "embedded", one of `TEXTS`, a hub id (see `_rows`), a file (.txt, .txt.gz, .jsonl, .parquet), or a folder
            of such files. Rows have `text`, or instruction, input and output, as Alpaca's.
    Raises:
        DownloadError: if a named text, or a hub's, cannot be had; says where to put it, or why.
        InputError: if a file cannot be read as text.
    """
    if str(name) == "embedded":
        return embedded_text()
    if _rows.is_hub_id(str(name)):
        rows = _rows.of_hub(str(name), "train")
        return "\n".join(_words(row, f"{name}, row {at}") for at, row in enumerate(rows, 1))
    path = find("tokenprune", TEXTS[str(name)]) if str(name) in TEXTS else Path(name)
    if path.is_dir():
        plain = [_rows.read_text(one) for one in sorted(path.rglob("*")) if one.name.endswith((".txt", ".txt.gz"))]
        return "\n".join(plain) if plain else _joined(path)
    if not path.is_file():
        if path.name.endswith((".txt", ".txt.gz", *_rows.ENDINGS)):
            raise InputError(
                "text", got=f"{name}: no such file", expected="a file that is there", hint="check the path"
            )
        known = ", ".join(["embedded", *TEXTS])
        expected = f"one of {known}, a hub id, or a .txt, .jsonl or .parquet file or a folder of these"
        raise InputError("text", got=str(name), expected=expected)
    if path.name.endswith(_rows.ENDINGS):
        return _joined(path)
    raw = _rows.read_text(path)
    if not raw.strip():
        raise InputError("text", where=path, got="nothing", expected="some words")
    return raw


def _joined(path: Path) -> str:
    rows = _rows.of_path(path)
    first = rows[0][1]
    if path.suffix == ".parquet" and "text" not in first and not _instructs(first):
        raise InputError("column `text`", where=path, got=f"columns {sorted(first)}")
    return "\n".join(_words(row, where) for where, row in rows)


def _instructs(row: _rows.Row) -> bool:
    return "text" not in row and "instruction" in row and "output" in row


def _words(row: _rows.Row, where: str) -> str:
    if _instructs(row):
        return "\n".join(str(row[key]) for key in ("instruction", "input", "output") if row.get(key))
    return str(_rows.field(row, "text", where))


def questions(name: str | Path) -> list[Question]:
    """A multiple-choice set by name.

    Args:
        name: one of `TASKS`, a hub id (see `_rows`), a .jsonl or .parquet file, or a folder of these. Rows have
            question, choices and label, or are those of ARC, HellaSwag, MMLU, WinoGrande or PIQA as the hub has them.
    Raises:
        DownloadError: if a named set, or a hub's, cannot be had.
        InputError: names the row that is wrong.
    """
    if _rows.is_hub_id(str(name)):
        return [_question(row, f"{name}, row {at}") for at, row in enumerate(_rows.of_hub(str(name), "validation"), 1)]
    path = find("tokenprune", TASKS[str(name)]) if str(name) in TASKS else Path(name)
    if not path.exists():
        expected = f"one of {', '.join(TASKS)}, a hub id, or a .jsonl or .parquet file or a folder of these"
        raise InputError("task", got=str(name), expected=expected)
    return [_question(row, where) for where, row in _rows.of_path(path)]


def _question(row: _rows.Row, where: str) -> Question:
    asked, choices, label = _parts(row, where)
    if not isinstance(choices, list) or len(choices) < 2 or label not in range(len(choices)):
        raise InputError("choices and label", where=where, got=f"{choices}, {label}",
                         expected="at least two choices and the index of one")  # fmt: skip
    return Question(str(asked), tuple(map(str, choices)), int(label))


def _parts(row: _rows.Row, where: str) -> tuple[Any, Any, Any]:
    """(question, choices, index of the right one) of each publisher's rows."""
    if "answerKey" in row and isinstance(row.get("choices"), dict):  # ARC
        named = row["choices"]
        labels = list(named["label"])
        right = labels.index(row["answerKey"]) if row["answerKey"] in labels else -1
        return row["question"], list(named["text"]), right
    if "endings" in row and "ctx" in row:  # HellaSwag
        return row["ctx"], row["endings"], _number(row.get("label"))
    if "option1" in row and "option2" in row:  # WinoGrande; answers are "1" and "2"
        return row["sentence"], [row["option1"], row["option2"]], _number(row.get("answer")) - 1
    if "sol1" in row and "sol2" in row:  # PIQA
        return row["goal"], [row["sol1"], row["sol2"]], _number(row.get("label"))
    asked, choices = _rows.field(row, "question", where), _rows.field(row, "choices", where)
    return asked, choices, row["label"] if "label" in row else _rows.field(row, "answer", where)  # MMLU: answer


def _number(value: Any) -> int:
    """Publishers write labels as numbers, as words, and as nothing where they are not told."""
    return int(value) if str(value).isdigit() else -1


def tokens(words: str, tokenizer: Any) -> Tensor:
    """A text as 1-D ids, no special token added (`prompt` adds it); its bytes if there is no tokenizer."""
    if tokenizer is None:
        return torch.tensor(list(words.encode()), dtype=torch.long)
    return torch.tensor(tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"], dtype=torch.long)


def prefix(tokenizer: Any) -> Tensor:
    """What a tokenizer itself puts before each text, 1-D: a BOS (LLaMA, Mistral, Gemma) or nothing (Qwen, SmolLM2)."""
    bos = getattr(tokenizer, "bos_token_id", None)
    begins = bos is not None and tokenizer("a")["input_ids"][:1] == [bos]
    return torch.tensor([bos] if begins else [], dtype=torch.long)


def prompt(words: str, tokenizer: Any) -> Tensor:
    """A text as 1-D ids with its `prefix`, unless the text writes that out itself, as chat templates do."""
    first, ids = prefix(tokenizer), tokens(words, tokenizer)
    return ids if torch.equal(ids[: len(first)], first) else torch.cat([first, ids])


def chat(messages: Sequence[dict[str, str]], tokenizer: Any) -> tuple[Tensor, dict[str, tuple[int, int]]]:
    """A conversation as 1-D ids, in the tokenizer's own template and up to where the model answers.

    Args:
        messages: role and content of each turn.
        tokenizer: one with a chat template.
    Returns: ids, and (first, stop) of the tokens of the "system" prompt and of the last "user" turn, as far as there
        are such; both with the marks that the template puts around them.
    Raises:
        InputError: if the tokenizer has no template.
    """
    if tokenizer is None or not tokenizer.chat_template:
        raise InputError("chat", got="a tokenizer without a chat template", expected="one of a model made for chats")

    def ids(turns: Sequence[dict[str, str]], *, answer: bool = False) -> Tensor:
        text = tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=answer)
        return tokens(text, tokenizer)

    whole, spans = ids(messages, answer=True), {}
    if messages[0]["role"] == "system":
        spans["system"] = (0, _common(whole, ids(messages[:1])))
    last = max((at for at, one in enumerate(messages) if one["role"] == "user"), default=None)
    if last is not None:
        before = _common(whole, ids(messages[:last])) if last else 0
        spans["user"] = (before, _common(whole, ids(messages[: last + 1])))
    return whole, {name: (first, stop) for name, (first, stop) in spans.items() if first < stop}


def query_tokens(ids: Tensor, query: str, tokenizer: Any) -> int:
    """How many last tokens of a prompt hold a question that is written in it, and what follows it.

    Args:
        ids: (L,) the prompt.
        query: words of the question as they stand in the prompt; the last occurrence counts.
        tokenizer: of the model; None: bytes.
    Raises:
        InputError: if the words are not in the prompt.

    Examples:
        >>> from tokenprune import datasets

        >>> ids = datasets.tokens("A long text. Who speaks? Answer briefly.", None)
        >>> datasets.query_tokens(ids, "Who speaks?", None)
        27
    """
    asked = query.strip()
    if not asked or asked not in words(ids, tokenizer):
        raise InputError("query", got=f"{query!r:.60}", expected="words that stand in the prompt")
    low, high = 1, len(ids)  # the fewest last tokens whose text contains the words
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if asked in words(ids[-middle:], tokenizer) else (middle + 1, high)
    return low


def _common(one: Tensor, other: Tensor) -> int:
    """How many first tokens are the same."""
    size = min(len(one), len(other))
    differ = (one[:size] != other[:size]).nonzero()
    return int(differ[0]) if len(differ) else size


def frame(tokenizer: Any) -> tuple[str, str]:
    """What the tokenizer's chat template writes before and after one user's turn, up to where the model answers.

    Without a template: nothing before, and "Answer:" in a line of its own after.
    """
    if tokenizer is None or not tokenizer.chat_template:
        return "", "\nAnswer:"
    turn = [{"role": "user", "content": "\N{SNOWMAN}"}]
    whole = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    before, _, after = whole.partition("\N{SNOWMAN}")
    return before, after


def words(ids: Tensor, tokenizer: Any) -> str:
    """1-D ids as text, special tokens left out; without a tokenizer one character for each byte.

    Ids that are no byte (a model may have more) are shown as the replacement character.
    """
    if tokenizer is None:
        return "".join(chr(one) if one < 256 else "\ufffd" for one in ids.tolist())
    return tokenizer.decode(ids, skip_special_tokens=True)


def few_shot(item: Question, shots: Sequence[Question]) -> str:
    """The question after solved ones, up to where the answer stands."""
    solved = "".join(f"Question: {one.question}\nAnswer: {one.choices[one.label]}\n\n" for one in shots)
    return f"{solved}Question: {item.question}\nAnswer:"
