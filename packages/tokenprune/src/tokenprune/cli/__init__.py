"""The `tokenprune` command: each verb parses, calls the API, and hands the result to the core to print.

_cli      the app and the order of its verbs
_fit      analyze, run, search, train, refine
_use      inspect, generate, bench, convert-gguf
_compare  compare, eval
_options  what several verbs share
"""

from tokenprune.cli._cli import app, main

__all__ = ["app", "main"]
