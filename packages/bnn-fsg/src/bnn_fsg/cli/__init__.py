"""The `bnn-fsg` command."""

from bnn_fsg.cli._cli import app, main

__all__ = ["app", "main"]
