"""The `tokenprune` command: each verb parses, calls the API, and hands the result to the core to print.

_cli      the app and the order of its verbs
_ftp      ftp, the published method; folders of either kind
_use      inspect, generate, ask, serve, learn, bench, convert-gguf
_compare  analyze, compare, eval, recall
_options  what several verbs share
"""

from tokenprune.cli._cli import app, main

__all__ = ["app", "main"]
