"""The `mldgg` command: each verb parses, calls the API and returns what to print.

_app      the app and the order of its verbs
_learn    fit, adapt, predict, inspect
_judge    compare, bench, data-check
_opening  graphs and support as the command line names them
"""

from mldgg.cli._app import app, main

__all__ = ["app", "main"]
