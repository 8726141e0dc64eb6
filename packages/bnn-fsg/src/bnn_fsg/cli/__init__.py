"""The `bnn-fsg` command: each verb parses, calls the API and returns what to print.

_cli       the app and the order of its verbs
_packed    pack, eval, predict, inspect, bench, export
_training  pretrain, train
"""

from bnn_fsg.cli._cli import app, main

__all__ = ["app", "main"]
