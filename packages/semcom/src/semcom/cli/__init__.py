"""The command line, one file a group of verbs: sending and receiving (`_carrier`), training (`_train`), measuring
(`_measure`); the app and its shared options (`_app`).
"""

from semcom.cli import _carrier, _train
from semcom.cli._app import app
from semcom.cli._measure import main

__all__ = ["_carrier", "_train", "app", "main"]
