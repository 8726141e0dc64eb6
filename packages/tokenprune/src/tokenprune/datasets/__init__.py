"""Texts and questions: embedded, WikiText-2 and multiple-choice sets, a hub's data sets, or a user's files.

_texts  texts, questions and their tokens
_long   long-context tasks made from templates: needles, names, key-value lists, few-shot, paragraphs
_templates  templates and words of these, apart by role
_rows   rows of JSON lines, parquet and text files, and of a hub's data sets

Examples:
    >>> from tokenprune import datasets

    >>> filler = datasets.tokens(datasets.embedded_text(), None)  # without a tokenizer, bytes
    >>> datasets.words(filler[:14], None)
    'First Citizen:'
    >>> (task,) = datasets.long_tasks("needle", "test", None, filler=filler, count=1, length=400, depths=[0.5])
    >>> len(task.ids), datasets.words(task.ids[-task.answer :], None)
    (400, ' ginger')
"""

from tokenprune.datasets._long import DEPTHS, KINDS, LongTask, learning_tasks, long_tasks
from tokenprune.datasets._texts import (
    TASKS,
    TEXTS,
    Question,
    chat,
    embedded_text,
    few_shot,
    frame,
    prefix,
    prompt,
    query_tokens,
    questions,
    text,
    tokens,
    words,
)

__all__ = [
    "DEPTHS", "KINDS", "TASKS", "TEXTS", "LongTask", "Question", "chat", "embedded_text", "few_shot", "frame",
    "learning_tasks", "long_tasks", "prefix", "prompt", "query_tokens", "questions", "text", "tokens", "words",
]  # fmt: skip
