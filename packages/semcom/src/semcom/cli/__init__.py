"""The command line, one file a group of verbs: sending and receiving (`_carrier`, `_symbols`), training (`_train`),
measuring (`_measure`, `_baseline`); the same of the second system (`_mm`, `_mm_train`, `_mm_compare`); the app and its
options (`_app`).
"""

from semcom.cli import _baseline, _carrier, _mm, _mm_compare, _mm_train, _symbols, _train
from semcom.cli._app import app
from semcom.cli._measure import main

__all__ = ["_baseline", "_carrier", "_mm", "_mm_compare", "_mm_train", "_symbols", "_train", "app", "main"]
