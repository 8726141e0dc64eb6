"""The command line: sending and receiving (`_carrier`, `_mm`), symbols on disk (`_symbols`), training (`_train`),
measuring (`_measure`), the app and options that several verbs share (`_app`).
"""

from semcom.cli import _carrier, _mm, _symbols, _train
from semcom.cli._app import app
from semcom.cli._measure import main

__all__ = ["_carrier", "_mm", "_symbols", "_train", "app", "main"]
