"""Texts and questions: embedded, WikiText-2 and multiple-choice sets, a hub's data sets, or a user's files.

_texts  texts, questions and their tokens
_rows   rows of JSON lines, parquet and text files, and of a hub's data sets
"""

from tokenprune.datasets._texts import (
    TASKS,
    TEXTS,
    Question,
    embedded_text,
    few_shot,
    prefix,
    prompt,
    questions,
    text,
    tokens,
    words,
)

__all__ = [
    "TASKS",
    "TEXTS",
    "Question",
    "embedded_text",
    "few_shot",
    "prefix",
    "prompt",
    "questions",
    "text",
    "tokens",
    "words",
]
