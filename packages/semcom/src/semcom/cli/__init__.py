"""The command line, one file a group of verbs: sending and receiving (`_carrier`), training (`_train`), measuring
(`_measure`); the same of the second system (`_mm`, `_mm_train`, `_mm_compare`); the app and its options (`_app`).
"""

from semcom.cli import _carrier, _mm, _mm_compare, _mm_train, _train
from semcom.cli._app import app
from semcom.cli._measure import main

__all__ = ["_carrier", "_mm", "_mm_compare", "_mm_train", "_train", "app", "main"]
