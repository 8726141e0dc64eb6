"""The command line: one verb for each step from an events table to lists, numbers and a model folder.

The app and shared options stand in `_app`, the options of a file of events in `_source`, ids and contexts as they are
written on a command line in `_arguments`; each other file holds one group of verbs.
"""

# isort: off
from recsys.cli import _data_verbs, _fit_verbs, _compare_verbs, _answer_verbs, _spark_verbs  # as `--help` lists them

# isort: on
from recsys.cli._app import app, main

__all__ = ["_answer_verbs", "_compare_verbs", "_data_verbs", "_fit_verbs", "_spark_verbs", "app", "main"]
