"""The `tokenprune` command."""

from tokenprune.cli._cli import app, main

__all__ = ["app", "main"]
